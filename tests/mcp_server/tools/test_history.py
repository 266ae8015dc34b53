"""Restore points, rewinds, snapshots and restores through the tools."""

from datetime import UTC, datetime, timedelta

import pytest

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.server import build_server
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools


@pytest.fixture(scope="module")
def diary(runtime: Runtime) -> ClusterHandle:
    return runtime.create_db_cluster("diary")


COUNT = {"cluster": "diary", "sql": "select count(*) from days"}


@pytest.fixture
def days(diary: ClusterHandle) -> int:
    """A table of three days."""
    with diary.connect(autocommit=True) as connection:
        connection.execute("drop table if exists days")
        connection.execute("create table days as select n as day from generate_series(1, 3) n")
    return 3


async def test_a_cluster_goes_back_to_a_restore_point(tools: Tools, days: int) -> None:
    made = await tools("restore_point", cluster="diary", name="before-march")
    listed = await tools("restore_point", cluster="diary", action="list")
    assert [made["name"], made["created"], made["lsn"]] in listed["rows"]
    await tools("execute_sql", cluster="diary", sql="insert into days values (4)")

    preview = await tools("rewind", cluster="diary", to="before-march", dry_run=True)
    assert preview["dry_run"] is True
    assert preview["transactions_that_go"] >= 1
    assert (await tools("run_query", **COUNT))["rows"] == [[days + 1]]

    done = await tools("rewind", cluster="diary", to="before-march")
    assert done["dry_run"] is False
    assert done["can_be_undone_until"]
    assert (await tools("run_query", **COUNT))["rows"] == [[days]]
    undone = await tools("undo_rewind", cluster="diary")
    assert undone["status"] == "available"
    assert (await tools("run_query", **COUNT))["rows"] == [[days + 1]]


async def test_one_table_comes_back_from_a_cluster_of_that_time(
    tools: Tools, runtime: Runtime, diary: ClusterHandle, days: int
) -> None:
    made = await tools("restore_point", cluster="diary", name="whole-table")
    await tools("execute_sql", cluster="diary", sql="drop table days")
    offer = (await tools("rewind", cluster="diary", to="whole-table", dry_run=True))["notes"]
    assert f"time='{made['created']}'" in offer
    restored = await tools(
        "restore_to_time", cluster="diary", new_cluster="diary-then", time=made["created"]
    )
    assert restored == {"cluster": "diary-then", "status": "available"}
    then = await tools("run_query", cluster="diary-then", sql="select day from days order by 1")
    assert then["rows"] == [[1], [2], [3]]
    runtime.delete_db_cluster("diary-then")


async def test_a_snapshot_becomes_a_cluster(tools: Tools, runtime: Runtime, days: int) -> None:
    made = await tools("snapshot", action="create", snapshot="year-end", cluster="diary")
    assert (made["cluster"], made["status"]) == ("diary", "available")
    listed = await tools("snapshot", action="list", cluster="diary")
    assert "year-end" in [row[0] for row in listed["rows"]]
    await tools("execute_sql", cluster="diary", sql="truncate days")
    await tools("snapshot", action="restore", snapshot="year-end", cluster="diary-kept")
    kept = await tools("run_query", cluster="diary-kept", sql="select count(*) from days")
    assert kept["rows"] == [[days]]
    await tools("snapshot", action="delete", snapshot="year-end")
    assert "year-end" in await tools.fails(
        "snapshot", action="restore", snapshot="year-end", cluster="diary-late"
    )
    runtime.delete_db_cluster("diary-kept")


async def test_what_is_missing_or_wrong_is_told(tools: Tools, diary: ClusterHandle) -> None:
    assert "'name'" in await tools.fails("restore_point", cluster="diary")
    assert "letter" in await tools.fails("restore_point", cluster="diary", name="0/1")
    assert "'diary'" in await tools.fails("restore_point", cluster="diarx", name="a")
    assert "nowhere" in await tools.fails("rewind", cluster="diary", to="nowhere")
    assert await tools.fails("rewind", cluster="diary", to="")
    future = datetime.now(UTC) + timedelta(days=1)
    assert await tools.fails("rewind", cluster="diary", to=future.isoformat(), dry_run=True)
    assert "'snapshot'" in await tools.fails("snapshot", action="create", cluster="diary")
    assert "'cluster'" in await tools.fails("snapshot", action="create", snapshot="x")
    assert "no snapshot" in await tools.fails("snapshot", action="delete", snapshot="never-was")
    refusal = await tools.fails(
        "restore_to_time", cluster="diary", new_cluster="x", time="2026-01-01T00:00:00"
    )
    assert "time zone" in refusal


async def test_a_server_for_one_cluster_rewinds_it_and_makes_no_other(
    runtime: Runtime, diary: ClusterHandle, days: int
) -> None:
    scoped = Tools(build_server(runtime, ServerScope("diary", allow_destructive=True)))
    await scoped("restore_point", name="scoped-one")
    preview = await scoped("rewind", to="scoped-one", dry_run=True)
    assert "borealis restore NEW diary --to" in preview["notes"]
    assert "snapshot" in await scoped.fails("snapshot", action="list")
