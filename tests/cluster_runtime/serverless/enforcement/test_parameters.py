"""Parameters that follow capacity: the documented formulas, on this machine."""

from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.engine.parameters import MAX_CONNECTIONS_MAX
from cluster_runtime.serverless.enforcement.means import Share
from cluster_runtime.serverless.enforcement.parameters import (
    banded,
    parameters_for,
    parameters_of_range,
)

GIB = 1 << 30
ACUS = st.integers(1, 512).map(lambda steps: steps / 2)


def share(acu: float) -> Share:
    return Share(acu * 0.25, round(acu * 2 * GIB))


def test_the_least_capacity_has_the_defaults_of_postgresql() -> None:
    found = parameters_for(share(0.5), 18, 2)
    assert found["work_mem"] == "4096kB"
    assert found["maintenance_work_mem"] == "65536kB"
    assert found["effective_cache_size"] == "524288kB"
    assert found["max_parallel_workers_per_gather"] == "0"
    assert found["io_workers"] == "1"


def test_more_capacity_has_more_of_everything() -> None:
    found = parameters_for(share(16), 18, 64)
    assert found["work_mem"] == "131072kB"
    assert found["maintenance_work_mem"] == "550072kB"  # RDS: memory / 63963136 * 1024 kB
    assert found["max_parallel_workers"] == "4"
    assert found["max_parallel_workers_per_gather"] == "2"
    assert found["io_workers"] == "5"


def test_a_server_without_io_workers_is_not_told_of_them() -> None:
    assert "io_workers" not in parameters_for(share(4), 17, 2)


def test_workers_are_no_more_than_the_machine_has_cpus() -> None:
    assert parameters_for(share(256), 18, 2)["max_parallel_workers"] == "2"


@given(ACUS)
def test_steps_within_a_doubling_need_no_reload(acu: float) -> None:
    band = banded(share(acu))
    assert band.memory_bytes <= share(acu).memory_bytes < 2 * band.memory_bytes
    assert parameters_for(band, 18, 64) == parameters_for(share(acu), 18, 64)


@given(ACUS, ACUS)
def test_nothing_shrinks_with_more_capacity(one: float, other: float) -> None:
    less, more = (parameters_for(share(each), 18, 64) for each in sorted((one, other)))
    for name, value in less.items():
        assert int(value.removesuffix("kB")) <= int(more[name].removesuffix("kB"))


def test_connections_and_buffers_follow_the_maximum_within_the_machine() -> None:
    assert parameters_of_range(1, 1, 32 * GIB) == {
        "max_connections": "189",
        "shared_buffers": "131072kB",
    }
    large = parameters_of_range(1, 256, 256 * GIB)
    assert large["max_connections"] == str(MAX_CONNECTIONS_MAX)
    assert large["shared_buffers"] == f"{4 * GIB // 1024}kB"
    # A small machine has no less than every cluster begins with.
    assert parameters_of_range(0, 16, GIB) == {
        "max_connections": "100",
        "shared_buffers": "131072kB",
    }
