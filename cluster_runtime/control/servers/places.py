"""The places of a cluster's instances: directories, sockets, and what serves there.

An instance keeps its place when it changes its role.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cluster_runtime.control.records.instances import FIRST_PLACE, STAND_IN_PLACE
from cluster_runtime.control.servers.ahead import ReaderAhead
from cluster_runtime.control.servers.on_volume import Parameters
from cluster_runtime.control.servers.postgres import Reader, Writer
from cluster_runtime.control.servers.storage import DATA, ClusterStorage
from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.home import EngineHome
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.postmaster import Postmaster
from cluster_runtime.storage.volume import StorageVolume


@dataclass(frozen=True)
class Servers:
    """The two things that the PostgreSQL of one place can be, one at a time.

    Each is made once somebody asks for it: most clusters are paused, and have no readers.
    called: the name of the instance.
    """

    postmaster: Postmaster
    storage: ClusterStorage
    parameters: Parameters
    home: EngineHome
    resource_id: str
    called: str

    @cached_property
    def as_writer(self) -> Writer:
        """It, as a writer."""
        return Writer(self.postmaster, self.storage, self.parameters)

    @cached_property
    def as_reader(self) -> Reader:
        """It, as a reader."""
        sockets = wal_sockets_of(self.home, self.resource_id)
        return Reader(self.postmaster, self.storage, self.parameters, sockets, self.called)


@dataclass(frozen=True)
class ServersAhead:
    """Those of a branch that is yet to be: until it is cut off the reader follows its source.

    of_branch: what they are from then on, with the same writer.
    """

    of_branch: Servers
    as_reader: ReaderAhead

    @property
    def as_writer(self) -> Writer:
        """What it becomes."""
        return self.of_branch.as_writer


def servers_at(
    home: EngineHome,
    installation: Installation,
    storage: ClusterStorage,
    parameters: Parameters,
    resource_id: str,
    place: str,
    spawned: Callable[[int], None],
    called: str = "",
) -> Servers:
    """What runs at a place of a cluster. called: the name of the instance that has it.

    spawned: called with the process id of each postmaster before it has any child.
    """
    directory = home.clusters / resource_id
    socket = place[0] if place in (FIRST_PLACE, STAND_IN_PLACE) else place.removeprefix("db-")
    postmaster = Postmaster(
        installation,
        storage.user,
        data_directory_at(directory, place),
        sockets_of(home, resource_id, socket),
        log_file_at(directory, place),
        spawned,
    )
    return Servers(postmaster, storage, parameters, home, resource_id, called)


def servers_ahead(
    of_branch: Servers,
    sockets: Path,
    source: ClusterStorage,
    parameters_of_source: Parameters,
) -> ServersAhead:
    """What runs at the first place of a branch that is yet to be.

    It is a standby of the source, with the source's parameters: one that has less of something
    than the server that it follows stands still. sockets: a private folder for that of its feed.
    """
    postmaster = of_branch.postmaster
    return ServersAhead(of_branch, ReaderAhead(postmaster, source, parameters_of_source, sockets))


def server_name(resource_id: str, place: str) -> str:
    """What the server of a place goes by among those of all clusters; fit for a folder."""
    return f"{resource_id}.{place}"


def data_directory_at(directory: Path, place: str) -> Path:
    """The data directory of a place in a cluster's directory."""
    return directory / (DATA if place == FIRST_PLACE else place)


def log_file_at(directory: Path, place: str) -> Path:
    """The log of the server of a place in a cluster's directory."""
    return directory / f"{place}.log"


def wal_sockets_of(home: EngineHome, resource_id: str) -> Path:
    """The folder of the WAL service's socket."""
    return sockets_of(home, resource_id, "l")


def sockets_of(home: EngineHome, resource_id: str, what: str) -> Path:
    """A folder of sockets for something of a cluster, whose path is short enough for one."""
    return home.run / f"{resource_id.removeprefix('cluster-')[:16]}-{what}"


def begin_coalescing(
    home: EngineHome, installation: Installation, resource_id: str, volume: StorageVolume
) -> None:
    """Have a cluster's volume make page images by itself, from its opening on."""
    sockets, wal_sockets = (sockets_of(home, resource_id, "c"), wal_sockets_of(home, resource_id))
    volume.start_coalescing(installation, sockets, SUPERUSER, wal_sockets=wal_sockets)
