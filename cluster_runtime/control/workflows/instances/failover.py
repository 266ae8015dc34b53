"""Failover: a reader becomes the writer, or the writer begins again from the volume.

The old writer is ended first, whatever state it is in; then the volume is opened again, so that its
epoch refuses whatever the old one still has under way; then a reader that shows all of the log is
promoted, and the volume follows it. Until it does, no commit of the new writer returns.

A host that is killed in between leaves a cluster whose writer is the one that the catalog names:
its next start lays that one out from the volume.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import psycopg

from cluster_runtime.control.availability.succession import Candidate, in_order, unfit
from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import disconnect
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.topology.publishing import publish
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.errors import (
    EngineError,
    InstanceNotReadyError,
    InsufficientStorageError,
    InvalidParameterError,
    StorageError,
)
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.volume import StorageVolume

COMPLETED = "Completed failover to DB instance"
RESTARTED = "DB instance restarted"

_log = get_logger(__name__)


async def failover_db_cluster(
    runtime: OpenRuntime, cluster: HostedCluster, target: str | None
) -> None:
    """Replace the writer because somebody asked for it. Raises what `FailoverDBCluster` declares.

    target: the reader that takes over; by default the one that is best placed, and the writer
    itself, from the volume, where there is no reader.
    """
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        cluster.require_writer()
        if target is None:
            await _replace(runtime, cluster, _order(cluster))
        else:
            await _wake_for(cluster, target)
            await _replace(runtime, cluster, [_chosen(cluster, target)], must=True)


async def recover_writer(
    runtime: OpenRuntime,
    cluster: HostedCluster,
    why: str,
    only_if: Callable[[], bool],
    *,
    though_it_runs: bool,
) -> bool:
    """Replace a writer that ended, or that hangs. Returns whether another one took over.

    only_if: asked once nothing else changes the cluster. though_it_runs: otherwise one that some
    client has started again meanwhile is left alone. Raises EngineError, StorageError where nobody
    can take over now.
    """
    async with cluster.changing:
        if cluster.db_cluster.status is not ClusterStatus.AVAILABLE or not only_if():
            return False
        before, order = cluster.writer_name, _order(cluster)
        if not order and not though_it_runs:
            await cluster.writer.ensure_running()
            await runtime.record(cluster, f"{RESTARTED}: {before}", "availability")
            return False
        _log.warning("the writer is replaced", cluster=cluster.identifier, why=why)
        await _replace(runtime, cluster, order, done=RESTARTED, though_it_runs=though_it_runs)
        return cluster.writer_name != before


async def reboot_writer(cluster: HostedCluster) -> None:
    """Start the writer again, after a clean end; clients wait at the gateway meanwhile."""
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        cluster.require_writer()
        async with _failing_over(cluster):
            await disconnect(cluster, cluster.writer)
            await cluster.writer.stop(Shutdown.FAST)
            await cluster.writer.ensure_running()


def candidates(cluster: HostedCluster) -> list[Candidate]:
    """The readers of a cluster, as succession looks at them."""
    volume = cluster.instances.storage.opened
    lost = volume.lost_zones if volume is not None else frozenset()
    found = []
    for name, reader in cluster.instances.readers.items():
        record = cluster.records[name]
        found.append(
            Candidate(
                name,
                record.promotion_tier,
                reader.servers.as_reader.replayed if reader.ready else 0,
                reader.ready and record.zone not in lost,
                record.zone,
            )
        )
    return found


def _order(cluster: HostedCluster) -> list[str]:
    return [each.name for each in in_order(candidates(cluster))]


def _chosen(cluster: HostedCluster, target: str) -> str:
    """The name of a target that can take over.

    Raises InvalidParameterError, InstanceNotReadyError.
    """
    name = target.lower()
    if name == cluster.writer_name:
        raise InvalidParameterError(
            f"instance {name!r} is the writer of cluster {cluster.identifier!r} already"
        )
    why = unfit(candidates(cluster), name)
    if why is not None:
        raise InstanceNotReadyError(
            f"instance {name!r} cannot become the writer of cluster {cluster.identifier!r}: {why}"
        )
    return name


async def _wake_for(cluster: HostedCluster, target: str) -> None:
    """Have a paused cluster and the reader that is to take over run."""
    reader = cluster.instances.readers.get(target.lower())
    if reader is not None and cluster.writer.socket is None and not reader.ready:
        await cluster.writer.ensure_running()
        await reader.ensure_running()


async def _replace(
    runtime: OpenRuntime,
    cluster: HostedCluster,
    order: Sequence[str],
    *,
    must: bool = False,
    done: str = COMPLETED,
    though_it_runs: bool = True,
) -> None:
    """Have the first of some readers that can take over; where none can, the writer again.

    must: what keeps the readers from that is told, once the writer runs again. done: the event of a
    writer that stays.
    """
    old, before = cluster.writer, cluster.writer_name
    failure: Exception | None = None
    try:
        async with _failing_over(cluster):
            await disconnect(cluster, old)
            kill = old.servers.as_writer.kill
            ended = await old.lose(kill, bar=bool(order), though_it_runs=though_it_runs)
            try:
                for name in order if ended else ():
                    failure = await _taken_over(runtime, cluster, name)
                    if failure is None:
                        break
            finally:
                old.allow()
            if cluster.writer is old:
                await old.ensure_running()  # from the volume
    except (EngineError, StorageError, psycopg.Error, OSError) as error:
        await runtime.record(cluster, f"Failover did not complete: {error}", "failover", "failure")
        raise
    if cluster.supervision is not None:
        cluster.supervision.new_writer()
    stayed = cluster.writer_name == before
    if failure is not None and stayed and must:
        await runtime.record(
            cluster, f"Failover did not complete: {failure}", "failover", "failure"
        )
        raise failure
    said = done if stayed else COMPLETED
    category = "failover" if said is COMPLETED else "availability"
    await runtime.record(cluster, f"{said}: {cluster.writer_name}", category)


async def _taken_over(runtime: OpenRuntime, cluster: HostedCluster, name: str) -> Exception | None:
    """Make a reader the writer; what kept it from that, or None."""
    try:
        await _promote(runtime, cluster, name)
    except (EngineError, StorageError, psycopg.Error, OSError) as error:
        _log.error(
            "a reader did not take over", cluster=cluster.identifier, instance=name, why=str(error)
        )
        return error
    return None


async def _promote(runtime: OpenRuntime, cluster: HostedCluster, name: str) -> None:
    instances = cluster.instances
    reader, old, old_name = instances.readers[name], instances.writer, cluster.writer_name

    def fence() -> int:
        volume: StorageVolume = instances.storage.open_for(reader.servers.as_reader)
        return volume.fence()

    durable, _ = await asyncio.gather(in_thread(fence), disconnect(cluster, reader))
    await reader.promote(durable)
    after = replace(cluster.db_cluster, writer_identifier=name)
    # Its commits return from now on: whatever else happens, it is the writer.
    del instances.readers[name]
    instances.readers[old_name] = old
    instances.writer = reader
    cluster.lag.pop(name, None)
    cluster.db_cluster = after
    await old.become_reader()
    try:
        await in_thread(runtime.catalog.put, replace(after, status=ClusterStatus.AVAILABLE))
    except InsufficientStorageError as error:
        # A host that ends before it is noted begins with the old one, laid out from the volume.
        _log.error("a new writer is not noted", cluster=cluster.identifier, error=str(error))
    await publish(cluster)


@asynccontextmanager
async def _failing_over(cluster: HostedCluster) -> AsyncIterator[None]:
    """Clients that connect meanwhile wait for the end."""
    before = cluster.db_cluster.status
    cluster.db_cluster = replace(cluster.db_cluster, status=ClusterStatus.FAILING_OVER)
    try:
        yield
    finally:
        cluster.db_cluster = replace(cluster.db_cluster, status=before)
