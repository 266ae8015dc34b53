"""A writer: opens the volume, appends batches, replaces segments, until a newer one fences it."""

from collections.abc import Callable, Mapping

from cluster_runtime.errors import StaleEpochError
from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.durability import Opening, Volume
from cluster_runtime.storage.core.policy.replacement import (
    Abandon,
    Begin,
    Condition,
    ReplacementPolicy,
)
from cluster_runtime.storage.core.quorum import WRITE_QUORUM, Membership
from cluster_runtime.storage.core.segment import SegmentStatus
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId
from cluster_runtime.storage.simulation.node import Node
from cluster_runtime.storage.simulation.scheduler import Scheduler

OPENING_RETRY = 8.0
APPEND_EVERY = 1.5
BATCH_MAX_BYTES = 64
AWAY_LIMIT = 10.0


class SimulatedWriter:
    """`log` is what it believes the log to be; `on_durable` hears of every move of the VDL."""

    def __init__(
        self,
        scheduler: Scheduler,
        nodes: Mapping[SegmentId, Node],
        add_node: Callable[[SegmentId, Epoch], None],
        remove_node: Callable[[SegmentId], None],
        on_durable: Callable[["SimulatedWriter"], None],
        on_replaced: Callable[["SimulatedWriter", Membership], None],
    ) -> None:
        self._scheduler = scheduler
        self._segments = nodes
        self._nodes = nodes.values
        self._add_node = add_node
        self._remove_node = remove_node
        self._policy = ReplacementPolicy(away_limit_s=AWAY_LIMIT)
        self._leaving: SegmentId | None = None
        self._on_durable = on_durable
        self._on_replaced = on_replaced
        self.opening = Opening()
        self.volume: Volume | None = None
        self.log: list[Batch] = []
        self.alive = True
        self._begin()

    @property
    def vdl(self) -> Lsn:
        """Up to where commits have returned."""
        return self.volume.vdl if self.volume is not None else Lsn(0)

    # opening ---------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Ask all for their state; what was learned of epochs and members is kept for a retry."""
        if not self.alive or self.volume is not None:
            return
        tried = self.opening
        self.opening = Opening(epoch=tried.epoch, membership=tried.membership)
        for node in self._nodes():
            self._scheduler.send(node.query, self._seen)
        self._scheduler.after(self._scheduler.storm.delay * 3, self._ask_promises, self.opening)
        self._scheduler.after(OPENING_RETRY * (1 + self._scheduler.rng.random()), self._retry)

    def _seen(self, status: SegmentStatus) -> None:
        if not self.opening.statuses:
            self.opening.seen(status)

    def _ask_promises(self, opening: Opening) -> None:
        if opening is self.opening and self.alive and opening.epoch:
            for node in self._nodes():
                self._scheduler.send(node.promise, self, opening.epoch, self._promised)

    def _promised(self, status: SegmentStatus) -> None:
        opening = self.opening
        if not self.alive or status.promised != opening.epoch or opening.history:
            return
        opening.promised(status)
        if opening.may_cut:
            opening.cut()
            self._send_history()

    def _send_history(self) -> None:
        opening = self.opening
        if self.alive and opening.history:
            for node in self._nodes():
                self._scheduler.send(node.adopt, self, opening.history, self._membership)

    @property
    def _membership(self) -> Membership:
        return self.volume.membership if self.volume is not None else self.opening.membership

    def _retry(self) -> None:
        if self.volume is None and not self.opening.history:
            self._begin()

    def _open(self) -> None:
        self.volume = self.opening.volume()
        cut = self.volume.history[-1].lsn
        logs = (
            node.durable
            for node in self._nodes()
            if node.core.history == self.volume.history
            and (node.durable[-1].end if node.durable else 0) >= cut
        )
        found = next(logs, None)
        if found is None and any(n.core.promised > self.volume.epoch for n in self._nodes()):
            # It comes too late: a newer writer has the segments, and nobody is told anything here.
            self.alive = False
            return
        # Where nobody holds it, the check of what is durable has something to say.
        self.log = [batch for batch in found or [] if batch.end <= cut]
        self._on_durable(self)
        self._scheduler.sometimes(APPEND_EVERY, self._append)

    # writing ---------------------------------------------------------------------------------

    def _append(self) -> None:
        if not self.alive or self.volume is None:
            return
        rng = self._scheduler.rng
        start = self.log[-1].end if self.log else Lsn(0)
        end = Lsn(start + rng.randint(1, BATCH_MAX_BYTES))
        consistent = rng.random() < 0.7
        try:
            self.volume.appended(end, consistent)
        except StaleEpochError:
            self.alive = False
            return
        batch = Batch(self.volume.epoch, start, start, end, 1, consistent)
        self.log.append(batch)
        for node in self._nodes():
            self._scheduler.send(node.receive, self, self.volume.epoch, batch)

    def replace(self, segment: SegmentId) -> None:
        """Begin to replace a segment, or finish or take back what was begun."""
        volume = self.volume
        if not self.alive or volume is None:
            return
        if volume.membership.changing:
            if not self._finish(volume) and self._scheduler.rng.random() < 0.3:
                self._abandon(volume)
        elif segment in volume.membership.segments:
            self._replace(volume, segment)
        self._send_membership()

    def look(self) -> None:
        """Do what the policy says, as the storage volume's driver does."""
        volume = self.volume
        if not self.alive or volume is None:
            return
        membership = volume.membership
        if not (membership.changing and self._finish(volume)):
            conditions = {each: self._condition(each) for each in membership.segments}
            match self._policy.decide(self._scheduler.now, membership, conditions):
                case Begin(segment):
                    self._replace(volume, segment)
                case Abandon():
                    self._abandon(volume)
                case None:
                    pass
        self._send_membership()

    def _condition(self, segment: SegmentId) -> Condition:
        node = self._segments[segment]
        if node.lost:
            return Condition.LOST
        return Condition.ANSWERS if node.up else Condition.AWAY

    def _replace(self, volume: Volume, segment: SegmentId) -> None:
        candidate = volume.begin_replacement(segment).candidate
        assert candidate is not None
        self._add_node(candidate, volume.epoch)
        self._leaving = None
        self._send_history()

    def _finish(self, volume: Volume) -> bool:
        before = volume.membership
        if volume.finish_replacement() is None:
            return False
        self._leaving = before.replaced
        self._on_replaced(self, before)
        return True

    def _abandon(self, volume: Volume) -> None:
        self._leaving = volume.membership.candidate
        volume.abandon_replacement()
        self._on_durable(self)

    def _remove_who_left(self, volume: Volume) -> None:
        """Once a write quorum knows of the change, nobody asks the one that left any more."""
        left, version = self._leaving, volume.membership.version
        told = [each for each, stored in volume.stored.items() if stored >= version]
        if left is not None and volume.membership.has_quorum(told, WRITE_QUORUM):
            self._leaving = None
            self._remove_node(left)

    def _send_membership(self) -> None:
        assert self.volume is not None
        for node in self._nodes():
            self._scheduler.send(
                node.change_membership, self, self.volume.epoch, self.volume.membership
            )

    # answers ---------------------------------------------------------------------------------

    def acknowledged(self, segment: SegmentId, epoch: Epoch, scl: Lsn, membership: int) -> None:
        """A segment holds everything up to its SCL."""
        if not self.alive:
            return
        if self.volume is None:
            if self.opening.history and epoch == self.opening.epoch:
                self.opening.adopted(segment, scl)
                if self.opening.is_open:
                    self._open()
            return
        before = self.volume.vdl
        if epoch == self.volume.epoch:
            self.volume.membership_stored(segment, membership)
            self._remove_who_left(self.volume)
        if self.volume.acknowledged(segment, scl, epoch) > before:
            self._on_durable(self)

    def refused(self, segment: SegmentId, promised: Epoch) -> None:
        """A segment has promised a newer epoch."""
        if self.volume is not None:
            self.volume.refused(promised)
            if promised <= self.volume.epoch:
                self._send_history()
        elif promised >= self.opening.epoch and not self.opening.history:
            self.opening.epoch = Epoch(promised + 1)
            self.opening.statuses.clear()
