"""When an idle cluster, or one of its readers, pauses: the rules, without a clock.

A cluster whose minimum capacity is 0 ACU pauses once no user connection has been open for
`seconds_until_auto_pause`. The writer and the readers of promotion tier 0 or 1 pause and resume
together; a reader of another tier does so alone. Logical replication keeps the writer awake, and so
those that follow it. Times are seconds of any monotonic clock, passed in by the caller.

Source: Aurora User Guide, "Scaling to Zero ACUs with automatic pause and resume".
"""

from dataclasses import dataclass

FOLLOWS_THE_WRITER_UP_TO = 1
"""The highest promotion tier of readers that do."""


def tier_pauses_alone(promotion_tier: int) -> bool:
    """Whether a reader of that tier pauses and resumes by itself, and not with the writer."""
    return promotion_tier > FOLLOWS_THE_WRITER_UP_TO


@dataclass(frozen=True, slots=True)
class Activity:
    """What goes on in a writer besides connections. workers: that are in a transaction now."""

    logical_slots: int = 0
    subscriptions: int = 0
    workers: int = 0

    @property
    def keeps_awake(self) -> str:
        """What keeps it from pausing, in words; empty where nothing does."""
        found = (
            (self.logical_slots, "logical replication slots"),
            (self.subscriptions, "subscriptions to logical replication"),
            (self.workers, "background workers with a transaction"),
        )
        return ", ".join(f"{number} {what}" for number, what in found if number)


@dataclass(slots=True)
class ReaderPause:
    """The idleness of a reader that pauses alone. idle_since: of its last connection or start."""

    idle_since: float

    def seen(self, connections: int, idle_seconds: float | None, now: float) -> bool:
        """Whether to pause it now. idle_seconds: how long it must be idle; None: never."""
        if connections or idle_seconds is None:
            self.idle_since = now
            return False
        return now - self.idle_since >= idle_seconds


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
        """The cluster runs again, or was found at work: both count as activity."""
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
