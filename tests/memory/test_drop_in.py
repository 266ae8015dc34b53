"""Programs that were written for LangGraph's and LangChain's classes run with a name changed."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.graph import START, MessagesState, StateGraph
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import URL

from memory import (
    BorealisChatMessageHistory,
    BorealisSaver,
    BorealisStore,
    BorealisVectorStore,
)
from memory.database.dialing import without_driver
from memory.database.failures import Failure, classify
from memory.errors import ConfigurationError
from tests.waiting import wait_until

CONFIG: Any = {"configurable": {"thread_id": "1"}}


def graph(checkpointer: Any, store: Any) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("n", lambda _: {"messages": [("ai", "hello")]})
    builder.add_edge(START, "n")
    return builder.compile(checkpointer=checkpointer, store=store)


def test_from_conn_string_is_a_context_manager(fresh_dsn: str) -> None:
    with (
        BorealisSaver.from_conn_string(fresh_dsn) as saver,
        BorealisStore.from_conn_string(fresh_dsn, pool_config={"max_size": 3}) as store,
    ):
        saver.setup()
        store.setup()
        found = graph(saver, store).invoke({"messages": [("user", "hi")]}, CONFIG)
        assert [message.content for message in found["messages"]] == ["hi", "hello"]


async def test_setup_can_be_awaited_as_with_the_asynchronous_classes(fresh_dsn: str) -> None:
    async with (
        BorealisSaver.from_conn_string(fresh_dsn) as saver,
        BorealisStore.from_conn_string(fresh_dsn, index={}) as store,
        BorealisChatMessageHistory.from_conn_string(fresh_dsn, "s") as history,
    ):
        await saver.setup()
        await store.setup()
        await history.setup()
        await graph(saver, store).ainvoke({"messages": [("user", "hi")]}, CONFIG)
        await history.aadd_messages([])


async def test_setup_of_asynchronous_connections_is_awaited(fresh_dsn: str) -> None:
    async with AsyncConnectionPool(fresh_dsn, kwargs={"autocommit": True}, open=False) as pool:
        saver = BorealisSaver(pool)
        await saver.setup()
        assert await saver.aget_tuple(CONFIG) is None


def test_urls_of_sqlalchemy_are_taken(fresh_dsn: str) -> None:
    from psycopg.conninfo import conninfo_to_dict

    query = {name: str(value) for name, value in conninfo_to_dict(fresh_dsn).items()}
    url = URL.create("postgresql+psycopg", query=query)
    for source in (url, url.render_as_string(hide_password=False)):
        with BorealisSaver(source) as saver:
            saver.setup()
            assert saver.get_tuple(CONFIG) is None
    assert without_driver("postgresql+asyncpg://u:p+q@h/d") == "postgresql://u:p+q@h/d"
    assert without_driver("host=a+b") == "host=a+b"


def test_threads_that_expired_are_swept_from_the_background(fresh_dsn: str) -> None:
    import psycopg

    with BorealisSaver(fresh_dsn, ttl=0.0001) as saver:
        saver.setup()
        graph(saver, None).invoke({"messages": [("user", "hi")]}, CONFIG)
        future = saver.start_ttl_sweeper(0.0005)
        with pytest.raises(ConfigurationError, match="is running"):
            saver.start_ttl_sweeper()
        with psycopg.connect(fresh_dsn, autocommit=True) as conn:
            count = "select count(*) from borealis.memory_threads"
            wait_until(lambda: conn.execute(count).fetchone() == (0,))
        future.cancel()
        assert saver.stop_ttl_sweeper(10)
    with pytest.raises(ConfigurationError, match="must be positive"):
        saver.start_ttl_sweeper(0)


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        ("fe_sendauth: no password supplied", Failure.PERMANENT),
        ("SCRAM authentication requires libpq version 10 or above", Failure.PERMANENT),
        ('FATAL:  LDAP authentication failed for user "u"', Failure.PERMANENT),
        ("server requested SCRAM-SHA-256, but no password was given", Failure.PERMANENT),
        ("failed to resolve host 'x': [Errno -2] Name or service not known", Failure.PERMANENT),
        ("[Errno -3] Temporary failure in name resolution", Failure.CONNECTION_LOST),
        ("connection refused", Failure.CONNECTION_LOST),
    ],
)
def test_what_waiting_cannot_change_is_not_tried_again(said: str, failure: Failure) -> None:
    import psycopg

    assert classify(psycopg.OperationalError(said)) is failure


def test_a_host_that_no_name_server_knows_is_an_error_at_once() -> None:
    import time

    import psycopg

    saver = BorealisSaver("host=no-such-host.invalid dbname=x", deadline=3)
    started = time.monotonic()
    for look in (
        lambda: saver.get_tuple(CONFIG),
        lambda: asyncio.run(saver.aget_tuple(CONFIG)),
    ):
        with pytest.raises((psycopg.OperationalError, TimeoutError)) as raised:
            look()
        if "Temporary failure" in str(raised.value):
            pytest.skip("there is no name server here")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("make", "meant"),
    [
        (lambda dsn: BorealisSaver(dsn, deadlne=3), "deadline"),
        (lambda dsn: BorealisSaver.from_conn_string(dsn, alow=[]), "allow"),
        (lambda dsn: BorealisStore(dsn, idnex=None), "index"),
        (lambda dsn: BorealisStore.from_conn_string(dsn, pool_sise=2), "pool_size"),
        (lambda dsn: BorealisVectorStore(dsn, deadlne=3), "deadline"),
        (lambda dsn: BorealisVectorStore.from_conn_string(dsn, shema_name="x"), "schema_name"),
        (lambda dsn: BorealisVectorStore.create_sync(dsn, None, "x", hybird=True), "hybrid"),
        (lambda dsn: BorealisChatMessageHistory(dsn, "x", limt=3), "limit"),
    ],
)
def test_a_misspelt_keyword_is_named_with_the_nearest(
    fresh_dsn: str, make: Callable[[str], object], meant: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"did you mean '{meant}'"):
        make(fresh_dsn)
