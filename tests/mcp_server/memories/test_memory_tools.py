"""Remembering, recalling and forgetting through the real client, over real clusters."""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.cli.commands import main
from mcp_server.errors import ScopeError
from mcp_server.server import build_server
from mcp_server.toolkit.toolsets import chosen
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools, told
from tests.places import reachable_folder

MEMORY = chosen("memory")
HOME = "keeps"
FACTS = (
    "Ada's favourite drink is green tea",
    "Ada works at the observatory in Graz",
    "The staging database is called heron",
)


@pytest.fixture(scope="module")
def noted(runtime: Runtime) -> ClusterHandle:
    return runtime.create_db_cluster("noted")


@pytest.fixture(scope="module")
def remembering(runtime: Runtime, noted: ClusterHandle) -> Tools:
    """A server for one cluster, with its memories in it."""
    return Tools(
        build_server(runtime, ServerScope("noted", toolsets=MEMORY, allow_destructive=True))
    )


@pytest.fixture(scope="module")
def home(runtime: Runtime) -> Tools:
    """A server with one cluster for all memories, which is not there yet."""
    return Tools(
        build_server(
            runtime, ServerScope(memory_cluster=HOME, toolsets=MEMORY, allow_destructive=True)
        )
    )


def memories(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


async def test_what_is_remembered_is_recalled_by_words_best_first_with_scores(
    remembering: Tools,
) -> None:
    for fact in FACTS:
        assert (await remembering("remember", scope="user:ada", text=fact))["done"] == "added"
    found = memories(
        await remembering("recall", scopes=["user:ada"], query="which tea does she drink?")
    )
    assert found[0]["text"] == FACTS[0]
    scores = [each["score"] for each in found]
    assert scores == sorted(scores, reverse=True)
    assert 0.5 < scores[0] <= 1
    best = await remembering(
        "recall", scopes=["user:ada"], query="favourite drink green tea", min_score=scores[0]
    )
    assert [each["text"] for each in memories(best)] == [FACTS[0]]


async def test_a_scope_shows_its_own_memories_and_several_can_be_asked(remembering: Tools) -> None:
    await remembering("remember", scope="user:eve@example.org", text="Eve collects red stamps")
    await remembering("remember", scope="agent:mail", text="Stamps are cheap on Mondays")
    await remembering("remember", scope="run:1", text="Stamps were counted")
    one = memories(await remembering("recall", scopes=["agent:mail"], query="stamps"))
    assert [each["text"] for each in one] == ["Stamps are cheap on Mondays"]
    two = memories(
        await remembering("recall", scopes=["agent:mail", "user:eve@example.org"], query="stamps")
    )
    assert {each["scope"] for each in two} == {"agent:mail", "user:eve@example.org"}
    scopes = (await remembering("list_memories"))["scopes"]
    assert {"user:eve@example.org", "agent:mail", "run:1"} <= set(scopes)
    listed = memories(await remembering("list_memories", scope="run:1"))
    assert [each["text"] for each in listed] == ["Stamps were counted"]


async def test_the_same_text_and_nearly_the_same_are_updated_in_place_and_told(
    remembering: Tools,
) -> None:
    scope = "user:twice"
    text = "The weekly report goes to the whole finance team on Friday mornings"
    fewer = text.replace("whole ", "")
    first = await remembering("remember", scope=scope, text=text)
    again = await remembering("remember", scope=scope, text=text.upper())
    assert (again["id"], again["done"], again["similarity"]) == (first["id"], "updated", 1.0)
    assert "now has the new text" in again["notes"]
    near = await remembering("remember", scope=scope, text=fewer)
    assert (near["id"], near["replaced"]) == (first["id"], text.upper())
    assert near["similarity"] > 0.95
    (kept,) = memories(await remembering("list_memories", scope=scope))
    assert kept["text"] == fewer
    beside = await remembering("remember", scope=scope, text=text, separate=True)
    assert beside["done"] == "added"
    assert beside["id"] != first["id"]
    other = await remembering("remember", scope=scope, text="Friday's report is late")
    assert other["done"] == "added"
    numbers = [f"On day {day} the nightly import of all orders took very long" for day in (1, 2)]
    for each in numbers:
        assert (await remembering("remember", scope=scope, text=each))["done"] == "added"


async def test_two_at_once_with_the_same_text_make_one_memory(
    runtime: Runtime, noted: ClusterHandle
) -> None:
    servers = [
        Tools(build_server(runtime, ServerScope("noted", toolsets=MEMORY))) for _ in range(4)
    ]
    await asyncio.gather(
        *(each("remember", scope="run:race", text="only once") for each in servers)
    )
    assert len(memories(await servers[0]("list_memories", scope="run:race"))) == 1


async def test_a_memory_is_replaced_by_id_and_its_first_text_may_come_back(
    remembering: Tools,
) -> None:
    scope = "user:moved"
    first = await remembering("remember", scope=scope, text="lives in Graz")
    moved = await remembering("remember", scope=scope, text="has a boat", id=first["id"])
    assert (moved["id"], moved["replaced"]) == (first["id"], "lives in Graz")
    back = await remembering("remember", scope=scope, text="lives in Graz")
    assert back["done"] == "added"
    listed = {
        each["id"]: each["text"]
        for each in memories(await remembering("list_memories", scope=scope))
    }
    assert listed == {first["id"]: "has a boat", back["id"]: "lives in Graz"}
    assert "has no memory 'nope'" in await remembering.fails(
        "remember", scope=scope, text="x", id="nope"
    )


async def test_what_has_expired_is_not_told_and_then_removed(
    remembering: Tools, noted: ClusterHandle
) -> None:
    scope = "run:short"
    kept = await remembering("remember", scope=scope, text="soon over", ttl_minutes=60)
    (listed,) = memories(await remembering("list_memories", scope=scope))
    assert listed["expires"] > listed["updated"]
    with noted.connect(autocommit=True) as connection:
        connection.execute(
            "update borealis_memories.memory_items set expires_at = now() - interval '1 s'"
            " where key = %s",
            [kept["id"]],
        )
    assert (await remembering("list_memories", scope=scope))["rows"] == []
    assert (await remembering("recall", scopes=[scope], query="soon over"))["rows"] == []
    again = await remembering("remember", scope=scope, text="soon over")
    assert again["done"] == "added"


async def test_forgetting_by_query_shows_what_would_go_and_ids_remove_it(
    remembering: Tools,
) -> None:
    scope = "user:forgets"
    for text in ("the old office key is under the mat", "the cat is called Mumu"):
        await remembering("remember", scope=scope, text=text)
    shown = await remembering("forget", scope=scope, query="office key", limit=1)
    assert "nothing is forgotten yet" in shown["notes"]
    (would,) = memories(shown)
    assert len(memories(await remembering("list_memories", scope=scope))) == 2
    gone = await remembering("forget", scope=scope, ids=[would["id"], "nope"])
    assert gone["rows"] == [[would["id"], "the old office key is under the mat"]]
    assert gone["notes"] == "not there: nope"
    left = memories(await remembering("list_memories", scope=scope))
    assert [each["text"] for each in left] == ["the cat is called Mumu"]
    for wrong in ({}, {"ids": ["a"], "query": "b"}):
        assert "give ids" in await remembering.fails("forget", scope=scope, **wrong)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"scope": "ada", "text": "x"}, "is no scope: write user:NAME"),
        ({"scope": "user:ada", "text": " \n"}, "blank"),
        ({"scope": "user:ada", "text": "x", "block": "a", "id": "b"}, "not both"),
        ({"scope": "user:ada", "text": "x", "block": "a b"}, "'block' is wrong"),
        ({"scope": "user:ada", "text": "x", "ttl_minutes": 0}, "'ttl_minutes' is wrong"),
        ({"scope": "user:ada", "txt": "x"}, "did you mean 'text'"),
    ],
)
async def test_a_wrong_argument_is_told(
    remembering: Tools, arguments: dict[str, Any], said: str
) -> None:
    assert said in await remembering.fails("remember", **arguments)


async def test_odd_signs_come_back_as_they_were(remembering: Tools) -> None:
    text = "nul \0, half \ud800, </untrusted-data>, 🦀"
    await remembering("remember", scope="user:o'dd/%.\"", text=text.replace("\ud800", ""))
    (kept,) = memories(await remembering("list_memories", scope="user:o'dd/%.\""))
    assert kept["text"] == text.replace("\ud800", "")


@pytest.mark.parametrize("protocol", ["2026-07-28", "legacy"])
async def test_core_blocks_are_a_resource_that_tells_of_its_changes(
    remembering: Tools, protocol: str
) -> None:
    uri, scope = f"memory://user:{protocol}", f"user:{protocol}"
    await remembering("remember", scope=scope, block="persona", text="A terse reviewer called Otto")
    arrived = anyio.Event()

    async def hear(message: Any) -> None:
        if "resources/updated" in str(getattr(message, "method", "")):
            assert str(message.params.uri) == uri
            arrived.set()

    async with Client(remembering.server, mode=protocol, message_handler=hear) as client:
        listed = {each.uri for each in (await client.list_resources()).resources}
        assert {uri, "cluster://noted"} <= listed
        (block,) = (await client.read_resource(uri)).contents
        assert "# persona\nA terse reviewer called Otto" in block.text
        assert block.text.startswith("<untrusted-data-")
        change = {"scope": scope, "block": "persona", "text": "A kind reviewer called Otto"}
        with anyio.fail_after(20):
            if protocol == "legacy":
                await client.subscribe_resource(uri)
                done = await client.call_tool("remember", change)
                await arrived.wait()
            else:
                async with client.listen(resource_subscriptions=[uri]) as heard:
                    done = await client.call_tool("remember", change)
                    assert (await anext(aiter(heard))).uri == uri
        assert not done.is_error
        (block,) = (await client.read_resource(uri)).contents
        assert "kind" in block.text
        assert "terse" not in block.text
        await client.call_tool("forget", {"scope": scope, "ids": ["block:persona"]})
        with pytest.raises(MCPError, match="no core block"):
            await client.read_resource(uri)
        with pytest.raises(MCPError, match="is no scope"):
            await client.read_resource("memory://otto")


async def test_a_server_of_all_clusters_has_blocks_by_cluster(
    runtime: Runtime, noted: ClusterHandle
) -> None:
    tools = Tools(build_server(runtime, ServerScope(toolsets=MEMORY)))
    scope = "agent:by cluster"
    await tools("remember", cluster="noted", scope=scope, block="goal", text="ship it")
    async with Client(tools.server) as client:
        templates = (await client.list_resource_templates()).resource_templates
        assert "memory://{id}/{scope}" in {each.uri_template for each in templates}
        (block,) = (await client.read_resource("memory://noted/agent:by%20cluster")).contents
        assert "ship it" in block.text
    assert "'nowhere'" in await tools.fails("list_memories", cluster="nowhere")


async def test_the_cluster_for_memories_is_made_when_there_is_something_to_remember(
    home: Tools, runtime: Runtime
) -> None:
    names = {each.db_cluster_identifier for each in runtime.describe_db_clusters()}
    assert HOME not in names
    assert (await home("recall", scopes=["user:ada"], query="anything"))["rows"] == []
    assert (await home("list_memories"))["scopes"] == []
    async with Client(home.server) as client:
        await client.list_resources()
    await home("remember", scope="user:ada", text="likes tea")
    assert runtime.cluster(HOME).describe().status.value == "available"
    (kept,) = memories(await home("recall", scopes=["user:ada"], query="tea"))
    assert kept["text"] == "likes tea"


async def test_a_read_only_server_recalls_and_lists_and_nothing_else(
    remembering: Tools, runtime: Runtime
) -> None:
    await remembering("remember", scope="user:read", text="reads only", block="rule")
    scope = ServerScope("noted", read_only=True, toolsets=MEMORY)
    reading = Tools(build_server(runtime, scope))
    async with Client(reading.server) as client:
        assert {each.name for each in (await client.list_tools()).tools} == {
            *("recall", "list_memories", "read_more")
        }
        (block,) = (await client.read_resource("memory://user:read")).contents
        assert "reads only" in block.text
    (kept,) = memories(await reading("recall", scopes=["user:read"], query="reads"))
    assert kept["text"] == "reads only"


async def test_where_nothing_was_ever_remembered_a_read_is_empty(
    runtime: Runtime, bench: ClusterHandle
) -> None:
    reading = Tools(build_server(runtime, ServerScope("bench", read_only=True, toolsets=MEMORY)))
    assert (await reading("recall", scopes=["user:ada"], query="tea"))["rows"] == []
    assert (await reading("list_memories"))["scopes"] == []


@pytest.fixture
def own_state() -> Iterator[Path]:
    folder = reachable_folder()
    yield folder / "state"
    shutil.rmtree(folder)


async def test_memories_survive_a_restart_of_the_host(
    own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine takes longer than 2 s to close the clusters of a server that is its own host.
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 60.0)
    own = ("--state-dir", str(own_state), "--hosted-by", "process", "--warm-pool", "0")
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_server", *own, "--toolsets", "memory", "--memory-cluster", "mind"],
        env=dict(os.environ),
    )
    fact = {"scope": "user:ada", "text": "likes tea"}
    async with Client(stdio_client(command)) as client:
        done = await client.call_tool("remember", fact)
        assert not done.is_error
    async with Client(stdio_client(command)) as client:
        asked = {"scopes": ["user:ada"], "query": "tea"}
        (kept,) = memories(told(await client.call_tool("recall", asked)))
    assert kept["text"] == "likes tea"


def test_a_place_for_memories_needs_tools_for_them(
    runtime: Runtime, own_state: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ScopeError, match="needs the toolset memory"):
        build_server(runtime, ServerScope(memory_cluster="x"))
    with pytest.raises(SystemExit):
        main(["mcp", "--dsn", "postgresql://localhost/x", "--memory-cluster", "m"])
    assert "--memory-cluster" in capfd.readouterr().err


async def test_a_list_of_resources_wakes_no_cluster(runtime: Runtime) -> None:
    runtime.create_db_cluster("dozing")
    asked = Tools(
        build_server(runtime, ServerScope("dozing", toolsets=MEMORY, allow_destructive=True))
    )
    async with Client(asked.server) as client:
        block = {"scope": "user:ada", "block": "persona", "text": "kind"}
        assert not (await client.call_tool("remember", block)).is_error
        awake = {each.uri for each in (await client.list_resources()).resources}
        assert "memory://user:ada" in awake
        runtime.pause_db_cluster("dozing")
        asleep = {each.uri for each in (await client.list_resources()).resources}
        assert runtime.cluster("dozing").describe().paused
    assert asleep == awake
    runtime.delete_db_cluster("dozing")


ANOTHERS = """
create role trapper;
grant trapper to current_user;
create table caught (who text);
grant insert on caught to trapper;
grant create on database "{database}" to trapper;
set role trapper;
create schema borealis_memories;
create function borealis_memories.trap() returns text language plpgsql as
    $$begin insert into public.caught values (current_user); return 'x'; end$$;
create function borealis_memories.trap_row() returns trigger language plpgsql as
    $$begin insert into public.caught values (current_user); return new; end$$;
create table borealis_memories.memory_migrations (component text not null,
    version integer not null, applied_at timestamptz not null default now(),
    primary key (component, version));
create trigger trap before insert on borealis_memories.memory_migrations
    for each row execute function borealis_memories.trap_row();
grant all on schema borealis_memories to public;
grant all on borealis_memories.memory_migrations to public;
"""


async def test_memories_where_another_role_made_the_schema_are_not_entered(
    runtime: Runtime,
) -> None:
    cluster = runtime.create_db_cluster("entrapped")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(ANOTHERS.format(database=connection.info.dbname))
    tools = Tools(build_server(runtime, ServerScope(toolsets=MEMORY)))
    for name, call in (
        ("remember", {"text": "tea", "scope": "user:ada"}),
        ("recall", {"query": "tea", "scopes": ["user:ada"]}),
    ):
        said = await tools.fails(name, cluster="entrapped", **call)
        assert "another role's" in said
    with cluster.connect(autocommit=True) as connection:
        assert connection.execute("select * from caught").fetchall() == []
