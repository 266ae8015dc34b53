"""How far the log of each cluster goes that this server of tools wrote: its reads show all of that.

Reads go to a reader where a cluster has one, which shows a commit some milliseconds after the
writer. Whoever has just written must not find that gone, so the reader is waited for.
"""

import threading

NOTHING = 0


class Written:
    """The LSN behind what was written last, by the resource id of a cluster. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lsns: dict[str, int | None] = {}

    def note(self, cluster: str, lsn: int | None) -> None:
        """Writes reach up to an LSN; None where a connection ended before that was known."""
        with self._lock:
            known = self._lsns.get(cluster, NOTHING)
            keeps = lsn is not None and known is not None and known > lsn
            self._lsns[cluster] = known if keeps else lsn

    def of(self, cluster: str) -> int | None:
        """What a read must show: 0 for anything, None for all that the writer has."""
        with self._lock:
            return self._lsns.get(cluster, NOTHING)


WRITTEN = Written()
"""What the tools of this process have written."""
