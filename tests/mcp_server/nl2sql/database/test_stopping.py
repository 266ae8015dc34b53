"""Work of a thread on a database, whose caller goes."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import psycopg
import pytest

from mcp_server.nl2sql.database.lending import LENT_MAX, Lender
from mcp_server.nl2sql.database.stopping import AbandonedError, StoppableConnection, in_thread
from tests.waiting import wait_until

STUBBORN = (
    "do $$ begin loop begin perform pg_sleep(60); exception when query_canceled then null; end; "
    "end loop; end $$"
)


@pytest.fixture
def connection(server_dsn: str) -> Iterator[StoppableConnection]:
    with StoppableConnection.connect(server_dsn, autocommit=True) as opened:
        opened.know_itself(server_dsn)
        yield opened


def busy(dsn: str, pid: int) -> bool:
    with psycopg.connect(dsn) as another:
        sql = "select count(*) from pg_stat_activity where pid = %s and state = 'active'"
        return another.execute(sql, [pid]).fetchone() == (1,)


async def left(dsn: str, pid: int, work: Callable[[], object]) -> None:
    """Wait for work in a thread until it is under way, and then no longer."""
    waiting = asyncio.ensure_future(in_thread(work))
    await asyncio.to_thread(wait_until, lambda: busy(dsn, pid))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_statement_that_nobody_waits_for_is_cancelled_and_no_other_begins(
    server_dsn: str, connection: StoppableConnection
) -> None:
    raised: list[BaseException] = []
    ended = threading.Event()

    def work() -> None:
        try:
            for _ in range(3):
                try:
                    connection.execute("select pg_sleep(60)")
                except psycopg.errors.QueryCanceled as error:
                    raised.append(error)  # as who tries the next candidate
        except AbandonedError as error:
            raised.append(error)
        ended.set()

    await left(server_dsn, connection.server_pid, work)
    assert ended.is_set()
    assert [type(each) for each in raised] == [psycopg.errors.QueryCanceled, AbandonedError]
    assert connection.execute("select 1").fetchone() == (1,)
    assert connection.disturbed, "a cancellation that is late comes to what it runs next"


async def test_a_connection_that_was_disturbed_is_lent_to_nobody(server_dsn: str) -> None:
    lender = Lender(server_dsn)
    lent: list[int] = []

    def work() -> None:
        with lender.lend() as loan, suppress(psycopg.errors.QueryCanceled):
            lent.append(loan.conn.info.backend_pid)
            loan.conn.execute("select pg_sleep(60)")

    waiting = asyncio.ensure_future(in_thread(work))
    await asyncio.to_thread(wait_until, lambda: lent and busy(server_dsn, lent[0]))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with lender.lend() as loan:
        assert loan.conn.info.backend_pid != lent[0]
    lender.close()


async def test_who_waits_for_a_connection_stops_too(server_dsn: str) -> None:
    lender = Lender(server_dsn)
    with ExitStack() as stack:
        for _ in range(LENT_MAX):
            stack.enter_context(lender.lend())
        begun = threading.Event()

        def work() -> None:
            begun.set()
            with lender.lend():
                raise AssertionError("there was none to lend")

        waiting = asyncio.ensure_future(in_thread(work))
        await asyncio.to_thread(begun.wait)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 30)
    lender.close()


async def test_a_session_that_catches_its_cancellation_is_ended(
    server_dsn: str, connection: StoppableConnection
) -> None:
    await left(server_dsn, connection.server_pid, lambda: connection.execute(STUBBORN))
    assert not busy(server_dsn, connection.server_pid)
    assert connection.broken


async def test_work_without_a_database_is_waited_for() -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go.wait(30)
        return "done"

    waiting = asyncio.ensure_future(in_thread(work))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_the_work_says_is_passed_on(connection: StoppableConnection) -> None:
    def work() -> tuple[object, ...] | None:
        return connection.execute("select 42").fetchone()

    assert await in_thread(work) == (42,)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await in_thread(lambda: connection.execute("select 1 / 0"))
