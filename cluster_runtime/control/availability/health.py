"""Whether an instance lives, is dead, or hangs: by its process, by a query with a deadline, and,
of a writer, by its log. Who writes log is busy, however long a query waits beside that.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto

UNANSWERED_S = 8.0
"""How long a query may wait for its answer. A machine under load answers late, not never."""
STOPPED_S = 1.5
"""How long the process may be stopped: a signal that is taken back at once harms nobody."""


class Process(Enum):
    """What the operating system says of a postmaster."""

    RUNS = auto()
    STOPPED = auto()
    """By a signal: it lives, and does nothing."""
    GONE = auto()


class Verdict(Enum):
    """What is to be thought of an instance."""

    WELL = auto()
    HANGS = auto()
    DEAD = auto()


@dataclass(slots=True)
class Health:
    """What was seen of one run of an instance. Times are of one clock, in seconds."""

    asked_at: float | None = None
    """When the query began that has no answer yet."""
    stopped_since: float | None = None
    log: int | None = None
    """How far its log was when it was last looked at; nothing of a reader."""
    log_moved_at: float = -math.inf

    def asked(self, now: float) -> None:
        """A query was sent; one that is under way counts on."""
        if self.asked_at is None:
            self.asked_at = now

    def answered(self) -> None:
        """It has been answered, by rows or by an error."""
        self.asked_at = None

    def seen(self, process: Process, now: float, log: int | None = None) -> Verdict:
        """The verdict, once its process was looked at. log: how far that of a writer is."""
        if log != self.log:
            self.log, self.log_moved_at = log, now
        if process is Process.GONE:
            return Verdict.DEAD
        if process is Process.RUNS:
            self.stopped_since = None
        elif self.stopped_since is None:
            self.stopped_since = now
        if self.stopped_since is not None and now - self.stopped_since >= STOPPED_S:
            return Verdict.HANGS
        if self.asked_at is not None:
            silent = now - max(self.asked_at, self.log_moved_at)
            return Verdict.HANGS if silent >= UNANSWERED_S else Verdict.WELL
        return Verdict.WELL
