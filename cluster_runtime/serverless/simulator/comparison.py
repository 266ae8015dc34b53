"""What runs of one load say of each other: time, peak, ACU-hours, cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from cluster_runtime.serverless.scaling.versions import PlatformVersion
from cluster_runtime.serverless.simulator.simulation import Run, Setting, simulate
from cluster_runtime.serverless.simulator.traces import Trace

PEAK_SHARE = 0.95
"""Peak performance is this share, or more, of the most work per second in any of the runs."""

USD_PER_ACU_HOUR = 0.12
"""Aurora Standard in us-east-1 (Aurora pricing page)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run in figures.

    finished_seconds: when all work was done; None if it was not. held_seconds: at peak performance;
    None where there was no work, or the versions do not do the same with the same cores.
    scale_down_seconds: from the end of the work to the lowest capacity.
    """

    name: str
    finished_seconds: float | None
    peak_acu: float
    held_seconds: float | None
    scale_down_seconds: float | None
    acu_hours: float
    cost_usd: float
    refused_connections: int

    def as_json(self) -> Mapping[str, object]:
        """For programs."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Against:
    """One outcome against an earlier one; 0.2 is 20 % less. None where one of them has no figure.

    held_times: how many times as long at peak performance.
    """

    held_times: float | None
    less_time: float | None
    less_scale_down: float | None
    less_acu_hours: float | None


def compared(trace: Trace, versions: Sequence[PlatformVersion], setting: Setting) -> list[Run]:
    """The same load on several versions, all else as in `setting`."""
    return [simulate(trace, setting.on(version)) for version in versions]


def outcomes(runs: Sequence[Run], usd_per_acu_hour: float = USD_PER_ACU_HOUR) -> list[Outcome]:
    """Figures of runs of one load."""
    level = PEAK_SHARE * max(run.best for run in runs)
    alike = level > 0 and len({run.setting.version.performance for run in runs}) == 1
    return [
        Outcome(
            run.setting.version.name,
            run.finished,
            run.peak_acu,
            run.held_seconds(level) if alike else None,
            run.scale_down_seconds,
            run.acu_hours,
            run.acu_hours * usd_per_acu_hour,
            run.refused_connections,
        )
        for run in runs
    ]


def against(one: Outcome, earlier: Outcome) -> Against:
    """What one saves compared with an earlier one."""
    return Against(
        one.held_seconds / earlier.held_seconds
        if one.held_seconds is not None and earlier.held_seconds
        else None,
        _less(one.finished_seconds, earlier.finished_seconds),
        _less(one.scale_down_seconds, earlier.scale_down_seconds),
        _less(one.acu_hours, earlier.acu_hours),
    )


def _less(one: float | None, earlier: float | None) -> float | None:
    return None if one is None or not earlier else 1 - one / earlier
