"""The frames in the log files of one segment, as far as they are whole and form one chain."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from cluster_runtime.storage.core.batch import (
    Batch,
    CorruptFrameError,
    EndOfLogError,
    decode,
    frame_bytes,
)
from cluster_runtime.storage.core.segment import Segment, is_void
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.log_files import SegmentLog


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame in the log: its position, its batch, its WAL bytes; `raw`: as it lies in the file."""

    position: int
    batch: Batch
    wal: memoryview
    raw: memoryview

    @property
    def end(self) -> int:
        """The log position behind it."""
        return self.position + frame_bytes(len(self.wal))


class LogFrames:
    """Reads them. On any thread: what is written meanwhile is found or not."""

    def __init__(self, volume: UUID, log: SegmentLog, core: Segment) -> None:
        """volume: whose frames they are. core: its history says which frames are void."""
        self._volume, self._log, self._core = volume, log, core

    def read(
        self, position: int, *, previous: Lsn | None = None, end: int | None = None
    ) -> Iterator[Frame]:
        """The frames from a position on, as far as they are whole and form one chain.

        previous: the back-link that the first one must have; None takes any. end: frames from this
        position on are left out.
        """
        for file in self._log.files:
            if file.end <= position:
                continue
            at = max(position, file.start)
            content = memoryview(self._log.read(at, file.end - at))
            for frame in self._frames_of(content, at, previous):
                if end is not None and frame.position >= end:
                    return
                yield frame
                previous = frame.batch.end
                position = frame.end

    def follow(
        self, position: int, tail: Lsn, consistent: Lsn | None
    ) -> tuple[int, Lsn, Lsn | None]:
        """Where the log from a position on ends: position, LSN, and where a record ends last.

        consistent: where one is known to end before that.
        """
        for frame in self.read(position, previous=tail):
            position, tail = frame.end, frame.batch.end
            consistent = tail if frame.batch.consistent else consistent
        return position, tail, consistent

    def position_of(self, lsn: Lsn) -> int:
        """Where the batch that ends at an LSN ends. Raises LookupError where there is none."""
        for file in reversed(self._log.files):
            mark = self._log.mark(file)
            if mark is None or mark.lsn > lsn:
                continue
            if mark.lsn == lsn:
                return file.start
            for frame in self.read(file.start, previous=Lsn(mark.lsn)):
                if frame.batch.end == lsn:
                    return frame.end
            break
        raise LookupError(f"segment {self._core.id} has no batch that ends at {lsn:#x}")

    def _frames_of(self, content: memoryview, start: int, previous: Lsn | None) -> Iterator[Frame]:
        at = 0
        while at < len(content):
            try:
                batch, wal = decode(self._volume, content, at)
            except EndOfLogError:
                # Zeros: the next frame may start with the next page, as it does after a batch
                # of I/O-Optimized storage.
                page = at + -(start + at) % PAGE_BYTES
                if page == at or page >= len(content):
                    return
                at = page
                continue
            except CorruptFrameError:
                return
            if (previous is not None and batch.previous != previous) or is_void(
                batch, self._core.history
            ):
                return
            end = at + frame_bytes(len(wal))
            yield Frame(start + at, batch, wal, content[at:end])
            previous, at = batch.end, end
