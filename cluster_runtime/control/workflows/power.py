"""StartDBCluster, StopDBCluster, and a pause that was asked for."""

from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import (
    close_endpoints,
    disconnect,
    open_endpoints,
    open_endpoints_again,
    pause,
)
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.event_messages import (
    NOTIFICATION,
    PAUSED,
    STARTED,
    STOPPED,
)
from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.control.workflows.pausing.deep import pause_deeply
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.errors import InvalidClusterStateError


async def stop_db_cluster(runtime: OpenRuntime, cluster: HostedCluster) -> DBCluster:
    """Stop the writer and refuse connections until the cluster is started again."""
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        before = cluster.db_cluster
        cluster.db_cluster = replace(before, status=ClusterStatus.STOPPING)
        try:
            await close_endpoints(runtime, cluster)
            await cluster.instances.stop(Shutdown.FAST)
            await runtime.store(cluster, replace(cluster.db_cluster, status=ClusterStatus.STOPPED))
        except BaseException:  # also where its caller gives it up
            cluster.db_cluster = before
            if _has_endpoints(cluster):
                await open_endpoints_again(runtime, cluster)
            await runtime.store(cluster, cluster.db_cluster)
            raise
        await runtime.record(cluster, STOPPED, NOTIFICATION)
        return cluster.db_cluster


async def start_db_cluster(runtime: OpenRuntime, cluster: HostedCluster) -> DBCluster:
    """Start a stopped cluster; it takes connections when this returns."""
    async with cluster.changing:
        cluster.require(ClusterStatus.STOPPED, ClusterStatus.INCOMPATIBLE_NETWORK)
        before = cluster.db_cluster
        cluster.db_cluster = replace(before, status=ClusterStatus.STARTING)
        try:
            if before.has_writer:
                await cluster.writer.ensure_running()
            if _has_endpoints(cluster):
                await open_endpoints(runtime, cluster)
            await runtime.store(
                cluster, replace(cluster.db_cluster, status=ClusterStatus.AVAILABLE)
            )
        except BaseException:  # also where its caller gives it up
            cluster.db_cluster = before
            await close_endpoints(runtime, cluster)
            await cluster.instances.stop(Shutdown.IMMEDIATE)
            await runtime.store(cluster, before)
            raise
        await runtime.record(cluster, STARTED, NOTIFICATION)
        return cluster.db_cluster


def _has_endpoints(cluster: HostedCluster) -> bool:
    return cluster.db_cluster.has_writer and cluster.db_cluster.internet_access_gateway_enabled


async def pause_db_cluster(
    runtime: OpenRuntime, cluster: HostedCluster, *, deep: bool = False
) -> DBCluster:
    """Pause now, as auto-pause would; open connections end. The next connect wakes it.

    deep: at once into deep pause. Raises InvalidClusterStateError where it is in use meanwhile.
    """
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        cluster.require_writer()
        await in_thread(cluster.instances.storage.settle)
        await disconnect(cluster)
        if await pause(cluster):
            await runtime.record(cluster, PAUSED, NOTIFICATION)
        if deep and not await pause_deeply(runtime, cluster):
            raise InvalidClusterStateError(
                f"cluster {cluster.identifier!r} is in use: it was woken, or a fault on purpose or "
                "a hold on its log keeps its volume open; try again once that is over"
            )
        return cluster.db_cluster


async def resume_db_cluster(cluster: HostedCluster) -> None:
    """Start its writer, where it is paused."""
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        cluster.require_writer()
        await cluster.writer.ensure_running()
