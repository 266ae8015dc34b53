"""The event loop that hosts everything, on a thread of its own.

Callers on any thread, with or without a loop of their own, hand it coroutines: `call` blocks,
`acall` awaits. That is all there is between the synchronous and the asynchronous interface.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from cluster_runtime.engine.system.resources import used_up
from cluster_runtime.errors import BorealisError

T = TypeVar("T")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class LoopThread:
    """An event loop that runs until `close`."""

    def __init__(
        self, name: str, factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop
    ) -> None:
        self.loop = factory()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Have the loop run a coroutine. Raises BorealisError after `close`."""
        if self.loop.is_closed():
            coroutine.close()
            raise BorealisError("this runtime is closed; open the state directory again")
        return asyncio.run_coroutine_threadsafe(saying_what_is_used_up(coroutine), self.loop)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run on the loop and wait for the result. An interrupt cancels the work."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise BorealisError("a blocking call from the runtime's own event loop would never end")
        future = self.submit(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def acall(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run on the loop and await the result on the caller's; cancellation passes through."""
        return await asyncio.wrap_future(self.submit(coroutine))

    def close(self) -> None:
        """Stop the loop once it is idle of our tasks; anything left is cancelled."""
        if self.loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_cancel_the_rest(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Run blocking work in a worker thread, to its end.

    A thread cannot be cancelled. A cancelled caller leaves only when the work has ended, so that
    nobody cleans up under it. Raises InsufficientResourcesError beside what the work raises.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await saying_what_is_used_up(asyncio.shield(running))
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


async def saying_what_is_used_up(work: Awaitable[T]) -> T:
    """Its result. Raises InsufficientResourcesError where the host has run out of something."""
    try:
        return await work
    except (OSError, RuntimeError) as error:
        known = used_up(error)
        if known is None:
            raise
        raise known from error


async def _cancel_the_rest() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()
