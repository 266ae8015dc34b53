"""The phrases of the grammar: what each looks like, and what it says."""
