"""Hot standbys over a volume: laid out, waited for, and the log that is kept for them."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.policy.retention import Holder, HolderKind
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.storage.live.log_source import LogSource
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.streaming.log_up_to import LogUpTo
from cluster_runtime.storage.streaming.wal_service import ConnectedStandby, WalService
from cluster_runtime.storage.upkeep.data_directories import DataDirectories
from cluster_runtime.storage.upkeep.holders import Hold, Holders
from cluster_runtime.storage.upkeep.images.pages import Pages

STALL_S = 60.0
"""How long a standby that starts may stand still."""

POLL_S = 0.005

NAME_CHARACTERS = 48
"""Of a standby's name; PostgreSQL cuts those that have more than 63 with their numbers."""

AHEAD = "warm-branch"
"""What the log goes by that is held for a standby kept ahead of a branch."""

Settings = dict[str, str | bool]


@dataclass(frozen=True, slots=True)
class _OwnFeed:
    """The log as one standby alone gets it, at a socket of its own."""

    log: LogUpTo
    service: WalService


@dataclass(frozen=True, slots=True)
class _Standby:
    """hold: of the log that it has not got yet. feed: None for one of the volume's own."""

    name: str
    hold: Hold
    feed: _OwnFeed | None = None


class Standbys:
    """The standbys of one volume. They stream from its WAL service.

    One kept ahead of a branch that somebody may want runs as that branch's user, who must not pass
    to this volume's WAL service: it has a feed of its own, which ends where the branch begins.
    """

    def __init__(
        self, mount: Mount, directories: DataDirectories, pages: Pages, holders: Holders
    ) -> None:
        self._mount = mount
        self._directories = directories
        self._pages = pages
        self._holders = holders
        self._laid_out: dict[Path, _Standby] = {}
        self._number = 0
        holders.ask(self._streaming)

    def lay_out(
        self, data_directory: Path, conninfo: str, superuser: str, called: str = ""
    ) -> Settings:
        """Make a data directory; return the settings that its server needs.

        conninfo: of the WAL service. called: in its name; by default its directory's. Each one has
        a name of its own: what an earlier one said last may still be known.
        """
        with self._mount.changing:
            standby = self._new(data_directory, called or data_directory.name, None)
            self._make(data_directory, None)
        return {
            **_settings(standby, conninfo, superuser),
            # Rows that its queries see are kept by the writer, through the storage's slot.
            "hot_standby_feedback": True,
        }

    def lay_out_ahead(
        self, data_directory: Path, sockets: Path, user: OsUser, superuser: str
    ) -> Settings:
        """The same for one that is kept ahead of a branch.

        sockets: a private folder for the socket of its feed. user: of the branch's servers.
        Raises InvalidClusterStateError once the volume is closed.
        """
        with self._mount.changing:
            self._mount.require_writable()
            log = LogUpTo(LogSource(self._mount))
            service = WalService(log, sockets, user)
            standby = self._new(data_directory, AHEAD, _OwnFeed(log, service))
        # Thousands of files: neither a start of the writer nor another standby waits for them.
        self._make(data_directory, user)
        # Nobody asks it anything: the writer need not keep old rows for it.
        return {**_settings(standby, service.conninfo, superuser), "hot_standby_feedback": False}

    def hold_back(self, data_directory: Path) -> None:
        """Give one that is kept ahead no more log than what is durable now, until `give`."""
        self._feed(data_directory).log.stop()

    def give(self, data_directory: Path, lsn: int) -> None:
        """Let it have the log up to an LSN, which it will never pass."""
        self._feed(data_directory).log.go_on(lsn)

    def wait_for(self, data_directory: Path, running: Callable[[], bool]) -> None:
        """Wait until one has replayed what is durable now.

        running: asked whether it lives. Raises StorageError where it ends, or stands still.
        """
        standby = self._known(data_directory)
        wanted = int(self._mount.node.volume.vdl)
        reached, moved = 0, time.monotonic()
        while (now := self._replayed(standby)) < wanted:
            if now > reached:
                reached, moved = now, time.monotonic()
            if not running() or time.monotonic() > moved + STALL_S:
                raise StorageError(
                    f"the standby in {data_directory} replayed up to {format_lsn(now)} of "
                    f"{format_lsn(wanted)} and went no further; see its log"
                )
            time.sleep(POLL_S)
        standby.hold.advance(wanted)

    def forget(self, data_directory: Path) -> None:
        """One is gone: no log is kept for it any more."""
        known = self._laid_out.pop(data_directory, None)
        if known is not None:
            known.hold.release()
            if known.feed is not None:
                known.feed.service.close()

    def close(self) -> None:
        """The volume is about to be closed: nothing is fed any more."""
        for data_directory in list(self._laid_out):
            self.forget(data_directory)

    def replayed_in(self, data_directory: Path) -> int:
        """The LSN up to which the one in a directory said that it has replayed; 0 for none."""
        known = self._laid_out.get(data_directory)
        return self._replayed(known) if known is not None else 0

    def _new(self, data_directory: Path, called: str, feed: _OwnFeed | None) -> _Standby:
        """Keep log for one that begins now."""
        self.forget(data_directory)
        self._number += 1
        name = f"{called[:NAME_CHARACTERS]}-{self._number}"
        hold = self._holders.register(HolderKind.READER, name, self._mount.node.volume.vdl)
        standby = self._laid_out[data_directory] = _Standby(name, hold, feed)
        return standby

    def _make(self, data_directory: Path, user: OsUser | None) -> None:
        with self._pages.staying.reading():
            self._directories.make_standbys(data_directory, self._pages.whole(), user)

    def _known(self, data_directory: Path) -> _Standby:
        """Raises StorageError for one that the volume knows no more."""
        known = self._laid_out.get(data_directory)
        if known is None:
            raise StorageError(f"the volume does not feed the standby in {data_directory} any more")
        return known

    def _feed(self, data_directory: Path) -> _OwnFeed:
        feed = self._known(data_directory).feed
        assert feed is not None, "it was laid out ahead"
        return feed

    def _replayed(self, standby: _Standby) -> int:
        service = standby.feed.service if standby.feed is not None else self._mount.service
        return service.replayed_by(standby.name) if service is not None else 0

    def _streaming(self) -> Iterable[Holder]:
        """Those that stream now. Those laid out here move the log that is kept for them."""
        laid_out = {each.name: each for each in list(self._laid_out.values())}
        feeds = [each.feed.service for each in laid_out.values() if each.feed is not None]
        services = feeds if self._mount.service is None else [self._mount.service, *feeds]
        streaming: dict[str, ConnectedStandby] = {}
        for service in services:
            streaming |= service.readers()
        for name, standby in streaming.items():
            flushed = Lsn(standby.status.flushed)
            if name in laid_out:
                laid_out[name].hold.advance(flushed)
            elif flushed:
                yield Holder(HolderKind.READER, name, flushed, standby.since)


def _settings(standby: _Standby, conninfo: str, superuser: str) -> Settings:
    return {
        "primary_conninfo": f"{conninfo} user={superuser} application_name={standby.name}",
        "hot_standby": True,
        "fsync": False,
        "recovery_target_timeline": "latest",
        "wal_receiver_status_interval": "1s",
        "wal_retrieve_retry_interval": "100ms",
    }
