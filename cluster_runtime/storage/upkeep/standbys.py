"""Hot standbys over a volume: laid out, waited for, and the log that is kept for them."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.policy.retention import Holder, HolderKind
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.upkeep.data_directories import DataDirectories
from cluster_runtime.storage.upkeep.holders import Hold, Holders
from cluster_runtime.storage.upkeep.images.pages import Pages

STALL_S = 60.0
"""How long a standby that starts may stand still."""

POLL_S = 0.005


class Standbys:
    """The standbys of one volume. They stream from its WAL service."""

    def __init__(
        self, mount: Mount, directories: DataDirectories, pages: Pages, holders: Holders
    ) -> None:
        self._mount = mount
        self._directories = directories
        self._pages = pages
        self._holders = holders
        self._laid_out: dict[Path, tuple[str, Hold]] = {}
        self._number = 0
        holders.ask(self._streaming)

    def lay_out(self, data_directory: Path, conninfo: str, superuser: str) -> dict[str, str | bool]:
        """Make a data directory; return the settings that its server needs.

        conninfo: of the WAL service. Each one has a name of its own: what an earlier one said last
        may still be known.
        """
        with self._mount.changing:
            self.forget(data_directory)
            self._number += 1
            name = f"{data_directory.name}-{self._number}"
            hold = self._holders.register(HolderKind.READER, name, self._mount.node.volume.vdl)
            self._laid_out[data_directory] = name, hold
            with self._pages.staying.reading():
                self._directories.make_standbys(data_directory, self._pages.whole())
        return {
            "primary_conninfo": f"{conninfo} user={superuser} application_name={name}",
            "hot_standby": True,
            "fsync": False,
            "recovery_target_timeline": "latest",
            "wal_receiver_status_interval": "1s",
            "wal_retrieve_retry_interval": "100ms",
        }

    def wait_for(self, data_directory: Path, running: Callable[[], bool]) -> None:
        """Wait until one has replayed what is durable now.

        running: asked whether it lives. Raises StorageError where it ends, or stands still.
        """
        name, hold = self._laid_out[data_directory]
        wanted = int(self._mount.node.volume.vdl)
        reached, moved = 0, time.monotonic()
        while (now := self.replayed_by(name)) < wanted:
            if now > reached:
                reached, moved = now, time.monotonic()
            if not running() or time.monotonic() > moved + STALL_S:
                raise StorageError(
                    f"the standby in {data_directory} replayed up to {format_lsn(now)} of "
                    f"{format_lsn(wanted)} and went no further; see its log"
                )
            time.sleep(POLL_S)
        hold.advance(wanted)

    def forget(self, data_directory: Path) -> None:
        """One is gone: no log is kept for it any more."""
        known = self._laid_out.pop(data_directory, None)
        if known is not None:
            known[1].release()

    def replayed_by(self, name: str) -> int:
        """The LSN up to which one said that it has replayed."""
        service = self._mount.service
        return service.replayed_by(name) if service is not None else 0

    def _streaming(self) -> Iterable[Holder]:
        """Those that stream now. Those laid out here move the log that is kept for them."""
        service = self._mount.service
        laid_out = dict(self._laid_out.values())
        for name, standby in (service.readers() if service is not None else {}).items():
            flushed = Lsn(standby.status.flushed)
            if name in laid_out:
                laid_out[name].advance(flushed)
            elif flushed:
                yield Holder(HolderKind.READER, name, flushed, standby.since)
