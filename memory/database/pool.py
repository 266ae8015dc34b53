"""The connections of one address in this process: few, shared by every thread and event loop.

psycopg's asynchronous connections wait in whatever loop runs at the moment, so an idle one serves
the next loop as well as the last. What is lent and what is idle are counted together: a program
that starts a loop for each request, or makes an object for each session, has no more connections
than one that does neither.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import psycopg

from memory.database.dialing import AsyncConnection, DeadlineConnection, Dialer, SyncConnection
from memory.errors import OperationTimeoutError
from memory.forked import FreshLock, after_fork

Idle: TypeAlias = deque[tuple[float, Any]]
SHORTEST_REAPER_SECONDS = 0.05


class Permits:
    """So many at once, handed on in the order of asking, to threads and tasks of any loop alike."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._waiting: deque[Future[None]] = deque()

    def acquire(self, timeout: float) -> bool:
        """Take one, waiting in this thread; whether there was one in time."""
        waiter = self._take_or_wait()
        if waiter is None:
            return True
        try:
            waiter.result(timeout)
        except TimeoutError:
            return not waiter.cancel()  # granted in this very moment
        except BaseException:
            self._give_up(waiter)
            raise
        return True

    async def aacquire(self, timeout: float) -> bool:
        """Take one, waiting in this task; whether there was one in time."""
        waiter = self._take_or_wait()
        if waiter is None:
            return True
        try:
            await asyncio.wait_for(asyncio.wrap_future(waiter), timeout)
        except TimeoutError:
            return not (waiter.cancelled() or waiter.cancel())
        except BaseException:
            self._give_up(waiter)
            raise
        return True

    def release(self) -> None:
        """Give one back, to who has waited longest."""
        with self._lock:
            while self._waiting:
                waiter = self._waiting.popleft()
                if waiter.set_running_or_notify_cancel():
                    waiter.set_result(None)
                    return
            self._free += 1

    def _take_or_wait(self) -> Future[None] | None:
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return None
            waiter: Future[None] = Future()
            self._waiting.append(waiter)
            return waiter

    def _give_up(self, waiter: Future[None]) -> None:
        if not waiter.cancelled() and not waiter.cancel():
            self.release()


class SharedPool:
    """At most `size` connections, opened by who needs one, closed when idle for `max_idle` seconds.

    users: how many objects count on it. Without any, it keeps nothing open.
    """

    def __init__(self, dialer: Dialer, *, size: int, max_idle: float) -> None:
        self.dialer, self.size, self.users = dialer, size, 0
        self._max_idle = max_idle
        self._lock = FreshLock()
        self._reset()
        after_fork(self, SharedPool._reset)

    def _reset(self) -> None:
        """As if new. After a fork the sockets belong to the parent: neither use nor close them."""
        self.permits = Permits(self.size)
        self._lent = 0
        self._idle: dict[bool, Idle] = {False: deque(), True: deque()}
        self._reaper: threading.Timer | None = None

    def take(self, *, asynchronous: bool) -> Any | None:
        """An idle connection; None if one is to be opened. To be called with a permit."""
        with self._lock:
            self._lent += 1
            if self._idle[asynchronous]:
                return self._idle[asynchronous].pop()[1]
            others = self._idle[not asynchronous]
            spare = others.popleft()[1] if others and self._lent + len(others) > self.size else None
        if spare is not None:
            spare.pgconn.finish()
        return None

    def give_back(self, connection: Any | None, *, asynchronous: bool) -> None:
        """Keep what was lent if it is of use, else close it. None: it was never opened."""
        with self._lock:
            self._lent -= 1
            usable = (
                connection is not None
                and not connection.closed
                and connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
                and self.users > 0
            )
            if usable:
                self._idle[asynchronous].append((time.monotonic(), connection))
                if self._reaper is None:
                    self._schedule_reaper(self._max_idle)
        if not usable and connection is not None:
            connection.pgconn.finish()

    def forget_idle(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle = [connection for kind in self._idle.values() for _, connection in kind]
            self._idle = {False: deque(), True: deque()}
        for connection in idle:
            connection.pgconn.finish()

    def join(self) -> None:
        """One more object counts on the pool."""
        with self._lock:
            self.users += 1

    def leave(self, *, at_once: bool) -> None:
        """One object less; after the last one, nothing stays open that is not lent.

        at_once: False leaves it to the reaper, for the next object of a program that makes one for
            each request.
        """
        with self._lock:
            self.users -= 1
            if self.users > 0 or not at_once:
                return
            if self._reaper is not None:
                self._reaper.cancel()
                self._reaper = None
        self.forget_idle()

    def _schedule_reaper(self, delay: float) -> None:
        self._reaper = threading.Timer(delay, self._reap)
        self._reaper.name = "borealis-memory-idle"
        self._reaper.daemon = True
        self._reaper.start()

    def _reap(self) -> None:
        """Close what was idle too long; the oldest are at the left, as each kind is a stack."""
        stale: list[Any] = []
        now = time.monotonic()
        with self._lock:
            self._reaper = None
            for kind in self._idle.values():
                while kind and now - kind[0][0] >= self._max_idle:
                    stale.append(kind.popleft()[1])
            oldest = min((kind[0][0] for kind in self._idle.values() if kind), default=None)
            if oldest is not None:
                self._schedule_reaper(max(SHORTEST_REAPER_SECONDS, self._max_idle - (now - oldest)))
        for connection in stale:
            connection.pgconn.finish()


class PooledSync:
    """The synchronous side of a shared pool."""

    def __init__(self, pool: SharedPool) -> None:
        self._pool = pool

    @contextmanager
    def connection(self, deadline: float) -> Iterator[SyncConnection]:
        """Lend an idle connection or a new one. Raises OperationTimeoutError, psycopg's errors."""
        pool, started = self._pool, time.monotonic()
        permits = pool.permits
        if not permits.acquire(max(0.0, deadline - started)):
            raise _no_connection_in_time(pool.size, time.monotonic() - started)
        try:
            connection: DeadlineConnection | None = pool.take(asynchronous=False)
            try:
                if connection is None:
                    timeout = max(0.0, deadline - time.monotonic())
                    conninfo = pool.dialer.conninfo(timeout)
                    connection = DeadlineConnection.connect(conninfo, **pool.dialer.kwargs)
                    pool.dialer.opened(connection)
                connection.deadline = deadline
                yield connection
            finally:
                if connection is not None:
                    connection.deadline = None
                pool.give_back(connection, asynchronous=False)
        finally:
            permits.release()

    def forget_idle(self) -> None:
        """Close the idle connections."""
        self._pool.forget_idle()

    def close(self) -> None:
        """Nothing: `Sources` leaves the pool."""


class PooledAsync:
    """The asynchronous side of a shared pool, for any event loop."""

    def __init__(self, pool: SharedPool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self, deadline: float) -> AsyncIterator[AsyncConnection]:
        """Lend a connection. Raises OperationTimeoutError, psycopg's errors."""
        pool, started = self._pool, time.monotonic()
        permits = pool.permits
        if not await permits.aacquire(max(0.0, deadline - started)):
            raise _no_connection_in_time(pool.size, time.monotonic() - started)
        try:
            connection: AsyncConnection | None = pool.take(asynchronous=True)
            try:
                if connection is None:
                    timeout = max(0.0, deadline - time.monotonic())
                    # The DSN of a cluster signs a token and may ask a control plane: off the loop.
                    conninfo = await asyncio.to_thread(pool.dialer.conninfo, timeout)
                    connection = await psycopg.AsyncConnection.connect(
                        conninfo, **pool.dialer.kwargs
                    )
                    pool.dialer.opened(connection)
                yield connection
            finally:
                # Without a wait, so that a loop that ends under it cannot keep it from happening.
                pool.give_back(connection, asynchronous=True)
        finally:
            permits.release()

    async def forget_idle(self) -> None:
        """Close the idle connections."""
        self._pool.forget_idle()

    async def close(self) -> None:
        """Nothing: `Sources` leaves the pool."""


def _no_connection_in_time(size: int, waited: float) -> OperationTimeoutError:
    return OperationTimeoutError(
        f"all {size} connections stayed busy for {waited:.1f} s; raise pool_size, or run fewer "
        "operations at once"
    )
