"""When a paused cluster gives back what can be made again: the rule, without a clock.

Aurora puts an instance that has been paused for more than 24 hours into a deeper sleep, from which
it takes longer to resume. Here such a cluster gives its data directory back: its volume has all
that was in it, and the next connect makes it again.

Times are seconds since 1970: a pause outlives its host, and any clock but the wall's.
Source: Aurora User Guide, "Scaling to Zero ACUs with automatic pause and resume".
"""

from dataclasses import dataclass

DEEP_PAUSE_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Paused:
    """A cluster that runs no process.

    since: when it was paused; None where that is not known any more, as after a deep pause that was
    cut short. seconds: how long until its deep pause; None: it has none.
    """

    since: float | None
    seconds: int | None

    @property
    def due_at(self) -> float | None:
        """When the deep pause begins; None: never."""
        if self.seconds is None:
            return None
        return self.since + self.seconds if self.since is not None else 0.0

    def wait(self, now: float) -> float | None:
        """Seconds until then, 0 where it is due; None: never.

        A pause that lies in the future, after the clock was set back, counts from now on.
        """
        due_at = self.due_at
        if due_at is None or self.seconds is None:
            return None
        return min(max(0.0, due_at - now), float(self.seconds))
