"""Telling a waiting client that work goes on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

Report = Callable[[float, float | None, str | None], Awaitable[None]]

HEARTBEAT_SECONDS = 1.0


@dataclass(slots=True)
class Progress:
    """Progress of one call: steps done, with words. Clients that did not ask hear nothing."""

    report: Report
    done: float = 0.0

    async def step(self, message: str) -> None:
        """The next step begins."""
        self.done += 1
        await self.report(self.done, None, message)

    @asynccontextmanager
    async def during(self, message: str) -> AsyncIterator[None]:
        """Report the step, and then every second that it still runs."""
        await self.step(message)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._heartbeat, message)
                try:
                    yield
                finally:
                    tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            error = group.exceptions[0]  # the body's: callers know its type
            raise error from error.__cause__

    async def _heartbeat(self, message: str) -> None:
        seconds = 0
        while True:
            await anyio.sleep(HEARTBEAT_SECONDS)
            seconds += 1
            await self.step(f"{message} ({seconds} s)")
