"""Faults on purpose, and the volume as it is: for tests, drills and the curious.

Targets: `segment:<id>`, `az:<name>`, `writer`; kinds: `crash`, `partition`, `slow:<ms>`,
`drop:<percent>`, `corrupt`, `disk-full` (see `cluster_runtime/storage/core/faults.py`).
"""

from collections.abc import Callable
from typing import TypeVar

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.endpoints import disconnect
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.storage.core.faults import WRITER, Fault, FaultKind
from cluster_runtime.storage.description import VolumeDescription
from cluster_runtime.storage.volume import StorageVolume

T = TypeVar("T")


async def describe_volume(cluster: HostedCluster) -> VolumeDescription:
    """The volume's LSNs, epoch and segments. For a paused cluster it is opened for this."""
    return await _on_volume(cluster, lambda volume: volume.describe())


async def inject_fault(
    cluster: HostedCluster, target: str, kind: str, duration: float | None
) -> None:
    """Make something fail, for `duration` seconds or until `heal_fault`.

    A crash of the writer is what Aurora's fault query does: its processes are killed, and it comes
    back by itself. Raises InvalidParameterError for a target or kind that there is not.
    """
    if target == WRITER and Fault.parse(kind).kind is FaultKind.CRASH:
        await _crash(cluster, duration)
        return
    await _on_volume(cluster, lambda volume: volume.inject_fault(target, kind, duration))
    if cluster.supervision is not None:
        cluster.supervision.look()  # a zone goes with the instances in it


async def heal_fault(cluster: HostedCluster, target: str | None) -> None:
    """End the faults of a target, or all of them."""
    await _on_volume(cluster, lambda volume: volume.heal(target))
    # A reader that stood in follows the log as it was: the next connect finds a writer.
    await cluster.instances.stop_stand_in()
    if cluster.supervision is not None:
        cluster.supervision.look()


async def lose_compute(cluster: HostedCluster) -> None:
    """Kill the writer with SIGKILL and delete its data directory, as if its machine were gone."""
    await cluster.settled()
    await cluster.writer.lose(cluster.instances.writer_server.lose_data_directory)
    await disconnect(cluster)


async def _crash(cluster: HostedCluster, duration: float | None) -> None:
    if duration is not None:
        raise InvalidParameterError(
            "a writer that crashed comes back by itself, so its crash takes no duration; to keep "
            "it from its volume for a while, use partition"
        )
    await cluster.settled()
    await cluster.writer.lose(cluster.instances.writer_server.kill)
    if cluster.supervision is not None:
        cluster.supervision.writer_ended()


async def _on_volume(cluster: HostedCluster, work: Callable[[StorageVolume], T]) -> T:
    """Do something with the volume. That of a paused cluster is opened for it, and closed again."""
    cluster.require(
        ClusterStatus.AVAILABLE,
        ClusterStatus.FAILING_OVER,
        ClusterStatus.STOPPED,
        ClusterStatus.INCOMPATIBLE_NETWORK,
    )

    def on_thread() -> T:
        with cluster.instances.storage.used() as volume:
            return work(volume)

    return await in_thread(on_thread)
