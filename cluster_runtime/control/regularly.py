"""What is done again and again on the event loop while a runtime is open."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from cluster_runtime.logs import get_logger

_log = get_logger(__name__)


class Regularly:
    """Has something done from its making to `close`; no failure of it ends that.

    do: returns the seconds until the next time. again_s: those after a failure.
    """

    def __init__(self, do: Callable[[], Awaitable[float]], *, again_s: float) -> None:
        self._do, self._again_s = do, again_s
        self._due = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def at_once(self) -> None:
        """Have it done now; where it is under way, once more after that."""
        self._due.set()

    async def close(self) -> None:
        """Have it done no more; it has ended when this returns."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._due.clear()
            try:
                pause = await self._do()
            except Exception as error:  # noqa: BLE001 - it goes on being looked after
                _log.exception("what is done regularly failed", error=repr(error))
                pause = self._again_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._due.wait()
