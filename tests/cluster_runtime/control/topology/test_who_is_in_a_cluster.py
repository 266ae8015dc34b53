"""What the instances of a cluster with readers tell of each other, through every change."""

import errno
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.servers.postgres import Reader, Writer
from tests.waiting import wait_until

ROWS = (
    "select server_id, session_id = 'MASTER_SESSION_ID', last_update_timestamp is null "
    "from aurora_replica_status()"
)


@pytest.fixture(scope="module")
def notes(shared_runtime: Runtime) -> Iterator[ClusterHandle]:
    cluster = shared_runtime.create_db_cluster("notes")
    for number in (2, 3):
        shared_runtime.create_db_instance(f"notes-instance-{number}", db_cluster_identifier="notes")
    yield cluster
    shared_runtime.delete_db_cluster("notes")


def told(cluster: ClusterHandle, name: str) -> dict[str, tuple[bool, bool]]:
    """Of each instance: whether it writes, and whether it is the one that is asked."""
    with cluster.connect(name, autocommit=True) as conn:
        assert conn.execute("select aurora_db_instance_identifier()").fetchone() == (name,)
        return {row[0]: (row[1], row[2]) for row in conn.execute(ROWS)}


def expected(writer: str, asked: str, others: set[str]) -> dict[str, tuple[bool, bool]]:
    return {name: (name == writer, name == asked) for name in {writer, asked, *others}}


ALL = {f"notes-instance-{number}" for number in (1, 2, 3)}


def everybody_tells(cluster: ClusterHandle, writer: str, names: set[str]) -> bool:
    return all(told(cluster, name) == expected(writer, name, names) for name in names)


def test_every_instance_tells_the_same_and_itself(notes: ClusterHandle) -> None:
    wait_until(lambda: everybody_tells(notes, "notes-instance-1", ALL))


def test_the_lag_of_every_reader_is_known_to_all(notes: ClusterHandle) -> None:
    def lags(conn: psycopg.Connection[Any]) -> dict[str, tuple[int, float | None]]:
        rows = conn.execute(
            "select server_id, durable_lsn, replica_lag_in_msec from aurora_replica_status() "
            "where session_id <> 'MASTER_SESSION_ID'"
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    with notes.connect("notes-instance-2", autocommit=True) as conn:
        wait_until(lambda: all(None not in each for each in lags(conn).values()))
        before = lags(conn)["notes-instance-3"][0]
        with notes.connect(autocommit=True) as writer:
            writer.execute("create table if not exists moved as select generate_series(1, 1000)")
        wait_until(lambda: lags(conn)["notes-instance-3"][0] > before)


def test_instances_are_reached_by_the_shared_port(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    port = shared_runtime.describe_host().gateway_port
    asked = "select aurora_db_instance_identifier(), pg_is_in_recovery()"
    for name in sorted(ALL):
        with psycopg.connect(notes.dsn(name, port=port)) as conn:
            assert conn.execute(asked.encode()).fetchone() == (name, name != "notes-instance-1")
    with psycopg.connect(notes.dsn("reader", port=port)) as conn:
        assert (conn.execute(asked.encode()).fetchone() or ("", False))[1] is True
    shared_runtime.create_db_cluster_endpoint(
        "notes", "reports", endpoint_type="READER", static_members=["notes-instance-3"]
    )
    with psycopg.connect(notes.dsn("reports", port=port)) as conn:
        assert conn.execute(asked.encode()).fetchone() == ("notes-instance-3", True)


def test_a_failover_is_told_by_the_new_writer_with_its_first_answer(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    shared_runtime.failover_db_cluster("notes", target_db_instance_identifier="notes-instance-2")
    with notes.connect(autocommit=True) as conn:
        asked = "select server_id from aurora_replica_status() where session_id = "
        asked += "'MASTER_SESSION_ID' and server_id = aurora_db_instance_identifier()"
        assert conn.execute(asked.encode()).fetchone() == ("notes-instance-2",)
    wait_until(lambda: everybody_tells(notes, "notes-instance-2", ALL), timeout_s=60)


def test_a_failover_completes_where_nobody_can_be_told_and_they_are_told_later(
    shared_runtime: Runtime, notes: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        for kind in (Writer, Reader):
            patched.setattr(kind, "tell", full)
        shared_runtime.failover_db_cluster(
            "notes", target_db_instance_identifier="notes-instance-1"
        )
        with notes.connect() as conn:
            assert conn.execute("select pg_is_in_recovery()").fetchone() == (False,)
    wait_until(lambda: everybody_tells(notes, "notes-instance-1", ALL), timeout_s=60)


def test_an_instance_that_is_deleted_is_told_by_nobody_any_more(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    shared_runtime.delete_db_instance("notes-instance-3")
    assert set(told(notes, "notes-instance-1")) == ALL - {"notes-instance-3"}
