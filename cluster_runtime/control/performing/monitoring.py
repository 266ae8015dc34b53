"""The operations that look at running clusters, for `ControlService`."""

from abc import ABC, abstractmethod

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.endpoints import describe_sessions
from cluster_runtime.control.monitoring import comparing
from cluster_runtime.control.monitoring.activity import describe_activity
from cluster_runtime.control.operations.comparing.diffs import DescribeDataDiff, DescribeSchemaDiff
from cluster_runtime.control.operations.sessions import DescribeActivity, DescribeSessions
from cluster_runtime.control.records.model import ClusterActivity
from cluster_runtime.diff.results import DataDiff, SchemaDiff
from cluster_runtime.gateway import SessionDescription


class MonitoringOperations(ABC):
    """Each takes its declaration, on the runtime's event loop."""

    @abstractmethod
    def find(self, identifier: str) -> HostedCluster:
        """A cluster by name or resource id."""

    async def describe_sessions(self, request: DescribeSessions) -> list[SessionDescription]:
        """Perform it; raises what `DescribeSessions` declares."""
        return describe_sessions(self.find(request.db_cluster_identifier))

    async def describe_activity(self, request: DescribeActivity) -> ClusterActivity:
        """Perform it; raises what `DescribeActivity` declares."""
        return await describe_activity(self.find(request.db_cluster_identifier))

    async def describe_schema_diff(self, request: DescribeSchemaDiff) -> SchemaDiff:
        """Perform it; raises what `DescribeSchemaDiff` declares."""
        return await comparing.describe_schema_diff(
            self.find(request.db_cluster_identifier),
            self.find(request.target_db_cluster_identifier),
            (request.database_name, request.target_database_name),
        )

    async def describe_data_diff(self, request: DescribeDataDiff) -> DataDiff:
        """Perform it; raises what `DescribeDataDiff` declares."""
        return await comparing.describe_data_diff(
            self.find(request.db_cluster_identifier),
            self.find(request.target_db_cluster_identifier),
            (request.database_name, request.target_database_name),
            request.tables,
            request.max_rows,
        )
