"""Agent memory in PostgreSQL: LangGraph checkpoints and store, vector store, chat history."""
