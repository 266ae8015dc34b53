"""How much capacity an instance gets: at the moments that matter, and for any load."""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.serverless.scaling.demand import Demand, Resource
from cluster_runtime.serverless.scaling.policy import CapacityPolicy, Decision, Why
from cluster_runtime.serverless.scaling.units import ACU, GIB, CapacityUnit, rounded_up
from cluster_runtime.serverless.scaling.versions import (
    DEFAULT_VERSION,
    SCALINGS,
    VERSIONS,
    PlatformVersion,
    version_named,
)

BUSY = 1000.0
"""Cores: more than any capacity has."""

ALL = [version_named(f"{number}+{scaling}") for number in VERSIONS for scaling in SCALINGS]
versions = st.sampled_from(ALL)


@dataclass
class Instance:
    """One that does what its policy says, at once: what a load of so many cores makes of it."""

    version: PlatformVersion = VERSIONS["2"]
    minimum: float = 0.5
    maximum: float = 256.0
    capacity: float = 0.5
    now: float = 0.0
    seen: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy = CapacityPolicy(self.version, self.minimum, self.maximum)

    def tick(self, cores: float = 0.0, seconds: float = 1.0, **demand: float) -> Decision:
        self.now += seconds
        used = Demand(cpu_cores=min(cores, self.capacity * ACU.cores), **demand)  # type: ignore[arg-type]
        decision = self.policy.tick(self.now, used, self.capacity)
        self.capacity = decision.target
        self.seen.append(self.capacity)
        return decision


@pytest.mark.parametrize("version", ["2", "3", "4", "4+instant"])
def test_a_full_cluster_grows_within_two_ticks(version: str) -> None:
    instance = Instance(version_named(version))
    instance.tick(BUSY)
    decision = instance.tick(BUSY)
    assert instance.capacity > 0.5
    assert (decision.why, decision.because) == (Why.GROWS, Resource.CPU)


def test_it_goes_back_to_the_minimum_when_the_load_is_gone() -> None:
    instance = Instance(version_named("3"))
    for _ in range(60):
        instance.tick(BUSY)
    assert instance.capacity == 256
    for _ in range(600):
        instance.tick(0)
    assert instance.capacity == 0.5


def test_a_load_that_is_known_gets_what_it_needs_and_some_room() -> None:
    instance = Instance(version_named("3"), capacity=20)
    for _ in range(30):
        instance.tick(4.6)  # 18.4 ACU: nine tenths of 20 and more
    assert instance.capacity == rounded_up(18.4 / 0.8)


def test_each_step_up_is_paid_and_an_empty_bucket_lets_it_grow_as_fast_as_it_fills() -> None:
    instance = Instance()
    scaling = instance.version.scaling
    whys = [instance.tick(BUSY).why for _ in range(40)]
    assert Why.NO_CREDITS in whys
    refill = sum(
        scaling.credits_per_second + scaling.credits_per_second_per_acu * acu
        for acu in [0.5, *instance.seen[:-1]]
    )
    grown = instance.capacity - 0.5
    assert grown <= scaling.credits_max + refill
    assert grown > scaling.credits_max + refill - 1.0


def test_a_larger_capacity_grows_in_larger_steps() -> None:
    """Aurora User Guide: "the larger the current capacity, the larger the scaling increment"."""
    grown = []
    for capacity in (8.0, 64.0, 128.0):
        instance = Instance(capacity=capacity)
        for _ in range(60):
            instance.tick(BUSY)
        grown.append(instance.capacity - capacity)
    assert grown == sorted(set(grown))


def test_since_september_2026_it_adds_16_acu_within_a_second() -> None:
    instance = Instance(version_named("3+instant"), capacity=10.0)
    instance.tick(BUSY)
    assert instance.capacity >= 26
    assert DEFAULT_VERSION.name == "4+instant"


def test_fast_scaling_looks_between_ticks_and_standard_scaling_does_not() -> None:
    fast, standard = Instance(version_named("3")), Instance(version_named("2"))
    assert fast.policy.look_seconds == 0.25
    assert standard.policy.look_seconds == 1
    for instance in (fast, standard):
        instance.tick(0)
    assert fast.tick(BUSY, 0.25).why is Why.GROWS
    assert standard.tick(BUSY, 0.25).why is Why.NOT_DUE
    assert standard.capacity == 0.5


@pytest.mark.parametrize("version", ["2", "3", "4+instant"])
def test_asking_often_gives_no_more(version: str) -> None:
    instance = Instance(version_named(version))
    instance.tick(BUSY)
    before = instance.capacity
    assert {instance.tick(BUSY, 0.01).why for _ in range(15)} == {Why.NOT_DUE}
    assert instance.capacity == before


def test_between_ticks_nothing_but_a_full_instance_changes_anything() -> None:
    instance = Instance(version_named("3"), capacity=64.0)
    for _ in range(200):
        instance.tick(0, 0.25)
    changes = [a - b for a, b in pairwise(instance.seen) if a != b]
    assert changes
    assert len(changes) <= 50


@pytest.mark.parametrize(
    ("demand", "because", "least"),
    [
        ({"memory_bytes": 9.0 * GIB}, Resource.MEMORY, 5.0),
        ({"connections": 1000}, Resource.CONNECTIONS, 4.5),
    ],
)
def test_what_sessions_and_memory_need_is_not_taken_away(
    demand: dict[str, float], because: Resource, least: float
) -> None:
    instance = Instance(capacity=8.0)
    for _ in range(300):
        decision = instance.tick(0, **demand)
    assert instance.capacity == least
    assert (decision.why, decision.because) == (Why.HELD, because)


@pytest.mark.parametrize(
    ("demand", "because"),
    [
        ({"network_bytes_per_second": 100e6}, Resource.NETWORK),
        ({"read_iops": 4_000.0, "write_iops": 3_000.0}, Resource.IO),
        ({"memory_bytes": 20.0 * GIB}, Resource.MEMORY),
    ],
)
def test_every_resource_that_is_short_makes_it_grow(
    demand: dict[str, float], because: Resource
) -> None:
    instance = Instance(version_named("3"), capacity=2.0)
    decision = instance.tick(0, **demand)
    assert (decision.why, decision.because) == (Why.GROWS, because)


def test_it_shrinks_to_no_less_than_was_needed_in_the_last_seconds() -> None:
    """A load that comes and goes faster than that leaves capacity alone."""
    instance = Instance(version_named("3"), capacity=64.0)
    settle = int(instance.version.scaling.settle_seconds)
    for _ in range(20):
        for _ in range(settle - 2):
            instance.tick(0)
        instance.tick(64 * 0.8 * 0.25)
    assert set(instance.seen) == {64.0}


def test_a_new_range_holds_at_once_and_costs_nothing() -> None:
    instance = Instance()
    instance.tick(0)
    instance.policy.configured(32, 64)
    decision = instance.tick(0)
    assert (decision.target, decision.why) == (32, Why.RANGE)
    assert decision.credits == instance.version.scaling.credits_max
    instance.policy.configured(0, 1)
    assert instance.tick(BUSY).target == 1
    assert instance.tick(BUSY).why is Why.AT_MAXIMUM


def test_a_version_holds_its_own_maximum() -> None:
    instance = Instance(version_named("1"), minimum=200, maximum=256)
    for _ in range(5):
        instance.tick(BUSY)
    assert instance.capacity == 128


def test_capacity_that_the_machine_did_not_have_costs_nothing() -> None:
    policy = CapacityPolicy(version_named("2"), 0.5, 16)
    for second in range(100):
        decision = policy.tick(second, Demand(cpu_cores=0.125), 0.5)
        assert decision.why is Why.GROWS
    assert decision.credits == pytest.approx(policy.version.scaling.credits_max - 0.5)


def test_cores_of_an_acu_can_be_set() -> None:
    policy = CapacityPolicy(version_named("3"), 0.5, 64, unit=CapacityUnit(cores=1.0))
    assert policy.tick(0, Demand(cpu_cores=0.2), 0.5).why is Why.STEADY
    assert policy.tick(1, Demand(cpu_cores=3.9), 4.0).why is Why.GROWS


@pytest.mark.parametrize("away", [-3600.0, 3600.0 * 24])
def test_a_clock_that_jumps_neither_fills_the_bucket_nor_empties_the_cluster(away: float) -> None:
    instance = Instance(capacity=100.0)
    for _ in range(60):
        instance.tick(20)
    for _ in range(60):
        instance.tick(0)
    before, credits_before = (
        instance.capacity,
        instance.policy.tick(instance.now, Demand(), instance.capacity).credits,
    )
    decision = instance.tick(0, away)
    scaling = instance.version.scaling
    most = 10 * (scaling.down_per_second * before + scaling.down_acu_per_second) + 0.5
    assert before - most <= decision.target <= before
    assert credits_before <= decision.credits <= scaling.credits_max
    for _ in range(600):
        instance.tick(0)
    assert instance.capacity == 0.5


@pytest.mark.parametrize(
    ("minimum", "maximum"),
    [(2, 1), (0.3, 8), (0, 8.25), (0, 0), (-1, 8), (0, 300), (math.nan, 8), (0, math.nan)],
)
def test_a_range_that_is_none_is_refused(minimum: float, maximum: float) -> None:
    with pytest.raises(ValueError, match="ACU"):
        CapacityPolicy(version_named("2"), minimum, maximum)
    policy = CapacityPolicy(version_named("2"), 1, 2)
    with pytest.raises(ValueError, match="ACU"):
        policy.configured(minimum, maximum)
    assert (policy.minimum, policy.maximum) == (1, 2)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["cpu_cores", "memory_bytes", "read_iops", "connections"])
def test_a_demand_that_is_no_number_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Demand(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "current"), [(math.nan, 1.0), (math.inf, 1.0), (0, -0.5), (0, math.nan), (0, 1.3)]
)
def test_a_tick_of_no_time_or_no_capacity_is_refused(now: float, current: float) -> None:
    with pytest.raises(ValueError, match=r"now|current"):
        CapacityPolicy(version_named("2"), 0, 8).tick(now, Demand(), current)


@pytest.mark.parametrize("name", ["5", "", "2+", "2+slow", "+fast", "2+fast+fast"])
def test_a_version_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there are 1, 2, 3, 4"):
        version_named(name)


def test_a_version_says_its_name() -> None:
    assert [version_named(name).name for name in ("2", "2+fast", "3", "3+fast")] == [
        *("2", "2+fast", "3", "3")
    ]


acus = st.integers(0, 512).map(lambda steps: steps / 2)
ranges = st.tuples(acus, acus).map(sorted).filter(lambda both: both[1] >= 0.5)
demands = st.builds(
    Demand,
    cpu_cores=st.floats(0, 70),
    memory_bytes=st.floats(0, 600 * GIB),
    network_bytes_per_second=st.floats(0, 4e9),
    read_iops=st.floats(0, 300_000),
    write_iops=st.floats(0, 1_000),
    connections=st.integers(0, 6000),
)
elapsed = st.one_of(st.sampled_from([0.25, 1.0, 1.0, 1.0, 5.0]), st.floats(-1e9, 1e9), st.just(0.0))


@given(
    versions,
    ranges,
    st.lists(st.tuples(elapsed, demands, st.integers(1, 30)), min_size=1, max_size=20),
)
def test_whatever_comes_capacity_is_in_range_paid_and_enough(
    version: PlatformVersion,
    between: list[float],
    load: list[tuple[float, Demand, int]],
) -> None:
    policy = CapacityPolicy(version, *between)
    scaling = version.scaling
    now, current = 0.0, policy.minimum
    for seconds, demand, times in load:
        for _ in range(times):
            now += seconds
            decision = policy.tick(now, demand, current)
            assert policy.minimum <= decision.target <= policy.maximum
            assert decision.target % 0.5 == 0
            assert 0 <= decision.credits <= scaling.credits_max
            assert decision.target - current <= scaling.credits_max
            needs = max(demand.floors(ACU).values())
            if decision.target < current:
                assert decision.target >= needs - 1e-6
                assert decision.target >= max(demand.rates(ACU).values()) - 1e-6
            current = decision.target


@given(versions, st.floats(0, 80), acus, st.floats(0, 0.08))
def test_a_constant_load_changes_capacity_at_most_once_a_minute(
    version: PlatformVersion, cores: float, capacity: float, noise: float
) -> None:
    instance = Instance(version, capacity=capacity)
    for tick in range(1200):
        wavering = cores * (1 + noise * math.sin(tick * 1.7))
        instance.tick(wavering)
    settled = instance.seen[800:]
    changes = [a != b for a, b in pairwise(settled)]
    assert max(sum(changes[start : start + 60]) for start in range(len(changes) - 60)) <= 1
    assert (
        instance.capacity * ACU.cores >= cores * 0.97
        or instance.capacity == instance.policy.maximum
    )
