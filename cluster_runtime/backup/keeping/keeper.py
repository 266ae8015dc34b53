"""The backups of all clusters that a host has: when each does a step, and on which thread.

One thread looks what is due; a few do it, since a bucket may take seconds to answer.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from cluster_runtime.backup.core.names import Holdings
from cluster_runtime.backup.core.targets import Window, window
from cluster_runtime.backup.keeping.archive import Archive
from cluster_runtime.backup.keeping.volume_backup import DAY_MS, BackedUp, Position, VolumeBackup
from cluster_runtime.backup.vault.bucket import ObjectMissingError
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.volume import StorageVolume

THREADS = 3
LOOK_EVERY_S = 0.25
KNOWN_FOR_S = 600.0

Facts = Callable[[str], BackedUp | None]
Report = Callable[[str, str], None]

_log = get_logger(__name__)


class BackupKeeper:
    """Of one host. facts, report: by resource id; both are called on threads of its own."""

    def __init__(self, archive: Archive, facts: Facts, report: Report) -> None:
        self.archive = archive
        self._facts, self._report = facts, report
        self._lock = threading.Lock()
        self._backups: dict[str, VolumeBackup] = {}
        self._busy: set[str] = set()
        self._at_rest: dict[str, Position] = {}
        """Of clusters whose volume is closed, and whose backup has all of it."""
        self._known: dict[str, tuple[float, Holdings]] = {}
        self._begun: set[str] = set()
        self._started_at = datetime.now(UTC)
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="borealis-backup")
        self._thread = threading.Thread(target=self._run, name="borealis-backups", daemon=True)

    def start(self) -> None:
        """Start the thread that looks, and those that work: a cluster brings none of its own."""
        self._thread.start()
        together = threading.Barrier(THREADS)
        for _ in range(THREADS):
            self._pool.submit(together.wait)

    def close(self) -> None:
        """Do nothing more. The volumes are closed already."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()

    def attach(self, resource_id: str, volume: StorageVolume) -> None:
        """A volume was opened: back it up until it is closed."""

        def open_vault() -> Vault:
            self._begun.add(resource_id)
            return self.archive.vault_for(resource_id)

        backup = VolumeBackup(
            volume,
            open_vault,
            lambda: self._facts(resource_id),
            lambda message: self._report(resource_id, message),
        )

        def ended() -> None:
            position = backup.end()
            with self._lock:
                if self._backups.get(resource_id) is backup:
                    del self._backups[resource_id]
                if position is not None:
                    self._at_rest[resource_id] = position
                self._known.pop(resource_id, None)

        volume.held_by(backup.held, ended)
        with self._lock:
            self._at_rest.pop(resource_id, None)
            self._backups[resource_id] = backup

    def may_have(self, resource_id: str, created: datetime) -> bool:
        """Whether a cluster of that age may have anything in the bucket."""
        return resource_id in self._begun or created < self._started_at

    def flush(self, resource_id: str) -> Position | None:
        """Have everything that is durable in the bucket; None where the volume is closed.

        Raises what `VolumeBackup.flush` does.
        """
        backup = self._backups.get(resource_id)
        return backup.flush() if backup is not None else None

    def at_rest(self, resource_id: str) -> Position | None:
        """How far the backup of a closed volume is, where it has all of it."""
        return self._at_rest.get(resource_id)

    def restart(self, archive: Archive) -> None:
        """Keep backups elsewhere from now on."""
        self.archive = archive
        with self._lock:
            self._at_rest.clear()
            self._known.clear()
            backups = list(self._backups.values())
        for backup in backups:
            backup.restart()

    def forget(self, resource_id: str) -> None:
        """The backup of a cluster is gone, or another log has taken the place of its own."""
        with self._lock:
            self._at_rest.pop(resource_id, None)
            self._known.pop(resource_id, None)
            backup = self._backups.get(resource_id)
        if backup is not None:
            backup.restart()

    def window(self, resource_id: str, retention_days: int) -> Window | None:
        """From when to when a cluster can be restored, as far as that is known without waiting."""
        since = _now_ms() - retention_days * DAY_MS
        with self._lock:
            backup = self._backups.get(resource_id)
            known = self._known.get(resource_id)
        found = backup.window(since) if backup is not None else None
        if found is not None:
            return found
        if known is None or known[0] < time.monotonic() - KNOWN_FOR_S:
            self._ask(resource_id)
        if known is None:
            return None
        complete_at = _now_ms() if resource_id in self._at_rest else 0
        return window(known[1].eras, since, complete_at)

    def look(self, resource_id: str) -> None:
        """List the folder of a cluster whose volume is closed, where that was not done lately."""
        with self._lock:
            known = self._known.get(resource_id)
            if resource_id in self._backups:
                return
        if known is None or known[0] < time.monotonic() - KNOWN_FOR_S:
            self._list(resource_id)

    def _ask(self, resource_id: str) -> None:
        """Have a folder listed on a thread, unless one is at it."""
        with self._lock:
            if resource_id in self._busy or self._closing.is_set():
                return
            self._busy.add(resource_id)
        self._pool.submit(self._list, resource_id)

    def _list(self, resource_id: str) -> None:
        archive = self.archive
        try:
            found = archive.vault(resource_id).holdings()
        except ObjectMissingError:
            found = Holdings()
        except BorealisError as error:
            _log.warning("a backup cannot be listed", cluster=resource_id, error=str(error))
            found = Holdings()
        finally:
            with self._lock:
                self._busy.discard(resource_id)
        with self._lock:
            if archive is self.archive:  # else it is of a place that backups have left
                self._known[resource_id] = time.monotonic(), found

    def _run(self) -> None:
        while not self._closing.wait(LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        with self._lock:
            due = {
                resource_id: backup
                for resource_id, backup in self._backups.items()
                if backup.due_at <= now and resource_id not in self._busy
            }
            self._busy |= due.keys()
        for resource_id, backup in due.items():
            self._pool.submit(self._step, resource_id, backup)

    def _step(self, resource_id: str, backup: VolumeBackup) -> None:
        try:
            backup.step()
        except Exception as error:  # noqa: BLE001 - other clusters are backed up on this thread
            _log.exception("backup of a volume failed", cluster=resource_id, error=repr(error))
        finally:
            with self._lock:
                self._busy.discard(resource_id)


def _now_ms() -> int:
    return int(time.time() * 1000)
