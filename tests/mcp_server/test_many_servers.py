"""Many MCP servers on one state directory: one host, and all of them work, whatever ends."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from cluster_runtime import Runtime
from cluster_runtime.host.serving import end_host
from tests.cluster_runtime.control.test_host import postgres_below
from tests.hosts import end_hosts, host_of
from tests.mcp_server.conftest import told
from tests.places import reachable_folder
from tests.waiting import wait_until

LOCKS_AND_WRITES = "lock table t; insert into t select 1 from pg_sleep(60)"
READS = "select count(*), 42 from t"
WRITING = "select 1 from pg_stat_activity where wait_event = 'PgSleep'"
READING = "select 1 from pg_locks where not granted"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def home() -> Iterator[Path]:
    folder = reachable_folder()
    yield folder / "state"
    end_hosts(folder, orphans=True)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def server(home: Path, *arguments: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_server", "--state-dir", str(home), *arguments],
        env=dict(os.environ),
    )


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    return told(result)


async def create_and_query(home: Path, number: int, all_there: asyncio.Barrier) -> int:
    """What one server process does; the host that it saw."""
    async with Client(stdio_client(server(home))) as client:
        await all_there.wait()
        name = f"own-{number}"
        await call(client, "create_cluster", cluster=name)
        sql = f"create table t as select {number} as x"
        await call(client, "execute_sql", cluster=name, sql=sql)
        answer = await call(client, "run_query", cluster=name, sql="select x from t")
        assert answer["rows"] == [[number]]
        host = await asyncio.to_thread(host_of, home)
        assert host is not None
        await all_there.wait()
        return host.pid


@pytest.mark.parametrize(
    "servers", [3, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.long])]
)
async def test_servers_that_start_together_share_one_host(home: Path, servers: int) -> None:
    all_there = asyncio.Barrier(servers)
    seen = await asyncio.gather(
        *(create_and_query(home, number, all_there) for number in range(servers))
    )
    assert len(set(seen)) == 1
    with Runtime.open(home) as runtime:
        assert len(runtime.describe_db_clusters()) == servers


@pytest.mark.long
async def test_a_server_goes_on_when_its_host_is_killed(home: Path) -> None:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(stdio_client(server(home)))) for _ in range(2)
        ]
        await call(clients[0], "create_cluster", cluster="notes")
        await call(clients[0], "execute_sql", cluster="notes", sql="create table t (x int)")
        for number in range(2):
            host = await asyncio.to_thread(host_of, home)
            assert host is not None
            host.send_signal(signal.SIGKILL)
            insert = f"insert into t values ({number})"
            await call(clients[number], "execute_sql", cluster="notes", sql=insert)
            for client in clients:
                answer = await call(
                    client, "run_query", cluster="notes", sql="select x from t order by x"
                )
                assert answer["rows"] == [[x] for x in range(number + 1)]


SERVERS, KILLS = 10, 20


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_ten_servers_go_on_while_their_host_is_killed_twenty_times(home: Path) -> None:
    """Nothing that a client was told is lost, each read is answered, and nothing stays behind."""
    over, all_there = asyncio.Event(), asyncio.Barrier(SERVERS)
    rounds = [0] * SERVERS

    async def work(number: int) -> None:
        async with Client(stdio_client(server(home))) as client:
            await all_there.wait()
            if number == 0:
                await call(client, "create_cluster", cluster="notes")
                sql = "create table t (client int, x int)"
                await call(client, "execute_sql", cluster="notes", sql=sql)
            await all_there.wait()
            last = x = 0
            while not over.is_set():
                x += 1
                insert = f"insert into t values ({number}, {x})"
                written = await client.call_tool("execute_sql", {"cluster": "notes", "sql": insert})
                if not written.is_error:
                    told[number].add(x)
                    last = x
                else:
                    assert "may be done or not: look" in written.content[0].text
                seen = f"select coalesce(max(x), 0) from t where client = {number}"
                answer = await call(client, "run_query", cluster="notes", sql=seen)
                assert answer["rows"][0][0] >= last
                rounds[number] += 1

    told: list[set[int]] = [set() for _ in range(SERVERS)]
    working = [asyncio.ensure_future(work(number)) for number in range(SERVERS)]
    killed: set[int] = set()
    for _ in range(KILLS):
        before = list(rounds)
        while not all(now > then for now, then in zip(rounds, before, strict=True)):
            await asyncio.wait(working, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
            assert not [one.result() for one in working if one.done()]
        host = await asyncio.to_thread(host_of, home)
        assert host is not None
        host.send_signal(signal.SIGKILL)
        killed.add(host.pid)
    before = list(rounds)
    while not all(now > then for now, then in zip(rounds, before, strict=True)):
        await asyncio.wait(working, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
    over.set()
    await asyncio.gather(*working)
    assert len(killed) == KILLS
    for number in range(SERVERS):
        assert told[number] <= await asyncio.to_thread(rows_of, home, number)
        assert told[number]
    end_host(home)
    assert postgres_below(home) == []


def rows_of(home: Path, client: int) -> set[int]:
    """What a client's table holds, all of it: a tool's answer has a limit."""
    with Runtime.open(home) as runtime, runtime.cluster("notes").connect() as conn:
        rows = conn.execute("select x from t where client = %s", [client]).fetchall()
        return {x for (x,) in rows}


async def test_sql_under_way_when_the_host_is_killed_is_repeated_only_where_it_reads(
    home: Path,
) -> None:
    async with Client(stdio_client(server(home))) as client:
        await call(client, "create_cluster", cluster="notes")
        await call(client, "execute_sql", cluster="notes", sql="create table t (x int)")
        host = await asyncio.to_thread(host_of, home)
        assert host is not None

        with (
            Runtime.open(home) as runtime,
            runtime.cluster("notes").connect(autocommit=True) as watching,
        ):

            async def until_there_is(what: str) -> None:
                await asyncio.to_thread(wait_until, lambda: watching.execute(what).fetchone())

            writing = asyncio.ensure_future(
                client.call_tool("execute_sql", {"cluster": "notes", "sql": LOCKS_AND_WRITES})
            )
            await until_there_is(WRITING)
            reading = asyncio.ensure_future(call(client, "run_query", cluster="notes", sql=READS))
            await until_there_is(READING)
            host.send_signal(signal.SIGKILL)

        assert (await reading)["rows"] == [[0, 42]]
        lost = await writing
        assert lost.is_error
        assert "may be done or not: look" in lost.content[0].text
        answer = await call(client, "run_query", cluster="notes", sql="select count(*) from t")
        assert answer["rows"] == [[0]]


async def test_a_server_that_hosts_by_itself_can_be_asked_for(home: Path) -> None:
    async with Client(stdio_client(server(home, "--hosted-by", "process"))) as client:
        await call(client, "create_cluster", cluster="notes")
        host = await asyncio.to_thread(host_of, home)
        assert host is not None
        assert "--hosted-by" in host.cmdline()
    host.wait(60)


ADAPTERS = """
import asyncio, sys
from langchain_mcp_adapters.client import MultiServerMCPClient

async def main():
    python, home = sys.argv[1:]
    client = MultiServerMCPClient({
        "borealis": {
            "transport": "stdio",
            "command": python,
            "args": ["-m", "mcp_server", "--state-dir", home],
        }
    })
    tools = {tool.name: tool for tool in await client.get_tools()}
    await tools["create_cluster"].ainvoke({"cluster": "shared"})
    asked = [
        tools["run_query"].ainvoke({"cluster": "shared", "sql": f"select {number} as x"})
        for number in range(8)
    ]
    for number, answer in enumerate(await asyncio.gather(*asked)):
        assert f'"rows":[[{number}]]' in str(answer).replace(" ", ""), answer
    print("all answered")

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.long
def test_langchain_mcp_adapters_get_an_answer_to_eight_calls_at_once(
    home: Path, tmp_path: Path
) -> None:
    """In an environment of its own, for it needs an mcp below 2: a process for each call."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "langchain-mcp-adapters", "mcp<2"]
    subprocess.run(install, check=True)
    done = subprocess.run(
        [python, "-c", ADAPTERS, sys.executable, str(home)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
    )
    assert done.stdout.endswith("all answered\n"), done.stderr
