"""CreateDBInstance, DeleteDBInstance and RebootDBInstance: the writer of a cluster."""

from collections.abc import Iterable
from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import close_endpoints, open_endpoints
from cluster_runtime.control.members import describe_instances
from cluster_runtime.control.operations.instances import CreateDBInstance
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.model import ClusterStatus, DBInstance
from cluster_runtime.control.workflows.power import reboot_writer
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.errors import (
    InstanceAlreadyExistsError,
    OperationNotSupportedError,
)


async def create_db_instance(
    runtime: OpenRuntime, cluster: HostedCluster, request: CreateDBInstance
) -> None:
    """Make the writer of a cluster. Raises what `CreateDBInstance` declares."""
    name = check_identifier(request.db_instance_identifier)
    _check_free(name, runtime.clusters.values())
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        if cluster.db_cluster.has_writer:
            raise OperationNotSupportedError(
                f"cluster {cluster.identifier!r} has its writer; this release makes no further "
                "instance by name: a reader comes when the cluster needs one"
            )
        before = cluster.db_cluster
        cluster.db_cluster = replace(before, has_writer=True, writer_identifier=name)
        try:
            await cluster.writer.ensure_running()
            if before.internet_access_gateway_enabled:
                await open_endpoints(runtime, cluster)
            await runtime.store(cluster, cluster.db_cluster)
        except BaseException:
            cluster.db_cluster = before
            await close_endpoints(runtime, cluster)
            await cluster.instances.stop(Shutdown.FAST)
            raise


async def delete_db_instance(
    runtime: OpenRuntime, cluster: HostedCluster, instance: DBInstance
) -> None:
    """Delete the writer of a cluster. Raises what `DeleteDBInstance` declares."""
    _require_the_writer(instance, "deletes")
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        cluster.require_writer()
        await runtime.store(
            cluster, replace(cluster.db_cluster, has_writer=False, writer_identifier="")
        )
        await close_endpoints(runtime, cluster)
        await cluster.instances.stop(Shutdown.FAST)


async def reboot_db_instance(cluster: HostedCluster, instance: DBInstance) -> None:
    """Start the writer of a cluster again. Raises what `RebootDBInstance` declares."""
    _require_the_writer(instance, "reboots")
    await reboot_writer(cluster)


def _check_free(name: str, clusters: Iterable[HostedCluster]) -> None:
    taken = {each.db_instance_identifier for one in clusters for each in describe_instances(one)}
    if name in taken:
        raise InstanceAlreadyExistsError(
            f"an instance {name!r} exists already; choose another identifier"
        )


def _require_the_writer(instance: DBInstance, does: str) -> None:
    if not instance.is_cluster_writer:
        raise OperationNotSupportedError(
            f"instance {instance.db_instance_identifier!r} is a reader, which comes and goes by "
            f"itself; this release {does} writers"
        )
