"""The past of a volume: the moments that it knows of, and what is kept to return to them."""
