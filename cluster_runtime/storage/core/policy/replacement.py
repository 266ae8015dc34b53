"""When a segment is replaced, and when a replacement is taken back. No clock, no disk, no thread.

A segment whose files are lost is replaced at once; one that is away, once it has been for a while:
most come back, and a replacement copies a whole segment. A zone that is away as a whole is waited
for, since a successor has to stand in the same zone. What the change does to quorums is decided in
`quorum` and `volume`.

Source: Verbitski et al. (SIGMOD 2018), section 4.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from cluster_runtime.storage.core.quorum import WRITE_QUORUM, Membership
from cluster_runtime.storage.core.types import SegmentId, az_of

AWAY_LIMIT_S = 60.0
"""How long a segment may be away, or refuse writes, before it is replaced."""
RETRY_AFTER_S = 30.0
"""How long after a replacement that failed the next one begins."""


class Condition(Enum):
    """How a member of the protection group is found."""

    ANSWERS = "answers"
    AWAY = "away"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Begin:
    """Have the successor of a segment join by quorum sets."""

    segment: SegmentId


@dataclass(frozen=True, slots=True)
class Abandon:
    """Go back to the set without the candidate."""


@dataclass(slots=True)
class ReplacementPolicy:
    """Fed with every look at the segments; says what to do next. Times are seconds of any clock."""

    away_limit_s: float = AWAY_LIMIT_S
    retry_after_s: float = RETRY_AFTER_S
    _not_before: float = -math.inf
    _since: dict[SegmentId, float] = field(default_factory=dict)

    def decide(
        self, now: float, membership: Membership, conditions: Mapping[SegmentId, Condition]
    ) -> Begin | Abandon | None:
        """conditions: of every segment of `membership`."""
        self._since = {
            each: self._since.get(each, now)
            for each, condition in conditions.items()
            if condition is not Condition.ANSWERS
        }
        gone = {each for each in conditions if self._is_gone(each, now, conditions)}
        if membership.changing:
            candidate, replaced = membership.candidate, membership.replaced
            back = replaced is not None and conditions[replaced] is Condition.ANSWERS
            if back or candidate in gone:
                self.gave_up(now)
                return Abandon()
            return None
        answering = [each for each in conditions if conditions[each] is Condition.ANSWERS]
        if len(answering) < WRITE_QUORUM or now < self._not_before:
            return None  # too few to agree on the change, or the last one was given up just now
        waited_for = {az_of(each) for each in conditions} - {
            az_of(each) for each in conditions if conditions[each] is not Condition.AWAY
        }
        due = [each for each in gone if az_of(each) not in waited_for]
        if not due:
            return None
        lost = [each for each in due if conditions[each] is Condition.LOST]
        return Begin(min(lost or due, key=lambda each: (self._since[each], each)))

    def gave_up(self, now: float) -> None:
        """A replacement failed; the next one is not tried at once."""
        self._not_before = now + self.retry_after_s

    def _is_gone(
        self, segment: SegmentId, now: float, conditions: Mapping[SegmentId, Condition]
    ) -> bool:
        match conditions[segment]:
            case Condition.ANSWERS:
                return False
            case Condition.AWAY:
                return now - self._since[segment] >= self.away_limit_s
            case Condition.LOST:
                return True
