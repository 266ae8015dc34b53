"""One flush of the disk for the writes of all segments: I/O-Optimized storage.

It acknowledges from what is, then, the segments' durable incoming queue: one flush for a batch
instead of six synchronisations.
"""

import errno
import os
from collections.abc import Callable, Sequence

from cluster_runtime.storage.core.quorum import WRITE_QUORUM
from cluster_runtime.storage.disk.device import LogDevice
from cluster_runtime.storage.live.commit.lanes import Flight, IoCounts, Lane

STRAGGLER_S = 0.05
"""How long writes that missed a shared flush wait for the next one."""


class SharedFlushes:
    """Of one commit path, on its thread."""

    def __init__(
        self,
        device: LogDevice,
        lanes: Sequence[Lane],
        slot: int,
        counts: IoCounts,
        *,
        after: Callable[[float, Callable[[], None]], None],
        fail: Callable[[Lane, OSError], None],
        leave_behind: Callable[[Lane], None],
        land: Callable[[Lane], None],
    ) -> None:
        """slot: of the device, for flushes. land: told of a segment whose writes may be durable."""
        self._device, self._lanes, self._slot, self._counts = device, lanes, slot, counts
        self._after, self._fail = after, fail
        self._leave_behind, self._land = leave_behind, land
        self._shared: bool | None = None
        self._flushing: list[Flight] = []
        self._asked: Lane | None = None
        self._timer = self._stragglers_due = False

    def serve(self, fd: int) -> bool:
        """Whether a write to this file is made durable by a flush of the disk that all share."""
        if self._shared is None:
            others = []
            for lane in self._lanes:
                if lane.live:
                    try:
                        others.append(lane.store.log.writer(lane.store.log.files[-1]))
                    except OSError as error:
                        self._fail(lane, error)
            self._shared = self._device.direct and self._device.shares_a_disk([fd, *others])
        return self._shared

    def flush(self) -> None:
        """Flush the shared disk once a write quorum waits for that, or stragglers have long."""
        if self._flushing or not self._shared:
            return
        waiting = [each for lane in self._lanes for each in lane.flights if _waits(each)]
        if not waiting:
            return
        dirty = sum(any(_waits(each) for each in lane.flights) for lane in self._lanes)
        if dirty < WRITE_QUORUM and not self._stragglers_due:
            if not self._timer:
                self._timer = True
                self._after(STRAGGLER_S, self._end_patience)
            return
        self._stragglers_due = False
        for lane in self._lanes:
            if lane.live and any(_waits(each) for each in lane.flights):
                log = lane.store.log
                try:
                    fd = log.writer(log.file_at(lane.flights[-1].start))
                except (OSError, LookupError) as error:
                    self._fail(lane, OSError(errno.EIO, str(error)))
                    continue
                self._flushing, self._asked = waiting, lane
                self._device.flush(self._slot, fd)
                self._counts.syncs += 1
                return
        self._done(waiting)

    def flushed(self, result: int) -> None:
        """The shared disk has written out what was written before the flush began.

        Where it did not, that is the trouble of the segment through whose file it was asked. What
        the others wrote is not trusted to a flush after one that failed: they write it again.
        """
        flushing, self._flushing = self._flushing, []
        for lane in self._lanes:
            if result >= 0 or not lane.live:
                continue
            if lane is self._asked:
                self._fail(lane, OSError(-result, os.strerror(-result)))
            elif any(each is flight for flight in lane.flights for each in flushing):
                self._leave_behind(lane)
        self._done(flushing)

    def _done(self, flights: list[Flight]) -> None:
        """These writes are on the disk, or their segment is not live and they count for nothing."""
        for flight in flights:
            flight.done = True
        for lane in self._lanes:
            self._land(lane)

    def _end_patience(self) -> None:
        self._timer = False
        self._stragglers_due = True


def _waits(flight: Flight) -> bool:
    return flight.written and not flight.done
