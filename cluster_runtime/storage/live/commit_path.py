"""The commit path: WAL in, frames into the ring, durable writes out, acknowledgements back.

Makes a batch of what has come, starts a durable write of it to each segment that has none under
way, and acknowledges to the writer when a write quorum has it. While writes are under way, WAL
gathers: the next write takes all of it, so that commits share disk synchronisations without waiting
for each other.

Nothing here waits or runs by itself: `turn` is called when something happened. What is decided is
decided by `Volume` and `Segment`; this module moves bytes.
"""

import errno
import heapq
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from cluster_runtime.errors import StaleEpochError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.batch import Batch, encode_header, frame_bytes
from cluster_runtime.storage.core.durability import Volume
from cluster_runtime.storage.core.faults import Fault, FaultKind
from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.segment import Acknowledge, Refuse
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId, StorageType
from cluster_runtime.storage.core.wal_records import last_record_end
from cluster_runtime.storage.disk.device import (
    PAGE_BYTES,
    Arena,
    LogDevice,
    open_device,
)
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.ring import Staging
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.intake import Intake
from cluster_runtime.storage.live.lanes import DEPTH, Flight, IoCounts, Lane
from cluster_runtime.storage.live.shared_flushes import SharedFlushes
from cluster_runtime.storage.live.writer_link import Attachment, WriterLink
from cluster_runtime.storage.streaming.replication import ReplicationClient, WalMessage

ASK_AGAIN_S = 1.0
"""When a log file that should be there by then is asked for once more."""

_log = get_logger(__name__)


class CommitPath:
    """One open volume's. One thread calls it; reading its attributes is free to all."""

    def __init__(
        self,
        volume: Volume,
        stores: list[SegmentStore],
        *,
        position: int,
        wal_segment_bytes: int,
        storage_type: StorageType,
        counts: IoCounts,
        prepare: Callable[[int], None],
        fell_behind: Callable[[SegmentId], None],
        writer_lost: Callable[[Attachment, StorageError], None],
        open_device: Callable[[Arena, int], LogDevice] = open_device,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """position: where the log of this epoch begins. writer_lost: told which one, and why.

        prepare, fell_behind: asked to make the log file that starts at a position, and to have a
        segment catch up; both must return at once.
        """
        self.volume = volume
        self.counts = counts
        self.clock = clock
        self.sizes = sizes = stores[0].log.disk.sizes
        slots = max(len(stores), len(SEGMENT_IDS)) * DEPTH  # members that were away may join
        self.staging = Staging(slots, position, sizes.ring)
        self.lanes = [self._lane(store, index, position) for index, store in enumerate(stores)]
        self.lock = threading.Lock()
        self.vdl_position = position
        self.end_lsn = volume.vdl
        self.marks: deque[Mark] = deque()
        self.storage_type: StorageType = storage_type
        self._flush_slot = slots
        self._device = open_device(self.staging.arena, self._flush_slot + 1)
        self._flushes = SharedFlushes(
            self._device,
            self.lanes,
            slots,
            counts,
            after=self._after,
            fail=self.fail,
            leave_behind=self._leave_behind,
            land=self._land,
        )
        self.intake = Intake(self.lanes, sizes, clock, self._after)
        self._asked_again = False
        self._staged = self._vcl_position = position
        self._ends: deque[tuple[Lsn, int]] = deque()
        self._points: deque[tuple[Lsn, int]] = deque()
        self._file_bytes = sizes.first_file
        self._file_end = position + sizes.first_file
        self._prepared_to = self._file_end
        self._wal_segment_bytes = wal_segment_bytes
        self._prepare, self._fell_behind = prepare, fell_behind
        self._told = Batch(volume.epoch, volume.vdl, volume.vdl, volume.vdl)
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_number = 0
        self._watchers: tuple[int, ...] = ()
        self._random = random.Random(volume.epoch)
        self._writer = WriterLink(self._after, self._ignore_writer, writer_lost)

    @property
    def attachment(self) -> Attachment | None:
        """Of the writer that follows now."""
        return self._writer.attachment

    def attach(self, client: ReplicationClient, attachment: Attachment) -> None:
        """Take WAL from a client that has started to stream at `end_lsn`."""
        if self.volume.fenced_by is not None:
            raise self._stale()
        self._writer.attach(client, attachment, self.volume.vdl)

    def detach(self, attachment: Attachment | None = None) -> None:
        """Let the writer go, or a certain one if it is that; its commits wait from now on."""
        if attachment is None or attachment is self._writer.attachment:
            self._writer.detach()

    def relay(self, feedback: Feedback) -> None:
        """Tell the writer what its readers need."""
        self._writer.relay(feedback)

    def join(self, store: SegmentStore) -> Lane:
        """Take in a member that was away when the volume was opened; it has to catch up first."""
        lane = self._lane(store, len(self.lanes), store.end)
        lane.live = False
        self.lanes.append(lane)
        return lane

    def set_fault(self, lane: Lane, fault: Fault | None) -> None:
        """Give a segment a fault, or take the one it has."""
        lane.fault = fault
        if fault is None or not fault.unreachable:
            lane.unreachable_since = None
            if not lane.live:
                self._fell_behind(lane.store.id)
        else:
            lane.live = False
            lane.unreachable_since = self.clock()

    def set_storage_type(self, storage_type: StorageType) -> None:
        """Switch how writes become durable, from the next batch on."""
        self.storage_type = storage_type

    def lost(self, lane: Lane, end: int, lsn: Lsn, consistent: Lsn) -> None:
        """A segment's log is damaged behind `end`: what follows comes from its peers."""
        if lane.live:
            lane.live, lane.damaged = False, True
            lane.store.core.corrupted(lsn, consistent)
            lane.store.damaged_behind(end)
            self.volume.lost(lane.store.id, lsn)
            self._fell_behind(lane.store.id)

    def set_writer_fault(self, fault: Fault | None) -> None:
        """Break or heal the connection to the writer."""
        self._writer.fault = fault

    def caught_up(self, lane: Lane, end: int, lsn: Lsn) -> bool:
        """A segment got the log up to `end` from its peers, on disk; returns whether it is live.

        Where it is still behind the ring, it has to go on.
        """
        if not lane.reachable:
            return False
        core = lane.store.core
        if lsn > core.tail:
            batch = Batch(core.epoch, core.tail, core.tail, lsn)
            core.receive_gossip([batch], core.history)
            self._synced(lane, lsn, core.epoch)
        if lsn == self.end_lsn:
            # Nothing follows yet; what will, begins here.
            end = self.staging.head
        lane.issued = lane.store.end = end
        lane.live = end >= self.staging.oldest
        if lane.live:
            lane.problem = ""
            lane.unreachable_since = None
        self._advance()
        return lane.live

    def begin_catching_up(self, lane: Lane) -> tuple[int, Lsn] | None:
        """Position and LSN that a segment which is not live goes on from.

        None while it cannot: writes are under way, or its fault keeps it from its peers.
        """
        full = lane.fault is not None and lane.fault.kind is FaultKind.DISK_FULL
        if lane.live or lane.flights or not lane.reachable or full or self.volume.fenced_by:
            return None
        core = lane.store.core
        core.restart(core.scl, core.consistent)
        return lane.store.end, core.scl

    # turns ------------------------------------------------------------------------------------

    def turn(self, arrived: ReplicationClient | None) -> None:
        """Do what there is to do. arrived: the writer's connection, where WAL waits in it."""
        for slot, result in self._device.completed():
            self._ended(slot, result)
        self._do_what_was_asked()
        self._fire_timers()
        if arrived is not None:
            messages = self._writer.receive(arrived, self.sizes.batch)
            if messages:
                self._append(messages, self._writer)
        for lane in self.lanes:
            if lane.live and lane.issued < self._staged:
                self._write(lane)
        self._flushes.flush()
        self._device.submit()
        self._advance()

    @property
    def source(self) -> ReplicationClient | None:
        """The client that WAL may be taken from now, unless a fault or slow segments forbid it."""
        may_take = self.intake.may_take(self.staging.head, self._vcl_position)
        return self._writer.source if may_take else None

    def _do_what_was_asked(self) -> None:
        """What came from other threads, where there are any."""

    def _ignore_writer(self) -> None:
        """Listen to the writer's connection no more, where anybody does."""

    def _append(self, messages: list[WalMessage], writer: WriterLink) -> None:
        """Make a batch of WAL and put its frame into the ring."""
        assert writer.attachment is not None, "WAL comes from somebody"
        timeline = writer.attachment.timeline
        first, last = messages[0], messages[-1]
        if first.start != self.end_lsn:
            writer.lose(
                StorageError(f"the writer sent WAL from {first.start:#x} after {self.end_lsn:#x}")
            )
            return
        end = Lsn(last.end)
        boundary = last_record_end(last.start, last.wal, self._wal_segment_bytes)
        consistent = boundary is not None
        if boundary is not None and boundary < end:
            # The start of a record whose rest is yet to come: it goes with its rest.
            kept = boundary - last.start
            writer.held = WalMessage(boundary, last.wal[kept:])
            messages[-1] = WalMessage(last.start, last.wal[:kept])
            end = Lsn(boundary)
            if end == first.start:
                return
        epoch = self.volume.epoch
        batch = Batch(epoch, self.end_lsn, Lsn(first.start), end, timeline, consistent)
        payload = [message.wal for message in messages]
        header = encode_header(self.lanes[0].store.volume, batch, payload)
        size = frame_bytes(end - first.start)
        staging = self.staging
        with self.lock:
            if staging.head + size > self._file_end:
                staging.skip_to(self._file_end)
                self._file_bytes = self.sizes.file
                self._file_end += self.sizes.file
                self.marks.append(Mark(staging.head, self.end_lsn, self.end_lsn, epoch, timeline))
            staging.append((header, *payload), end)
        self.volume.appended(end, consistent)
        self._staged = staging.head
        self._ends.append((end, staging.head))
        if consistent:
            self._points.append((end, staging.head))
        self.end_lsn = end
        self.counts.batches += 1
        self.counts.wal_bytes += end - first.start
        self.intake.took(end - first.start)
        self.counts.write_ios += -(-size // PAGE_BYTES)
        half_full = staging.head > self._file_end - self._file_bytes // 2
        if half_full and self._prepared_to == self._file_end:
            self._prepare(self._file_end)
            self._prepared_to += self.sizes.file

    def _write(self, lane: Lane) -> None:
        """Start a durable write of what a segment has not got yet, where it may have one more."""
        if not lane.free or (lane.flights and not lane.flights[-1].written):
            return
        staging = self.staging
        if lane.issued < staging.oldest:
            self._leave_behind(lane)
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
            self.fail(lane, error)
            return
        run = staging.run(lane.issued, min(file.end, start + self.sizes.write))
        if run is None:
            return
        _, end, lsn = run
        core, epoch = lane.store.core, self.volume.epoch
        actions = core.receive(self._batch(epoch, core.tail, lsn), epoch)
        if actions and isinstance(actions[0], Refuse):
            self._refused(lane)
            return
        page = start - start % PAGE_BYTES
        slot = lane.free.pop()
        vectors = staging.vectors(slot, start, end)
        length = end - page + -end % PAGE_BYTES
        durable = self.storage_type == "aurora" or not self._flushes.serve(fd)
        self._device.start(slot, fd, vectors, file.offset(page), durable=durable)
        lane.flights.append(Flight(slot, page, end, lsn, epoch, length, durable))
        lane.issued = end
        self.counts.segment_writes += 1
        self.counts.segment_bytes += length
        self.counts.syncs += durable

    def _ask_again(self, position: int) -> None:
        """The file for a position is not there (yet): have it made, should that have failed."""
        if not self._asked_again:
            self._asked_again = True

            def ask() -> None:
                self._asked_again = False
                if any(each.live and each.store.log.end <= position for each in self.lanes):
                    self._prepare(position)

            self._after(ASK_AGAIN_S, ask)

    def _batch(self, epoch: Epoch, after: Lsn, end: Lsn) -> Batch:
        """What a segment is told of a write: most of them are told the same."""
        batch = self._told
        if batch.end != end or batch.previous != after or batch.epoch != epoch:
            batch = self._told = Batch(epoch, after, after, end)
        return batch

    def _loses(self, lane: Lane, fault: Fault) -> bool:
        """Whether a fault swallows this delivery."""
        if fault.kind is FaultKind.DISK_FULL:
            self.fail(lane, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return True
        if fault.kind is FaultKind.DROP and self._random.uniform(0, 100) < fault.amount:
            self._leave_behind(lane)
            return True
        return False

    def _ended(self, slot: int, result: int) -> None:
        if slot == self._flush_slot:
            self._flushes.flushed(result)
            return
        lane = self.lanes[slot // DEPTH]
        fault = lane.fault
        if fault is not None and fault.kind is FaultKind.SLOW:
            self._after(fault.amount / 1000, lambda: self._take_end(lane, slot, result))
        else:
            self._take_end(lane, slot, result)

    def _take_end(self, lane: Lane, slot: int, result: int) -> None:
        """A write of a segment has ended."""
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
            self.fail(lane, OSError(code, os.strerror(code)))
        elif flight.start < self.staging.oldest and lane.live:
            # The ring went on over the pages while the disk read them: it may have written others.
            self._leave_behind(lane)
        self._land(lane)

    def _land(self, lane: Lane) -> None:
        """Count what a segment holds now without a gap."""
        while lane.flights and lane.flights[0].done:
            flight = lane.flights.popleft()
            lane.free.append(flight.slot)
            if lane.live:
                lane.store.end = flight.end
                self._synced(lane, flight.lsn, flight.epoch)

    def _synced(self, lane: Lane, lsn: Lsn, epoch: Epoch) -> None:
        """A segment has the log up to `lsn` on disk: count it, unless there is a newer writer."""
        if lane.store.promised_now > self.volume.epoch:
            self._refused(lane)
            return
        for action in lane.store.core.synced(lsn, epoch):
            if isinstance(action, Acknowledge):
                self.volume.acknowledged(lane.store.id, action.scl, action.epoch)

    def _advance(self) -> None:
        """Tell everybody how far the log is durable, where that moved."""
        vcl, vdl = self.volume.vcl, self.volume.vdl
        while self._ends and self._ends[0][0] <= vcl:
            self._vcl_position = self._ends.popleft()[1]
        points = self._points
        if not points or points[0][0] > vdl:
            return
        with self.lock:
            while points and points[0][0] <= vdl:
                self.vdl_position = points.popleft()[1]
            # Under the lock: who stops to watch may close its descriptor at once.
            for fd in self._watchers:
                with suppress(BlockingIOError, BrokenPipeError):
                    os.write(fd, b"x")
        self._writer.acknowledge(vdl)

    def _leave_behind(self, lane: Lane) -> None:
        """A segment missed log: it gets it from its peers."""
        lane.live = False
        self._fell_behind(lane.store.id)

    def fail(self, lane: Lane, error: OSError, store: SegmentStore | None = None) -> None:
        """A segment's disk refused a write: it is tried again from its peers, later.

        store: what was written to, where that was on another thread: a successor may have its
        lane by now, and is not to blame.
        """
        if store is not None and lane.store is not store:
            return
        if lane.unreachable_since is None:
            lane.unreachable_since = self.clock()
            _log.warning("a segment cannot write", segment=lane.store.id, error=str(error))
        lane.problem = str(error)
        lane.live = False
        segment = lane.store.id
        self._after(1.0, lambda: self._fell_behind(segment))

    def _refused(self, lane: Lane) -> None:
        """A newer writer opened the volume: this one never acknowledges anything again."""
        self.volume.refused(Epoch(lane.store.promised_now))
        for each in self.lanes:
            each.live = False
        self._writer.lose(self._stale())

    def _stale(self) -> StaleEpochError:
        return StaleEpochError(
            f"the volume was opened by a writer of epoch {self.volume.fenced_by}; this one has "
            f"epoch {self.volume.epoch} and must stop"
        )

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._timer_number += 1
        heapq.heappush(self._timers, (self.clock() + seconds, self._timer_number, action))

    def _fire_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self.clock():
            heapq.heappop(self._timers)[2]()

    def _lane(self, store: SegmentStore, index: int, position: int) -> Lane:
        free = [index * DEPTH + number for number in range(DEPTH)]
        return Lane(store, index, position, free=free)
