"""DeleteDBCluster."""

from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import close_endpoints, open_endpoints_again
from cluster_runtime.control.members import metered
from cluster_runtime.control.operations.clusters import DeleteDBCluster
from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.control.workflows.backups.automated import note_retention
from cluster_runtime.control.workflows.backups.snapshots import take_snapshot
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.errors import DeletionProtectedError
from cluster_runtime.wording import Hint, Operation


async def delete_db_cluster(
    runtime: OpenRuntime, cluster: HostedCluster, request: DeleteDBCluster
) -> DBCluster:
    """End the cluster and remove all it holds. Returns it as it was last, with status `deleting`.

    A final snapshot is taken once no client can commit any more; where that fails, the cluster is
    as before. A delete cut short by the end of the process is finished by the next start. Raises
    what the operation declares.
    """
    async with cluster.changing:
        begun = cluster.db_cluster.status is ClusterStatus.DELETING
        if begun and cluster.id in runtime.clusters:
            return await _finish(runtime, cluster, request)  # what kept it from that may be over
        cluster.require(
            ClusterStatus.AVAILABLE, ClusterStatus.STOPPED, ClusterStatus.INCOMPATIBLE_NETWORK
        )
        if cluster.db_cluster.deletion_protection:
            raise DeletionProtectedError(
                f"cluster {cluster.identifier!r} is protected against deletion",
                Hint(
                    "switch that off first with {}",
                    Operation(
                        "modify_db_cluster", cluster.identifier, {"deletion_protection": False}
                    ),
                ),
            )
        if request.final_db_snapshot_identifier is not None:
            await _take_final(runtime, cluster, request.final_db_snapshot_identifier)
        # First what becomes of its backup: whoever finishes this later has to know it.
        await note_retention(runtime, cluster, delete=request.delete_automated_backups)
        await runtime.store(cluster, replace(cluster.db_cluster, status=ClusterStatus.DELETING))
        return await _finish(runtime, cluster, request)


async def _finish(
    runtime: OpenRuntime, cluster: HostedCluster, request: DeleteDBCluster
) -> DBCluster:
    await close_endpoints(runtime, cluster)
    await cluster.instances.stop(Shutdown.IMMEDIATE)
    await note_retention(runtime, cluster, delete=request.delete_automated_backups)
    runtime.meter.end(metered(cluster))
    await runtime.remove(cluster)
    return cluster.db_cluster


async def _take_final(runtime: OpenRuntime, cluster: HostedCluster, identifier: str) -> None:
    before = cluster.db_cluster
    cluster.db_cluster = replace(before, status=ClusterStatus.DELETING)
    was_open = bool(cluster.endpoints)
    await close_endpoints(runtime, cluster)
    try:
        await take_snapshot(runtime, cluster, identifier)
    except BaseException:
        cluster.db_cluster = before
        if was_open:
            await open_endpoints_again(runtime, cluster)
        raise
