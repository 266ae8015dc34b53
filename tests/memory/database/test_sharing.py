"""How many connections a process has: as few whatever its event loops, objects and threads."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from itertools import pairwise

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from memory import BorealisChatMessageHistory, BorealisSaver, BorealisStore
from memory.database.pool import Permits
from memory.errors import OperationTimeoutError
from tests.waiting import wait_until

CONFIG = {"configurable": {"thread_id": "1", "checkpoint_ns": ""}}


@pytest.fixture
def watched(fresh_dsn: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """A database, and a connection beside it that counts the others."""
    with psycopg.connect(fresh_dsn, autocommit=True, application_name="watcher") as watcher:
        yield fresh_dsn, watcher


def count(watcher: psycopg.Connection) -> int:
    row = watcher.execute(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name = 'borealis-memory'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def run_loops_and_histories(
    watched: tuple[str, psycopg.Connection], loops: int, histories: int, at_once: int
) -> None:
    dsn, watcher = watched
    saver = BorealisSaver(dsn, deadline=30, max_idle=2)
    saver.setup()
    store = BorealisStore(dsn, deadline=30, max_idle=2)
    store.setup()

    async def some() -> None:
        reads = [saver.aget_tuple(CONFIG) for _ in range(at_once)]
        await asyncio.gather(*reads, store.aput(("a",), "k", {"v": 1}))

    most = 0
    for _ in range(loops):
        asyncio.run(some())
        most = max(most, count(watcher))
    BorealisChatMessageHistory(dsn, "x", deadline=30, max_idle=2).setup()
    for number in range(histories):
        history = BorealisChatMessageHistory(dsn, f"s{number}", deadline=30, max_idle=2)
        history.add_user_message("hi")
        most = max(most, count(watcher))
    assert 0 < most <= 8
    saver.close()
    store.close()
    del history  # never closed, as programs do not
    gc.collect()
    wait_until(lambda: count(watcher) == 0)


def test_event_loops_and_histories_share_a_bounded_number_of_connections(
    watched: tuple[str, psycopg.Connection],
) -> None:
    run_loops_and_histories(watched, loops=20, histories=20, at_once=12)


@pytest.mark.long
def test_500_event_loops_and_200_histories_share_8_connections(
    watched: tuple[str, psycopg.Connection],
) -> None:
    run_loops_and_histories(watched, loops=500, histories=200, at_once=12)


def test_threads_with_loops_of_their_own_and_synchronous_callers_share_the_bound(
    watched: tuple[str, psycopg.Connection],
) -> None:
    dsn, watcher = watched
    with BorealisSaver(dsn, deadline=30, pool_size=3) as saver:
        saver.setup()
        failures: list[Exception] = []
        most: list[int] = []

        def work(number: int) -> None:
            try:
                for _ in range(10):
                    if number % 2:
                        asyncio.run(saver.aget_tuple(CONFIG))
                    else:
                        saver.get_tuple(CONFIG)
            except Exception as error:  # noqa: BLE001 - shown by the assertion below
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most.append(count(watcher))
        assert failures == []
        # The server takes a moment to end one that was closed for one of the other kind: those that
        # one look sees beside others are gone at the next.
        assert max(min(two) for two in pairwise(most)) <= 2 * 3


def test_a_loop_that_is_cancelled_in_a_query_gives_its_connection_back(fresh_dsn: str) -> None:
    with BorealisSaver(fresh_dsn, deadline=5, pool_size=1) as saver:
        saver.setup()
        with psycopg.connect(fresh_dsn) as other:
            other.execute("lock table borealis.memory_threads in access exclusive mode")

            async def hopeless() -> None:
                async with asyncio.timeout(0.2):
                    await saver.aget_tuple(CONFIG)

            with pytest.raises(TimeoutError):
                asyncio.run(hopeless())
        assert asyncio.run(saver.aget_tuple(CONFIG)) is None
        assert saver.get_tuple(CONFIG) is None


def test_objects_of_one_address_share_its_connections_until_the_last_is_closed(
    watched: tuple[str, psycopg.Connection],
) -> None:
    dsn, watcher = watched
    first, second = BorealisSaver(dsn, max_idle=60), BorealisSaver(dsn, max_idle=60)
    first.setup()
    second.setup()
    assert count(watcher) == 1
    first.close()
    assert second.get_tuple(CONFIG) is None
    assert first.get_tuple(CONFIG) is None  # closed, but still of use
    second.close()
    wait_until(lambda: count(watcher) == 0)


def test_a_history_for_each_request_finds_the_connection_of_the_last(
    watched: tuple[str, psycopg.Connection],
) -> None:
    dsn, watcher = watched
    BorealisChatMessageHistory(dsn, "s").setup()
    pids = set()
    for _ in range(5):
        BorealisChatMessageHistory(dsn, "s").add_user_message("hi")
        gc.collect()
        row = watcher.execute(
            "select pid from pg_stat_activity where datname = current_database()"
            " and application_name = 'borealis-memory'"
        ).fetchone()
        pids.add(row)
    assert len(pids) == 1
    assert None not in pids


def test_a_permit_that_nobody_waits_for_any_more_goes_to_the_next(fresh_dsn: str) -> None:
    permits = Permits(1)
    assert permits.acquire(0)
    assert not permits.acquire(0)

    async def impatient() -> bool:
        return await permits.aacquire(0.01)

    assert asyncio.run(impatient()) is False
    permits.release()
    assert permits.acquire(0)
    dsn = make_conninfo(fresh_dsn, application_name="held")
    with BorealisSaver(dsn) as patient:
        patient.setup()
    with BorealisSaver(dsn, pool_size=1, deadline=0.3) as saver:
        assert saver._driver._sources.sync is not None
        held = saver._driver._sources.sync.connection(1e12)
        with held, pytest.raises(OperationTimeoutError, match="all 1 connections stayed busy"):
            saver.get_tuple(CONFIG)
