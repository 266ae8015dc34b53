"""One open runtime, on its event loop: opened, asked, closed."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cluster_runtime.control import create, delete, faults, modify, power
from cluster_runtime.control.catalog import Catalog
from cluster_runtime.control.context import Context, HostedCluster, UnnamedCluster
from cluster_runtime.control.create import DEFAULT_CAPACITY_ACU, CreateRequest
from cluster_runtime.control.disk_watch import DiskWatch
from cluster_runtime.control.endpoints import close_endpoints, describe_sessions
from cluster_runtime.control.model import ClusterStatus, DBCluster, Event
from cluster_runtime.control.modify import ModifyRequest
from cluster_runtime.control.recover import recover
from cluster_runtime.control.state_directory import StateDirectory
from cluster_runtime.control.tokens import generate_db_auth_token
from cluster_runtime.engine.home import open_home, shared_directory
from cluster_runtime.engine.installation import Installation, find_installation
from cluster_runtime.engine.os_user import engine_user
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.template import Template, ensure_template
from cluster_runtime.engine.warm_pool import WarmPool
from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.gateway import (
    CertificateAuthority,
    Gateway,
    GatewayLimits,
    SessionDescription,
    SigningKey,
)
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.description import VolumeDescription
from cluster_runtime.wording import Hint, Operation

DEFAULT_REGION = "us-east-1"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """warm_pool_size: unnamed clusters kept ready; region: the one that endpoint names carry;
    engine_version: of new clusters, unless their create names another one; gateway_limits: of
    connections, at every endpoint.
    """

    warm_pool_size: int = 1
    region: str = DEFAULT_REGION
    engine_version: str | None = None
    gateway_limits: GatewayLimits = field(default_factory=GatewayLimits)


class ControlService:
    """The control plane itself. All methods run on the runtime's event loop."""

    def __init__(self, context: Context, disk_watch: DiskWatch) -> None:
        self._context = context
        self._disk_watch = disk_watch

    @classmethod
    async def open(cls, state: StateDirectory, options: RuntimeOptions) -> "ControlService":
        """Open the parts over a locked state directory and bring its clusters back."""
        user = engine_user()
        home = await asyncio.to_thread(open_home, state.path, user)
        catalog = await asyncio.to_thread(Catalog.open, state.path / "catalog.sqlite")
        try:
            access_key = state.access_key()
            certificates = await asyncio.to_thread(CertificateAuthority.open, state.path / "tls")
            gateway = Gateway(
                certificates=certificates,
                access_keys={access_key.access_key_id: SigningKey(access_key.secret_access_key)},
                region=options.region,
                limits=options.gateway_limits,
            )

            def installation(engine_version: str | None) -> Installation:
                wanted = engine_version or options.engine_version
                return find_installation(wanted).reachable_by(user, shared_directory(user))

            def template(engine_version: str | None) -> Template:
                return ensure_template(installation(engine_version), user, shared_directory(user))

            async def make() -> UnnamedCluster:
                return await create.make_unnamed(context, None)

            async def discard(unnamed: UnnamedCluster) -> None:
                await create.discard_unnamed(context, unnamed)

            context = Context(
                state=state,
                catalog=catalog,
                home=home,
                gateway=gateway,
                certificates=certificates,
                access_key=access_key,
                region=options.region,
                installation=installation,
                template=template,
                pool=WarmPool(make, discard, options.warm_pool_size),
            )
            await recover(context)
        except BaseException:
            catalog.close()
            raise
        context.pool.fill()
        return cls(context, DiskWatch(context))

    async def close(self) -> None:
        """Stop every cluster cleanly; their next connect, in a later runtime, wakes them."""
        context = self._context
        await self._disk_watch.close()
        await context.pool.close()
        await asyncio.gather(*(self._close(cluster) for cluster in context.clusters.values()))
        await context.gateway.close()
        await asyncio.to_thread(context.catalog.close)
        context.home.close()
        context.state.close()

    async def create_db_cluster(self, request: CreateRequest) -> HostedCluster:
        """Create a cluster; raises as `Runtime.create_db_cluster`."""
        return await create.create_db_cluster(self._context, request)

    async def warm(self) -> None:
        """Wait until the warm pool is full."""
        await self._context.pool.filled()

    def find(self, identifier: str) -> HostedCluster:
        """A cluster by name or resource id. Raises ClusterNotFoundError."""
        return self._context.find(identifier)

    async def describe_db_clusters(self, identifier: str | None) -> list[DBCluster]:
        """The facts of one cluster, or of all by name. Raises ClusterNotFoundError."""
        if identifier is not None:
            return [self.facts(self.find(identifier))]
        clusters = sorted(self._context.clusters.values(), key=lambda cluster: cluster.identifier)
        return [self.facts(cluster) for cluster in clusters]

    async def modify_db_cluster(self, identifier: str, request: ModifyRequest) -> DBCluster:
        """Change a cluster; raises as `Runtime.modify_db_cluster`."""
        cluster = self.find(identifier)
        await modify.modify_db_cluster(self._context, cluster, request)
        return self.facts(cluster)

    async def start_db_cluster(self, identifier: str) -> DBCluster:
        """Start a stopped cluster. Raises InvalidClusterStateError in another state."""
        cluster = self.find(identifier)
        await power.start_db_cluster(self._context, cluster)
        return self.facts(cluster)

    async def stop_db_cluster(self, identifier: str) -> DBCluster:
        """Stop a cluster. Raises InvalidClusterStateError where its state forbids it."""
        cluster = self.find(identifier)
        await power.stop_db_cluster(self._context, cluster)
        return self.facts(cluster)

    async def pause_db_cluster(self, identifier: str) -> DBCluster:
        """Pause a cluster now. Raises InvalidClusterStateError if it is not available."""
        cluster = self.find(identifier)
        await power.pause_db_cluster(self._context, cluster)
        return self.facts(cluster)

    async def failover_db_cluster(self, identifier: str) -> DBCluster:
        """Replace the writer. Raises InvalidClusterStateError, StorageError."""
        cluster = self.find(identifier)
        await power.failover_db_cluster(self._context, cluster)
        return self.facts(cluster)

    async def delete_db_cluster(self, identifier: str, skip_final_snapshot: bool) -> DBCluster:
        """Delete a cluster and its volume. Raises DeletionProtectedError, InvalidParameterError."""
        if not skip_final_snapshot:
            raise InvalidParameterError(
                f"cluster {identifier!r} gets no final snapshot, for this release takes none",
                Hint(
                    "delete it without one with {}",
                    Operation("delete_db_cluster", identifier, {"skip_final_snapshot": True}),
                ),
            )
        return await delete.delete_db_cluster(self._context, self.find(identifier))

    async def describe_events(self, identifier: str | None) -> list[Event]:
        """Events of one cluster, or of all. Raises ClusterNotFoundError."""
        resource_id = None if identifier is None else self.find(identifier).id
        return await asyncio.to_thread(self._context.catalog.events, resource_id)

    async def describe_sessions(self, identifier: str) -> list[SessionDescription]:
        """Who is connected to a cluster. Raises ClusterNotFoundError."""
        return describe_sessions(self.find(identifier))

    async def register_session(
        self, access_key_id: str, secret_access_key: str, session_token: str, expires: datetime
    ) -> None:
        """Accept tokens that are signed with temporary credentials."""
        self._context.gateway.register_session(
            access_key_id, secret_access_key, session_token, expires
        )

    async def describe_volume(self, identifier: str) -> VolumeDescription:
        """The six segments and how far each is. Raises ClusterNotFoundError."""
        return await faults.describe_volume(self.find(identifier))

    async def inject_fault(
        self, identifier: str, target: str, kind: str, duration: float | None
    ) -> None:
        """Break a part of a volume. Raises InvalidParameterError for one it does not know."""
        await faults.inject_fault(self.find(identifier), target, kind, duration)

    async def heal_fault(self, identifier: str, target: str | None) -> None:
        """End a fault. Raises InvalidParameterError for a target it does not know."""
        await faults.heal_fault(self.find(identifier), target)

    async def lose_compute(self, identifier: str) -> None:
        """Kill the writer and delete its directory. Raises ClusterNotFoundError."""
        await faults.lose_compute(self.find(identifier))

    @property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority, for `sslrootcert`."""
        return self._context.certificates.root_path

    def token(self, facts: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for an endpoint, signed with the access key of the runtime."""
        return generate_db_auth_token(
            self._context.access_key, host=host, port=port, user=user, region=facts.region
        )

    def facts(self, cluster: HostedCluster) -> DBCluster:
        """The facts with the capacity and the walls of this moment."""
        running = cluster.compute.socket is not None
        least = max(cluster.facts.scaling.min_capacity, DEFAULT_CAPACITY_ACU)
        walls = cluster.instances.writer.walls if running else None
        return replace(cluster.facts, capacity=least if running else 0.0, walls=walls)

    async def _close(self, cluster: HostedCluster) -> None:
        async with cluster.changing:
            if cluster.facts.status is not ClusterStatus.DELETING:
                await close_endpoints(self._context, cluster)
                await cluster.instances.stop(Shutdown.FAST)
