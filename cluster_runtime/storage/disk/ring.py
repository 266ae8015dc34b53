"""The newest stretch of the log stream in memory, and where its batches end.

A ring over the start of an arena: position p lies at p modulo its size. Every durable write takes
its pages from here, so that six segments share one copy of the bytes. The disk reads while the
stream goes on in the ring: the last, unfinished page of a write goes through a page of the slot's
own, and so does the first where it begins with bytes of the write before. Of a write that the ring
overtakes, those stay what they were; the rest counts for nothing, and is repaired from peers, as a
segment is that is behind by more than the ring.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from cluster_runtime.storage.core.batch import ALIGNMENT_BYTES, Buffer
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.device import PAGE_BYTES, Arena, Vector

_TRIM_AT = 4096


class Staging:
    """The ring, two pages for each slot behind it, and an index of the batches it still holds."""

    def __init__(self, slots: int, position: int, ring_bytes: int) -> None:
        self._bytes = ring_bytes
        self.arena = Arena(ring_bytes + 2 * slots * PAGE_BYTES)
        self._slots = slots
        self._ring = self.arena.view[: self._bytes]
        self.head = position
        self._first = position
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._lsns: list[Lsn] = []

    @property
    def oldest(self) -> int:
        """The lowest position whose page is still whole in the ring."""
        kept = self.head - self._bytes + PAGE_BYTES
        return max(self._first, kept + -kept % PAGE_BYTES)

    def restart(self, position: int) -> None:
        """Go on at another position, a page's start, with nothing before it."""
        self._starts, self._ends, self._lsns = [], [], []
        self.head = self._first = position

    def append(self, parts: Iterable[Buffer], end_lsn: Lsn) -> None:
        """Copy a frame to the head, padded as frames are; `end_lsn` is where its batch ends."""
        start = self.head
        for part in parts:
            self._put(part)
        padding = -self.head % ALIGNMENT_BYTES
        if padding:
            self._put(bytes(padding))
        self._starts.append(start)
        self._ends.append(self.head)
        self._lsns.append(end_lsn)
        if len(self._ends) > _TRIM_AT and self._ends[_TRIM_AT // 2] < self.oldest:
            for index in (self._starts, self._ends, self._lsns):
                del index[: _TRIM_AT // 2]

    def run(self, position: int, limit: int) -> tuple[int, int, Lsn] | None:
        """The frames after `position`: where they start, where they end, the end LSN of the last.

        They end at `limit` at most. None where the next frame is not there, or reaches past it.
        """
        first = bisect_right(self._ends, position)
        last = bisect_right(self._ends, limit) - 1
        if last < first:
            return None
        return self._starts[first], self._ends[last], self._lsns[last]

    def end_of(self, lsn: Lsn) -> int | None:
        """Where the batch that ends at an LSN ends; None where that is not in the ring any more."""
        index = bisect_left(self._lsns, lsn)
        found = index < len(self._lsns) and self._lsns[index] == lsn
        return self._ends[index] if found else None

    def start_after(self, position: int) -> int | None:
        """Where the first frame behind a position starts; None where there is none yet."""
        index = bisect_right(self._ends, position)
        return self._starts[index] if index < len(self._starts) else None

    def skip_to(self, position: int) -> None:
        """Fill with zeros up to a position (the end of a log file)."""
        while self.head < position:
            self._put(bytes(min(position - self.head, 1 << 16)))

    def vectors(self, slot: int, start: int, end: int) -> list[Vector]:
        """The arena's parts that hold the pages from the one with `start` to `end`."""
        tail = self._bytes + slot * PAGE_BYTES
        first = tail + self._slots * PAGE_BYTES
        whole = end - end % PAGE_BYTES
        parts: list[Vector] = []
        position = start - start % PAGE_BYTES
        if position < start and position < whole:
            self._keep(first, position, PAGE_BYTES)
            parts.append((first, PAGE_BYTES))
            position += PAGE_BYTES
        while position < whole:
            at = position % self._bytes
            length = min(whole - position, self._bytes - at)
            parts.append((at, length))
            position += length
        if end > whole:
            used = end - whole
            self._keep(tail, whole, used)
            self.arena.view[tail + used : tail + PAGE_BYTES] = bytes(PAGE_BYTES - used)
            parts.append((tail, PAGE_BYTES))
        return parts

    def _keep(self, own: int, position: int, length: int) -> None:
        """Copy bytes of one page from the ring to a slot's own page."""
        at, view = position % self._bytes, self.arena.view
        view[own : own + length] = view[at : at + length]

    def read(self, position: int, length: int) -> bytes:
        """Bytes of the ring. The caller holds the volume's lock and asked `oldest` before."""
        at = position % self._bytes
        first = bytes(self._ring[at : at + length])
        return first + bytes(self._ring[: length - len(first)])

    def _put(self, content: Buffer) -> None:
        at, length = self.head % self._bytes, len(content)
        first = min(length, self._bytes - at)
        self._ring[at : at + first] = content[:first]
        if first < length:
            self._ring[: length - first] = content[first:]
        self.head += length
