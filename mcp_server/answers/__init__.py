"""How an answer is sent: bounded, in pages, and fenced."""
