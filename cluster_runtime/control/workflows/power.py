"""StartDBCluster, StopDBCluster, and a pause that was asked for."""

from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import (
    close_endpoints,
    disconnect,
    open_endpoints,
    pause,
)
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.errors import BorealisError


async def stop_db_cluster(runtime: OpenRuntime, cluster: HostedCluster) -> DBCluster:
    """Stop the writer and refuse connections until the cluster is started again."""
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        cluster.db_cluster = replace(cluster.db_cluster, status=ClusterStatus.STOPPING)
        await close_endpoints(runtime, cluster)
        await cluster.instances.stop(Shutdown.FAST)
        await runtime.store(cluster, replace(cluster.db_cluster, status=ClusterStatus.STOPPED))
        await runtime.record(cluster, "DB cluster stopped", "notification")
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
            if before.has_writer and before.internet_access_gateway_enabled:
                await open_endpoints(runtime, cluster)
        except BorealisError:
            cluster.db_cluster = before
            await cluster.instances.stop(Shutdown.IMMEDIATE)
            raise
        await runtime.store(cluster, replace(cluster.db_cluster, status=ClusterStatus.AVAILABLE))
        await runtime.record(cluster, "DB cluster started", "notification")
        return cluster.db_cluster


async def pause_db_cluster(runtime: OpenRuntime, cluster: HostedCluster) -> DBCluster:
    """Pause now, as auto-pause would; open connections end. The next connect wakes it."""
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        cluster.require_writer()
        await in_thread(cluster.instances.storage.settle)
        await disconnect(cluster)
        await pause(cluster)
        return cluster.db_cluster
