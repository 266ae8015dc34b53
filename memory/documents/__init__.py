"""The vector store: a table of documents in the layout of langchain-postgres, and its filters."""

from typing import TYPE_CHECKING

from memory.moved import names_of

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__, "memory.documents.table")
