"""What clusters used, and what Amazon Aurora would ask for it."""
