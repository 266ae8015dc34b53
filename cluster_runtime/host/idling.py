"""When a background host ends because nobody needs it: a rule, without a clock."""

from dataclasses import dataclass

IDLE_SECONDS = 15 * 60.0
"""What a background host waits by default."""
LOOK_SECONDS_MAX = 15.0
"""The longest time between two looks at who is there."""


@dataclass(frozen=True, slots=True)
class Use:
    """Who needs a host. attached: processes. calls: under way. connections: through the gateway.

    running: clusters that have a process.
    """

    attached: int = 0
    calls: int = 0
    connections: int = 0
    running: int = 0

    @property
    def idle(self) -> bool:
        """Whether nobody needs it."""
        return not (self.attached or self.calls or self.connections or self.running)


@dataclass(slots=True)
class IdleEnd:
    """The idleness of one host. Times are seconds of any monotonic clock, passed in.

    limit_seconds: how long nobody may need it until it ends. idle_since: None while it is needed.
    """

    limit_seconds: float
    idle_since: float | None = None

    def next_look(self, use: Use, now: float) -> float | None:
        """Seconds until the next look; None: end now."""
        if not use.idle:
            self.idle_since = None
            return min(self.limit_seconds, LOOK_SECONDS_MAX)
        if self.idle_since is None:
            self.idle_since = now
        left = self.idle_since + self.limit_seconds - now
        return min(left, LOOK_SECONDS_MAX) if left > 0 else None
