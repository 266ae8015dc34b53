"""Operations on clusters, and what belongs to whole clusters."""

from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations.clusters import (
    CreateDBCluster,
    DeleteDBCluster,
    DescribeDBClusters,
    GetMasterUserSecret,
    ModifyDBCluster,
    PauseDBCluster,
    ResumeDBCluster,
    StartDBCluster,
    StopDBCluster,
)
from cluster_runtime.control.performing.base import Performing
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.resources import MasterUserSecretValue
from cluster_runtime.control.sources import HostedSource
from cluster_runtime.control.workflows import create, delete, modify, power
from cluster_runtime.control.workflows.secrets import master_user_secret


class ClusterOperations(Performing):
    """Each takes its declaration, on the runtime's event loop."""

    async def create_db_cluster(self, request: CreateDBCluster) -> ClusterHandle:
        """Perform it; raises what `CreateDBCluster` declares."""
        cluster = await create.create_db_cluster(self._runtime, request)
        return ClusterHandle(HostedSource(self, cluster))

    async def describe_db_clusters(self, request: DescribeDBClusters) -> list[DBCluster]:
        """Perform it; raises what `DescribeDBClusters` declares."""
        return [self.described(each) for each in self._chosen(request.db_cluster_identifier)]

    async def modify_db_cluster(self, request: ModifyDBCluster) -> DBCluster:
        """Perform it; raises what `ModifyDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await modify.modify_db_cluster(self._runtime, cluster, request)
        return self.described(cluster)

    async def start_db_cluster(self, request: StartDBCluster) -> DBCluster:
        """Perform it; raises what `StartDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await power.start_db_cluster(self._runtime, cluster)
        return self.described(cluster)

    async def stop_db_cluster(self, request: StopDBCluster) -> DBCluster:
        """Perform it; raises what `StopDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await power.stop_db_cluster(self._runtime, cluster)
        return self.described(cluster)

    async def pause_db_cluster(self, request: PauseDBCluster) -> DBCluster:
        """Perform it; raises what `PauseDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await power.pause_db_cluster(self._runtime, cluster, deep=request.deep)
        return self.described(cluster)

    async def resume_db_cluster(self, request: ResumeDBCluster) -> DBCluster:
        """Perform it; raises what `ResumeDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await power.resume_db_cluster(cluster)
        return self.described(cluster)

    async def delete_db_cluster(self, request: DeleteDBCluster) -> DBCluster:
        """Perform it; raises what `DeleteDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return await delete.delete_db_cluster(self._runtime, cluster, request)

    async def get_master_user_secret(self, request: GetMasterUserSecret) -> MasterUserSecretValue:
        """Perform it; raises what `GetMasterUserSecret` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return master_user_secret(self._runtime, cluster.db_cluster)
