"""The commit path: WAL in, frames into the ring, durable writes out, acknowledgements back.

Makes a batch of what has come, starts a durable write of it to each segment that has none under
way, and acknowledges to the writer when a write quorum has it. While writes are under way, WAL
gathers: the next write takes all of it, so that commits share disk synchronisations without waiting
for each other.

Nothing here waits or runs by itself: `turn` is called when something happened. What is decided is
decided by `Volume` and `Segment`; this module moves bytes.
"""

import time
from collections.abc import Callable

from cluster_runtime.errors import StaleEpochError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.durability import Volume
from cluster_runtime.storage.core.faults import Fault, FaultKind
from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.segment import Acknowledge
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId, StorageType
from cluster_runtime.storage.disk.device import Arena, LogDevice, open_device
from cluster_runtime.storage.disk.ring import Staging
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.commit.intake import Intake
from cluster_runtime.storage.live.commit.lanes import DEPTH, IoCounts, Lane
from cluster_runtime.storage.live.commit.log_head import LogHead
from cluster_runtime.storage.live.commit.segment_writes import Outcomes, SegmentWrites
from cluster_runtime.storage.live.commit.timers import Timers
from cluster_runtime.storage.live.commit.writer_link import Attachment, WriterLink
from cluster_runtime.storage.streaming.replication import ReplicationClient, WalMessage

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
        self.head = LogHead(
            stores[0].volume,
            self.staging,
            volume.vdl,
            sizes=sizes,
            wal_segment_bytes=wal_segment_bytes,
            counts=counts,
            prepare=prepare,
            clock=clock,
        )
        self.lanes = [self._lane(store, index, position) for index, store in enumerate(stores)]
        self._device = open_device(self.staging.arena, slots + 1)
        self._timers = Timers(clock)
        after = self._timers.after
        self._writes = SegmentWrites(
            self._device,
            self.lanes,
            slots,
            self.staging,
            volume,
            storage_type=storage_type,
            write_bytes=sizes.write,
            counts=counts,
            outcomes=Outcomes(
                self._synced, self.fail, self._leave_behind, self._refused, prepare, after
            ),
        )
        self.intake = Intake(self.lanes, sizes, clock, after)
        self._fell_behind = fell_behind
        self._writer = WriterLink(after, self._ignore_writer, writer_lost)

    @property
    def end_lsn(self) -> Lsn:
        """Where the log ends: what a writer sends next begins here."""
        return self.head.end_lsn

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
        self._writes.storage_type = storage_type

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
        writes = self._writes
        writes.take_ended()
        self._do_what_was_asked()
        self._timers.fire()
        if arrived is not None:
            messages = self._writer.receive(arrived, self.sizes.batch)
            if messages:
                self._append(messages, self._writer)
        staged = self.head.staged
        for lane in self.lanes:
            if lane.live and lane.issued < staged:
                writes.start(lane)
        writes.submit()
        self._advance()

    @property
    def source(self) -> ReplicationClient | None:
        """The client that WAL may be taken from now, unless a fault or slow segments forbid it."""
        may_take = self.intake.may_take(self.staging.head, self.head.complete)
        return self._writer.source if may_take else None

    def _do_what_was_asked(self) -> None:
        """What came from other threads, where there are any."""

    def _ignore_writer(self) -> None:
        """Listen to the writer's connection no more, where anybody does."""

    def _append(self, messages: list[WalMessage], writer: WriterLink) -> None:
        """Take what the writer sent into the log, up to the end of the last whole record."""
        assert writer.attachment is not None, "WAL comes from somebody"
        head, start = self.head, messages[0].start
        if start != head.end_lsn:
            writer.lose(
                StorageError(f"the writer sent WAL from {start:#x} after {head.end_lsn:#x}")
            )
            return
        consistent, writer.held = head.cut(messages)
        if messages[-1].end == start:
            return
        epoch = self.volume.epoch
        head.append(messages, epoch, writer.attachment.timeline, consistent=consistent)
        self.volume.appended(head.end_lsn, consistent)
        self.intake.took(head.end_lsn - start)

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
        vdl = self.volume.vdl
        if self.head.reached(self.volume.vcl, vdl):
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
        self._timers.after(1.0, lambda: self._fell_behind(segment))

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

    def _lane(self, store: SegmentStore, index: int, position: int) -> Lane:
        free = [index * DEPTH + number for number in range(DEPTH)]
        return Lane(store, index, position, free=free)
