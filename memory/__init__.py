"""Agent memory in PostgreSQL: LangGraph checkpoints and store, vector store, chat history."""

from memory.saver import BorealisSaver

__all__ = ["BorealisSaver"]
