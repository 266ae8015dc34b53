"""GetMetricData, GetMetricStatistics and ListMetrics, on the runtime's own operations.

What is asked for a thing or time that there is nothing of is answered with nothing, as CloudWatch
does. Source: Amazon CloudWatch API Reference.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.refusals import invalid_combination, invalid_value
from cluster_runtime.api.services.cloudwatch.asked import (
    Asked,
    asked_of,
    check_query,
    dimensions_of,
    not_valid,
    page_of,
)
from cluster_runtime.api.services.cloudwatch.tokens import read_token, token_of
from cluster_runtime.api.services.service import Call, Performed
from cluster_runtime.errors import ClusterNotFoundError, InstanceNotFoundError
from cluster_runtime.serverless.metrics.names import METRICS
from cluster_runtime.serverless.metrics.periods import is_a_period
from cluster_runtime.serverless.metrics.results import Datapoint, ListedMetric, MetricSeries

METRICS_MAX = 500
"""Of a page of ListMetrics, and of the queries of a GetMetricData."""
DATAPOINTS_MAX = 100_800
STATISTICS_DATAPOINTS_MAX = 1440
RECENT_S = 3 * 3600
"""How old the last sample of a metric may be that is RecentlyActive."""
STATISTICS: Mapping[str, Callable[[Datapoint], float]] = {
    "SampleCount": lambda one: float(one.sample_count),
    "Average": lambda one: one.average,
    "Sum": lambda one: one.sum,
    "Minimum": lambda one: one.minimum,
    "Maximum": lambda one: one.maximum,
}


def cloudwatch_operations(runtime: AwaitedOperations) -> dict[str, Performed]:
    """What performs each operation, by its name."""
    metrics = _Metrics(runtime)
    return {
        "GetMetricData": metrics.data,
        "GetMetricStatistics": metrics.statistics,
        "ListMetrics": metrics.list,
    }


class _Metrics:
    def __init__(self, runtime: AwaitedOperations) -> None:
        self._runtime = runtime

    async def statistics(self, call: Call) -> Mapping[str, Any]:
        members = call.members
        start, end, period = members["StartTime"], members["EndTime"], members["Period"]
        wanted = members.get("Statistics", ())
        if members.get("ExtendedStatistics"):
            raise invalid_combination("ExtendedStatistics are not computed here")
        if not wanted:
            raise invalid_combination("Must specify either Statistics or ExtendedStatistics")
        _check_statistics(wanted)
        if start >= end:
            raise invalid_combination(
                "The parameter StartTime must be less than the parameter EndTime."
            )
        if not is_a_period(period):
            raise invalid_value(
                f"Period is {period}; it must be 1, 5, 10, 20, 30 or a multiple of 60"
            )
        count = (end - start).total_seconds() / period
        if count > STATISTICS_DATAPOINTS_MAX:
            raise invalid_combination(
                f"You have requested up to {count:.0f} datapoints, which exceeds the limit of "
                f"{STATISTICS_DATAPOINTS_MAX}. You may reduce the datapoints requested by "
                "increasing Period, or decreasing the time range."
            )
        name, unit = members["MetricName"], members.get("Unit")
        (found,) = await self._read([(asked_of(members, period), unit)], start, end)
        return {
            "Label": name,
            "Datapoints": [
                {
                    "Timestamp": one.timestamp,
                    "Unit": METRICS[name].unit,
                    **{each: STATISTICS[each](one) for each in wanted},
                }
                for one in found
            ],
        }

    async def data(self, call: Call) -> Mapping[str, Any]:
        members = call.members
        start, end = members["StartTime"], members["EndTime"]
        if start >= end:
            raise not_valid("The parameter StartTime must be less than the parameter EndTime.")
        queries = members["MetricDataQueries"]
        if not 0 < len(queries) <= METRICS_MAX:
            raise not_valid(f"MetricDataQueries are {len(queries)}; 1 to {METRICS_MAX} may be")
        if len({each["Id"] for each in queries}) < len(queries):
            raise not_valid("The values for parameter id in MetricDataQueries are not unique.")
        for each in queries:
            check_query(each, STATISTICS)
        most = members.get("MaxDatapoints", DATAPOINTS_MAX)
        if not 0 < most <= DATAPOINTS_MAX:
            raise not_valid(f"MaxDatapoints is {most}; it must be 1 to {DATAPOINTS_MAX}")
        begin, until = 0, min(end, call.now)
        if "NextToken" in members:
            begin, until = read_token(members["NextToken"])
        newest_first = members.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        shown = [each for each in queries if each.get("ReturnData", True)]
        found = await self._points([each["MetricStat"] for each in shown], start, until)
        if newest_first:
            found = [points[::-1] for points in found]
        parts, more = page_of([len(points) for points in found], begin, most)
        results = []
        for part in parts:
            query, points = shown[part.number], found[part.number][part.begin : part.end]
            value = STATISTICS[query["MetricStat"]["Stat"]]
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label", query["MetricStat"]["Metric"]["MetricName"]),
                    "Timestamps": [one.timestamp for one in points],
                    "Values": [value(one) for one in points],
                    "StatusCode": "Complete" if part.complete else "PartialData",
                }
            )
        token = token_of(begin + most, until) if more else None
        return {"MetricDataResults": results, "NextToken": token, "Messages": []}

    async def list(self, call: Call) -> Mapping[str, Any]:
        members = call.members
        if members.get("IncludeLinkedAccounts") or members.get("OwningAccount"):
            raise invalid_combination("there are no linked accounts here")
        filters = members.get("Dimensions", ())
        found = [
            one
            for one in await self._runtime.list_metrics()
            if members.get("Namespace") in (None, one.namespace)
            and members.get("MetricName") in (None, one.metric_name)
            and _passes(one, filters)
            and (not members.get("RecentlyActive") or _is_recent(one, call.now))
        ]
        begin = read_token(members["NextToken"])[0] if "NextToken" in members else 0
        page = found[begin : begin + METRICS_MAX]
        more = begin + METRICS_MAX < len(found)
        return {
            "Metrics": [
                {
                    "Namespace": one.namespace,
                    "MetricName": one.metric_name,
                    "Dimensions": [
                        {"Name": name, "Value": value} for name, value in dimensions_of(one).items()
                    ],
                }
                for one in page
            ],
            "NextToken": token_of(begin + METRICS_MAX, call.now) if more else None,
        }

    async def _points(
        self, stats: Sequence[Mapping[str, Any]], start: datetime, until: datetime
    ) -> Sequence[Sequence[Datapoint]]:
        if start >= until:
            return [()] * len(stats)
        asked = [(asked_of(each["Metric"], each["Period"]), each.get("Unit")) for each in stats]
        return await self._read(asked, start, until)

    async def _read(
        self, asked: Sequence[tuple[Asked, str | None]], start: datetime, end: datetime
    ) -> Sequence[Sequence[Datapoint]]:
        """Of each. Nothing for what there is not, and for a unit that is not the metric's.

        All metrics of a thing are read at once: those of a paused cluster are in a file.
        """
        names: dict[Asked, dict[str, None]] = {}
        for each, unit in asked:
            if _is_there(each, unit):
                names.setdefault(replace(each, metric_name=""), {})[each.metric_name] = None
        found: dict[Asked, Sequence[Datapoint]] = {}
        for thing, wanted in names.items():
            for series in await self._series(thing, tuple(wanted), start, end):
                found[replace(thing, metric_name=series.metric_name)] = series.datapoints
        return [found.get(each, ()) if _is_there(each, unit) else () for each, unit in asked]

    async def _series(
        self, thing: Asked, metric_names: Sequence[str], start: datetime, end: datetime
    ) -> Sequence[MetricSeries]:
        cluster = thing.cluster or await self._cluster_of(thing.instance)
        if cluster is None:
            return ()
        try:
            return await self._runtime.describe_metrics(
                cluster,
                metric_names=metric_names,
                db_instance_identifier=thing.instance,
                role=thing.role,
                start_time=start,
                end_time=end,
                period=thing.period,
            )
        except ClusterNotFoundError:
            return ()

    async def _cluster_of(self, instance: str | None) -> str | None:
        """The cluster that has an instance of this name, or had one a while ago."""
        if instance is None:
            return None
        try:
            (found,) = await self._runtime.describe_db_instances(db_instance_identifier=instance)
        except InstanceNotFoundError:
            for one in await self._runtime.list_metrics():
                if one.db_instance_identifier == instance:
                    return one.db_cluster_identifier
            return None
        return found.db_cluster_identifier


def _is_there(asked: Asked, unit: str | None) -> bool:
    metric = METRICS.get(asked.metric_name)
    return (
        metric is not None and metric.namespace == asked.namespace and unit in (None, metric.unit)
    )


def _passes(one: ListedMetric, filters: Sequence[Mapping[str, str]]) -> bool:
    has = dimensions_of(one)
    return all(
        each["Name"] in has and each.get("Value") in (None, has[each["Name"]]) for each in filters
    )


def _is_recent(one: ListedMetric, now: datetime) -> bool:
    return (now - one.last_sample_time).total_seconds() < RECENT_S


def _check_statistics(wanted: Sequence[str]) -> None:
    for each in wanted:
        if each not in STATISTICS:
            raise invalid_value(f"{each!r} is no statistic; there are {', '.join(STATISTICS)}")
