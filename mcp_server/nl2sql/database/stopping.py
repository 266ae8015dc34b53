"""Work of a thread on a database, ended by a caller that waits for it no longer.

A thread cannot be told to stop while the database makes it wait. Whoever waits for the thread
cancels the statement instead, and the thread's next one is refused.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg.abc import PQGen

T = TypeVar("T")

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 0.1
"""A cancellation that comes just before its statement is lost, so it is sent again."""
LISTENS_SECONDS = 0.5
"""SQL can catch its cancellation; then its session is ended."""
CANCEL_SECONDS = 2.0
TERMINATE = "select pg_catalog.pg_terminate_backend(%s)"
PID = "select pg_catalog.pg_backend_pid()"


class AbandonedError(Exception):
    """Nobody waits for this work any more. It is no error of the database, and handled as none."""


class StoppableConnection(psycopg.Connection[Any]):
    """A connection whose statements end when the caller of `in_thread` goes.

    dsn: how its session can be ended from another one; server_pid: which it is, 0 where that is not
    sure. disturbed: a cancellation was sent to it, and may come to its next statement.
    """

    dsn = ""
    server_pid = 0
    disturbed = False

    def wait(self, gen: PQGen[T], *arguments: Any, **options: Any) -> T:
        """As psycopg's. Raises AbandonedError where nobody waits for it."""
        stop = _current.get()
        if stop is None:
            return super().wait(gen, *arguments, **options)
        with stop.having(self):
            return super().wait(gen, *arguments, **options)

    def know_itself(self, dsn: str) -> None:
        """Find out which session it is. Behind a pooler the next statement may have another."""
        self.dsn = dsn
        (pid,) = self.execute(PID).fetchone() or (0,)
        self.server_pid = int(pid) if pid == self.info.backend_pid else 0


class _Stop:
    """What one thread has a database do, and whether anybody still waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._running: StoppableConnection | None = None

    @contextmanager
    def having(self, connection: StoppableConnection) -> Iterator[None]:
        """While a connection is waited for."""
        with self._lock:
            if self._asked:
                raise AbandonedError
            self._running = connection
        try:
            yield
        finally:
            with self._lock:
                self._running = None

    def go_on(self) -> None:
        """Raise AbandonedError where nobody waits any more."""
        with self._lock:
            if self._asked:
                raise AbandonedError

    def ask(self) -> None:
        """Refuse what comes, and cancel what runs."""
        with self._lock:
            self._asked = True
            connection = self._running
            if connection is not None:
                connection.disturbed = True
        if connection is not None:
            connection.cancel_safe(timeout=CANCEL_SECONDS)

    def insist(self) -> None:
        """End the session of what runs all the same."""
        with self._lock:
            connection = self._running
        if connection is not None and connection.server_pid:
            with psycopg.connect(connection.dsn, autocommit=True) as another:
                another.execute(TERMINATE, [connection.server_pid])


_current: ContextVar[_Stop | None] = ContextVar("stop", default=None)
_telling = ThreadPoolExecutor(2, "mcp-stop")
"""Apart from the threads that may all be waiting for what it ends."""


def go_on() -> None:
    """For who waits for something else. Raises AbandonedError where nobody waits for it."""
    stop = _current.get()
    if stop is not None:
        stop.go_on()


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """As `asyncio.to_thread`; a caller that goes has the database end what it does for it."""
    stop = _Stop()
    context = copy_context()
    context.run(_current.set, stop)
    loop = asyncio.get_running_loop()
    done = loop.run_in_executor(None, lambda: context.run(work, *arguments))
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await _ended(stop, done)
        raise


async def _ended(stop: _Stop, done: "asyncio.Future[Any]") -> None:
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + LISTENS_SECONDS
    tell = stop.ask
    while not done.done():
        try:
            await loop.run_in_executor(_telling, tell)
        except psycopg.Error as error:
            log.warning("mcp.not_cancelled", error=type(error).__name__)
        await asyncio.wait([done], timeout=AGAIN_SECONDS)
        if loop.time() > patient_until:
            tell = stop.insist
    if not done.cancelled():
        done.exception()  # seen: what became of it is of interest to nobody
