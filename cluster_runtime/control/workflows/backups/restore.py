"""A cluster that is made of a backup: pages and log are fetched, replayed to a point, and become
the pages that a new volume begins with.

Until it has its row in the catalog it is like any cluster that is being made: a host that is killed
meanwhile leaves a directory without a name, which the next start sweeps.
"""

import asyncio
import errno
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from cluster_runtime.backup.core.targets import MARGIN_MS
from cluster_runtime.backup.restoring.fetching import fetch
from cluster_runtime.backup.restoring.recovery import recover
from cluster_runtime.control.cluster import UNNAMED_MARK, HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.restoring import RestoreDBClusterToPointInTime
from cluster_runtime.control.operations.recovery.snapshots import RestoreDBClusterFromSnapshot
from cluster_runtime.control.records.identifiers import check_identifier, new_resource_id
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.servers.storage import BASE_IMAGE
from cluster_runtime.control.workflows.backups import origins
from cluster_runtime.control.workflows.backups.origins import Origin
from cluster_runtime.control.workflows.backups.snapshots import require_available, snapshot_named
from cluster_runtime.control.workflows.branching.clone import described_as
from cluster_runtime.control.workflows.create import enter, reserved, set_password
from cluster_runtime.control.workflows.instances.hosting import instances_over
from cluster_runtime.control.workflows.parameter_groups import group_of
from cluster_runtime.control.workflows.resources import with_tags
from cluster_runtime.control.workflows.secrets import master_user_secret
from cluster_runtime.control.workflows.upgrade import clean_databases
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.system.files import remove_tree
from cluster_runtime.engine.template import Template, give_to_host
from cluster_runtime.errors import (
    ClusterNotFoundError,
    EngineNotFoundError,
    InsufficientStorageError,
    InvalidRestoreError,
)

FETCHED_PERCENT = 85
REPLAYED_PERCENT = 95
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

Request = RestoreDBClusterToPointInTime | RestoreDBClusterFromSnapshot


class _LeftError(Exception):
    """Whoever asked for a restore has left: what is under way for it ends."""


def can_be_cut(runtime: OpenRuntime, request: RestoreDBClusterToPointInTime) -> bool:
    """Whether the source is there, by its name, and the time is past."""
    source, moment = request.source_db_cluster_identifier, request.restore_to_time
    if source is None or request.backup_location is not None:
        return False
    there = any(source in (each.id, each.identifier) for each in runtime.clusters.values())
    return there and (moment is None or moment <= datetime.now(UTC))


async def restore_to_point_in_time(
    runtime: OpenRuntime, request: RestoreDBClusterToPointInTime
) -> HostedCluster:
    """From the backup, whether or not the source is still there.

    Raises what the operation declares, and then nothing of the cluster remains.
    """
    return await _restore(runtime, request, lambda: _origin(runtime, request))


async def restore_from_snapshot(
    runtime: OpenRuntime, request: RestoreDBClusterFromSnapshot
) -> HostedCluster:
    """The same from a snapshot."""
    snapshot = await snapshot_named(runtime, request.snapshot_identifier)
    require_available(snapshot)

    async def origin() -> Origin:
        vault = await in_thread(runtime.backups.archive.vault, snapshot.folder)
        name = snapshot.db_cluster_snapshot_identifier
        found = await in_thread(origins.of_snapshot, vault, name)
        return replace(found, foreign=snapshot.snapshot_type == "shared")

    return await _restore(runtime, request, origin)


async def _origin(runtime: OpenRuntime, request: RestoreDBClusterToPointInTime) -> Origin:
    source = request.source_db_cluster_resource_id or request.source_db_cluster_identifier
    moment = request.restore_to_time
    if request.backup_location is not None:
        archive = await in_thread(
            origins.archive_at, request.backup_location, request.backup_key, runtime.state.path
        )
        name = request.db_cluster_identifier
        backup = await in_thread(origins.backup_named, archive, source, name)
    else:
        resource_id, complete_at = await _known(runtime, source or "", moment)
        backup = await in_thread(
            origins.backup_of, runtime.backups.archive, resource_id, complete_at
        )
    found = (
        await in_thread(origins.at_the_end, backup)
        if moment is None
        else await in_thread(origins.at_time, backup, moment)
    )
    return replace(found, foreign=request.backup_location is not None)


async def _known(runtime: OpenRuntime, source: str, moment: datetime | None) -> tuple[str, int]:
    """The resource id of a source of this host, and until when its backup is complete, in ms.

    That of a cluster that is there is brought up to now, or to the time that is asked for.
    """
    try:
        cluster = runtime.find(source)
    except ClusterNotFoundError:
        retained = await in_thread(runtime.backup_catalog.retained)
        for backup, db_cluster in sorted(
            retained, key=lambda each: each[0].deleted_at, reverse=True
        ):
            names = (db_cluster.db_cluster_identifier, backup.db_cluster_resource_id)
            if backup.status == "retained" and (source.lower() in names or source in names):
                return backup.db_cluster_resource_id, backup.complete_at_ms
        raise
    if moment is not None and moment > datetime.now(UTC):
        raise InvalidRestoreError(f"{moment.isoformat()} is not yet past")
    while True:
        complete_at = await in_thread(_brought_up, runtime, cluster)
        wanted = origins.milliseconds_of(moment) + MARGIN_MS if moment is not None else 0
        if complete_at >= wanted:
            return cluster.id, complete_at
        await asyncio.sleep(min(1.0, (wanted - complete_at) / 1000))


def _brought_up(runtime: OpenRuntime, cluster: HostedCluster) -> int:
    """Have all that is durable of a cluster in its backup. Until when it is complete, in ms."""
    if runtime.backups.at_rest(cluster.id) is not None:
        return int(time.time() * 1000)
    with cluster.instances.storage.used():
        position = runtime.backups.flush(cluster.id)
    return position.complete_at if position is not None else 0


async def _restore(
    runtime: OpenRuntime, request: Request, find: Callable[[], Awaitable[Origin]]
) -> HostedCluster:
    identifier = check_identifier(request.db_cluster_identifier)
    group = request.db_cluster_parameter_group_name
    if group is not None:
        group_of(runtime, group)
    with reserved(runtime, identifier):
        origin = await find()
        made, installation = await _begin(runtime, origin, identifier, request)
        runtime.clusters[made.id] = made
        try:
            await _finish(runtime, origin, made, installation)
        except BaseException as error:
            runtime.clusters.pop(made.id, None)
            try:
                await made.instances.stop(Shutdown.IMMEDIATE)
            finally:
                await in_thread(runtime.home.remove, made.directory)
                await in_thread(remove_tree, runtime.home.bases / made.id)
            if isinstance(error, OSError) and error.errno in _NO_SPACE:
                raise InsufficientStorageError(
                    f"no space to restore cluster {identifier!r}; nothing was kept of it: free "
                    "some and try again"
                ) from error
            raise
    return made


async def _begin(
    runtime: OpenRuntime, origin: Origin, identifier: str, request: Request
) -> tuple[HostedCluster, Installation]:
    """What it will be, with a directory that holds nothing yet."""
    facts = origin.db_cluster
    installation = await in_thread(_installation, runtime, facts.engine_version)
    resource_id = new_resource_id()
    instances = await in_thread(instances_over, runtime, installation, resource_id)
    group = request.db_cluster_parameter_group_name
    kept = facts.db_cluster_parameter_group
    described = replace(
        described_as(runtime, facts, identifier, resource_id, request),
        engine_version=installation.version,
        region=runtime.region,
        db_cluster_parameter_group=group_of(runtime, group)
        if group is not None
        else (kept if kept in runtime.parameter_groups else ""),
        tag_list=with_tags((), request.tags),
        percent_progress=0,
    )
    made = HostedCluster(described, runtime.home.clusters / resource_id, instances)
    await in_thread((made.directory / UNNAMED_MARK).touch)
    return made, installation


def _installation(runtime: OpenRuntime, version: str) -> Installation:
    """The same version, or another one of its major release. Raises EngineNotFoundError."""
    try:
        return runtime.installation(version)
    except EngineNotFoundError:
        return runtime.installation(version.partition(".")[0])


async def _finish(
    runtime: OpenRuntime, origin: Origin, made: HostedCluster, installation: Installation
) -> None:
    left = threading.Event()

    def progress(percent: float) -> None:
        if left.is_set():
            raise _LeftError
        made.db_cluster = replace(made.db_cluster, percent_progress=int(percent))

    laying = asyncio.ensure_future(
        in_thread(_lay_out, runtime, origin, made, installation, progress)
    )
    try:
        await asyncio.shield(laying)
    except asyncio.CancelledError:
        left.set()
        await asyncio.wait({laying})
        raise
    await made.writer.ensure_running()
    if origin.foreign:
        await clean_databases(runtime, made)
    if made.db_cluster.master_user_secret is not None:
        secret = master_user_secret(runtime, made.db_cluster)
        await set_password(made.writer, made.db_cluster.master_username, secret.password)
    made.db_cluster = replace(
        made.db_cluster, status=ClusterStatus.AVAILABLE, percent_progress=None
    )
    await enter(runtime, made)
    await runtime.record(
        made,
        f"DB cluster restored from a backup of {origin.db_cluster.db_cluster_identifier}",
        "creation",
    )


def _lay_out(
    runtime: OpenRuntime,
    origin: Origin,
    made: HostedCluster,
    installation: Installation,
    progress: Callable[[float], None],
) -> None:
    """Make the pages that it begins with, its volume, and its writer's first data directory."""
    home, storage = runtime.home, made.instances.storage
    pages = home.bases / made.id
    # From here on it is somebody's: what nobody's link leads to is swept.
    (made.directory / BASE_IMAGE).symlink_to(pages)
    configuration = runtime.template(made.db_cluster.engine_version).directory
    pages.mkdir(mode=0o700)
    storage.user.own(pages)
    manifest = fetch(
        origin.vault,
        origin.plan,
        pages,
        storage.user,
        lambda share: progress(share * FETCHED_PERCENT),
    )
    sockets = home.run / f"{made.id.removeprefix('cluster-')[:16]}-p"
    recover(
        installation,
        storage.user,
        pages,
        sockets,
        origin.plan,
        configuration,
        lambda: home.users.end_processes(made.directory),
    )
    give_to_host(pages)
    progress(REPLAYED_PERCENT)
    template = Template(installation, storage.user, pages)
    identifier = new_system_identifier()
    volume = storage.create_over(template, identifier, manifest.wal_segment_bytes)
    data = made.directory / "data"
    template.copy_to(data, identifier, storage.user)
    volume.release(data)
    if made.db_cluster.storage_type != "aurora":
        storage.set_storage_type(made.db_cluster.storage_type)
