"""The start of a host: what the last one left is ended, finished, swept, or brought back."""

import asyncio
import contextlib
from dataclasses import replace

from cluster_runtime.control.cluster import UNNAMED_MARK, HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import open_endpoints_again
from cluster_runtime.control.records.catalog import CatalogEntry, UnderWay
from cluster_runtime.control.records.instances import InstanceRecord
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.servers.storage import BASE_IMAGE
from cluster_runtime.control.workflows.backups.automated import forget_backups_of_living
from cluster_runtime.control.workflows.branching.left_behind import finish_workflow
from cluster_runtime.control.workflows.instances.hosting import instances_over, with_instances
from cluster_runtime.control.workflows.pausing.deep import read_mark, writer_directory
from cluster_runtime.control.workflows.upgrade import BEFORE_ADMIN_DATABASE, restore_configuration
from cluster_runtime.engine.system.processes import end_orphans
from cluster_runtime.logs import get_logger

_log = get_logger(__name__)


async def recover(runtime: OpenRuntime) -> None:
    """Bring the clusters of the catalog back.

    Raises CatalogCorruptedError before anything is touched.
    """
    known = await asyncio.to_thread(runtime.catalog.clusters)
    clusters = runtime.home.clusters
    users = await asyncio.to_thread(runtime.home.users.numbers_below, clusters)
    orphans = await asyncio.to_thread(end_orphans, clusters, users)
    if orphans:
        _log.warning("ended PostgreSQL that a killed host left behind", pids=orphans)
    await asyncio.to_thread(
        _sweep, runtime, {each.db_cluster.db_cluster_resource_id for each in known}
    )
    await asyncio.to_thread(runtime.home.sweep_bases, BASE_IMAGE)
    living = {
        each.db_cluster.db_cluster_resource_id
        for each in known
        if each.db_cluster.status is not ClusterStatus.DELETING
    }
    await asyncio.to_thread(forget_backups_of_living, runtime.backup_catalog, living)
    members = await _instances_of_known(runtime, known)
    under_way = await asyncio.to_thread(runtime.catalog.workflows)
    for entry in known:
        begun = under_way.get(entry.db_cluster.db_cluster_resource_id)
        await _bring_back(runtime, entry, members, begun)


async def _instances_of_known(
    runtime: OpenRuntime, known: list[CatalogEntry]
) -> list[InstanceRecord]:
    """The records of instances; those whose cluster was never made are forgotten."""
    clusters = {each.db_cluster.db_cluster_resource_id for each in known}
    found = await asyncio.to_thread(runtime.catalog.instances)
    for record in found:
        if record.db_cluster_resource_id not in clusters:
            name = record.db_instance_identifier
            await asyncio.to_thread(runtime.catalog.remove_instance, name)
    return [each for each in found if each.db_cluster_resource_id in clusters]


async def _bring_back(
    runtime: OpenRuntime,
    entry: CatalogEntry,
    members: list[InstanceRecord],
    under_way: UnderWay | None,
) -> None:
    db_cluster, records = await with_instances(runtime, entry.db_cluster, members)
    installation = await asyncio.to_thread(runtime.installation, db_cluster.engine_version)
    instances = await asyncio.to_thread(
        instances_over,
        runtime,
        installation,
        db_cluster.db_cluster_resource_id,
        records,
        db_cluster.writer_identifier,
    )
    directory = runtime.home.clusters / db_cluster.db_cluster_resource_id
    cluster = HostedCluster(db_cluster, directory, instances, entry.format)
    cluster.records = {each.db_instance_identifier: each for each in records}
    for custom in await asyncio.to_thread(runtime.catalog.custom_endpoints):
        if custom.db_cluster_resource_id == cluster.id:
            cluster.custom[custom.identifier] = custom
    if db_cluster.status is ClusterStatus.DELETING:
        await runtime.remove(cluster)
        return
    runtime.clusters[cluster.id] = cluster
    cluster.deep_pause = await asyncio.to_thread(read_mark, directory, writer_directory(cluster))
    if under_way is not None:
        await finish_workflow(runtime, cluster, under_way)
    if cluster.format == BEFORE_ADMIN_DATABASE:
        await restore_configuration(runtime, cluster)
    open_to_clients = db_cluster.internet_access_gateway_enabled and db_cluster.has_writer
    if db_cluster.status is ClusterStatus.STOPPED or not open_to_clients:
        return
    cluster.db_cluster = replace(db_cluster, status=ClusterStatus.AVAILABLE)
    await open_endpoints_again(runtime, cluster)
    if cluster.db_cluster != db_cluster:
        await runtime.store(cluster, cluster.db_cluster)


def _sweep(runtime: OpenRuntime, known: set[str]) -> None:
    """Remove directories of clusters that never got a name.

    One that has a name but no row belongs to a catalog that was moved away: it is left alone.
    """
    for directory in runtime.home.clusters.iterdir():
        if directory.name in known:
            with contextlib.suppress(FileNotFoundError):
                (directory / UNNAMED_MARK).unlink()
        elif (directory / UNNAMED_MARK).exists():
            runtime.home.remove(directory)
        else:
            try:
                directory.rmdir()  # a host ended before it had marked it
            except OSError:
                _log.warning("a cluster's directory is in no catalog", directory=str(directory))
