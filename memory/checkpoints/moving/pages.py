"""What a thread is made of while it moves: plain pages, without addresses' keys and encryption.

No value is built on the way, so no class has to be allowed, and nothing changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from memory.encoding.codec import Address


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A piece of values; address: what the checkpoints of the same source call it."""

    address: Address
    piece: bytes


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """One checkpoint, with ids as they are stored.

    metadata: JSON text of what filters see. head: what its row seals, opened. refs: addresses.
    """

    ns: str
    checkpoint_id: bytes
    parent_id: bytes | None
    run_id: str | None
    metadata: str
    exact: bool
    head: Any
    refs: bytes


@dataclass(frozen=True, slots=True)
class WriteRow:
    """One pending write; content: what its row seals, opened."""

    ns: str
    checkpoint_id: bytes
    task_id: bytes
    index: int
    content: Any


PageRow: TypeAlias = ChunkRow | CheckpointRow | WriteRow
Page: TypeAlias = Sequence[ChunkRow] | Sequence[CheckpointRow] | Sequence[WriteRow]
"""Rows of one kind, never none; chunks come before the checkpoints that refer to them."""


@dataclass(frozen=True, slots=True)
class MovedThread:
    """What was copied, exported or imported."""

    thread_id: str
    checkpoints: int
    writes: int


class Count:
    """Counts what passes."""

    def __init__(self) -> None:
        self.checkpoints = self.writes = 0

    def add(self, page: Page) -> None:
        """A page passed."""
        self.checkpoints += sum(isinstance(row, CheckpointRow) for row in page)
        self.writes += sum(isinstance(row, WriteRow) for row in page)

    def of(self, thread_id: str) -> MovedThread:
        """All that passed of a thread."""
        return MovedThread(thread_id, self.checkpoints, self.writes)
