"""Where the log grows: WAL becomes frames in the ring, and LSNs become positions in the log.

A frame never crosses the end of a log file: what is left of the file is filled with zeros, and the
next one has a mark that says what it begins with. Which log is complete and which is durable is
decided elsewhere (`core.durability`); here is where that log ends.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

from cluster_runtime.storage.core.batch import Batch, encode_header, frame_bytes
from cluster_runtime.storage.core.sizes import Sizes
from cluster_runtime.storage.core.types import Epoch, Lsn
from cluster_runtime.storage.core.wal_records import last_record_end
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.ring import Staging
from cluster_runtime.storage.live.commit.lanes import IoCounts
from cluster_runtime.storage.streaming.replication import WalMessage


class LogHead:
    """Of one commit path. Its thread changes it; others read the ring and the marks under `lock`.

    end_lsn: of the log so far. staged, complete: positions up to which log is in the ring, and on
    the disks of a write quorum. marks: of the files that have begun, oldest first, until somebody
    writes them.
    """

    def __init__(
        self,
        volume: UUID,
        staging: Staging,
        lsn: Lsn,
        *,
        sizes: Sizes,
        wal_segment_bytes: int,
        counts: IoCounts,
        prepare: Callable[[int], None],
        clock: Callable[[], float],
    ) -> None:
        """prepare: have the log file made that starts at a position; must return at once."""
        self.lock = threading.Lock()
        self.staging = staging
        self.end_lsn = lsn
        self.staged = self.complete = staging.head
        self.marks: deque[Mark] = deque()
        self._volume, self._sizes, self._counts = volume, sizes, counts
        self._begun = lsn, staging.head
        self._wal_segment_bytes = wal_segment_bytes
        self._prepare, self._clock = prepare, clock
        self._ends: deque[tuple[Lsn, int]] = deque()
        self._points: deque[tuple[Lsn, float]] = deque()
        self._file_bytes = sizes.first_file
        self._file_end = self._prepared_to = staging.head + sizes.first_file
        self._watchers: tuple[int, ...] = ()

    def cut(self, messages: list[WalMessage]) -> tuple[bool, WalMessage | None]:
        """Take the start of a record whose rest is yet to come off what has come: it goes with it.

        Returns whether what is left ends with a record, and what was taken off.
        """
        last = messages[-1]
        boundary = last_record_end(last.start, last.wal, self._wal_segment_bytes)
        if boundary is None or boundary >= last.end:
            return boundary is not None, None
        kept = boundary - last.start
        messages[-1] = WalMessage(last.start, last.wal[:kept])
        return True, WalMessage(boundary, last.wal[kept:])

    def append(
        self, messages: Sequence[WalMessage], epoch: Epoch, timeline: int, *, consistent: bool
    ) -> None:
        """Make a batch of WAL that begins at `end_lsn`, and put its frame into the ring.

        consistent: whether it ends with a record.
        """
        start, end = messages[0].start, Lsn(messages[-1].end)
        batch = Batch(epoch, self.end_lsn, Lsn(start), end, timeline, consistent)
        payload = [message.wal for message in messages]
        header = encode_header(self._volume, batch, payload)
        size = frame_bytes(end - start)
        staging = self.staging
        with self.lock:
            if staging.head + size > self._file_end:
                staging.skip_to(self._file_end)
                self._file_bytes = self._sizes.file
                self._file_end += self._sizes.file
                self.marks.append(Mark(staging.head, self.end_lsn, self.end_lsn, epoch, timeline))
            staging.append((header, *payload), end)
        self.staged = staging.head
        self._ends.append((end, staging.head))
        if consistent:
            self._points.append((end, self._clock()))
        self.end_lsn = end
        counts = self._counts
        counts.batches += 1
        counts.wal_bytes += end - start
        counts.write_ios += -(-size // PAGE_BYTES)
        half_full = staging.head > self._file_end - self._file_bytes // 2
        if half_full and self._prepared_to == self._file_end:
            self._prepare(self._file_end)
            self._prepared_to += self._sizes.file

    def reached(self, vcl: Lsn, vdl: Lsn) -> bool:
        """Note how far the log is complete and durable now; whether the latter moved.

        Who watches is told.
        """
        while self._ends and self._ends[0][0] <= vcl:
            self.complete = self._ends.popleft()[1]
        points = self._points
        if not points or points[0][0] > vdl:
            return False
        now, counts = self._clock(), self._counts
        while points and points[0][0] <= vdl:
            _, came = points.popleft()
            counts.durable_batches += 1
            counts.durable_seconds += now - came
        with self.lock:
            # Under the lock: who stops to watch may close its descriptor at once.
            for fd in self._watchers:
                with suppress(BlockingIOError, BrokenPipeError):
                    os.write(fd, b"x")
        return True

    def position_of(self, lsn: Lsn) -> int | None:
        """Where the log up to an LSN ends, a batch's end; None where the ring has it no more."""
        begun, position = self._begun
        return position if lsn == begun else self.staging.end_of(lsn)

    def watch(self, fd: int) -> None:
        """Write to `fd` (non-blocking) whenever the VDL moves. On any thread."""
        with self.lock:
            self._watchers = (*self._watchers, fd)

    def unwatch(self, fd: int) -> None:
        """Tell a file descriptor no more that the log has grown. On any thread."""
        with self.lock:
            self._watchers = tuple(each for each in self._watchers if each != fd)
