"""The operations of `operations.recovery`, as `ControlService` performs them."""

from abc import ABC, abstractmethod

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations.recovery.restoring import (
    ResetBranch,
    RestoreDBClusterToPointInTime,
)
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.workflows.branching import clone, reset


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
