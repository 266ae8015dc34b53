"""A cluster that is made of a backup: pages and log are fetched, replayed to a point, and become
the pages that a new volume begins with.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from cluster_runtime.backup.core.targets import MARGIN_MS
from cluster_runtime.backup.restoring.fetching import fetch
from cluster_runtime.backup.restoring.recovery import recover
from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.restoring import RestoreDBClusterToPointInTime
from cluster_runtime.control.operations.recovery.snapshots import RestoreDBClusterFromSnapshot
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.servers.places import sockets_of
from cluster_runtime.control.servers.storage import BASE_IMAGE, DATA
from cluster_runtime.control.workflows import making
from cluster_runtime.control.workflows.backups import origins
from cluster_runtime.control.workflows.backups.origins import Origin
from cluster_runtime.control.workflows.backups.snapshots import require_available, snapshot_named
from cluster_runtime.control.workflows.branching.clone import restore_from_volume
from cluster_runtime.control.workflows.create import reserved
from cluster_runtime.control.workflows.parameter_groups import group_of
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.system.files import is_no_space, remove_tree
from cluster_runtime.engine.template import Template, give_to_host
from cluster_runtime.errors import (
    ClusterNotFoundError,
    EngineNotFoundError,
    InsufficientStorageError,
    InvalidRestoreError,
)

FETCHED_PERCENT = 85
REPLAYED_PERCENT = 95


class _LeftError(Exception):
    """Whoever asked for a restore has left: what is under way for it ends."""


async def restore_to_point_in_time(
    runtime: OpenRuntime, request: RestoreDBClusterToPointInTime
) -> HostedCluster:
    """Cut from the source's volume, where that reaches back; else from its backup.

    Raises what the operation declares, and then nothing of the cluster remains.
    """
    if request.restore_type == "copy-on-write" or request.restore_to_transaction is not None:
        return await restore_from_volume(runtime, request)
    out_of_volume: InvalidRestoreError | None = None
    if _can_be_cut(runtime, request):
        try:
            return await restore_from_volume(runtime, request)
        except InvalidRestoreError as error:
            out_of_volume = error
    try:
        # Whether or not the source is still there.
        return await _restore(runtime, request, lambda: _origin(runtime, request))
    except origins.NothingRestorableError:
        if out_of_volume is None:
            raise
        raise out_of_volume from None


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


def _can_be_cut(runtime: OpenRuntime, request: RestoreDBClusterToPointInTime) -> bool:
    """Whether the source is there, by its name, and the time is past."""
    source, moment = request.source_db_cluster_identifier, request.restore_to_time
    if source is None or request.backup_location is not None:
        return False
    there = any(source in (each.id, each.identifier) for each in runtime.clusters.values())
    return there and (moment is None or moment <= datetime.now(UTC))


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
        raise InvalidRestoreError(
            f"{origins.said(moment)} is yet to come; choose a time that is past",
            origins.LATEST,
        )
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
    runtime: OpenRuntime, request: making.Request, find: Callable[[], Awaitable[Origin]]
) -> HostedCluster:
    identifier = check_identifier(request.db_cluster_identifier)
    group = request.db_cluster_parameter_group_name
    if group is not None:
        group_of(runtime, group)
    with reserved(runtime, identifier):
        origin = await find()
        facts = origin.db_cluster
        installation = await in_thread(_installation, runtime, facts.engine_version)
        described = replace(
            making.described_as(runtime, facts, identifier, request),
            engine_version=installation.version,
            region=runtime.region,
            percent_progress=0,
        )
        made = await making.begin(runtime, described, installation)
        runtime.clusters[made.id] = made
        try:
            await _make(runtime, origin, made, installation)
        except BaseException as error:
            try:
                await making.discard(runtime, made)
            finally:
                await in_thread(remove_tree, runtime.home.bases / made.id)
            if is_no_space(error):
                raise InsufficientStorageError(
                    f"no space to restore cluster {identifier!r}; nothing was kept of it: free "
                    "some and try again"
                ) from error
            raise
    await runtime.record(
        made,
        f"DB cluster restored from a backup of {origin.db_cluster.db_cluster_identifier}",
        "creation",
    )
    return made


def _installation(runtime: OpenRuntime, version: str) -> Installation:
    """The same version, or another one of its major release. Raises EngineNotFoundError."""
    try:
        return runtime.installation(version)
    except EngineNotFoundError:
        return runtime.installation(version.partition(".")[0])


async def _make(
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
    await making.complete(runtime, made, foreign=origin.foreign)


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
    recover(
        installation,
        storage.user,
        pages,
        sockets_of(home, made.id, "p"),
        origin.plan,
        configuration,
        lambda: home.users.end_processes(made.directory),
    )
    give_to_host(pages)
    progress(REPLAYED_PERCENT)
    template = Template(installation, storage.user, pages)
    identifier = new_system_identifier()
    volume = storage.create_over(template, identifier, manifest.wal_segment_bytes)
    data = made.directory / DATA
    template.copy_to(data, identifier, storage.user)
    volume.release(data)
    if made.db_cluster.storage_type != "aurora":
        storage.set_storage_type(made.db_cluster.storage_type)
