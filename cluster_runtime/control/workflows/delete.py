"""DeleteDBCluster."""

from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import close_endpoints
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.clusters import DeleteDBCluster
from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.errors import DeletionProtectedError, InvalidParameterError
from cluster_runtime.wording import Hint, Operation


async def delete_db_cluster(
    runtime: OpenRuntime, cluster: HostedCluster, request: DeleteDBCluster
) -> DBCluster:
    """End the cluster and remove all it holds. Returns it as it was last, with status `deleting`.

    A delete cut short by the end of the process is finished by the next start. Raises
    DeletionProtectedError, InvalidClusterStateError, InvalidParameterError.
    """
    if not request.skip_final_snapshot:
        raise InvalidParameterError(
            f"cluster {cluster.identifier!r} gets no final snapshot, for this release takes none",
            Hint(
                "delete it without one with {}",
                Operation("delete_db_cluster", cluster.identifier, {"skip_final_snapshot": True}),
            ),
        )
    async with cluster.changing:
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
        await runtime.store(cluster, replace(cluster.db_cluster, status=ClusterStatus.DELETING))
        await close_endpoints(runtime, cluster)
        await cluster.instances.stop(Shutdown.IMMEDIATE)
        await finish_delete(runtime, cluster)
        return cluster.db_cluster


async def finish_delete(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Remove the files, then the row: a row without files is finished again, never the reverse."""
    await in_thread(runtime.home.remove, cluster.directory)
    await in_thread(runtime.catalog.remove, cluster.id)
    runtime.clusters.pop(cluster.id, None)
    await runtime.record(cluster, "DB cluster deleted", "deletion")
