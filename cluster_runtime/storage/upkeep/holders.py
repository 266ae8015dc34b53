"""Who keeps log and page images of a volume: registered by name, asked about by collection."""

import threading
import time
from collections.abc import Callable, Iterable

from cluster_runtime.storage.core.policy.retention import Holder, HolderKind
from cluster_runtime.storage.core.types import Lsn


class Hold:
    """One registration: kept until it is released."""

    def __init__(self, holder: Holder, holders: "Holders") -> None:
        self.holder = holder
        self._holders = holders

    def advance(self, lsn: int) -> None:
        """Log below `lsn` is not needed any more. It never goes back."""
        self._holders.advance(self, Lsn(lsn))

    def release(self) -> None:
        """Nothing is needed any more. A second call does nothing."""
        self._holders.release(self)


class Holders:
    """The holders of one volume. From any thread.

    A hold lives as long as this process has the volume open. Who needs one for longer (a backup
    that goes on, a restore point) registers again where the volume is opened, before coalescing is
    started: nothing is collected before that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holds: list[Hold] = []
        self._sources: list[Callable[[], Iterable[Holder]]] = []

    def register(self, kind: HolderKind, name: str, lsn: Lsn, *, with_pages: bool = False) -> Hold:
        """Keep log from an LSN on, until the hold is released."""
        hold = Hold(Holder(kind, name, lsn, time.time(), with_pages), self)
        with self._lock:
            self._holds.append(hold)
        return hold

    def ask(self, source: Callable[[], Iterable[Holder]]) -> None:
        """Have `source` asked, each time, who else there is now."""
        self._sources.append(source)

    def advance(self, hold: Hold, lsn: Lsn) -> None:
        """Let go of the log below an LSN."""
        with self._lock:
            old = hold.holder
            if lsn > old.lsn:
                hold.holder = Holder(old.kind, old.name, lsn, old.since, old.with_pages)

    def release(self, hold: Hold) -> None:
        """Hold nothing any more; a second call does nothing."""
        with self._lock:
            if hold in self._holds:
                self._holds.remove(hold)

    @property
    def any(self) -> bool:
        """Whether something is registered; that ends with the volume's being open."""
        with self._lock:
            return bool(self._holds)

    def now(self) -> list[Holder]:
        """All of them, who needs the oldest log first."""
        found = [holder for source in self._sources for holder in source()]
        with self._lock:
            found.extend(hold.holder for hold in self._holds)
        return sorted(found, key=lambda each: (each.lsn, each.kind, each.name))
