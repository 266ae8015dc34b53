"""RestoreDBClusterToPointInTime: a cluster whose volume is a cut of another one's.

Until it has its row in the catalog it is like any cluster that is being made: a host that is killed
meanwhile leaves a directory without a name, which the next start sweeps.
"""

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from cluster_runtime.control.cluster import UNNAMED_MARK, HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import endpoint_names
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.restoring import RestoreDBClusterToPointInTime
from cluster_runtime.control.operations.recovery.snapshots import RestoreDBClusterFromSnapshot
from cluster_runtime.control.records.catalog import CLUSTER_FORMAT
from cluster_runtime.control.records.identifiers import check_identifier, new_resource_id
from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.control.records.resources import MasterUserSecret
from cluster_runtime.control.servers.storage import BASE_IMAGE
from cluster_runtime.control.workflows.create import enter, reserved, set_password
from cluster_runtime.control.workflows.instances.hosting import instances_over
from cluster_runtime.control.workflows.parameter_groups import group_of
from cluster_runtime.control.workflows.resources import with_tags
from cluster_runtime.control.workflows.secrets import master_user_secret, secret_arn
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.system.copies import CopiesAhead
from cluster_runtime.errors import (
    InsufficientStorageError,
    InvalidClusterStateError,
    InvalidRestoreError,
    StorageError,
)
from cluster_runtime.storage.upkeep.past.past import OutOfWindowError
from cluster_runtime.storage.volume import StorageVolume

Target = Callable[[StorageVolume], int]
"""Which LSN of a volume is meant. Raises OutOfWindowError."""

VOLUME = "volume"
DATA = "data"


async def restore_to_point_in_time(
    runtime: OpenRuntime, request: RestoreDBClusterToPointInTime
) -> HostedCluster:
    """Make the cluster; raises what the operation declares, and then nothing of it remains."""
    source = runtime.find(request.source_db_cluster_identifier or "")
    require_something_to_cut(source)
    identifier = check_identifier(request.db_cluster_identifier)
    with reserved(runtime, identifier):
        if source.format != CLUSTER_FORMAT:
            await source.writer.ensure_running()  # which brings it up to this release's format
        made = await _begin(runtime, source, identifier, request)
        try:
            await _finish(runtime, source, made, _target(request.restore_to_time))
        except BaseException as error:
            runtime.clusters.pop(made.id, None)
            try:
                await made.instances.stop(Shutdown.IMMEDIATE)
            finally:
                await in_thread(runtime.home.remove, made.directory)
            if isinstance(error, StorageError) and source.id not in runtime.clusters:
                raise InvalidClusterStateError(
                    f"cluster {source.identifier!r} was deleted while it was cloned"
                ) from error
            raise
    return made


def require_something_to_cut(source: HostedCluster) -> None:
    """Raise InvalidClusterStateError for a cluster that is not whole yet, or not any more."""
    if source.db_cluster.status in (ClusterStatus.CREATING, ClusterStatus.DELETING):
        raise InvalidClusterStateError(
            f"cluster {source.identifier!r} is {source.db_cluster.status.value}: nothing can be "
            "made from it now"
        )


def cut_for(
    source: HostedCluster,
    made: HostedCluster,
    volume: str,
    data: str,
    target: Target | None = None,
    copies: CopiesAhead | None = None,
) -> int:
    """Make the volume of a cluster, and the first data directory on it, from another cluster's.

    volume, data: their names in the cluster's directory. target: up to where; None: the present.
    copies: of what young volumes begin with. Returns the LSN at which the two part.
    Raises InvalidRestoreError for one that is out of reach.
    """
    storage = made.instances.storage
    with source.instances.storage.used() as open_volume:
        branches = open_volume.branches
        try:
            lsn = None if target is None else target(open_volume)
            with branches.cutting(
                made.directory / volume, str(uuid4()), lsn, with_past=source is made
            ) as cut:
                with ThreadPoolExecutor(1) as beside:
                    # The new volume is opened while its data directory is laid out.
                    opening = (
                        beside.submit(storage.open_for, made.instances.writer_server)
                        if volume == VOLUME
                        else None
                    )
                    base = (source.directory / BASE_IMAGE).resolve()
                    ready = copies.take(base) if copies and cut.image is None else None
                    branches.lay_out(cut, made.directory / data, storage.user, ready)
                if opening is not None:
                    opening.result()
                return cut.end
        except (LookupError, OutOfWindowError) as error:
            raise InvalidRestoreError(
                f"cluster {source.identifier!r} cannot be had as it was there: {error}"
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InsufficientStorageError(
                f"no space for what is made of cluster {source.identifier!r}; nothing of it was "
                "kept: free some space and try again"
            ) from error


async def _begin(
    runtime: OpenRuntime,
    source: HostedCluster,
    identifier: str,
    request: RestoreDBClusterToPointInTime,
) -> HostedCluster:
    """What it will be, with a directory that holds nothing yet."""
    group = request.db_cluster_parameter_group_name
    parameter_group = (
        group_of(runtime, group)
        if group is not None
        else source.db_cluster.db_cluster_parameter_group
    )
    tags = with_tags((), request.tags)
    resource_id = new_resource_id()
    installation = await in_thread(runtime.installation, source.db_cluster.engine_version)
    instances = await in_thread(instances_over, runtime, installation, resource_id)
    directory = runtime.home.clusters / resource_id
    described = replace(
        described_as(runtime, source.db_cluster, identifier, resource_id, request),
        db_cluster_parameter_group=parameter_group,
        tag_list=tags,
    )
    made = HostedCluster(described, directory, instances)
    await in_thread((directory / UNNAMED_MARK).touch)
    return made


async def _finish(
    runtime: OpenRuntime, source: HostedCluster, made: HostedCluster, target: Target | None
) -> None:
    base_image = source.directory / BASE_IMAGE
    await in_thread((made.directory / BASE_IMAGE).symlink_to, base_image.resolve())
    await in_thread(cut_for, source, made, VOLUME, DATA, target, runtime.copies)
    runtime.clusters[made.id] = made  # its writer is prepared as what it is
    await made.writer.ensure_running()
    if made.db_cluster.master_user_secret is not None:
        secret = master_user_secret(runtime, made.db_cluster)
        await set_password(made.writer, made.db_cluster.master_username, secret.password)
    made.db_cluster = replace(made.db_cluster, status=ClusterStatus.AVAILABLE)
    await enter(runtime, made)
    runtime.copies.prepare(base_image.resolve())
    how = "a clone" if made.db_cluster.branch_of else "a restore"
    await runtime.record(made, f"DB cluster created as {how} of {source.identifier}", "creation")


def _target(to: datetime | None) -> Target | None:
    if to is None:
        return None
    moment = to.timestamp()
    return lambda volume: volume.past.lsn_at(moment)


def described_as(
    runtime: OpenRuntime,
    facts: DBCluster,
    identifier: str,
    resource_id: str,
    request: RestoreDBClusterToPointInTime | RestoreDBClusterFromSnapshot,
) -> DBCluster:
    """A new cluster that is as another one is or was, but for what a request says."""
    writer_name, reader_name = endpoint_names(identifier, resource_id, runtime.region)
    iam = request.enable_iam_database_authentication
    is_clone = getattr(request, "restore_type", "") == "copy-on-write"
    managed = facts.master_user_secret is not None
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
        master_user_secret=MasterUserSecret(secret_arn(resource_id, runtime.region), version=1)
        if managed
        else None,
        clone_group_id=(facts.clone_group_id or facts.db_cluster_resource_id) if is_clone else "",
        branch_of=facts.db_cluster_resource_id if is_clone else "",
        backup_retention_period=request.backup_retention_period or facts.backup_retention_period,
        earliest_restorable_time=None,
        latest_restorable_time=None,
        percent_progress=None,
        capacity=0.0,
        walls=None,
    )
