"""What the workflows share: the parts of one open runtime, and the clusters it hosts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.postgres import ClusterStorage, Writer
from cluster_runtime.control.records.advice import to_make_a_writer, to_make_available
from cluster_runtime.control.records.catalog import CLUSTER_FORMAT, Catalog
from cluster_runtime.control.records.identifiers import not_found
from cluster_runtime.control.records.model import (
    AT_REST,
    ClusterStatus,
    DBCluster,
    EndpointKind,
    Event,
)
from cluster_runtime.control.records.parameter_groups import DBClusterParameterGroup
from cluster_runtime.control.records.state_directory import AccessKey, StateDirectory
from cluster_runtime.engine.home import EngineHome
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.settings import Settings
from cluster_runtime.engine.system.copies import CopiesAhead
from cluster_runtime.engine.template import Template
from cluster_runtime.engine.warm_pool import WarmPool
from cluster_runtime.errors import ClusterClosedError, InvalidClusterStateError
from cluster_runtime.gateway import CertificateAuthority, Endpoint, Gateway
from cluster_runtime.logs import get_logger
from cluster_runtime.moved import renamed
from cluster_runtime.serverless.watch import ConnectionWatch
from cluster_runtime.storage.core.policy.past import Window

_log = get_logger(__name__)

PASSING = (ClusterStatus.FAILING_OVER, ClusterStatus.STARTING, ClusterStatus.BACKTRACKING)
"""Who connects meanwhile waits for the end of it."""

UNNAMED_MARK = "unnamed"
"""A file in a cluster's directory while the cluster has no name yet: such a one may be swept."""

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, Context="OpenRuntime")


@dataclass(slots=True)
class Instances:
    """The volume of a cluster, its writer, and its readers: at least one, and at most 15.

    The first reader serves while no writer can.
    """

    storage: ClusterStorage
    writer_server: Writer
    writer: HostedInstance
    readers: list[HostedInstance]

    @property
    def reader(self) -> HostedInstance:
        """The reader that serves while no writer can."""
        return self.readers[0]

    async def stop(self, mode: Shutdown) -> None:
        """Stop all of them, then close the volume, whatever went wrong before."""
        try:
            for reader in self.readers:
                await reader.stop(Shutdown.IMMEDIATE)
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


class RestartOfItsWriter(Protocol):
    """What starts a writer that ended, while the endpoints of its cluster are open."""

    def begin(self) -> None:
        """The writer has ended: start it again."""

    def close(self) -> None:
        """Start it never again."""


@dataclass(slots=True, eq=False)
class HostedCluster:
    """A cluster of this runtime: what it is, its writer, its open endpoints."""

    db_cluster: DBCluster
    directory: Path
    instances: Instances
    format: int = CLUSTER_FORMAT
    endpoints: dict[EndpointKind, Endpoint] = field(default_factory=dict)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    watch: ConnectionWatch | None = None
    restart: RestartOfItsWriter | None = None

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
    installation: Callable[[str | None], Installation]
    template: Callable[[str | None], Template]
    pool: WarmPool[UnnamedCluster]
    clusters: dict[str, HostedCluster] = field(default_factory=dict)
    reserved: dict[str, asyncio.Event] = field(default_factory=dict)
    """Names whose clusters are being made; each event is set when that has ended."""
    parameter_groups: dict[str, DBClusterParameterGroup] = field(default_factory=dict)
    copies: CopiesAhead = field(init=False)

    def __post_init__(self) -> None:
        self.copies = CopiesAhead(self.home.root / "copies", self.home.user)

    def find(self, identifier: str) -> HostedCluster:
        """The cluster of an identifier or resource id. Raises ClusterNotFoundError."""
        for cluster in list(self.clusters.values()):
            if identifier == cluster.id or identifier.lower() == cluster.identifier:
                return cluster
        raise not_found(identifier, (cluster.identifier for cluster in self.clusters.values()))

    def parameters_of(self, resource_id: str) -> Settings:
        """What the parameter group of a cluster sets; nothing for one without a name yet."""
        cluster = self.clusters.get(resource_id)
        name = cluster.db_cluster.db_cluster_parameter_group if cluster is not None else ""
        group = self.parameter_groups.get(name)
        return dict(group.values) if group is not None else {}

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

    def note(self, resource_id: str, message: str, *categories: str) -> None:
        """Note an event of a cluster, from any thread; none of one without a name yet."""
        cluster = self.clusters.get(resource_id)
        if cluster is not None:
            event = Event(cluster.identifier, "db-cluster", message, categories, datetime.now(UTC))
            _log.info(message, cluster=cluster.identifier, categories=categories)
            self.catalog.add_event(resource_id, event)

    async def record(self, cluster: HostedCluster, message: str, *categories: str) -> None:
        """Note an event of a cluster, for `describe_events` and the log."""
        event = Event(cluster.identifier, "db-cluster", message, categories, datetime.now(UTC))
        log = _log.warning if "security" in categories else _log.info
        log(message, cluster=cluster.identifier, categories=categories)
        await in_thread(self.catalog.add_event, cluster.id, event)
