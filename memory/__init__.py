"""Agent memory in PostgreSQL: LangGraph checkpoints and store, vector store, chat history."""

import sys

from memory.chat import BorealisChatMessageHistory
from memory.checkpoints.forking import Fork
from memory.checkpoints.moving.pages import MovedThread
from memory.checkpoints.overview import ThreadSummary
from memory.checkpoints.saver import BorealisSaver
from memory.documents.pgvectorstore import pg_engine
from memory.documents.vectorstore import BorealisVectorStore
from memory.embeddings import (
    CachedEmbeddings,
    HashEmbeddings,
    LocalEmbeddings,
    init_embeddings,
)
from memory.encoding.unreadable import Unreadable
from memory.moved import MOVED, MovedModules
from memory.store.own_indexes import VectorIndex
from memory.store.remembered import RememberedItem
from memory.store.store import BorealisStore

__all__ = [
    "BorealisChatMessageHistory",
    "BorealisSaver",
    "BorealisStore",
    "BorealisVectorStore",
    "CachedEmbeddings",
    "Fork",
    "HashEmbeddings",
    "LocalEmbeddings",
    "MovedThread",
    "RememberedItem",
    "ThreadSummary",
    "Unreadable",
    "VectorIndex",
    "init_embeddings",
    "pg_engine",
]

sys.meta_path.insert(0, MovedModules(MOVED))
