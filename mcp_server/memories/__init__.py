"""What agents remember, for the tools: whose memories they are, and the stores that hold them."""
