"""The places of a cluster's instances: directories, sockets, and what serves there.

An instance keeps its place when it changes its role.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster_runtime.control.records.instances import FIRST_PLACE, STAND_IN_PLACE
from cluster_runtime.control.servers.ahead import ReaderAhead
from cluster_runtime.control.servers.postgres import Reader, Writer
from cluster_runtime.control.servers.storage import DATA, ClusterStorage
from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.home import EngineHome
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.postmaster import Postmaster
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.settings import Settings
from cluster_runtime.storage.volume import StorageVolume


@dataclass(frozen=True, slots=True)
class Servers:
    """The two things that the PostgreSQL of one place can be, one at a time."""

    as_writer: Writer
    as_reader: Reader


def servers_at(
    home: EngineHome,
    installation: Installation,
    storage: ClusterStorage,
    parameters: Callable[[], Settings],
    resource_id: str,
    place: str,
    called: str = "",
) -> Servers:
    """What runs at a place of a cluster. called: the name of the instance that has it."""
    postmaster = postmaster_of(home, installation, storage.user, resource_id, place)
    return Servers(
        Writer(postmaster, storage, parameters),
        Reader(postmaster, storage, parameters, wal_sockets_of(home, resource_id), called),
    )


def servers_ahead(
    home: EngineHome,
    installation: Installation,
    storage: ClusterStorage,
    parameters: Callable[[], Settings],
    resource_id: str,
    source: ClusterStorage,
    parameters_of_source: Callable[[], Settings],
) -> tuple[Servers, Servers]:
    """What runs at the first place of a branch that is yet to be, and what does from then on.

    Before, it is a standby of the source, with the source's parameters: one that has less of
    something than the server that it follows stands still.
    """
    postmaster = postmaster_of(home, installation, storage.user, resource_id, FIRST_PLACE)
    writer = Writer(postmaster, storage, parameters)
    sockets = sockets_of(home, resource_id, "a")
    return (
        Servers(writer, ReaderAhead(postmaster, source, parameters_of_source, sockets)),
        Servers(writer, Reader(postmaster, storage, parameters, wal_sockets_of(home, resource_id))),
    )


def postmaster_of(
    home: EngineHome, installation: Installation, user: OsUser, resource_id: str, place: str
) -> Postmaster:
    """The postmaster at a place of a cluster: that of an instance, or of the stand-in."""
    directory = home.clusters / resource_id
    socket = place[0] if place in (FIRST_PLACE, STAND_IN_PLACE) else place.removeprefix("db-")
    return Postmaster(
        installation,
        user,
        data_directory_at(directory, place),
        sockets_of(home, resource_id, socket),
        log_file_at(directory, place),
    )


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


def coalescing_of(
    home: EngineHome, installation: Installation, resource_id: str
) -> Callable[[StorageVolume], None]:
    """What has a cluster's volume make page images by itself, from its opening on."""
    sockets = sockets_of(home, resource_id, "c")

    def begin(volume: StorageVolume) -> None:
        volume.start_coalescing(
            installation, sockets, SUPERUSER, wal_sockets=wal_sockets_of(home, resource_id)
        )

    return begin
