"""When an idle cluster pauses: the rule, without a clock.

A cluster whose minimum capacity is 0 ACU pauses once no user connection has been open for
`seconds_until_auto_pause`. Times are seconds of any monotonic clock, passed in by the caller.

Source: Aurora User Guide, "Scaling to Zero ACUs with automatic pause and resume".
"""

from dataclasses import dataclass


@dataclass(slots=True)
class AutoPause:
    """The idleness of one cluster.

    idle_seconds: how long without a connection until it pauses; None: never.
    idle_since: when the last connection closed, or the cluster last started.
    at_rest: it is paused already, and nobody has come since.
    """

    idle_seconds: float | None
    idle_since: float
    connections: int = 0
    at_rest: bool = False

    def opened(self) -> None:
        """A user connection has begun; from here on the cluster must not pause."""
        self.connections += 1
        self.at_rest = False

    def closed(self, now: float) -> None:
        """A user connection has ended."""
        if self.connections == 0:
            raise ValueError("closed() without the opened() that goes before it")
        self.connections -= 1
        self.idle_since = now

    def started(self, now: float) -> None:
        """The cluster runs again; being woken counts as activity."""
        self.idle_since = now
        self.at_rest = False

    def rested(self) -> None:
        """The cluster is paused now: there is nothing to wait for until somebody comes."""
        self.at_rest = True

    def configured(self, idle_seconds: float | None, now: float) -> None:
        """The setting changed; the time already spent idle does not count."""
        self.idle_seconds = idle_seconds
        self.idle_since = now

    @property
    def deadline(self) -> float | None:
        """When to pause if nothing happens until then; None while there is no such time."""
        if self.idle_seconds is None or self.connections or self.at_rest:
            return None
        return self.idle_since + self.idle_seconds

    def due(self, now: float) -> bool:
        """Whether to pause now."""
        deadline = self.deadline
        return deadline is not None and now >= deadline
