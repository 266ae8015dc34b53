"""The writer's side of a volume: what is durable, and how a volume is opened.

`Volume` counts acknowledgements. `Opening` is the recovery that comes before: it fences older
writers on a write quorum, finds the end of the log among what the segments hold, cuts everything
above it, and is done when a write quorum holds the log up to that end.

VCL, the volume complete LSN: a write quorum holds every batch up to it. VDL, the volume durable
LSN: the highest consistency point not above the VCL; a commit returns, and a reader sees, up to
here. Source: Verbitski et al. (SIGMOD 2017), sections 4.1 and 4.3; (SIGMOD 2018), section 2.4.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from cluster_runtime.errors import QuorumLostError, StaleEpochError
from cluster_runtime.storage.core.quorum import READ_QUORUM, WRITE_QUORUM, Membership
from cluster_runtime.storage.core.segment import (
    Cut,
    History,
    SegmentStatus,
    common_end,
    is_sound,
    shortened,
    writers_of,
)
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId


@dataclass(slots=True)
class Volume:
    """Durability as one writer sees it.

    history: ends with this writer's own cut.
    complete: the SCL that each segment acknowledged to this writer.
    stored: the version of the membership that each segment has on its disk.
    """

    history: History
    membership: Membership
    complete: dict[SegmentId, Lsn]
    vcl: Lsn = Lsn(0)
    vdl: Lsn = Lsn(0)
    fenced_by: Epoch | None = None
    stored: dict[SegmentId, int] = field(default_factory=dict)
    _points: deque[Lsn] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._points.append(self.history[-1].lsn)
        self._advance()

    @property
    def epoch(self) -> Epoch:
        """The epoch of this opening."""
        return self.history[-1].epoch

    def appended(self, end: Lsn, consistent: bool) -> None:
        """The writer has sent log up to `end`. Raises StaleEpochError once it is fenced."""
        if self.fenced_by is not None:
            raise StaleEpochError(
                f"the writer of epoch {self.epoch} was replaced by that of epoch {self.fenced_by}"
            )
        if consistent:
            self._points.append(end)

    def acknowledged(self, segment: SegmentId, scl: Lsn, epoch: Epoch) -> Lsn:
        """A segment holds everything up to `scl`, on disk; returns the VDL."""
        if epoch == self.epoch and scl > self.complete.get(segment, Lsn(-1)):
            self.complete[segment] = scl
            if scl > self.vcl:
                self._advance()
        return self.vdl

    def lost(self, segment: SegmentId, scl: Lsn) -> None:
        """A segment found damage: it holds less than it acknowledged. What is durable stays so."""
        self.complete[segment] = min(scl, self.complete.get(segment, scl))

    def refused(self, promised: Epoch) -> None:
        """A segment has promised a newer writer: this one must stop."""
        if promised > self.epoch:
            self.fenced_by = max(promised, self.fenced_by or promised)

    def membership_stored(self, segment: SegmentId, version: int) -> None:
        """A segment has a membership on its disk."""
        self.stored[segment] = max(version, self.stored.get(segment, 0))

    def begin_replacement(self, segment: SegmentId) -> Membership:
        """Make the successor of a segment a candidate. Writes need both sets from now on.

        Raises ValueError while another replacement is under way.
        """
        self.membership = self.membership.replacing(segment)
        return self.membership

    def finish_replacement(self) -> Membership | None:
        """The new set alone, once it holds everything durable without the old segment.

        None while it does not, and while a write quorum of either set has not stored that a
        replacement is under way: a later opening must meet one that has.
        """
        candidate = self.membership.with_replacement()
        told = [each for each, version in self.stored.items() if version >= self.membership.version]
        if candidate.held_by(self.complete) < self.vdl:
            return None
        if not self.membership.has_quorum(told, WRITE_QUORUM):
            return None
        self.membership = candidate
        return candidate

    def abandon_replacement(self) -> Membership:
        """Go back to the old set alone."""
        self.membership = self.membership.without_replacement()
        self._advance()
        return self.membership

    def _advance(self) -> None:
        held = self.membership.held_by(self.complete)
        if held <= self.vcl:
            return
        self.vcl = held
        points = self._points
        while points and points[0] <= held:
            self.vdl = points.popleft()


@dataclass(slots=True)
class Opening:
    """A writer opens the volume. Feed it statuses and acknowledgements; read its properties.

    Phases: promises from a write quorum, then adoption of the new history by a write quorum that
    holds the log up to its cut. A crash in the middle leaves a volume that opens again.
    """

    statuses: dict[SegmentId, SegmentStatus] = field(default_factory=dict)
    epoch: Epoch = Epoch(0)
    history: History = ()
    membership: Membership = field(default_factory=Membership)
    complete: dict[SegmentId, Lsn] = field(default_factory=dict)

    def seen(self, status: SegmentStatus) -> Epoch:
        """A segment's state before any promise; returns the epoch to ask promises for."""
        if not is_sound(status.promised, status.history):
            return self.epoch
        self.epoch = Epoch(max(self.epoch, status.promised + 1))
        self._learn(status.membership)
        return self.epoch

    def promised(self, status: SegmentStatus) -> None:
        """A segment has promised this epoch; the status is from after the promise."""
        if status.promised != self.epoch:
            raise StaleEpochError(
                f"segment {status.segment} promised epoch {status.promised}, not {self.epoch}"
            )
        if not is_sound(status.promised, status.history):
            return  # it is damaged, and so it is lost: it says nothing about the others
        self.statuses[status.segment] = status
        self._learn(status.membership)

    @property
    def may_cut(self) -> bool:
        """Whether a write quorum of every set has promised."""
        return self.membership.has_quorum(self.statuses, WRITE_QUORUM)

    def cut(self) -> History:
        """Decide where the log ends; the history that every segment must adopt.

        Raises QuorumLostError without promises of a write quorum.
        """
        if not self.may_cut:
            raise QuorumLostError(
                f"{len(self.statuses)} of {len(self.membership.segments)} segments answer; a "
                f"volume opens for writes with {WRITE_QUORUM} of every six. Heal segments and try "
                "again"
            )
        base, end = recovery_point(self.statuses.values())
        if self._all_are_level(base, end):
            base = shortened(base, min(each.begins for each in self.statuses.values()))
        self.history = (*base, Cut(self.epoch, end))
        return self.history

    def adopted(self, segment: SegmentId, scl: Lsn) -> None:
        """A segment has adopted the history and holds the log up to `scl`."""
        self.complete[segment] = max(scl, self.complete.get(segment, scl))

    @property
    def is_open(self) -> bool:
        """Whether a write quorum has adopted the history and holds the log up to its cut."""
        if not self.history or not self.membership.has_quorum(self.complete, WRITE_QUORUM):
            return False
        return self.membership.held_by(self.complete) >= self.history[-1].lsn

    def volume(self) -> Volume:
        """The opened volume. Raises QuorumLostError before `is_open`."""
        if not self.is_open:
            raise QuorumLostError(
                "no write quorum holds the recovered log yet; heal segments and wait for repair"
            )
        return Volume(self.history, self.membership, dict(self.complete))

    def _all_are_level(self, history: History, end: Lsn) -> bool:
        """Whether all six have promised, with one history and one end of the log.

        So every history that anybody may still come with goes back to the same cut. And wherever an
        adoption of a shortened one stops, any segment holds all the log: a release that knows of
        no shortened ones, and takes the two for different logs, may drop either.
        """
        return (
            not self.membership.changing
            and {*self.membership.segments} <= {*self.statuses}
            and all(
                each.history == history and each.consistent == end
                for each in self.statuses.values()
            )
        )

    def _learn(self, membership: Membership) -> None:
        if membership.version > self.membership.version:
            self.membership = membership


def recovery_point(statuses: Iterable[SegmentStatus]) -> tuple[History, Lsn]:
    """(history, LSN) of the log that a read quorum holds, up to its last consistency point.

    The history is that of `newest_not_refuted`. What was acknowledged is on four of six,
    so on one of any three: the longest log that agrees with this history holds all of it, and
    perhaps some that nobody was promised. A cut of readers is no end of the log: what they were
    shown is on three of six, so on one of any four, and another half may have shown more.
    """
    found = list(statuses)
    base = newest_not_refuted([status.history for status in found])
    ends = []
    for status in found:
        same = common_end(writers_of(status.history), base)
        ends.append(status.consistent if same is None else min(status.consistent, same))
    return base, Lsn(max(ends, default=0))


def newest_not_refuted(histories: Collection[History]) -> History:
    """The history of the newest writer that no newer cut refutes, as that writer decided on it.

    A writer has opened the volume once four of six adopted its cut. Whoever opens later, with
    three promises or four, for readers or a writer, meets one of these, and puts its own cut
    behind that one. So a history that ends with a newer cut and lacks this one proves that its
    writer never opened, and never will: it wrote no log, and what its cut left out may have been
    shown to readers since. Where one half of the segments proves it, a newer cut of the other half,
    which did not know and built on it, does not count against that.

    Cuts below the newest one stay, refuted or not: its writer went on from them, and may have
    written. All histories with a cut of a writer are the same up to there.
    """
    return max(
        (
            writers[: at + 1]
            for writers in map(writers_of, histories)
            for at, cut in enumerate(writers)
            if all(cut in other or other[-1].epoch < cut.epoch for other in histories if other)
        ),
        key=lambda history: history[-1],
        default=(),
    )


@dataclass(frozen=True, slots=True)
class ReadPoint:
    """Up to where a volume can be read without a writer."""

    history: History
    lsn: Lsn

    def cut(self, epoch: Epoch) -> History:
        """The history that the answering segments adopt, under the epoch they have promised.

        The cut refutes a writer whose opening failed and that had cut lower elsewhere: see
        `newest_not_refuted`. The next opening leaves it out of its history, for its own
        cut, which is newer, proves the same.
        """
        return (*self.history, Cut(epoch, self.lsn, of_readers=True))


def read_point(statuses: Iterable[SegmentStatus], membership: Membership) -> ReadPoint:
    """The end of the log for readers while no write quorum answers.

    Having promised an epoch, the answering segments let no older writer commit or open any more.
    The caller has each of them adopt `cut` and catch up by gossip before it shows anything: then
    every later write quorum meets a segment that holds what was shown. Two openings for readers may
    meet different halves of the six, and one may show less than the other; what either showed is
    of one log, and a write quorum meets both halves.
    Raises QuorumLostError with fewer than three of six.
    """
    found = {each.segment: each for each in statuses if is_sound(each.promised, each.history)}
    if not membership.has_quorum(found, READ_QUORUM):
        raise QuorumLostError(
            f"{len(found)} of {len(membership.segments)} segments answer; reading takes "
            f"{READ_QUORUM} of every six. Heal segments and try again"
        )
    return ReadPoint(*recovery_point(found.values()))
