"""How fast log may come: a writer must not outrun the segments for good. No clock, no disk.

Commits wait for four of six segments, so two of them may be slower than the writer. Two things hold
it back, and both only for so long as they help:

* a segment that takes what comes, and would be overtaken in the next moment, is waited for, at most
  a fifth of the time: catching up costs more than such a wait;
* while a segment that is far behind catches up, log comes at a share of the rate at which it is
  copied to it, so that the distance shrinks however fast the writer is. Some may always come: what
  small commits need. Where nothing is copied, nobody is held back for it.

Commits, and with them the statements behind them, take longer then; nothing is refused. Aurora has
such a limit too, on what was not acknowledged by the quorum yet: the LSN allocation limit.
Source: Verbitski et al. (SIGMOD 2017), section 4.2.1.
"""

import math
from dataclasses import dataclass

LAG_BYTES = 64 << 20
"""A segment that lacks less than this is soon up with the others, whatever the writer does."""
SHARE = 0.25
"""Bytes of the writer for each byte that is copied to a segment."""
RATE_MIN = 4 << 20
"""Bytes a second that may always come."""
BURST_BYTES = 1 << 20
"""Most that may come at once after a rest."""
IDLE_S = 2.0
"""How long after something was copied to a segment the writer is held back."""
WAIT_MIN_S = 0.001
PATIENCE_S = 0.2
PATIENCE_SHARE = 0.2
"""How long a slow segment is waited for, and which share of all time at most."""


@dataclass(slots=True)
class BackPressure:
    """Fed with what comes and what is copied. Times are seconds of any monotonic clock."""

    _now: float = 0.0
    _copied_at: float = -math.inf
    _throttled: bool = False
    _allowance: float = 0.0
    _patience: float = PATIENCE_S
    _waiting: bool = False

    def seen(self, now: float, *, lag: int, overtakes: bool) -> None:
        """Take in how things are.

        lag: bytes of log that the furthest of those lacks that are catching up; 0 without one.
        overtakes: whether more log would overtake a segment that takes what comes.
        """
        passed = max(0.0, now - self._now)
        self._now = now
        if self._waiting:
            self._patience -= passed
        else:
            self._patience = min(PATIENCE_S, self._patience + passed * PATIENCE_SHARE)
        # Once spent it has to come back first: many waits of no length would be none.
        needed = WAIT_MIN_S if self._waiting else PATIENCE_S / 4
        self._waiting = overtakes and self._patience > needed
        if not self._throttled:
            self._allowance = BURST_BYTES
        far = lag > LAG_BYTES or (self._throttled and lag > 0)
        self._throttled = far and now - self._copied_at <= IDLE_S
        self._allowance = min(BURST_BYTES, self._allowance + passed * RATE_MIN)

    def took(self, count: int) -> None:
        """Note bytes of log that came from the writer."""
        self._allowance -= count

    def copied(self, count: int) -> None:
        """Note bytes of log that were copied to a segment which is behind."""
        self._copied_at = self._now
        self._allowance = min(BURST_BYTES, self._allowance + count * SHARE)

    @property
    def wait_s(self) -> float:
        """In how many seconds log may come, if nothing else happens before; 0 for at once."""
        waits = [0.0]
        if self._waiting:
            waits.append(self._patience)
        if self._throttled and self._allowance < 0:
            waits.append(max(WAIT_MIN_S, -self._allowance / RATE_MIN))
        return max(waits)

    @property
    def throttled(self) -> bool:
        """Whether log comes slower than the writer would send it, for a segment's sake."""
        return self._throttled
