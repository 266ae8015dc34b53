"""A writer that ended by itself is started again, without waiting for somebody to connect."""

import asyncio

import psycopg

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.coalescing import retry_after

STEADY_S = 30.0
"""Who ran for that long is started again at once; who ended sooner, a little later each time."""

_log = get_logger(__name__)


class WriterRestart:
    """Watches over the writer of one cluster while its endpoints are open."""

    def __init__(self, cluster: HostedCluster) -> None:
        self._cluster = cluster
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._closed = False
        self._sooner = 0
        self._started_at = self._loop.time()
        cluster.instances.writer_server.on_lost(self._lost)

    def begin(self) -> None:
        """The writer has ended: start it again."""
        now = self._loop.time()
        self._sooner = 0 if now - self._started_at > STEADY_S else self._sooner + 1
        delay = retry_after(self._sooner - 1) if self._sooner > 1 else 0.0
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._fire)

    def close(self) -> None:
        """Start it never again."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _lost(self) -> None:
        """On another thread."""
        self._loop.call_soon_threadsafe(self.begin)

    def _fire(self) -> None:
        self._restarting = self._loop.create_task(self._restart())

    async def _restart(self) -> None:
        cluster = self._cluster
        try:
            # A stop that is under way comes first, and then there is nothing to start any more.
            async with cluster.changing:
                if self._closed or cluster.db_cluster.status is not ClusterStatus.AVAILABLE:
                    return
                self._started_at = self._loop.time()
                await cluster.writer.ensure_running()
        except (BorealisError, psycopg.Error, OSError) as error:
            _log.error(
                "a writer that ended could not be started; the next connect tries again",
                cluster=cluster.identifier,
                error=str(error),
            )
        else:
            _log.warning("a writer that ended runs again", cluster=cluster.identifier)
