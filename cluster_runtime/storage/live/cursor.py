"""Reading the log by LSN: from the ring while it is young, from the segments' files after that.

A frame counts when its checksum fits, its back-link names the end of what was read before it, and
no cut made it void. Other bytes may lie between two frames: zeros, where a batch begins with a new
page or file; and, from the end of an epoch's log to the end of that page, what an older writer had
put there. A segment in which no frame follows is damaged, and another one is read.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from contextlib import suppress

from cluster_runtime.errors import QuorumLostError, StorageError
from cluster_runtime.storage.core.batch import (
    HEADER_BYTES,
    Batch,
    CorruptFrameError,
    EndOfLogError,
    decode,
    frame_bytes,
)
from cluster_runtime.storage.core.segment import is_void
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.node import StorageNode


class LogIndex:
    """Log positions of some LSNs: those at which log files begin."""

    def __init__(self, store: SegmentStore) -> None:
        self._lsns: list[int] = []
        self._positions: list[int] = []
        for file in store.log.files:
            mark = store.log.mark(file)
            if mark is not None and mark.position <= store.end:
                self.add(mark.lsn, mark.position)

    @classmethod
    def of(cls, stores: Iterable[SegmentStore]) -> "LogIndex":
        """That of the segment whose log reaches furthest, of those whose disk can be read.

        Raises QuorumLostError where no disk can.
        """
        for store in sorted(stores, key=lambda each: each.end, reverse=True):
            with suppress(OSError):
                return cls(store)
        raise QuorumLostError("no segment's log can be read; heal segments and open it again")

    def add(self, lsn: int, position: int) -> None:
        """Note where in the log stream an LSN stands; one lower than the last is passed over."""
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
        return self.start_before(lsn)[0]

    def start_before(self, lsn: int) -> tuple[int, Lsn]:
        """The same, and the LSN at which the log from that position on begins."""
        index = bisect_right(self._lsns, lsn) - 1
        if index < 0:
            raise LookupError(f"the log begins behind LSN {lsn:#x}")
        return self._positions[index], Lsn(self._lsns[index])


class LogCursor:
    """Reads WAL from an LSN on, up to the volume durable LSN. Used by one thread."""

    def __init__(
        self,
        node: StorageNode,
        lsn: int,
        start: tuple[int, Lsn],
        damaged: Callable[[SegmentStore], None],
    ) -> None:
        """start: a position at or before `lsn`, and the LSN that the log has there."""
        self._node = node
        self._damaged = damaged
        self._volume = node.lanes[0].store.volume
        # More than the largest frame (a replication message more than a batch should hold).
        self._read_bytes = 2 * node.sizes.batch
        self._position, self._tail = start
        self._content = b""
        self._content_at = self._position
        self._batch: Batch | None = None
        self._wal = memoryview(b"")
        self.lsn = lsn

    def read(self, limit_bytes: int) -> bytes:
        """The next WAL bytes, `limit_bytes` at most; empty at the volume durable LSN.

        Raises StorageError where no segment that answers has the log that follows, and once the
        volume was opened again: what a cursor of the old one holds for durable stands still.
        """
        if self._node.ended:
            raise StorageError("the volume was opened again, or closed, since this reader began")
        parts: list[bytes] = []
        left = limit_bytes
        while left:
            if self._batch is None or self.lsn >= self._batch.end:
                if self._tail >= self._node.volume.vdl:
                    break
                self._advance()
                continue
            skip = self.lsn - self._batch.start
            part = bytes(self._wal[skip : skip + left])
            parts.append(part)
            self.lsn += len(part)
            left -= len(part)
        return b"".join(parts)

    def _advance(self) -> None:
        """Go on to the batch that follows the last one."""
        found = self._search(self._load)
        if found is None:
            found = self._search_segments()
        position, self._batch, self._wal = found
        self._position = position + frame_bytes(len(self._wal))
        self._tail = self._batch.end

    def _search(self, load: Callable[[int], bytes]) -> tuple[int, Batch, memoryview] | None:
        """The frame that continues the log, at the cursor's position or a page's start behind it.

        load: reads the log from a position on.
        """
        at, last = self._position, self._position + self._read_bytes
        fresh = False
        while at < last:
            inside = at - self._content_at
            if fresh or not 0 <= inside < len(self._content):
                self._content, self._content_at, inside = load(at), at, 0
            try:
                batch, wal = decode(self._volume, memoryview(self._content), inside)
            except EndOfLogError:
                passed = inside + HEADER_BYTES <= len(self._content)
            except CorruptFrameError:
                passed = False
            else:
                passed = is_void(batch, self._node.volume.history)
                if not passed:
                    return (at, batch, wal) if batch.previous == self._tail else None
            if passed or self._content_at == at:
                at += -at % PAGE_BYTES or PAGE_BYTES
                fresh = False
            else:
                # Perhaps only cut short by the end of what was read.
                fresh = True
        return None

    def _search_segments(self) -> tuple[int, Batch, memoryview]:
        """The same from whichever segment has it unharmed; damaged ones are reported."""
        damaged: list[SegmentStore] = []
        for lane in self._node.lanes:
            store = lane.store
            if not lane.reachable or store.end <= self._position:
                continue
            self._content = b""
            try:
                found = self._search(lambda at, store=store: self._load(at, store))  # type: ignore[misc]
            except (LookupError, OSError):
                continue
            if found is not None:
                for each in damaged:
                    self._damaged(each)
                return found
            damaged.append(store)
        self._content = b""
        raise StorageError(
            f"every segment that answers is damaged at log position {self._position}, or no longer "
            "holds it; heal others"
        )

    def _load(self, position: int, wanted: SegmentStore | None = None) -> bytes:
        """Log from a position on: from the ring, else from one segment, or the first that can."""
        node = self._node
        with node.head.lock:
            if position >= node.staging.oldest:
                length = min(self._read_bytes, node.staging.head - position)
                return node.staging.read(position, length) if length > 0 else b""
        if wanted is not None:
            return wanted.log.read(position, self._read_bytes)
        for lane in node.lanes:
            if lane.reachable and lane.store.end > position:
                try:
                    return lane.store.log.read(position, self._read_bytes)
                except (LookupError, OSError):
                    continue
        return b""
