"""The warm pool: started clusters without a name, so that a create only has to name one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from cluster_runtime.logs import get_logger

T = TypeVar("T")

_log = get_logger(__name__)


class WarmPool(Generic[T]):
    """Keeps up to `size` things ready, refilled one at a time in the background.

    make: makes one; its failure is logged, and raised by the next `take` that finds none ready.
    discard: undoes one that nobody took.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[T]],
        discard: Callable[[T], Awaitable[None]],
        size: int,
    ) -> None:
        self._make = make
        self._discard = discard
        self._size = size
        self._ready: deque[T] = deque()
        self._filler: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    @property
    def ready(self) -> int:
        """How many clusters are ready."""
        return len(self._ready)

    def fill(self) -> None:
        """Begin to refill; returns at once."""
        if len(self._ready) < self._size and (self._filler is None or self._filler.done()):
            self._filler = asyncio.create_task(self._fill())

    async def filled(self) -> None:
        """Wait until the pool is full, or refilling has failed."""
        self.fill()
        if self._filler is not None:
            await asyncio.shield(self._filler)

    async def take(self) -> T:
        """One that is ready; else the one being made; else one made now."""
        async with self._changed:
            if not self._ready and self._filler is not None and not self._filler.done():
                await self._changed.wait()
            taken = self._ready.popleft() if self._ready else None
        if taken is None:
            taken = await self._make()
        self.fill()
        return taken

    async def close(self) -> None:
        """Make no more, and discard what is ready."""
        if self._filler is not None:
            self._filler.cancel()
            await asyncio.gather(self._filler, return_exceptions=True)
        while self._ready:
            await self._discard(self._ready.popleft())

    async def _fill(self) -> None:
        try:
            while len(self._ready) < self._size:
                made = await self._make()
                async with self._changed:
                    self._ready.append(made)
                    self._changed.notify_all()
        except Exception:
            _log.exception("the warm pool could not be refilled")
            raise
        finally:
            async with self._changed:
                self._changed.notify_all()
