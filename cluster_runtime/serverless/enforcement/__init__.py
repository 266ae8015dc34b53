"""What holds an instance to its capacity while it runs: cgroups, CPU affinity, settings."""
