"""Operations on the metrics of clusters, as CloudWatch has them of Aurora's. Ours: RDS has none."""

from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from typing import Annotated

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import METRIC_SERIES, METRICS_LISTED
from cluster_runtime.control.records.fields import Doc
from cluster_runtime.control.records.identifiers import did_you_mean
from cluster_runtime.control.records.rules import Must
from cluster_runtime.errors import ClusterNotFoundError, InvalidParameterError
from cluster_runtime.serverless.metrics.names import METRICS, Role
from cluster_runtime.serverless.metrics.periods import PERIOD_DEFAULT_S, check_period
from cluster_runtime.wording import Parameter

METRIC_NOUN = "Metric"


def _check_period(text: str) -> None:
    check_period(int(text))


Period = Annotated[
    int,
    Must(_check_period),
    Doc("seconds that each datapoint covers: 1, 5, 10, 20, 30, or a multiple of 60"),
]


@operation(
    "ListMetrics",
    of=METRIC_NOUN,
    returns=METRICS_LISTED,
    raises=(ClusterNotFoundError,),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class ListMetrics(Request):
    """List what there are metrics of: each cluster's, together, by instance and by role.

    Paused clusters stay paused.

    db_cluster_identifier: only those of this cluster, by its identifier or resource id.
    """

    db_cluster_identifier: str | None = None


@operation(
    "DescribeMetrics",
    of=METRIC_NOUN,
    returns=METRIC_SERIES,
    raises=(ClusterNotFoundError, InvalidParameterError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class DescribeMetrics(Request):
    """Show what was measured of a cluster: CPU, memory, sessions, commits, I/O, capacity.

    Samples are taken once a second of what runs. They are kept for 10 minutes as they are, for two
    hours by 10 seconds, and for a day by the minute. A paused cluster stays paused, and has none.

    db_cluster_identifier: of the cluster, or its resource id.
    metric_names: as CloudWatch has them, such as `CPUUtilization`; by default all that there are.
    db_instance_identifier: only what was measured of this instance; by default of all together.
    role: only of instances while they were this.
    start_time: from when on; aware. By default an hour before the end.
    end_time: until when; aware. By default now.
    """

    db_cluster_identifier: str
    _: KW_ONLY
    metric_names: tuple[str, ...] = ()
    db_instance_identifier: str | None = None
    role: Role | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    period: Period = PERIOD_DEFAULT_S

    def check(self) -> None:
        """Raises InvalidParameterError for what there is not, and for a time that is none."""
        for name in self.metric_names:
            if name not in METRICS:
                guess = did_you_mean(name, METRICS) or f"; there are {', '.join(METRICS)}"
                raise InvalidParameterError(f"there is no metric {name!r}{guess}")
        for parameter in ("start_time", "end_time"):
            moment = getattr(self, parameter)
            if moment is not None and moment.tzinfo is None:
                raise InvalidParameterError(
                    Parameter(parameter), " has no time zone: pass an aware datetime"
                )
        if self.start_time is not None and self.start_time >= (self.end_time or datetime.now(UTC)):
            raise InvalidParameterError(
                Parameter("start_time"), " must be before ", Parameter("end_time")
            )
