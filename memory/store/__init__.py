"""LangGraph store: items by namespace, their vector index, and searching them."""
