"""Which paused clusters go into deep pause now: looked at for all of them at once, now and then.

One look for a host, so that a paused cluster has no timer of its own.
"""

import time

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.regularly import Regularly
from cluster_runtime.control.workflows.pausing.deep import pause_deeply, paused_since
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.deep_pause import Paused

LOOK_EVERY_S, LOOK_AFTER_S = 60.0, 1.0
AGAIN_S = 3600.0
"""After a deep pause that failed: what keeps a cluster from it seldom passes by itself."""

_log = get_logger(__name__)


class DeepPauses:
    """Looks after the paused clusters of one runtime until closed."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._not_before: dict[str, float] = {}
        self._looking = Regularly(self._look, again_s=LOOK_EVERY_S)

    async def close(self) -> None:
        """Look no more. A deep pause that is under way ends with its step."""
        await self._looking.close()

    async def _look(self) -> float:
        """Returns the seconds until the next look."""
        paused = [each for each in self._runtime.clusters.values() if _may(each)]
        waits = await in_thread(_waits, paused)
        soon = [wait for _, wait in waits if 0 < wait < LOOK_EVERY_S]
        for cluster, wait in waits:
            if wait <= 0 and time.monotonic() >= self._not_before.get(cluster.id, 0.0):
                await self._pause(cluster)
        return max(LOOK_AFTER_S, min(soon, default=LOOK_EVERY_S))

    async def _pause(self, cluster: HostedCluster) -> None:
        async with cluster.changing:
            # It may have been awake since the look, or be meant to wait for longer.
            if not _may(cluster) or not any(
                wait <= 0 for _, wait in await in_thread(_waits, [cluster])
            ):
                return
            try:
                if await pause_deeply(self._runtime, cluster):
                    self._not_before.pop(cluster.id, None)
                    return
            except (BorealisError, OSError) as error:
                _log.warning("no deep pause", cluster=cluster.identifier, error=str(error))
            self._not_before[cluster.id] = time.monotonic() + AGAIN_S


def _may(cluster: HostedCluster) -> bool:
    """Whether it is paused, and not deeply yet. One that is being changed is left for later."""
    db_cluster = cluster.db_cluster
    return (
        db_cluster.status is ClusterStatus.AVAILABLE
        and db_cluster.has_writer
        and cluster.deep_pause is None
        and cluster.writer.socket is None
        and cluster.instances.storage.opened is None
    )


def _waits(paused: list[HostedCluster]) -> list[tuple[HostedCluster, float]]:
    """How long each of them has until its deep pause, in seconds; not those that have none."""
    now, found = time.time(), []
    for cluster in paused:
        seconds = cluster.db_cluster.seconds_until_deep_pause or None
        wait = Paused(paused_since(cluster), seconds).wait(now)
        if wait is not None:
            found.append((cluster, wait))
    return found
