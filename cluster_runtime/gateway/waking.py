"""What the clients of an endpoint wait for together: one wake, and who enters a database first.

PostgreSQL removes its relation cache files at each start. The first session of a database makes
them; those that come before they are there build the same caches, each by itself. So of the many
that waited for one resume one goes ahead.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from cluster_runtime.gateway.backend import Backend

AHEAD_SECONDS = 0.25
"""How long the others wait for the first one at most: some logins take what they like."""
DATABASES_MAX = 64
"""Whose first session is waited for: names are the clients' to choose."""

Result = TypeVar("Result")


class Waking:
    """Of one endpoint, on its event loop."""

    def __init__(self, backend: Backend, *, ahead_seconds: float = AHEAD_SECONDS) -> None:
        self._backend = backend
        self._ahead_seconds = ahead_seconds
        self._waking: asyncio.Future[Path] | None = None
        self._server: Hashable = None
        self._entered: dict[str, asyncio.Event] = {}

    async def wake(self) -> Path:
        """One wake for all who wait, which goes on when they leave; a way for each of them."""
        if self._waking is None or self._waking.done():
            self._waking = asyncio.ensure_future(self._backend.wake())
        return self._backend.route(await to_its_end(self._waking))

    @asynccontextmanager
    async def turn(self, socket: Path, database: str) -> AsyncIterator[None]:
        """Enter a database of the server that listens at a socket, once another one is through.

        Raises OSError where no server does.
        """
        server = _start_of(socket)
        if server != self._server:
            self._server, self._entered = server, {}
        entered = self._entered.get(database)
        if entered is None and len(self._entered) < DATABASES_MAX:
            first = self._entered[database] = asyncio.Event()
            try:
                yield
            finally:
                first.set()  # also where it failed: then the next ones see for themselves
            return
        if entered is not None and not entered.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._ahead_seconds):
                    await entered.wait()
        yield


def _start_of(socket: Path) -> Hashable:
    """The start of a server: each makes another file of its socket."""
    found = socket.stat()
    return socket, found.st_ino, found.st_ctime_ns


async def to_its_end(work: asyncio.Future[Result]) -> Result:
    """The result of work that goes on where the caller is cancelled.

    Then nobody hears of its failure, which asyncio would print to standard error.
    """
    work.add_done_callback(_heard)
    return await asyncio.shield(work)


def _heard(work: asyncio.Future[Result]) -> None:
    if not work.cancelled():
        work.exception()
