"""How much a file may hold at once, in either direction: what its reader can be asked to keep."""

from memory.checkpoints.moving.pages import CheckpointRow, ChunkRow, Page
from memory.checkpoints.reading import split
from memory.encoding.codec import Address
from memory.errors import ThreadTransferError

MOST_FRAME_BYTES = 256 << 20
"""Sealed or not. Nothing larger is written, and no larger one is read or unpacked."""
MOST_HEAD_BYTES = 16 << 20
"""Of a checkpoint beside its values, and of its metadata."""
MOST_STATE_BYTES = 1 << 30
"""Of the values of one checkpoint, which are read together."""
MOST_VALUES_OF_A_FRAME = 100_000
"""A page has up to 500 rows of up to 8 fields."""
MOST_VALUES_OF_A_HEAD = 1_000_000
MOST_VALUES_OF_A_VALUE = 16_000_000


class StateSizes:
    """Adds up the values of checkpoints as their pages pass; one chunk may be in many of them."""

    def __init__(self) -> None:
        self._pieces: dict[Address, int] = {}

    def pass_page(self, page: Page) -> None:
        """Raise ThreadTransferError for a checkpoint whose values are too long together."""
        for row in page:
            if isinstance(row, ChunkRow):
                self._pieces[row.address] = len(row.piece)
            elif isinstance(row, CheckpointRow):
                size = sum(self._pieces.get(address, 0) for address in split(row.refs))
                if size > MOST_STATE_BYTES:
                    raise ThreadTransferError(
                        f"a checkpoint has values of {size:,} bytes; in a file they may have "
                        f"{MOST_STATE_BYTES:,}"
                    )
