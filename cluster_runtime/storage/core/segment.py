"""One segment: what it accepts, what it holds, what it asks its peers for. No disk, no network.

The driver passes in what arrives and what has reached the disk, and does what is returned. The
log itself is the driver's: this class knows where it is complete, and which batches are void.

A segment's *history* is the list of cuts its log went through: (epoch, LSN) says that the writer
of that epoch began at that LSN. Two segments hold the same log up to the lowest cut that only
one of them knows. That is how a segment that slept through a recovery finds out how much of its
log is void, even when its own last writer never finished opening the volume.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise, takewhile

from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId

INCOMING_MAX = 1024
"""Batches that wait for one before them; further ones are dropped and come again by gossip."""


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """The writer of `epoch` began at `lsn`: older log above it is void.

    of_readers: no writer began there. Three segments that had promised `epoch` held the log up to
    here, and readers were shown it: a later writer begins there or above.
    """

    epoch: Epoch
    lsn: Lsn
    of_readers: bool = False


History = tuple[Cut, ...]


def common_end(one: History, other: History) -> Lsn | None:
    """Up to which LSN two logs with these histories are the same; None: as far as both go.

    A segment holds no log above a cut of readers that it knows: for what it may keep, such a cut
    counts like any other. Which log is right is asked without them (`writers_of`).
    Where one of them begins with a writer's cut that the other one has, it was shortened: all that
    the other one has before that is its own too, for a writer goes on from one history alone.
    """
    if one and other:
        begun = max(one[0], other[0])
        if not begun.of_readers and begun in one and begun in other:
            one, other = one[one.index(begun) :], other[other.index(begun) :]
    return min((cut.lsn for cut in {*one} ^ {*other}), default=None)


def shortened(history: History, begins: Lsn) -> History:
    """A history without what it says of log that is no more, where all log begins at `begins`.

    Of the cuts below that the last one stays: two histories that have it are the same before it.
    """
    below = sum(1 for _ in takewhile(lambda cut: cut.lsn < begins, history))
    return history[max(0, below - 1) :]


def writers_of(history: History) -> History:
    """The cuts of a history that are writers': those that its log may go on from."""
    return tuple(cut for cut in history if not cut.of_readers)


def is_void(batch: Batch, history: History) -> bool:
    """Whether a cut of this history removed a batch, wherever it may still be found."""
    for cut in reversed(history):
        if cut.lsn < batch.end:
            return cut.epoch > batch.epoch
    return False


def is_sound(promised: Epoch, history: History) -> bool:
    """Whether a segment can have come to this: each cut needs a promise, and a newer writer."""
    epochs = [cut.epoch for cut in history]
    return all(a < b for a, b in pairwise(epochs)) and (not epochs or epochs[-1] <= promised)


@dataclass(frozen=True, slots=True)
class SegmentStatus:
    """What a segment tells a writer that opens the volume; all of it is on its disk.

    promised: the highest epoch it has promised to; lower ones are refused.
    scl: segment complete LSN: it holds every batch up to here.
    consistent: the highest LSN not above `scl` at which a WAL record ends.
    floor: below it the log is collected; pages hold what it said.
    begins: no log below it is there; zero where that was not asked.
    """

    segment: SegmentId
    promised: Epoch
    history: History
    scl: Lsn
    consistent: Lsn
    floor: Lsn
    membership: Membership
    begins: Lsn = Lsn(0)


@dataclass(frozen=True, slots=True)
class Write:
    """Put the batch at the end of the hot log, then call `synced`."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Tell the writer of `epoch` how far this segment is complete, on disk."""

    epoch: Epoch
    scl: Lsn


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell a writer that a newer one has been promised to."""

    promised: Epoch


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a peer for the log from `after` on."""

    after: Lsn


@dataclass(frozen=True, slots=True)
class CutLog:
    """Remove the log above `lsn`, make what is left of it, promise, history and membership
    durable, then call `synced`.
    """

    lsn: Lsn


@dataclass(frozen=True, slots=True)
class Persist:
    """Make promise, history and membership durable before anything else is sent."""


Action = Write | Acknowledge | Refuse | Ask | CutLog | Persist


@dataclass(slots=True)
class Segment:
    """State of one segment. `tail` is the end of what was handed to the disk."""

    id: SegmentId
    membership: Membership = field(default_factory=Membership)
    promised: Epoch = Epoch(0)
    history: History = ()
    scl: Lsn = Lsn(0)
    tail: Lsn = Lsn(0)
    consistent: Lsn = Lsn(0)
    floor: Lsn = Lsn(0)
    _unsynced: deque[Batch] = field(default_factory=deque)
    _incoming: dict[Lsn, Batch] = field(default_factory=dict)

    @property
    def epoch(self) -> Epoch:
        """The epoch of the log's last cut: that of the writer whose batches it takes."""
        return self.history[-1].epoch if self.history else Epoch(0)

    @property
    def gap(self) -> Lsn | None:
        """The LSN after which log is missing while later log waits; None where nothing waits."""
        return self.tail if self._incoming else None

    def status(self) -> SegmentStatus:
        """What an opening of the volume asks a segment for."""
        return SegmentStatus(
            self.id,
            self.promised,
            self.history,
            self.scl,
            self.consistent,
            self.floor,
            self.membership,
        )

    def receive(self, batch: Batch, writer: Epoch) -> list[Action]:
        """A batch from the writer of epoch `writer`, in any order, any number of times."""
        if writer < self.promised or writer != self.epoch:
            return [Refuse(self.promised)]
        return self._take(batch)

    def receive_gossip(self, batches: Iterable[Batch], history: History) -> list[Action]:
        """Batches from a peer. Nothing is taken where the logs may differ."""
        if history != self.history:
            return []
        return [action for batch in batches for action in self._take(batch)]

    def synced(self, end: Lsn, epoch: Epoch) -> list[Action]:
        """Everything handed to the disk up to `end` is on it now.

        epoch: this segment's when it was handed over. What was on its way when a cut came says
        nothing of the log after the cut; the cut itself is followed by a call of its own.
        """
        if epoch != self.epoch:
            return []
        before = self.scl
        while self._unsynced and self._unsynced[0].end <= end:
            batch = self._unsynced.popleft()
            self.scl = batch.end
            if batch.consistent:
                self.consistent = batch.end
        return self._acknowledgement() if self.scl > before else []

    def promise(self, epoch: Epoch) -> list[Action]:
        """A writer opens the volume: from now on lower epochs are refused."""
        if epoch <= self.promised:
            return [Refuse(self.promised)]
        self.promised = epoch
        return [Persist()]

    def adopt(self, history: History, membership: Membership) -> list[Action]:
        """Take over the history that the writer of its last epoch has decided on.

        Log that this history has no place for is cut. A repeated call changes nothing more.
        """
        epoch = history[-1].epoch
        if epoch < self.promised:
            return [Refuse(self.promised)]
        self.promised = epoch
        self.membership = max(self.membership, membership, key=lambda each: each.version)
        if history == self.history:
            return [Persist(), Acknowledge(epoch, self.scl)]
        end = common_end(self.history, history)
        self.history = history
        self._incoming.clear()
        if end is not None and end < self.tail:
            self._unsynced = deque(each for each in self._unsynced if each.end <= end)
            self.tail = end
            self.scl = min(self.scl, end)
            self.consistent = min(self.consistent, end)
            return [CutLog(end), Acknowledge(epoch, self.scl)]
        return [Persist(), Acknowledge(epoch, self.scl)]

    def change_membership(self, membership: Membership, writer: Epoch) -> list[Action]:
        """The writer changes who belongs to the protection group."""
        if writer < self.promised or writer != self.epoch:
            return [Refuse(self.promised)]
        self.membership = max(self.membership, membership, key=lambda each: each.version)
        return [Persist(), Acknowledge(writer, self.scl)]

    def behind(self, peer_scl: Lsn, history: History) -> list[Action]:
        """A peer says how far it is: ask it for what is missing here."""
        if history == self.history and peer_scl > self.tail:
            return [Ask(self.tail)]
        return []

    def corrupted(self, last_good: Lsn, consistent: Lsn) -> list[Action]:
        """The scrub found damage behind `last_good`: the log counts up to there only.

        consistent: the highest LSN up to `last_good` at which a record ends.
        """
        if last_good >= self.tail:
            return []
        self._unsynced.clear()
        self.tail = last_good
        self.scl = min(self.scl, last_good)
        self.consistent = min(self.consistent, consistent)
        return [CutLog(last_good), Ask(last_good)]

    def collect(self, floor: Lsn) -> Lsn:
        """Pages hold everything up to `floor`: return the LSN below which log may go."""
        self.floor = max(self.floor, min(floor, self.scl))
        return self.floor

    def begin_at(self, lsn: Lsn) -> None:
        """Hold the log from an LSN on, and nothing of it yet: what is below is in the pages.

        Peers have collected it, so that nothing else than the pages can stand in for it.
        """
        self.restart(lsn, lsn)
        self.floor = max(self.floor, lsn)

    def restart(self, tail: Lsn, consistent: Lsn) -> None:
        """The process came back; the disk holds a whole log up to `tail`."""
        self._unsynced.clear()
        self._incoming.clear()
        self.scl = self.tail = tail
        self.consistent = consistent

    def _acknowledgement(self) -> list[Action]:
        # The status that went out with a promise was the last word to the writer before: log that
        # reaches the disk after it is not in that status, so the new writer may cut it.
        if self.promised != self.epoch:
            return []
        return [Acknowledge(self.epoch, self.scl)]

    def _take(self, batch: Batch) -> list[Action]:
        if batch.end <= self.tail:
            # A duplicate; its acknowledgement may have been the lost one.
            return self._acknowledgement() if batch.end <= self.scl else []
        if batch.previous != self.tail:
            if batch.previous > self.tail and len(self._incoming) < INCOMING_MAX:
                self._incoming[batch.previous] = batch
            return []
        actions: list[Action] = []
        following: Batch | None = batch
        while following is not None:
            self._unsynced.append(following)
            self.tail = following.end
            actions.append(Write(following))
            following = self._incoming.pop(self.tail, None)
        if self._incoming:
            # What began below the new end can never fit any more.
            self._incoming = {at: each for at, each in self._incoming.items() if at > self.tail}
        return actions
