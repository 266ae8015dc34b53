"""The vector store: a table of documents in the layout of langchain-postgres, and its filters."""
