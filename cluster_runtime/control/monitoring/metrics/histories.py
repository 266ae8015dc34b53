"""The histories of clusters: in memory while they run, in a file of their directory always.

What was measured since the file was last written is lost where the host is killed.
"""

import time

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.metrics import history_file
from cluster_runtime.serverless.metrics.history import History

_log = get_logger(__name__)


async def history_of(runtime: OpenRuntime, cluster: HostedCluster) -> History:
    """The history of a cluster, which a paused one does not keep in memory; empty without one."""
    known = runtime.histories.get(cluster.id)
    return known if known is not None else await _read(runtime, cluster)


async def begin(runtime: OpenRuntime, cluster: HostedCluster) -> History:
    """Have the history of a cluster in memory from now on, for it runs."""
    history = await _read(runtime, cluster)
    return runtime.histories.setdefault(cluster.id, history)


async def save(runtime: OpenRuntime, cluster: HostedCluster) -> bool:
    """Write what is in memory; what cannot be written stays there, and the log says so.

    Returns whether nothing of it would be lost with the memory.
    """
    history = runtime.histories.get(cluster.id)
    if history is None or cluster.db_cluster.status is ClusterStatus.DELETING:
        return True
    history.forget_before(time.time())
    taken = history_file.snapshot(history)
    try:
        await in_thread(history_file.write, cluster.directory, taken)
    except (OSError, BorealisError) as error:
        if cluster.id in runtime.clusters:
            _log.warning("metrics not kept", cluster=cluster.identifier, error=str(error))
            return False
    return True


async def _read(runtime: OpenRuntime, cluster: HostedCluster) -> History:
    try:
        found = await in_thread(history_file.read, cluster.directory)
    except (history_file.UnreadableHistoryError, OSError, BorealisError) as error:
        await _set_aside(runtime, cluster, error)
        found = None
    return found if found is not None else History()


async def _set_aside(runtime: OpenRuntime, cluster: HostedCluster, error: Exception) -> None:
    """Begin without it, and say so; it stays under another name."""
    try:
        kept = await in_thread(history_file.set_aside, cluster.directory)
    except (OSError, BorealisError) as failure:
        _log.error("metrics cannot be read", cluster=cluster.identifier, error=str(failure))
        return
    await runtime.record(
        cluster,
        f"Metrics of the last day could not be read: {error}. The file is kept as {kept.name}, and "
        "metrics begin again",
        "failure",
    )
