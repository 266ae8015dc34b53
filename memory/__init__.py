"""Agent memory in PostgreSQL: LangGraph checkpoints and store, vector store, chat history."""

import sys

from memory.chat import BorealisChatMessageHistory
from memory.checkpoints.saver import BorealisSaver
from memory.documents.pgvectorstore import pg_engine
from memory.documents.vectorstore import BorealisVectorStore
from memory.embeddings import HashEmbeddings, LocalEmbeddings
from memory.encoding.unreadable import Unreadable
from memory.moved import MOVED, MovedModules
from memory.store.store import BorealisStore

__all__ = [
    "BorealisChatMessageHistory",
    "BorealisSaver",
    "BorealisStore",
    "BorealisVectorStore",
    "HashEmbeddings",
    "LocalEmbeddings",
    "Unreadable",
    "pg_engine",
]

sys.meta_path.insert(0, MovedModules(MOVED))
