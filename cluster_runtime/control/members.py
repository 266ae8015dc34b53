"""The instances of a cluster as DescribeDBInstances shows them: its writer, then its readers."""

from collections.abc import Sequence
from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.records.identifiers import did_you_mean, instance_endpoint_name
from cluster_runtime.control.records.instances import InstanceRecord
from cluster_runtime.control.records.model import (
    ClusterStatus,
    DBCluster,
    DBInstance,
    InstanceStatus,
    WarmBranchStatus,
)
from cluster_runtime.errors import InstanceNotFoundError
from cluster_runtime.serverless.metering.meter import Known
from cluster_runtime.serverless.scaling.units import LEAST_RUNNING_ACU
from cluster_runtime.serverless.scaling.versions import DEFAULT_VERSION
from cluster_runtime.wording import Hint, Operation


def describe_cluster(cluster: HostedCluster) -> DBCluster:
    """A cluster with what is so at this moment: capacity, walls, how far it can be rewound."""
    running = cluster.writer.socket is not None
    held = cluster.capacities.get(cluster.writer_name)
    return replace(
        cluster.db_cluster,
        capacity=capacity_of(cluster, cluster.writer_name) if running else 0.0,
        serverless_capacity=held if running else None,
        serverless_v2_platform_version=DEFAULT_VERSION.number,
        deep_pause=None if running else cluster.deep_pause,
        walls=cluster.instances.writer_server.walls if running else None,
        earliest_backtrack_time=cluster.instances.storage.earliest,
        warm_branch_status=_warm_branch_status(cluster),
    )


def _warm_branch_status(cluster: HostedCluster) -> WarmBranchStatus:
    if not cluster.db_cluster.warm_branch:
        return "off"
    if cluster.writer.socket is None:
        return "paused"
    warm = cluster.instances.warm_branch
    return "ready" if warm is not None and warm.ready else "preparing"


def capacity_of(cluster: HostedCluster, name: str) -> float:
    """The ACU of an instance that runs; the least of its cluster where none was decided yet."""
    held = cluster.capacities.get(name)
    if held is not None:
        return held.granted
    return max(cluster.db_cluster.scaling.min_capacity, LEAST_RUNNING_ACU)


def metered(cluster: HostedCluster) -> Known:
    """What a bill has to know of a cluster."""
    return Known(
        cluster.id,
        cluster.identifier,
        tuple((tag.key, tag.value) for tag in cluster.db_cluster.tag_list),
        cluster.db_cluster.storage_type,
    )


def describe_instances(cluster: HostedCluster) -> list[DBInstance]:
    """The writer, then the readers in the order of their creation."""
    writer = cluster.writer_name
    found = [_member(cluster, each) for each in cluster.records.values()]
    return sorted(found, key=lambda each: each.db_instance_identifier != writer)


def instance_named(identifier: str, known: Sequence[DBInstance]) -> DBInstance:
    """Raises InstanceNotFoundError with the nearest name that exists."""
    for instance in known:
        if instance.db_instance_identifier == identifier.lower():
            return instance
    guess = did_you_mean(identifier, (each.db_instance_identifier for each in known))
    raise InstanceNotFoundError(
        f"no instance {identifier!r}{guess}",
        Hint("{} lists all of them", Operation("describe_db_instances")),
    )


def _member(cluster: HostedCluster, record: InstanceRecord) -> DBInstance:
    db_cluster, name = cluster.db_cluster, record.db_instance_identifier
    is_writer = name == cluster.writer_name
    endpoint = cluster.endpoints.get(f"instance:{name}")
    return DBInstance(
        db_instance_identifier=name,
        db_cluster_identifier=db_cluster.db_cluster_identifier,
        db_instance_status=_status(cluster, record, is_writer=is_writer),
        is_cluster_writer=is_writer,
        engine=db_cluster.engine,
        engine_version=db_cluster.engine_version,
        instance_create_time=record.instance_create_time,
        db_cluster_parameter_group_status="pending-reboot"
        if _parameters_wait(cluster, name)
        else "in-sync",
        promotion_tier=record.promotion_tier,
        db_instance_class=record.db_instance_class,
        availability_zone=f"{db_cluster.region}{record.zone}",
        endpoint=instance_endpoint_name(name, cluster.id, db_cluster.region),
        port=endpoint.port if endpoint is not None else record.port,
        dbi_resource_id=record.dbi_resource_id,
        aurora_replica_lag=None if is_writer else cluster.lag.get(name),
        serverless_capacity=cluster.capacities.get(name) if _runs(cluster, name) else None,
        logical_replication_slots=cluster.slots.get(name, ()),
    )


def _status(cluster: HostedCluster, record: InstanceRecord, *, is_writer: bool) -> InstanceStatus:
    if record.status is not InstanceStatus.AVAILABLE:
        return record.status
    if cluster.db_cluster.status in (ClusterStatus.STOPPED, ClusterStatus.STOPPING):
        return InstanceStatus.STOPPED
    if is_writer and cluster.supervision is not None and cluster.supervision.trouble is not None:
        return InstanceStatus.FAILED
    resting = cluster.writer.socket is None and not cluster.instances.ready_readers
    if is_writer or (resting and cluster.db_cluster.status is ClusterStatus.AVAILABLE):
        return InstanceStatus.AVAILABLE  # of a paused cluster
    name = record.db_instance_identifier
    if name in cluster.asleep:
        return InstanceStatus.AVAILABLE
    if name in cluster.problems:
        return InstanceStatus.FAILED
    reader = cluster.instances.readers.get(name)
    ready = reader is not None and reader.ready
    return InstanceStatus.AVAILABLE if ready else InstanceStatus.STARTING


def _runs(cluster: HostedCluster, name: str) -> bool:
    try:
        return cluster.instance(name).socket is not None
    except LookupError:
        return False


def _parameters_wait(cluster: HostedCluster, name: str) -> bool:
    try:
        return cluster.instance(name).server.parameters_wait
    except LookupError:
        return False  # it is being made, or deleted
