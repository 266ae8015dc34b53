"""Which log is durable: acknowledgements of six segments, and quorum sets while one is replaced.

Source: Verbitski et al., "Amazon Aurora: On Avoiding Distributed Consensus for I/Os, Commits, and
Membership Changes" (SIGMOD 2018), sections 2 and 4.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cluster_runtime.storage.core.types import SEGMENT_IDS, Lsn, SegmentId, successor_of

WRITE_QUORUM = 4
READ_QUORUM = 3


@dataclass(frozen=True, slots=True)
class Membership:
    """The segments of a protection group.

    version: raised by each change; of two memberships the higher one counts.
    sets: one set of six; two of them while a segment is being replaced. A write needs its quorum
        in every set, and so does a read: whatever either set alone could have acknowledged is
        seen, and going back to the old set is as safe as going on to the new one.
    """

    version: int = 1
    sets: tuple[tuple[SegmentId, ...], ...] = (SEGMENT_IDS,)

    @property
    def segments(self) -> tuple[SegmentId, ...]:
        """Every segment of any set, once."""
        return tuple(dict.fromkeys(segment for members in self.sets for segment in members))

    @property
    def changing(self) -> bool:
        """Whether a segment is being replaced."""
        return len(self.sets) > 1

    def replacing(self, segment: SegmentId) -> "Membership":
        """The membership in which the successor of `segment` is a candidate.

        Raises ValueError while another replacement is under way.
        """
        if self.changing:
            raise ValueError("a replacement is under way; finish it or take it back first")
        (members,) = self.sets
        if segment not in members:
            raise ValueError(f"segment {segment!r} is not a member of {members}")
        version = self.version + 1
        changed = tuple(
            successor_of(each, version) if each == segment else each for each in members
        )
        return Membership(version, (members, changed))

    @property
    def replaced(self) -> SegmentId | None:
        """The segment that a replacement under way takes out; None while there is none."""
        return next((each for each in self.sets[0] if each not in self.sets[-1]), None)

    @property
    def candidate(self) -> SegmentId | None:
        """The segment that a replacement under way brings in; None while there is none."""
        return next((each for each in self.sets[-1] if each not in self.sets[0]), None)

    def with_replacement(self) -> "Membership":
        """The membership after the replacement: the new set alone."""
        return Membership(self.version + 1, (self.sets[-1],))

    def without_replacement(self) -> "Membership":
        """The membership with the replacement taken back: the old set alone."""
        return Membership(self.version + 1, (self.sets[0],))

    def has_quorum(self, answered: Collection[SegmentId], size: int) -> bool:
        """Whether `size` segments of every set are among those that answered."""
        return all(sum(each in answered for each in members) >= size for members in self.sets)

    def held_by(self, complete: Mapping[SegmentId, Lsn], size: int = WRITE_QUORUM) -> Lsn:
        """The highest LSN that `size` segments of every set hold without a gap below it."""
        return min(
            sorted([complete.get(each, Lsn(0)) for each in members])[-size] for members in self.sets
        )
