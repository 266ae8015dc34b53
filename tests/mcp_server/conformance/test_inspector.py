"""Every tool of the default set, listed and called by the protocol's inspector."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mcp_server.conformance.suite import inspected

pytestmark = pytest.mark.long

LAB = {"cluster": "lab"}


@pytest.fixture
def call(real_url: str, tmp_path: Path) -> Callable[..., str]:
    """Call a tool, which must succeed; all texts of its answer."""

    def called(tool: str, **arguments: Any) -> str:
        answer = inspected(real_url, "tools/call", tmp_path, tool, **arguments)
        assert not answer.get("isError"), answer
        used.add(tool)
        return "\n".join(each["text"] for each in answer["content"])

    used: set[str] = set()
    called.used = used  # type: ignore[attr-defined]
    return called


def test_it_lists_and_calls_every_tool(
    real_url: str, tmp_path: Path, call: Callable[..., str]
) -> None:
    listed, in_sessions = (
        {each["name"] for each in inspected(real_url, "tools/list", tmp_path, era=era)["tools"]}
        for era in ("modern", "legacy")
    )
    assert listed == in_sessions
    assert '"lab"' in call("create_cluster", **LAB)
    assert '"lab"' in call("list_clusters")
    assert '"status":"available"' in call("describe_cluster", **LAB)
    make = "create table orders (id int primary key, city text); insert into orders values "
    call("execute_sql", **LAB, sql=make + "(1, 'Oslo'), (2, 'Lima'), (3, 'Oslo')")
    assert "public" in call("list_schemas", **LAB)
    assert "orders" in call("search_schema", **LAB, query="orders")
    assert "city" in call("describe_tables", **LAB, tables=["orders"])
    long = "select n, repeat('x', 900) from generate_series(1, 300) n"
    first = call("run_query", **LAB, sql=long, limit=1000)
    cursor = re.search(r'cursor="([^"]+)"', first)[1]
    assert "xxx" in call("read_more", cursor=cursor)
    assert "[[3]]" in call("ask", **LAB, question="How many orders are there?")
    assert "Lima" in call("preview_write", **LAB, sql="delete from orders where city = 'Lima'")
    change = "alter table orders add column paid boolean default false"
    call("apply_migration", **LAB, name="paid", sql=change)
    assert "paid" in call("list_migrations", **LAB)

    point = re.search(r'"created":"([^"]+)"', call("restore_point", **LAB, name="before"))[1]
    call("execute_sql", **LAB, sql="truncate orders")
    call("rewind", **LAB, to="before")
    assert "[[3]]" in call("run_query", **LAB, sql="select count(*) from orders")
    call("undo_rewind", **LAB)
    assert "[[0]]" in call("run_query", **LAB, sql="select count(*) from orders")
    call("restore_to_time", **LAB, new_cluster="lab-then", time=point)
    call("branch", action="create", branch="lab-try", cluster="lab")
    call("snapshot", action="create", snapshot="lab-end", cluster="lab")
    for each in ("lab-try", "lab-then", "lab"):
        call("delete_cluster", cluster=each)
    assert call.used == listed  # type: ignore[attr-defined]
