"""The storage node: one thread between the writer's log and the segments' disks.

It takes WAL from the replication connection, makes a batch of what has come, starts a durable
write of it to each segment that has none under way, and acknowledges to the writer when a write
quorum has it. While writes are under way, WAL gathers: the next write takes all of it, so that
commits share disk synchronisations without waiting for each other.

What is decided is decided by `Volume` and `Segment`; this module moves bytes and time.
"""

import errno
import heapq
import os
import random
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from cluster_runtime.errors import StaleEpochError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.batch import Batch, encode_header, frame_bytes
from cluster_runtime.storage.core.durability import Volume
from cluster_runtime.storage.core.faults import Fault, FaultKind
from cluster_runtime.storage.core.quorum import WRITE_QUORUM
from cluster_runtime.storage.core.segment import Acknowledge, Refuse
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId, SegmentState
from cluster_runtime.storage.core.wal_records import last_record_end
from cluster_runtime.storage.disk.device import PAGE_BYTES, open_device, share_a_disk
from cluster_runtime.storage.disk.log_files import FILE_BYTES, FIRST_FILE_BYTES, Mark
from cluster_runtime.storage.disk.ring import RING_BYTES, Staging
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.streaming.replication import (
    ReplicationClient,
    ReplicationEndedError,
    WalMessage,
)

StorageType = Literal["aurora", "aurora-iopt1"]

BATCH_BYTES = 256 * 1024
"""Most WAL in one batch. A batch never spans two log files."""
WRITE_BYTES = 2 << 20
BACKLOG_BYTES = RING_BYTES // 2
"""Log that may wait for the write quorum before no more is taken from the writer."""
DEPTH = 4
"""Writes of one segment that wait for their end, or for a flush, at once."""
STRAGGLER_S = 0.05
"""How long writes that missed a shared flush wait for the next one."""
GONE_AFTER_S = 10.0

_log = get_logger(__name__)
_Result = TypeVar("_Result")


@dataclass(slots=True)
class IoCounts:
    """I/O of a volume since this process opened it.

    write_ios, read_ios: as Aurora bills them: log in units of 4 KiB, counted once and not six
        times; pages of 8 KiB that data directories were made from.
    segment_writes, syncs, segment_bytes: what the six segments' disks did for that.
    """

    wal_bytes: int = 0
    batches: int = 0
    segment_writes: int = 0
    syncs: int = 0
    segment_bytes: int = 0
    write_ios: int = 0
    read_ios: int = 0
    acknowledgements: int = 0


@dataclass(slots=True)
class _Flight:
    """A write under way: what the segment will hold once it, and those before it, are done.

    start: position of its first page.
    written: it has ended. done: it is on the disk.
    """

    slot: int
    start: int
    end: int
    lsn: Lsn
    epoch: Epoch
    length: int
    durable: bool
    written: bool = False
    done: bool = False


@dataclass(slots=True)
class Lane:
    """A segment as the node sees it.

    issued: position up to which writes were started. live: it takes what comes from the ring;
    otherwise it has to catch up from its peers first.
    """

    store: SegmentStore
    index: int
    issued: int
    live: bool = True
    fault: Fault | None = None
    problem: str = ""
    unreachable_since: float | None = None
    flights: deque[_Flight] = field(default_factory=deque)
    free: list[int] = field(default_factory=list)

    @property
    def reachable(self) -> bool:
        """Whether the segment can be read and written."""
        return self.fault is None or not self.fault.unreachable

    def state(self, now: float) -> SegmentState:
        """The segment's state in a word, for `describe`."""
        if not self.reachable or self.problem:
            since = self.unreachable_since
            gone = since is not None and now - since > GONE_AFTER_S
            return SegmentState.GONE if gone else SegmentState.SUSPECT
        return SegmentState.HEALTHY if self.live else SegmentState.REPAIRING


class StorageNode:
    """Runs on a thread of its own from `start` to `close`."""

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
        writer_lost: Callable[[StorageError], None],
    ) -> None:
        """position: where the log of this epoch begins.

        prepare, fell_behind: asked, on the node's thread, to make the log file that starts at a
        position, and to have a segment catch up; both must return at once.
        """
        self.volume = volume
        self.counts = counts
        slots = max(len(stores), len(SEGMENT_IDS)) * DEPTH  # members that were away may join
        self.staging = Staging(slots, position)
        self.lanes = [self._lane(store, index, position) for index, store in enumerate(stores)]
        self.lock = threading.Lock()
        self._waking = threading.Lock()
        self.vdl_position = position
        self.end_lsn = volume.vdl
        self.marks: deque[Mark] = deque()
        self.storage_type: StorageType = storage_type
        self._flush_slot = slots
        self._device = open_device(self.staging.arena, self._flush_slot + 1)
        self._shared: bool | None = None
        self._flushing: list[_Flight] = []
        self._straggler_timer = self._stragglers_due = False
        self._staged = self._vcl_position = position
        self._ends: deque[tuple[Lsn, int]] = deque()
        self._points: deque[tuple[Lsn, int]] = deque()
        self._held: WalMessage | None = None
        self._file_bytes = FIRST_FILE_BYTES
        self._file_end = position + FIRST_FILE_BYTES
        self._prepared_to = self._file_end
        self._wal_segment_bytes = wal_segment_bytes
        self._prepare, self._fell_behind, self._writer_lost = prepare, fell_behind, writer_lost
        self._client: ReplicationClient | None = None
        self._writer_fault: Fault | None = None
        self._timeline = 1
        self._told = Batch(volume.epoch, volume.vdl, volume.vdl, volume.vdl)
        self._wake, self._waker = os.pipe()
        for end in (self._wake, self._waker):
            os.set_blocking(end, False)
        self._commands: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_number = 0
        self._watchers: tuple[int, ...] = ()
        self._random = random.Random(volume.epoch)
        self._closing = self._closed = False
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._poll.register(self._device.fileno(), select.POLLIN)
        self._polled: ReplicationClient | None = None
        self._thread = threading.Thread(target=self._run, name="borealis-storage", daemon=True)

    # from any thread --------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread of the commit path."""
        self._thread.start()

    def close(self) -> None:
        """End the writer's connection and wait for writes under way. Segments stay open.

        A second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        if self._thread.is_alive():
            self.call(self._stop)
            self._thread.join()
        self._device.close()
        with self._waking:
            os.close(self._wake)
            os.close(self._waker)
            self._waker = -1

    @property
    def ended(self) -> bool:
        """Whether it was closed: nothing runs on its thread any more."""
        return self._closed

    def call(self, action: Callable[[], _Result]) -> _Result:
        """Run something on the node's thread; return or raise what it does.

        Raises StorageError once the node is closed.
        """
        done: Future[_Result] = Future()

        def run() -> None:
            try:
                done.set_result(action())
            except BaseException as error:  # noqa: BLE001 - handed to the caller as it is
                done.set_exception(error)

        self.post(run)
        while True:
            try:
                return done.result(timeout=1)
            except TimeoutError:
                if not self._thread.is_alive() and not done.done():
                    raise StorageError("the storage node has ended") from None

    def post(self, action: Callable[[], None]) -> None:
        """Have something run on the node's thread, soon."""
        self._commands.append(action)
        # A descriptor that was closed may be another file's by now.
        with self._waking, suppress(BlockingIOError):
            if self._waker >= 0:
                os.write(self._waker, b"x")

    def watch(self, fd: int) -> None:
        """Write to `fd` (non-blocking) whenever the VDL moves."""
        with self.lock:
            self._watchers = (*self._watchers, fd)

    def unwatch(self, fd: int) -> None:
        """Tell a file descriptor no more that the log has grown."""
        with self.lock:
            self._watchers = tuple(each for each in self._watchers if each != fd)

    @property
    def attached(self) -> bool:
        """Whether a writer sends its log."""
        return self._client is not None

    # on the node's thread ---------------------------------------------------------------------

    def attach(self, client: ReplicationClient, timeline: int) -> None:
        """Take WAL from a client that has started to stream at `end_lsn`."""
        if self.volume.fenced_by is not None:
            raise self._stale()
        self._client, self._timeline = client, timeline
        client.acknowledge(self.volume.vdl)

    def detach(self) -> None:
        """Let the writer go; its commits wait from now on."""
        if self._client is not None:
            self._ignore_writer()
            self._held = None
            self._client.close()
            self._client = None

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
            lane.unreachable_since = time.monotonic()

    def set_storage_type(self, storage_type: StorageType) -> None:
        """Switch how writes become durable, from the next batch on."""
        self.storage_type = storage_type

    def lost(self, lane: Lane, end: int, lsn: Lsn, consistent: Lsn) -> None:
        """A segment's log is damaged behind `end`: what follows comes from its peers."""
        if lane.live:
            lane.live = False
            lane.store.core.corrupted(lsn, consistent)
            lane.store.end = end
            self.volume.lost(lane.store.id, lsn)
            self._fell_behind(lane.store.id)

    def set_writer_fault(self, fault: Fault | None) -> None:
        """Break or heal the connection to the writer."""
        self._writer_fault = fault

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

    def _run(self) -> None:
        try:
            while not self._closing:
                self._step()
        except BaseException as error:
            _log.error("the storage node failed", error=repr(error))
            self._lose_writer(StorageError(f"the storage node failed: {error!r}"))
            raise

    def _step(self) -> None:
        self._listen_to_writer()
        client = self._polled
        arrived = client is not None and client.has_more
        for fd, _ in self._poll.poll(0 if arrived else self._patience_ms()):
            if fd == self._wake:
                with suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            elif client is not None and fd == client.fileno():
                arrived = True
        for slot, result in self._device.completed():
            self._ended(slot, result)
        while self._commands:
            self._commands.popleft()()
        self._fire_timers()
        if arrived and client is not None and client is self._client:
            self._receive(client)
        for lane in self.lanes:
            if lane.live and lane.issued < self._staged:
                self._write(lane)
        self._flush()
        self._device.submit()
        self._advance()

    def _listen_to_writer(self) -> None:
        """Poll the writer's connection unless a fault or the backlog speaks against it."""
        client = self._client
        partitioned = self._writer_fault is not None and self._writer_fault.unreachable
        if partitioned or self.staging.head - self._vcl_position > BACKLOG_BYTES:
            client = None
        if client is not self._polled:
            self._ignore_writer()
            if client is not None:
                self._poll.register(client.fileno(), select.POLLIN)
                self._polled = client

    def _ignore_writer(self) -> None:
        if self._polled is not None:
            with suppress(KeyError, ValueError):
                self._poll.unregister(self._polled.fileno())
            self._polled = None

    def _receive(self, client: ReplicationClient) -> None:
        try:
            messages = client.receive(BATCH_BYTES)
        except ReplicationEndedError as error:
            self._lose_writer(error)
            return
        if messages:
            self._append(messages)

    def _append(self, messages: list[WalMessage]) -> None:
        """Make a batch of WAL and put its frame into the ring."""
        if self._held is not None:
            messages = [self._held, *messages]
            self._held = None
        first, last = messages[0], messages[-1]
        if first.start != self.end_lsn:
            self._lose_writer(
                StorageError(f"the writer sent WAL from {first.start:#x} after {self.end_lsn:#x}")
            )
            return
        end = Lsn(last.end)
        boundary = last_record_end(last.start, last.wal, self._wal_segment_bytes)
        consistent = boundary is not None
        if boundary is not None and boundary < end:
            # The start of a record whose rest is yet to come: it goes with its rest.
            kept = boundary - last.start
            self._held = WalMessage(boundary, last.wal[kept:])
            messages[-1] = WalMessage(last.start, last.wal[:kept])
            end = Lsn(boundary)
            if end == first.start:
                return
        epoch = self.volume.epoch
        batch = Batch(epoch, self.end_lsn, Lsn(first.start), end, self._timeline, consistent)
        payload = [message.wal for message in messages]
        header = encode_header(self.lanes[0].store.volume, batch, payload)
        size = frame_bytes(end - first.start)
        staging = self.staging
        with self.lock:
            if staging.head + size > self._file_end:
                staging.skip_to(self._file_end)
                self._file_bytes = FILE_BYTES
                self._file_end += FILE_BYTES
                self.marks.append(
                    Mark(staging.head, self.end_lsn, self.end_lsn, epoch, self._timeline)
                )
            staging.append((header, *payload), end)
        self.volume.appended(end, consistent)
        self._staged = staging.head
        self._ends.append((end, staging.head))
        if consistent:
            self._points.append((end, staging.head))
        self.end_lsn = end
        self.counts.batches += 1
        self.counts.wal_bytes += end - first.start
        self.counts.write_ios += -(-size // PAGE_BYTES)
        half_full = staging.head > self._file_end - self._file_bytes // 2
        if half_full and self._prepared_to == self._file_end:
            self._prepare(self._file_end)
            self._prepared_to += FILE_BYTES

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
            return
        except OSError as error:
            self.fail(lane, error)
            return
        run = staging.run(lane.issued, min(file.end, start + WRITE_BYTES))
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
        durable = not self._shares_flushes(fd)
        self._device.start(slot, fd, vectors, file.offset(page), durable=durable)
        lane.flights.append(_Flight(slot, page, end, lsn, epoch, length, durable))
        lane.issued = end
        self.counts.segment_writes += 1
        self.counts.segment_bytes += length
        self.counts.syncs += durable

    def _batch(self, epoch: Epoch, after: Lsn, end: Lsn) -> Batch:
        """What a segment is told of a write: most of them are told the same."""
        batch = self._told
        if batch.end != end or batch.previous != after or batch.epoch != epoch:
            batch = self._told = Batch(epoch, after, after, end, self._timeline)
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
            self._flushed(result)
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

    def _shares_flushes(self, fd: int) -> bool:
        """Whether writes are made durable by a flush of the disk that all segments share.

        I/O-Optimized storage acknowledges from what is, then, the segments' durable incoming
        queue: one flush for a batch instead of six.
        """
        if self.storage_type == "aurora":
            return False
        if self._shared is None:
            logs = [lane.store.log for lane in self.lanes if lane.live]
            try:
                others = [log.writer(log.files[-1]) for log in logs]
            except OSError:
                return False  # the files of one are gone
            self._shared = self._device.direct and share_a_disk([fd, *others])
        return self._shared

    def _flush(self) -> None:
        """Flush the shared disk once a write quorum waits for that, or stragglers have long."""
        if self._flushing or not self._shared:
            return
        waiting = [
            flight
            for lane in self.lanes
            for flight in lane.flights
            if flight.written and not flight.done
        ]
        if not waiting:
            return
        dirty = sum(any(f.written and not f.done for f in lane.flights) for lane in self.lanes)
        if dirty < WRITE_QUORUM and not self._stragglers_due:
            if not self._straggler_timer:
                self._straggler_timer = True
                self._after(STRAGGLER_S, self._end_patience)
            return
        self._stragglers_due = False
        self._flushing = waiting
        lane = next(each for each in self.lanes if waiting[-1] in each.flights)
        self._device.flush(self._flush_slot, lane.store.log.writer(lane.store.log.files[-1]))
        self.counts.syncs += 1

    def _end_patience(self) -> None:
        self._straggler_timer = False
        self._stragglers_due = True

    def _flushed(self, result: int) -> None:
        """The shared disk has written out what was written before the flush began."""
        for flight in self._flushing:
            flight.done = True
        self._flushing = []
        for lane in self.lanes:
            if result < 0 and lane.live:
                self.fail(lane, OSError(-result, os.strerror(-result)))
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
        self._acknowledge(vdl)

    def _acknowledge(self, vdl: Lsn) -> None:
        client, fault = self._client, self._writer_fault
        if client is None or (fault is not None and fault.unreachable):
            return
        if fault is not None and fault.kind is FaultKind.SLOW:
            self._after(fault.amount / 1000, lambda: self._send_acknowledgement(vdl))
        else:
            self._send_acknowledgement(vdl)

    def _send_acknowledgement(self, vdl: Lsn) -> None:
        if self._client is None:
            return
        try:
            self._client.acknowledge(vdl)
            self.counts.acknowledgements += 1
        except ReplicationEndedError as error:
            self._lose_writer(error)

    def _leave_behind(self, lane: Lane) -> None:
        """A segment missed log: it gets it from its peers."""
        lane.live = False
        self._fell_behind(lane.store.id)

    def fail(self, lane: Lane, error: OSError) -> None:
        """A segment's disk refused a write: it is tried again from its peers, later."""
        if lane.unreachable_since is None:
            lane.unreachable_since = time.monotonic()
            _log.warning("a segment cannot write", segment=lane.store.id, error=str(error))
        lane.problem = str(error)
        lane.live = False
        self._after(1.0, lambda: self._fell_behind(lane.store.id))

    def _refused(self, lane: Lane) -> None:
        """A newer writer opened the volume: this one never acknowledges anything again."""
        self.volume.refused(Epoch(lane.store.promised_now))
        for each in self.lanes:
            each.live = False
        self._lose_writer(self._stale())

    def _stale(self) -> StaleEpochError:
        return StaleEpochError(
            f"the volume was opened by a writer of epoch {self.volume.fenced_by}; this one has "
            f"epoch {self.volume.epoch} and must stop"
        )

    def _lose_writer(self, error: StorageError) -> None:
        if self._client is not None:
            self.detach()
            self._writer_lost(error)

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._timer_number += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._timer_number, action))

    def _patience_ms(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, (self._timers[0][0] - time.monotonic()) * 1000)

    def _fire_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _stop(self) -> None:
        self.detach()
        self._closing = True

    def _lane(self, store: SegmentStore, index: int, position: int) -> Lane:
        free = [index * DEPTH + number for number in range(DEPTH)]
        return Lane(store, index, position, free=free)
