"""What the commands `diff` print."""
