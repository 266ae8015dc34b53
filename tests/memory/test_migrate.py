"""A database of PostgresSaver and PostgresStore, moved in place."""

from datetime import timedelta
from typing import Any, TypedDict

import psycopg
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.postgres import PostgresStore
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from memory import BorealisSaver, BorealisStore
from memory.migrate import Migrated, migrate


def graph() -> StateGraph[Any]:
    def agent(state: MessagesState) -> dict[str, Any]:
        if state["messages"][-1].content == "ask":
            return {"messages": [AIMessage(f"you said {interrupt('well?')}")]}
        return {"messages": [AIMessage("hello")]}

    builder = StateGraph(MessagesState)
    builder.add_node("agent", agent)
    builder.add_edge(START, "agent")
    return builder


def test_threads_and_items_move_and_a_moved_graph_goes_on_where_it_was(fresh_dsn: str) -> None:
    config: Any = {"configurable": {"thread_id": "one"}}
    with PostgresSaver.from_conn_string(fresh_dsn) as theirs:
        theirs.setup()
        app = graph().compile(checkpointer=theirs)
        for text in ("hi", "again", "ask"):
            app.invoke({"messages": [HumanMessage(text)]}, config)
        before = list(theirs.list(config))
    with PostgresStore.from_conn_string(fresh_dsn) as old_store:
        old_store.setup()
        old_store.put(("users", "ada"), "prefs", {"theme": "dark", "n": 1.5})
        item = old_store.get(("users", "ada"), "prefs")

    assert migrate(fresh_dsn) == Migrated(threads=1, checkpoints=len(before), items=1)
    assert migrate(fresh_dsn).checkpoints == len(before)

    with BorealisSaver(fresh_dsn) as saver, BorealisStore(fresh_dsn) as store:
        assert [found.checkpoint for found in saver.list(config)] == [t.checkpoint for t in before]
        assert [found.metadata for found in saver.list(config)] == [t.metadata for t in before]
        assert [found.pending_writes for found in saver.list(config)] == [
            t.pending_writes for t in before
        ]
        app = graph().compile(checkpointer=saver)
        done = app.invoke(Command(resume="yes"), config)
        assert done["messages"][-1].content == "you said yes"
        app.invoke({"messages": [HumanMessage("more")]}, config)
        assert len(app.get_state(config).values["messages"]) == 8
        assert store.get(("users", "ada"), "prefs") == item


class Mine(BaseModel):
    a: int


class AnyState(TypedDict):
    x: Any


def test_one_thread_of_an_unknown_class_stops_no_other(fresh_dsn: str) -> None:
    builder = StateGraph(AnyState)
    builder.add_node("n", lambda state: {"x": state["x"]})
    builder.add_edge(START, "n")
    values = {"a": 1, "b": Mine(a=1), "c": 3}
    with PostgresSaver.from_conn_string(fresh_dsn) as theirs:
        theirs.setup()
        app = builder.compile(checkpointer=theirs)
        for thread, value in values.items():
            app.invoke({"x": value}, {"configurable": {"thread_id": thread}})
    moved = migrate(fresh_dsn)
    assert (moved.threads, list(moved.refused)) == (2, ["b"])
    assert "Mine is not on the serializer's allow-list" in moved.refused["b"]
    with BorealisSaver(fresh_dsn) as saver:
        assert [thread.thread_id for thread in saver.threads()] == ["a", "c"]
    moved = migrate(fresh_dsn, allow=[Mine])
    assert (moved.threads, moved.refused) == (3, {})
    with BorealisSaver(fresh_dsn, allow=[Mine]) as saver:
        for thread, value in values.items():
            found = saver.get_tuple({"configurable": {"thread_id": thread}})
            assert found is not None
            assert found.checkpoint["channel_values"]["x"] == value


def test_a_database_without_langgraph_tables_is_left_alone(fresh_dsn: str) -> None:
    assert migrate(fresh_dsn) == Migrated(threads=0, checkpoints=0, items=0)


def test_moving_again_keeps_what_was_put_since_and_takes_what_the_old_program_put(
    fresh_dsn: str,
) -> None:
    ns = ("users",)
    with PostgresStore.from_conn_string(fresh_dsn) as old, BorealisStore(fresh_dsn) as store:
        old.setup()
        for key in ("here", "there", "nowhere"):
            old.put(ns, key, {"v": 1})
        assert migrate(fresh_dsn).items == 3
        store.put(ns, "here", {"v": 2})
        old.put(ns, "there", {"v": 2})
        before = [store.get(ns, key) for key in ("here", "nowhere")]
        assert migrate(fresh_dsn).items == 1
        assert [store.get(ns, key) for key in ("here", "nowhere")] == before
        assert store.get(ns, "there") == old.get(ns, "there")


def test_an_item_keeps_its_lifetime_and_when_it_expires(fresh_dsn: str) -> None:
    times = (
        'select key, expires_at, {} from {} where expires_at is not null order by key collate "C"'
    )
    with (
        PostgresStore.from_conn_string(fresh_dsn, ttl={}) as old,
        BorealisStore(fresh_dsn) as store,
        psycopg.connect(fresh_dsn, autocommit=True) as admin,
    ):
        old.setup()
        old.put(("a",), "long", {"v": 1}, ttl=60 * 24)
        old.put(("a",), "short", {"v": 1}, ttl=0.4)
        old.put(("a",), "endless", {"v": 1}, ttl=None)
        admin.execute(
            "update store set expires_at = now() + interval '5 minutes' where key = 'long'"
        )
        expected = admin.execute(times.format("ttl_minutes", "store")).fetchall()
        assert migrate(fresh_dsn).items == 3
        found = admin.execute(times.format("ttl", "borealis.memory_items")).fetchall()
        assert [row[:2] for row in found] == [row[:2] for row in expected]
        assert found[0][2] == timedelta(days=1)
        assert store.get(("a",), "long") is not None
        (renewed,) = admin.execute(
            "select expires_at - now() from borealis.memory_items where key = 'long'"
        ).fetchone() or (None,)
        assert renewed is not None
        assert renewed > timedelta(hours=23)
