"""A client that leaves a call frees what the database does for it; over all transports."""

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.errors import BorealisError
from tests.mcp_server.processes import http_server
from tests.waiting import wait_until

FREED_SECONDS = 1.0
TRIES = 3
"""A machine that is busy may be late once, or twice; a server that is slow is so always."""
ENDLESS = (
    "with recursive crawling(n) as (select id from crawled union all select n from crawling) "
    "select count(*) from crawling"
)
"""Which the planner takes for cheap: the guard refuses what it thinks costs too much."""
READ = "select count(*) from crawled, generate_series(1, (select 100000000000))"
STUBBORN = (
    "do $$ begin perform from crawled; loop begin perform pg_sleep(60); "
    "exception when query_canceled then null; end; end loop; end $$"
)
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "run_query": ("run_query", {"sql": READ, "timeout_seconds": 60}),
    "explain_query": ("explain_query", {"sql": READ, "analyze": True, "timeout_seconds": 60}),
    "ask": ("ask", {"question": "how many crawlers are there"}),
    "execute_sql": ("execute_sql", {"sql": ENDLESS}),
    "what catches its cancellation": ("execute_sql", {"sql": STUBBORN}),
    "preview_write": ("preview_write", {"sql": f"create table made as {ENDLESS}"}),
}
OPTIONS = ("--warm-pool", "0", "--toolsets", "all", "--allow-destructive")
LOOKS = 5
"""So often in a row it is seen: by then it runs, and is not only planned."""


@pytest.fixture(scope="module")
def slow(runtime: Runtime) -> ClusterHandle:
    """A cluster in which nothing else runs, and one look at a view of which never ends."""
    made = runtime.create_db_cluster("slow")
    with made.connect(autocommit=True) as connection:
        connection.execute("create table crawled as select 1 as id")
        connection.execute(f"create view crawlers as select count as id from ({READ}) r")
    return made


@pytest.fixture(scope="module")
def crawled(slow: ClusterHandle) -> int:
    """What every slow statement has a lock of; what readers run is shown to nobody."""
    with slow.connect() as connection:
        return connection.execute("select 'crawled'::regclass::oid").fetchone()[0]


def crawling(runtime: Runtime, crawled: int) -> int:
    """Sessions that are busy with it, in the cluster and in branches of it."""
    service, found = runtime._home.service, 0
    look = f"select count(distinct pid) from pg_catalog.pg_locks where relation = {crawled}"
    for facts in runtime.describe_db_clusters():
        name = facts.db_cluster_identifier
        if name == "slow" or name.startswith("preview-"):
            with suppress(BorealisError, psycopg.Error, OSError):  # a branch comes, or goes
                writer = service.find(name).writer
                ((count,),) = runtime._home.thread.call(writer.execute(look))
                found += count
    return found


@pytest.fixture(scope="module")
def http_url(state_dir: Path, runtime: Runtime) -> Iterator[str]:
    with http_server("--state-dir", str(state_dir / "state"), *OPTIONS) as served:
        yield served.url


@asynccontextmanager
async def client_over(
    transport: str, http_url: str, state_dir: Path, log: Path
) -> AsyncIterator[Client]:
    if transport == "stdio":
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "mcp_server", "--state-dir", str(state_dir / "state"), *OPTIONS],
            env=dict(os.environ),
        )
        with log.open("w") as errors:
            async with Client(stdio_client(server, errlog=errors)) as client:
                yield client
        return
    async with Client(http_url, mode=transport.removeprefix("http ")) as client:
        yield client


async def freed(
    client: Client, busy: Callable[[], bool], tool: str, arguments: dict[str, Any]
) -> float:
    """Call a tool, leave once the database is busy with it; seconds until it no longer is."""
    with anyio.CancelScope() as leaving:
        async with anyio.create_task_group() as tasks:
            given = {"cluster": "slow", **arguments}
            tasks.start_soon(client.call_tool, tool, given)
            await anyio.to_thread.run_sync(wait_until, lambda: all(busy() for _ in range(LOOKS)))
            left_at = time.monotonic()
            leaving.cancel()
    await anyio.to_thread.run_sync(wait_until, lambda: not busy())
    return time.monotonic() - left_at


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("transport", ["stdio", "http legacy", "http 2026-07-28"])
async def test_a_client_that_leaves_a_call_frees_the_database(
    runtime: Runtime,
    crawled: int,
    state_dir: Path,
    http_url: str,
    tmp_path: Path,
    transport: str,
    call: str,
) -> None:
    tool, arguments = CALLS[call]
    async with client_over(transport, http_url, state_dir, tmp_path / "log") as client:
        took: list[float] = []
        while len(took) < TRIES and not any(each < FREED_SECONDS for each in took):
            took.append(
                await freed(client, lambda: crawling(runtime, crawled) > 0, tool, arguments)
            )
        assert min(took) < FREED_SECONDS
        # The server goes on.
        after = await client.call_tool("run_query", {"cluster": "slow", "sql": "select 1"})
        assert not after.is_error
