"""What changes a cluster, step by step: one module for each operation, and recovery."""
