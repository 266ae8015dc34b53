"""When a disk that fills up is reason to stop who fills it, without a clock and without a disk.

A full disk ends every cluster on it at once: no segment takes log any more, no commit returns. One
statement that is told so in time is the smaller harm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

MIB = 1 << 20
FLOOR_BYTES = 256 * MIB
"""What must stay free: enough for commits to go on while the space of what was stopped is freed."""
ATTENTION_BYTES = 1024 * MIB
HORIZON_S, ATTENTION_HORIZON_S = 3.0, 10.0
WRITER_BYTES_MIN = 1 * MIB
"""Who wrote less than this since the look before is not what fills the disk."""


class Space(Enum):
    """PLENTY: look again later. TIGHT: find out who writes. SHORT: stop who writes most."""

    PLENTY = "plenty"
    TIGHT = "tight"
    SHORT = "short"


@dataclass(slots=True)
class FreeSpace:
    """Follows the free bytes of one file system."""

    _at: float | None = None
    _free: int = 0

    def seen(self, now: float, free: int) -> Space:
        """Take in what is free now; times are seconds of any monotonic clock."""
        rate = 0.0
        if self._at is not None and now > self._at:
            rate = max(0.0, (self._free - free) / (now - self._at))
        self._at, self._free = now, free
        if free - rate * HORIZON_S < FLOOR_BYTES:
            return Space.SHORT
        if free < ATTENTION_BYTES or free - rate * ATTENTION_HORIZON_S < ATTENTION_BYTES:
            return Space.TIGHT
        return Space.PLENTY


Statement = tuple[str, int]
"""A cluster, and the server process that runs the statement in it."""


@dataclass(slots=True)
class Writers:
    """Who wrote how much log since the look before."""

    _before: dict[Statement, int] = field(default_factory=dict)
    _since: dict[Statement, int] = field(default_factory=dict)

    def seen(self, written: Mapping[Statement, int]) -> None:
        """Take in what each process that writes has written so far, in bytes.

        One that was not there before counts from now on.
        """
        self._since = {who: count - self._before.get(who, count) for who, count in written.items()}
        self._before = dict(written)

    @property
    def biggest(self) -> Statement | None:
        """Who wrote most; None where nobody wrote much."""
        who = max(self._since, key=lambda each: self._since[each], default=None)
        return who if who is not None and self._since[who] >= WRITER_BYTES_MIN else None
