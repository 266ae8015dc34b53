"""Auto-pause, driven: tells the policy of connections and time, and pauses when it says so."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from cluster_runtime.serverless.auto_pause import AutoPause


class ConnectionWatch:
    """Counts the connections of one cluster and pauses it when it has been idle for long enough.

    idle_seconds: how long that is; None: never. available: whether the cluster may be paused at
    all now. at_rest: it is paused already. pause: run on the event loop to pause it; it asks what
    it is given at the last moment, when no connect can come between, and leaves the cluster alone
    where that says no.
    """

    def __init__(
        self,
        idle_seconds: float | None,
        *,
        available: Callable[[], bool],
        at_rest: bool = False,
        pause: Callable[[Callable[[], bool]], Coroutine[Any, Any, None]],
    ) -> None:
        self._available = available
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._policy = AutoPause(idle_seconds, self._loop.time(), at_rest=at_rest)
        self._timer: asyncio.TimerHandle | None = None
        self._pausing: asyncio.Task[None] | None = None
        self._closed = False
        self._arm()

    def opened(self) -> None:
        """A client has come."""
        self._policy.opened()
        self._arm()

    def closed(self) -> None:
        """A client has gone. Raises ValueError if none was there."""
        self._policy.closed(self._loop.time())
        self._arm()

    def started(self) -> None:
        """The cluster runs again, or something else than a connection keeps it awake."""
        self._policy.started(self._loop.time())
        self._arm()

    def rested(self) -> None:
        """The cluster is paused: no timer runs until it starts."""
        self._policy.rested()
        self._arm()

    def configured(self, idle_seconds: float | None) -> None:
        """It pauses after another time now, or never (None)."""
        self._policy.configured(idle_seconds, self._loop.time())
        self._arm()

    def close(self) -> None:
        """Never pause again."""
        self._closed = True
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._closed and self._policy.deadline is not None:
            self._timer = self._loop.call_at(self._policy.deadline, self._fire)

    def _fire(self) -> None:
        if self._due():
            self._pausing = self._loop.create_task(self._pause(self._due))

    def _due(self) -> bool:
        return not self._closed and self._policy.due(self._loop.time()) and self._available()
