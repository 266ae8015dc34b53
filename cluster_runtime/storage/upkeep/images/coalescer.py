"""The coalescer: turns log into pages with PostgreSQL's own redo.

It is a standby that only replays: it follows the WAL service up to an LSN and is stopped cleanly.
Its directory then is the page image at that LSN, which every full segment takes a copy of. The
directory stays for the next run, which goes on where this one ended.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.postmaster import Postmaster, Shutdown
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.settings import Settings
from cluster_runtime.engine.system.files import remove_tree, take_over
from cluster_runtime.errors import EngineError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.coalescing import Politeness
from cluster_runtime.storage.disk.data_directory import (
    Claim,
    ControlFile,
    DatabaseState,
    boot_id,
    distrust,
)
from cluster_runtime.storage.disk.page_images import PageImage, keep_pages_alone
from cluster_runtime.storage.upkeep.images.interruption import InterruptedCoalescingError
from cluster_runtime.storage.upkeep.images.priority import set_priority

POLL_S = 0.02
STALL_TIMEOUT_S = 120.0
"""How long replay may stand still."""

_SETTINGS: Settings = {
    "hot_standby": False,
    "fsync": False,
    "recovery_target_timeline": "latest",
    "wal_receiver_status_interval": 1,
    "wal_retrieve_retry_interval": "100ms",
    "wal_recycle": False,
    "max_wal_size": "64GB",
    "checkpoint_timeout": "1d",
    "shared_buffers": "64MB",
}

COALESCER = "coalescer"
"""Its folder in a volume's."""

_log = get_logger(__name__)


class Coalescer:
    """Replays for one volume in a directory of its own. One run at a time."""

    def __init__(
        self,
        installation: Installation,
        user: OsUser,
        volume_id: str,
        directory: Path,
        sockets: Path,
    ) -> None:
        self.data_directory = directory / COALESCER
        self._log_file = directory / "coalescer.log"
        self._installation = installation
        self._user = user
        self._volume_id = volume_id
        self._sockets = sockets

    def can_go_on(self, oldest: int) -> bool:
        """Whether the last run left a directory that the next one can go on with.

        It runs with fsync=off: what another boot of the machine left may be anything. oldest: where
        the volume's log begins.
        """
        try:
            control = ControlFile.read(self.data_directory)
        except (OSError, EngineError, StorageError):
            return False
        claim = Claim.read(self.data_directory)
        return (
            control.state is DatabaseState.SHUT_DOWN_IN_RECOVERY
            and claim is not None
            and claim.stopped_at is not None
            and (claim.volume_id, claim.boot_id) == (self._volume_id, boot_id())
            and control.redo >= oldest
        )

    def give_away(self, image: PageImage, data_directory: Path, user: OsUser) -> bool:
        """Have the directory become another server's, where it still is what an image was made of.

        It has that image's pages then; the next run begins with a copy of the newest image. False
        where it is not, or not as the coalescer left it, or where it cannot be moved; and for
        another user, since a process of the one before might still have files of it open.
        """
        if user != self._user or not self.can_go_on(0):
            return False
        if not image.is_copy_of(self.data_directory):
            return False
        try:
            distrust(self.data_directory)  # first: half of it is no directory to go on with
            keep_pages_alone(self.data_directory)
            remove_tree(data_directory)
            self.data_directory.rename(data_directory)
        except OSError as error:
            _log.warning("the coalescer's directory is not given away", error=str(error))
            return False
        return take_over(data_directory, user)

    def discard(self) -> None:
        """Remove the directory; the next run begins with the newest image."""
        remove_tree(self.data_directory)

    def replay(
        self,
        conninfo: str,
        targets: Iterable[int],
        replayed: Callable[[], int],
        stopped: Callable[[], bool],
        politeness: Callable[[], Politeness],
    ) -> ControlFile:
        """Replay and stop; return the control file of the pages that this left.

        targets: durable LSNs up to which, one after the other; each is asked for once the one
        before it is reached. replayed: the LSN that this standby last told the WAL service of.
        stopped: asked whether to end before that; raises InterruptedCoalescingError then.
        politeness: asked again and again how polite its processes are to be.
        Raises EngineError where the server ends, or stands still.
        """
        server = Postmaster(
            self._installation, self._user, self.data_directory, self._sockets, self._log_file
        )
        self._claim(None)
        interrupted = False
        try:
            server.start({**_SETTINGS, "primary_conninfo": conninfo}, until=frozenset())
            interrupted = not all(
                not stopped() and self._follow(server, until, replayed, stopped, politeness)
                for until in targets
            )
            if not server.stop(Shutdown.FAST):
                raise EngineError(
                    f"the coalescer did not stop cleanly; its log ends:\n{server.log_tail()}"
                )
            control = ControlFile.read(self.data_directory)
            self._claim(control.redo)
        except BaseException:
            server.stop(Shutdown.IMMEDIATE)
            self.discard()
            raise
        if interrupted:
            raise InterruptedCoalescingError("coalescing was interrupted while it replayed")
        return control

    def _follow(
        self,
        server: Postmaster,
        until: int,
        replayed: Callable[[], int],
        stopped: Callable[[], bool],
        politeness: Callable[[], Politeness],
    ) -> bool:
        """Wait until everything is replayed; False where it was to end before that."""
        reached, moved = replayed(), time.monotonic()
        told: Politeness | None = None
        while True:
            level = politeness()  # before all else: little log is replayed in no time
            if level is not told and _prioritise(server.pid, level):
                told = level
            if (now := replayed()) >= until:
                return True
            if now > reached:
                reached, moved = now, time.monotonic()
            if not server.running or time.monotonic() > moved + STALL_TIMEOUT_S:
                raise EngineError(
                    f"the coalescer replayed up to {now:#x} of {until:#x} and went no further; its "
                    f"log ends:\n{server.log_tail()}"
                )
            if stopped():
                return False
            time.sleep(POLL_S)

    def _claim(self, stopped_at: int | None) -> None:
        Claim(self._volume_id, boot_id(), stopped_at).write(self.data_directory)


def _prioritise(pid: int | None, politeness: Politeness) -> bool:
    """Let commits go first, or not any more: the processes of the coalescer. Whether all do now."""
    if pid is None:  # it has ended; psutil would take this process for it
        return False
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children()]
        for each in family:
            set_priority(each.pid, politeness)
    except (psutil.Error, OSError):
        return False
    return len(family) > 3
