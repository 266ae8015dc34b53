"""The log of a plan, while whoever uploads it joins its pieces: one that is gone is in another."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from cluster_runtime.backup.core.names import Piece
from cluster_runtime.backup.core.pieces import chain
from cluster_runtime.backup.core.targets import Plan
from cluster_runtime.backup.vault.bucket import ObjectMissingError
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.errors import BackupDamagedError

T = TypeVar("T")


class PlannedLog:
    """Blocking. read: of a piece's content, as `Vault` does it."""

    def __init__(self, vault: Vault, plan: Plan) -> None:
        self._vault, self._plan = vault, plan
        self._pieces: Sequence[Piece] = plan.pieces

    def read(self, start: int, read: Callable[[Piece], T]) -> Iterator[tuple[Piece, T]]:
        """The pieces from an LSN up to the plan's end, with what is read of each.

        Raises BackupDamagedError where none holds what comes next, and what `read` raises.
        """
        at = start
        while at < self._plan.end:
            piece, content = self.read_at(at, read)
            yield piece, content
            at = piece.end

    def read_at(self, lsn: int, read: Callable[[Piece], T]) -> tuple[Piece, T]:
        """The piece that holds an LSN of the plan, and what is read of it."""
        gone: set[Piece] = set()
        while True:
            piece = self._pieces[bisect_right(self._pieces, lsn, key=lambda each: each.end)]
            try:
                return piece, read(piece)
            except BackupDamagedError as error:
                if not isinstance(error.__cause__, ObjectMissingError) or piece in gone:
                    raise
                listed = self._vault.holdings().era(self._plan.era).pieces
                pieces = chain(listed, self._plan.pieces[0].start)
                if not pieces or pieces[-1].end < self._plan.end:
                    raise
                gone.add(piece)
                self._pieces = pieces
