"""One open runtime, on its event loop: opened, asked, closed."""

import asyncio
import os
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import (
    close_endpoints,
    describe_sessions,
    open_shared_port,
)
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.monitoring.activity import describe_activity
from cluster_runtime.control.monitoring.disk_watch import DiskWatch
from cluster_runtime.control.monitoring.supervision import Supervisor
from cluster_runtime.control.operations.clusters import (
    CreateDBCluster,
    DeleteDBCluster,
    DescribeDBClusters,
    GetMasterUserSecret,
    ModifyDBCluster,
    PauseDBCluster,
    StartDBCluster,
    StopDBCluster,
)
from cluster_runtime.control.operations.engines import (
    CreateDBClusterParameterGroup,
    DeleteDBClusterParameterGroup,
    DescribeDBClusterParameterGroups,
    DescribeDBClusterParameters,
    DescribeDBEngineVersions,
    DescribeOrderableDBInstanceOptions,
    ModifyDBClusterParameterGroup,
    ResetDBClusterParameterGroup,
)
from cluster_runtime.control.operations.events import DescribeEvents
from cluster_runtime.control.operations.resources import (
    AddTagsToResource,
    DescribeHost,
    DescribePendingMaintenanceActions,
    ListTagsForResource,
    RemoveTagsFromResource,
)
from cluster_runtime.control.operations.sessions import (
    DescribeActivity,
    DescribeSessions,
    RegisterSession,
)
from cluster_runtime.control.operations.volumes import (
    DescribeVolume,
    HealFault,
    InjectFault,
    LoseCompute,
)
from cluster_runtime.control.performing.instances import InstanceOperations
from cluster_runtime.control.records.catalog import Catalog
from cluster_runtime.control.records.model import (
    ClusterActivity,
    ClusterStatus,
    DBCluster,
    DBInstance,
    Event,
    HostDescription,
    Usage,
)
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.control.records.parameter_groups import DBClusterParameterGroup, DBParameter
from cluster_runtime.control.records.resources import (
    DBEngineVersion,
    MasterUserSecretValue,
    OrderableDBInstanceOption,
    ResourcePendingMaintenanceActions,
    Tag,
)
from cluster_runtime.control.records.state_directory import StateDirectory
from cluster_runtime.control.records.tokens import generate_db_auth_token
from cluster_runtime.control.topology.publishing import TopologyWatch
from cluster_runtime.control.workflows import (
    create,
    delete,
    engines,
    faults,
    modify,
    parameter_groups,
    power,
    resources,
)
from cluster_runtime.control.workflows.create import DEFAULT_CAPACITY_ACU
from cluster_runtime.control.workflows.recover import recover
from cluster_runtime.control.workflows.secrets import master_user_secret
from cluster_runtime.engine.home import open_home, shared_directory
from cluster_runtime.engine.installation import Installation, find_installation
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.system.resources import raise_open_files
from cluster_runtime.engine.template import Template, ensure_template
from cluster_runtime.engine.warm_pool import WarmPool
from cluster_runtime.gateway import (
    CertificateAuthority,
    Gateway,
    GatewayLimits,
    SessionDescription,
    SigningKey,
)
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.description import VolumeDescription

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HostedSource:
    """A cluster that this process hosts, for a handle on it."""

    service: "ControlService"
    cluster: HostedCluster

    @property
    def id(self) -> str:
        """The resource id."""
        return self.cluster.id

    @property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority."""
        return self.service.certificate_path

    def described(self) -> DBCluster:
        """The cluster as it is now."""
        return self.service.described(self.cluster)

    def instances(self) -> list[DBInstance]:
        """Its instances."""
        return self.service.instances(self.cluster)

    def address(self, endpoint: str) -> tuple[str, int]:
        """Host name and port of an endpoint."""
        return self.service.address(self.cluster, endpoint)

    def token(self, db_cluster: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for a user at an endpoint."""
        return self.service.token(db_cluster, host, port, user)


class ControlService(InstanceOperations):
    """The control plane itself. All methods run on the runtime's event loop."""

    def __init__(self, runtime: OpenRuntime, engine_version: str | None = None) -> None:
        super().__init__(runtime)
        self._engine_version = engine_version

    @classmethod
    async def open(
        cls, state: StateDirectory, options: RuntimeOptions, last_gateway_port: int | None = None
    ) -> "ControlService":
        """Open the parts over a locked state directory and bring its clusters back."""
        raise_open_files()
        user = engine_user()
        home = await asyncio.to_thread(open_home, state.path, user)
        catalog = await asyncio.to_thread(Catalog.open, state.path / "catalog.sqlite")
        gateway: Gateway | None = None
        try:
            access_key = state.access_key()
            certificates = await asyncio.to_thread(CertificateAuthority.open, state.path / "tls")
            gateway = Gateway(
                certificates=certificates,
                access_keys={access_key.access_key_id: SigningKey(access_key.secret_access_key)},
                region=options.region,
                limits=options.gateway_limits or GatewayLimits(),
            )

            def installation(engine_version: str | None) -> Installation:
                found = find_installation(engine_version or options.engine_version)
                return found.reachable_by(user, shared_directory(user))

            def template(engine_version: str | None) -> Template:
                return ensure_template(installation(engine_version), user, shared_directory(user))

            runtime = OpenRuntime(
                state=state,
                catalog=catalog,
                home=home,
                gateway=gateway,
                certificates=certificates,
                access_key=access_key,
                region=options.region,
                installation=installation,
                template=template,
                pool=WarmPool(
                    lambda: create.make_unnamed(runtime, None),
                    lambda unnamed: create.discard_unnamed(runtime, unnamed),
                    options.warm_pool_size,
                ),
                supervise=Supervisor,
            )
            for each in await asyncio.to_thread(catalog.parameter_groups):
                runtime.parameter_groups[each.db_cluster_parameter_group_name] = each
            await open_shared_port(runtime, options.gateway_port, last_gateway_port)
            await recover(runtime)
        except BaseException:
            if gateway is not None:
                await gateway.close()
            catalog.close()
            raise
        runtime.pool.fill()
        runtime.watches += (DiskWatch(runtime), TopologyWatch(runtime))
        return cls(runtime, options.engine_version)

    async def close(self) -> None:
        """Stop every cluster cleanly; their next connect, in a later runtime, wakes them."""
        runtime = self._runtime
        await runtime.stop_watching()
        await runtime.pool.close()
        await asyncio.gather(*(self._close(cluster) for cluster in runtime.clusters.values()))
        await runtime.gateway.close()
        await asyncio.to_thread(runtime.catalog.close)
        runtime.home.close()
        runtime.state.close()

    async def warm(self) -> None:
        """Wait until the warm pool is full."""
        await self._runtime.pool.filled()

    def usage(self) -> Usage:
        """Who uses the clusters now."""
        clusters = list(self._runtime.clusters.values())
        return Usage(
            connections=sum(len(describe_sessions(cluster)) for cluster in clusters),
            running=sum(cluster.writer.socket is not None for cluster in clusters),
        )

    def handle(self, identifier: str) -> ClusterHandle:
        """A handle on a cluster. Raises ClusterNotFoundError."""
        return ClusterHandle(HostedSource(self, self.find(identifier)))

    # The operations: each takes its declaration (`cluster_runtime.control.operations`).

    async def create_db_cluster(self, request: CreateDBCluster) -> ClusterHandle:
        """Perform it; raises what `CreateDBCluster` declares."""
        return ClusterHandle(
            HostedSource(self, await create.create_db_cluster(self._runtime, request))
        )

    async def describe_db_clusters(self, request: DescribeDBClusters) -> list[DBCluster]:
        """Perform it; raises what `DescribeDBClusters` declares."""
        return [self.described(each) for each in self._chosen(request.db_cluster_identifier)]

    async def modify_db_cluster(self, request: ModifyDBCluster) -> DBCluster:
        """Perform it; raises what `ModifyDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await modify.modify_db_cluster(self._runtime, cluster, request)
        return self.described(cluster)

    async def start_db_cluster(self, request: StartDBCluster) -> DBCluster:
        """Perform it; raises what `StartDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await power.start_db_cluster(self._runtime, cluster)
        return self.described(cluster)

    async def stop_db_cluster(self, request: StopDBCluster) -> DBCluster:
        """Perform it; raises what `StopDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await power.stop_db_cluster(self._runtime, cluster)
        return self.described(cluster)

    async def pause_db_cluster(self, request: PauseDBCluster) -> DBCluster:
        """Perform it; raises what `PauseDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await power.pause_db_cluster(self._runtime, cluster)
        return self.described(cluster)

    async def delete_db_cluster(self, request: DeleteDBCluster) -> DBCluster:
        """Perform it; raises what `DeleteDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return await delete.delete_db_cluster(self._runtime, cluster, request)

    async def list_tags_for_resource(self, request: ListTagsForResource) -> list[Tag]:
        """Perform it; raises what `ListTagsForResource` declares."""
        return list(resources.resource(self._runtime, request.resource_name).db_cluster.tag_list)

    async def add_tags_to_resource(self, request: AddTagsToResource) -> None:
        """Perform it; raises what `AddTagsToResource` declares."""
        await resources.add_tags(self._runtime, request.resource_name, request.tags)

    async def remove_tags_from_resource(self, request: RemoveTagsFromResource) -> None:
        """Perform it; raises what `RemoveTagsFromResource` declares."""
        await resources.remove_tags(self._runtime, request.resource_name, request.tag_keys)

    async def describe_pending_maintenance_actions(
        self, request: DescribePendingMaintenanceActions
    ) -> list[ResourcePendingMaintenanceActions]:
        """Perform it; raises what `DescribePendingMaintenanceActions` declares."""
        named = request.resource_identifier
        chosen = self._chosen(None) if named is None else [resources.resource(self._runtime, named)]
        return await asyncio.to_thread(resources.pending_maintenance, chosen)

    async def describe_db_engine_versions(
        self, request: DescribeDBEngineVersions
    ) -> list[DBEngineVersion]:
        """Perform it."""
        return await asyncio.to_thread(engines.engine_versions, request, self._engine_version)

    async def describe_orderable_db_instance_options(
        self, request: DescribeOrderableDBInstanceOptions
    ) -> list[OrderableDBInstanceOption]:
        """Perform it."""
        return await asyncio.to_thread(engines.orderable_options, request)

    async def create_db_cluster_parameter_group(
        self, request: CreateDBClusterParameterGroup
    ) -> DBClusterParameterGroup:
        """Perform it; raises what `CreateDBClusterParameterGroup` declares."""
        return await parameter_groups.create_group(self._runtime, request)

    async def describe_db_cluster_parameter_groups(
        self, request: DescribeDBClusterParameterGroups
    ) -> list[DBClusterParameterGroup]:
        """Perform it; raises what `DescribeDBClusterParameterGroups` declares."""
        name = request.db_cluster_parameter_group_name
        return await asyncio.to_thread(parameter_groups.describe_groups, self._runtime, name)

    async def describe_db_cluster_parameters(
        self, request: DescribeDBClusterParameters
    ) -> list[DBParameter]:
        """Perform it; raises what `DescribeDBClusterParameters` declares."""
        return await parameter_groups.describe_parameters(self._runtime, request)

    async def modify_db_cluster_parameter_group(
        self, request: ModifyDBClusterParameterGroup
    ) -> DBClusterParameterGroup:
        """Perform it; raises what `ModifyDBClusterParameterGroup` declares."""
        return await parameter_groups.modify_group(self._runtime, request)

    async def reset_db_cluster_parameter_group(
        self, request: ResetDBClusterParameterGroup
    ) -> DBClusterParameterGroup:
        """Perform it; raises what `ResetDBClusterParameterGroup` declares."""
        return await parameter_groups.reset_group(self._runtime, request)

    async def delete_db_cluster_parameter_group(
        self, request: DeleteDBClusterParameterGroup
    ) -> None:
        """Perform it; raises what `DeleteDBClusterParameterGroup` declares."""
        await parameter_groups.delete_group(self._runtime, request.db_cluster_parameter_group_name)

    async def get_master_user_secret(self, request: GetMasterUserSecret) -> MasterUserSecretValue:
        """Perform it; raises what `GetMasterUserSecret` declares."""
        return master_user_secret(
            self._runtime, self.find(request.db_cluster_identifier).db_cluster
        )

    async def describe_events(self, request: DescribeEvents) -> list[Event]:
        """Perform it; raises what `DescribeEvents` declares."""
        named = request.source_identifier
        resource_id = None if named is None else self.find(named).id
        return await asyncio.to_thread(self._runtime.catalog.events, resource_id)

    async def describe_sessions(self, request: DescribeSessions) -> list[SessionDescription]:
        """Perform it; raises what `DescribeSessions` declares."""
        return describe_sessions(self.find(request.db_cluster_identifier))

    async def describe_activity(self, request: DescribeActivity) -> ClusterActivity:
        """Perform it; raises what `DescribeActivity` declares."""
        return await describe_activity(self.find(request.db_cluster_identifier))

    async def register_session(self, request: RegisterSession) -> None:
        self._runtime.gateway.register_session(
            request.access_key_id,
            request.secret_access_key,
            request.session_token,
            request.expires,
        )

    async def describe_volume(self, request: DescribeVolume) -> VolumeDescription:
        """Perform it; raises what `DescribeVolume` declares."""
        return await faults.describe_volume(self.find(request.db_cluster_identifier))

    async def inject_fault(self, request: InjectFault) -> None:
        """Perform it; raises what `InjectFault` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await faults.inject_fault(cluster, request.target, request.kind, request.duration)

    async def heal_fault(self, request: HealFault) -> None:
        """Perform it; raises what `HealFault` declares."""
        await faults.heal_fault(self.find(request.db_cluster_identifier), request.target)

    async def lose_compute(self, request: LoseCompute) -> None:
        """Perform it; raises what `LoseCompute` declares."""
        await faults.lose_compute(self.find(request.db_cluster_identifier))

    async def describe_host(self, request: DescribeHost) -> HostDescription:
        """Perform it."""
        return HostDescription(
            version=version("borealis-postgres"),
            region=self._runtime.region,
            state_directory=str(self._runtime.state.path),
            certificate_path=str(self.certificate_path),
            process_id=os.getpid(),
            gateway_port=self.gateway_port,
        )

    @property
    def gateway_port(self) -> int | None:
        """The port that leads to all endpoints by name, where there is one."""
        return self._runtime.gateway.shared_port

    @property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority, for `sslrootcert`."""
        return self._runtime.certificates.root_path

    def token(self, db_cluster: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for an endpoint, signed with the access key of the runtime."""
        return generate_db_auth_token(
            self._runtime.access_key, host=host, port=port, user=user, region=db_cluster.region
        )

    def described(self, cluster: HostedCluster) -> DBCluster:
        """A cluster with the capacity and the walls of this moment."""
        running = cluster.writer.socket is not None
        least = max(cluster.db_cluster.scaling.min_capacity, DEFAULT_CAPACITY_ACU)
        walls = cluster.instances.writer_server.walls if running else None
        return replace(cluster.db_cluster, capacity=least if running else 0.0, walls=walls)

    async def _close(self, cluster: HostedCluster) -> None:
        async with cluster.changing:
            if cluster.db_cluster.status is not ClusterStatus.DELETING:
                await close_endpoints(self._runtime, cluster)
                await cluster.instances.stop(Shutdown.FAST)
