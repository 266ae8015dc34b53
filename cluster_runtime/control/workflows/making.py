"""A cluster that is made of what another one is or was: by a clone, or by a restore from a backup.

Until it has its row in the catalog it is like any cluster that is being made: a host that is killed
meanwhile leaves a directory without a name, which the next start sweeps.
"""

from dataclasses import replace
from datetime import UTC, datetime

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import endpoint_names
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.restoring import RestoreDBClusterToPointInTime
from cluster_runtime.control.operations.recovery.snapshots import RestoreDBClusterFromSnapshot
from cluster_runtime.control.records.identifiers import new_resource_id
from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.control.records.resources import MasterUserSecret
from cluster_runtime.control.workflows.create import enter, set_password
from cluster_runtime.control.workflows.instances.hosting import instances_of_unnamed
from cluster_runtime.control.workflows.parameter_groups import group_of
from cluster_runtime.control.workflows.resources import with_tags
from cluster_runtime.control.workflows.secrets import master_user_secret, secret_arn
from cluster_runtime.control.workflows.upgrade import clean_databases
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.postmaster import Shutdown

Request = RestoreDBClusterToPointInTime | RestoreDBClusterFromSnapshot


async def begin(
    runtime: OpenRuntime, db_cluster: DBCluster, installation: Installation
) -> HostedCluster:
    """It, with a directory that holds nothing yet."""
    resource_id = db_cluster.db_cluster_resource_id
    directory = runtime.home.clusters / resource_id
    try:
        instances = await in_thread(instances_of_unnamed, runtime, installation, resource_id)
    except BaseException:
        await in_thread(runtime.home.remove, directory)
        raise
    return HostedCluster(db_cluster, directory, instances)


async def complete(runtime: OpenRuntime, made: HostedCluster, *, foreign: bool = False) -> None:
    """Start its writer over what was laid out, and enter it into the catalog. Raises as `enter`.

    foreign: it comes from another host, so what only a superuser can have left in it goes first.
    """
    runtime.clusters[made.id] = made  # its writer is prepared as what it is
    await made.writer.ensure_running()
    if foreign:
        await clean_databases(runtime, made)
    if made.db_cluster.master_user_secret is not None:
        secret = master_user_secret(runtime, made.db_cluster)
        await set_password(made.writer, made.db_cluster.master_username, secret.password)
    made.db_cluster = replace(
        made.db_cluster, status=ClusterStatus.AVAILABLE, percent_progress=None
    )
    await enter(runtime, made)


async def discard(runtime: OpenRuntime, made: HostedCluster) -> None:
    """Undo `begin` and what came after it."""
    runtime.clusters.pop(made.id, None)
    try:
        await made.instances.stop(Shutdown.IMMEDIATE)
    finally:
        runtime.meter.forget(made.id)
        await in_thread(runtime.home.remove, made.directory)


def described_as(
    runtime: OpenRuntime,
    facts: DBCluster,
    identifier: str,
    request: Request,
    resource_id: str | None = None,
) -> DBCluster:
    """A new cluster that is as another one is or was, but for what a request says.

    resource_id: by default a new one. Raises ParameterGroupNotFoundError, InvalidParameterError.
    """
    resource_id = resource_id or new_resource_id()
    writer_name, reader_name = endpoint_names(identifier, resource_id, runtime.region)
    iam = request.enable_iam_database_authentication
    is_clone = getattr(request, "restore_type", "") == "copy-on-write"
    managed = facts.master_user_secret is not None
    group, kept = request.db_cluster_parameter_group_name, facts.db_cluster_parameter_group
    return replace(
        facts,
        db_cluster_identifier=identifier,
        db_cluster_resource_id=resource_id,
        status=ClusterStatus.CREATING,
        endpoint=writer_name,
        reader_endpoint=reader_name,
        port=request.port or 0,
        reader_port=0,
        port_was_requested=request.port is not None,
        cluster_create_time=datetime.now(UTC),
        scaling=request.serverless_v2_scaling_configuration or facts.scaling,
        iam_database_authentication_enabled=facts.iam_database_authentication_enabled
        if iam is None
        else iam,
        internet_access_gateway_enabled=True,
        deletion_protection=request.deletion_protection,
        has_writer=request.with_writer,
        writer_identifier="",
        # One that was deleted since is nobody's: then it is the default one.
        db_cluster_parameter_group=group_of(runtime, group)
        if group is not None
        else (kept if kept in runtime.parameter_groups else ""),
        tag_list=with_tags((), request.tags),
        master_user_secret=MasterUserSecret(secret_arn(resource_id, runtime.region), version=1)
        if managed
        else None,
        clone_group_id=(facts.clone_group_id or facts.db_cluster_resource_id) if is_clone else "",
        branch_of=facts.db_cluster_resource_id if is_clone else "",
        backup_retention_period=request.backup_retention_period or facts.backup_retention_period,
        earliest_restorable_time=None,
        latest_restorable_time=None,
        percent_progress=None,
        warm_branch=False,  # it takes a standby for each cluster that has it
        capacity=0.0,
        deep_pause=None,
        walls=None,
    )
