"""The host of a state directory: who hosts it, and how everyone else's programs attach to it."""
