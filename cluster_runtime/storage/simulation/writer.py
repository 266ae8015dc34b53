"""A writer: opens the volume, appends batches, replaces segments, until a newer one fences it."""

from collections.abc import Callable, Iterable

from cluster_runtime.errors import StaleEpochError
from cluster_runtime.storage.batch import Batch
from cluster_runtime.storage.quorum import Membership
from cluster_runtime.storage.segment import SegmentStatus
from cluster_runtime.storage.simulation.node import Node
from cluster_runtime.storage.simulation.scheduler import Scheduler
from cluster_runtime.storage.types import Epoch, Lsn, SegmentId
from cluster_runtime.storage.volume import Opening, Volume

OPENING_RETRY = 8.0
APPEND_EVERY = 1.5
BATCH_MAX_BYTES = 64


class SimulatedWriter:
    """`log` is what it believes the log to be; `on_durable` hears of every move of the VDL."""

    def __init__(
        self,
        scheduler: Scheduler,
        nodes: Callable[[], Iterable[Node]],
        add_node: Callable[[SegmentId], Node],
        on_durable: Callable[["SimulatedWriter"], None],
    ) -> None:
        self._scheduler = scheduler
        self._nodes = nodes
        self._add_node = add_node
        self._on_durable = on_durable
        self.opening = Opening()
        self.volume: Volume | None = None
        self.log: list[Batch] = []
        self.alive = True
        self._begin()

    @property
    def vdl(self) -> Lsn:
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
        holder = next(
            node
            for node in self._nodes()
            if node.core.history == self.volume.history
            and (node.durable[-1].end if node.durable else 0) >= cut
        )
        self.log = [batch for batch in holder.durable if batch.end <= cut]
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
            if volume.finish_replacement() is None and self._scheduler.rng.random() < 0.3:
                volume.abandon_replacement()
                self._on_durable(self)
        elif segment in volume.membership.segments:
            membership = volume.begin_replacement(segment)
            self._add_node(membership.sets[1][membership.sets[0].index(segment)])
            self._send_history()
        self._send_membership()

    def _send_membership(self) -> None:
        assert self.volume is not None
        for node in self._nodes():
            self._scheduler.send(
                node.change_membership, self, self.volume.epoch, self.volume.membership
            )

    # answers ---------------------------------------------------------------------------------

    def acknowledged(self, segment: SegmentId, epoch: Epoch, scl: Lsn, membership: int) -> None:
        if not self.alive:
            return
        if self.volume is None:
            if self.opening.history and epoch == self.opening.epoch:
                self.opening.adopted(segment, scl)
                if self.opening.is_open:
                    self._open()
            return
        before = self.volume.vdl
        self.volume.membership_stored(segment, membership)
        if self.volume.acknowledged(segment, scl, epoch) > before:
            self._on_durable(self)

    def refused(self, segment: SegmentId, promised: Epoch) -> None:
        if self.volume is not None:
            self.volume.refused(promised)
            if promised <= self.volume.epoch:
                self._send_history()
        elif promised >= self.opening.epoch and not self.opening.history:
            self.opening.epoch = Epoch(promised + 1)
            self.opening.statuses.clear()
