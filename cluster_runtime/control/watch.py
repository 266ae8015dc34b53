"""Auto-pause, driven: tells the policy of connections and time, and pauses when it says so."""

import asyncio

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.model import ClusterStatus, ServerlessScaling
from cluster_runtime.errors import EngineError
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.auto_pause import AutoPause

_log = get_logger(__name__)


class ConnectionWatch:
    """Counts the connections of one cluster and pauses it when it has been idle for long enough."""

    def __init__(self, cluster: HostedCluster) -> None:
        self._cluster = cluster
        self._loop = asyncio.get_running_loop()
        self._policy = AutoPause(_idle_seconds(cluster.facts.scaling), self._loop.time())
        self._timer: asyncio.TimerHandle | None = None
        self._pausing: asyncio.Task[None] | None = None
        self._closed = False
        cluster.compute.on_start(self.started)
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
        """The cluster runs again."""
        self._policy.started(self._loop.time())
        self._arm()

    def configured(self, scaling: ServerlessScaling) -> None:
        """Its range of capacity has changed."""
        self._policy.configured(_idle_seconds(scaling), self._loop.time())
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
        if self._due() and self._cluster.compute.socket is not None:
            self._pausing = self._loop.create_task(self._pause())

    def _due(self) -> bool:
        return (
            not self._closed
            and self._policy.due(self._loop.time())
            and self._cluster.facts.status is ClusterStatus.AVAILABLE
        )

    async def _pause(self) -> None:
        try:
            await in_thread(self._cluster.instances.storage.settle)
            if await self._cluster.compute.pause(only_if=self._due):
                _log.info("cluster paused", cluster=self._cluster.identifier)
        except EngineError as error:
            _log.error(
                "cluster could not pause", cluster=self._cluster.identifier, error=str(error)
            )


def _idle_seconds(scaling: ServerlessScaling) -> float | None:
    return scaling.seconds_until_auto_pause if scaling.auto_pause else None
