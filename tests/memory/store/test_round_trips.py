"""How often a store's calls wait for the server: each wait is a share of what an agent waits."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.store.base import GetOp, ListNamespacesOp, Op, PutOp, SearchOp

from memory import BorealisStore
from memory.errors import SetupRequiredError

Trips = Callable[[Callable[[], Any]], int]
A, B = ("a",), ("b",)
INDEX = {"fields": ["text"]}
ENDS = ("Sync", "Query")
"""Messages after which a client waits."""


@pytest.fixture
def connection(fresh_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(fresh_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def trips(connection: psycopg.Connection[Any], tmp_path: Path) -> Trips:
    """How many answers a call waited for, as libpq's trace of the wire tells."""

    def counted(call: Callable[[], Any]) -> int:
        with (tmp_path / "trace").open("w+") as trace:
            connection.pgconn.trace(trace.fileno())
            try:
                call()
            finally:
                connection.pgconn.untrace()
            trace.seek(0)
            fields = [line.split("\t")[1:4] for line in trace]  # SQL may be of several lines
        return sum(each[0] == "F" and each[-1].strip() in ENDS for each in fields if len(each) == 3)

    return counted


def test_an_item_with_its_vectors_is_put_by_one_statement(
    connection: psycopg.Connection[Any], trips: Trips
) -> None:
    store = BorealisStore(connection, index={**INDEX, "hybrid": True})
    store.setup()
    assert trips(lambda: store.put(A, "k", {"text": "a red boat"})) == 1
    assert trips(lambda: store.put(A, "k", {"text": "a blue boat"}, index=False)) == 1
    assert trips(lambda: store.delete(A, "k")) == 1
    both: list[Op] = [PutOp(A, "k", {"text": "a hill"}), PutOp(B, "k", {"text": "a lake"})]
    assert trips(lambda: store.batch(both)) == 4  # a transaction of two
    assert store.search(B, query="lake")[0].value == {"text": "a lake"}


def test_the_reads_of_a_batch_share_their_round_trips(
    connection: psycopg.Connection[Any], trips: Trips
) -> None:
    store = BorealisStore(connection, index=INDEX, ttl={"refresh_on_read": True})
    store.setup()
    store.put(A, "k", {"text": "a red boat"}, ttl=10)
    store.search(A, query="boat")  # counts the namespace, as is done now and then
    missing = GetOp(A, "none")
    kept: list[Op] = [missing, SearchOp(A, query="boat", refresh_ttl=False), ListNamespacesOp()]
    assert trips(lambda: store.batch(kept)) == 2  # the search looks twice: for one without vector
    renewed: list[Op] = [GetOp(A, "k"), SearchOp(A, query="boat"), GetOp(B, "k")]
    assert trips(lambda: store.batch(renewed)) == 3
    results: list[Any] = store.batch(renewed)
    got, found, absent = results
    assert got.value == found[0].value == {"text": "a red boat"}
    assert absent is None


def test_a_hybrid_search_asks_once_for_its_words(
    connection: psycopg.Connection[Any], trips: Trips
) -> None:
    store = BorealisStore(connection, index={**INDEX, "hybrid": True})
    store.setup()
    store.put(A, "k", {"text": "the boat of O'Brien \\ Söhne"})
    assert trips(lambda: store.search(A, query="O'Brien's \\ boat", limit=1)) == 2
    assert store.search(A, query="O'Brien's \\ boat", limit=1)[0].score == 1


async def test_reads_in_one_round_trip_say_what_is_wrong(fresh_dsn: str) -> None:
    async with BorealisStore(fresh_dsn) as store:
        reads: list[Op] = [GetOp(A, "k"), SearchOp(A), ListNamespacesOp()]
        with pytest.raises(SetupRequiredError, match="call setup"):
            await store.abatch(reads)
        with pytest.raises(SetupRequiredError, match="call setup"):
            store.batch(reads)
        await store.asetup()
        assert await store.abatch(reads) == store.batch(reads) == [None, [], []]
