"""What the tools read where it is no cluster of ours: existing databases, Amazon Aurora."""
