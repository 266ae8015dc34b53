"""Snapshots: made, copied, deleted, and what a host that was killed left of that.

A snapshot is one object in the backup of its cluster, which names an image and an LSN; while that
object is there, collection keeps what it needs. Its row in the catalog says `creating` before the
object is written and `available` after that, so that a start finds out which of the two is so.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from cluster_runtime.backup.core.manifests import SnapshotManifest
from cluster_runtime.backup.core.names import snapshot_name
from cluster_runtime.backup.vault.bucket import ObjectMissingError
from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.snapshots import (
    CopyDBClusterSnapshot,
    CreateDBClusterSnapshot,
    DescribeDBClusterSnapshots,
)
from cluster_runtime.control.records.catalog import document_of
from cluster_runtime.control.records.identifiers import check_snapshot_identifier, did_you_mean
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.recovery.backups import DBClusterSnapshot
from cluster_runtime.control.records.resources import Tag
from cluster_runtime.control.workflows.backups import origins
from cluster_runtime.control.workflows.backups.automated import tidy
from cluster_runtime.control.workflows.branching.clone import require_something_to_cut
from cluster_runtime.control.workflows.resources import with_tags
from cluster_runtime.errors import (
    BorealisError,
    InvalidSnapshotStateError,
    SnapshotAlreadyExistsError,
    SnapshotNotFoundError,
    StorageError,
)
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.wording import Hint, Operation

UPLOADED_PERCENT = 90


async def create_snapshot(
    runtime: OpenRuntime, cluster: HostedCluster, request: CreateDBClusterSnapshot
) -> DBClusterSnapshot:
    """Raises what the operation declares; then nothing of the snapshot remains."""
    require_something_to_cut(cluster)
    return await take_snapshot(
        runtime, cluster, request.db_cluster_snapshot_identifier, request.tags
    )


async def take_snapshot(
    runtime: OpenRuntime, cluster: HostedCluster, identifier: str, tags: tuple[Tag, ...] = ()
) -> DBClusterSnapshot:
    """Of a cluster in whatever state."""
    snapshot = described(cluster.db_cluster, identifier, cluster.id, with_tags((), tags))
    made = await enter_snapshot(runtime, snapshot, lambda: _take(runtime, cluster, snapshot))
    await runtime.record(
        cluster, f"Cluster snapshot {made.db_cluster_snapshot_identifier} created", "backup"
    )
    return made


async def copy_snapshot(runtime: OpenRuntime, request: CopyDBClusterSnapshot) -> DBClusterSnapshot:
    """Another object of the same content: what both need is kept as long as one of them is."""
    source = await snapshot_named(runtime, request.source_db_cluster_snapshot_identifier)
    require_available(source)
    tags = with_tags(source.tag_list if request.copy_tags else (), request.tags)
    copy = replace(
        source,
        db_cluster_snapshot_identifier=check_snapshot_identifier(
            request.target_db_cluster_snapshot_identifier
        ),
        source_db_cluster_snapshot_arn=source.db_cluster_snapshot_arn,
        snapshot_create_time=datetime.now(UTC),
        status="copying",
        tag_list=tags,
    )

    def copied() -> DBClusterSnapshot:
        vault = runtime.backups.archive.vault(source.folder)
        manifest = vault.snapshot(source.db_cluster_snapshot_identifier)
        origins.of_snapshot(vault, source.db_cluster_snapshot_identifier)
        name = copy.db_cluster_snapshot_identifier
        vault.write(snapshot_name(name), replace(manifest, identifier=name).to_bytes())
        return copy

    return await enter_snapshot(runtime, copy, copied)


async def delete_snapshot(runtime: OpenRuntime, identifier: str) -> DBClusterSnapshot:
    """Its object goes first: from then on nothing is kept for it."""
    snapshot = await snapshot_named(runtime, identifier)
    require_available(snapshot)
    catalog = runtime.backup_catalog
    deleting = replace(snapshot, status="deleting")
    await in_thread(catalog.put_snapshot, deleting)
    try:
        await in_thread(_delete, runtime, deleting)
    except BaseException:
        await in_thread(catalog.put_snapshot, snapshot)
        raise
    await in_thread(catalog.remove_snapshot, snapshot.db_cluster_snapshot_identifier)
    return deleting


async def describe_snapshots(
    runtime: OpenRuntime, request: DescribeDBClusterSnapshots
) -> list[DBClusterSnapshot]:
    """Those that are asked for, by identifier. Raises SnapshotNotFoundError."""
    named = request.db_cluster_snapshot_identifier
    if named is not None:
        return [await snapshot_named(runtime, named)]
    found = await in_thread(runtime.backup_catalog.snapshots)
    wanted = request.db_cluster_identifier
    return [
        each
        for each in found
        if (
            wanted is None
            or wanted.lower() == each.db_cluster_identifier
            or wanted == each.db_cluster_resource_id
        )
        and request.snapshot_type in (None, each.snapshot_type)
    ]


async def snapshot_named(runtime: OpenRuntime, identifier: str) -> DBClusterSnapshot:
    """By its identifier or ARN. Raises SnapshotNotFoundError with the nearest one that exists."""
    name = identifier.rpartition(":")[2].lower()
    known = await in_thread(runtime.backup_catalog.snapshots)
    for each in known:
        if each.db_cluster_snapshot_identifier == name:
            return each
    guess = did_you_mean(name, (each.db_cluster_snapshot_identifier for each in known))
    raise SnapshotNotFoundError(
        f"no snapshot {identifier!r}{guess}",
        Hint("{} lists all of them", Operation("describe_db_cluster_snapshots")),
    )


async def recover_snapshots(runtime: OpenRuntime) -> None:
    """Finish, or take back, what a host that was killed left. Raises where the bucket is away."""
    for snapshot in await in_thread(runtime.backup_catalog.snapshots):
        name = snapshot.db_cluster_snapshot_identifier
        if snapshot.status == "available" or name in runtime.snapshots_under_way:
            continue
        await in_thread(_recover, runtime, snapshot)


def require_available(snapshot: DBClusterSnapshot) -> None:
    """Raise InvalidSnapshotStateError for one that is being made, or deleted."""
    if snapshot.status != "available":
        raise InvalidSnapshotStateError(
            f"snapshot {snapshot.db_cluster_snapshot_identifier!r} is {snapshot.status}"
        )


def described(
    db_cluster: DBCluster, identifier: str, folder: str, tags: tuple[Tag, ...]
) -> DBClusterSnapshot:
    """A snapshot of a cluster that is about to be made."""
    return DBClusterSnapshot(
        db_cluster_snapshot_identifier=check_snapshot_identifier(identifier),
        db_cluster_identifier=db_cluster.db_cluster_identifier,
        db_cluster_resource_id=db_cluster.db_cluster_resource_id,
        snapshot_create_time=datetime.now(UTC),
        cluster_create_time=db_cluster.cluster_create_time,
        engine=db_cluster.engine,
        engine_version=db_cluster.engine_version,
        master_username=db_cluster.master_username,
        region=db_cluster.region,
        folder=folder,
        storage_type=db_cluster.storage_type,
        iam_database_authentication_enabled=db_cluster.iam_database_authentication_enabled,
        tag_list=tags,
    )


async def enter_snapshot(
    runtime: OpenRuntime, snapshot: DBClusterSnapshot, make: Callable[[], DBClusterSnapshot]
) -> DBClusterSnapshot:
    """Have one made, which blocks, between its two rows in the catalog.

    Raises SnapshotAlreadyExistsError.
    """
    name, catalog = snapshot.db_cluster_snapshot_identifier, runtime.backup_catalog
    taken = {
        each.db_cluster_snapshot_identifier for each in await in_thread(catalog.snapshots)
    } | runtime.snapshots_under_way
    if name in taken:
        raise SnapshotAlreadyExistsError(
            f"a snapshot {name!r} exists already; use it as it is, or choose another identifier",
            Hint("{} lists all of them", Operation("describe_db_cluster_snapshots")),
        )
    runtime.snapshots_under_way.add(name)
    try:
        await in_thread(catalog.put_snapshot, snapshot)
        try:
            made = replace(await in_thread(make), status="available", percent_progress=100)
            await in_thread(catalog.put_snapshot, made)
        except BaseException:
            await in_thread(_forget, runtime, snapshot)
            raise
    finally:
        runtime.snapshots_under_way.discard(name)
    return made


def _take(
    runtime: OpenRuntime, cluster: HostedCluster, snapshot: DBClusterSnapshot
) -> DBClusterSnapshot:
    with cluster.instances.storage.used():
        position = runtime.backups.flush(cluster.id)
    if position is None:
        raise StorageError(
            f"the volume of cluster {cluster.identifier!r} was closed meanwhile; try again"
        )
    runtime.backup_catalog.put_snapshot(replace(snapshot, percent_progress=UPLOADED_PERCENT))
    backup = origins.backup_of(runtime.backups.archive, cluster.id)
    plan = origins.plan_of(backup, position.era, position.end)
    name = snapshot.db_cluster_snapshot_identifier
    manifest = SnapshotManifest(
        name,
        plan.era,
        plan.image,
        plan.end,
        int(time.time() * 1000),
        backup.wal_segment_bytes,
        document_of(cluster.db_cluster),
    )
    backup.vault.write(snapshot_name(name), manifest.to_bytes())
    return replace(snapshot, lsn=format_lsn(plan.end))


def _delete(runtime: OpenRuntime, snapshot: DBClusterSnapshot) -> None:
    try:
        vault = runtime.backups.archive.vault(snapshot.folder)
    except ObjectMissingError:
        return
    vault.delete([snapshot_name(snapshot.db_cluster_snapshot_identifier)])
    tidy(runtime, snapshot.folder)


def _forget(runtime: OpenRuntime, snapshot: DBClusterSnapshot) -> None:
    """Take back one that was not finished. What the bucket keeps of it, the next start removes."""
    try:
        _delete(runtime, snapshot)
    except BorealisError:
        return
    runtime.backup_catalog.remove_snapshot(snapshot.db_cluster_snapshot_identifier)


def _recover(runtime: OpenRuntime, snapshot: DBClusterSnapshot) -> None:
    name = snapshot.db_cluster_snapshot_identifier
    if snapshot.status != "deleting":
        try:
            vault = runtime.backups.archive.vault(snapshot.folder)
        except ObjectMissingError:
            vault = None
        if vault is not None and name in vault.holdings().snapshots:
            manifest = vault.snapshot(name)
            runtime.backup_catalog.put_snapshot(
                replace(
                    snapshot,
                    status="available",
                    percent_progress=100,
                    lsn=format_lsn(manifest.lsn),
                )
            )
            return
    _delete(runtime, snapshot)
    runtime.backup_catalog.remove_snapshot(name)
