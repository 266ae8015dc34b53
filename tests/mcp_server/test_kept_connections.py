"""Connections that read are kept between calls: wiped, no dead one, none when nobody serves."""

import asyncio
from typing import Any

import anyio
import pytest
from mcp import Client

from cluster_runtime import ClusterHandle
from cluster_runtime.engine.access.roles import READER
from mcp_server.databases import kept
from mcp_server.databases.connections import Connection
from mcp_server.databases.kept import keeping, kept_here
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import connected
from tests.mcp_server.conftest import Tools, told
from tests.waiting import wait_until

LIMITS = limits_of_a_call()
LEFT_BEHIND = (
    "set app.kept = 'behind'",
    "set search_path = elsewhere",
    "select pg_advisory_lock(42)",
    "prepare later as select 1",
    "listen gossip",
    "create temp table t (x int)",
    "begin",
)
WHAT_IS_LEFT = """
select coalesce(current_setting('app.kept', true), ''), current_setting('search_path'),
       (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
       (select count(*) from pg_prepared_statements),
       (select count(*) from pg_listening_channels()),
       to_regclass('pg_temp.t'), current_setting('transaction_read_only'), current_user::text
"""


async def idle(count: int) -> None:
    """Until so many wait for their next call."""
    here = kept_here()
    assert here is not None
    while here._tasks:
        await asyncio.wait(set(here._tasks))
    assert len(here._idle) == count


async def first(connection: Connection, sql: str) -> Any:
    return await (await connection.execute(sql)).fetchone()


def sessions(cluster: ClusterHandle) -> int:
    with cluster.connect() as connection:
        (count,) = connection.execute(
            "select count(*) from pg_stat_activity where usename = %s", (READER,)
        ).fetchone() or (0,)
        return int(count)


async def test_the_next_call_gets_the_session_wiped(shop: ClusterHandle) -> None:
    async with keeping():
        async with connected(shop, None, LIMITS, user=READER) as connection:
            fresh = await first(connection, WHAT_IS_LEFT)
            pid = connection.info.backend_pid
            await connection.execute("set default_transaction_read_only = off")
            for statement in LEFT_BEHIND:
                await connection.execute(statement)
        await idle(1)
        async with connected(shop, None, LIMITS, user=READER) as connection:
            assert connection.info.backend_pid == pid
            assert await first(connection, WHAT_IS_LEFT) == fresh


async def test_one_that_failed_or_is_of_another_kind_is_not_kept(shop: ClusterHandle) -> None:
    async with keeping():
        with pytest.raises(ZeroDivisionError):
            async with connected(shop, None, LIMITS, user=READER):
                raise ZeroDivisionError
        async with connected(shop, None, LIMITS):  # the master user's
            pass
        async with connected(shop, "postgres", LIMITS, user=READER):  # DROP DATABASE would wait
            pass
        async with connected(shop, None, LIMITS, user=READER):
            pass
        await idle(1)


async def test_one_whose_session_was_ended_is_not_given_out(shop: ClusterHandle) -> None:
    async with keeping():
        async with connected(shop, None, LIMITS, user=READER) as connection:
            pid = connection.info.backend_pid
            ours = connection
        await idle(1)
        with shop.connect(autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(%s)", (pid,))
        await anyio.to_thread.run_sync(wait_until, lambda: not kept._lives(ours))
        async with connected(shop, None, LIMITS, user=READER) as connection:
            assert connection.info.backend_pid != pid


async def test_they_end_when_they_are_idle_and_with_the_server(
    shop: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping():
        async with connected(shop, None, LIMITS, user=READER):
            pass
        await idle(1)
    await anyio.to_thread.run_sync(wait_until, lambda: sessions(shop) == 0)
    monkeypatch.setattr(kept, "IDLE_SECONDS", 0.05)
    async with keeping():
        async with connected(shop, None, LIMITS, user=READER):
            pass
        await anyio.to_thread.run_sync(wait_until, lambda: sessions(shop) == 0)


async def test_a_server_reads_over_few_sessions(tools: Tools, shop: ClusterHandle) -> None:
    async with Client(tools.server) as client:
        pids = set()
        for _ in range(12):
            call = {"cluster": "shop", "sql": "select pg_backend_pid()"}
            answer = told(await client.call_tool("run_query", call))
            pids.add(answer["rows"][0][0])
    assert len(pids) < 6


async def test_a_cluster_that_is_deleted_and_made_again_is_read_as_it_is_now(tools: Tools) -> None:
    count = {"cluster": "again", "sql": "select count(*) from pg_class where relname = 'here'"}
    async with Client(tools.server) as client:
        for number in range(2):
            await client.call_tool("create_cluster", {"cluster": "again"})
            assert told(await client.call_tool("run_query", count))["rows"] == [[0]], number
            create = {"cluster": "again", "sql": "create table here ()"}
            await client.call_tool("execute_sql", create)
            assert told(await client.call_tool("run_query", count))["rows"] == [[1]]
            deleted = await client.call_tool("delete_cluster", {"cluster": "again"})
            assert not deleted.is_error, deleted.content
