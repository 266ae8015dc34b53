"""Connections that read are kept between calls: wiped, no dead one, none when nobody serves."""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import ObjectNotInPrerequisiteState

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.engine.access.roles import READER
from mcp_server.databases import connections, kept, opening
from mcp_server.databases.connections import Connection, interruptible, promptly
from mcp_server.databases.kept import keeping, kept_here
from mcp_server.nl2sql.errors import QueryTimeoutError
from mcp_server.rows import limits_of_a_call
from mcp_server.server import build_server
from mcp_server.sessions import connected
from mcp_server.toolkit import platform
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools, told
from tests.waiting import wait_until

LIMITS = limits_of_a_call()
LEFT_BEHIND = (
    "set app.kept = 'behind'",
    "set search_path = elsewhere",
    "set statement_timeout = 77",
    "set work_mem = '77MB'",
    "select set_config('timezone', 'Asia/Tokyo', false)",
    "select pg_advisory_lock(42)",
    "select pg_advisory_lock_shared(43)",
    "prepare later as select 1",
    "declare window_of cursor with hold for select 1",
    "listen gossip",
    "create temp table t (x int)",
    "create temp sequence s",
    "select nextval('s')",
    "select setseed(0.5)",
    "set role rds_iam",
    "set session authorization borealis_reader",
    "set role rds_iam",
    "begin",
    "create temp table t2 on commit preserve rows as select 1 as x",
)
WHAT_IS_LEFT = """
select coalesce(current_setting('app.kept', true), ''),
       (select array_agg(name || '=' || setting order by name) from pg_settings
        where source = 'session'),
       (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
       (select count(*) from pg_prepared_statements),
       (select count(*) from pg_cursors),
       (select count(*) from pg_listening_channels()),
       to_regclass('pg_temp.t'), to_regclass('pg_temp.t2'), to_regclass('pg_temp.s'),
       current_user::text, session_user::text, current_setting('role')
"""
SEEDED = "select setseed(0.5), random()"
AT_ONCE = struct.pack("ii", 1, 0)
TURNS = 50
"""Of the event loop: more than anything here takes that waits for nobody."""
HANGS_SECONDS = 60
"""What never ends has not ended by then."""


class Blockable:
    """A cluster behind a line that can fall silent, as it does where a server hangs."""

    def __init__(self, cluster: ClusterHandle) -> None:
        self.id, self.identifier = "behind-a-line", cluster.identifier
        self.blocked = False
        self._cluster = cluster
        self._port = 0
        self._callers: list[asyncio.StreamWriter] = []

    def reset(self) -> None:
        """End the lines as a machine does that knows nothing of them any more."""
        for each in self._callers:
            each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            each.transport.abort()

    def dsn(
        self, endpoint: str = "writer", *, user: str | None = None, dbname: str | None = None
    ) -> str:
        return make_conninfo(self._cluster.dsn(user=user, dbname=dbname), port=self._port)

    @asynccontextmanager
    async def line(self) -> AsyncIterator[None]:
        port = int(conninfo_to_dict(self._cluster.dsn())["port"])

        async def passed_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while said := await source.read(65536):
                if not self.blocked:
                    sink.write(said)
            sink.close()

        async def led(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            answers, asked = await asyncio.open_connection("127.0.0.1", port)
            lines.append(asked)
            self._callers.append(sink)
            await asyncio.gather(
                passed_on(source, asked), passed_on(answers, sink), return_exceptions=True
            )

        lines: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(led, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            for asked in lines:
                asked.close()
            server.close()
            await server.wait_closed()


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
            _, seeded = await first(connection, SEEDED)
            pid = connection.info.backend_pid
            await connection.execute("set default_transaction_read_only = off")
            for statement in LEFT_BEHIND:
                await connection.execute(statement)
        await idle(1)
        async with connected(shop, None, LIMITS, user=READER) as connection:
            assert connection.info.backend_pid == pid
            assert await first(connection, WHAT_IS_LEFT) == fresh
            assert await first(connection, "select random()") != (seeded,)
            with pytest.raises(ObjectNotInPrerequisiteState):
                await connection.execute("select lastval()")


async def test_the_time_limit_is_the_calls_own(shop: ClusterHandle) -> None:
    async def seen(seconds: float) -> tuple[int, str]:
        limits = limits_of_a_call(seconds=seconds)
        async with connected(shop, None, limits, user=READER) as connection:
            (told,) = await first(connection, "show statement_timeout")
            pid = connection.info.backend_pid
        await idle(1)
        return pid, told

    async with keeping():
        calls = [await seen(seconds) for seconds in (7, 30, 9, 9, 0.5)]
    assert [told for _, told in calls] == ["7s", "30s", "9s", "9s", "500ms"]
    assert len({pid for pid, _ in calls}) == 1


@pytest.mark.parametrize(
    "how",
    [
        "alter database postgres set work_mem = '{}'",
        "do $$ begin alter database postgres set work_mem = '{}'; end $$",
    ],
)
async def test_the_next_read_has_the_settings_that_a_write_gave_to_new_sessions(
    tools: Tools, bench: ClusterHandle, how: str
) -> None:
    show = {"cluster": "bench", "sql": "show work_mem"}
    async with Client(tools.server) as client:
        for setting in ("5MB", "6MB"):
            await client.call_tool("run_query", show)
            write = {"cluster": "bench", "sql": how.format(setting)}
            assert not (await client.call_tool("execute_sql", write)).is_error
            assert told(await client.call_tool("run_query", show))["rows"] == [[setting]]
        write = {"cluster": "bench", "sql": "alter database postgres reset work_mem"}
        await client.call_tool("execute_sql", write)


async def test_what_another_program_gives_to_new_sessions_one_call_at_most_misses(
    bench: ClusterHandle,
) -> None:
    async def seen() -> str:
        async with connected(bench, None, LIMITS, user=READER) as connection:
            (told,) = await first(connection, "show work_mem")
        here = kept_here()
        while here._tasks:
            await asyncio.wait(set(here._tasks))
        return str(told)

    with bench.connect(autocommit=True) as other:
        async with keeping():
            await seen()
            other.execute("alter database postgres set work_mem = '5MB'")
            try:
                await seen()
                assert await seen() == "5MB"
            finally:
                other.execute("alter database postgres reset work_mem")


async def test_one_whose_server_hangs_is_thrown_away(
    shop: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "ANSWERS_SECONDS", 0.2)
    way = Blockable(shop)
    with anyio.fail_after(HANGS_SECONDS):
        async with way.line(), keeping():
            async with connected(way, None, LIMITS, user=READER) as connection:
                way.blocked = True
            await idle(0)
            assert connection.closed


async def test_a_call_whose_server_hangs_ends(
    shop: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CANCEL_SECONDS", 0.2)
    monkeypatch.setitem(connections.CONNECTING, "connect_timeout", 2)
    way = Blockable(shop)
    with anyio.fail_after(HANGS_SECONDS):
        async with way.line(), connected(way, None, LIMITS, user=READER) as connection:
            way.blocked = True
            with pytest.raises(QueryTimeoutError):
                await interruptible(connection, connection.execute("select 1"), 0.1)


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


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def test_a_line_that_was_reset_is_hung_up_on_all_the_same(shop: ClusterHandle) -> None:
    behind = Blockable(shop)
    async with behind.line(), connected(behind, None, LIMITS, user=READER) as connection:
        over = asyncio.Event()
        behind.reset()
        await turns()
        waiting = asyncio.create_task(promptly(connection, over.wait(), 0.0))
        await turns()
        over.set()
        assert await waiting


class Counting:
    """A control plane that counts which clusters are looked up."""

    def __init__(self, plane: Runtime) -> None:
        self.looked_up: list[str] = []
        self._plane = plane

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plane, name)

    def cluster(self, identifier: str) -> Any:
        self.looked_up.append(identifier)
        return self._plane.cluster(identifier)


async def test_a_name_that_nobody_knows_leaves_what_is_known_of_others(
    runtime: Runtime, shop: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "FOUND_SECONDS", 600.0)
    plane: Any = Counting(runtime)
    async with Client(build_server(plane)) as client:
        for name in ("shop", "nobody", "shop"):
            answer = await client.call_tool("run_query", {"cluster": name, "sql": "select 1"})
            assert answer.is_error is (name == "nobody")
    assert plane.looked_up.count("shop") == 1


class Late:
    """A control plane whose first answer about a cluster comes late."""

    def __init__(self, plane: Runtime) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()
        self._plane = plane

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plane, name)

    def cluster(self, identifier: str) -> Any:
        found = self._plane.cluster(identifier)
        if not self.asked.is_set():
            self.asked.set()
            self.answers.wait()
        return found


@pytest.mark.parametrize("what", ["a tool", "a resource"])
async def test_a_cluster_that_was_looked_up_before_another_took_its_name_is_not_read(
    runtime: Runtime, what: str
) -> None:
    plane = Late(runtime)
    read: list[bool] = []

    async def reading() -> None:
        if what == "a tool":
            answer = await client.call_tool("run_query", {"cluster": "taken", "sql": "select 7"})
            read.append(told(answer)["rows"] == [[7]])
        else:
            table = await client.read_resource("schema://taken/public/here")
            read.append("seven" in table.contents[0].text)

    runtime.create_db_cluster("taken")
    async with Client(build_server(plane, ServerScope(allow_destructive=True))) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reading)
            await anyio.to_thread.run_sync(plane.asked.wait)
            try:
                for tool in ("delete_cluster", "create_cluster"):
                    assert not (await client.call_tool(tool, {"cluster": "taken"})).is_error
                with runtime.cluster("taken").connect(autocommit=True) as other:
                    other.execute("create table here (seven int)")
            finally:
                plane.answers.set()
        await reading()
        await client.call_tool("delete_cluster", {"cluster": "taken"})
    assert read == [True, True]
