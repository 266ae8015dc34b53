"""The operations of `operations.recovery`, as `ControlService` performs them."""

from abc import ABC, abstractmethod

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations.recovery.restoring import RestoreDBClusterToPointInTime
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.workflows.branching import clone


class RecoveryOperations(ABC):
    """Each takes its declaration, on the runtime's event loop."""

    _runtime: OpenRuntime

    @abstractmethod
    def handle(self, identifier: str) -> ClusterHandle:
        """A handle on a cluster."""

    @abstractmethod
    def described(self, cluster: HostedCluster) -> DBCluster:
        """A cluster as it is now."""

    async def restore_db_cluster_to_point_in_time(
        self, request: RestoreDBClusterToPointInTime
    ) -> ClusterHandle:
        """Perform it; raises what `RestoreDBClusterToPointInTime` declares."""
        return self.handle((await clone.restore_to_point_in_time(self._runtime, request)).id)
