"""What a request means: the thing that a metric is of, from dimensions, and back. Pure.

Source: Aurora User Guide, "Amazon CloudWatch dimensions for Aurora"; Amazon CloudWatch API
Reference, data types MetricDataQuery and MetricStat.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from cluster_runtime.api.refusals import RefusedRequestError
from cluster_runtime.serverless.metrics.names import Role
from cluster_runtime.serverless.metrics.periods import is_a_period
from cluster_runtime.serverless.metrics.results import ListedMetric

T = TypeVar("T")
CLUSTER, INSTANCE, ROLE = DIMENSIONS = "DBClusterIdentifier", "DBInstanceIdentifier", "Role"
ROLES: Mapping[str, Role] = {"WRITER": "WRITER", "READER": "READER"}
_ID = re.compile("[a-z][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Asked:
    """One metric of one thing. Neither cluster nor instance: there is no such thing."""

    namespace: str
    metric_name: str
    period: int
    cluster: str | None = None
    instance: str | None = None
    role: Role | None = None


def asked_of(metric: Mapping[str, Any], period: int) -> Asked:
    """What a metric with its dimensions means: these must be all that it has, and no others.

    Those that it has are the cluster, the instance, or the cluster and a role.
    """
    given = {each["Name"]: each["Value"] for each in metric.get("Dimensions", ())}
    namespace, name = metric["Namespace"], metric["MetricName"]
    match sorted(given):
        case [only] if only == CLUSTER:
            return Asked(namespace, name, period, cluster=given[CLUSTER])
        case [only] if only == INSTANCE:
            return Asked(namespace, name, period, instance=given[INSTANCE])
        case [first, second] if (first, second) == (CLUSTER, ROLE) and given[ROLE] in ROLES:
            return Asked(namespace, name, period, cluster=given[CLUSTER], role=ROLES[given[ROLE]])
    return Asked(namespace, name, period)


def dimensions_of(one: ListedMetric) -> dict[str, str]:
    """The dimensions of something that is listed."""
    if one.db_instance_identifier is not None:
        return {INSTANCE: one.db_instance_identifier}
    role = {} if one.role is None else {ROLE: one.role}
    return {CLUSTER: one.db_cluster_identifier, **role}


def check_query(query: Mapping[str, Any], statistics: Collection[str]) -> None:
    """Raises RefusedRequestError for a query of GetMetricData that is not answered here."""
    name = query["Id"]
    if not _ID.fullmatch(name):
        raise not_valid(
            f"Id {name!r} must begin with a small letter and have letters, digits and underscores"
        )
    if "Expression" in query:
        raise not_valid(f"query {name}: expressions are not computed here; ask for a MetricStat")
    if "MetricStat" not in query:
        raise not_valid(f"query {name} has neither MetricStat nor Expression")
    stat = query["MetricStat"]
    for required in ("Namespace", "MetricName"):
        if required not in stat["Metric"]:
            raise not_valid(f"query {name}: its Metric has no {required}")
    if not is_a_period(stat["Period"]):
        raise not_valid(
            f"query {name}: Period is {stat['Period']}; it must be 1, 5, 10, 20, 30 or a multiple "
            "of 60"
        )
    if stat["Stat"] not in statistics:
        raise not_valid(
            f"query {name}: {stat['Stat']!r} is not computed here; there are "
            f"{', '.join(statistics)}"
        )


@dataclass(frozen=True, slots=True)
class Part:
    """What a page has of one sequence. complete: nothing of it is on later pages."""

    number: int
    begin: int
    end: int
    complete: bool


def page_of(lengths: Sequence[int], begin: int, most: int) -> tuple[list[Part], bool]:
    """What a page of `most` points has of sequences one behind the other; whether more follow.

    begin: how many points were on the pages before. One without points is on one page too.
    """
    until = begin + most
    more = sum(lengths) > until
    parts = []
    position = 0
    for number, length in enumerate(lengths):
        start, stop = max(position, begin), min(position + length, until)
        empty_here = not length and begin <= position and (position < until or not more)
        if start < stop or empty_here:
            complete = position + length <= until
            parts.append(Part(number, start - position, max(start, stop) - position, complete))
        position += length
    return parts, more


def not_valid(message: str) -> RefusedRequestError:
    """CloudWatch's error for a query that is not in order."""
    return RefusedRequestError(message, fault="ValidationError")
