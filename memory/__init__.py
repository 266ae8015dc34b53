"""Agent memory in PostgreSQL: LangGraph checkpoints and store, vector store, chat history."""

from memory.chat import BorealisChatMessageHistory
from memory.embeddings import HashEmbeddings, LocalEmbeddings
from memory.pgvectorstore import pg_engine
from memory.saver import BorealisSaver
from memory.store import BorealisStore
from memory.vectorstore import BorealisVectorStore

__all__ = [
    "BorealisChatMessageHistory",
    "BorealisSaver",
    "BorealisStore",
    "BorealisVectorStore",
    "HashEmbeddings",
    "LocalEmbeddings",
    "pg_engine",
]
