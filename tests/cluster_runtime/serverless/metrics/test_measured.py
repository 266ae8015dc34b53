"""What two readings of an instance say, and who is told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.serverless.metrics.measured import (
    Counters,
    Limits,
    Reading,
    Transactions,
    VolumeCounters,
    sample_of,
    transactions_between,
)
from cluster_runtime.serverless.metrics.names import CLUSTER_METRICS, INSTANCE_METRICS
from cluster_runtime.serverless.metrics.sampler import Demands, InstanceKey, Sampler

GIB = 1 << 30
LIMITS = Limits(cores=2.0, memory_bytes=8 * GIB, free_bytes=6 * GIB, capacity=1.0, maximum=4.0)
BEFORE = Reading(
    at=10.0,
    server=1,
    counters=Counters(5.0, 1000, 2000),
    memory_bytes=GIB,
    shared_bytes=GIB // 2,
    connections=3,
    limits=LIMITS,
    volume=VolumeCounters(10, 20, 4, 0.5),
)
NOW = replace(
    BEFORE,
    at=12.0,
    counters=Counters(6.0, 1100, 2300),
    volume=VolumeCounters(14, 26, 8, 0.52),
)
KEY = InstanceKey("cluster-1", "one")


def test_a_sample_has_demand_and_metrics_of_the_time_between() -> None:
    sample = sample_of(BEFORE, NOW)
    assert sample is not None
    demand = sample.demand
    assert (demand.cpu_cores, demand.memory_bytes, demand.connections) == (0.5, GIB, 3)
    assert demand.network_bytes_per_second == 200.0
    assert (demand.read_iops, demand.write_iops) == (2.0, 3.0)
    assert sample.values == {
        "CPUUtilization": 25.0,
        "CPUCores": 0.5,
        "FreeableMemory": 6.0 * GIB,
        "MemoryUsed": GIB,
        "SharedMemoryUsed": GIB // 2,
        "ServerlessDatabaseCapacity": 1.0,
        "ACUUtilization": 25.0,
        "DatabaseConnections": 3.0,
        "NetworkReceiveThroughput": 50.0,
        "NetworkTransmitThroughput": 150.0,
        "CommitLatency": pytest.approx(5.0),
    }
    assert sample.volume == {"VolumeReadIOPs": 4, "VolumeWriteIOPs": 6}


def test_a_reader_has_a_lag_and_no_volume() -> None:
    before, now = (replace(each, volume=None, lag_ms=12.5) for each in (BEFORE, NOW))
    sample = sample_of(before, now)
    assert sample is not None
    assert sample.values["AuroraReplicaLag"] == 12.5
    assert "CommitLatency" not in sample.values
    assert sample.volume == {}
    assert (sample.demand.read_iops, sample.demand.write_iops) == (0.0, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"server": 2},
        {"at": BEFORE.at},
        {"counters": Counters(0.1, 0, 0)},
        {"counters": Counters(6.0, 0, 2300)},
    ],
)
def test_what_began_again_is_compared_with_nothing(change: dict[str, object]) -> None:
    assert sample_of(BEFORE, replace(NOW, **change)) is None  # type: ignore[arg-type]


def test_what_is_not_known_is_absent() -> None:
    provisioned = replace(LIMITS, capacity=None, maximum=None)
    now = replace(NOW, limits=provisioned, shared_bytes=None, volume=VolumeCounters(0, 0, 0, 0))
    sample = sample_of(BEFORE, now)
    assert sample is not None
    missing = {"ServerlessDatabaseCapacity", "ACUUtilization", "SharedMemoryUsed", "CommitLatency"}
    assert not missing & sample.values.keys()
    assert sample.volume == {}
    idle = sample_of(BEFORE, replace(NOW, volume=BEFORE.volume))
    assert idle is not None
    assert "CommitLatency" not in idle.values, "nothing committed, so nothing waited"


COUNTS = st.integers(0, 10**12).map(float)


@given(COUNTS, COUNTS, COUNTS, st.floats(0.001, 100), st.floats(0.001, 1e4))
def test_whatever_is_read_the_metrics_are_known_ones_within_their_bounds(
    cpu: float, received: float, memory: float, seconds: float, cores: float
) -> None:
    now = replace(
        NOW,
        at=BEFORE.at + seconds,
        counters=Counters(5.0 + cpu, 1000 + received, 2000),
        memory_bytes=int(memory),
        limits=replace(LIMITS, cores=cores),
    )
    sample = sample_of(BEFORE, now)
    assert sample is not None
    assert sample.values.keys() <= set(INSTANCE_METRICS)
    assert sample.volume.keys() <= set(CLUSTER_METRICS)
    assert 0 <= sample.values["CPUUtilization"] <= 100
    assert all(value >= 0 for value in sample.values.values())


def test_transactions_between_two_looks() -> None:
    before, now = Transactions(10, 0, 900, 100), Transactions(30, 1, 990, 110)
    assert transactions_between(before, now, 2.0) == {
        "CommitThroughput": 10.0,
        "Deadlocks": 0.5,
        "BufferCacheHitRatio": 90.0,
    }
    assert "BufferCacheHitRatio" not in transactions_between(now, now, 1.0)
    assert transactions_between(now, before, 1.0) == {}, "a crash empties them"
    assert transactions_between(before, now, 0.0) == {}


def test_the_sampler_offers_the_newest_demand_and_forgets_what_rests() -> None:
    sampler, told = Sampler(), list[Demands]()
    sampler.on_sample(told.append)
    assert sampler.took({KEY: BEFORE}) == {}
    assert sampler.demand(*KEY) is None, "one reading says nothing yet"
    sampler.took({KEY: NOW})
    demand = sampler.demand(*KEY)
    assert demand is not None
    assert sampler.demands == told[-1] == {KEY: demand}
    sampler.took({})
    assert sampler.demand(*KEY) is None
    sampler.took({KEY: replace(NOW, at=20.0)})
    assert sampler.demand(*KEY) is None, "what it did while nobody looked is not known"
    assert [len(each) for each in told] == [0, 1, 0, 0]
