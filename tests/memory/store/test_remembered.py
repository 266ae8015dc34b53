"""What a store remembers and why: origins of items, expiry, what cannot be read."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.config import get_store
from langgraph.graph import START, MessagesState, StateGraph

from memory import BorealisSaver, BorealisStore, Unreadable
from memory.checkpoints.overview import time_of
from memory.database.tenancy import grant
from memory.encoding.encryption import AesGcm
from memory.errors import ConfigurationError
from memory.store.origins import current_origin, origin_of
from tests.previous_release import checked_out, run

RELEASE = "f6d4ded"
"""The commit of the release before items had origins."""


@pytest.fixture
def store(fresh_dsn: str) -> Any:
    with BorealisStore(fresh_dsn, index={"fields": ["text"]}) as made:
        made.setup()
        yield made


def remembering(saver: BorealisSaver, store: BorealisStore, **items: str) -> Any:
    def note(state: MessagesState) -> Any:
        for key, text in items.items():
            get_store().put(("notes", "ada"), key, {"text": text})
        return {"messages": [AIMessage("noted")]}

    async def anote(state: MessagesState) -> Any:
        await get_store().aput(("notes", "later"), "asynchronous", {"text": "too"})
        return {}

    builder = StateGraph(MessagesState)
    builder.add_node("note", note)
    builder.add_node("anote", anote)
    builder.add_edge(START, "note")
    builder.add_edge("note", "anote")
    return builder.compile(checkpointer=saver, store=store)


async def test_an_item_tells_which_run_put_it(saver: BorealisSaver, store: BorealisStore) -> None:
    graph = remembering(saver, store, colour="blue", tea="green")
    config: Any = {"configurable": {"thread_id": "t"}}
    await graph.ainvoke({"messages": [("user", "hi")]}, config)
    store.put(("notes",), "by hand", {"text": "no run"})
    found = {each.key: each for each in store.remembered(("notes",))}
    assert found["by hand"].origin == {}
    ids = [each.config["configurable"]["checkpoint_id"] for each in saver.list(config)]
    for key, node, step in (("colour", "note", 1), ("asynchronous", "anote", 2)):
        origin = dict(found[key].origin)
        assert (origin["thread_id"], origin["node"], origin["step"]) == ("t", node, step)
        assert origin["checkpoint_id"] in ids
    assert found["tea"].origin["checkpoint_id"] == found["colour"].origin["checkpoint_id"]
    # By others it is not from that run any more.
    store.put(("notes", "ada"), "tea", {"text": "black"})
    by_key = {each.key: each for each in await store.aremembered(("notes", "ada"))}
    assert by_key["tea"].origin == {}
    assert by_key["colour"].origin
    store.delete(("notes", "ada"), "colour")
    with psycopg.connect(store._driver.source) as connection:  # type: ignore[arg-type]
        row = connection.execute("select count(*) from borealis.memory_item_origins").fetchone()
    assert row == (2,)
    assert current_origin() is None


def test_the_view_knows_prefixes_scores_and_expiry(store: BorealisStore) -> None:
    store.put(("a",), "1", {"text": "a red boat"}, ttl=1)
    store.put(("a", "b"), "2", {"text": "a green hill"})
    store.put(("ab",), "3", {"text": "boats"})
    assert [each.key for each in store.remembered(("a",))] == ["2", "1"]
    assert [each.key for each in store.remembered(limit=2)] == ["3", "2"]
    (first, second) = store.remembered(("a",), query="red boats")
    assert (first.key, second.key) == ("1", "2")
    assert first.score is not None
    assert second.score is not None
    assert first.score > second.score
    assert first.expires_at is not None
    left = first.expires_at - first.updated_at
    assert 50 < left.total_seconds() < 70
    with pytest.raises(ConfigurationError, match="no `index`"):
        BorealisStore(store._driver.source).remembered(query="x")


def test_what_cannot_be_read_hides_nothing(fresh_dsn: str) -> None:
    serde = EncryptedSerializer(AesGcm(os.urandom(32)))
    with BorealisStore(fresh_dsn, serde=serde) as secret, BorealisStore(fresh_dsn) as plain:
        secret.setup()
        secret.put(("s",), "hidden", {"text": "secret"})
        plain.put(("s",), "open", {"text": "plain"})
        shown, hidden = plain.remembered()
        assert shown.value == {"text": "plain"}
        assert isinstance(hidden.value, Unreadable)
        assert "encrypted" in hidden.value.reason
        assert secret.remembered()[1].value == {"text": "secret"}


def test_a_tenant_s_role_may_note_origins_where_it_could_put_items(fresh_dsn: str) -> None:
    """Also one that was granted the tables before there were origins."""
    with BorealisStore(fresh_dsn) as owner, psycopg.connect(fresh_dsn, autocommit=True) as admin:
        owner.setup()
        admin.execute("drop table borealis.memory_item_origins")
        admin.execute("drop function borealis.memory_put_noted_items")
        admin.execute("drop function borealis.memory_put_embedded_items")
        admin.execute(
            "delete from borealis.memory_migrations where component = 'items' and version >= 5"
        )
        admin.execute("drop role if exists tenant_of_origins")
        admin.execute("create role tenant_of_origins login")
        grant(fresh_dsn, "tenant_of_origins")
        owner.setup()
        limited = f"{fresh_dsn} user=tenant_of_origins"
        with (
            BorealisSaver(fresh_dsn) as saver,
            BorealisStore(limited, tenant="a") as a,
            BorealisStore(limited, tenant="b") as b,
        ):
            saver.setup()
            graph = remembering(saver, a, colour="blue")
            asyncio.run(graph.ainvoke({"messages": []}, {"configurable": {"thread_id": "t"}}))
            assert {each.key for each in a.remembered()} == {"colour", "asynchronous"}
            assert all(each.origin for each in a.remembered())
            assert b.remembered() == []
        admin.execute("grant tenant_of_origins to current_user")
        admin.execute("drop owned by tenant_of_origins")
        admin.execute("drop role tenant_of_origins")


OF_BEFORE = """
import sys
from memory import BorealisStore
from memory.errors import NewerSchemaError
dsn, what = sys.argv[1:]
store = BorealisStore(dsn, index={"fields": ["text"]})
if what == "first":
    store.setup()
store.put(("n",), what, {"text": what})
print(sorted(item.key for item in store.search(("n",), query="red")))
try:
    store.setup()
except NewerSchemaError as error:
    print("refused:", error)
"""


@pytest.mark.slow
def test_a_process_of_the_last_release_works_beside_the_new_tables(
    fresh_dsn: str, tmp_path: Path
) -> None:
    """It reads and writes on; where it would set the tables up it is told that they are newer."""
    tree = checked_out(tmp_path, RELEASE)
    made = run(tree, OF_BEFORE, fresh_dsn, "first")
    assert made.stdout.strip() == "['first']", made.stderr
    with (
        BorealisStore(fresh_dsn, index={"fields": ["text"]}) as store,
        BorealisSaver(fresh_dsn) as saver,
    ):
        store.setup(), saver.setup()
        assert [each.key for each in store.remembered()] == ["first"]
        graph = remembering(saver, store, colour="blue")
        asyncio.run(graph.ainvoke({"messages": []}, {"configurable": {"thread_id": "t"}}))
        old = run(tree, OF_BEFORE, fresh_dsn, "red").stdout.splitlines()
        assert old[0] == "['first', 'red']"
        assert old[1].startswith("refused: ")
        assert "Upgrade the package" in old[1]
        assert {each.key for each in store.remembered(("n",))} == {"first", "red"}


def test_only_what_tells_of_a_run_is_noted() -> None:
    assert origin_of({}) == {}
    assert origin_of({"metadata": {"langgraph_node": "n", "langgraph_step": 3, "x": 1}}) == {
        "node": "n",
        "step": 3,
    }
    odd = {"configurable": {"thread_id": "a\0b", "__pregel_runtime": object()}, "metadata": None}
    assert origin_of(odd) == {"thread_id": "ab"}


@given(st.integers(0, 100))
def test_the_time_of_a_checkpoint_is_that_of_its_id(clock_seq: int) -> None:
    before = time.time()
    found = time_of(str(uuid6(clock_seq=clock_seq)))
    assert found is not None
    assert before - 0.01 <= found.timestamp() <= time.time() + 0.01
    assert time_of("no uuid") is None
    assert time_of("00000000-0000-4000-8000-000000000000") is None


def test_threads_are_listed(saver: BorealisSaver) -> None:
    graph = StateGraph(MessagesState).add_node("a", lambda _: {}).add_edge(START, "a")
    compiled = graph.compile(checkpointer=saver)
    for thread in ("b", "a\0", "c"):
        config: Any = {"configurable": {"thread_id": thread}}
        compiled.invoke({"messages": [("user", "x" * 5000)]}, config)
    saver.delete_thread("c")
    found = saver.threads()
    assert [each.thread_id for each in found] == ["a\0", "b"]
    assert [each.thread_id for each in saver.threads(after="a\0")] == ["b"]
    assert [each.thread_id for each in saver.threads(limit=1)] == ["a\0"]
    one = found[0]
    assert one.checkpoints == 3
    assert one.bytes > 0
    assert one.first_at is not None
    assert one.last_at is not None
    assert one.first_at < one.last_at
    assert one.expires_at is None
