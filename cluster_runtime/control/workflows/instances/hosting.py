"""Instances as a host has them: from the records of the catalog, and what was left undone."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from cluster_runtime.control.availability.placement import zone_for
from cluster_runtime.control.cluster import (
    UNNAMED_MARK,
    BranchAhead,
    HostedCluster,
    Instances,
    OpenRuntime,
)
from cluster_runtime.control.endpoints import update_endpoints
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.identifiers import first_instance_name
from cluster_runtime.control.records.instances import (
    FIRST_PLACE,
    STAND_IN_PLACE,
    InstanceRecord,
    new_instance_resource_id,
)
from cluster_runtime.control.records.model import DBCluster, InstanceStatus
from cluster_runtime.control.servers.on_volume import Parameters
from cluster_runtime.control.servers.places import (
    Servers,
    ServersAhead,
    begin_coalescing,
    data_directory_at,
    log_file_at,
    server_name,
    servers_ahead,
    servers_at,
    sockets_of,
)
from cluster_runtime.control.servers.storage import ClusterStorage
from cluster_runtime.control.workflows.upgrade import prepare_reader, prepare_writer
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.system.files import remove_tree
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.past import Window
from cluster_runtime.storage.volume import StorageVolume

_log = get_logger(__name__)
UNFINISHED = (InstanceStatus.CREATING, InstanceStatus.DELETING)


def instances_over(
    runtime: OpenRuntime,
    installation: Installation,
    resource_id: str,
    records: Iterable[InstanceRecord] = (),
    writer: str = "",
) -> Instances:
    """What serves the directory of a cluster, and its user; nothing runs or is opened yet.

    records: of its instances, one of which is the writer.
    """
    host = _Host(runtime, installation, resource_id)
    known = {each.db_instance_identifier: each.place for each in records}
    place = known.pop(writer, FIRST_PLACE)
    return Instances(
        host.storage,
        host.instance(place, writer),
        host.stand_in,
        {name: host.instance(place, name, as_reader=True) for name, place in known.items()},
    )


class _Host:
    """What the volume and the servers of a cluster need of their runtime.

    One object, and no function for each of them: most clusters are paused.
    """

    __slots__ = ("_installation", "_resource_id", "_runtime", "storage")

    def __init__(
        self,
        runtime: OpenRuntime,
        installation: Installation,
        resource_id: str,
        storage: ClusterStorage | None = None,
    ) -> None:
        """storage: what there is of it already."""
        self._runtime, self._installation = runtime, installation
        self._resource_id = resource_id
        home = runtime.home
        self.storage = storage or ClusterStorage(
            home.clusters / resource_id, home.user_of(resource_id), self
        )

    def begin_upkeep(self, volume: StorageVolume) -> None:
        """First who needs log: nothing is collected before coalescing has begun."""
        runtime = self._runtime
        runtime.backups.attach(self._resource_id, volume)
        runtime.meter.attach(self._resource_id, volume.meters)
        begin_coalescing(runtime.home, self._installation, self._resource_id, volume)

    def window(self) -> Window:
        """How far back the volume is to be kept."""
        return self._runtime.window_of(self._resource_id)

    def tell(self, message: str, *categories: str) -> None:
        """Note an event of the cluster."""
        self._runtime.tell(self._resource_id, message, *categories)

    async def prepare(self, instance: HostedInstance) -> None:
        """What happens to an instance that has just started, before anybody is let in."""
        runtime, resource_id = self._runtime, self._resource_id
        if instance.is_reader:
            await prepare_reader(runtime, resource_id, instance)
        else:
            await prepare_writer(runtime, resource_id, instance)
        cluster = runtime.clusters.get(resource_id)
        if cluster is not None:
            # It may take more or fewer connections than before.
            update_endpoints(runtime, cluster)

    def stand_in(self) -> HostedInstance:
        """The reader without a name."""
        return self.instance(STAND_IN_PLACE, STAND_IN_PLACE, as_reader=True)

    def instance(self, place: str, name: str, *, as_reader: bool = False) -> HostedInstance:
        """What serves at a place; nothing runs yet."""
        return self.of(self.servers(place, name), as_reader=as_reader)

    def of(self, servers: Servers | ServersAhead, *, as_reader: bool) -> HostedInstance:
        """What serves by such servers."""
        major = self._installation.major
        return HostedInstance(servers, self._resource_id, major, self.prepare, as_reader=as_reader)

    def servers(self, place: str, name: str) -> Servers:
        """What runs at a place."""
        runtime, resource_id = self._runtime, self._resource_id
        return servers_at(
            runtime.home,
            self._installation,
            self.storage,
            Parameters(runtime, resource_id, place),
            resource_id,
            place,
            partial(runtime.capacity.enforcer.admit, server_name(resource_id, place)),
            name,
        )


def instances_of_unnamed(
    runtime: OpenRuntime, installation: Installation, resource_id: str
) -> Instances:
    """The same for a cluster that gets its name later, in a directory that says so from the first.

    What a host that ends leaves of it is swept by the next one.
    """
    directory = runtime.home.user.make_passage(runtime.home.clusters / resource_id)
    (directory / UNNAMED_MARK).touch()
    return instances_over(runtime, installation, resource_id)


def branch_ahead(
    runtime: OpenRuntime, installation: Installation, source: HostedCluster, resource_id: str
) -> BranchAhead:
    """What a branch of a cluster will be, as far as that can be had ahead; nothing runs yet."""
    instances = instances_of_unnamed(runtime, installation, resource_id)
    host = _Host(runtime, installation, resource_id, instances.storage)
    servers = servers_ahead(
        host.servers(FIRST_PLACE, ""),
        sockets_of(runtime.home, resource_id, "a"),
        source.instances.storage,
        Parameters(runtime, source.id),
    )
    instances.writer = host.of(servers, as_reader=True)
    return BranchAhead(resource_id, runtime.home.clusters / resource_id, instances, servers)


async def hosted_at(
    runtime: OpenRuntime, cluster: HostedCluster, place: str, name: str, *, as_reader: bool
) -> HostedInstance:
    """What serves at a place of a cluster; nothing runs yet."""
    installation = await in_thread(runtime.installation, cluster.db_cluster.engine_version)
    host = _Host(runtime, installation, cluster.id, cluster.instances.storage)
    return host.instance(place, name, as_reader=as_reader)


async def give_first_instance(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Make the writer that a new cluster has an instance with a name, durably."""
    db_cluster = cluster.db_cluster
    name = first_instance_name(db_cluster.db_cluster_identifier, runtime.instance_names())
    cluster.db_cluster = replace(db_cluster, writer_identifier=name)
    await runtime.keep(cluster, _first_record(db_cluster, name))


async def with_instances(
    runtime: OpenRuntime, db_cluster: DBCluster, known: Iterable[InstanceRecord]
) -> tuple[DBCluster, list[InstanceRecord]]:
    """A cluster of the catalog and the records of its instances; what was left undone is ended.

    known: the records of all clusters. A cluster of an earlier release has none: its writer gets
    the name that it had.
    """
    resource_id = db_cluster.db_cluster_resource_id
    everyone = list(known)
    records = []
    for record in everyone:
        if record.db_cluster_resource_id != resource_id:
            continue
        if record.status in UNFINISHED:
            _log.warning("an instance is removed", instance=record.db_instance_identifier)
            await in_thread(remove_files, runtime.home.clusters / resource_id, record)
            await in_thread(runtime.catalog.remove_instance, record.db_instance_identifier)
        else:
            records.append(record)
    if not db_cluster.has_writer or records:
        return db_cluster, records
    taken = {each.db_instance_identifier for each in everyone} | runtime.instance_names()
    name = db_cluster.writer_identifier
    if not name or name in taken:
        name = first_instance_name(db_cluster.db_cluster_identifier, taken)
    record = _first_record(db_cluster, name)
    await in_thread(runtime.catalog.put_instance, record)
    named = replace(db_cluster, writer_identifier=name)
    await in_thread(runtime.catalog.put, named)
    return named, [record]


def _first_record(db_cluster: DBCluster, name: str) -> InstanceRecord:
    return InstanceRecord(
        name,
        new_instance_resource_id(),
        db_cluster.db_cluster_resource_id,
        FIRST_PLACE,
        zone_for(()),
        db_cluster.cluster_create_time,
    )


def remove_files(directory: Path, record: InstanceRecord) -> None:
    """Remove what an instance that does not run has in its cluster's directory."""
    remove_tree(data_directory_at(directory, record.place))
    log_file_at(directory, record.place).unlink(missing_ok=True)
