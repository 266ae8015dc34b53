"""ListMetrics and DescribeMetrics: what is kept, told. Nothing is woken for it."""

import time
from datetime import UTC, datetime

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.monitoring.metrics.histories import history_of
from cluster_runtime.control.operations.measuring.metrics import DescribeMetrics
from cluster_runtime.serverless.metrics.history import History
from cluster_runtime.serverless.metrics.names import METRICS, Role
from cluster_runtime.serverless.metrics.periods import begin
from cluster_runtime.serverless.metrics.results import (
    ListedMetric,
    MetricSeries,
    datapoints,
)

HOUR_S = 3600.0


async def list_metrics(runtime: OpenRuntime, clusters: list[HostedCluster]) -> list[ListedMetric]:
    """What there are samples of, of these clusters."""
    found: dict[tuple[str, str, str | None, Role | None], datetime] = {}
    for cluster in clusters:
        name = cluster.identifier
        for origin, metric, newest in (await history_of(runtime, cluster)).series():
            seen = datetime.fromtimestamp(newest, UTC)
            together = (metric, name, None, None)
            apart = ((metric, name, origin.instance, None), (metric, name, None, origin.role))
            for each in (together, *(apart if origin.role is not None else ())):
                found[each] = max(seen, found.get(each, seen))
    return [
        ListedMetric(METRICS[metric].namespace, metric, cluster, seen, instance, role)
        for (metric, cluster, instance, role), seen in found.items()
    ]


async def describe_metrics(
    runtime: OpenRuntime, cluster: HostedCluster, request: DescribeMetrics
) -> list[MetricSeries]:
    """Those that were asked for; of all that there could be, those that there are."""
    history = await history_of(runtime, cluster)
    end = request.end_time.timestamp() if request.end_time is not None else time.time()
    start = request.start_time.timestamp() if request.start_time is not None else end - HOUR_S
    asked = dict.fromkeys(request.metric_names) or METRICS
    told = [_series(history, cluster, name, request, start, end) for name in asked]
    return [each for each in told if each.datapoints or request.metric_names]


def _series(
    history: History,
    cluster: HostedCluster,
    name: str,
    request: DescribeMetrics,
    start: float,
    end: float,
) -> MetricSeries:
    instance, role, period = request.db_instance_identifier, request.role, request.period
    instance = instance.lower() if instance is not None else None
    metric = METRICS[name]
    points = history.read(name, begin(start, period), end, period, instance=instance, role=role)
    return MetricSeries(
        metric.namespace,
        name,
        metric.unit,
        period,
        cluster.identifier,
        instance,
        role,
        datapoints(points),
    )
