"""How far back a volume can be rewound: moments that are known, and what they may cost.

A tick says how far the log was durable at a time. Between two ticks the times of the commit records
tell more (`core.wal_commits`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from cluster_runtime.storage.core.policy.retention import ImagePoint

BACKTRACK_SECONDS = 86_400
BACKTRACK_SECONDS_MAX = 259_200
"""RDS: 72 hours."""
LEAST_BYTES = 256 << 20
DATABASES = 4
"""What the window may cost by default: this many databases, and not less than the least."""

LOG_COPIES = 6


@dataclass(frozen=True, slots=True)
class Window:
    """seconds: how far back; 0: not at all. bytes_max: what it may take; None: in proportion."""

    seconds: int = BACKTRACK_SECONDS
    bytes_max: int | None = None

    def bytes_for(self, database_bytes: int) -> int:
        """What it may take on the disk, beside what the volume takes without it."""
        if self.bytes_max is not None:
            return self.bytes_max
        return max(LEAST_BYTES, DATABASES * database_bytes)


@dataclass(frozen=True, slots=True)
class Tick:
    """At that time, in seconds since 1970, everything up to `lsn` was durable."""

    time: float
    lsn: int


@dataclass(frozen=True, slots=True)
class Cost:
    """An image and what it takes on the disk that no newer image has."""

    image: ImagePoint
    bytes: int


def last_before(ticks: Sequence[Tick], time: float) -> Tick | None:
    """The last tick that is not after a time."""
    index = bisect_right(ticks, time, key=lambda each: each.time)
    return ticks[index - 1] if index else None


def first_at(ticks: Sequence[Tick], lsn: int) -> Tick | None:
    """The first tick at which an LSN was durable."""
    index = bisect_left(ticks, lsn, key=lambda each: each.lsn)
    return ticks[index] if index < len(ticks) else None


def begins(
    ticks: Sequence[Tick], images: Sequence[Cost], window: Window, now: float, budget: int
) -> int | None:
    """The LSN from which on a volume can be rewound; None where the window is shut.

    images: from the oldest to the newest; the newest one is kept in any case. budget: bytes that
    the window may take.
    """
    if not window.seconds or not ticks:
        return None
    by_time = last_before(ticks, now - window.seconds) or ticks[0]
    wanted = by_time.lsn
    taken = 0
    newest = images[-1].image if images else None
    for older in reversed(images[:-1]):
        assert newest is not None, "an older image has a newer one"
        taken += older.bytes
        if older.image.redo < newest.redo:
            below = (newest.redo - older.image.redo) * LOG_COPIES
            if taken + below > budget:
                # From the image after this one on: its pages are the first that may stay.
                following = next(each for each in images if each.image.redo > older.image.redo)
                return max(wanted, following.image.lsn)
    return wanted
