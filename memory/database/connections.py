"""Where connections come from: a cluster, a DSN, a psycopg pool, or one connection.

From a cluster or a DSN we keep a pool of our own, for three things psycopg_pool does not do: an
error of connecting reaches the caller at once (it hides it behind a timeout and waits a second
or more before its next try, which a failover would show as latency), every idle connection is
closed soon after its last use (an open one keeps a serverless cluster from pausing), and after
a lost connection the other idle ones, which lead to the same dead server, go too.
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable
from weakref import WeakKeyDictionary

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from cluster_runtime.errors import BorealisError
from memory.errors import ConfigurationError, OperationTimeoutError

T = TypeVar("T")
SyncConnection: TypeAlias = psycopg.Connection[Any]
AsyncConnection: TypeAlias = psycopg.AsyncConnection[Any]

DEFAULT_POOL_SIZE = 8
DEFAULT_MAX_IDLE_SECONDS = 5.0
WAIT_INTERVAL_SECONDS = 0.1


@runtime_checkable
class HasDsn(Protocol):
    """A cluster, as far as this package is concerned."""

    def dsn(self, endpoint: Any = "writer") -> str:
        """Conninfo of an endpoint, asked for again for every new connection (tokens expire)."""


ConnectionSource: TypeAlias = (
    HasDsn
    | str
    | ConnectionPool[Any]
    | AsyncConnectionPool[Any]
    | psycopg.Connection[Any]
    | psycopg.AsyncConnection[Any]
)


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection whose every wait ends at `deadline` (`time.monotonic()` seconds).

    Without it a synchronous call would wait forever on a server that stopped answering.
    """

    deadline: float | None = None

    def wait(
        self,
        gen: Generator[Any, Any, T],
        interval: float = WAIT_INTERVAL_SECONDS,
        timeout: float | None = None,
    ) -> T:
        """Wait as psycopg does. Raises OperationalError once the deadline has passed."""
        if timeout is not None or self.deadline is None:
            return super().wait(gen, interval, timeout)
        left = max(0.001, self.deadline - time.monotonic())
        try:
            return super().wait(gen, interval, left)
        except psycopg.errors._WaitTimeout as error:
            raise psycopg.OperationalError(
                "the server did not answer before the deadline"
            ) from error


class Dialer:
    """How to reach the database: fresh conninfo for each connection, and our settings on it."""

    def __init__(self, source: HasDsn | str, *, prepare: bool, application_name: str) -> None:
        self._dsn: Callable[[], str]
        if isinstance(source, str):
            fixed = source
            self._dsn = lambda: fixed
        else:
            self._dsn = source.dsn
        # Server-side prepared statements break behind a transaction-pooling PgBouncer; the hot
        # statements are functions in the database, whose plans the server keeps by itself.
        self.kwargs: dict[str, Any] = {
            "autocommit": True,
            "prepare_threshold": 5 if prepare else None,
        }
        self._application_name = application_name

    def _current_dsn(self) -> str:
        """The DSN; while a cluster changes state, an error that passes instead of the cluster's."""
        try:
            return self._dsn()
        except BorealisError as error:
            if error.retry_helps:
                raise psycopg.OperationalError(str(error)) from error
            raise

    def conninfo(self, timeout: float) -> str:
        """Conninfo that gives up connecting after `timeout` seconds (libpq's minimum is 2)."""
        given = conninfo_to_dict(self._current_dsn())
        defaults: dict[str, Any] = {
            "application_name": self._application_name,
            "keepalives_idle": 30,
            "connect_timeout": max(2, int(timeout)),
        }
        return make_conninfo("", **{**defaults, **given})


class SyncSource(Protocol):
    """Lends one connection at a time to the synchronous runner."""

    @contextmanager
    def connection(self, deadline: float) -> Iterator[SyncConnection]:
        """Lend a connection. Raises OperationTimeoutError if none is free in time."""

    def forget_idle(self) -> None:
        """A connection was lost: idle ones probably lead to the same dead server."""

    def close(self) -> None:
        """Close the connections that are the source's own."""


class AsyncSource(Protocol):
    """Lends one connection at a time to the asynchronous runner."""

    @asynccontextmanager
    def connection(self, deadline: float) -> AsyncIterator[AsyncConnection]:
        """Lend a connection. Raises OperationTimeoutError if none is free in time."""

    async def forget_idle(self) -> None:
        """A connection was lost: idle ones probably lead to the same dead server."""

    async def close(self) -> None:
        """Close the connections that are the source's own."""


def _no_connection_in_time(size: int, waited: float) -> OperationTimeoutError:
    return OperationTimeoutError(
        f"all {size} connections stayed busy for {waited:.1f} s; raise pool_size, or run fewer "
        "operations at once"
    )


class DialedPool:
    """At most `size` connections, opened by the thread that needs one, closed when idle."""

    def __init__(self, dialer: Dialer, *, size: int, max_idle: float) -> None:
        self._dialer = dialer
        self._size = size
        self._max_idle = max_idle
        self._permits = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: deque[tuple[float, DeadlineConnection]] = deque()
        self._reaper: threading.Timer | None = None
        self._pid = os.getpid()
        self._closed = False

    @contextmanager
    def connection(self, deadline: float) -> Iterator[SyncConnection]:
        """Lend an idle connection or a new one. Raises OperationTimeoutError, psycopg's errors."""
        started = time.monotonic()
        if not self._permits.acquire(timeout=max(0.0, deadline - started)):
            raise _no_connection_in_time(self._size, time.monotonic() - started)
        try:
            connection = self._take() or self._connect(deadline)
            connection.deadline = deadline
            try:
                yield connection
            finally:
                connection.deadline = None
                self._give_back(connection)
        finally:
            self._permits.release()

    def forget_idle(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = list(self._idle), deque()
        for _, connection in idle:
            connection.close()

    def close(self) -> None:
        """Close the idle connections; those that are lent are closed on their return."""
        self._closed = True
        with self._lock:
            if self._reaper is not None:
                self._reaper.cancel()
                self._reaper = None
        self.forget_idle()

    def _connect(self, deadline: float) -> DeadlineConnection:
        timeout = max(0.0, deadline - time.monotonic())
        return DeadlineConnection.connect(self._dialer.conninfo(timeout), **self._dialer.kwargs)

    def _take(self) -> DeadlineConnection | None:
        with self._lock:
            if self._pid != os.getpid():
                # After a fork the sockets belong to the parent: neither use nor close them.
                self._idle, self._reaper, self._pid = deque(), None, os.getpid()
            return self._idle.pop()[1] if self._idle else None

    def _give_back(self, connection: DeadlineConnection) -> None:
        if connection.closed or connection.pgconn.transaction_status != 0 or self._closed:
            connection.close()
            return
        with self._lock:
            self._idle.append((time.monotonic(), connection))
            if self._reaper is None:
                self._schedule_reaper(self._max_idle)

    def _schedule_reaper(self, delay: float) -> None:
        self._reaper = threading.Timer(delay, self._reap)
        self._reaper.name = "borealis-memory-idle"
        self._reaper.daemon = True
        self._reaper.start()

    def _reap(self) -> None:
        """Close what was idle too long; the oldest are at the left, as the pool is a stack."""
        stale: list[DeadlineConnection] = []
        now = time.monotonic()
        with self._lock:
            self._reaper = None
            while self._idle and now - self._idle[0][0] >= self._max_idle:
                stale.append(self._idle.popleft()[1])
            if self._idle and not self._closed:
                self._schedule_reaper(max(0.05, self._max_idle - (now - self._idle[0][0])))
        for connection in stale:
            connection.close()


class AsyncDialedPool:
    """`DialedPool` for one event loop."""

    def __init__(self, dialer: Dialer, *, size: int, max_idle: float) -> None:
        self._dialer = dialer
        self._size = size
        self._max_idle = max_idle
        self._permits = asyncio.Semaphore(size)
        self._idle: deque[tuple[float, AsyncConnection]] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def connection(self, deadline: float) -> AsyncIterator[AsyncConnection]:
        """Lend a connection. Raises OperationTimeoutError, psycopg's errors."""
        started = time.monotonic()
        try:
            await asyncio.wait_for(self._permits.acquire(), max(0.0, deadline - started))
        except TimeoutError:
            raise _no_connection_in_time(self._size, time.monotonic() - started) from None
        try:
            connection = self._idle.pop()[1] if self._idle else await self._connect(deadline)
            try:
                yield connection
            finally:
                await self._give_back(connection)
        finally:
            self._permits.release()

    async def forget_idle(self) -> None:
        """Close the idle connections."""
        idle, self._idle = list(self._idle), deque()
        for _, connection in idle:
            await connection.close()

    async def close(self) -> None:
        """Close the idle connections; those that are lent are closed on their return."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        await self.forget_idle()

    async def _connect(self, deadline: float) -> AsyncConnection:
        timeout = max(0.0, deadline - time.monotonic())
        # The DSN of a cluster signs a token and may look up a control plane: off the loop.
        conninfo = await asyncio.to_thread(self._dialer.conninfo, timeout)
        return await psycopg.AsyncConnection.connect(conninfo, **self._dialer.kwargs)

    async def _give_back(self, connection: AsyncConnection) -> None:
        if connection.closed or connection.pgconn.transaction_status != 0 or self._closed:
            await connection.close()
            return
        self._idle.append((time.monotonic(), connection))
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().call_later(self._max_idle, self._reap)

    def _reap(self) -> None:
        now = time.monotonic()
        self._reaper = None
        while self._idle and now - self._idle[0][0] >= self._max_idle:
            task = asyncio.ensure_future(self._idle.popleft()[1].close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if self._idle and not self._closed:
            delay = max(0.05, self._max_idle - (now - self._idle[0][0]))
            self._reaper = asyncio.get_running_loop().call_later(delay, self._reap)


class LentPool:
    """The caller's `ConnectionPool`; it stays the caller's to close."""

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool

    @contextmanager
    def connection(self, deadline: float) -> Iterator[SyncConnection]:
        """Lend a connection of the caller's pool. Raises PoolTimeout of psycopg_pool."""
        connection = self._pool.getconn(timeout=max(0.01, deadline - time.monotonic()))
        try:
            yield connection
        finally:
            self._pool.putconn(connection)

    def forget_idle(self) -> None:
        """Have the pool check what it has."""
        self._pool.check()

    def close(self) -> None:
        """Nothing: the pool is the caller's."""


class AsyncLentPool:
    """The caller's `AsyncConnectionPool`; it stays the caller's to close."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self, deadline: float) -> AsyncIterator[AsyncConnection]:
        """Lend a connection of the caller's pool. Raises PoolTimeout of psycopg_pool."""
        timeout = max(0.01, deadline - time.monotonic())
        connection = await self._pool.getconn(timeout=timeout)
        try:
            yield connection
        finally:
            await self._pool.putconn(connection)

    async def forget_idle(self) -> None:
        """Have the pool check what it has."""
        await self._pool.check()

    async def close(self) -> None:
        """Nothing: the pool is the caller's."""


class LentConnection:
    """The caller's connection, used by one thread at a time."""

    def __init__(self, connection: SyncConnection) -> None:
        _require_autocommit(connection.autocommit)
        self._connection = connection
        self._lock = threading.Lock()

    @contextmanager
    def connection(self, deadline: float) -> Iterator[SyncConnection]:
        """Lend the caller's connection. Raises OperationTimeoutError if it stays busy."""
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise OperationTimeoutError("the one connection stayed busy; pass a pool or a DSN")
        try:
            yield self._connection
        finally:
            self._lock.release()

    def forget_idle(self) -> None:
        """Nothing: there is no other connection."""

    def close(self) -> None:
        """Nothing: the connection is the caller's."""


class AsyncLentConnection:
    """The caller's asynchronous connection, used by one task at a time."""

    def __init__(self, connection: AsyncConnection) -> None:
        _require_autocommit(connection.autocommit)
        self._connection = connection
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def connection(self, deadline: float) -> AsyncIterator[AsyncConnection]:
        """Lend the caller's connection, to one after the other."""
        async with self._lock:
            yield self._connection

    async def forget_idle(self) -> None:
        """Nothing: there is no other connection."""

    async def close(self) -> None:
        """Nothing: the connection is the caller's."""


def _require_autocommit(autocommit: bool) -> None:
    if not autocommit:
        raise ConfigurationError(
            "the connection is not in autocommit mode, so nothing written through it would be "
            "kept; pass autocommit=True to psycopg.connect, or pass a DSN or a pool"
        )


class Sources:
    """The synchronous and the asynchronous source behind one object."""

    def __init__(
        self,
        source: ConnectionSource,
        *,
        pool_size: int = DEFAULT_POOL_SIZE,
        max_idle: float = DEFAULT_MAX_IDLE_SECONDS,
        prepare: bool = False,
        application_name: str = "borealis-memory",
    ) -> None:
        if pool_size < 1:
            raise ConfigurationError(f"pool_size is {pool_size}; it must be at least 1")
        self._size, self._max_idle = pool_size, max_idle
        self._dialer: Dialer | None = None
        self.sync: SyncSource | None = None
        self.lent_async: AsyncLentPool | AsyncLentConnection | None = None
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncDialedPool] = (
            WeakKeyDictionary()
        )
        match source:
            case ConnectionPool():
                self.sync = LentPool(source)
            case AsyncConnectionPool():
                self.lent_async = AsyncLentPool(source)
            case psycopg.Connection():
                self.sync = LentConnection(source)
            case psycopg.AsyncConnection():
                self.lent_async = AsyncLentConnection(source)
            case str() | HasDsn():
                self._dialer = Dialer(source, prepare=prepare, application_name=application_name)
                self.sync = DialedPool(self._dialer, size=pool_size, max_idle=max_idle)
            case _:
                raise ConfigurationError(
                    f"cannot connect through a {type(source).__name__}; pass a cluster, a DSN, "
                    "a psycopg pool or a psycopg connection"
                )

    def asynchronous(self) -> AsyncSource | None:
        """The source for the running event loop; None when there is only a synchronous one."""
        if self.lent_async is not None:
            return self.lent_async
        if self._dialer is None:
            return None
        loop = asyncio.get_running_loop()
        pool = self._by_loop.get(loop)
        if pool is None:
            pool = AsyncDialedPool(self._dialer, size=self._size, max_idle=self._max_idle)
            self._by_loop[loop] = pool
        return pool

    def close(self) -> None:
        """Close the synchronous connections that are our own."""
        if self.sync is not None:
            self.sync.close()

    async def aclose(self) -> None:
        """Close our own connections, those of the running event loop included."""
        pool = self._by_loop.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.close()
        self.close()
