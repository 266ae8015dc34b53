"""Questions that compare what two shorter questions ask for."""
