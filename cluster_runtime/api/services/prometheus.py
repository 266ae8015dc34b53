"""The newest sample of what runs, as text that Prometheus scrapes.

Names and labels are those that Prometheus' CloudWatch exporter gives the same metrics of Aurora, so
that boards made for it show clusters here. Source: Prometheus documentation, "Exposition formats";
prometheus/cloudwatch_exporter (names).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.errors import ClusterNotFoundError
from cluster_runtime.serverless.metrics.names import CLUSTER_METRICS, INSTANCE_METRICS, METRICS
from cluster_runtime.serverless.metrics.results import MetricSeries

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATH = "/metrics"
FRESH_S = 10
"""How old a sample of an instance may be that is shown."""
FRESH_OF_A_VOLUME_S = 120
"""The same of a volume, which is weighed once a minute."""

_WORD = re.compile("([a-z0-9])([A-Z])")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Line = tuple[str, Mapping[str, str], float]
"""A metric, its labels, its value."""


async def exposition(runtime: AwaitedOperations, now: datetime) -> bytes:
    """All of it. now: aware."""
    lines: list[Line] = []
    for facts in await runtime.describe_db_clusters():
        if facts.capacity:
            try:
                lines += await _of_cluster(runtime, facts.db_cluster_identifier, now)
            except ClusterNotFoundError:
                continue  # deleted meanwhile
    return text_of(lines).encode()


def text_of(lines: Iterable[Line]) -> str:
    """The text: for each metric what it is, then its values."""
    by_metric: dict[str, list[str]] = {}
    for metric, labels, value in lines:
        said = ",".join(f'{name}="{each.translate(_ESCAPES)}"' for name, each in labels.items())
        by_metric.setdefault(metric, []).append(f"{name_of(metric)}{{{said}}} {value!r}\n")
    return "".join(
        f"# HELP {name_of(metric)} {METRICS[metric].words} ({METRICS[metric].unit})\n"
        f"# TYPE {name_of(metric)} gauge\n{''.join(of_it)}"
        for metric, of_it in by_metric.items()
    )


def name_of(metric: str) -> str:
    """`CPUUtilization` of `AWS/RDS` is `aws_rds_cpuutilization_average`."""
    return f"{_snake(METRICS[metric].namespace.replace('/', '_'))}_{_snake(metric)}_average"


async def _of_cluster(runtime: AwaitedOperations, cluster: str, now: datetime) -> list[Line]:
    of_volume = {"dbcluster_identifier": cluster}
    found = await runtime.describe_metrics(
        cluster,
        metric_names=CLUSTER_METRICS,
        start_time=now - timedelta(seconds=FRESH_OF_A_VOLUME_S),
        end_time=_soon(now),
        period=1,
    )
    lines = [*_newest(found, of_volume)]
    for member in await runtime.describe_db_instances(db_cluster_identifier=cluster):
        labels = {
            **of_volume,
            "dbinstance_identifier": member.db_instance_identifier,
            "role": "WRITER" if member.is_cluster_writer else "READER",
        }
        found = await runtime.describe_metrics(
            cluster,
            metric_names=INSTANCE_METRICS,
            db_instance_identifier=member.db_instance_identifier,
            start_time=now - timedelta(seconds=FRESH_S),
            end_time=_soon(now),
            period=1,
        )
        lines += _newest(found, labels)
    return lines


def _newest(found: Iterable[MetricSeries], labels: Mapping[str, str]) -> Iterable[Line]:
    for each in found:
        if each.datapoints:
            yield each.metric_name, labels, each.datapoints[-1].average


def _soon(now: datetime) -> datetime:
    """The second that has begun is shown too."""
    return datetime.fromtimestamp(now.timestamp() + 1, UTC)


def _snake(text: str) -> str:
    return _WORD.sub(r"\1_\2", text).lower()
