"""Tells the running instances of a cluster what they tell their clients.

At once where something changes: an instance starts, a cluster gets its name or another one. And
every second where a cluster has readers, so that their lag is known; who finds then that something
else has changed tells that too.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import psycopg

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.members import describe_instances
from cluster_runtime.control.records.model import DBInstance
from cluster_runtime.control.topology.facts import Progress, facts_of, same_topology
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger

LOOK_EVERY_S = 1.0
OF_ITSELF = """
select durable_lsn, highest_lsn_rcvd, current_read_lsn, replica_lag_in_msec
  from pg_catalog.aurora_replica_status() where last_update_timestamp is null
"""
"""Every instance knows best how far it is; its row of itself has no time."""

_log = get_logger(__name__)


async def publish(cluster: HostedCluster, progress: Mapping[str, Progress] | None = None) -> None:
    """Tell every instance that runs.

    progress: how far each is; where it is not given, only what changed otherwise is told.
    """
    running = _running(cluster)
    told = facts_of(
        cluster.db_cluster,
        [member for member, _ in running],
        progress or {},
        cluster.writer.extensions,
        datetime.now(UTC),
    )
    for member, instance in running:
        facts = told[member.db_instance_identifier]
        before = instance.told
        if progress is not None or before is None or not same_topology(before, facts):
            await instance.tell(facts)


class TopologyWatch:
    """Keeps what the instances of one runtime tell up to date, until closed."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Watch no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for cluster in list(self._runtime.clusters.values()):
                try:
                    await self._look(cluster)
                except (OSError, BorealisError, psycopg.Error) as error:
                    _log.warning(
                        "an instance was not told", cluster=cluster.identifier, error=str(error)
                    )

    async def _look(self, cluster: HostedCluster) -> None:
        instances = cluster.instances
        if all(each.socket is None for each in (instances.writer, *instances.readers)):
            return  # paused: nobody asks
        running = _running(cluster)
        if len(running) < 2:
            await publish(cluster)
            return
        progress = {
            member.db_instance_identifier: await _progress(instance) for member, instance in running
        }
        await publish(cluster, progress)


async def _progress(instance: HostedInstance) -> Progress:
    try:
        rows = await instance.execute(OF_ITSELF)
    except psycopg.errors.UndefinedFunction:
        return Progress()  # a reader of an older release's cluster, whose writer has yet to wake
    return Progress(*rows[0]) if rows else Progress()


def _running(cluster: HostedCluster) -> list[tuple[DBInstance, HostedInstance]]:
    """The members that run, each with its server: the writer, then the readers."""
    instances = cluster.instances
    members = describe_instances(cluster)
    writer = instances.writer if cluster.db_cluster.has_writer else None
    readers = [reader for reader in instances.readers if reader.socket is not None]
    servers = ([writer] if writer is not None else []) + readers
    return [
        (member, server)
        for member, server in zip(members, servers, strict=False)
        if server.socket is not None
    ]
