"""The instances of a cluster on its volume: the writer, and a reader for when there is none.

Blocking; `HostedInstance` calls them in worker threads, one call at a time for each.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import psutil

from cluster_runtime.control.records.model import StorageType
from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.extensions import preload_settings
from cluster_runtime.engine.home import EngineHome
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.parameters import STANDBY_PARAMETERS
from cluster_runtime.engine.postmaster import Postmaster, Shutdown
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.sandbox.walls import Walls
from cluster_runtime.engine.settings import Settings
from cluster_runtime.engine.system.files import remove_tree
from cluster_runtime.engine.template import WAL_SEGMENT_MIB, Template
from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.past import Window
from cluster_runtime.storage.upkeep.past.restore_points import Point
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume

UNDONE = ".undone"
"""Ends the names of what a cluster had before its last rewind."""

BASE_IMAGE = "base-image"
"""Link in a cluster's directory to the template that its volume began with."""

_log = get_logger(__name__)


class Instance(Protocol):
    """A PostgreSQL of a cluster."""

    @property
    def running(self) -> bool:
        """Whether its postmaster runs."""

    @property
    def outdated(self) -> bool:
        """Whether it runs and must be started again before it lets anybody in."""

    @property
    def socket_directory(self) -> Path:
        """The folder of its socket, which only the host may enter."""

    def start(self) -> None:
        """Start it. Raises EngineError, StorageError."""

    def stop(self, mode: Shutdown) -> None:
        """Stop it in one of PostgreSQL's three ways."""

    def kill(self) -> None:
        """End it as a crash would."""

    def end_backend(self, pid: int) -> None:
        """End one of its server processes; one that is not its own is left alone."""


class ClusterStorage:
    """The volume of one cluster: open while an instance runs, or an operation looks into it.

    A volume that nobody uses is closed, so that a paused cluster has neither thread nor file open.
    """

    def __init__(
        self,
        directory: Path,
        user: OsUser,
        begin_upkeep: Callable[[StorageVolume], None],
        window: Callable[[], Window],
        tell: Callable[[str], None],
    ) -> None:
        """user: of the cluster's servers. begin_upkeep: called with the volume each time that it
        was opened. window: how far back it is to be kept, asked for then, and by `configure`.
        tell: of what falls out of that.
        """
        self.user = user
        self._window, self._tell = window, tell
        self._directory = directory
        self._begin_upkeep = begin_upkeep
        self._lock = threading.Lock()
        self._volume: StorageVolume | None = None
        self._instances: set[object] = set()
        self._operations = 0

    @property
    def opened(self) -> StorageVolume | None:
        """The volume if it is open, else None."""
        return self._volume

    def create(self, template: Template, system_identifier: int) -> StorageVolume:
        """Make the volume of a new cluster, whose pages are the template's."""
        (self._directory / BASE_IMAGE).symlink_to(template.directory)
        return self.create_over(template, system_identifier, WAL_SEGMENT_MIB << 20)

    def create_over(
        self, template: Template, system_identifier: int, wal_segment_bytes: int
    ) -> StorageVolume:
        """The same over pages that its link leads to already."""
        with self._lock:
            self._volume = StorageVolume.create(
                self._directory / "volume",
                uuid4(),
                template.directory,
                user=self.user,
                system_identifier=system_identifier,
                server_version=template.installation.version,
                wal_segment_bytes=wal_segment_bytes,
            )
            self._begin()
            return self._volume

    def configure(self) -> None:
        """Have the open volume, if it is, keep as much of its past as the cluster wants now."""
        volume = self._volume
        if volume is not None:
            volume.past.wanted = self._window()
            volume.past.weigh()

    @property
    def earliest(self) -> datetime | None:
        """How far back the open volume can be rewound."""
        earliest = self._volume.past.reach().earliest if self._volume is not None else None
        if earliest is None:
            return None
        # In whole milliseconds, as RDS tells times, and not before what can be reached.
        return datetime.fromtimestamp(math.ceil(earliest * 1000) / 1000, UTC)

    def open_for(self, instance: object) -> StorageVolume:
        """Open it for an instance, until `rest` or `close`.

        Raises QuorumLostError with fewer than three of six segments.
        """
        with self._lock:
            volume = self._open()
            self._instances.add(instance)
            return volume

    def rest(self, instance: object) -> None:
        """An instance has stopped and will not be back at once."""
        with self._lock:
            self._instances.discard(instance)
            self._close_if_unused()

    @contextmanager
    def used(self) -> Iterator[StorageVolume]:
        """The volume for the time of one operation. Raises as `open_for` does."""
        with self._lock:
            volume = self._open()
            self._operations += 1
        try:
            yield volume
        finally:
            with self._lock:
                self._operations -= 1
                self._close_if_unused()

    def set_storage_type(self, storage_type: StorageType) -> None:
        """Switch how writes become durable, at once."""
        with self.used() as volume:
            volume.set_storage_type(storage_type)

    def settle(self) -> None:
        """Do what is due on the volume before a pause: no process may run during one."""
        volume = self._volume
        if volume is not None:
            volume.settle()

    def close(self) -> None:
        """Close the volume, where it is open."""
        with self._lock:
            self._instances.clear()
            self._close()

    def _open(self) -> StorageVolume:
        if self._volume is None:
            self._volume = StorageVolume.open(
                self._directory / "volume",
                (self._directory / BASE_IMAGE).resolve(),
                user=self.user,
            )
            self._begin()
        return self._volume

    def _begin(self) -> None:
        """Before anything is collected, it is known what is kept."""
        assert self._volume is not None, "it was just opened"
        past = self._volume.past
        past.expired, past.also_expires = self._expired, self._expire_undone
        past.wanted = self._window()
        self._begin_upkeep(self._volume)

    def _expire_undone(self) -> None:
        """Remove what the cluster was before its last rewind, once that is out of the window."""
        before = self._directory / f"volume{UNDONE}"
        try:
            age = time.time() - before.stat().st_ctime
        except FileNotFoundError:
            return
        if age > self._window().seconds:
            self._tell("What was before the last rewind fell out of the backtrack window")
            for part in ("volume", "data"):
                remove_tree(self._directory / f"{part}{UNDONE}")

    def _expired(self, point: Point) -> None:
        self._tell(f"Restore point {point.name} fell out of the backtrack window")

    def _close_if_unused(self) -> None:
        used = self._instances or self._operations
        if self._volume is not None and not used and not self._volume.must_stay_open:
            self._close()

    def _close(self) -> None:
        if self._volume is not None:
            self._volume.close()
            self._volume = None


class _OnVolume:
    """A PostgreSQL over a data directory that the volume fills."""

    def __init__(self, postmaster: Postmaster, storage: ClusterStorage) -> None:
        self._postmaster = postmaster
        self._storage = storage

    @property
    def running(self) -> bool:
        return self._postmaster.running

    @property
    def outdated(self) -> bool:
        return self._postmaster.outdated

    @property
    def walls(self) -> Walls | None:
        return self._postmaster.walls

    @property
    def socket_directory(self) -> Path:
        return self._postmaster.socket_directory

    def end_backend(self, pid: int) -> None:
        with suppress(psutil.NoSuchProcess):
            backend = psutil.Process(pid)
            if backend.ppid() == self._postmaster.pid:
                backend.terminate()

    @property
    def preloads(self) -> Settings:
        return preload_settings(self._postmaster.installation)


class Writer(_OnVolume):
    """PostgreSQL that writes to the volume. Its data directory is a cache of it."""

    def __init__(
        self,
        postmaster: Postmaster,
        storage: ClusterStorage,
        parameters: Callable[[], Settings],
    ) -> None:
        """parameters: what the tenant has set, asked for at each start."""
        super().__init__(postmaster, storage)
        self._wanted = parameters
        self.parameters: Settings = {}
        """Those that it runs with."""
        self._life = threading.RLock()  # starts, stops and ends, one at a time
        self._run: object | None = None
        self._tell_lost: Callable[[], None] = _nobody

    def on_lost(self, tell: Callable[[], None]) -> None:
        """Have `tell` called, on another thread, once it has ended without having been told to."""
        self._tell_lost = tell

    def start(self) -> None:
        """Start over the data directory where it can be trusted, else over a new one."""
        with self._life:
            volume = self._storage.open_for(self)
            data = self._postmaster.data_directory
            if not (volume.trusts(data) and self._postmaster.adopt()):
                self._postmaster.clear_leftovers()
                volume.rebuild(data)
            volume.claim(data)
            self.parameters = dict(self._wanted())
            self._postmaster.start(self._settings())
            run = self._run = object()
            try:
                volume.attach_writer(
                    self.socket_directory, SUPERUSER, lost=lambda error: self._lost(run, error)
                )
            except BaseException:
                self._run = None
                self._postmaster.kill()
                raise

    @property
    def parameters_wait(self) -> bool:
        """Whether it runs with others than the tenant has set."""
        return self.running and dict(self._wanted()) != self.parameters

    def take(self, parameters: Settings) -> None:
        """Have the running server take other parameters, as far as it can without a restart."""
        with self._life:
            if self.running:
                self.parameters = dict(parameters)
                self._postmaster.write_settings(self._settings())
                self._postmaster.reload()

    def _settings(self) -> Settings:
        """The tenant's parameters, and the runtime's own, which prevail."""
        return {**self.parameters, **WRITER_SETTINGS, **self.preloads}

    def stop(self, mode: Shutdown) -> None:
        """Stop; after a clean end the data directory is trusted by the next start."""
        with self._life:
            self._run = None
            volume = self._storage.opened
            if volume is not None and mode is Shutdown.FAST:
                volume.rest()
            running = self._postmaster.running
            clean = self._postmaster.stop(mode)
            if running and volume is not None:
                volume.detach_writer()
                if clean and mode is Shutdown.FAST:
                    volume.release(self._postmaster.data_directory)
            if mode is Shutdown.FAST:  # a pause; after any other end a new writer follows
                self._storage.rest(self)

    def kill(self) -> None:
        """End it as a crash would; its directory is not used again as it is."""
        with self._life:
            self._run = None
            self._postmaster.kill()
            volume = self._storage.opened
            if volume is not None:
                volume.detach_writer()

    def lose_data_directory(self) -> None:
        """Kill it and delete its directory, as the loss of a machine would."""
        self.kill()
        remove_tree(self._postmaster.data_directory)

    def _lost(self, run: object, error: StorageError) -> None:
        """The stream of one run has ended. By now it may be over, and another one under way."""

        def end() -> None:
            with self._life:
                if self._run is not run:
                    return
                _log.error(
                    "writer lost its volume", socket=str(self.socket_directory), error=str(error)
                )
                # Nothing that it does can become durable any more: its clients must know at once.
                self._run = None
                self._postmaster.kill()
            self._tell_lost()

        # Whoever holds its life may wait for the thread that says this.
        threading.Thread(target=end, name="borealis-lost-writer").start()


class Reader(_OnVolume):
    """A hot standby that follows the volume up to its durable LSN.

    wal_sockets: a private folder for the socket of the volume's WAL service.
    """

    def __init__(self, postmaster: Postmaster, storage: ClusterStorage, wal_sockets: Path) -> None:
        super().__init__(postmaster, storage)
        self._wal_sockets = wal_sockets

    def start(self) -> None:
        """Serve the log to a new standby and start it. Raises EngineError, StorageError."""
        volume = self._storage.open_for(self)
        volume.serve_wal(self._wal_sockets)
        data = self._postmaster.data_directory
        settings = volume.lay_out_standby(data, SUPERUSER)
        try:
            self._postmaster.start({**STANDBY_PARAMETERS, **settings, **self.preloads})
            # PostgreSQL takes connections once its pages fit together, which may be long before it
            # shows what is durable.
            volume.await_standby(data, lambda: self._postmaster.running)
        except BaseException:
            self._postmaster.kill()
            volume.forget_standby(data)
            raise

    def stop(self, mode: Shutdown) -> None:
        """Stop it, and remove its directory: the next one begins from the volume."""
        self._postmaster.stop(Shutdown.IMMEDIATE)
        self._forget()
        remove_tree(self._postmaster.data_directory)

    def kill(self) -> None:
        """End it as a crash would."""
        self._postmaster.kill()
        self._forget()

    def _forget(self) -> None:
        volume = self._storage.opened
        if volume is not None:
            volume.forget_standby(self._postmaster.data_directory)
        self._storage.rest(self)


def postmaster_of(
    home: EngineHome, installation: Installation, user: OsUser, resource_id: str, role: str
) -> Postmaster:
    """The postmaster of one instance of a cluster; role: `writer` or `reader`."""
    directory = home.clusters / resource_id
    short = resource_id.removeprefix("cluster-")[:16]
    return Postmaster(
        installation,
        user,
        directory / ("data" if role == "writer" else role),
        home.run / f"{short}-{role[0]}",
        directory / f"{role}.log",
    )


def wal_sockets_of(home: EngineHome, resource_id: str) -> Path:
    """The folder of the WAL service's socket."""
    return home.run / f"{resource_id.removeprefix('cluster-')[:16]}-l"


def coalescing_of(
    home: EngineHome, installation: Installation, resource_id: str
) -> Callable[[StorageVolume], None]:
    """What has a cluster's volume make page images by itself, from its opening on."""
    sockets = home.run / f"{resource_id.removeprefix('cluster-')[:16]}-c"

    def begin(volume: StorageVolume) -> None:
        volume.start_coalescing(
            installation, sockets, SUPERUSER, wal_sockets=wal_sockets_of(home, resource_id)
        )

    return begin


def _nobody() -> None:
    """Who hears of an end where nobody asked to."""
