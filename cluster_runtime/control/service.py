"""One open runtime, on its event loop: opened, asked, closed."""

import asyncio

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import (
    close_endpoints,
    describe_sessions,
    open_shared_port,
)
from cluster_runtime.control.monitoring.deep_pauses import DeepPauses
from cluster_runtime.control.monitoring.disk_watch import DiskWatch
from cluster_runtime.control.monitoring.memory_watch import MemoryWatch
from cluster_runtime.control.monitoring.metering import Metering, note_usage
from cluster_runtime.control.monitoring.metrics.watch import MetricsWatch
from cluster_runtime.control.monitoring.scaling import ScalingWatch
from cluster_runtime.control.monitoring.supervision import Supervisor
from cluster_runtime.control.performing.backups import BackupOperations
from cluster_runtime.control.performing.branching import BranchingOperations
from cluster_runtime.control.performing.clusters import ClusterOperations
from cluster_runtime.control.performing.instances import InstanceOperations
from cluster_runtime.control.performing.monitoring import MonitoringOperations
from cluster_runtime.control.performing.parameter_groups import ParameterGroupOperations
from cluster_runtime.control.performing.resources import ResourceOperations
from cluster_runtime.control.performing.volumes import VolumeOperations
from cluster_runtime.control.records.catalog import Catalog
from cluster_runtime.control.records.model import (
    ClusterStatus,
    Usage,
)
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.control.records.state_directory import StateDirectory
from cluster_runtime.control.topology.publishing import TopologyWatch
from cluster_runtime.control.workflows import (
    create,
)
from cluster_runtime.control.workflows.backups.housekeeping import Housekeeping
from cluster_runtime.control.workflows.backups.opening import open_backups
from cluster_runtime.control.workflows.recover import recover
from cluster_runtime.engine.home import open_home, shared_directory
from cluster_runtime.engine.installation import Installation, find_installation
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.system.resources import raise_open_files, switch_often
from cluster_runtime.engine.template import Template, ensure_template
from cluster_runtime.engine.warm_pool import WarmPool
from cluster_runtime.errors import BorealisError
from cluster_runtime.gateway import (
    CertificateAuthority,
    Gateway,
    GatewayLimits,
    SigningKey,
)
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.host_capacity import HostCapacity
from cluster_runtime.serverless.metering.ledger import Ledger
from cluster_runtime.serverless.metering.meter import Meter
from cluster_runtime.serverless.options import CapacityOptions

LEDGER = "metering.sqlite"
"""In the state directory: what was metered."""

_log = get_logger(__name__)


class ControlService(
    ClusterOperations,
    InstanceOperations,
    ParameterGroupOperations,
    ResourceOperations,
    BranchingOperations,
    BackupOperations,
    VolumeOperations,
    MonitoringOperations,
):
    """The control plane itself. All methods run on the runtime's event loop."""

    def __init__(self, runtime: OpenRuntime) -> None:
        super().__init__(runtime)
        self._housekeeping = Housekeeping(runtime)

    @classmethod
    async def open(
        cls, state: StateDirectory, options: RuntimeOptions, last_gateway_port: int | None = None
    ) -> "ControlService":
        """Open the parts over a locked state directory and bring its clusters back."""
        raise_open_files()
        switch_often()
        user = engine_user()
        capacity = await asyncio.to_thread(
            HostCapacity.open, options.capacity or CapacityOptions(), state.path
        )
        home = await asyncio.to_thread(open_home, state.path, user)
        catalog = await asyncio.to_thread(Catalog.open, state.path / "catalog.sqlite")
        gateway: Gateway | None = None
        meter: Meter | None = None
        try:
            meter = Meter(await asyncio.to_thread(Ledger.open, state.path / LEDGER))
            access_key = state.access_key()
            certificates = await asyncio.to_thread(CertificateAuthority.open, state.path / "tls")
            gateway = Gateway(
                certificates=certificates,
                access_keys={access_key.access_key_id: SigningKey(access_key.secret_access_key)},
                region=options.region,
                limits=options.gateway_limits or GatewayLimits(),
            )

            known: dict[Installation, Installation] = {}

            def installation(engine_version: str | None) -> Installation:
                found = find_installation(engine_version or options.engine_version)
                reachable = found.reachable_by(user, shared_directory(user))
                return known.setdefault(reachable, reachable)  # what it has found out is kept once

            def template(engine_version: str | None) -> Template:
                return ensure_template(installation(engine_version), user, shared_directory(user))

            runtime = OpenRuntime(
                state=state,
                catalog=catalog,
                meter=meter,
                backups=await open_backups(state, catalog, lambda: runtime),
                home=home,
                gateway=gateway,
                certificates=certificates,
                access_key=access_key,
                region=options.region,
                engine_version=options.engine_version,
                installation=installation,
                template=template,
                pool=WarmPool(
                    lambda: create.make_unnamed(runtime, None),
                    lambda unnamed: create.discard_unnamed(runtime, unnamed),
                    options.warm_pool_size,
                ),
                capacity=capacity,
                supervise=Supervisor,
            )
            for each in await asyncio.to_thread(catalog.parameter_groups):
                runtime.parameter_groups[each.db_cluster_parameter_group_name] = each
            await open_shared_port(runtime, options.gateway_port, last_gateway_port)
            await recover(runtime)
            await asyncio.to_thread(capacity.enforcer.keep_only, frozenset[str]())
        except BaseException:
            if gateway is not None:
                await gateway.close()
            if meter is not None:
                meter.close()
            catalog.close()
            capacity.enforcer.close()
            raise
        runtime.pool.fill()
        runtime.watches += (DiskWatch(runtime), TopologyWatch(runtime), DeepPauses(runtime))
        runtime.watches += (ScalingWatch(runtime), MetricsWatch(runtime), Metering(runtime))
        return cls(runtime)

    async def close(self) -> None:
        """Stop every cluster cleanly; their next connect, in a later runtime, wakes them."""
        runtime = self._runtime
        await runtime.stop_watching()
        await runtime.pool.close()
        await asyncio.to_thread(runtime.copies.close)
        await asyncio.gather(*(self._close(cluster) for cluster in runtime.clusters.values()))
        await asyncio.gather(runtime.gateway.close(), *runtime.notes)
        await self._housekeeping.close()
        try:
            await note_usage(runtime)
        except BorealisError as error:  # it ends all the same, also on a full disk
            _log.error("usage not noted at the end", error=str(error))
        finally:
            await asyncio.to_thread(runtime.meter.close)
            await asyncio.to_thread(runtime.capacity.enforcer.close)
            await asyncio.to_thread(runtime.catalog.close)
            runtime.home.close()
            runtime.state.close()

    async def stay_small(self) -> None:
        """Give memory back whenever volumes were closed: for a process that only hosts."""
        self._runtime.watches.append(MemoryWatch(self._runtime))

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

    async def _close(self, cluster: HostedCluster) -> None:
        async with cluster.changing:
            if cluster.db_cluster.status is not ClusterStatus.DELETING:
                await close_endpoints(self._runtime, cluster)
                await cluster.instances.stop(Shutdown.FAST)
