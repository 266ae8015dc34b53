"""A client that leaves a call frees what the database does for it; over all transports."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.engine.access.roles import READER
from cluster_runtime.errors import BorealisError
from tests.waiting import wait_until

FREED_SECONDS = 1.0
ENDLESS = (
    "with recursive crawling(n) as (select 1 union all select n from crawling) "
    "select count(*) as crawl from crawling"
)
"""Which the planner takes for cheap: the guard refuses what it thinks costs too much."""
STUBBORN = (
    "do $$ begin loop begin perform pg_sleep(60); /* crawl */ exception when query_canceled then "
    "null; end; end loop; end $$"
)
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "execute_sql": ("execute_sql", {"sql": ENDLESS}),
    "what catches its cancellation": ("execute_sql", {"sql": STUBBORN}),
    "preview_write": ("preview_write", {"sql": f"create table made as {ENDLESS}"}),
}
OPTIONS = ("--warm-pool", "0", "--toolsets", "all", "--allow-destructive")
CRAWLING = (
    "select count(*) from pg_stat_activity where state = 'active' and query like '%crawl%' "
    "and usename = current_user and pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def slow(runtime: Runtime) -> ClusterHandle:
    """A cluster in which nothing else runs."""
    return runtime.create_db_cluster("slow")


def crawling(runtime: Runtime) -> int:
    """Sessions that are busy with it, in the cluster and in branches of it."""
    found = 0
    for facts in runtime.describe_db_clusters():
        name = facts.db_cluster_identifier
        if name == "slow" or name.startswith("preview-"):
            for user in (None, READER):  # a role sees its own statements alone
                with (
                    suppress(BorealisError, psycopg.OperationalError),  # a branch comes, or goes
                    psycopg.connect(runtime.cluster(name).dsn("writer", user=user)) as connection,
                ):
                    found += connection.execute(CRAWLING).fetchone()[0]
    return found


@pytest.fixture(scope="module")
def http_url(state_dir: Path, runtime: Runtime) -> Iterator[str]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mcp_server", "--state-dir", str(state_dir / "state")),
            *("--http", "--port", "0", *OPTIONS),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    line = process.stderr.readline()
    assert "MCP server at" in line
    yield line.split()[-1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    process.stderr.close()


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


async def freed(client: Client, runtime: Runtime, tool: str, arguments: dict[str, Any]) -> float:
    """Call a tool, leave once the database is busy with it; seconds until it no longer is."""
    with anyio.CancelScope() as leaving:
        async with anyio.create_task_group() as tasks:
            given = {"cluster": "slow", **arguments}
            tasks.start_soon(client.call_tool, tool, given)
            await anyio.to_thread.run_sync(wait_until, lambda: crawling(runtime) == 1)
            left_at = time.monotonic()
            leaving.cancel()
    await anyio.to_thread.run_sync(wait_until, lambda: crawling(runtime) == 0)
    return time.monotonic() - left_at


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("transport", ["stdio", "http legacy", "http 2026-07-28"])
@pytest.mark.usefixtures("slow")
async def test_a_client_that_leaves_a_call_frees_the_database(
    runtime: Runtime, state_dir: Path, http_url: str, tmp_path: Path, transport: str, call: str
) -> None:
    tool, arguments = CALLS[call]
    async with client_over(transport, http_url, state_dir, tmp_path / "log") as client:
        began = time.monotonic()
        await client.call_tool("run_query", {"cluster": "slow", "sql": "select 1"})
        round_trip = time.monotonic() - began  # of this machine, busy as it is
        took = await freed(client, runtime, tool, arguments)
        assert took < FREED_SECONDS + 3 * round_trip
        # The server goes on.
        after = await client.call_tool("run_query", {"cluster": "slow", "sql": "select 1"})
        assert not after.is_error
