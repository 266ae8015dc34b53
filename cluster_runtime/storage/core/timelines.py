"""The timelines of a volume's log: which one each LSN belongs to, and their history files.

Source: PostgreSQL `timeline.c`: a history file has a line for each ancestor, oldest first, of
parent timeline, the LSN where it was left, and a reason, separated by tabs.
"""

from bisect import bisect_right
from dataclasses import dataclass

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.wal_records import format_lsn, parse_lsn


@dataclass(frozen=True, slots=True)
class Timelines:
    """current: the timeline of the newest log. ended: (timeline, LSN it was left at), in order."""

    current: int = 1
    ended: tuple[tuple[int, int], ...] = ()

    @classmethod
    def from_history(cls, current: int, history: str) -> "Timelines":
        """Read a history file. Raises ValueError for a line that is none."""
        ended = []
        for line in history.splitlines():
            text = line.partition("#")[0].strip()
            if text:
                timeline, lsn, *_ = text.split(None, 2)
                ended.append((int(timeline), parse_lsn(lsn)))
        return cls(current, tuple(ended))

    @property
    def known(self) -> tuple[int, ...]:
        """Every timeline of the log, in order."""
        return (*(each for each, _ in self.ended), self.current)

    def history(self, timeline: int) -> str:
        """The history file of a timeline: those that were left before it. Raises LookupError."""
        if timeline not in self.known:
            raise LookupError(timeline)
        before = self.ended[: self.known.index(timeline)]
        return "".join(f"{each}\t{format_lsn(lsn)}\tpromoted\n\n" for each, lsn in before)

    def at(self, lsn: int) -> int:
        """The timeline whose WAL file holds the byte at an LSN."""
        index = bisect_right([end for _, end in self.ended], lsn)
        return self.ended[index][0] if index < len(self.ended) else self.current

    def end_of(self, timeline: int) -> int | None:
        """Where a timeline was left; None for the current one. Raises LookupError if unknown."""
        if timeline == self.current:
            return None
        for each, end in self.ended:
            if each == timeline:
                return end
        raise LookupError(timeline)

    def after(self, timeline: int) -> int:
        """The timeline that followed one that was left."""
        return self.known[self.known.index(timeline) + 1]

    def until(self, lsn: int) -> "Timelines":
        """Those of the log up to an LSN, at which it is cut off."""
        kept = tuple(each for each in self.ended if each[1] < lsn)
        return Timelines(self.known[len(kept)], kept)

    def promoted(self, timeline: int, history: str, end: int) -> "Timelines":
        """What follows when a reader is promoted where a log ends, as its history file says.

        Raises StorageError where it left this log elsewhere, or follows another one.
        """
        timelines = Timelines.from_history(timeline, history)
        if not timelines.ended or self.ended != timelines.ended[: len(self.ended)]:
            raise StorageError(
                f"the server's timeline {timeline} does not descend from this volume's timeline "
                f"{self.current}; rebuild its data directory"
            )
        left = timelines.ended[-1][1]
        if left != end:
            raise StorageError(
                f"the server left timeline {self.current} at {format_lsn(left)}, the volume ends "
                f"at {format_lsn(end)}; rebuild it"
            )
        return timelines
