"""Where connections come from: a cluster, a DSN, a psycopg pool, or one connection.

For a cluster or a DSN this process keeps one pool, whatever the objects, threads and event loops
that use it (`memory.database.pool`). It does three things that psycopg_pool does not: an error of
connecting reaches the caller at once (psycopg_pool hides it behind a timeout and waits a second
or more before its next try, which a failover would show as latency), every idle connection is
closed soon after its last use (an open one keeps a serverless cluster from pausing), and after
a lost connection the other idle ones, which lead to the same dead server, go too.
"""

import asyncio
import difflib
import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol, TypeAlias, TypedDict, runtime_checkable
from weakref import WeakValueDictionary, finalize, ref

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from memory.database.dialing import AsyncConnection, Dialer, HasDsn, SyncConnection
from memory.database.pool import PooledAsync, PooledSync, SharedPool
from memory.errors import ConfigurationError, OperationTimeoutError
from memory.forked import FreshLock

__all__ = [
    "AsyncConnection",
    "ConnectionSource",
    "Dialer",
    "HasDsn",
    "PoolOptions",
    "Sources",
    "SyncConnection",
    "keywords_of",
    "refuse_unknown",
]

DEFAULT_POOL_SIZE = 8
DEFAULT_MAX_IDLE_SECONDS = 5.0


@runtime_checkable
class HasUrl(Protocol):
    """A SQLAlchemy `URL`."""

    render_as_string: Callable[..., str]


class PoolOptions(TypedDict, total=False):
    """Of the pool behind a cluster or a DSN; objects with the same options share one.

    pool_size: connections at most, of all threads and event loops (8). max_idle: seconds until an
    unused one is closed (5). prepare: psycopg's prepared statements; not behind a PgBouncer.
    application_name: what the server's views show.
    """

    pool_size: int
    max_idle: float
    prepare: bool
    application_name: str


def keywords_of(cls: type) -> set[str]:
    """The keyword arguments of a class that is made on a connection source."""
    known = set(PoolOptions.__annotations__)
    for each in (vars(each)["__init__"] for each in cls.__mro__ if "__init__" in vars(each)):
        parameters = inspect.signature(each).parameters.values()
        known |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return known - {"self"}


def refuse_unknown(given: Iterable[str], known: Iterable[str], near: Iterable[str] = ()) -> None:
    """Raise ConfigurationError for a keyword that would be ignored in silence.

    near: others that may have been meant.
    """
    known = set(known)
    for name in given:
        if name not in known:
            found = difflib.get_close_matches(name, known.union(near), n=1)
            hint = f"; did you mean {found[0]!r}?" if found else ""
            raise ConfigurationError(f"there is no keyword {name!r} here{hint}")


ConnectionSource: TypeAlias = (
    HasDsn
    | HasUrl
    | str
    | ConnectionPool[Any]
    | AsyncConnectionPool[Any]
    | psycopg.Connection[Any]
    | psycopg.AsyncConnection[Any]
)


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
        self._leave: finalize[..., Any] | None = None
        self.sync: SyncSource | None = None
        self.lent_async: AsyncSource | None = None
        match source:
            case ConnectionPool():
                self.sync = LentPool(source)
            case AsyncConnectionPool():
                self.lent_async = AsyncLentPool(source)
            case psycopg.Connection():
                self.sync = LentConnection(source)
            case psycopg.AsyncConnection():
                self.lent_async = AsyncLentConnection(source)
            case str() | HasDsn() | HasUrl():
                if not isinstance(source, (str, HasDsn)):
                    source = source.render_as_string(hide_password=False)
                self._pool = _shared(source, pool_size, max_idle, prepare, application_name)
                self._join()
                self.sync, self.lent_async = PooledSync(self._pool), PooledAsync(self._pool)
            case _:
                raise ConfigurationError(
                    f"cannot connect through a {type(source).__name__}; pass a cluster, a DSN, "
                    "a psycopg pool or a psycopg connection"
                )

    def _join(self) -> None:
        self._pool.join()
        # An object that nobody closed, as a history for each request, leaves when it is collected.
        self._leave = finalize(self, self._pool.leave, at_once=False)
        self._leave.atexit = False

    def asynchronous(self) -> AsyncSource | None:
        """The asynchronous source; None when there is only a synchronous one."""
        return self.lent_async

    def close(self) -> None:
        """Close the connections that are our own, unless other objects use them too."""
        if self._leave is not None and self._leave.detach() is not None:
            self._pool.leave(at_once=True)


_shared_pools: WeakValueDictionary[tuple[Any, ...], SharedPool] = WeakValueDictionary()
_shared_lock = FreshLock()


def _shared(
    source: HasDsn | str, size: int, max_idle: float, prepare: bool, application_name: str
) -> SharedPool:
    """The pool of an address in this process, made at the first call."""
    address: Any = source
    if not isinstance(source, str):
        try:
            address = ref(source)
            hash(address)
        except TypeError:
            address = id(source)  # alive as long as the pool, whose dialer holds it
    key = (address, size, max_idle, prepare, application_name)
    with _shared_lock:
        pool = _shared_pools.get(key)
        if pool is None:
            dialer = Dialer(source, prepare=prepare, application_name=application_name)
            pool = SharedPool(dialer, size=size, max_idle=max_idle)
            _shared_pools[key] = pool
        return pool
