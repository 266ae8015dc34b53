"""Operations that make a cluster what another one, or it itself, is or was: restores, branches,
rewinds.
"""

from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations.recovery.restoring import (
    ResetBranch,
    RestoreDBClusterToPointInTime,
)
from cluster_runtime.control.operations.recovery.rewinding import (
    BacktrackDBCluster,
    CreateRestorePoint,
    DeleteRestorePoint,
    DescribeRestorePoints,
    Rewind,
    UndoRewind,
)
from cluster_runtime.control.performing.base import Performing
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.recovery.rewinds import (
    DBClusterBacktrack,
    RestorePoint,
    RewindDescription,
)
from cluster_runtime.control.workflows.backups import restore
from cluster_runtime.control.workflows.branching import reset, rewind


class BranchingOperations(Performing):
    """Each takes its declaration, on the runtime's event loop."""

    async def restore_db_cluster_to_point_in_time(
        self, request: RestoreDBClusterToPointInTime
    ) -> ClusterHandle:
        """Perform it; raises what `RestoreDBClusterToPointInTime` declares."""
        return self.handle((await restore.restore_to_point_in_time(self._runtime, request)).id)

    async def reset_branch(self, request: ResetBranch) -> DBCluster:
        """Perform it; raises what `ResetBranch` declares."""
        branch = self.find(request.db_cluster_identifier)
        await reset.reset_branch(self._runtime, branch)
        return self.described(branch)

    async def backtrack_db_cluster(self, request: BacktrackDBCluster) -> DBClusterBacktrack:
        """Perform it; raises what `BacktrackDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return await rewind.backtrack(self._runtime, cluster, request)

    async def rewind(self, request: Rewind) -> RewindDescription:
        """Perform it; raises what `Rewind` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return await rewind.rewind(self._runtime, cluster, request)

    async def undo_rewind(self, request: UndoRewind) -> DBCluster:
        """Perform it; raises what `UndoRewind` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await rewind.undo_rewind(self._runtime, cluster)
        return self.described(cluster)

    async def create_restore_point(self, request: CreateRestorePoint) -> RestorePoint:
        """Perform it; raises what `CreateRestorePoint` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return await rewind.create_restore_point(cluster, request.restore_point)

    async def describe_restore_points(self, request: DescribeRestorePoints) -> list[RestorePoint]:
        """Perform it; raises what `DescribeRestorePoints` declares."""
        return await rewind.describe_restore_points(self.find(request.db_cluster_identifier))

    async def delete_restore_point(self, request: DeleteRestorePoint) -> None:
        """Perform it; raises what `DeleteRestorePoint` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await rewind.delete_restore_point(cluster, request.restore_point)
