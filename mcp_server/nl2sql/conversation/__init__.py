"""Questions that build on the last answer, and questions about the schema itself."""
