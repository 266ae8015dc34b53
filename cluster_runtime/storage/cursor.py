"""Reading the log by LSN: from the ring while it is young, from the segments' files after that."""

from bisect import bisect_right
from collections.abc import Callable, Iterator

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.batch import (
    HEADER_BYTES,
    CorruptFrameError,
    EndOfLogError,
    decode,
    frame_bytes,
)
from cluster_runtime.storage.disk import PAGE_BYTES
from cluster_runtime.storage.node import BATCH_BYTES, StorageNode
from cluster_runtime.storage.segment_store import SegmentStore
from cluster_runtime.storage.types import Lsn

_READ_BYTES = 2 * BATCH_BYTES
"""More than the largest frame (a replication message more than a batch should hold)."""


class LogIndex:
    """Log positions of some LSNs: those at which log files begin."""

    def __init__(self, store: SegmentStore) -> None:
        self._lsns: list[int] = []
        self._positions: list[int] = []
        for file in store.log.files:
            mark = store.log.mark(file)
            if mark is not None and mark.position <= store.end:
                self.add(mark.lsn, mark.position)

    def add(self, lsn: int, position: int) -> None:
        if not self._lsns or lsn >= self._lsns[-1]:
            self._lsns.append(lsn)
            self._positions.append(position)

    @property
    def oldest(self) -> int:
        """The lowest LSN that it knows of."""
        return self._lsns[0]

    def forget_below(self, position: int) -> None:
        """Log below a position is gone."""
        first = bisect_right(self._positions, position - 1)
        self._lsns, self._positions = self._lsns[first:], self._positions[first:]

    def before(self, lsn: int) -> int:
        """A position from which the batch that holds an LSN can be found by going forward.

        Raises LookupError where the log no longer reaches that far back.
        """
        index = bisect_right(self._lsns, lsn) - 1
        if index < 0:
            raise LookupError(f"the log begins behind LSN {lsn:#x}")
        return self._positions[index]


class LogCursor:
    """Reads WAL from an LSN on, up to the volume durable LSN. Used by one thread."""

    def __init__(
        self,
        node: StorageNode,
        lsn: int,
        position: int,
        damaged: Callable[[SegmentStore], None],
    ) -> None:
        self._node = node
        self._damaged = damaged
        self._position = self._next = position
        self._content = b""
        self._content_at = position
        self.lsn = lsn

    def read(self, limit_bytes: int) -> bytes:
        """The next WAL bytes, `limit_bytes` at most; empty at the volume durable LSN."""
        parts: list[bytes] = []
        left = limit_bytes
        for start, wal in self._batches():
            skip = max(self.lsn - start, 0)
            part = bytes(wal[skip : skip + left])
            parts.append(part)
            self.lsn += len(part)
            left -= len(part)
            if skip + len(part) == len(wal):
                self._position = self._next
            if not left:
                break
        return b"".join(parts)

    def _batches(self) -> Iterator[tuple[int, memoryview]]:
        """Start LSN and WAL of each durable batch from the cursor's position on."""
        position = self._position
        while position < self._node.vdl_position:
            found = self._frame(position)
            if found is None:
                position += -position % PAGE_BYTES or PAGE_BYTES
                self._position = position
                continue
            start, end_lsn, wal = found
            self._next = position + frame_bytes(len(wal))
            if end_lsn <= self.lsn:
                self._position = self._next
            else:
                yield start, wal
            position = self._next

    def _frame(self, position: int) -> tuple[int, Lsn, memoryview] | None:
        """The frame at a position; None for zeros, behind which a page may begin another one."""
        for again in (False, True):
            at = position - self._content_at
            if again or not 0 <= at < len(self._content):
                self._content, self._content_at = self._load(position), position
                at = 0
            try:
                batch, wal = decode(None, memoryview(self._content), at)
            except EndOfLogError:
                if again or len(self._content) - at >= HEADER_BYTES:
                    return None
            except CorruptFrameError:
                # Perhaps only cut short by the end of what was read.
                continue
            else:
                return batch.start, batch.end, wal
        return self._from_any_segment(position)

    def _load(self, position: int) -> bytes:
        node = self._node
        with node.lock:
            if position >= node.staging.oldest:
                length = min(_READ_BYTES, node.staging.head - position)
                return node.staging.read(position, length)
        for lane in node.lanes:
            if lane.reachable and lane.store.end > position:
                try:
                    return lane.store.log.read(position, _READ_BYTES)
                except (LookupError, OSError):
                    continue
        raise LookupError(f"no segment that answers holds the log at position {position}")

    def _from_any_segment(self, position: int) -> tuple[int, Lsn, memoryview]:
        """The frame at a position from whichever segment has it unharmed."""
        for lane in self._node.lanes:
            if not lane.reachable or lane.store.end <= position:
                continue
            try:
                content = lane.store.log.read(position, _READ_BYTES)
                batch, wal = decode(lane.store.volume, memoryview(content))
            except (LookupError, OSError):
                continue
            except (CorruptFrameError, EndOfLogError):
                self._damaged(lane.store)
                continue
            self._content, self._content_at = content, position
            return batch.start, batch.end, wal
        raise StorageError(
            f"every segment that answers is damaged at log position {position}; heal others"
        )
