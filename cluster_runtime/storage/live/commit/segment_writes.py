"""The durable writes of the segments: from the ring to each one's log, several under way at once.

A segment that has none under way, or whose last one has ended, gets all that has come since in one
write. What a write makes of a segment is told to whoever decides; nothing is decided here.
"""

import errno
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.durability import Volume
from cluster_runtime.storage.core.faults import Fault, FaultKind
from cluster_runtime.storage.core.segment import Refuse
from cluster_runtime.storage.core.types import Epoch, Lsn, StorageType
from cluster_runtime.storage.disk.device import PAGE_BYTES, LogDevice
from cluster_runtime.storage.disk.ring import Staging
from cluster_runtime.storage.live.commit.lanes import DEPTH, Flight, IoCounts, Lane
from cluster_runtime.storage.live.commit.shared_flushes import SharedFlushes

ASK_AGAIN_S = 1.0
"""When a log file that should be there by then is asked for once more."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What is told of a segment, and asked for it, at once and on the commit path's thread.

    synced: it has the log up to an LSN, written by a writer of that epoch, on disk. failed: its
    disk refused. missed: it lacks log that the ring does not have any more, or that a fault took.
    refused: it has promised a newer epoch. prepare: have the log file that starts at a position
    made. after: have something done in some seconds.
    """

    synced: Callable[[Lane, Lsn, Epoch], None]
    failed: Callable[[Lane, OSError], None]
    missed: Callable[[Lane], None]
    refused: Callable[[Lane], None]
    prepare: Callable[[int], None]
    after: Callable[[float, Callable[[], None]], None]


class SegmentWrites:
    """Of one commit path, on its thread."""

    def __init__(
        self,
        device: LogDevice,
        lanes: Sequence[Lane],
        flush_slot: int,
        staging: Staging,
        volume: Volume,
        *,
        storage_type: StorageType,
        write_bytes: int,
        counts: IoCounts,
        outcomes: Outcomes,
    ) -> None:
        """flush_slot: of the device, for flushes. write_bytes: what one write has at most."""
        self.storage_type = storage_type
        self._device, self._lanes, self._flush_slot = device, lanes, flush_slot
        self._staging, self._volume = staging, volume
        self._write_bytes, self._counts = write_bytes, counts
        self._outcomes = outcomes
        self._flushes = SharedFlushes(
            device,
            lanes,
            flush_slot,
            counts,
            after=outcomes.after,
            fail=outcomes.failed,
            leave_behind=outcomes.missed,
            land=self._land,
        )
        self._asked_again = False
        self._told = Batch(volume.epoch, volume.vdl, volume.vdl, volume.vdl)
        self._random = random.Random(volume.epoch)

    def start(self, lane: Lane) -> None:
        """Start a durable write of what a segment has not got yet, where it may have one more."""
        if not lane.free or (lane.flights and not lane.flights[-1].written):
            return
        staging = self._staging
        if lane.issued < staging.oldest:
            self._outcomes.missed(lane)
            return
        start = staging.start_after(lane.issued)
        if start is None:
            return
        if lane.fault is not None and self._loses(lane, lane.fault):
            return
        try:
            file = lane.store.log.file_at(start)
            fd = lane.store.log.writer(file)
        except LookupError:
            self._ask_again(start)
            return
        except OSError as error:
            self._outcomes.failed(lane, error)
            return
        run = staging.run(lane.issued, min(file.end, start + self._write_bytes))
        if run is None:
            return
        _, end, lsn = run
        core, epoch = lane.store.core, self._volume.epoch
        actions = core.receive(self._batch(epoch, core.tail, lsn), epoch)
        if actions and isinstance(actions[0], Refuse):
            self._outcomes.refused(lane)
            return
        page = start - start % PAGE_BYTES
        slot = lane.free.pop()
        vectors = staging.vectors(slot, start, end)
        length = end - page + -end % PAGE_BYTES
        durable = self.storage_type == "aurora" or not self._flushes.serve(fd)
        self._device.start(slot, fd, vectors, file.offset(page), durable=durable)
        lane.flights.append(Flight(slot, page, end, lsn, epoch, length, durable))
        lane.issued = end
        self._counts.segment_writes += 1
        self._counts.segment_bytes += length
        self._counts.syncs += durable

    def submit(self) -> None:
        """Have the disks begin with what was started, and flush the one that all share."""
        self._flushes.flush()
        self._device.submit()

    def take_ended(self) -> None:
        """Take what the device has done since the last time."""
        for slot, result in self._device.completed():
            if slot == self._flush_slot:
                self._flushes.flushed(result)
            else:
                self._ended(self._lanes[slot // DEPTH], slot, result)

    def _ask_again(self, position: int) -> None:
        """The file for a position is not there (yet): have it made, should that have failed."""
        if not self._asked_again:
            self._asked_again = True

            def ask() -> None:
                self._asked_again = False
                if any(each.live and each.store.log.end <= position for each in self._lanes):
                    self._outcomes.prepare(position)

            self._outcomes.after(ASK_AGAIN_S, ask)

    def _batch(self, epoch: Epoch, after: Lsn, end: Lsn) -> Batch:
        """What a segment is told of a write: most of them are told the same."""
        batch = self._told
        if batch.end != end or batch.previous != after or batch.epoch != epoch:
            batch = self._told = Batch(epoch, after, after, end)
        return batch

    def _loses(self, lane: Lane, fault: Fault) -> bool:
        """Whether a fault swallows this delivery."""
        if fault.kind is FaultKind.DISK_FULL:
            self._outcomes.failed(lane, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return True
        if fault.kind is FaultKind.DROP and self._random.uniform(0, 100) < fault.amount:
            self._outcomes.missed(lane)
            return True
        return False

    def _ended(self, lane: Lane, slot: int, result: int) -> None:
        """A write has ended; a slow segment is told of it later."""
        fault = lane.fault
        if fault is not None and fault.kind is FaultKind.SLOW:
            self._outcomes.after(fault.amount / 1000, lambda: self._take_end(lane, slot, result))
        else:
            self._take_end(lane, slot, result)

    def _take_end(self, lane: Lane, slot: int, result: int) -> None:
        for flight in lane.flights:
            if flight.slot == slot:
                break
        else:
            raise AssertionError(f"slot {slot} has no write under way")
        flight.written = True
        flight.done = flight.durable
        if result != flight.length:
            code = -result if result < 0 else errno.EIO
            flight.done = True
            self._outcomes.failed(lane, OSError(code, os.strerror(code)))
        elif flight.start < self._staging.oldest and lane.live:
            # The ring went on over the pages while the disk read them: it may have written others.
            self._outcomes.missed(lane)
        self._land(lane)

    def _land(self, lane: Lane) -> None:
        """Count what a segment holds now without a gap."""
        while lane.flights and lane.flights[0].done:
            flight = lane.flights.popleft()
            lane.free.append(flight.slot)
            if lane.live:
                lane.store.end = flight.end
                self._outcomes.synced(lane, flight.lsn, flight.epoch)
