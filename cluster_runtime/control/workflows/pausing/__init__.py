"""What becomes of a cluster that is paused for long."""
