"""An agent's day from end to end: a client, a server process over stdio, and a host behind it."""

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from cluster_runtime.engine.system.processes import wait_until_gone
from tests.hosts import end_hosts, host_of
from tests.mcp_server.conftest import told
from tests.places import SpentFolders, reachable_folder

SALES = """
create table sales (id int primary key, item text not null, price numeric not null);
insert into sales select n, 'tea ' || n % 3, n from generate_series(1, 300) n;
analyze;
"""
CHEAPER = "update sales set price = 0; alter table sales add column sold_on date"
TOTAL = {"cluster": "kiosk", "sql": "select sum(price)::int from sales"}
FACT = "Ada wants prices in euros and never lowered without asking her"


@pytest.fixture
def home(spent_folders: SpentFolders) -> Iterator[Path]:
    folder = reachable_folder()
    yield folder / "state"
    end_hosts(folder, orphans=True)
    spent_folders.append(folder)


def client(home: Path) -> Client:
    """A client of a server of its own, as an editor starts it."""
    options = ("--toolsets", "all", "--memory-cluster", "memories", "--warm-pool", "0")
    arguments = ["-m", "mcp_server", "--state-dir", str(home), *options]
    return Client(stdio_client(StdioServerParameters(command=sys.executable, args=arguments)))


class Agent:
    """Who calls tools, and confirms what has to be."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self._client.call_tool(tool, arguments)
        assert not result.is_error, result.content[0].text
        return told(result)

    async def confirming(self, tool: str, **arguments: Any) -> dict[str, Any]:
        asked = await self._client.call_tool(tool, arguments)
        assert asked.is_error
        token = re.search(r'confirmation="([\w-]+)"', asked.content[0].text)[1]
        return await self(tool, **arguments, confirmation=token)


async def test_an_agents_day(home: Path) -> None:
    async with client(home) as first:
        agent = Agent(first)
        await agent("create_cluster", cluster="kiosk")
        await agent("execute_sql", cluster="kiosk", sql=SALES)
        asked = await agent("ask", cluster="kiosk", question="How many sales are there?")
        assert asked["result"]["rows"] == [[300]]

        # A migration is tried on a branch, and compared.
        await agent("branch", action="create", branch="cheaper", cluster="kiosk")
        await agent.confirming("execute_sql", cluster="cheaper", sql=CHEAPER)
        schema = await agent("branch", action="schema_diff", branch="cheaper")
        assert "sold_on date" in schema["text"]
        rows = await agent("branch", action="data_diff", branch="cheaper")
        assert rows["tables"][0]["changed"] == 300
        previewed = await agent("preview_write", cluster="kiosk", sql="update sales set price = 0")
        assert previewed["rows_touched"] == [300]
        assert (await agent("run_query", **TOTAL))["rows"] == [[45150]]

        # It is applied, regretted, and gone again.
        applied = await agent.confirming(
            "apply_migration", cluster="kiosk", name="cheaper", sql=CHEAPER
        )
        assert (await agent("run_query", **TOTAL))["rows"] == [[0]]
        assert "sold_on" in (await agent("describe_tables", cluster="kiosk"))["text"]
        await agent.confirming("branch", action="delete", branch="cheaper")
        point = re.search(r"to='([\w-]+)'", applied["notes"])[1]
        await agent.confirming("rewind", cluster="kiosk", to=point)
        assert (await agent("run_query", **TOTAL))["rows"] == [[45150]]
        assert (await agent("list_migrations", cluster="kiosk"))["rows"] == []

        await agent("remember", scope="user:ada", text=FACT)

    host = host_of(home)
    assert host is not None
    host.send_signal(signal.SIGTERM)
    assert wait_until_gone([host], 60) == []

    async with client(home) as second:
        agent = Agent(second)
        found = await agent("recall", scopes=["user:ada"], query="may prices be lowered?")
        assert FACT in str(found["rows"])
        assert (await agent("run_query", **TOTAL))["rows"] == [[45150]]
        await agent.confirming("delete_cluster", cluster="kiosk")
        assert "kiosk" not in str(await agent("list_clusters"))
