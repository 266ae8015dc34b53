"""What `top` knows of a cluster at a moment, and what two moments say. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Segment:
    """One of the six. lag_bytes: log that it lacks up to the volume durable LSN.

    None where it does not answer.
    """

    id: str
    state: str
    lag_bytes: int | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One cluster at a moment. at: monotonic seconds. vdl: volume durable LSN.

    What only a running cluster has is None while it rests: nothing is woken to be looked at.
    problem: why something is missing. cpu_cores: CPU of all its instances. wanted: ACU that it asks
    for; None while it does not run. why: it has the capacity that it has.
    """

    at: float
    cluster: str
    status: str
    capacity: float
    connections: int
    commits: int | None = None
    replica_lag_bytes: int | None = None
    vdl: int | None = None
    segments: tuple[Segment, ...] = ()
    problem: str = ""
    cpu_cores: float | None = None
    wanted: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One cluster as it is shown. Rates are those between two samples, per second."""

    sample: Sample
    commits_per_second: float | None
    log_bytes_per_second: float | None

    @property
    def lag_bytes(self) -> int | None:
        """How much log the slowest segment that answers, or the slowest reader, lacks."""
        lags = [one.lag_bytes for one in self.sample.segments]
        known = [lag for lag in (*lags, self.sample.replica_lag_bytes) if lag is not None]
        return max(known, default=None)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        sample = self.sample
        return {
            "cluster": sample.cluster,
            "status": sample.status,
            "capacity_acu": sample.capacity,
            "wanted_acu": sample.wanted,
            "why": sample.why or None,
            "cpu_cores": sample.cpu_cores,
            "connections": sample.connections,
            "commits_per_second": self.commits_per_second,
            "log_bytes_per_second": self.log_bytes_per_second,
            "lag_bytes": self.lag_bytes,
            "replica_lag_bytes": sample.replica_lag_bytes,
            "segments": {one.id: one.state for one in sample.segments},
            "problem": sample.problem or None,
        }


def rows(before: Sequence[Sample], now: Sequence[Sample]) -> list[Row]:
    """What is shown of the clusters that there are now."""
    earlier = {one.cluster: one for one in before}
    return [_row(earlier.get(one.cluster), one) for one in now]


def _row(before: Sample | None, now: Sample) -> Row:
    if before is None or now.at <= before.at:
        return Row(now, None, None)
    seconds = now.at - before.at
    return Row(
        now,
        _rate(before.commits, now.commits, seconds),
        _rate(before.vdl, now.vdl, seconds),
    )


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    """None also where a counter began again, as after a crash."""
    if before is None or now is None or now < before:
        return None
    return (now - before) / seconds
