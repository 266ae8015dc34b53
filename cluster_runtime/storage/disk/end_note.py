"""Where a segment's log ended when somebody looked last: what an opening need not read again.

It says of the log below it what a file's mark says: that this segment holds all of it. It lies
beside the log, and is left out of account where it does not fit the log that is there. What a
repair or a cut takes away it must not name: so it goes first.
"""

import json
from dataclasses import dataclass
from typing import Any

from cluster_runtime.storage.core.segment import History
from cluster_runtime.storage.core.types import Lsn
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


def _plain(history: History) -> list[list[int]]:
    return [[cut.epoch, cut.lsn, int(cut.of_readers)] for cut in history]
