"""The coalescer: turns log into pages with PostgreSQL's own redo.

It is a standby that only replays: it follows the WAL service up to an LSN and is stopped cleanly.
Its directory then is the page image at that LSN, which every full segment takes a copy of. The
directory stays for the next run, which goes on where this one ended.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from cluster_runtime.engine.files import remove_tree
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.os_user import OsUser
from cluster_runtime.engine.postmaster import Postmaster, Shutdown
from cluster_runtime.engine.settings import Settings
from cluster_runtime.errors import BorealisError, EngineError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.disk.data_directory import ControlFile, DatabaseState

COALESCE_LOG_BYTES = 64 << 20
COALESCE_SHARE = 4
"""A new image is due after 64 MiB of log, or a quarter of the last image where that is more."""
CHECK_S = 5.0
POLL_S = 0.02
REPLAY_TIMEOUT_S = 600.0

_SETTINGS: Settings = {
    "hot_standby": False,
    "fsync": False,
    "recovery_target_timeline": "latest",
    "wal_receiver_status_interval": 1,
    "max_wal_size": "64GB",
    "checkpoint_timeout": "1d",
}

_log = get_logger(__name__)


class Coalescer:
    """Replays for one volume in a directory of its own. One run at a time."""

    def __init__(
        self, installation: Installation, user: OsUser, directory: Path, sockets: Path
    ) -> None:
        self.data_directory = directory / "coalescer"
        self._log_file = directory / "coalescer.log"
        self._installation = installation
        self._user = user
        self._sockets = sockets

    @property
    def is_reusable(self) -> bool:
        """Whether the last run left a directory that the next one can go on with."""
        try:
            control = ControlFile.read(self.data_directory)
        except (OSError, EngineError):
            return False
        return control.state is DatabaseState.SHUT_DOWN_IN_RECOVERY

    def discard(self) -> None:
        """Remove the directory; the next run begins with the newest image."""
        remove_tree(self.data_directory)

    def replay(self, conninfo: str, until: int, replayed: Callable[[], int]) -> ControlFile:
        """Replay up to an LSN and stop; return the control file of the pages that this left.

        replayed: the LSN that this standby last told the WAL service of.
        Raises EngineError where the server ends, or stands still.
        """
        server = Postmaster(
            self._installation, self._user, self.data_directory, self._sockets, self._log_file
        )
        settings = {**_SETTINGS, "primary_conninfo": conninfo}
        deadline = time.monotonic() + REPLAY_TIMEOUT_S
        try:
            server.start(settings, until=frozenset())
            while replayed() < until:
                if not server.running or time.monotonic() > deadline:
                    raise EngineError(
                        f"the coalescer replayed up to {replayed():#x} of {until:#x} and went no "
                        f"further; its log ends:\n{server.log_tail()}"
                    )
                time.sleep(POLL_S)
            if not server.stop(Shutdown.FAST):
                raise EngineError(
                    f"the coalescer did not stop cleanly; its log ends:\n{server.log_tail()}"
                )
        except BaseException:
            server.stop(Shutdown.IMMEDIATE)
            self.discard()
            raise
        return ControlFile.read(self.data_directory)


class CoalescingThread:
    """Runs `coalesce` whenever `due` says so, until closed."""

    def __init__(self, due: Callable[[], bool], coalesce: Callable[[], object]) -> None:
        self._due, self._coalesce = due, coalesce
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="borealis-coalescer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(CHECK_S):
            if not self._due():
                continue
            try:
                self._coalesce()
            except (OSError, LookupError, psycopg.Error, BorealisError) as error:
                _log.warning("coalescing failed; it is tried again", error=str(error))
