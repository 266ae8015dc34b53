"""What Amazon published of its versions, and what this policy makes of such loads.

Each version has one set of numbers, whatever the load (`versions.py`); each load is the same for
all versions (`scenarios.py`). Published figures and where they are from: `docs/serverless.md`.
"""

import pytest

from cluster_runtime.serverless.scaling.versions import version_named
from cluster_runtime.serverless.simulator.comparison import (
    Against,
    Outcome,
    against,
    compared,
    outcomes,
)
from cluster_runtime.serverless.simulator.scenarios import SCENARIOS
from cluster_runtime.serverless.simulator.simulation import Run, Setting

WITHIN = 0.1


def runs_of(name: str) -> list[Run]:
    scenario = SCENARIOS[name]
    versions = [version_named(each) for each in scenario.versions]
    return compared(scenario.load(), versions, Setting(versions[0]))


@pytest.fixture(scope="module")
def ramp() -> list[Run]:
    return runs_of("sysbench-ramp")


@pytest.fixture(scope="module")
def heavy() -> dict[str, Outcome]:
    return {each.name: each for each in outcomes(runs_of("sysbench-heavy"))}


@pytest.fixture(scope="module")
def fast_against_old(ramp: list[Run]) -> Against:
    old, fast = outcomes(ramp)
    return against(fast, old)


def test_the_ramp_goes_to_about_210_acu(ramp: list[Run]) -> None:
    assert [run.peak_acu for run in ramp] == pytest.approx([210, 210], rel=0.05)


def test_fast_scaling_holds_peak_performance_3_6_times_as_long(fast_against_old: Against) -> None:
    assert fast_against_old.held_times == pytest.approx(3.6, rel=WITHIN)


def test_fast_scaling_is_down_again_in_40_percent_less_time(fast_against_old: Against) -> None:
    assert fast_against_old.less_scale_down == pytest.approx(0.4, rel=WITHIN)


def test_fast_scaling_uses_9_percent_fewer_acu_hours(fast_against_old: Against) -> None:
    assert fast_against_old.less_acu_hours == pytest.approx(0.09, rel=WITHIN)


def test_version_3_takes_20_percent_less_time_and_acu_hours(heavy: dict[str, Outcome]) -> None:
    saved = against(heavy["3"], heavy["2+fast"])
    assert saved.less_time == pytest.approx(0.2, rel=WITHIN)
    assert saved.less_acu_hours == pytest.approx(0.2, rel=WITHIN)


@pytest.mark.parametrize(
    ("earlier", "time", "acu_hours"), [("3", 0.27, 0.28), ("2+fast", 0.41, 0.42)]
)
def test_version_4_saves_what_the_blog_says(
    heavy: dict[str, Outcome], earlier: str, time: float, acu_hours: float
) -> None:
    saved = against(heavy["4"], heavy[earlier])
    assert saved.less_time == pytest.approx(time, rel=WITHIN)
    assert saved.less_acu_hours == pytest.approx(acu_hours, rel=WITHIN)


def test_version_4_gets_up_45_percent_faster() -> None:
    """To half of the maximum: at the end the version that is there first has nothing to gain."""
    runs = runs_of("sysbench-heavy")
    three, four = (
        next(point.at for point in run.points if point.capacity >= 128) for run in runs[1:]
    )
    assert 1 - four / three == pytest.approx(0.45, rel=WITHIN)


def test_all_did_the_same_work(ramp: list[Run], heavy: dict[str, Outcome]) -> None:
    assert all(each.finished_seconds is not None for each in heavy.values())
    for run in ramp:
        done = sum(point.work * point.seconds for point in run.points)
        assert done == pytest.approx(run.trace.work_core_seconds)
