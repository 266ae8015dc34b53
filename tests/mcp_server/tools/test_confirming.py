"""What destroys is confirmed first, and can be taken back."""

import re
from typing import Any

import pytest
from mcp import Client
from mcp_types import ElicitResult, ErrorData

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.cli.commands import main
from mcp_server.server import build_server
from mcp_server.toolkit.toolsets import chosen
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools, told


@pytest.fixture(scope="module")
def vault(runtime: Runtime) -> ClusterHandle:
    """A cluster whose tables are destroyed and brought back."""
    return runtime.create_db_cluster("vault")


@pytest.fixture(params=["2026-07-28", "legacy"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Elicitation differs: a repeated call since 2026-07-28, a request within the call before."""
    return request.param


class Person:
    """Whoever sits before a client that offers elicitation."""

    def __init__(self, action: str, content: dict[str, Any] | None = None) -> None:
        self.says = ElicitResult(action=action, content=content)
        self.read: list[str] = []

    async def __call__(self, context: Any, params: Any) -> ElicitResult | ErrorData:
        self.read.append(params.message)
        return self.says


YES = {"confirm": True}


def loaded(cluster: ClusterHandle, table: str) -> None:
    with cluster.connect(autocommit=True) as connection:
        connection.execute(f"drop table if exists {table}")
        connection.execute(f"create table {table} as select n as id from generate_series(1, 5) n")


def count(cluster: ClusterHandle, table: str) -> int:
    with cluster.connect() as connection:
        (found,) = connection.execute(f"select count(*) from {table}").fetchone()
    return found


def token_in(text: str) -> str:
    found = re.search(r'confirmation="([\w-]+)"', text)
    assert found, text
    return found[1]


async def with_person(tools: Tools, person: Person, protocol: str, tool: str, **given: Any) -> Any:
    async with Client(tools.server, elicitation_callback=person, mode=protocol) as client:
        await client.list_tools()
        return await client.call_tool(tool, given)


async def test_a_person_who_says_yes_lets_it_happen(
    careful: Tools, vault: ClusterHandle, protocol: str
) -> None:
    loaded(vault, "asked")
    person = Person("accept", YES)
    done = await with_person(
        careful, person, protocol, "execute_sql", cluster="vault", sql="delete from asked"
    )
    assert not done.is_error, done.content[0].text
    assert count(vault, "asked") == 0
    assert len(person.read) == 1
    assert "DELETE of asked without WHERE" in person.read[0]
    assert "undone" in person.read[0]
    assert "Restore point before-execute-sql-" in told(done)["notes"]


@pytest.mark.parametrize(
    ("action", "content"),
    [("decline", None), ("cancel", None), ("accept", {"confirm": False}), ("accept", {})],
)
async def test_anything_but_yes_leaves_it(
    careful: Tools,
    runtime: Runtime,
    vault: ClusterHandle,
    protocol: str,
    action: str,
    content: Any,
) -> None:
    loaded(vault, "kept")
    points = runtime.describe_restore_points("vault")
    refused = await with_person(
        careful,
        Person(action, content),
        protocol,
        "execute_sql",
        cluster="vault",
        sql="drop table kept",
    )
    assert refused.is_error
    assert "nothing was done" in refused.content[0].text
    assert count(vault, "kept") == 5
    assert runtime.describe_restore_points("vault") == points


async def test_a_client_that_cannot_ask_gets_a_token_for_one_call(
    careful: Tools, vault: ClusterHandle
) -> None:
    loaded(vault, "gone")
    call = {"cluster": "vault", "sql": "drop table gone"}
    refusal = await careful.fails("execute_sql", **call)
    assert "DROP TABLE gone" in refusal
    assert count(vault, "gone") == 5

    token = token_in(refusal)
    done = await careful("execute_sql", **call, confirmation=token)
    assert done["statements"][0]["command"] == "DROP TABLE"
    loaded(vault, "gone")
    assert "it was used" in await careful.fails("execute_sql", **call, confirmation=token)
    assert count(vault, "gone") == 5


async def test_a_token_is_good_for_no_other_call(careful: Tools, vault: ClusterHandle) -> None:
    loaded(vault, "one")
    loaded(vault, "two")
    for other in (
        {"sql": "drop table two"},
        {"sql": "drop table one", "timeout_seconds": 5},
        {"sql": "drop table one cascade"},
    ):
        token = token_in(await careful.fails("execute_sql", cluster="vault", sql="drop table one"))
        refusal = await careful.fails("execute_sql", cluster="vault", confirmation=token, **other)
        assert "another call" in refusal
        again = {"cluster": "vault", "sql": "drop table one", "confirmation": token}
        assert "it was used" in await careful.fails("execute_sql", **again)
    assert count(vault, "one") == count(vault, "two") == 5
    assert "none of this server" in await careful.fails(
        "execute_sql", cluster="vault", sql="drop table one", confirmation="guess"
    )


async def test_an_undo_is_one_call_and_says_what_goes_with_it(
    careful: Tools, tools: Tools, vault: ClusterHandle
) -> None:
    loaded(vault, "prized")
    done = await tools("execute_sql", cluster="vault", sql="truncate prized")
    point = re.search(r"to='([\w-]+)'", done["notes"])[1]
    with vault.connect(autocommit=True) as connection:
        connection.execute("create table of_another as select 1")

    told_first = await careful("rewind", cluster="vault", to=point, dry_run=True)
    assert told_first["dry_run"] is True
    assert told_first["of_others"] == told_first["transactions_that_go"] - 1 >= 1
    assert "restore_to_time" in told_first["notes"]
    assert count(vault, "prized") == 0

    person = Person("accept", YES)
    await with_person(careful, person, "2026-07-28", "rewind", cluster="vault", to=point)
    assert f"{told_first['transactions_that_go']} transactions go" in person.read[0]
    assert f"{told_first['of_others']} of them not of the call" in person.read[0]
    assert count(vault, "prized") == 5

    await careful("undo_rewind", cluster="vault")
    assert count(vault, "prized") == 0
    assert count(vault, "of_another") == 1
    await careful("undo_rewind", cluster="vault")
    assert count(vault, "prized") == 5


async def test_what_fails_leaves_no_restore_point(
    tools: Tools, runtime: Runtime, vault: ClusterHandle
) -> None:
    points = runtime.describe_restore_points("vault")
    await tools.fails("execute_sql", cluster="vault", sql="drop table never_was")
    await tools.fails("execute_sql", cluster="vault", sql="create table a (x int); drop table b")
    assert runtime.describe_restore_points("vault") == points


@pytest.mark.parametrize(
    "sql",
    [
        "select wipe()",
        'select "wipe" ()',
        "select public.wipe()",
        "insert into log select wipe()",
        "select sweep()",
        "call tidy()",
        "do $$ begin perform 1; end $$",
    ],
)
async def test_functions_are_judged_by_their_bodies(
    careful: Tools, vault: ClusterHandle, sql: str
) -> None:
    with vault.connect(autocommit=True) as connection:
        connection.execute(
            "create table if not exists log (n int); create table if not exists dust (n int);"
            "create or replace function wipe() returns int language plpgsql as "
            "'begin execute ''select 1''; return 1; end';"
            "create or replace function sweep() returns void language sql "
            "begin atomic delete from dust; end;"
            "create or replace procedure tidy() language plpgsql as 'begin end'"
        )
    assert token_in(await careful.fails("execute_sql", cluster="vault", sql=sql))


async def test_harmless_sql_is_not_asked_about(careful: Tools, vault: ClusterHandle) -> None:
    loaded(vault, "plain")
    with vault.connect(autocommit=True) as connection:
        connection.execute(
            "create or replace function twice(n int) returns int language plpgsql as "
            "'begin return 2 * n; end'"
        )
    for sql in (
        "insert into plain values (6), (7)",
        "delete from plain where id = 7",
        "update plain set id = twice(id) where id = 6",
        "select count(*), now() from plain",
        "analyze plain",
    ):
        assert "notes" not in await careful("execute_sql", cluster="vault", sql=sql)


async def test_a_cluster_without_a_past_says_so_before_and_afterwards(
    careful: Tools, runtime: Runtime
) -> None:
    forgetful = runtime.create_db_cluster("forgetful", backtrack_window=0)
    loaded(forgetful, "t")
    call = {"cluster": "forgetful", "sql": "drop table t"}
    refusal = await careful.fails("execute_sql", **call)
    assert "cannot be undone" in refusal
    done = await careful("execute_sql", **call, confirmation=token_in(refusal))
    assert "No restore point was set" in done["notes"]


async def test_a_deleted_cluster_comes_back_from_its_final_snapshot(
    careful: Tools, runtime: Runtime
) -> None:
    loaded(runtime.create_db_cluster("short-lived"), "t")
    refusal = await careful.fails("delete_cluster", cluster="short-lived")
    assert "final snapshot" in refusal
    assert runtime.cluster("short-lived").describe()
    gone = await careful("delete_cluster", cluster="short-lived", confirmation=token_in(refusal))
    again = {"action": "restore", "snapshot": gone["final_snapshot"], "cluster": "short-lived"}
    await careful("snapshot", **again)
    assert count(runtime.cluster("short-lived"), "t") == 5


async def test_a_token_is_not_good_for_the_next_cluster_of_that_name(
    careful: Tools, runtime: Runtime
) -> None:
    runtime.create_db_cluster("reborn")
    token = token_in(await careful.fails("delete_cluster", cluster="reborn"))
    runtime.delete_db_cluster("reborn", skip_final_snapshot=True)
    loaded(runtime.create_db_cluster("reborn"), "t")
    refusal = await careful.fails("delete_cluster", cluster="reborn", confirmation=token)
    assert "another call" in refusal
    assert count(runtime.cluster("reborn"), "t") == 5


async def test_a_server_that_allows_it_has_no_confirmation_to_give(
    tools: Tools, careful: Tools
) -> None:
    for server, has in ((tools.server, False), (careful.server, True)):
        async with Client(server) as client:
            listed = {each.name: each for each in (await client.list_tools()).tools}
        for name in ("execute_sql", "delete_cluster", "rewind", "branch", "snapshot"):
            assert ("confirmation" in listed[name].input_schema["properties"]) is has
        for name in ("run_query", "restore_point", "undo_rewind", "create_cluster"):
            assert "confirmation" not in listed[name].input_schema["properties"]


async def test_the_way_back_names_no_tool_that_a_server_lacks(
    runtime: Runtime, vault: ClusterHandle
) -> None:
    scope = ServerScope("vault", toolsets=chosen("writes"), allow_destructive=True)
    loaded(vault, "scoped")
    done = await Tools(build_server(runtime, scope))("execute_sql", sql="drop table scoped")
    assert "borealis rewind vault before-execute-sql-" in done["notes"]


@pytest.mark.parametrize("other", [["--read-only"], ["--dsn", "postgresql://localhost/x"]])
def test_nothing_to_allow_is_an_error(
    state_dir: Any, capfd: pytest.CaptureFixture[str], other: list[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["mcp", "--state-dir", str(state_dir / "no"), "--allow-destructive", *other])
    assert "nothing to allow" in capfd.readouterr().err


async def test_memories_are_forgotten_once_that_is_confirmed(
    runtime: Runtime, vault: ClusterHandle
) -> None:
    careful = Tools(build_server(runtime, ServerScope("vault", toolsets=chosen("memory"))))
    scope = "user:careful"
    kept = (await careful("remember", scope=scope, text="Keeps bees on the roof"))["id"]
    refused = await careful.fails("forget", scope=scope, ids=[kept])
    assert "1 of the memories of user:careful" in refused
    assert len((await careful("list_memories", scope=scope))["rows"]) == 1
    await careful("forget", scope=scope, ids=[kept], confirmation=token_in(refused))
    assert not (await careful("list_memories", scope=scope)).get("rows")
