"""Metrics of real clusters: what load shows, what a restart keeps, what a pause costs."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.monitoring.metrics import watch
from cluster_runtime.errors import ClusterNotFoundError, InvalidParameterError
from cluster_runtime.serverless.metrics import history_file
from cluster_runtime.serverless.metrics.results import MetricSeries
from tests.waiting import wait_until

rest = watch.rest
WORK = "select count(*) from generate_series(1, 300000) a where a % 7 = 3"


@pytest.fixture(scope="module", autouse=True)
def often() -> Iterator[None]:
    """Ten samples a second: nobody waits for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "rest", lambda now: 0.1)
        yield


def read(runtime: Runtime, name: str, *metrics: str, **asked: Any) -> dict[str, MetricSeries]:
    """By the second, each metric by its name."""
    now = datetime.now(UTC)
    found = runtime.describe_metrics(
        name,
        metric_names=metrics,
        period=1,
        start_time=now - timedelta(minutes=9),
        end_time=now + timedelta(seconds=2),
        **asked,
    )
    return {each.metric_name: each for each in found}


def averages(series: MetricSeries) -> list[float]:
    return [point.average for point in series.datapoints]


@contextmanager
def load(cluster: ClusterHandle) -> Iterator[None]:
    """A session that keeps a server process busy."""
    over = threading.Event()

    def work() -> None:
        with cluster.connect(autocommit=True) as conn:
            conn.execute("create table if not exists work (x int)")
            while not over.is_set():
                conn.execute(WORK)
                conn.execute("insert into work values (1)")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()


def state_of(runtime: Runtime) -> Any:
    return runtime._home.service._runtime


def test_load_shows_as_cpu_sessions_commits_bytes_and_io(
    shared_runtime: Runtime,
) -> None:
    cluster = shared_runtime.create_db_cluster("loaded")
    with load(cluster):

        def shows() -> dict[str, MetricSeries] | None:
            found = read(shared_runtime, "loaded")
            busy = found.get("CPUCores")
            enough = busy is not None and max(averages(busy)) > 0.3
            commits = found.get("CommitThroughput")
            return found if enough and commits is not None and any(averages(commits)) else None

        found = wait_until(shows)
    for name, least, most in (
        ("CPUUtilization", 5, 100),
        ("DatabaseConnections", 1, 1),
        ("CommitThroughput", 0.1, 10_000),
        ("CommitLatency", 0.01, 5_000),
        ("NetworkReceiveThroughput", 50, 1e9),
        ("NetworkTransmitThroughput", 50, 1e9),
        ("VolumeWriteIOPs", 0.01, 1e6),
        ("VolumeBytesUsed", 1e7, 1e9),
        ("MemoryUsed", 1e7, 1e9),
        ("SharedMemoryUsed", 1e6, 1e9),
        ("FreeableMemory", 1e6, 1e12),
        ("ServerlessDatabaseCapacity", 0.5, 16),
        ("ACUUtilization", 1, 100),
    ):
        assert least <= max(averages(found[name])) <= most, name
    assert "AuroraReplicaLag" not in found, "it has no reader: absent, not 0"
    instance = shared_runtime.describe_db_instances(db_cluster_identifier="loaded")[0]
    name = instance.db_instance_identifier
    assert read(shared_runtime, "loaded", "CPUCores", db_instance_identifier=name.upper())[
        "CPUCores"
    ].datapoints
    assert read(shared_runtime, "loaded", "CPUCores", role="WRITER")["CPUCores"].datapoints
    assert not read(shared_runtime, "loaded", "CPUCores", role="READER")["CPUCores"].datapoints
    listed = shared_runtime.list_metrics("loaded")
    assert {(each.db_instance_identifier, each.role) for each in listed} == {
        (None, None),
        (name, None),
        (None, "WRITER"),
    }
    activity = shared_runtime.describe_activity("loaded")
    assert activity.cpu_cores is not None


def test_demand_is_offered_once_a_second_to_whoever_scales(shared_runtime: Runtime) -> None:
    cluster = shared_runtime.create_db_cluster("scaled")
    told: list[Any] = []
    state = state_of(shared_runtime)
    state.sampler.on_sample(told.append)
    try:
        (record,) = state.clusters[cluster.id].records

        def demand_now() -> Any:
            return state.sampler.demand(cluster.id, record)

        with load(cluster):
            wait_until(lambda: [one for one in told if (cluster.id, record) in one][2:])
            demand = wait_until(
                lambda: (
                    (one := state.sampler.demand(cluster.id, record)) and one.connections and one
                )
            )
    finally:
        state.sampler._tell.remove(told.append)
    assert demand.memory_bytes > 1e7


def test_a_reader_has_its_own_metrics_and_a_lag(shared_runtime: Runtime) -> None:
    shared_runtime.create_db_cluster("read")
    shared_runtime.create_db_instance(
        db_instance_identifier="read-two", db_cluster_identifier="read"
    )

    def lags() -> bool:
        found = read(shared_runtime, "read", "AuroraReplicaLag", db_instance_identifier="read-two")
        return bool(found["AuroraReplicaLag"].datapoints)

    wait_until(lags)
    roles = {each.role for each in shared_runtime.list_metrics("read")}
    assert roles == {None, "WRITER", "READER"}


def test_a_paused_cluster_has_no_samples_and_keeps_nothing_in_memory(
    shared_runtime: Runtime,
) -> None:
    cluster = shared_runtime.create_db_cluster("resting")
    state = state_of(shared_runtime)
    wait_until(lambda: read(shared_runtime, "resting", "CPUCores")["CPUCores"].datapoints)
    assert cluster.id in state.histories
    shared_runtime.pause_db_cluster("resting")
    wait_until(lambda: cluster.id not in state.histories)
    (metrics,) = [each for each in state.watches if isinstance(each, watch.MetricsWatch)]
    path = str(state.clusters[cluster.id].writer.path)

    def held() -> dict[str, int]:
        return {
            "samples": sum(key.cluster == cluster.id for key in metrics._running),
            "times": sum(cluster.id in each for each in (metrics._save_at, metrics._weigh_at)),
            "traffic": sum(str(each) == path for each in list(state.gateway._traffic)),
            "demands": sum(key.cluster == cluster.id for key in state.sampler.demands),
            "readings": sum(key.cluster == cluster.id for key in state.sampler._readings),
        }

    gc.collect()
    wait_until(lambda: not any(held().values()))
    files = [each.path for each in psutil.Process().open_files()]
    assert not [each for each in files if Path(each).name.startswith(history_file.FILE_NAME)]
    before = read(shared_runtime, "resting", "CPUCores")["CPUCores"].datapoints
    seen: list[Any] = []
    state.sampler.on_sample(seen.append)
    wait_until(lambda: len(seen) > 2)
    state.sampler._tell.remove(seen.append)
    assert read(shared_runtime, "resting", "CPUCores")["CPUCores"].datapoints == before
    assert cluster.id not in state.histories, "to be read wakes nothing and keeps nothing"
    assert shared_runtime.describe_db_clusters("resting")[0].paused
    cluster.connect().close()
    wait_until(
        lambda: (
            len(read(shared_runtime, "resting", "CPUCores")["CPUCores"].datapoints) > len(before)
        )
    )


def test_metrics_are_there_after_a_restart_of_the_host(state_dir: Path) -> None:
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        runtime.create_db_cluster("notes")
        wait_until(lambda: len(read(runtime, "notes", "CPUCores")["CPUCores"].datapoints) > 1)
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        before = read(runtime, "notes", "CPUCores")["CPUCores"].datapoints
        assert len(before) > 1
        runtime.cluster("notes").connect().close()
        after = wait_until(
            lambda: (
                (
                    len(found := read(runtime, "notes", "CPUCores")["CPUCores"].datapoints)
                    > len(before)
                )
                and found
            )
        )
        assert after[: len(before) - 1] == before[:-1], "its last second may have gone on"


def test_a_damaged_file_is_set_aside_and_told_and_keeps_nobody_from_starting(
    state_dir: Path,
) -> None:
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("notes")
        directory = state_of(runtime).clusters[cluster.id].directory
        wait_until(lambda: read(runtime, "notes", "CPUCores")["CPUCores"].datapoints)
    file = directory / history_file.FILE_NAME
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        runtime.cluster("notes").connect().close()
        wait_until(lambda: read(runtime, "notes", "CPUCores")["CPUCores"].datapoints)
        told = [
            each.message
            for each in runtime.describe_events("notes")
            if each.message.startswith("Metrics")
        ]
        assert len(told) == 1
        assert "its checksum does not fit" in told[0]
        assert (directory / history_file.SET_ASIDE).read_bytes() == content


def test_the_file_is_written_while_the_host_goes_on(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SAVE_EVERY_S", 0.5)
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("notes")
        directory = state_of(runtime).clusters[cluster.id].directory

        def written() -> bool:
            found = history_file.read(directory)
            return found is not None and any(name == "CPUCores" for _, name, _ in found.series())

        wait_until(written)


def test_deleting_a_cluster_ends_its_metrics(shared_runtime: Runtime) -> None:
    cluster = shared_runtime.create_db_cluster("gone")
    directory = state_of(shared_runtime).clusters[cluster.id].directory
    wait_until(lambda: read(shared_runtime, "gone", "CPUCores")["CPUCores"].datapoints)
    shared_runtime.delete_db_cluster("gone", skip_final_snapshot=True)
    wait_until(lambda: cluster.id not in state_of(shared_runtime).histories)
    assert not directory.exists()
    with pytest.raises(ClusterNotFoundError):
        shared_runtime.describe_metrics("gone")


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"metric_names": ("CpuUtilization",)},
            r"there is no metric 'CpuUtilization'; did you mean 'CPUUtilization'\?",
        ),
        ({"metric_names": ("Heat",)}, "there is no metric 'Heat'; there are Serverless"),
        ({"period": 7}, "a period of 7 s is none"),
        ({"period": 0}, "a period of 0 s is none"),
        ({"start_time": NOW, "end_time": NOW}, "must be before"),
        ({"start_time": datetime(2026, 1, 1)}, "has no time zone"),
        ({"role": "writer"}, "must be 'WRITER' or 'READER'"),
    ],
)
def test_what_cannot_be_asked_for_is_said(
    shared_runtime: Runtime, wrong: dict[str, Any], said: str
) -> None:
    shared_runtime.create_db_cluster("asked", if_not_exists=True)
    with pytest.raises(InvalidParameterError, match=said):
        shared_runtime.describe_metrics("asked", **wrong)


@pytest.mark.parametrize("now", [0.0, 0.4, 0.49, 0.5, 0.6, 0.9, 1_796_003_324.123])
def test_samples_fall_into_the_middle_of_seconds(now: float) -> None:
    wait = rest(now)
    assert (now + wait) % 1.0 == pytest.approx(0.5, abs=1e-6)
    assert watch.REST_MIN_S <= wait <= 1.25
