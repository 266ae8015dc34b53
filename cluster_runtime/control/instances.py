"""The instances of a cluster on its volume: the writer, and a reader for when there is none.

Blocking; `Compute` calls them in worker threads, one call at a time for each.
"""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import psutil

from cluster_runtime.control.model import StorageType
from cluster_runtime.engine.extensions import preload_settings
from cluster_runtime.engine.files import remove_tree
from cluster_runtime.engine.home import EngineHome
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.os_user import OsUser
from cluster_runtime.engine.postmaster import Postmaster, Shutdown
from cluster_runtime.engine.roles import SUPERUSER
from cluster_runtime.engine.settings import Settings
from cluster_runtime.engine.template import WAL_SEGMENT_MIB, Template
from cluster_runtime.engine.walls import Walls
from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume

BASE_IMAGE = "base-image"
"""Link in a cluster's directory to the template that its volume began with."""

_log = get_logger(__name__)


class Instance(Protocol):
    """A PostgreSQL of a cluster."""

    @property
    def running(self) -> bool: ...
    @property
    def outdated(self) -> bool:
        """Whether it runs and must be started anew before it lets anybody in."""

    @property
    def socket_directory(self) -> Path: ...
    def start(self) -> None:
        """Start it. Raises EngineError, StorageError."""

    def stop(self, mode: Shutdown) -> None: ...
    def kill(self) -> None:
        """End it as a crash would."""

    def end_backend(self, pid: int) -> None:
        """End one of its server processes; one that is not its own is left alone."""


class ClusterStorage:
    """The volume of one cluster, opened when first asked for."""

    def __init__(self, directory: Path, user: OsUser) -> None:
        """user: of the cluster's servers."""
        self.user = user
        self._directory = directory
        self._lock = threading.Lock()
        self._volume: StorageVolume | None = None

    @property
    def opened(self) -> StorageVolume | None:
        return self._volume

    def create(self, template: Template, system_identifier: int) -> None:
        """Make the volume of a new cluster, whose pages are the template's."""
        (self._directory / BASE_IMAGE).symlink_to(template.directory)
        with self._lock:
            self._volume = StorageVolume.create(
                self._directory / "volume",
                uuid4(),
                template.directory,
                user=self.user,
                system_identifier=system_identifier,
                server_version=template.installation.version,
                wal_segment_bytes=WAL_SEGMENT_MIB << 20,
            )

    def open(self) -> StorageVolume:
        """Raises QuorumLostError with fewer than three of six segments."""
        with self._lock:
            if self._volume is None:
                self._volume = StorageVolume.open(
                    self._directory / "volume",
                    (self._directory / BASE_IMAGE).resolve(),
                    user=self.user,
                )
            return self._volume

    def set_storage_type(self, storage_type: StorageType) -> None:
        self.open().set_storage_type(storage_type)

    def close(self) -> None:
        with self._lock:
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

    def __init__(self, postmaster: Postmaster, storage: ClusterStorage) -> None:
        super().__init__(postmaster, storage)
        self._stopping = False

    def start(self) -> None:
        """Start over the data directory where it can be trusted, else over one made anew."""
        volume = self._storage.open()
        data = self._postmaster.data_directory
        if not (volume.trusts(data) and self._postmaster.adopt()):
            self._postmaster.clear_leftovers()
            volume.rebuild(data)
        volume.claim(data)
        self._postmaster.start({**WRITER_SETTINGS, **self.preloads})
        self._stopping = False
        try:
            volume.attach_writer(self.socket_directory, SUPERUSER, lost=self._lost)
        except BaseException:
            self._postmaster.kill()
            raise

    def stop(self, mode: Shutdown) -> None:
        """Stop; after a clean end the data directory is trusted by the next start."""
        self._stopping = True
        running = self._postmaster.running
        clean = self._postmaster.stop(mode)
        volume = self._storage.opened
        if running and volume is not None:
            volume.detach_writer()
            if clean and mode is Shutdown.FAST:
                volume.release(self._postmaster.data_directory)

    def kill(self) -> None:
        self._stopping = True
        self._postmaster.kill()
        volume = self._storage.opened
        if volume is not None:
            volume.detach_writer()

    def lose_data_directory(self) -> None:
        """Kill it and delete its directory, as the loss of a machine would."""
        self.kill()
        remove_tree(self._postmaster.data_directory)

    def _lost(self, error: StorageError) -> None:
        if self._stopping:
            return
        _log.error("writer lost its volume", socket=str(self.socket_directory), error=str(error))
        # Nothing that it does can become durable any more: its clients shall know at once.
        threading.Thread(target=self._postmaster.kill, name="borealis-lost-writer").start()


class Reader(_OnVolume):
    """A hot standby that follows the volume up to its durable LSN.

    wal_sockets: a private folder for the socket of the volume's WAL service.
    """

    def __init__(self, postmaster: Postmaster, storage: ClusterStorage, wal_sockets: Path) -> None:
        super().__init__(postmaster, storage)
        self._wal_sockets = wal_sockets

    def start(self) -> None:
        volume = self._storage.open()
        volume.serve_wal(self._wal_sockets)
        settings = volume.lay_out_standby(self._postmaster.data_directory, SUPERUSER)
        self._postmaster.start({**settings, **self.preloads})

    def stop(self, mode: Shutdown) -> None:
        self._postmaster.stop(Shutdown.IMMEDIATE)
        remove_tree(self._postmaster.data_directory)

    def kill(self) -> None:
        self._postmaster.kill()


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
