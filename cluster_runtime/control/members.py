"""The instances of a cluster as DescribeDBInstances shows them: its writer, then its readers."""

import difflib
from collections.abc import Sequence
from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.records.model import (
    ClusterStatus,
    DBCluster,
    DBInstance,
    InstanceStatus,
)
from cluster_runtime.errors import InstanceNotFoundError
from cluster_runtime.wording import Hint, Operation

WRITER_TIER, READER_TIER = 0, 1
DEFAULT_CAPACITY_ACU = 0.5


def describe_cluster(cluster: HostedCluster) -> DBCluster:
    """A cluster with what is so at this moment: capacity, walls, how far it can be rewound."""
    running = cluster.writer.socket is not None
    least = max(cluster.db_cluster.scaling.min_capacity, DEFAULT_CAPACITY_ACU)
    return replace(
        cluster.db_cluster,
        capacity=least if running else 0.0,
        walls=cluster.instances.writer_server.walls if running else None,
        earliest_backtrack_time=cluster.instances.storage.earliest,
    )


def describe_instances(cluster: HostedCluster) -> list[DBInstance]:
    """The writer, and each reader that runs.

    Names are those that RDS gives to the instances which it makes with a cluster.
    """
    if not cluster.db_cluster.has_writer:
        return []
    readers = [reader for reader in cluster.instances.readers if reader.socket is not None]
    return [_member(cluster, 1), *(_member(cluster, 2 + at) for at in range(len(readers)))]


def instance_named(identifier: str, known: Sequence[DBInstance]) -> DBInstance:
    """Raises InstanceNotFoundError with the nearest name that exists."""
    for instance in known:
        if instance.db_instance_identifier == identifier.lower():
            return instance
    near = difflib.get_close_matches(identifier, [one.db_instance_identifier for one in known], n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise InstanceNotFoundError(
        f"no instance {identifier!r} in this runtime{guess}",
        Hint("{} lists all of them", Operation("describe_db_instances")),
    )


def _member(cluster: HostedCluster, number: int) -> DBInstance:
    db_cluster = cluster.db_cluster
    at_rest = db_cluster.status in (ClusterStatus.STOPPED, ClusterStatus.STOPPING)
    return DBInstance(
        db_instance_identifier=(number == 1 and db_cluster.writer_identifier)
        or f"{db_cluster.db_cluster_identifier}-instance-{number}",
        db_cluster_identifier=db_cluster.db_cluster_identifier,
        db_instance_status=InstanceStatus.STOPPED if at_rest else InstanceStatus.AVAILABLE,
        is_cluster_writer=number == 1,
        engine=db_cluster.engine,
        engine_version=db_cluster.engine_version,
        instance_create_time=db_cluster.cluster_create_time,
        db_cluster_parameter_group_status=(
            "pending-reboot" if cluster.instances.writer_server.parameters_wait else "in-sync"
        ),
        promotion_tier=WRITER_TIER if number == 1 else READER_TIER,
    )
