"""Readers that pause alone: which of them are idle for long enough, and which stay asleep."""

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.endpoints import idle_seconds
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.records.model import SERVERLESS
from cluster_runtime.serverless.auto_pause import ReaderPause, tier_pauses_alone


class ReaderPauses:
    """Of one cluster. Looked at once a second while it runs."""

    def __init__(self) -> None:
        self._idle: dict[HostedInstance, ReaderPause] = {}

    def are_due(
        self, cluster: HostedCluster, name: str, reader: HostedInstance, now: float
    ) -> bool:
        """Whether a reader that serves pauses now. now: of any monotonic clock, in seconds."""
        if not pauses_alone(cluster, name):
            self._idle.pop(reader, None)
            return False
        connected = sum(each.servers()[reader.path] for each in cluster.endpoints.values())
        idle = self._idle.setdefault(reader, ReaderPause(now))
        due = idle.seen(connected, idle_seconds(cluster.db_cluster.scaling), now)
        if due:
            del self._idle[reader]
        return due

    def stay_asleep(self, cluster: HostedCluster) -> set[str]:
        """Those that do not wake with the writer."""
        self._idle.clear()
        return {name for name in cluster.instances.readers if pauses_alone(cluster, name)}


def pauses_alone(cluster: HostedCluster, name: str) -> bool:
    """Whether a reader is one that pauses without its writer."""
    record = cluster.records[name]
    return (
        cluster.db_cluster.scaling.auto_pause
        and record.db_instance_class == SERVERLESS
        and tier_pauses_alone(record.promotion_tier)
    )
