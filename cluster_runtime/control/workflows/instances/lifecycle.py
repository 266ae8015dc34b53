"""CreateDBInstance, ModifyDBInstance, DeleteDBInstance and RebootDBInstance.

Each step is noted in the catalog before it is done: a reader whose making is cut short is unmade by
the next start of a host, and one whose deletion is cut short is deleted (`hosting.with_instances`).
"""

from dataclasses import replace
from datetime import UTC, datetime

from cluster_runtime.control.availability.placement import zone_for
from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import (
    close_endpoint,
    close_endpoints,
    disconnect,
    of_instance,
    open_endpoints,
    open_instance_endpoint,
    update_endpoints,
)
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.instances import CreateDBInstance, ModifyDBInstance
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.instances import (
    FIRST_PLACE,
    READERS_MAX,
    InstanceRecord,
    new_instance_resource_id,
    place_of,
)
from cluster_runtime.control.records.model import ClusterStatus, InstanceStatus
from cluster_runtime.control.topology.publishing import publish
from cluster_runtime.control.workflows.instances.failover import failover_db_cluster, reboot_writer
from cluster_runtime.control.workflows.instances.hosting import hosted_at, remove_files
from cluster_runtime.control.workflows.parameter_groups import apply_parameters
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.errors import (
    InstanceAlreadyExistsError,
    InstanceNotReadyError,
    InstanceQuotaError,
)
from cluster_runtime.wording import Hint, Operation


async def create_db_instance(
    runtime: OpenRuntime, cluster: HostedCluster, request: CreateDBInstance
) -> str:
    """Make the writer of a cluster that has none, else a reader; its name.

    Raises what `CreateDBInstance` declares.
    """
    name = check_identifier(request.db_instance_identifier)
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        _check_free(name, runtime)
        record = _new_record(cluster, name, request)
        if not cluster.db_cluster.has_writer:
            await _make_writer(runtime, cluster, record)
            return name
        _check_room(cluster)
        cluster.records[name] = record  # from now on the name is taken
    try:
        await runtime.keep(cluster, record)
        await _make_reader(runtime, cluster, record)
    except BaseException:
        async with cluster.changing:
            await _unmake(runtime, cluster, record)
        raise
    await runtime.record(cluster, f"DB instance created: {name}", "creation")
    return name


async def modify_db_instance(
    runtime: OpenRuntime, cluster: HostedCluster, request: ModifyDBInstance
) -> None:
    """Change an instance, at once. Raises what `ModifyDBInstance` declares."""
    async with cluster.changing:
        record = _settled(cluster, request.db_instance_identifier)
        after = replace(
            record,
            promotion_tier=record.promotion_tier
            if request.promotion_tier is None
            else request.promotion_tier,
            db_instance_class=request.db_instance_class or record.db_instance_class,
        )
        await runtime.keep(cluster, after)
        if after.db_instance_class != record.db_instance_class:
            update_endpoints(runtime, cluster)
            await apply_parameters(runtime, cluster, None)


async def delete_db_instance(runtime: OpenRuntime, cluster: HostedCluster, identifier: str) -> None:
    """Delete an instance; the data stay with the cluster. Where it is the writer and there are
    readers, one of them becomes the writer first. Raises what `DeleteDBInstance` declares.
    """
    name = identifier.lower()
    if name == cluster.writer_name and cluster.instances.readers:
        await failover_db_cluster(runtime, cluster, None)
        if name == cluster.writer_name:
            raise InstanceNotReadyError(
                f"instance {name!r} is the writer, and none of its cluster's readers is ready to "
                "take its place; try again once one is, or delete them first"
            )
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        record = _settled(cluster, name)
        if name == cluster.writer_name:
            await _delete_writer(runtime, cluster, record)
            return
        await runtime.keep(cluster, replace(record, status=InstanceStatus.DELETING))
        reader = cluster.instances.readers.pop(name)
        await disconnect(cluster, reader)
        await reader.stop(Shutdown.IMMEDIATE)
        await _forget(runtime, cluster, record)
    await runtime.record(cluster, f"DB instance deleted: {name}", "deletion")


async def reboot_db_instance(cluster: HostedCluster, identifier: str) -> None:
    """Start an instance again. Raises what `RebootDBInstance` declares."""
    if identifier == cluster.writer_name:
        await reboot_writer(cluster)
        return
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        record = _settled(cluster, identifier)
        reader = cluster.instances.readers[identifier]
        cluster.records[identifier] = replace(record, status=InstanceStatus.REBOOTING)
        try:
            await disconnect(cluster, reader)
            await reader.stop(Shutdown.IMMEDIATE)
            await reader.ensure_running()
        finally:
            cluster.records[identifier] = record


async def _make_writer(
    runtime: OpenRuntime, cluster: HostedCluster, record: InstanceRecord
) -> None:
    before = cluster.db_cluster
    name = record.db_instance_identifier
    cluster.db_cluster = replace(before, has_writer=True, writer_identifier=name)
    cluster.records[name] = record = replace(
        record, place=FIRST_PLACE, status=InstanceStatus.AVAILABLE
    )
    try:
        await cluster.writer.ensure_running()
        if before.internet_access_gateway_enabled:
            await open_endpoints(runtime, cluster)
        await runtime.keep(cluster, cluster.records[name])
        await runtime.store(cluster, cluster.db_cluster)
    except BaseException:
        cluster.db_cluster = before
        await close_endpoints(runtime, cluster)
        await cluster.instances.stop(Shutdown.FAST)
        await _drop(runtime, cluster, name)
        raise


async def _make_reader(
    runtime: OpenRuntime, cluster: HostedCluster, record: InstanceRecord
) -> None:
    """Start it beside the others, then let clients in. Its maker alone waits for its replay."""
    name = record.db_instance_identifier
    reader = await hosted_at(runtime, cluster, record.place, name, as_reader=True)
    cluster.instances.readers[name] = reader
    if cluster.writer.socket is None and not cluster.instances.ready_readers:
        await cluster.writer.ensure_running()
    await reader.ensure_running()
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE, ClusterStatus.STOPPED)
        record = replace(cluster.records[name], status=InstanceStatus.AVAILABLE)
        await runtime.keep(cluster, record)
        if cluster.endpoints:
            await open_instance_endpoint(runtime, cluster, record)
    if cluster.supervision is not None:
        cluster.supervision.look()


async def _unmake(runtime: OpenRuntime, cluster: HostedCluster, record: InstanceRecord) -> None:
    reader = cluster.instances.readers.pop(record.db_instance_identifier, None)
    if reader is not None:
        await reader.stop(Shutdown.IMMEDIATE)
    await _forget(runtime, cluster, record)


async def _delete_writer(
    runtime: OpenRuntime, cluster: HostedCluster, record: InstanceRecord
) -> None:
    """Delete the last instance: the cluster takes no connections until it gets another one."""
    await runtime.store(
        cluster, replace(cluster.db_cluster, has_writer=False, writer_identifier="")
    )
    await close_endpoints(runtime, cluster)
    await cluster.instances.stop(Shutdown.FAST)
    cluster.instances.writer = await hosted_at(runtime, cluster, FIRST_PLACE, "", as_reader=False)
    await _drop(runtime, cluster, record.db_instance_identifier)


async def _forget(runtime: OpenRuntime, cluster: HostedCluster, record: InstanceRecord) -> None:
    """Remove an instance that does not run: its endpoint, its files, then its row."""
    name = record.db_instance_identifier
    await close_endpoint(runtime, cluster, of_instance(name))
    await in_thread(remove_files, cluster.directory, record)
    cluster.lag.pop(name, None)
    cluster.slots.pop(name, None)
    cluster.problems.pop(name, None)
    await _drop(runtime, cluster, name)


async def _drop(runtime: OpenRuntime, cluster: HostedCluster, name: str) -> None:
    await in_thread(runtime.catalog.remove_instance, name)
    cluster.records.pop(name, None)
    await publish(cluster)


def _new_record(cluster: HostedCluster, name: str, request: CreateDBInstance) -> InstanceRecord:
    resource_id = new_instance_resource_id()
    volume = cluster.instances.storage.opened
    return InstanceRecord(
        name,
        resource_id,
        cluster.id,
        place_of(resource_id),
        zone_for(
            (each.zone for each in cluster.records.values()),
            volume.lost_zones if volume is not None else (),
        ),
        datetime.now(UTC),
        request.db_instance_class,
        request.promotion_tier,
        status=InstanceStatus.CREATING,
    )


def _settled(cluster: HostedCluster, name: str) -> InstanceRecord:
    """The record of an instance that is neither made nor deleted at the moment."""
    record = cluster.records.get(name.lower())
    if record is None or record.status is not InstanceStatus.AVAILABLE:
        doing = "gone" if record is None else record.status.value
        raise InstanceNotReadyError(f"instance {name!r} is {doing}")
    return record


def _check_free(name: str, runtime: OpenRuntime) -> None:
    if name in runtime.instance_names():
        raise InstanceAlreadyExistsError(
            f"an instance {name!r} exists already; choose another identifier"
        )


def _check_room(cluster: HostedCluster) -> None:
    readers = len(cluster.records) - 1
    if readers >= READERS_MAX:
        raise InstanceQuotaError(
            f"cluster {cluster.identifier!r} has {readers} readers, as many as it may have",
            Hint("delete one first with {}", Operation("delete_db_instance", "NAME")),
        )
