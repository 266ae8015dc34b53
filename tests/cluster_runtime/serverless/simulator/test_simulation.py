"""An instance in virtual time: what is not done waits, nothing is lost, everything is paid."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_runtime.serverless.scaling.demand import Demand
from cluster_runtime.serverless.scaling.units import ACU
from cluster_runtime.serverless.scaling.versions import VERSIONS, version_named
from cluster_runtime.serverless.simulator.comparison import against, compared, outcomes
from cluster_runtime.serverless.simulator.simulation import RESUME_SECONDS, Run, Setting, simulate
from cluster_runtime.serverless.simulator.traces import Sample, Trace
from tests.examples import examples


def load(*cores: float, each_seconds: float = 60.0, work: float | None = None) -> Trace:
    samples = tuple(
        Sample(number * each_seconds, Demand(cpu_cores=each)) for number, each in enumerate(cores)
    )
    return Trace("load", samples, each_seconds * len(cores), work)


def capacity_at(run: Run, second: float) -> float:
    return next(each.capacity for each in reversed(run.points) if each.at <= second)


def test_looks_at_which_nothing_changes_are_one() -> None:
    run = simulate(load(0.1, each_seconds=3600), Setting(VERSIONS["3"]))
    assert len(run.points) < 5
    assert sum(point.seconds for point in run.points) == 3600


def test_a_load_within_capacity_is_served_at_once() -> None:
    run = simulate(load(0.1), Setting(VERSIONS["2"]))
    assert run.acu_hours == pytest.approx(0.5 / 60)
    assert run.finished == 60
    assert all(point.waiting == pytest.approx(0) for point in run.points)


def test_what_capacity_does_not_serve_waits_and_is_done_later() -> None:
    run = simulate(load(4, 0, 0), Setting(VERSIONS["2"], maximum=8))
    assert max(point.waiting for point in run.points) > 60
    assert sum(point.work * point.seconds for point in run.points) == pytest.approx(240)
    assert run.finished is not None
    assert run.finished > 60
    assert run.points[-1].waiting == pytest.approx(0)


def test_work_that_is_never_done_has_no_end() -> None:
    run = simulate(load(4), Setting(VERSIONS["2"], maximum=1))
    assert run.finished is None
    assert run.scale_down_seconds is None


def test_clients_that_wait_take_as_long_as_the_capacity_makes_them() -> None:
    slow, quick = compared(
        load(8, work=100, each_seconds=600), [VERSIONS["2"], VERSIONS["3"]], Setting(VERSIONS["2"])
    )
    assert slow.finished is not None
    assert quick.finished is not None
    assert quick.finished < slow.finished
    assert max(point.used_cores for point in slow.points) <= 8


def test_a_session_runs_on_one_core_at_a_time() -> None:
    busy = Demand(cpu_cores=8, connections=2)
    run = simulate(
        Trace("two", (Sample(0, busy), Sample(60, Demand(connections=2))), 600),
        Setting(VERSIONS["2"], minimum=32),
    )
    assert max(point.used_cores for point in run.points) == pytest.approx(2)
    assert run.finished == pytest.approx(240, abs=1)


def test_a_better_version_needs_fewer_cores_for_the_same() -> None:
    runs = compared(load(0.1), [VERSIONS["2"], VERSIONS["3"]], Setting(VERSIONS["2"]))
    assert [run.points[-1].used_cores for run in runs] == pytest.approx([0.1, 0.1 / 1.3])


def test_connections_beyond_the_limit_are_refused() -> None:
    crowd = Trace("crowd", (Sample(0, Demand(connections=3000)),), 10)
    (outcome,) = outcomes([simulate(crowd, Setting(VERSIONS["3"], minimum=0.5, maximum=32))])
    assert outcome.refused_connections == 1000


def test_an_idle_cluster_with_a_minimum_of_0_pauses_and_resumes_for_work() -> None:
    trace = load(0.1, 0, 0, 0, 0, 0, 0.1)
    run = simulate(trace, Setting(VERSIONS["3"], minimum=0, maximum=4, auto_pause_seconds=120))
    assert capacity_at(run, 150) == 0.5
    for second in (185, 359, 360 + RESUME_SECONDS - 1):
        assert capacity_at(run, second) == 0
    assert capacity_at(run, 360 + RESUME_SECONDS) == 0.5
    assert run.points[-1].waiting == pytest.approx(0, abs=1e-6)


def test_only_a_minimum_of_0_pauses() -> None:
    with pytest.raises(ValueError, match="auto-pause"):
        Setting(VERSIONS["3"], minimum=0.5, auto_pause_seconds=300)


def test_the_time_at_peak_is_compared_among_versions_that_do_the_same_with_a_core() -> None:
    trace = load(8, work=2000, each_seconds=600)
    alike = compared(trace, [VERSIONS["2"], version_named("2+fast")], Setting(VERSIONS["2"]))
    one, other = outcomes(alike)
    assert against(other, one).held_times == pytest.approx(other.held_seconds / one.held_seconds)
    others = outcomes(compared(trace, [VERSIONS["2"], VERSIONS["3"]], Setting(VERSIONS["2"])))
    assert [each.held_seconds for each in others] == [None, None]
    assert against(others[1], others[0]).held_times is None


@settings(max_examples=examples(30), deadline=None)
@given(
    st.sampled_from(list(VERSIONS.values())),
    st.lists(st.floats(0, 40), min_size=1, max_size=8),
    st.booleans(),
)
def test_no_work_is_lost_or_made_up(version: object, cores: list[float], closed: bool) -> None:
    trace = load(*cores, each_seconds=30, work=200.0 if closed else None)
    run = simulate(trace, Setting(version))  # type: ignore[arg-type]
    done = sum(point.work * point.seconds for point in run.points)
    if closed:
        assert done <= 200 + 1e-6
        assert (run.finished is not None) == (done == pytest.approx(200))
    else:
        assert done + run.points[-1].waiting == pytest.approx(30 * sum(cores), abs=1e-6)
    for point in run.points:
        assert point.used_cores <= point.capacity * ACU.cores + 1e-9
        assert point.credits >= 0
    assert sum(point.seconds for point in run.points) == pytest.approx(trace.seconds)
