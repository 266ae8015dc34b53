"""Readers of a cluster, what leads to them, and failover: with real servers and clients."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.instance import LOCKS_THE_ROLES
from cluster_runtime.errors import (
    ClusterEndpointNotFoundError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    InstanceNotReadyError,
    InvalidParameterError,
)
from tests.waiting import wait_until

WHO = "select pg_postmaster_start_time()::text, pg_is_in_recovery()"


@pytest.fixture(scope="module")
def pair(shared_runtime: Runtime) -> ClusterHandle:
    """A cluster with a writer and two readers."""
    made = shared_runtime.create_db_cluster("pair")
    with made.connect(autocommit=True) as conn:
        conn.execute("create table t (x int)")
    for name in ("pair-r1", "pair-r2"):
        shared_runtime.create_db_instance(name, db_cluster_identifier="pair")
    return made


@pytest.fixture(autouse=True)
def settled(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test of the pair begins, and leaves it, with both readers ready."""
    if "pair" not in request.fixturenames:
        yield
        return
    made: ClusterHandle = request.getfixturevalue("pair")
    wait_until(lambda: statuses(made) == ["available"] * 3, 60)
    yield
    wait_until(lambda: statuses(made) == ["available"] * 3, 60)


def statuses(cluster: ClusterHandle) -> list[str]:
    return [each.db_instance_status.value for each in cluster.instances]


def names(cluster: ClusterHandle) -> list[str]:
    return [each.db_instance_identifier for each in cluster.instances]


def hosted(runtime: Runtime, cluster: ClusterHandle) -> Any:
    return runtime._home.service.find(cluster.id)


def who(cluster: ClusterHandle, endpoint: str) -> tuple[str, bool]:
    with cluster.connect(endpoint) as conn:
        row = conn.execute(WHO).fetchone()
        assert row is not None
        return row


def shown(cluster: ClusterHandle, endpoint: str, x: int) -> bool:
    with cluster.connect(endpoint) as conn:
        return conn.execute("select 1 from t where x = %s", [x]).fetchone() is not None


def write(cluster: ClusterHandle, x: int) -> None:
    with cluster.connect(autocommit=True) as conn:
        conn.execute("insert into t values (%s)", [x])


def test_readers_are_instances_of_their_own_in_zones_that_take_turns(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    writer, *readers = pair.instances
    assert writer.is_cluster_writer
    assert not any(each.is_cluster_writer for each in readers)
    assert {each.availability_zone[-1] for each in pair.instances} == {"a", "b", "c"}
    assert len({(each.endpoint, each.port) for each in pair.instances}) == 3
    assert len({who(pair, name)[0] for name in names(pair)}) == 3
    wait_until(lambda: all(each.aurora_replica_lag is not None for each in pair.instances[1:]))
    assert pair.instances[0].aurora_replica_lag is None
    volume = shared_runtime.describe_volume("pair")
    holders = {each.name.rpartition("-")[0] for each in volume.holders}
    assert holders >= {each.db_instance_identifier for each in readers}


def test_the_reader_endpoint_spreads_connections_over_readers_and_shows_what_was_committed(
    pair: ClusterHandle,
) -> None:
    write(pair, 1)
    for name in names(pair)[1:]:
        wait_until(lambda name=name: shown(pair, name, 1))  # type: ignore[misc]
    conns = [pair.connect("reader") for _ in range(6)]
    rows = [conn.execute(WHO).fetchone() or ("", False) for conn in conns]
    for conn in conns:
        conn.close()
    assert all(in_recovery for _, in_recovery in rows)
    assert sorted(Counter(where for where, _ in rows).values()) == [3, 3]


def test_a_reader_writes_nothing_whatever_it_is_told(pair: ClusterHandle) -> None:
    with pair.connect("reader", autocommit=True) as conn:
        conn.execute("set default_transaction_read_only = off")
        for statement in ("insert into t values (9)", "create table u ()", "select nextval('s')"):
            with pytest.raises(psycopg.Error):
                conn.execute(statement)
        with pytest.raises(psycopg.Error):
            conn.execute("begin read write")


def test_rows_that_a_long_query_on_a_reader_sees_are_kept_by_the_writer(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    write(pair, 50)
    wait_until(lambda: shown(pair, "reader", 50))
    with pair.connect("reader") as conn, pair.connect(autocommit=True) as writer:
        conn.execute("begin isolation level repeatable read")
        conn.execute("select count(*) from t")
        held = "select 1 from pg_replication_slots where xmin is not null"
        wait_until(lambda: writer.execute(held).fetchone())
        writer.execute("delete from t where x = 50")
        writer.execute("vacuum t")
        assert conn.execute("select x from t where x = 50").fetchone() == (50,)


def test_a_failover_makes_the_named_reader_the_writer_and_the_writer_a_reader(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    old, target = names(pair)[0], names(pair)[2]
    before = shared_runtime.describe_volume("pair").epoch
    write(pair, 2)
    shared_runtime.failover_db_cluster("pair", target)
    assert names(pair)[0] == target
    assert shared_runtime.describe_volume("pair").epoch > before
    assert shown(pair, "writer", 2)
    write(pair, 3)
    wait_until(lambda: statuses(pair) == ["available"] * 3, 60)
    assert who(pair, old)[1], "the old writer is no reader"
    assert not who(pair, target)[1]
    for name in names(pair)[1:]:
        wait_until(lambda name=name: shown(pair, name, 3))  # type: ignore[misc]
    told = [e for e in shared_runtime.describe_events("pair") if target in e.message]
    (event,) = [e for e in told if "scaled" not in e.message][-1:]
    assert (event.message, event.event_categories) == (
        f"Completed failover to DB instance: {target}",
        ("failover",),
    )


def test_a_killed_writer_is_replaced_by_the_reader_of_the_lowest_tier(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    second = names(pair)[2]
    shared_runtime.modify_db_instance(second, promotion_tier=0)
    write(pair, 4)
    pid = hosted(shared_runtime, pair).instances.writer_server._postmaster.pid
    os.kill(pid, signal.SIGKILL)
    write(pair, 5)  # the client waits at the gateway
    assert names(pair)[0] == second
    assert shown(pair, "writer", 4)
    assert shown(pair, "writer", 5)
    shared_runtime.modify_db_instance(second, promotion_tier=1)


def test_a_writer_that_hangs_is_replaced(shared_runtime: Runtime, pair: ClusterHandle) -> None:
    before = names(pair)[0]
    pid = hosted(shared_runtime, pair).instances.writer_server._postmaster.pid
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: names(pair)[0] != before, 30)
    write(pair, 6)
    assert any(
        f"does not respond: {before}" in each.message
        for each in shared_runtime.describe_events("pair")
    )


def test_what_runs_in_a_lost_zone_is_lost_with_it_and_comes_back(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    before = pair.instances[0]
    zone = before.availability_zone[-1]
    write(pair, 7)
    shared_runtime.inject_fault("pair", f"az:{zone}", "crash")
    wait_until(lambda: names(pair)[0] != before.db_instance_identifier, 30)
    write(pair, 8)
    assert shown(pair, "writer", 7)

    def lost() -> bool:
        found = {each.db_instance_identifier: each for each in pair.instances}
        return found[before.db_instance_identifier].db_instance_status == "failed"

    wait_until(lost)
    with pytest.raises(InstanceNotReadyError, match="not ready"):
        shared_runtime.failover_db_cluster("pair", before.db_instance_identifier)
    with pytest.raises(psycopg.OperationalError, match="availability zone is lost"):
        pair.connect(before.db_instance_identifier)
    shared_runtime.heal_fault("pair")


def test_a_reader_that_dies_comes_back_and_nobody_else_notices(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    cluster = hosted(shared_runtime, pair)
    name, other = names(pair)[1:]
    with pair.connect(other) as theirs, pair.connect() as writers:
        os.kill(cluster.instances.readers[name].server._postmaster.pid, signal.SIGKILL)
        wait_until(lambda: not cluster.instances.readers[name].ready)
        assert who(pair, "reader")[0] == who(pair, other)[0]
        wait_until(lambda: cluster.instances.readers[name].ready, 30)
        assert theirs.execute("select 1").fetchone() == (1,)
        assert writers.execute("select 1").fetchone() == (1,)


def test_a_reader_that_serves_has_no_problem_whoever_started_it(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    name = names(pair)[1]
    hosted(shared_runtime, pair).problems[name] = "it did not start when it was last tried"
    wait_until(lambda: statuses(pair) == ["available"] * 3, 20)
    assert who(pair, name)[1]


def test_the_process_that_replays_locks_is_no_session_to_end(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    reader = hosted(shared_runtime, pair).instances.readers[names(pair)[1]]

    def asked(query: str) -> list[Any]:
        found: list[Any] = shared_runtime._home.thread.call(reader.admin.execute(query))
        return found

    with pair.connect(autocommit=True) as writing, pair.connect() as locking:
        writing.execute("insert into t values (21)")
        locking.execute("lock table pg_catalog.pg_authid in access exclusive mode")
        writing.execute("insert into t values (22)")  # a commit takes what is logged with it
        wait_until(lambda: asked("select 1 from pg_locks where mode = 'AccessExclusiveLock'"))
        assert asked(LOCKS_THE_ROLES) == []


def test_a_reader_is_rebooted_alone(shared_runtime: Runtime, pair: ClusterHandle) -> None:
    writer, name, other = names(pair)
    before = {each: who(pair, each) for each in (writer, name, other)}
    rebooted = shared_runtime.reboot_db_instance(name)
    assert (rebooted.db_instance_identifier, rebooted.is_cluster_writer) == (name, False)
    after = {each: who(pair, each) for each in (writer, name, other)}
    assert {each for each in after if after[each] != before[each]} == {name}


def test_readers_go_on_while_too_few_segments_answer_for_a_writer(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    write(pair, 11)
    wait_until(lambda: shown(pair, "reader", 11))
    for segment in ("a1", "b1", "c1"):
        shared_runtime.inject_fault("pair", f"segment:{segment}", "crash")
    cluster = hosted(shared_runtime, pair)
    os.kill(cluster.instances.writer_server._postmaster.pid, signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError, match="could not be started"):
        pair.connect()
    wait_until(lambda: shown(pair, "reader", 11))
    assert cluster.instances.stand_in.socket is None
    shared_runtime.heal_fault("pair")
    write(pair, 12)
    assert shown(pair, "writer", 11)


def test_custom_endpoints_lead_to_their_members(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    writer, first, second = names(pair)
    made = shared_runtime.create_db_cluster_endpoint(
        "pair", "reports", endpoint_type="READER", static_members=[first]
    )
    assert made.endpoint.startswith("reports.cluster-custom-")
    assert who(pair, "reports")[0] == who(pair, first)[0]
    changed = shared_runtime.modify_db_cluster_endpoint("reports", excluded_members=[first])
    assert (changed.static_members, changed.excluded_members) == ((), (first,))
    assert who(pair, "reports")[0] == who(pair, second)[0]
    described = shared_runtime.describe_db_cluster_endpoints("pair")
    assert [each.endpoint_type for each in described] == ["WRITER", "READER", "CUSTOM"]
    with pytest.raises(InstanceNotFoundError, match="has no instance 'nobody'"):
        shared_runtime.modify_db_cluster_endpoint("reports", static_members=["nobody"])
    with pytest.raises(InvalidParameterError, match="not both"):
        shared_runtime.create_db_cluster_endpoint(
            "pair", "both", static_members=[first], excluded_members=[second]
        )
    # Its only member becomes the writer, and it leads to readers alone.
    shared_runtime.modify_db_cluster_endpoint("reports", static_members=[writer])
    with pytest.raises(psycopg.OperationalError, match="has no member"):
        pair.connect("reports")
    shared_runtime.delete_db_cluster_endpoint("reports")
    with pytest.raises(ClusterEndpointNotFoundError):
        shared_runtime.delete_db_cluster_endpoint("reports")


def test_a_pause_stops_readers_too_and_a_wake_brings_them_back(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    shared_runtime.pause_db_cluster("pair")
    cluster = hosted(shared_runtime, pair)
    assert cluster.writer.socket is None
    assert not any(each.socket for each in cluster.instances.readers.values())
    assert cluster.instances.storage.opened is None
    assert statuses(pair) == ["available"] * 3
    reader = names(pair)[1]
    assert who(pair, reader)[1], "the endpoint of a reader led elsewhere"


def test_a_failover_names_what_it_cannot_do(shared_runtime: Runtime, pair: ClusterHandle) -> None:
    with pytest.raises(InvalidParameterError, match="is the writer"):
        shared_runtime.failover_db_cluster("pair", names(pair)[0])
    with pytest.raises(InstanceNotReadyError, match="no reader of this cluster"):
        shared_runtime.failover_db_cluster("pair", "somebody")
    with pytest.raises(InstanceAlreadyExistsError):
        shared_runtime.create_db_instance("pair-r1", db_cluster_identifier="pair")


def test_a_class_sets_limits_and_can_be_changed(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    name = names(pair)[1]
    with pytest.raises(InvalidParameterError, match=r"db\.serverless"):
        shared_runtime.modify_db_instance(name, db_instance_class="db.huge")
    changed = shared_runtime.modify_db_instance(name, db_instance_class="db.r6g.large")
    assert changed.db_instance_class == "db.r6g.large"

    def workers() -> str:
        with pair.connect(name) as conn:
            row = conn.execute("show max_parallel_workers").fetchone()
            assert row is not None
            return str(row[0])

    wait_until(lambda: workers() == "2")
    shared_runtime.modify_db_instance(name, db_instance_class="db.serverless")
    wait_until(lambda: workers() == "8")


def test_without_readers_the_reader_endpoint_is_the_writer_read_only(
    shared_runtime: Runtime,
) -> None:
    alone = shared_runtime.create_db_cluster("alone")
    with alone.connect(autocommit=True) as conn:
        conn.execute("create table t (x int)")
        conn.execute("alter role current_user set default_transaction_read_only = off")
    where = alone.dsn("reader")
    for asked in ("", "&options=-c%20default_transaction_read_only%3Doff"):
        with psycopg.connect(where + asked, autocommit=True) as conn:
            assert conn.execute("select pg_is_in_recovery()").fetchone() == (False,)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                conn.execute("insert into t values (1)")
    psycopg.connect(where + "&target_session_attrs=read-only").close()
    with pytest.raises(psycopg.OperationalError, match="read-only"):
        psycopg.connect(where + "&target_session_attrs=read-write")


def test_the_writer_can_be_deleted_and_a_reader_takes_its_place(shared_runtime: Runtime) -> None:
    made = shared_runtime.create_db_cluster("short")
    with made.connect(autocommit=True) as conn:
        conn.execute("create table t as select 1 as x")
    shared_runtime.create_db_instance("short-r", db_cluster_identifier="short")
    directory = hosted(shared_runtime, made).directory
    shared_runtime.delete_db_instance("short-instance-1")
    assert names(made) == ["short-r"]
    assert not (directory / "data").exists()
    assert shown(made, "writer", 1)
    shared_runtime.delete_db_instance("short-r")
    assert made.instances == []
    shared_runtime.create_db_instance("short-again", db_cluster_identifier="short")
    assert shown(made, "writer", 1)
    assert shown(made, "short-again", 1)


def test_connections_under_way_wait_through_a_failover(
    shared_runtime: Runtime, pair: ClusterHandle
) -> None:
    failed: list[str] = []
    stop = threading.Event()
    served = Counter[bool]()

    def client() -> None:
        while not stop.is_set():
            try:
                with pair.connect() as conn:
                    row = conn.execute("select pg_is_in_recovery()").fetchone()
                    served[bool(row and row[0])] += 1
            except psycopg.OperationalError as error:
                if "terminating connection" not in str(error) and "closed" not in str(error):
                    failed.append(str(error))

    clients = [threading.Thread(target=client) for _ in range(3)]
    for each in clients:
        each.start()
    try:
        wait_until(lambda: served[False] > 5)
        shared_runtime.failover_db_cluster("pair")
        so_far = served[False]
        wait_until(lambda: served[False] > so_far + 5)
    finally:
        stop.set()
        for each in clients:
            each.join()
    assert failed == []
    assert served[True] == 0, "the cluster endpoint led to a reader"
