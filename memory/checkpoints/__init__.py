"""LangGraph checkpoints: their rows, reading and keeping them, and the saver over both."""

from typing import TYPE_CHECKING

from memory.moved import names_of

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__, "memory.checkpoints.rows")
