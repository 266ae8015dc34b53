"""A cluster on its volume: what DESIGN's invariants 1 and 2 mean for a client."""

import threading

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.errors import InvalidParameterError


def count(cluster: ClusterHandle, endpoint: str = "writer") -> int:
    with cluster.connect(endpoint) as conn:  # type: ignore[arg-type]
        row = conn.execute("select count(*) from t").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def loaded(cluster: ClusterHandle) -> ClusterHandle:
    with cluster.connect() as conn:
        conn.execute("create table t as select generate_series(1, 1000) as x")
    return cluster


def test_a_volume_has_six_segments_in_three_zones(runtime: Runtime, loaded: ClusterHandle) -> None:
    volume = runtime.describe_volume(loaded.id)
    assert [segment.id for segment in volume.segments] == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert [segment.az for segment in volume.segments] == ["a", "a", "b", "b", "c", "c"]
    assert [segment.kind for segment in volume.segments] == ["full", "tail"] * 3
    assert volume.vdl <= volume.vcl
    assert sum(segment.scl >= volume.vdl for segment in volume.segments) >= 4


def test_a_commit_that_returned_survives_the_loss_of_its_writer(
    runtime: Runtime, loaded: ClusterHandle
) -> None:
    epoch = runtime.describe_volume("notes").epoch
    runtime.lose_compute("notes")
    assert count(loaded) == 1000
    assert runtime.describe_volume("notes").epoch > epoch


def test_a_commit_that_returned_survives_the_loss_of_an_az_and_one_more_segment(
    runtime: Runtime, loaded: ClusterHandle
) -> None:
    runtime.inject_fault(loaded.id, "az:a", "crash")
    runtime.inject_fault(loaded.id, "segment:b1", "crash")
    runtime.lose_compute(loaded.id)
    assert count(loaded, "reader") == 1000
    with pytest.raises(psycopg.OperationalError):
        loaded.connect()

    runtime.heal_fault(loaded.id)
    with loaded.connect() as conn:
        conn.execute("insert into t values (1001)")
    assert count(loaded, "reader") == 1001


def test_with_an_az_and_one_more_lost_writes_wait_and_reads_go_on(
    runtime: Runtime, loaded: ClusterHandle
) -> None:
    done = threading.Event()

    def write() -> None:
        with loaded.connect() as conn:
            conn.execute("insert into t values (1001)")
        done.set()

    runtime.inject_fault(loaded.id, "az:c", "partition")
    with loaded.connect() as conn:
        conn.execute("delete from t where x = 1000")
    runtime.inject_fault(loaded.id, "segment:a1", "partition")
    writer = threading.Thread(target=write)
    writer.start()
    assert not done.wait(0.5), "a commit returned with three of six segments"
    assert count(loaded, "reader") == 999

    runtime.heal_fault(loaded.id)
    assert done.wait(60), "the commit did not return after the zone was healed"
    writer.join()
    assert count(loaded) == 1000


def test_a_commit_that_waits_for_the_volume_cannot_be_cancelled_into_success(
    runtime: Runtime, loaded: ClusterHandle
) -> None:
    """PostgreSQL would answer COMMIT, with a warning that the client may never look at."""
    runtime.inject_fault(loaded.id, "az:c", "partition")
    runtime.inject_fault(loaded.id, "segment:a1", "partition")
    with loaded.connect(autocommit=True) as conn, loaded.connect("reader") as watch:
        pid = conn.info.backend_pid
        done = threading.Event()

        def write() -> None:
            conn.execute("insert into t values (1001)")
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        waiting = "select 1 from pg_stat_activity where pid = %s and wait_event = 'SyncRep'"
        while watch.execute(waiting, [pid]).fetchone() is None:
            watch.rollback()
        conn.cancel_safe()
        assert not done.wait(0.5), "the cancelled commit reported success"
        runtime.heal_fault(loaded.id)
        assert done.wait(60)
        writer.join()


@pytest.mark.parametrize("function", ["pg_cancel_backend", "pg_terminate_backend"])
@pytest.mark.parametrize("extended", [False, True])
def test_a_commit_that_sql_takes_out_of_its_wait_is_not_reported_as_a_success(
    runtime: Runtime, loaded: ClusterHandle, function: str, extended: bool
) -> None:
    runtime.inject_fault(loaded.id, "az:c", "partition")
    runtime.inject_fault(loaded.id, "segment:a1", "partition")
    failed: list[psycopg.Error] = []
    with loaded.connect(autocommit=True) as conn, loaded.connect(autocommit=True) as other:
        pid = conn.info.backend_pid

        def write() -> None:
            try:
                if extended:
                    conn.execute("insert into t values (%s)", [1001])
                else:
                    conn.execute("begin; insert into t values (1001); commit")
            except psycopg.Error as error:
                failed.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        waiting = "select 1 from pg_stat_activity where pid = %s and wait_event = 'SyncRep'"
        while other.execute(waiting, [pid]).fetchone() is None:
            assert writer.is_alive()
        other.execute(f"select {function}(%s)", [pid])
        writer.join(20)
        assert not writer.is_alive()
        (error,) = failed
        assert isinstance(error, psycopg.errors.TransactionResolutionUnknown)
        assert "whether it survives is unknown" in str(error)
        assert conn.closed
    runtime.heal_fault(loaded.id)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("segment:z9", "crash"),
        ("az:d", "crash"),
        ("moon", "crash"),
        ("az:a", "explode"),
        ("az:a", "slow:x"),
    ],
)
def test_a_fault_that_there_is_not_is_refused(
    runtime: Runtime, cluster: ClusterHandle, target: str, kind: str
) -> None:
    with pytest.raises(InvalidParameterError):
        runtime.inject_fault("notes", target, kind)


def test_io_optimized_storage_can_be_switched_on_and_off(
    runtime: Runtime, loaded: ClusterHandle
) -> None:
    runtime.modify_db_cluster("notes", storage_type="aurora-iopt1")
    with loaded.connect() as conn:
        conn.execute("insert into t values (1001)")
    assert runtime.describe_volume("notes").storage_type == "aurora-iopt1"
    runtime.modify_db_cluster("notes", storage_type="aurora")
    runtime.lose_compute("notes")
    assert count(loaded) == 1001
