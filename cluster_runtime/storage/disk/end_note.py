"""Where a segment's log ended when somebody looked last: what an opening need not read again.

It says of the log below it what a file's mark says: that this segment holds all of it. It lies
beside the log, and is left out of account where it does not fit the log that is there. What a
repair or a cut takes away it must not name: so it goes first.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_runtime.storage.core.segment import History
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.filesystem import Disk
from cluster_runtime.storage.disk.sealed import SealBrokenError, seal, unseal

END_FILE = "end.json"
_KIND = "end"


@dataclass(frozen=True, slots=True)
class EndNote:
    """position, lsn: the log is here up to there. consistent: where its last record ends.

    history: of the log that this is true of.
    """

    position: int
    lsn: Lsn
    consistent: Lsn
    history: History

    def encode(self) -> bytes:
        """The file's bytes, with their checksum."""
        said = {**self._numbers(), "history": _plain(self.history)}
        return seal(_KIND, json.dumps(said).encode())

    @classmethod
    def decode(cls, content: bytes, history: History) -> "EndNote | None":
        """None where it is damaged, or of a log with another history than this one."""
        try:
            said: dict[str, Any] = json.loads(unseal(_KIND, content))
            if said.pop("history") != _plain(history):
                return None
            return cls(**said, history=history)
        except (SealBrokenError, ValueError, TypeError, KeyError):
            return None

    def _numbers(self) -> dict[str, int]:
        return {"position": self.position, "lsn": self.lsn, "consistent": self.consistent}


class EndNotes:
    """The note of one segment, on its disk. The caller sees to it that one thread changes it."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory, self._disk = directory, disk
        self._found: EndNote | None = None

    def keep(self, note: EndNote) -> None:
        """Have the next opening find it. Raises OSError."""
        self._disk.replace(self._directory / END_FILE, note.encode())

    def remember(self, note: EndNote) -> None:
        """Have it found as long as this process has the segment open."""
        self._found = note

    def is_remembered(self, note: EndNote) -> bool:
        """Whether it is what `remember` was told."""
        return note is self._found

    def forget(self) -> None:
        """The log does not go that far any more. Raises OSError."""
        self._found = None
        if self._disk.exists(self._directory / END_FILE):
            self._disk.remove(self._directory / END_FILE)
            self._disk.sync_directory(self._directory)

    def fitting(self, start: int, end: int, history: History) -> EndNote | None:
        """What fits a log of this history, from one position to the other. Raises OSError."""
        found = self._found
        if found is None or found.history != history:
            path = self._directory / END_FILE
            if not self._disk.exists(path):
                return None
            found = EndNote.decode(self._disk.read(path), history)
        return found if found is not None and start <= found.position <= end else None


def _plain(history: History) -> list[list[int]]:
    return [[cut.epoch, cut.lsn, int(cut.of_readers)] for cut in history]
