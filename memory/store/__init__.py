"""LangGraph store: items by namespace, their vector index, and searching them."""

from typing import TYPE_CHECKING

from memory.moved import names_of

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__, "memory.store.store")
