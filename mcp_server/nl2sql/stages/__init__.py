"""Questions whose answer takes several steps, each of which is a question of its own."""
