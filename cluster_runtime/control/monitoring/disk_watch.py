"""The free space of the host's disk, watched: before it is gone, the biggest writer is stopped.

Its statement fails with 53100 (disk_full) and a hint, as it would on a full disk; every other one,
and every other cluster, goes on.
"""

import asyncio
import shutil

import psutil
import psycopg

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.regularly import Regularly
from cluster_runtime.errors import BorealisError
from cluster_runtime.gateway import error_response
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.free_space import MIB, FreeSpace, Space, Writers

LOOK_EVERY_S, LOOK_OFTEN_S = 1.0, 0.25
REST_AFTER_STOP_S = 1.0
"""Until what was stopped has let go of its space."""
DISK_FULL = "53100"

WRITING = """
select a.pid,
       (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() operator(pg_catalog.-)
                             a.xact_start) operator(pg_catalog.*) 1e9)::pg_catalog.int8
  from pg_catalog.pg_stat_activity a
 where a.backend_type operator(pg_catalog.=) 'client backend'
   and a.state operator(pg_catalog.=) 'active' and a.backend_xid is not null
   and (a.wait_event is null or a.wait_event operator(pg_catalog.<>) 'SyncRep')
"""
"""Server processes that write, and for how long, in nanoseconds.

What they wrote the server itself says only once their statement has ended.
"""
CANCEL = "select pg_catalog.pg_cancel_backend(%s)"

_log = get_logger(__name__)


class DiskWatch:
    """Watches the file system that the clusters of one runtime lie on, until closed."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._space = FreeSpace()
        self._writers = Writers()
        self._looking = Regularly(self._look, again_s=LOOK_EVERY_S)

    async def close(self) -> None:
        """Watch no more."""
        await self._looking.close()

    async def _look(self) -> float:
        """Returns the seconds until the next look."""
        free = (await in_thread(shutil.disk_usage, self._runtime.home.clusters)).free
        space = self._space.seen(asyncio.get_running_loop().time(), free)
        if space is Space.PLENTY:
            return LOOK_EVERY_S
        clusters = [each for each in self._runtime.clusters.values() if each.writer.socket]
        written = {}
        for cluster in clusters:
            for pid, count in await self._written(cluster):
                written[cluster.id, pid] = count
        self._writers.seen(written)
        biggest = self._writers.biggest
        if space is Space.SHORT and biggest is not None:
            name, pid = biggest
            await self._stop(self._runtime.clusters[name], pid, free)
            return REST_AFTER_STOP_S
        return LOOK_OFTEN_S

    async def _written(self, cluster: HostedCluster) -> list[tuple[int, int]]:
        """The processes of a cluster that write, and what each has written so far."""
        try:
            rows = await cluster.writer.execute(WRITING)
        except (psycopg.Error, BorealisError) as error:
            _log.warning("writers are not known", cluster=cluster.identifier, error=str(error))
            return []
        return [(pid, await in_thread(_bytes_written, pid, duration)) for pid, duration in rows]

    async def _stop(self, cluster: HostedCluster, pid: int, free: int) -> None:
        """Cancel what a process runs, and have its client told why."""
        answer = error_response(
            DISK_FULL,
            f"the disk of this host is nearly full: {free // MIB} MiB are free, and this statement "
            "writes most of what fills it",
            hint="Free space on the host, drop or delete what is not needed, or write less in one "
            "statement.",
        )
        for endpoint in cluster.endpoints.values():
            await endpoint.explain_cancel(pid, answer)
        await cluster.writer.execute(CANCEL, pid)
        await self._runtime.record(
            cluster,
            f"A statement was stopped: {free // MIB} MiB are free on the disk",
            "low storage",
        )


def _bytes_written(pid: int, duration_ns: int) -> int:
    """What a process has written. Where the system does not say, who writes for longest counts for
    most: as if each wrote a gigabyte a second.
    """
    try:
        return int(psutil.Process(pid).io_counters().write_chars)
    except (psutil.Error, AttributeError):
        return duration_ns
