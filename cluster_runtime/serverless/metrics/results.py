"""What was measured, as its callers get it. Words and units are CloudWatch's."""

from dataclasses import dataclass
from datetime import UTC, datetime

from cluster_runtime.serverless.metrics.names import Role, Unit
from cluster_runtime.serverless.metrics.ring import Points


@dataclass(frozen=True, slots=True)
class Datapoint:
    """The samples of one period. timestamp: when that begins; aware."""

    timestamp: datetime
    sample_count: int
    average: float
    sum: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class ListedMetric:
    """Something that there are samples of.

    db_instance_identifier, role: of one instance, or of those in a role; None twice: of all of the
    cluster. last_sample_time: up to a minute after the last sample; aware.
    """

    namespace: str
    metric_name: str
    db_cluster_identifier: str
    last_sample_time: datetime
    db_instance_identifier: str | None = None
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """A metric over time; periods without samples are absent. period: seconds."""

    namespace: str
    metric_name: str
    unit: Unit
    period: int
    db_cluster_identifier: str
    db_instance_identifier: str | None
    role: Role | None
    datapoints: tuple[Datapoint, ...]


def datapoints(points: Points) -> tuple[Datapoint, ...]:
    """In order of time."""
    return tuple(
        Datapoint(
            datetime.fromtimestamp(at, UTC),
            one.sample_count,
            one.average,
            one.sum,
            one.minimum,
            one.maximum,
        )
        for at, one in points.items()
    )
