"""The log of an open volume, uploaded in pieces as it becomes durable."""

import time
from collections import deque
from collections.abc import Callable

from cluster_runtime.backup.core.manifests import LogPiece
from cluster_runtime.backup.core.names import Piece, piece_name
from cluster_runtime.backup.core.pieces import PIECE_BYTES, joined
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.live.cursor import LogCursor
from cluster_runtime.storage.live.log_source import LogExtent
from cluster_runtime.storage.volume import StorageVolume

NEW_MOST_BYTES = 16 << 20
READ_BYTES = 32 << 10
PAUSE_S = 0.001
"""Between two reads: the interpreter lock is the commits'."""
SETTLES_WITHIN_S = 0.1
LOOKS_KEPT = 64

_log = get_logger(__name__)


class LogUpload:
    """One era of one cluster, from an LSN on. Used by one thread at a time.

    end: up to where it is uploaded. complete_at: a time, in milliseconds since 1970, such that
    everything committed until then is in what is uploaded. newest: the last piece that was.
    """

    def __init__(self, volume: StorageVolume, vault: Vault, era: int, end: int, last: int) -> None:
        self._volume, self._vault, self._era = volume, vault, era
        self.end, self.complete_at = end, last
        self.newest: Piece | None = None
        self._newest: list[tuple[Piece, bytes]] = []
        """Those that may be joined with what comes, with their log."""
        self._cursor: LogCursor | None = None
        self._looks: deque[tuple[int, int]] = deque(maxlen=LOOKS_KEPT)

    def look(self) -> LogExtent | None:
        """Note how far the log is now. None while it cannot be uploaded."""
        at = _now_ms()
        extent = self._volume.log.extent()
        if extent is not None:
            self._looks.append((at, extent.received))
            if extent.received <= self.end:
                self.complete_at = max(self.complete_at, at)
        return extent

    def upload(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Upload what is durable now.

        stopped: asked between two pieces whether to leave the rest. Raises what `Vault` raises,
        and StorageError where the log cannot be read.
        """
        extent = self._settled(self.look())
        while extent is not None and self.end < extent.durable and not stopped():
            self._upload_piece(min(extent.durable, self.end + NEW_MOST_BYTES))

    def _settled(self, extent: LogExtent | None) -> LogExtent | None:
        """The extent once what had been received is durable: milliseconds later, as a rule."""
        if extent is None:
            return None
        received, until = extent.received, time.monotonic() + SETTLES_WITHIN_S
        while extent is not None and extent.durable < received and time.monotonic() < until:
            time.sleep(PAUSE_S)
            extent = self._volume.log.extent()
        return extent

    def _upload_piece(self, until: int) -> None:
        new = self._read(until)
        until = self.end + len(new)
        count = joined([piece.bytes for piece, _ in self._newest], len(new))
        before = self._newest[len(self._newest) - count :]
        wal = b"".join((*(content for _, content in before), new))
        start = before[0][0].start if before else self.end
        first = before[0][0].first if before else self.complete_at
        last = max((at for at, received in self._looks if received <= until), default=0)
        last = max(last, self.complete_at)
        piece = Piece(start, until, first, last)
        timelines = self._volume.metadata.timelines
        content = LogPiece(wal, timelines.current, timelines.ended).to_bytes()
        self._vault.write(piece_name(self._era, piece), content)
        self.end, self.complete_at, self.newest = until, last, piece
        del self._newest[len(self._newest) - count :]
        self._newest.append((piece, wal))
        while sum(piece.bytes for piece, _ in self._newest) > PIECE_BYTES:
            self._newest.pop(0)
        # Only now: the log is in the bucket at every moment.
        self._vault.delete([piece_name(self._era, each) for each, _ in before])

    def _read(self, until: int) -> bytes:
        kept, self._cursor = self._cursor, None
        if kept is not None and kept.lsn == self.end:
            try:
                return self._read_by(kept, until)
            except StorageError as error:
                # If the volume was opened again since that one began, as by a failover, a new one
                # reads what there is now.
                _log.debug("a cursor of the log ended", lsn=self.end, error=str(error))
        return self._read_by(self._volume.log.cursor(self.end), until)

    def _read_by(self, cursor: LogCursor, until: int) -> bytes:
        parts: list[bytes] = []
        left = until - self.end
        while left and (part := cursor.read(min(left, READ_BYTES))):
            parts.append(part)
            left -= len(part)
            time.sleep(PAUSE_S)
        self._cursor = cursor
        return b"".join(parts)


def _now_ms() -> int:
    return int(time.time() * 1000)
