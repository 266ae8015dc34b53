"""ModifyDBCluster. Every change applies at once, and none of them ends a connection."""

from dataclasses import replace
from typing import Any

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import (
    close_endpoints,
    idle_seconds,
    open_endpoints,
    update_endpoints,
)
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.clusters import ModifyDBCluster
from cluster_runtime.control.records.event_messages import of_a_change
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.control.records.parameter_groups import DEFAULT_PREFIX
from cluster_runtime.control.records.resources import MasterUserSecret
from cluster_runtime.control.topology.publishing import publish
from cluster_runtime.control.workflows.create import renamed, set_password
from cluster_runtime.control.workflows.parameter_groups import apply_parameters, group_of
from cluster_runtime.control.workflows.reset_settings import reset_settings
from cluster_runtime.control.workflows.secrets import master_user_secret, secret_arn
from cluster_runtime.errors import ClusterAlreadyExistsError, InvalidParameterError
from cluster_runtime.wording import Parameter


def applied(request: ModifyDBCluster, db_cluster: DBCluster) -> DBCluster:
    """The cluster after this change."""
    if request.new_db_cluster_identifier is not None:
        db_cluster = renamed(db_cluster, check_identifier(request.new_db_cluster_identifier))
    group = request.db_cluster_parameter_group_name
    changes: dict[str, Any] = {
        "db_cluster_parameter_group": "" if group and group.startswith(DEFAULT_PREFIX) else group,
        "scaling": request.serverless_v2_scaling_configuration,
        "deletion_protection": request.deletion_protection,
        "iam_database_authentication_enabled": request.enable_iam_database_authentication,
        "require_tls": request.require_tls,
        "internet_access_gateway_enabled": request.internet_access_gateway_enabled,
        "storage_type": request.storage_type,
        "backup_retention_period": request.backup_retention_period,
        "backtrack_window": request.backtrack_window,
        "backtrack_bytes_max": request.backtrack_bytes_max,
        "seconds_until_deep_pause": request.seconds_until_deep_pause,
        "warm_branch": request.warm_branch,
    }
    db_cluster = replace(db_cluster, **{name: to for name, to in changes.items() if to is not None})
    return replace(db_cluster, master_user_secret=_secret_after(request, db_cluster))


def _secret_after(request: ModifyDBCluster, db_cluster: DBCluster) -> MasterUserSecret | None:
    """The managed password after this change. Raises InvalidParameterError."""
    before = db_cluster.master_user_secret
    if request.manage_master_user_password and before is None:
        return MasterUserSecret(
            secret_arn(db_cluster.db_cluster_resource_id, db_cluster.region), version=1
        )
    if request.manage_master_user_password is False:
        return None
    if before is not None and request.master_user_password is not None:
        raise InvalidParameterError(
            "the runtime manages the master password of this cluster; with ",
            Parameter("master_user_password"),
            ", say that it no longer does: ",
            Parameter("manage_master_user_password"),
        )
    if not request.rotate_master_user_password:
        return before
    if before is None:
        raise InvalidParameterError(
            Parameter("rotate_master_user_password"),
            " is for a password that the runtime manages, which it does not",
        )
    return replace(before, version=before.version + 1)


async def modify_db_cluster(
    runtime: OpenRuntime, cluster: HostedCluster, request: ModifyDBCluster
) -> DBCluster:
    """Raises ClusterAlreadyExistsError, InvalidClusterStateError, InvalidParameterError."""
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE, ClusterStatus.STOPPED)
        after = applied(request, cluster.db_cluster)
        _check_free(runtime, cluster, after.db_cluster_identifier)
        group_of(runtime, request.db_cluster_parameter_group_name)
        if request.master_user_password is not None:
            cluster.require_writer()
            cluster.require(ClusterStatus.AVAILABLE)
            await cluster.writer.ensure_running()
            await set_password(cluster.writer, after.master_username, request.master_user_password)
        secret = after.master_user_secret
        if secret is not None and secret != cluster.db_cluster.master_user_secret:
            cluster.require_writer()
            cluster.require(ClusterStatus.AVAILABLE)
            await cluster.writer.ensure_running()
            made = master_user_secret(runtime, after)
            await set_password(cluster.writer, after.master_username, made.password)
        if request.reset_settings:
            cluster.require_writer()
            cluster.require(ClusterStatus.AVAILABLE)
            await cluster.writer.ensure_running()
            await reset_settings(runtime, cluster)
        if request.storage_type is not None:
            storage = cluster.instances.storage
            await in_thread(storage.set_storage_type, request.storage_type)
        before = cluster.db_cluster
        await runtime.store(cluster, after)
        cluster.instances.storage.configure()
        scaling = request.serverless_v2_scaling_configuration
        if scaling is not None and cluster.watch is not None:
            cluster.watch.configured(idle_seconds(scaling))
        warm = cluster.instances.warm_branch
        if warm is not None and before.warm_branch and not after.warm_branch:
            await warm.rest()
        if after.internet_access_gateway_enabled != before.internet_access_gateway_enabled:
            await _switch_gateway(runtime, cluster)
        update_endpoints(runtime, cluster)
        await publish(cluster)
        if request.db_cluster_parameter_group_name is not None:
            await apply_parameters(runtime, cluster, None)
        renewed = secret is not None and secret != before.master_user_secret
        new_password = renewed or request.master_user_password is not None
        for message, category in of_a_change(before, after, new_password=new_password):
            await runtime.record(cluster, message, category)
        return cluster.db_cluster


async def _switch_gateway(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    if not cluster.db_cluster.internet_access_gateway_enabled:
        await close_endpoints(runtime, cluster)
    elif cluster.db_cluster.status is ClusterStatus.AVAILABLE and cluster.db_cluster.has_writer:
        await open_endpoints(runtime, cluster)
        await runtime.store(cluster, cluster.db_cluster)


def _check_free(runtime: OpenRuntime, cluster: HostedCluster, identifier: str) -> None:
    others = {other.identifier for other in runtime.clusters.values() if other is not cluster}
    if identifier in others | runtime.reserved.keys():
        raise ClusterAlreadyExistsError(
            f"a cluster {identifier!r} exists already; choose another identifier"
        )
