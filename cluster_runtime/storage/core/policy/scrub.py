"""When which part of a volume is verified. No clock, no disk, no thread.

Every part of every segment is read once in a pass, and a pass is due once a day; in between, bytes
are read no faster than a rate that commits do not notice. What is damaged is repaired by whoever
reads it; this only counts.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from cluster_runtime.storage.core.types import SegmentId

PERIOD_S = 24 * 3600.0
FIRST_AFTER_S = 120.0
"""How long after its opening a volume that was not verified for a period is left alone. Less than
an idle cluster is awake by default: while it is paused, its volume is closed."""
RATE_BYTES_PER_S = 16 << 20


class PartKind(Enum):
    """LOG: a file of the hot log. PAGES: some files of a page image."""

    LOG = "log"
    PAGES = "pages"


@dataclass(frozen=True, slots=True)
class Part:
    """What is verified at once.

    place: the log position at which the file starts, or the redo LSN of the image.
    first, last: the image's files from `first` up to, not including, `last`.
    """

    segment: SegmentId
    kind: PartKind
    place: int
    bytes: int
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """completed_at: when the last pass ended, in seconds since 1970; None where there was none yet.

    under_way: share of the pass under way that is done, 0 to 1; None between two passes.
    damaged: parts in which damage was found since the volume was opened.
    """

    completed_at: float | None
    under_way: float | None
    damaged: int


@dataclass(slots=True)
class ScrubSchedule:
    """Times are seconds since 1970. opened_at: when the volume was."""

    opened_at: float
    completed_at: float | None = None
    period_s: float = PERIOD_S
    first_after_s: float = FIRST_AFTER_S
    rate_bytes_per_s: float = RATE_BYTES_PER_S
    damaged: int = 0
    _parts: deque[Part] = field(default_factory=deque)
    _total: int = 0
    _running: bool = False
    _next_at: float = 0.0

    def __post_init__(self) -> None:
        last = self.completed_at if self.completed_at is not None else -self.period_s
        self._next_at = max(last + self.period_s, self.opened_at + self.first_after_s)

    @property
    def next_at(self) -> float:
        """When there is something to do."""
        return self._next_at

    def wants_parts(self, now: float) -> bool:
        """Whether a pass is due: `begin` it with what there is to verify."""
        return not self._running and now >= self._next_at

    def begin(self, parts: Iterable[Part]) -> None:
        """Begin a pass over these parts."""
        self._parts = deque(parts)
        self._total = len(self._parts)
        self._running = True

    def take(self, now: float) -> Part | None:
        """The part whose turn it is; None before its time, and at the end of a pass."""
        if not self._running or now < self._next_at:
            return None
        if not self._parts:
            self._running = False
            self.completed_at = now
            self._next_at = now + self.period_s
            return None
        part = self._parts.popleft()
        self._next_at = now + part.bytes / self.rate_bytes_per_s
        return part

    def found_damage(self) -> None:
        """Count a part that did not fit its checksum."""
        self.damaged += 1

    def report(self) -> ScrubReport:
        """When the last pass ended, how far this one is, and what was found."""
        done = 1 - len(self._parts) / self._total if self._running and self._total else None
        return ScrubReport(self.completed_at, done, self.damaged)
