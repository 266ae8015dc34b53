"""Tells the running instances of a cluster what they tell their clients.

At once where something changes: an instance starts, is deleted or takes over, a cluster gets its
name or another one. And every second where a cluster has readers, so that their lag is known; who
finds then that something else has changed tells that too.

The reader without a name that serves while a cluster has no instance that can is told nothing: it
is none of the cluster's.
"""

import asyncio
from datetime import UTC, datetime

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.members import describe_instances
from cluster_runtime.control.records.model import DBInstance
from cluster_runtime.control.regularly import Regularly
from cluster_runtime.control.topology.facts import Progress, facts_of, same_topology
from cluster_runtime.engine.access.instance_facts import InstanceFacts
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger

LOOK_EVERY_S = 1.0

_log = get_logger(__name__)


async def publish(cluster: HostedCluster) -> None:
    """Tell every instance that runs who they all are; how far each is changes nothing by itself.

    Where one cannot be told, as on a full disk, that is tried again every second: no start and no
    failover fails for it.
    """
    await _tell(cluster, how_far=False)


class TopologyWatch:
    """Keeps what the instances of one runtime tell up to date, until closed."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._looking = Regularly(self._look, again_s=LOOK_EVERY_S)

    async def close(self) -> None:
        """Watch no more."""
        await self._looking.close()

    async def _look(self) -> float:
        for cluster in list(self._runtime.clusters.values()):
            await _tell(cluster, how_far=True)
        return LOOK_EVERY_S


async def _tell(cluster: HostedCluster, *, how_far: bool) -> None:
    if cluster.writer.socket is None and not cluster.instances.readers:
        return  # nobody asks
    running = _running(cluster)
    told = facts_of(
        cluster.db_cluster,
        [member for member, _ in running],
        _progress(cluster),
        cluster.writer.extensions,
        datetime.now(UTC),
    )
    moves = how_far and len(running) > 1
    await asyncio.gather(
        *(
            _tell_one(cluster, instance, facts)
            for member, instance in running
            for facts in (told[member.db_instance_identifier],)
            if moves or instance.told is None or not same_topology(instance.told, facts)
        )
    )


async def _tell_one(cluster: HostedCluster, instance: HostedInstance, facts: InstanceFacts) -> None:
    try:
        await instance.tell(facts)
    except (OSError, BorealisError) as error:
        _log.warning(
            "an instance was not told",
            cluster=cluster.identifier,
            instance=facts.server_id,
            error=str(error),
        )


def _progress(cluster: HostedCluster) -> dict[str, Progress]:
    """How far each instance is, as the volume knows it: nobody is asked."""
    volume = cluster.instances.storage.opened
    if volume is None:
        return {}
    durable = volume.durable_lsn
    found = {cluster.writer_name: Progress(durable_lsn=durable, current_read_lsn=durable)}
    for name, reader in cluster.instances.ready_readers.items():
        replayed = reader.servers.as_reader.replayed
        found[name] = Progress(durable, replayed, replayed, cluster.lag.get(name))
    return found


def _running(cluster: HostedCluster) -> list[tuple[DBInstance, HostedInstance]]:
    """The members that run, each with its server: the writer, then the readers."""
    found = []
    for member in describe_instances(cluster):
        try:
            instance = cluster.instance(member.db_instance_identifier)
        except LookupError:  # it is being made, or deleted
            continue
        if instance.socket is not None:
            found.append((member, instance))
    return found
