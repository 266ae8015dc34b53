"""A writer that ends without having been told to: who hears of it, and what happens then."""

import os
import signal
import threading
from contextlib import suppress

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.monitoring import supervision
from cluster_runtime.control.servers.postgres import Writer
from cluster_runtime.errors import InvalidParameterError, StorageError
from tests.waiting import wait_until


def writer_of(runtime: Runtime, cluster: ClusterHandle) -> Writer:
    return runtime._home.service.find(cluster.id).instances.writer_server


def pid_of(writer: Writer) -> int | None:
    return writer._postmaster.pid


def status_of(cluster: ClusterHandle) -> str:
    return cluster.instances[0].db_instance_status.value


@pytest.fixture
def crashing(shared_runtime: Runtime, request: pytest.FixtureRequest) -> ClusterHandle:
    name = f"c-{abs(hash(request.node.name)) % 10**8}"
    made = shared_runtime.create_db_cluster(name)
    with made.connect(autocommit=True) as conn:
        conn.execute("create table t (x int)")
        conn.execute("insert into t values (1)")
    return made


def test_a_crash_of_the_writer_kills_its_server_which_comes_back_by_itself(
    shared_runtime: Runtime, crashing: ClusterHandle
) -> None:
    writer = writer_of(shared_runtime, crashing)
    before = pid_of(writer)
    with crashing.connect(autocommit=True) as conn:
        shared_runtime.inject_fault(crashing.id, "writer", "crash")
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    # Nobody connects meanwhile.
    wait_until(lambda: pid_of(writer) not in (None, before))
    with crashing.connect(autocommit=True) as conn:
        assert conn.execute("select x from t").fetchall() == [(1,)]
        conn.execute("insert into t values (2)")


def test_a_crash_takes_no_duration(shared_runtime: Runtime, crashing: ClusterHandle) -> None:
    with pytest.raises(InvalidParameterError, match="use partition"):
        shared_runtime.inject_fault(crashing.id, "writer", "crash", duration=5)
    with pytest.raises(InvalidParameterError, match="crash, partition or slow"):
        shared_runtime.inject_fault(crashing.id, "writer", "corrupt")


def test_a_server_that_something_else_killed_comes_back_too(
    shared_runtime: Runtime, crashing: ClusterHandle
) -> None:
    writer = writer_of(shared_runtime, crashing)
    before = pid_of(writer)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_of(writer) not in (None, before))
    with crashing.connect() as conn:
        assert conn.execute("select x from t").fetchall() == [(1,)]


def test_clients_that_meet_a_crash_wait_and_are_served(
    shared_runtime: Runtime, crashing: ClusterHandle
) -> None:
    served: list[int] = []
    failed: list[Exception] = []

    def client() -> None:
        try:
            with crashing.connect() as conn:
                row = conn.execute("select x from t").fetchone()
                served.append(row[0] if row else 0)
        except psycopg.Error as error:
            failed.append(error)

    shared_runtime.inject_fault(crashing.id, "writer", "crash")
    clients = [threading.Thread(target=client) for _ in range(8)]
    for each in clients:
        each.start()
    for each in clients:
        each.join(120)
    assert failed == []
    assert served == [1] * 8


def test_the_end_of_an_earlier_run_does_not_end_the_next_one(
    shared_runtime: Runtime, crashing: ClusterHandle
) -> None:
    """The end of a run is heard late: its cluster was paused and woken since."""
    writer = writer_of(shared_runtime, crashing)
    earlier = writer._run
    assert earlier is not None
    shared_runtime.pause_db_cluster(crashing.id)
    with crashing.connect() as conn:
        pid = pid_of(writer)
        writer._lost(earlier, StorageError("heard late"))
        wait_until(lambda: all(t.name != "borealis-lost-writer" for t in threading.enumerate()))
        assert conn.execute("select x from t").fetchall() == [(1,)]
    assert pid_of(writer) == pid


def test_a_writer_that_a_client_started_again_is_in_trouble_no_more(
    shared_runtime: Runtime, crashing: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be replaced; what kept it from that ended by itself, as faults with a duration
    do, and the next connect finds it so.
    """
    writer = writer_of(shared_runtime, crashing)
    pid = pid_of(writer)
    assert pid is not None

    def kept_from_it() -> None:
        raise StorageError("too few segments")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "start", kept_from_it)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: status_of(crashing) == "failed")
    with crashing.connect() as conn:
        assert conn.execute("select x from t").fetchall() == [(1,)]
    assert status_of(crashing) == "available"


def test_trouble_that_is_told_late_is_not_of_a_writer_that_runs(
    shared_runtime: Runtime, crashing: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a failed replacement is noted while a client starts the writer."""
    cluster = shared_runtime._home.service.find(crashing.id)
    with crashing.connect() as conn:

        async def too_late(*_: object, **__: object) -> bool:
            raise StorageError("too few segments")

        with monkeypatch.context() as patch:
            patch.setattr(supervision, "recover_writer", too_late)
            supervisor = cluster.supervision
            shared_runtime._home.thread.call(supervisor._replace_writer("it ended", False))
        assert status_of(crashing) == "available"
        assert conn.execute("select x from t").fetchall() == [(1,)]


def test_a_writer_that_is_stopped_on_purpose_stays_stopped(
    shared_runtime: Runtime, crashing: ClusterHandle
) -> None:
    writer = writer_of(shared_runtime, crashing)
    told: list[str] = []
    writer.on_lost(lambda: told.append("lost"))
    shared_runtime.pause_db_cluster(crashing.id)
    assert pid_of(writer) is None
    shared_runtime.failover_db_cluster(crashing.id)
    shared_runtime.lose_compute(crashing.id)
    shared_runtime.stop_db_cluster(crashing.id)
    assert told == []
    assert pid_of(writer) is None


def test_a_writer_that_crashed_just_before_a_stop_is_not_started_after_it(
    shared_runtime: Runtime, crashing: ClusterHandle
) -> None:
    writer = writer_of(shared_runtime, crashing)
    for _ in range(3):
        pid = pid_of(writer)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        shared_runtime.stop_db_cluster(crashing.id)
        wait_until(lambda: all(t.name != "borealis-lost-writer" for t in threading.enumerate()))
        shared_runtime.describe_db_clusters()  # the loop has done what was asked of it before
        assert pid_of(writer) is None
        shared_runtime.start_db_cluster(crashing.id)
        with crashing.connect() as conn:
            assert conn.execute("select x from t").fetchall() == [(1,)]


def test_pauses_and_connects_beside_each_other_never_break_a_connect(
    shared_runtime: Runtime, crashing: ClusterHandle
) -> None:
    failed: list[str] = []
    ended = threading.Event()

    def client() -> None:
        while not ended.is_set():
            try:
                conn = crashing.connect()
            except psycopg.OperationalError as error:
                failed.append(str(error))
                continue
            with suppress(psycopg.OperationalError), conn:
                conn.execute("select 1")  # a pause that was asked for ends open connections

    clients = [threading.Thread(target=client) for _ in range(2)]
    for each in clients:
        each.start()
    try:
        for _ in range(6):
            shared_runtime.pause_db_cluster(crashing.id)
    finally:
        ended.set()
        for each in clients:
            each.join()
    assert failed == []
