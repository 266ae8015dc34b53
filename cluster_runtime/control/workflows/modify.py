"""ModifyDBCluster. Every change applies at once, and none of them ends a connection."""

from dataclasses import replace
from typing import Any

from cluster_runtime.control.cluster import Context, HostedCluster
from cluster_runtime.control.endpoints import (
    close_endpoints,
    idle_seconds,
    open_endpoints,
    update_endpoints,
)
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.clusters import ModifyDBCluster
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.control.workflows.create import renamed, set_password
from cluster_runtime.control.workflows.reset import reset_settings
from cluster_runtime.errors import ClusterAlreadyExistsError


def applied(request: ModifyDBCluster, facts: DBCluster) -> DBCluster:
    """The facts after this change."""
    if request.new_db_cluster_identifier is not None:
        facts = renamed(facts, check_identifier(request.new_db_cluster_identifier))
    changes: dict[str, Any] = {
        "scaling": request.serverless_v2_scaling_configuration,
        "deletion_protection": request.deletion_protection,
        "iam_database_authentication_enabled": request.enable_iam_database_authentication,
        "require_tls": request.require_tls,
        "internet_access_gateway_enabled": request.internet_access_gateway_enabled,
        "storage_type": request.storage_type,
    }
    return replace(facts, **{name: to for name, to in changes.items() if to is not None})


async def modify_db_cluster(
    context: Context, cluster: HostedCluster, request: ModifyDBCluster
) -> DBCluster:
    """Raises ClusterAlreadyExistsError, InvalidClusterStateError, InvalidParameterError."""
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE, ClusterStatus.STOPPED)
        after = applied(request, cluster.facts)
        _check_free(context, cluster, after.db_cluster_identifier)
        if request.master_user_password is not None:
            cluster.require(ClusterStatus.AVAILABLE)
            await cluster.compute.ensure_running()
            await set_password(cluster.compute, after.master_username, request.master_user_password)
        if request.reset_settings:
            cluster.require(ClusterStatus.AVAILABLE)
            await cluster.compute.ensure_running()
            await reset_settings(context, cluster)
        if request.storage_type is not None:
            storage = cluster.instances.storage
            await in_thread(storage.set_storage_type, request.storage_type)
        before = cluster.facts
        await context.store(cluster, after)
        scaling = request.serverless_v2_scaling_configuration
        if scaling is not None and cluster.watch is not None:
            cluster.watch.configured(idle_seconds(scaling))
        if after.internet_access_gateway_enabled != before.internet_access_gateway_enabled:
            await _switch_gateway(context, cluster)
        update_endpoints(context, cluster)
        return cluster.facts


async def _switch_gateway(context: Context, cluster: HostedCluster) -> None:
    if not cluster.facts.internet_access_gateway_enabled:
        await close_endpoints(context, cluster)
    elif cluster.facts.status is ClusterStatus.AVAILABLE:
        await open_endpoints(context, cluster)
        await context.store(cluster, cluster.facts)


def _check_free(context: Context, cluster: HostedCluster, identifier: str) -> None:
    others = {other.identifier for other in context.clusters.values() if other is not cluster}
    if identifier in others | context.reserved.keys():
        raise ClusterAlreadyExistsError(
            f"a cluster {identifier!r} exists already; choose another identifier"
        )
