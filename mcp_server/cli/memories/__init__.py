"""What agents remember in clusters: looked at, moved, forked."""
