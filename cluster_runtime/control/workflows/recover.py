"""The start of a host: what the last one left is ended, finished, swept, or brought back."""

import asyncio
import contextlib
from dataclasses import replace

from cluster_runtime.control.cluster import UNNAMED_MARK, Context, HostedCluster
from cluster_runtime.control.endpoints import open_endpoints
from cluster_runtime.control.records.catalog import CatalogEntry
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.workflows.create import instances_over
from cluster_runtime.control.workflows.delete import finish_delete
from cluster_runtime.control.workflows.upgrade import BEFORE_ADMIN_DATABASE, restore_configuration
from cluster_runtime.engine.system.processes import end_orphans
from cluster_runtime.errors import PortInUseError
from cluster_runtime.logs import get_logger

_log = get_logger(__name__)


async def recover(context: Context) -> None:
    """Bring the clusters of the catalog back.

    Raises CatalogCorruptedError before anything is touched.
    """
    known = await asyncio.to_thread(context.catalog.clusters)
    orphans = await asyncio.to_thread(end_orphans, context.home.clusters)
    if orphans:
        _log.warning("ended PostgreSQL that a killed host left behind", pids=orphans)
    await asyncio.to_thread(_sweep, context, {each.facts.db_cluster_resource_id for each in known})
    for entry in known:
        await _bring_back(context, entry)


async def _bring_back(context: Context, entry: CatalogEntry) -> None:
    facts = entry.facts
    installation = await asyncio.to_thread(context.installation, facts.engine_version)
    instances = await asyncio.to_thread(
        instances_over, context, installation, facts.db_cluster_resource_id
    )
    directory = context.home.clusters / facts.db_cluster_resource_id
    cluster = HostedCluster(facts, directory, instances, entry.format)
    if facts.status is ClusterStatus.DELETING:
        await finish_delete(context, cluster)
        return
    context.clusters[cluster.id] = cluster
    if cluster.format == BEFORE_ADMIN_DATABASE:
        await restore_configuration(context, cluster)
    open_to_clients = facts.internet_access_gateway_enabled and facts.has_writer
    if facts.status is ClusterStatus.STOPPED or not open_to_clients:
        return
    cluster.facts = replace(facts, status=ClusterStatus.AVAILABLE)
    try:
        await open_endpoints(context, cluster)
    except PortInUseError as error:
        _log.error("cluster has no endpoint", cluster=cluster.identifier, error=str(error))
        cluster.facts = replace(facts, status=ClusterStatus.INCOMPATIBLE_NETWORK)
    if cluster.facts != facts:
        await context.store(cluster, cluster.facts)


def _sweep(context: Context, known: set[str]) -> None:
    """Remove directories of clusters that never got a name.

    One that has a name but no row belongs to a catalog that was moved away: it is left alone.
    """
    for directory in context.home.clusters.iterdir():
        if directory.name in known:
            with contextlib.suppress(FileNotFoundError):
                (directory / UNNAMED_MARK).unlink()
        elif (directory / UNNAMED_MARK).exists():
            context.home.remove(directory)
        else:
            _log.warning("a cluster's directory is in no catalog", directory=str(directory))
