"""How far the log of each cluster goes that this server of tools wrote: its reads show all of that.

Reads go to a reader where a cluster has one, which shows a commit some milliseconds after the
writer. Whoever has just written must not find that gone, so the reader is waited for.
"""

import threading

NOTHING = 0


class Written:
    """The LSN behind what was written last, by the resource id of a cluster. From any thread.

    And, as its writer told last, a digest of what sessions begin with.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lsns: dict[str, int | None] = {}
        self._logins: dict[str, int | None] = {}

    def note(self, cluster: str, lsn: int | None, login: int | None = None) -> None:
        """Writes reach up to an LSN; None where a connection ended before that was known."""
        with self._lock:
            known = self._lsns.get(cluster, NOTHING)
            keeps = lsn is not None and known is not None and known > lsn
            self._lsns[cluster] = known if keeps else lsn
            self._logins[cluster] = login

    def of(self, cluster: str) -> int | None:
        """What a read must show: 0 for anything, None for all that the writer has."""
        with self._lock:
            return self._lsns.get(cluster, NOTHING)

    def began(self, cluster: str, login: int, *, on_reader: bool) -> None:
        """A session has begun with this. A reader is behind: it is asked where nobody else was."""
        with self._lock:
            if not on_reader or self._logins.get(cluster) is None:
                self._logins[cluster] = login

    def login(self, cluster: str) -> int | None:
        """What sessions begin with; None where that is not known."""
        with self._lock:
            return self._logins.get(cluster)


WRITTEN = Written()
"""What the tools of this process have written."""
