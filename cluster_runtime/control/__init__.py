"""The control plane: nouns, the durable catalog, and one module per workflow."""
