"""A storage node: one segment core, a disk that forgets what was not synced, and gossip."""

from collections.abc import Callable, Iterable
from typing import Protocol

from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import (
    Acknowledge,
    Action,
    Ask,
    CutLog,
    History,
    Persist,
    Refuse,
    Segment,
    SegmentStatus,
    Write,
)
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId, az_of
from cluster_runtime.storage.simulation.scheduler import Scheduler

GOSSIP_EVERY = 12.0
GOSSIP_BATCHES = 16
LISTENERS = 2


class Writer(Protocol):
    """What a node tells a writer."""

    def acknowledged(self, segment: SegmentId, epoch: Epoch, scl: Lsn, membership: int) -> None:
        """A segment holds everything up to its SCL."""

    def refused(self, segment: SegmentId, promised: Epoch) -> None:
        """A segment has promised a newer epoch."""


class Node:
    """The world calls `alive` and `reachable` off and on; the writers send to the rest."""

    def __init__(
        self, segment: SegmentId, scheduler: Scheduler, peers: Callable[[], Iterable["Node"]]
    ) -> None:
        self.core = Segment(segment)
        self.az = az_of(segment)
        self.log: list[Batch] = []
        self.synced = 0
        self.alive = True
        self.reachable = True
        self.lost = False
        self.damaged_below: Lsn | None = None
        self.went_back = False
        self._peers = peers
        self._scheduler = scheduler
        self._kept: tuple[Epoch, History, Membership] = (Epoch(0), (), self.core.membership)
        self._life = 0
        self._syncing = False
        self._writers: dict[Epoch, Writer] = {}
        scheduler.sometimes(GOSSIP_EVERY, self._gossip)

    @property
    def up(self) -> bool:
        """Whether it runs and can be reached."""
        return self.alive and self.reachable

    @property
    def damaged(self) -> bool:
        """Whether log that it once acknowledged has rotted, or is lost, and is not back yet."""
        return self.lost or self.damaged_below is not None

    @property
    def kept_membership(self) -> Membership:
        """The members as its disk has them."""
        return self._kept[2]

    @property
    def durable(self) -> list[Batch]:
        """The batches that a crash leaves."""
        return self.log[: self.synced]

    def holds(self, log: list[Batch]) -> bool:
        """Whether its disk holds this beginning of the log."""
        return len(log) <= self.synced and self.log[: len(log)] == log

    def status_on_disk(self) -> SegmentStatus:
        """What it would say if it came back from a crash that left only what was synced."""
        core = self.core
        scl, consistent = _ends(self.durable)
        return SegmentStatus(
            core.id, core.promised, core.history, scl, consistent, core.floor, core.membership
        )

    def batches_after(self, lsn: Lsn) -> list[Batch]:
        """Some batches behind an LSN, for a peer that asked."""
        return [batch for batch in self.durable if batch.previous >= lsn][:GOSSIP_BATCHES]

    # messages from writers -------------------------------------------------------------------

    def receive(self, writer: Writer, epoch: Epoch, batch: Batch) -> None:
        """A batch arrives."""
        if self.up:
            self._writers[epoch] = writer
            self._do(self.core.receive(batch, epoch), writer)

    def query(self, answer: Callable[[SegmentStatus], None]) -> None:
        """A new writer asks for its status."""
        if self.up:
            self._scheduler.send(answer, self.core.status())

    def promise(
        self, writer: Writer, epoch: Epoch, answer: Callable[[SegmentStatus], None]
    ) -> None:
        """A new writer asks it to refuse older ones."""
        if not self.up:
            return
        actions = self.core.promise(epoch)
        self._do(actions, writer)
        if actions == [Persist()]:
            self._scheduler.send(answer, self.core.status())

    def adopt(self, writer: Writer, history: History, membership: Membership) -> None:
        """A new writer tells it where the log was cut."""
        if self.up:
            self._writers[history[-1].epoch] = writer
            self._do(self.core.adopt(history, membership), writer)

    def change_membership(self, writer: Writer, epoch: Epoch, membership: Membership) -> None:
        """A writer tells it which segments count."""
        if self.up:
            self._writers[epoch] = writer
            self._do(self.core.change_membership(membership, epoch), writer)

    # readers ---------------------------------------------------------------------------------

    def follow(self, history: History, membership: Membership) -> None:
        """It hears of a cut from a peer."""
        self._do(self.core.adopt(history, membership), None)

    def copy(self, batches: list[Batch]) -> None:
        """Take log from a peer, onto the disk before anything else happens."""
        self._do(self.core.receive_gossip(batches, self.core.history), None)
        self.synced = len(self.log)
        if self.log:
            self._do(self.core.synced(self.log[-1].end, self.core.epoch), None)

    def fence(self, epoch: Epoch) -> SegmentStatus:
        """Promise an epoch at once, and say what is on the disk."""
        self._do(self.core.promise(epoch), None)
        return self.core.status()

    # gossip ----------------------------------------------------------------------------------

    def hear(self, peer: "Node", scl: Lsn, history: History) -> None:
        """A peer tells how far it is."""
        if self.up:
            for action in self.core.behind(scl, history):
                if isinstance(action, Ask):
                    self._scheduler.send(peer.asked, self, action.after)

    def asked(self, peer: "Node", after: Lsn) -> None:
        """A peer asks for what it misses."""
        if self.up:
            self._scheduler.send(peer.told, self.batches_after(after), self.core.history)

    def told(self, batches: list[Batch], history: History) -> None:
        """A peer sends what was missed."""
        if self.up:
            self._do(self.core.receive_gossip(batches, history), None)

    def _gossip(self) -> None:
        if self.up:
            others = [peer for peer in self._peers() if peer is not self]
            peer = self._scheduler.rng.choice(others)
            self._scheduler.send(peer.hear, self, self.core.scl, self.core.history)

    # faults ----------------------------------------------------------------------------------

    def lose(self) -> None:
        """Its disk is gone, with all that was on it, and nothing ever answers from there again."""
        self.crash()
        self.lost = True
        self.log, self.synced = [], 0

    def begin_anew(self) -> None:
        """An empty segment takes the name of one that failed."""
        self._life += 1
        self.core = Segment(self.core.id)
        self.log, self.synced, self.damaged_below = [], 0, None
        self.alive, self.lost, self._syncing = True, False, False
        self._kept = (Epoch(0), (), self.core.membership)
        self._persist()

    def crash(self) -> None:
        """Lose what was not synced, but for what happened to reach the disk all the same."""
        if self.alive:
            self.alive = False
            self._life += 1
            self.synced = self._scheduler.rng.randint(self.synced, len(self.log))
            del self.log[self.synced :]

    def restart(self) -> None:
        """It runs again, with what its disk kept."""
        if not self.alive and not self.lost:
            self.alive = True
            self._syncing = False
            core = self.core
            core.promised, core.history, core.membership = self._kept
            core.restart(*_ends(self.log))

    def corrupt(self) -> bool:
        """Damage one batch on the disk, and let the scrub find it. Whether there was one."""
        if not self.up or not self.synced:
            return False
        self.damaged_below = self.core.scl
        self.synced = self._scheduler.rng.randrange(self.synced)
        del self.log[self.synced :]
        self._do(self.core.corrupted(*_ends(self.log)), None)
        return True

    # actions ---------------------------------------------------------------------------------

    def _do(self, actions: Iterable[Action], writer: Writer | None) -> None:
        for action in actions:
            match action:
                case Write(batch):
                    self.log.append(batch)
                    self._sync_later()
                case Acknowledge(epoch, scl):
                    # Whoever listens here hears it, also of another writer's epoch.
                    version = self.core.membership.version
                    for told in list(self._writers.values())[-LISTENERS:]:
                        self._scheduler.send(told.acknowledged, self.core.id, epoch, scl, version)
                case Refuse(promised):
                    if writer is not None:
                        self._scheduler.send(writer.refused, self.core.id, promised)
                case Ask(after):
                    peer = self._scheduler.rng.choice(list(self._peers()))
                    self._scheduler.send(peer.asked, self, after)
                case CutLog(lsn):
                    self.log = [batch for batch in self.log if batch.end <= lsn]
                    self.synced = len(self.log)
                    self._persist()
                    self._do(self.core.synced(lsn, self.core.epoch), writer)
                case Persist():
                    self._persist()

    def _persist(self) -> None:
        self.went_back |= self.core.membership.version < self.kept_membership.version
        self._kept = (self.core.promised, self.core.history, self.core.membership)

    def _sync_later(self) -> None:
        if not self._syncing:
            self._syncing = True
            delay = self._scheduler.rng.random() * self._scheduler.storm.sync
            self._scheduler.after(delay, self._sync, self._life, len(self.log), self.core.epoch)

    def _sync(self, life: int, count: int, epoch: Epoch) -> None:
        if life != self._life:
            return
        self._syncing = False
        if epoch == self.core.epoch and self.log:
            self.synced = max(self.synced, min(count, len(self.log)))
            if self.synced:
                self._do(self.core.synced(self.log[self.synced - 1].end, epoch), None)
        if self.synced < len(self.log):
            self._sync_later()


def _ends(log: list[Batch]) -> tuple[Lsn, Lsn]:
    """Where a log ends, and its last consistency point."""
    tail = log[-1].end if log else Lsn(0)
    return tail, next((batch.end for batch in reversed(log) if batch.consistent), Lsn(0))
