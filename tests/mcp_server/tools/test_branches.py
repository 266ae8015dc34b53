"""Branches through the tools: made, compared, reset, deleted. And a day of an agent."""

import re
from typing import Any

import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.errors import ClusterNotFoundError
from tests.mcp_server.conftest import Tools

ORCHARD = """
create table trees (id int primary key, kind text not null, apples int not null default 0);
insert into trees select n, 'apple', n from generate_series(1, 1000) n;
analyze;
"""


@pytest.fixture(scope="module")
def orchard(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("orchard")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(ORCHARD)
    return cluster


@pytest.fixture
async def graft(tools: Tools, orchard: ClusterHandle, runtime: Runtime) -> Any:
    """A branch of the orchard with a column, a changed row and one less."""
    made = await tools("branch", action="create", branch="graft", cluster=orchard.identifier)
    assert made == {"branch": "graft", "of": "orchard", "status": "available"}
    await tools(
        "execute_sql",
        cluster="graft",
        sql="alter table trees add column planted date; update trees set apples = 99 where id = 7;"
        "delete from trees where id = 8; insert into trees values (1001, 'pear', 1)",
    )
    yield "graft"
    try:
        runtime.delete_db_cluster("graft")
    except ClusterNotFoundError:
        return  # the test deleted it


async def test_a_branch_is_listed_with_what_it_was_made_from(tools: Tools, graft: str) -> None:
    listed = await tools("branch", action="list", cluster="orchard")
    assert [row[:2] for row in listed["rows"]] == [["graft", "orchard"]]
    everywhere = await tools("branch", action="list")
    assert listed["rows"][0] in everywhere["rows"]
    assert await tools("branch", action="list", cluster="graft") == {
        "columns": ["branch", "of", "created"],
        "rows": [],
    }


async def test_what_a_branch_changed_is_told_from_the_sources_view(
    tools: Tools, graft: str
) -> None:
    schema = await tools("branch", action="schema_diff", branch=graft)
    assert re.search(r"^\+.*planted date", schema["text"], re.MULTILINE)
    rows = await tools("branch", action="data_diff", branch="graft")
    (table,) = rows["tables"]
    assert (table["name"], table["added"], table["removed"], table["changed"]) == (
        "public.trees",
        1,
        1,
        1,
    )
    assert ["changed", ["7", "apple", "7"], ["7", "apple", "99"]] in table["rows"]
    assert ["removed", ["8", "apple", "8"], None] in table["rows"]
    assert ["added", None, ["1001", "pear", "1"]] in table["rows"]
    none = await tools("branch", action="data_diff", branch="graft", cluster="graft")
    assert none["tables"] == []
    equal = await tools("branch", action="schema_diff", branch="graft", cluster="graft")
    assert equal["text"] == "the schemas are equal"


async def test_a_branch_is_reset_once_that_is_confirmed_and_back(
    careful: Tools, graft: str
) -> None:
    call = {"action": "reset", "branch": "graft"}
    refusal = await careful.fails("branch", **call)
    assert "'orchard' is now" in refusal
    token = re.search(r'confirmation="([\w-]+)"', refusal)[1]
    count = {"cluster": "graft", "sql": "select count(*) from trees where kind = 'pear'"}
    assert (await careful("run_query", **count))["rows"] == [[1]]
    await careful("branch", **call, confirmation=token)
    assert (await careful("run_query", **count))["rows"] == [[0]]
    await careful("undo_rewind", cluster="graft")
    assert (await careful("run_query", **count))["rows"] == [[1]]


async def test_a_deleted_branch_leaves_a_snapshot(careful: Tools, graft: str) -> None:
    call = {"action": "delete", "branch": "graft"}
    token = re.search(r'confirmation="([\w-]+)"', await careful.fails("branch", **call))[1]
    gone = await careful("branch", **call, confirmation=token)
    assert "graft" in await careful.fails("describe_cluster", cluster="graft")
    listed = await careful("snapshot", action="list")
    assert gone["final_snapshot"] in [row[0] for row in listed["rows"]]
    drop = {"action": "delete", "snapshot": gone["final_snapshot"]}
    refusal = await careful.fails("snapshot", **drop)
    assert "cannot be undone" in refusal
    token = re.search(r'confirmation="([\w-]+)"', refusal)[1]
    await careful("snapshot", **drop, confirmation=token)
    assert await careful.fails("snapshot", **drop)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"action": "create"}, "needs the argument 'branch'"),
        ({"action": "create", "branch": "b"}, "needs the argument 'cluster'"),
        ({"action": "delete", "branch": "orchard"}, "is no branch"),
        ({"action": "reset", "branch": "orchard"}, "is no branch"),
        ({"action": "data_diff", "branch": "orchard"}, "name the other side"),
        ({"action": "schema_diff", "branch": "orcharb"}, "'orchard'"),
        ({"action": "create", "branch": "orchard", "cluster": "orchard"}, "exists"),
        ({"action": "create", "branch": "b", "cluster": "orcharb"}, "'orchard'"),
        ({"action": "list", "cluster": "orcharb"}, "'orchard'"),
        ({"action": "promote", "branch": "b"}, "create"),
    ],
)
async def test_what_is_missing_or_wrong_is_told(
    tools: Tools, orchard: ClusterHandle, arguments: dict[str, str], said: str
) -> None:
    assert said in await tools.fails("branch", **arguments)
