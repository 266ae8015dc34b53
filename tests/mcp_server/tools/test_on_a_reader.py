"""Tools that read do so on a reader where there is one, and see what their server wrote."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.engine.access.roles import SUPERUSER
from mcp_server.databases.written import Written
from tests.waiting import wait_until

PAUSED = "select pg_get_wal_replay_pause_state()"


@pytest.fixture
def with_reader(runtime: Runtime) -> Iterator[ClusterHandle]:
    name = f"read-{uuid.uuid4().hex[:8]}"
    made = runtime.create_db_cluster(name)
    runtime.create_db_instance(f"{name}-r", db_cluster_identifier=name)
    yield made
    runtime.delete_db_cluster(name)


async def test_a_read_runs_on_the_reader_and_shows_what_was_written_just_before(
    runtime: Runtime, tools: Any, with_reader: ClusterHandle
) -> None:
    name = with_reader.identifier
    hosted = runtime._home.service.find(with_reader.id)

    async def query(sql: str) -> Any:
        answer = await tools("run_query", cluster=name, sql=sql)
        return answer["rows"][0][0]

    assert await query("show in_hot_standby") == "on"
    await tools("execute_sql", cluster=name, sql="create table t (x int)")
    for number in range(20):
        await tools("execute_sql", cluster=name, sql=f"insert into t values ({number})")
        assert await query("select max(x) from t") == number
    assert await query("show in_hot_standby") == "on"
    refused = await tools.fails("run_query", cluster=name, sql="delete from t")
    assert "begins with DELETE" in refused or "read" in refused
    # A reader that replays nothing more is not waited for: the writer answers.
    sessions = hosted.instances.readers[f"{name}-r"]
    with psycopg.connect(
        host=str(sessions.path.parent), user=SUPERUSER, dbname="postgres", autocommit=True
    ) as conn:
        conn.execute("select pg_wal_replay_pause()")
        wait_until(lambda: conn.execute(PAUSED).fetchone() == ("paused",))
        await tools("execute_sql", cluster=name, sql="insert into t values (100)")
        assert await query("select max(x) from t") == 100
        assert await query("show in_hot_standby") == "off"
        conn.execute("select pg_wal_replay_resume()")


def test_what_was_written_only_grows_and_is_unknown_after_a_lost_connection() -> None:
    written = Written()
    assert written.of("a") == 0
    written.note("a", 5)
    written.note("a", 3)
    assert written.of("a") == 5
    written.note("a", None)
    assert written.of("a") is None
    written.note("a", 9)
    assert (written.of("a"), written.of("b")) == (9, 0)
