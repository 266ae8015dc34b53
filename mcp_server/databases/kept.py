"""Connections that read, kept for a moment between one call and the next.

Opening one costs more than most reads. What a call leaves is wiped first (`opening.wiped`), so that
no session state passes from one caller to the next; the session user may only read, so there is
nothing to reset back to. One that began with other settings than a new one would is closed, and so
is one that is idle for IDLE_SECONDS: by so much, at most, a server of tools puts off a pause of its
cluster.
"""

import asyncio
import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import psycopg

from mcp_server.databases.connections import Connection
from mcp_server.databases.opening import wiped

IDLE_SECONDS = 3.0
AGE_SECONDS = 60.0
"""Then another one is opened: one that is kept never goes to a new reader."""
KEPT_MAX = 8

Key = tuple[str, str]
"""Resource id of a cluster, and which endpoint."""


class KeptConnections:
    """Those of one event loop. They are of one role, and of the default databases of clusters."""

    def __init__(self) -> None:
        self.users = 0
        self._idle: dict[Connection, Key] = {}  # the oldest first
        self._since: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._timers: dict[Connection, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, key: Key, login: int | None) -> Connection | None:
        """One that is ready, the latest first; None where there is none.

        login: what a new one would begin with; None where that is not known.
        """
        for connection in [each for each, of in reversed(self._idle.items()) if of == key]:
            self._forget(connection)
            young = time.monotonic() < self._since[connection] + AGE_SECONDS
            if young and connection.login == login and _lives(connection):
                return connection
            self._close(connection)
        return None

    def give(self, key: Key, connection: Connection) -> None:
        """Take one over from a call that has ended well."""
        self._since.setdefault(connection, time.monotonic())
        self._start(self._keep(key, connection))

    async def close(self) -> None:
        """Close all of them."""
        for connection in list(self._idle):
            self._forget(connection)
            self._close(connection)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _keep(self, key: Key, connection: Connection) -> None:
        try:
            as_new = await wiped(connection)
        except psycopg.Error:
            as_new = False  # it has ended, or its cluster has
        if not (as_new and self.users):
            self._close(connection)
            return
        self._idle[connection] = key
        loop = asyncio.get_running_loop()
        self._timers[connection] = loop.call_later(IDLE_SECONDS, self._expire, connection)
        if len(self._idle) > KEPT_MAX:
            self._expire(next(iter(self._idle)))

    def _expire(self, connection: Connection) -> None:
        self._forget(connection)
        self._close(connection)

    def _forget(self, connection: Connection) -> None:
        del self._idle[connection]
        self._timers.pop(connection).cancel()

    def _close(self, connection: Connection) -> None:
        self._since.pop(connection, None)
        self._start(connection.close())

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _lives(connection: Connection) -> bool:
    """Whether the other side has not hung up: it says nothing to a session that asks nothing."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


_kept: "WeakKeyDictionary[asyncio.AbstractEventLoop, KeptConnections]" = WeakKeyDictionary()


def kept_here() -> KeptConnections | None:
    """Those of this event loop; None where nobody keeps any."""
    return _kept.get(asyncio.get_running_loop())


@asynccontextmanager
async def keeping() -> AsyncIterator[dict[str, object]]:
    """Keep connections while this is entered: as long as a server serves."""
    kept = _kept.setdefault(asyncio.get_running_loop(), KeptConnections())
    kept.users += 1
    try:
        yield {}
    finally:
        kept.users -= 1
        if not kept.users:
            await kept.close()
