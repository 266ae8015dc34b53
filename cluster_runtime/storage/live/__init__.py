"""The open volume: its segments, its storage node, and what is read of the log."""
