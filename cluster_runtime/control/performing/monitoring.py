"""Operations that look at running clusters, and at what their host has noted."""

import asyncio
import os
from importlib.metadata import version

from cluster_runtime.control.endpoints import describe_sessions
from cluster_runtime.control.monitoring import comparing
from cluster_runtime.control.monitoring.activity import describe_activity
from cluster_runtime.control.monitoring.metering import describe_bill
from cluster_runtime.control.monitoring.metrics import telling
from cluster_runtime.control.operations.billing.bills import DescribeBill
from cluster_runtime.control.operations.comparing.diffs import DescribeDataDiff, DescribeSchemaDiff
from cluster_runtime.control.operations.events import DescribeEvents
from cluster_runtime.control.operations.measuring.metrics import DescribeMetrics, ListMetrics
from cluster_runtime.control.operations.resources import DescribeHost
from cluster_runtime.control.operations.sessions import (
    DescribeActivity,
    DescribeSessions,
    RegisterSession,
)
from cluster_runtime.control.performing.base import Performing
from cluster_runtime.control.records.model import ClusterActivity, Event, HostDescription
from cluster_runtime.diff.results import DataDiff, SchemaDiff
from cluster_runtime.gateway import SessionDescription
from cluster_runtime.serverless.metering.bill import Bill
from cluster_runtime.serverless.metrics.results import ListedMetric, MetricSeries


class MonitoringOperations(Performing):
    """Each takes its declaration, on the runtime's event loop."""

    async def describe_sessions(self, request: DescribeSessions) -> list[SessionDescription]:
        """Perform it; raises what `DescribeSessions` declares."""
        return describe_sessions(self.find(request.db_cluster_identifier))

    async def describe_activity(self, request: DescribeActivity) -> ClusterActivity:
        """Perform it; raises what `DescribeActivity` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return await describe_activity(cluster, self._runtime.sampler)

    async def list_metrics(self, request: ListMetrics) -> list[ListedMetric]:
        """Perform it; raises what `ListMetrics` declares."""
        return await telling.list_metrics(
            self._runtime, self._chosen(request.db_cluster_identifier)
        )

    async def describe_metrics(self, request: DescribeMetrics) -> list[MetricSeries]:
        """Perform it; raises what `DescribeMetrics` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return await telling.describe_metrics(self._runtime, cluster, request)

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

    async def describe_bill(self, request: DescribeBill) -> Bill:
        """Perform it; raises what `DescribeBill` declares."""
        return await describe_bill(self._runtime, request)

    async def describe_events(self, request: DescribeEvents) -> list[Event]:
        """Perform it; raises what `DescribeEvents` declares."""
        named = request.source_identifier
        resource_id = None if named is None else self.find(named).id
        return await asyncio.to_thread(self._runtime.catalog.events, resource_id)

    async def register_session(self, request: RegisterSession) -> None:
        """Perform it; raises what `RegisterSession` declares."""
        given = (getattr(request, each.name) for each in request.declared.parameters)
        self._runtime.gateway.register_session(*given)

    async def describe_host(self, request: DescribeHost) -> HostDescription:
        """Perform it."""
        return HostDescription(
            version=version("borealis-postgres"),
            region=self._runtime.region,
            state_directory=str(self._runtime.state.path),
            certificate_path=str(self.certificate_path),
            process_id=os.getpid(),
            gateway_port=self.gateway_port,
            machine_capacity=self._runtime.capacity.describe(),
        )

    @property
    def gateway_port(self) -> int | None:
        """The port that leads to all endpoints by name, where there is one."""
        return self._runtime.gateway.shared_port
