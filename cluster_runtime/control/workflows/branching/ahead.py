"""A warm branch: a standby kept ready, so that the next branch of a cluster only has to be cut off.

It has everything that the branch will have as soon as it is there: a directory, a user of the
operating system, a socket. What it lacks is a name and a volume. A host that is killed meanwhile
leaves a directory without a name, which the next start sweeps; then another one is made.
"""

import asyncio
from pathlib import Path

import psycopg

from cluster_runtime.control.cluster import (
    BranchAhead,
    HostedCluster,
    OpenRuntime,
)
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.identifiers import new_resource_id
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.servers.storage import BASE_IMAGE
from cluster_runtime.control.workflows.create import discard_unnamed
from cluster_runtime.control.workflows.instances.hosting import branch_ahead
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.coalescing import retry_after

AFTER_ONE_S = 1.0
"""Between a branch that took the last one and the next one: the branch begins meanwhile."""

_log = get_logger(__name__)
_FAILURES = (BorealisError, psycopg.Error, OSError)


class WarmBranches:
    """Keeps one for a cluster that wants it. On the event loop."""

    def __init__(self, runtime: OpenRuntime, cluster: HostedCluster) -> None:
        self._runtime, self._cluster = runtime, cluster
        self._loop = asyncio.get_running_loop()
        self._ready: BranchAhead | None = None
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._not_before = 0.0

    @property
    def ready(self) -> bool:
        """Whether the next branch will find one."""
        return self._ready is not None and self._ready.standby.is_near()

    def look(self) -> None:
        """Begin to make one where one is wanted, and let go of one that is of no use."""
        cluster = self._cluster
        if self._task is not None and not self._task.done():
            return
        if not cluster.db_cluster.warm_branch or not cluster.writer.ready:
            return
        if cluster.db_cluster.status is not ClusterStatus.AVAILABLE:
            return
        if self._ready is not None and self._ready.standby.is_lost():
            _log.warning("a warm branch is of no use any more", cluster=cluster.identifier)
            self._task = self._loop.create_task(self._let_go())
        elif self._ready is None and self._loop.time() >= self._not_before:
            self._task = self._loop.create_task(self._make())

    def take(self) -> BranchAhead | None:
        """The one that is ready, which is the caller's from now on; None where none is."""
        if not self.ready:
            return None
        taken, self._ready = self._ready, None
        self._not_before = self._loop.time() + AFTER_ONE_S
        return taken

    async def rest(self) -> None:
        """End it, and make none before the next `look`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._let_go()

    async def _let_go(self) -> None:
        ready, self._ready = self._ready, None
        if ready is not None:
            await discard_unnamed(self._runtime, ready)

    async def _make(self) -> None:
        try:
            self._ready = await _make_ahead(self._runtime, self._cluster)
        except _FAILURES as error:
            self._failures += 1
            self._not_before = self._loop.time() + retry_after(self._failures)
            _log.warning(
                "no branch is kept warm; that is tried again",
                cluster=self._cluster.identifier,
                error=str(error),
            )
        else:
            self._failures = 0


async def _make_ahead(runtime: OpenRuntime, source: HostedCluster) -> BranchAhead:
    """Nothing remains where that fails."""
    installation = await in_thread(runtime.installation, source.db_cluster.engine_version)
    resource_id = new_resource_id()
    made: BranchAhead | None = None
    try:
        made = await in_thread(branch_ahead, runtime, installation, source, resource_id)
        await in_thread(_furnish, made.directory, source.directory)
        await made.instances.writer.ensure_running()
    except BaseException:
        if made is None:
            await in_thread(runtime.home.remove, runtime.home.clusters / resource_id)
        else:
            await discard_unnamed(runtime, made)
        raise
    return made


def _furnish(directory: Path, source: Path) -> None:
    (directory / BASE_IMAGE).symlink_to((source / BASE_IMAGE).resolve())
