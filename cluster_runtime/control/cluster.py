"""What the workflows share: the parts of one open runtime, and the clusters it hosts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cluster_runtime.backup.keeping.keeper import BackupKeeper
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.advice import to_make_a_writer, to_make_available
from cluster_runtime.control.records.catalog import CLUSTER_FORMAT, Catalog
from cluster_runtime.control.records.identifiers import not_found
from cluster_runtime.control.records.instances import (
    CustomEndpointRecord,
    InstanceRecord,
    class_settings,
)
from cluster_runtime.control.records.model import (
    AT_REST,
    ClusterStatus,
    DBCluster,
    DeepPause,
    Event,
    LogicalReplicationSlot,
)
from cluster_runtime.control.records.parameter_groups import DBClusterParameterGroup
from cluster_runtime.control.records.recovery.backup_catalog import BackupCatalog
from cluster_runtime.control.records.state_directory import AccessKey, StateDirectory
from cluster_runtime.control.servers.ahead import ReaderAhead
from cluster_runtime.control.servers.places import ServersAhead
from cluster_runtime.control.servers.postgres import Writer
from cluster_runtime.control.servers.storage import BASE_IMAGE, ClusterStorage
from cluster_runtime.engine.home import EngineHome
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.settings import Settings
from cluster_runtime.engine.system.copies import CopiesAhead
from cluster_runtime.engine.template import Template
from cluster_runtime.engine.warm_pool import WarmPool
from cluster_runtime.errors import (
    BorealisError,
    ClusterClosedError,
    InsufficientStorageError,
    InvalidClusterStateError,
)
from cluster_runtime.gateway import CertificateAuthority, Endpoint, Gateway
from cluster_runtime.logs import get_logger
from cluster_runtime.moved import renamed
from cluster_runtime.serverless.capacity import InstanceCapacity
from cluster_runtime.serverless.enforcement.parameters import parameters_of_range
from cluster_runtime.serverless.host_capacity import HostCapacity
from cluster_runtime.serverless.metering.meter import Meter
from cluster_runtime.serverless.metrics.history import History
from cluster_runtime.serverless.metrics.sampler import Sampler
from cluster_runtime.serverless.watch import ConnectionWatch
from cluster_runtime.storage.core.policy.past import Window

_log = get_logger(__name__)

PASSING = (ClusterStatus.FAILING_OVER, ClusterStatus.STARTING, ClusterStatus.BACKTRACKING)
"""Who connects meanwhile waits for the end of it."""

UNNAMED_MARK = "unnamed"
"""A file in a cluster's directory while the cluster has no name yet: such a one may be swept."""

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, Context="OpenRuntime")


class WarmBranch(Protocol):
    """What keeps a standby ready for the next branch of a cluster, while the cluster runs."""

    @property
    def ready(self) -> bool:
        """Whether the next branch will find one."""

    def look(self) -> None:
        """Begin to make one where one is wanted, and let go of one that is of no use."""

    def take(self) -> "BranchAhead | None":
        """The one that is ready, which is the caller's from now on; None where none is."""

    async def rest(self) -> None:
        """End it, and make none before the next `look`."""


@dataclass(slots=True)
class Instances:
    """The volume of a cluster, its writer, and its readers by their names: at most 15.

    make_stand_in: makes what `stand_in` is, which few clusters ever need.
    warm_branch: None while its endpoints were never open.
    """

    storage: ClusterStorage
    writer: HostedInstance
    make_stand_in: Callable[[], HostedInstance]
    readers: dict[str, HostedInstance] = field(default_factory=dict)
    warm_branch: WarmBranch | None = None
    _stand_in: HostedInstance | None = None

    @property
    def stand_in(self) -> HostedInstance:
        """A reader without a name, which serves while neither a writer nor another reader can."""
        if self._stand_in is None:
            self._stand_in = self.make_stand_in()
        return self._stand_in

    @property
    def stand_in_runs(self) -> bool:
        """Whether that one runs."""
        return self._stand_in is not None and self._stand_in.socket is not None

    @property
    def writer_server(self) -> Writer:
        """What runs at the writer's place."""
        return self.writer.servers.as_writer

    @property
    def ready_readers(self) -> dict[str, HostedInstance]:
        """Those that serve now."""
        return {name: each for name, each in self.readers.items() if each.ready}

    async def stop_readers(self) -> None:
        """Stop all of them but the writer, and the standby that is ready for a branch."""
        ending = [each.stop(Shutdown.IMMEDIATE) for each in self.readers.values()]
        if self.warm_branch is not None:
            ending.append(self.warm_branch.rest())
        await asyncio.gather(self.stop_stand_in(), *ending)

    async def stop_stand_in(self) -> None:
        """Stop the reader without a name, where there is one."""
        if self._stand_in is not None:
            await self._stand_in.stop(Shutdown.IMMEDIATE)

    async def stop(self, mode: Shutdown) -> None:
        """Stop all of them, then close the volume, whatever went wrong before."""
        try:
            await self.stop_readers()
            await self.writer.stop(mode)
        finally:
            await in_thread(self.storage.close)


@dataclass(slots=True)
class UnnamedCluster:
    """A started cluster that no create has taken yet."""

    resource_id: str
    engine_version: str
    directory: Path
    instances: Instances


@dataclass(slots=True)
class BranchAhead:
    """A cluster without a name whose writer is, until it is cut off, a standby of another cluster.

    servers: what runs at the writer's place until then.
    """

    resource_id: str
    directory: Path
    instances: Instances
    servers: ServersAhead

    @property
    def standby(self) -> ReaderAhead:
        """What runs there now."""
        return self.servers.as_reader


class Watch(Protocol):
    """What looks after the clusters of a runtime by itself."""

    async def close(self) -> None:
        """Look no more."""


class Supervision(Protocol):
    """What looks after the instances of a cluster while its endpoints are open.

    trouble: why the writer that ended has not been replaced, where that was tried.
    """

    trouble: Exception | None

    def writer_ended(self) -> None:
        """The writer has ended: another one takes over, or it is started again."""

    def look(self) -> None:
        """Look at all of them now, and not in due time."""

    def new_writer(self) -> None:
        """Another instance is the writer now."""

    def rest(self) -> None:
        """The cluster pauses: nothing is looked after until its writer runs again."""

    def close(self) -> None:
        """Start nothing any more."""


@dataclass(slots=True, eq=False)
class HostedCluster:
    """A cluster of this runtime: what it is, its instances, its open endpoints.

    records: of its instances by name. custom: its custom endpoints by identifier. lag: milliseconds
    that each reader was behind when that was last looked at. problems: why instances that should
    run do not, by name. deep_pause: what it is in, until its writer runs again.
    asleep: readers that pause alone, and do. kept_awake: what kept it from pausing the last time.
    capacities: of its serverless instances that run, as the last tick left them.
    slots: the logical replication slots of each, as last seen.
    """

    db_cluster: DBCluster
    directory: Path
    instances: Instances
    format: int = CLUSTER_FORMAT
    records: dict[str, InstanceRecord] = field(default_factory=dict)
    custom: dict[str, CustomEndpointRecord] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    watch: ConnectionWatch | None = None
    supervision: Supervision | None = None
    deep_pause: DeepPause | None = None
    asleep: frozenset[str] = frozenset()
    kept_awake: str = ""
    lag: dict[str, float] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    capacities: dict[str, InstanceCapacity] = field(default_factory=dict)
    slots: dict[str, tuple[LogicalReplicationSlot, ...]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The resource id, which never changes."""
        return self.db_cluster.db_cluster_resource_id

    @property
    def writer(self) -> HostedInstance:
        """The writer."""
        return self.instances.writer

    @property
    def identifier(self) -> str:
        """The name that it has now."""
        return self.db_cluster.db_cluster_identifier

    @property
    def writer_name(self) -> str:
        """The name of the instance that is the writer; empty without one."""
        return self.db_cluster.writer_identifier if self.db_cluster.has_writer else ""

    def instance(self, name: str) -> HostedInstance:
        """The instance of a name. Raises LookupError where it has none of it."""
        if name == self.writer_name:
            return self.writer
        return self.instances.readers[name]

    async def settled(self) -> None:
        """Wait for a failover, a start or a rewind; then raise unless it is available."""
        if self.db_cluster.status in PASSING:
            async with self.changing:
                pass
        self.require(ClusterStatus.AVAILABLE)

    def require_writer(self) -> None:
        """Raise ClusterClosedError where it has no instance."""
        if not self.db_cluster.has_writer:
            raise ClusterClosedError(
                f"cluster {self.identifier!r} has no instance", to_make_a_writer(self.db_cluster)
            )

    def require(self, *statuses: ClusterStatus) -> None:
        """Raise InvalidClusterStateError unless the status is one of these."""
        if self.db_cluster.status not in statuses:
            wanted = " or ".join(status.value for status in statuses)
            at_rest = self.db_cluster.status in AT_REST
            kind = ClusterClosedError if at_rest else InvalidClusterStateError
            raise kind(
                f"cluster {self.identifier!r} is {self.db_cluster.status.value}; "
                f"this needs it to be {wanted}",
                *(
                    to_make_available(self.db_cluster)
                    if ClusterStatus.AVAILABLE in statuses
                    else ()
                ),
            )


@dataclass(slots=True)
class OpenRuntime:
    """The parts of one open runtime. Used on its event loop only."""

    state: StateDirectory
    catalog: Catalog
    home: EngineHome
    gateway: Gateway
    certificates: CertificateAuthority
    access_key: AccessKey
    region: str
    engine_version: str | None
    """The one that was asked for, for clusters that name none."""
    installation: Callable[[str | None], Installation]
    template: Callable[[str | None], Template]
    pool: WarmPool[UnnamedCluster]
    supervise: "Callable[[OpenRuntime, HostedCluster], Supervision]"
    backups: BackupKeeper
    meter: Meter
    capacity: HostCapacity
    clusters: dict[str, HostedCluster] = field(default_factory=dict)
    reserved: dict[str, asyncio.Event] = field(default_factory=dict)
    """Names whose clusters are being made; each event is set when that has ended."""
    parameter_groups: dict[str, DBClusterParameterGroup] = field(default_factory=dict)
    notes: set[asyncio.Task[None]] = field(default_factory=set)
    """Events that are being recorded while their cause goes on."""
    watches: list[Watch] = field(default_factory=list)
    snapshots_under_way: set[str] = field(default_factory=set)
    """Names of snapshots that are being made now."""
    look_after_backups: Callable[[], None] = lambda: None
    """Have what nobody waits for done soon."""
    histories: dict[str, History] = field(default_factory=dict)
    """Metrics of the last day of clusters that run, by resource id; those of others lie on disk."""
    sampler: Sampler = field(default_factory=Sampler)
    """What each running instance did in the last second."""
    copies: CopiesAhead = field(init=False)
    backup_catalog: BackupCatalog = field(init=False)

    def __post_init__(self) -> None:
        self.backup_catalog = BackupCatalog(self.catalog)
        self.copies = CopiesAhead(self.home.root / "copies")

    def find(self, identifier: str) -> HostedCluster:
        """The cluster of an identifier or resource id. Raises ClusterNotFoundError."""
        for cluster in list(self.clusters.values()):
            if identifier == cluster.id or identifier.lower() == cluster.identifier:
                return cluster
        raise not_found(identifier, (cluster.identifier for cluster in self.clusters.values()))

    async def stop_watching(self) -> None:
        """End what looks after the clusters by itself."""
        while self.watches:
            await self.watches.pop().close()

    def parameters_of(self, resource_id: str, place: str = "") -> Settings:
        """What the parameter group of a cluster sets; nothing for one without a name yet.

        place: of an instance, whose class sets some where the group does not.
        """
        cluster = self.clusters.get(resource_id)
        if cluster is None:
            return {}
        group = self.parameter_groups.get(cluster.db_cluster.db_cluster_parameter_group)
        classes = [
            each.db_instance_class for each in cluster.records.values() if each.place == place
        ]
        of_class = class_settings(classes[0]) if classes else {}
        return {**of_class, **(dict(group.values) if group is not None else {})}

    def parameters_of_range(self, resource_id: str) -> Settings:
        """What follows the most capacity of a cluster, and takes a start; nothing without a name.

        A provisioned instance has the same: it takes clients of serverless ones in a failover.
        """
        cluster = self.clusters.get(resource_id)
        if cluster is None or not self.capacity.enforcer.sets_parameters:
            return {}
        scaling = cluster.db_cluster.scaling
        return parameters_of_range(
            scaling.min_capacity, scaling.max_capacity, self.capacity.machine.memory_bytes
        )

    def instance_names(self) -> frozenset[str]:
        """The names of all instances that there are."""
        return frozenset(name for each in self.clusters.values() for name in each.records)

    async def keep(self, cluster: HostedCluster, record: InstanceRecord) -> None:
        """Make a record what an instance is, durably."""
        await in_thread(self.catalog.put_instance, record)
        cluster.records[record.db_instance_identifier] = record

    def window_of(self, resource_id: str) -> Window:
        """How much of its past a cluster keeps; by default for one without a name yet."""
        cluster = self.clusters.get(resource_id)
        if cluster is None:
            return Window()
        facts = cluster.db_cluster
        return Window(facts.backtrack_window, facts.backtrack_bytes_max)

    async def store(self, cluster: HostedCluster, db_cluster: DBCluster) -> None:
        """Make `db_cluster` what the cluster is, durably."""
        await in_thread(self.catalog.put, db_cluster)
        cluster.db_cluster = db_cluster

    async def remove(self, cluster: HostedCluster) -> None:
        """The files, then the row: a row without files is finished again, never the reverse."""
        await in_thread(self.home.remove, cluster.directory)
        await in_thread(self.home.sweep_bases, BASE_IMAGE)
        await in_thread(self.catalog.remove, cluster.id)
        self.clusters.pop(cluster.id, None)
        await self.record(cluster, "DB cluster deleted", "deletion")
        self.look_after_backups()

    def tell(self, resource_id: str, message: str, *categories: str) -> None:
        """Note an event of a cluster, from any thread; none of one without a name yet."""
        cluster = self.clusters.get(resource_id)
        if cluster is not None:
            event = Event(cluster.identifier, "db-cluster", message, categories, datetime.now(UTC))
            _log.info(message, cluster=cluster.identifier, categories=categories)
            self.catalog.add_event(resource_id, event)

    async def record(self, cluster: HostedCluster, message: str, *categories: str) -> None:
        """Note an event of a cluster, for `describe_events` and the log.

        What happened stays so where the disk has no room for its event: then the log alone has it.
        """
        event = Event(cluster.identifier, "db-cluster", message, categories, datetime.now(UTC))
        log = _log.warning if "security" in categories else _log.info
        log(message, cluster=cluster.identifier, categories=categories)
        try:
            await in_thread(self.catalog.add_event, cluster.id, event)
        except InsufficientStorageError as error:
            _log.error("event not kept", cluster=cluster.identifier, error=str(error))

    def note(self, cluster: HostedCluster, message: str, *categories: str) -> None:
        """The same for a cause that does not wait for it, such as a wake."""
        task = asyncio.ensure_future(self._noted(cluster, message, *categories))
        self.notes.add(task)
        task.add_done_callback(self.notes.discard)

    async def _noted(self, cluster: HostedCluster, message: str, *categories: str) -> None:
        try:
            await self.record(cluster, message, *categories)
        except BorealisError as error:
            _log.error("event not kept", cluster=cluster.identifier, error=str(error))
