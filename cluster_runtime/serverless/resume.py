"""What is told of resumes that fail: those that say something new.

A client that is refused tries again, many times a second perhaps. Each of its tries is a resume; an
event for each would push out what else happened to the cluster.
"""

from dataclasses import dataclass

TELL_AGAIN_S = 300.0


@dataclass(slots=True)
class FailedResumes:
    """Which failures of one cluster are worth an event. Times are those of any monotonic clock."""

    said: str = ""
    said_at: float = 0.0

    def failed(self, why: str, now: float) -> bool:
        """Whether to tell it: another reason than the last time, or long after that."""
        if why == self.said and now - self.said_at < TELL_AGAIN_S:
            return False
        self.said, self.said_at = why, now
        return True

    def succeeded(self) -> None:
        """The next failure is news again."""
        self.said = ""
