"""LangGraph checkpoints: their rows, reading and keeping them, and the saver over both."""
