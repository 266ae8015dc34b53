"""The operations of `operations.recovery`, as `ControlService` performs them."""

from abc import ABC, abstractmethod

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
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
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.recovery.rewinds import (
    DBClusterBacktrack,
    RestorePoint,
    RewindDescription,
)
from cluster_runtime.control.workflows.branching import clone, reset, rewind


class RecoveryOperations(ABC):
    """Each takes its declaration, on the runtime's event loop."""

    _runtime: OpenRuntime

    @abstractmethod
    def handle(self, identifier: str) -> ClusterHandle:
        """A handle on a cluster."""

    @abstractmethod
    def find(self, identifier: str) -> HostedCluster:
        """A cluster by name or resource id."""

    @abstractmethod
    def described(self, cluster: HostedCluster) -> DBCluster:
        """A cluster as it is now."""

    async def restore_db_cluster_to_point_in_time(
        self, request: RestoreDBClusterToPointInTime
    ) -> ClusterHandle:
        """Perform it; raises what `RestoreDBClusterToPointInTime` declares."""
        return self.handle((await clone.restore_to_point_in_time(self._runtime, request)).id)

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
