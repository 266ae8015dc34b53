"""A real runtime, a server over it, and the real mcp client to call its tools."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.answers.pages import data_of
from mcp_server.nl2sql.linking import meaning
from mcp_server.server import Server, build_server
from mcp_server.tools import ServerScope
from tests.hosts import end_hosts
from tests.places import reachable_folder

SHOP = """
create schema sales;
create type sales.state as enum ('new', 'paid', 'sent');
create table customers (
  id int generated always as identity primary key,
  name text not null,
  email text unique,
  balance numeric(12,2) not null default 0 check (balance >= 0)
);
create table sales.orders (
  id int primary key,
  customer_id int not null references customers,
  state sales.state not null default 'new',
  placed timestamptz not null default '2026-01-01 12:00+00'
);
create index on sales.orders (placed);
create view big_spenders as select name from customers where balance > 100;
comment on table customers is 'people who buy';
comment on column customers.balance is 'euros we owe them';
insert into customers (name, email, balance)
  values ('Ada', 'ada@example.org', 250.50), ('Bob', null, 0), ('Cleo', 'cleo@example.org', 99.90);
insert into sales.orders select n, 1 + n % 3, 'paid' from generate_series(1, 30) as n;
analyze;
"""


@pytest.fixture(scope="session", autouse=True)
def without_a_model_of_meaning() -> Iterator[None]:
    """Each database of a test would have its names embedded at its first declined question."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meaning, "installed", lambda: None)
        yield


@pytest.fixture(scope="session")
def state_dir() -> Iterator[Path]:
    folder = reachable_folder()
    yield folder
    end_hosts(folder)
    shutil.rmtree(folder)


SHARED = frozenset({"shop", "bench"})
OPENED: list[Runtime] = []


@pytest.fixture(scope="session")
def runtime(state_dir: Path) -> Iterator[Runtime]:
    with Runtime.open(state_dir / "state", warm_pool_size=1) as opened:
        OPENED.append(opened)
        yield opened
        OPENED.clear()


@pytest.fixture(scope="module", autouse=True)
def clusters_of_the_module() -> Iterator[None]:
    """Those that a module leaves would take memory, and be looked after, until the session ends."""
    yield
    for runtime in OPENED:
        for each in runtime.describe_db_clusters():
            name = each.db_cluster_identifier
            if name not in SHARED:
                if each.deletion_protection:
                    runtime.modify_db_cluster(name, deletion_protection=False)
                runtime.delete_db_cluster(name, delete_automated_backups=True)
        for snapshot in runtime.describe_db_cluster_snapshots():
            runtime.delete_db_cluster_snapshot(snapshot.db_cluster_snapshot_identifier)


@pytest.fixture(scope="session")
def shop(runtime: Runtime) -> ClusterHandle:
    """A cluster with a few tables that no test changes."""
    cluster = runtime.create_db_cluster("shop")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(SHOP)
    return cluster


@pytest.fixture(scope="session")
def bench(runtime: Runtime) -> ClusterHandle:
    """A cluster for tests that write; each uses tables of its own."""
    return runtime.create_db_cluster("bench")


def told(result: Any) -> dict[str, Any]:
    """What a call answered: its data, and what was said of it as `notes`."""
    texts = [each.text for each in result.content]
    data = data_of(texts)
    answer = json.loads(data) if data.startswith("{") else {"text": data}
    said = texts[-1].partition("\n")[2] if len(texts) == 3 else "".join(texts[1:])
    return answer | ({"notes": said} if said else {})


@dataclass
class Tools:
    """The tools of a server, called through the mcp client."""

    server: Server

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The answer of a call that must succeed."""
        async with Client(self.server) as client:
            await client.list_tools()  # with the schemas at hand, the client checks the answer
            result = await client.call_tool(tool, arguments)
        assert not result.is_error, result.content[0].text
        return told(result)

    async def fails(self, tool: str, **arguments: Any) -> str:
        """The text of a call that must fail."""
        async with Client(self.server) as client:
            result = await client.call_tool(tool, arguments)
        assert result.is_error, result.content[0].text
        return result.content[0].text


@pytest.fixture(scope="session")
def tools(runtime: Runtime) -> Tools:
    """A server where somebody has allowed beforehand what destroys."""
    return Tools(build_server(runtime, ServerScope(allow_destructive=True)))


@pytest.fixture(scope="session")
def careful(runtime: Runtime) -> Tools:
    """A server that has what destroys confirmed."""
    return Tools(build_server(runtime))


@pytest.fixture(scope="session")
def shop_reader(runtime: Runtime, shop: ClusterHandle) -> Tools:
    """A server for the shop alone that only reads."""
    return Tools(build_server(runtime, ServerScope(cluster="shop", read_only=True)))
