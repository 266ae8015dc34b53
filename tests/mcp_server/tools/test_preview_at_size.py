"""A preview of a thousand rows of a gigabyte: right, read from the log, and without a trace."""

from typing import Any

import pytest

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.server import build_server
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

ROWS = 6_800_000
"""Of 150 bytes with their index: 1 GB."""
SHAPE = """
create table accounts (aid int primary key, abalance int not null, filler char(84));
create table notes (id int primary key, aid int not null references accounts on delete cascade);
"""
LOAD = "insert into accounts select n, 0, '' from generate_series(%s::int, %s::int) n"
PART = 400_000
"""Rows of one transaction: a machine that is busy with one of a gigabyte answers nobody else."""
STATE = """
select count(*), sum(abalance), (select count(*) from notes),
       bit_xor(hashint4(aid) # hashint4(abalance)) from accounts
"""
EVERY = ROWS // 1000


@pytest.fixture
def large(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("large")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(SHAPE)
        for first in range(1, ROWS + 1, PART):
            connection.execute(LOAD, [first, min(first + PART - 1, ROWS)])
        connection.execute("insert into notes select n, n * 3400 from generate_series(1, 2000) n")
        connection.execute("create index on notes (aid)")
        connection.execute("vacuum analyze")
        (size,) = connection.execute("select pg_database_size(current_database())").fetchone()
    assert size > 900 << 20
    return cluster


async def test_a_preview_of_a_thousand_rows_of_a_gigabyte(
    runtime: Runtime, large: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods: list[str] = []
    compare = runtime.describe_data_diff

    def compared(*arguments: Any, **options: Any) -> Any:
        found = compare(*arguments, **options)
        methods.append(found.method)
        return found

    monkeypatch.setattr(runtime, "describe_data_diff", compared)
    tools = Tools(build_server(runtime, ServerScope("large", allow_destructive=True)))
    with large.connect() as connection:
        before = connection.execute(STATE).fetchone()

    update = f"update accounts set abalance = abalance + aid % 7 + 1 where aid % {EVERY} = 1"
    seen = await tools("preview_write", sql=update, timeout_seconds=300)
    assert seen["rows_touched"] == [1000]
    (table,) = seen["tables"]
    assert (table["name"], table["changed"]) == ("public.accounts", 1000)
    assert table["columns"] == ["aid", "abalance", "filler"]
    for change, (aid, was, _), (same, now, _) in table["rows"]:
        assert (change, same, was) == ("changed", aid, "0")
        assert int(aid) % EVERY == 1
        assert int(now) == int(aid) % 7 + 1

    # Every second of the thousand has a note, which goes with it.
    delete = f"delete from accounts where aid % {EVERY} = 0"
    seen = await tools("preview_write", sql=delete, timeout_seconds=300)
    assert seen["rows_touched"] == [1000]
    removed = {each["name"]: each["removed"] for each in seen["tables"]}
    assert removed == {"public.accounts": 1000, "public.notes": 1000}
    assert seen["changes_without_being_named"] == ["public.notes"]

    assert methods == ["log", "log"]
    with large.connect() as connection:
        assert connection.execute(STATE).fetchone() == before
    assert [each.db_cluster_identifier for each in runtime.describe_db_clusters()] == ["large"]
