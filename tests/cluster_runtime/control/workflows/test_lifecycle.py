"""Modify, stop, start, pause, failover, delete."""

import asyncio
import contextlib
import socket
from pathlib import Path

import psycopg
import pytest

from cluster_runtime import ClusterHandle, ClusterStatus, Runtime, ServerlessScaling
from cluster_runtime.control.cluster import Instances
from cluster_runtime.control.operations.clusters import StopDBCluster
from cluster_runtime.errors import (
    ClusterAlreadyExistsError,
    ClusterNotFoundError,
    DeletionProtectedError,
    EngineError,
    InvalidClusterStateError,
    InvalidParameterError,
)
from cluster_runtime.gateway.session import Session
from tests.cluster_runtime.conftest import connect_with_password
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def used(shared_runtime: Runtime) -> ClusterHandle:
    """A cluster that tests leave as they found it, but for tables, whose names are each test's."""
    return shared_runtime.create_db_cluster("used")


def test_a_stopped_cluster_refuses_connections_until_it_is_started(
    shared_runtime: Runtime, used: ClusterHandle
) -> None:
    with used.connect() as conn:
        conn.execute("create table stopped as select 1 as x")
    assert shared_runtime.stop_db_cluster("used").status is ClusterStatus.STOPPED
    with pytest.raises(InvalidClusterStateError, match="stopped"):
        used.connect()
    with pytest.raises(InvalidClusterStateError, match="this needs it to be available"):
        shared_runtime.stop_db_cluster("used")
    assert shared_runtime.start_db_cluster("used").status is ClusterStatus.AVAILABLE
    with used.connect() as conn:
        assert conn.execute("select x from stopped").fetchone() == (1,)


SETTLED = {ClusterStatus.AVAILABLE, ClusterStatus.STOPPED}


async def give_up(cluster: ClusterHandle, asked: asyncio.Future[object]) -> ClusterStatus:
    """Cancel what changes a cluster while it does; the status that is left."""

    def begun() -> bool:
        return asked.done() or cluster.describe().status not in SETTLED

    await asyncio.to_thread(wait_until, begun)
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    await asyncio.to_thread(wait_until, lambda: cluster.describe().status in SETTLED, 10)
    return cluster.describe().status


async def test_a_start_or_a_stop_that_its_caller_gives_up_is_done_or_undone(
    runtime: Runtime, cluster: ClusterHandle, state_dir: Path
) -> None:
    async with Runtime.open(state_dir) as other:
        left = await give_up(cluster, asyncio.ensure_future(other.stop_db_cluster("notes")))
        if left is ClusterStatus.AVAILABLE:
            await asyncio.to_thread(lambda: cluster.connect().close())
            await other.stop_db_cluster("notes")
        left = await give_up(cluster, asyncio.ensure_future(other.start_db_cluster("notes")))
        if left is ClusterStatus.STOPPED:
            await other.start_db_cluster("notes")
        await asyncio.to_thread(lambda: cluster.connect().close())


def test_a_stop_that_is_given_up_while_its_clients_leave_keeps_every_port(
    runtime: Runtime, cluster: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cluster.describe()
    stopping: list[asyncio.Task[object]] = []

    async def begin() -> None:
        stopping.append(asyncio.ensure_future(service.stop_db_cluster(StopDBCluster("notes"))))

    async def begun() -> bool:
        return bool(ended)

    async def give_it_up() -> None:
        stopping[0].cancel()
        await asyncio.wait(stopping)

    ended: list[Session] = []
    service = runtime._home.service
    with cluster.connect("reader"), monkeypatch.context() as held:
        held.setattr(Session, "terminate", lambda session, *_: ended.append(session))
        runtime._home.thread.call(begin())
        wait_until(lambda: runtime._home.thread.call(begun()))
        runtime._home.thread.call(give_it_up())
    after = cluster.describe()
    assert after.status is ClusterStatus.AVAILABLE
    assert (after.port, after.reader_port) == (before.port, before.reader_port)
    for kind in ("writer", "reader"):
        cluster.connect(kind).close()
    assert runtime.stop_db_cluster("notes").status is ClusterStatus.STOPPED


def test_a_port_that_is_taken_while_a_stop_fails_is_told_and_a_start_opens_it_again(
    runtime: Runtime, cluster: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = cluster.describe().port
    runtime.delete_db_cluster("notes")
    taken = runtime.create_db_cluster("taken", port=port)
    stop, held = Instances.stop, socket.socket()

    async def fail(instances: Instances, *arguments: object) -> None:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        held.listen()
        monkeypatch.setattr(Instances, "stop", stop)
        raise EngineError("on purpose")

    monkeypatch.setattr(Instances, "stop", fail)
    with pytest.raises(EngineError, match="on purpose"):
        runtime.stop_db_cluster("taken")
    assert taken.describe().status is ClusterStatus.INCOMPATIBLE_NETWORK
    held.close()
    assert runtime.start_db_cluster("taken").status is ClusterStatus.AVAILABLE
    taken.connect().close()


def test_a_paused_cluster_runs_no_process_and_wakes_on_connect(
    shared_runtime: Runtime, used: ClusterHandle
) -> None:
    used.connect().close()
    assert used.describe().capacity > 0
    assert shared_runtime.pause_db_cluster("used").paused
    assert used.describe().capacity == 0
    with used.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    assert used.describe().capacity > 0


def test_an_idle_cluster_pauses_by_itself_but_never_under_a_connection(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster(
        "idle", scaling=ServerlessScaling(seconds_until_auto_pause=1)
    )
    with cluster.connect() as conn:
        assert conn.execute("select pg_sleep(1.2)").fetchone() is not None
        assert not cluster.describe().paused
    wait_until(lambda: cluster.describe().paused)
    with cluster.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    wait_until(lambda: cluster.describe().paused)


def test_a_wrong_credential_does_not_wake_a_paused_cluster(
    shared_runtime: Runtime, used: ClusterHandle
) -> None:
    shared_runtime.pause_db_cluster("used")
    for user in ("postgres", "somebody", "rdsadmin"):
        with pytest.raises(psycopg.OperationalError):
            connect_with_password(used, user, "wrong-password")
    assert used.describe().paused


def test_a_minimum_above_zero_never_pauses(shared_runtime: Runtime, used: ClusterHandle) -> None:
    before = used.describe().scaling
    facts = shared_runtime.modify_db_cluster("used", scaling=ServerlessScaling(0.5, 4, 1))
    assert facts.scaling.min_capacity == 0.5
    assert not facts.scaling.auto_pause
    shared_runtime.modify_db_cluster("used", serverless_v2_scaling_configuration=before)


def test_settings_can_be_modified_one_at_a_time(
    shared_runtime: Runtime, used: ClusterHandle
) -> None:
    before = used.describe()
    after = shared_runtime.modify_db_cluster("used", deletion_protection=True)
    assert after.deletion_protection
    assert after.scaling == before.scaling
    assert after.port == before.port
    shared_runtime.modify_db_cluster("used", deletion_protection=False)


def test_a_cluster_can_be_renamed_and_keeps_its_data_and_id(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    runtime.create_db_cluster("other")
    with pytest.raises(ClusterAlreadyExistsError):
        runtime.modify_db_cluster("notes", new_db_cluster_identifier="other")
    facts = runtime.modify_db_cluster("notes", new_db_cluster_identifier="journal")
    assert facts.endpoint.startswith("journal.cluster-")
    assert facts.db_cluster_resource_id == cluster.id
    with pytest.raises(ClusterNotFoundError):
        runtime.cluster("notes")
    with runtime.cluster("journal").connect() as conn:
        assert conn.execute("select x from t").fetchone() == (1,)


def test_a_password_is_stored_as_a_verifier_only(runtime: Runtime, cluster: ClusterHandle) -> None:
    runtime.modify_db_cluster("notes", master_user_password="first-password")
    runtime.modify_db_cluster("notes", master_user_password="second-password")
    with connect_with_password(cluster, "postgres", "second-password") as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        connect_with_password(cluster, "postgres", "first-password")


def test_the_gateway_can_be_switched_off_and_on(
    shared_runtime: Runtime, used: ClusterHandle
) -> None:
    shared_runtime.modify_db_cluster("used", internet_access_gateway_enabled=False)
    with pytest.raises(InvalidClusterStateError, match="gateway is off"):
        used.connect()
    shared_runtime.modify_db_cluster("used", internet_access_gateway_enabled=True)
    with used.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)


def test_a_failover_keeps_what_was_committed(shared_runtime: Runtime, used: ClusterHandle) -> None:
    with used.connect() as conn:
        conn.execute("create table failed_over as select 1 as x")
    shared_runtime.failover_db_cluster("used")
    with used.connect() as conn:
        assert conn.execute("select x from failed_over").fetchone() == (1,)


async def test_a_failover_does_not_wait_for_clients_that_wait_for_it(
    shared_runtime: Runtime, used: ClusterHandle
) -> None:
    """Found by use: those that came while it ended the others kept it, and themselves, forever."""
    stop = asyncio.Event()

    async def connect_again_and_again() -> None:
        while not stop.is_set():
            with contextlib.suppress(psycopg.OperationalError):  # 57P01: a failover ended it
                async with await used.aconnect(connect_timeout=20) as conn:
                    await conn.execute("select 1")

    clients = [asyncio.create_task(connect_again_and_again()) for _ in range(4)]
    for _ in range(5):
        await asyncio.wait_for(asyncio.to_thread(shared_runtime.failover_db_cluster, "used"), 20)
    stop.set()
    await asyncio.wait_for(asyncio.gather(*clients), 30)
    async with await used.aconnect(connect_timeout=20) as conn:
        await conn.execute("select 1")


def test_open_connections_end_with_a_delete(runtime: Runtime, cluster: ClusterHandle) -> None:
    conn = cluster.connect(autocommit=True)
    assert runtime.delete_db_cluster("notes").status is ClusterStatus.DELETING
    with pytest.raises(psycopg.OperationalError):
        conn.execute("select 1")
    conn.close()
    assert runtime.describe_db_clusters() == []
    runtime.create_db_cluster("notes")


def test_deletion_protection_is_honoured(runtime: Runtime, cluster: ClusterHandle) -> None:
    runtime.modify_db_cluster("notes", deletion_protection=True)
    with pytest.raises(DeletionProtectedError, match="deletion_protection=False"):
        runtime.delete_db_cluster("notes")
    with cluster.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    runtime.modify_db_cluster("notes", deletion_protection=False)
    runtime.delete_db_cluster("notes")


def test_a_final_snapshot_without_a_name_is_refused_rather_than_left_out(
    shared_runtime: Runtime, used: ClusterHandle
) -> None:
    with pytest.raises(InvalidParameterError, match="must name the final snapshot"):
        shared_runtime.delete_db_cluster("used", skip_final_snapshot=False)
    assert used.status is ClusterStatus.AVAILABLE


def test_the_reader_endpoint_leads_to_the_writer_while_there_is_no_reader(
    used: ClusterHandle,
) -> None:
    with used.connect("reader") as conn:
        assert conn.execute("select 1").fetchone() == (1,)
