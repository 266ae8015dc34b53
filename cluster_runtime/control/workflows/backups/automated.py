"""Automated backups of clusters that are there and of deleted ones, and where all are kept."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cluster_runtime.backup.core.names import FACTS
from cluster_runtime.backup.keeping.archive import Archive
from cluster_runtime.backup.keeping.collecting import Collecting
from cluster_runtime.backup.keeping.volume_backup import DAY_MS, BackedUp
from cluster_runtime.backup.vault.bucket import ObjectMissingError
from cluster_runtime.backup.vault.keys import KEY_FILE, LocalKey
from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.backups import (
    DescribeDBClusterAutomatedBackups,
    ModifyBackupStore,
)
from cluster_runtime.control.records.catalog import document_of
from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.control.records.recovery.backup_catalog import BackupCatalog
from cluster_runtime.control.records.recovery.backups import (
    BackupStore,
    DBClusterAutomatedBackup,
    RestoreWindow,
    RetainedBackup,
)
from cluster_runtime.control.records.state_directory import StateDirectory
from cluster_runtime.control.workflows.backups.origins import moment_of
from cluster_runtime.errors import AutomatedBackupNotFoundError
from cluster_runtime.wording import Hint, Operation

LOCAL_FOLDER = "backups"
_VOLATILE = ("status", "capacity", "deep_pause", "walls", "percent_progress")


def archive_of(state: StateDirectory, catalog: BackupCatalog) -> Archive:
    """The place of a host's backups: where it was told to, or its own state directory."""
    store = catalog.store()
    location = store.location if store is not None else str(state.path / LOCAL_FOLDER)
    kms = store.kms_key_id if store is not None else ""
    return Archive(location, LocalKey.of(state.path), kms or None)


def backed_up(cluster: HostedCluster | None) -> BackedUp | None:
    """What a cluster's backup says that it is of; None before it is a cluster."""
    if cluster is None or cluster.db_cluster.status is ClusterStatus.CREATING:
        return None
    document = document_of(cluster.db_cluster)
    return BackedUp(
        {name: value for name, value in document.items() if name not in _VOLATILE}
        | {"status": ClusterStatus.AVAILABLE.value},
        cluster.db_cluster.backup_retention_period,
    )


async def describe_store(runtime: OpenRuntime) -> BackupStore:
    """Where backups are kept."""
    found = await in_thread(runtime.backup_catalog.store)
    if found is not None:
        return found
    return _store(runtime, str(runtime.state.path / LOCAL_FOLDER), None)


async def modify_store(runtime: OpenRuntime, request: ModifyBackupStore) -> BackupStore:
    """Keep them elsewhere, where that can be written and read."""
    key = await in_thread(LocalKey.of, runtime.state.path)
    archive = Archive(request.location, key, request.kms_key_id)
    await in_thread(archive.probe)
    store = _store(runtime, request.location, request.kms_key_id)
    await in_thread(runtime.backup_catalog.put_store, store)
    await in_thread(runtime.backups.restart, archive)
    return store


async def describe_automated_backups(
    runtime: OpenRuntime, request: DescribeDBClusterAutomatedBackups
) -> list[DBClusterAutomatedBackup]:
    """Those of clusters that are there first, then those of deleted ones."""
    found: list[tuple[DBCluster, RetainedBackup | None]] = [
        (cluster.db_cluster, None)
        for cluster in sorted(runtime.clusters.values(), key=lambda each: each.identifier)
        if cluster.db_cluster.status is not ClusterStatus.CREATING
    ]
    for backup, db_cluster in await in_thread(runtime.backup_catalog.retained):
        if backup.db_cluster_resource_id not in runtime.clusters:
            found.append((db_cluster, backup))
    wanted, name = request.db_cluster_resource_id, request.db_cluster_identifier
    chosen = [
        (facts, kept)
        for facts, kept in found
        if wanted in (None, facts.db_cluster_resource_id)
        and (name is None or name.lower() == facts.db_cluster_identifier)
    ]
    for facts, _ in chosen:
        await in_thread(runtime.backups.look, facts.db_cluster_resource_id)
    return [_described(runtime, facts, kept) for facts, kept in chosen]


async def delete_automated_backup(
    runtime: OpenRuntime, resource_id: str
) -> DBClusterAutomatedBackup:
    """Remove the backup of a deleted cluster. Raises AutomatedBackupNotFoundError."""
    for backup, db_cluster in await in_thread(runtime.backup_catalog.retained):
        if backup.db_cluster_resource_id == resource_id:
            deleting = replace(backup, status="deleting")
            await in_thread(runtime.backup_catalog.put_retained, deleting, db_cluster)
            shown = _described(runtime, db_cluster, deleting)
            await in_thread(_remove, runtime, deleting)
            return shown
    raise AutomatedBackupNotFoundError(
        f"there is no automated backup of a deleted cluster {resource_id!r}",
        Hint("{} lists all of them", Operation("describe_db_cluster_automated_backups")),
    )


def with_window(runtime: OpenRuntime, db_cluster: DBCluster) -> DBCluster:
    """A cluster with the times from which and up to which it can be restored now."""
    window = runtime.backups.window(
        db_cluster.db_cluster_resource_id, db_cluster.backup_retention_period
    )
    if window is None:
        return db_cluster
    return replace(
        db_cluster,
        earliest_restorable_time=moment_of(window.earliest),
        latest_restorable_time=moment_of(window.latest),
    )


async def note_retention(runtime: OpenRuntime, cluster: HostedCluster, *, delete: bool) -> None:
    """Note, before a cluster is deleted, what becomes of its backup; and again once it has ended,
    with the time until which the backup has all of it.
    """
    if not runtime.backups.may_have(cluster.id, cluster.db_cluster.cluster_create_time):
        return
    rests = runtime.backups.at_rest(cluster.id)
    now = datetime.now(UTC)
    backup = RetainedBackup(
        cluster.id,
        now,
        "deleting" if delete else "retained",
        int(now.timestamp() * 1000) if rests is not None else 0,
    )
    await in_thread(runtime.backup_catalog.put_retained, backup, cluster.db_cluster)


async def housekeep(runtime: OpenRuntime) -> None:
    """Remove the backups of deleted clusters whose time is over.

    Raises what the bucket raises: then what is left is done the next time.
    """
    for backup, db_cluster in await in_thread(runtime.backup_catalog.retained):
        if backup.db_cluster_resource_id in runtime.clusters:
            continue
        over = backup.deleted_at + timedelta(days=db_cluster.backup_retention_period)
        if backup.status == "retained" and datetime.now(UTC) < over:
            await in_thread(_note_deletion, runtime, backup, db_cluster)
            continue
        await in_thread(_remove, runtime, backup)


def forget_backups_of_living(catalog: BackupCatalog, living: set[str]) -> None:
    """A host was killed before a delete had begun: the cluster is there, and its backup active."""
    for backup, _ in catalog.retained():
        if backup.db_cluster_resource_id in living:
            catalog.remove_retained(backup.db_cluster_resource_id)


def tidy(runtime: OpenRuntime, folder: str) -> None:
    """After a snapshot has gone: what it alone needed goes, where no open volume sees to that."""
    if folder in runtime.clusters:
        return
    retained = {
        backup.db_cluster_resource_id: (backup, db_cluster)
        for backup, db_cluster in runtime.backup_catalog.retained()
    }
    backup, db_cluster = retained.get(folder, (None, None))
    since = None
    if backup is not None and db_cluster is not None and backup.status == "retained":
        since = int(time.time() * 1000) - db_cluster.backup_retention_period * DAY_MS
    _collect(runtime, folder, since)


def _remove(runtime: OpenRuntime, backup: RetainedBackup) -> None:
    _collect(runtime, backup.db_cluster_resource_id, None)
    runtime.backups.forget(backup.db_cluster_resource_id)
    runtime.backup_catalog.remove_retained(backup.db_cluster_resource_id)


def _collect(runtime: OpenRuntime, folder: str, since: int | None) -> None:
    """Remove what neither a window nor a snapshot needs; all of it where there is neither."""
    try:
        vault = runtime.backups.archive.vault(folder)
    except ObjectMissingError:
        return
    if since is None and FACTS not in vault.bucket.names(vault.folder):
        vault.delete_all()  # an import, or a backup, that was cut short: nothing can be made of it
        return
    size = vault.facts().wal_segment_bytes
    left = Collecting(vault).collect(since, size)
    if since is None and not left.snapshots:
        vault.delete_all()


def _note_deletion(runtime: OpenRuntime, backup: RetainedBackup, db_cluster: DBCluster) -> None:
    """Say in the bucket that the cluster is gone, for whoever finds the backup elsewhere."""
    try:
        vault = runtime.backups.archive.vault(backup.db_cluster_resource_id)
    except ObjectMissingError:
        return
    facts = vault.facts()
    if facts.deleted_ms is None:
        deleted = int(backup.deleted_at.timestamp() * 1000)
        vault.write(FACTS, replace(facts, deleted_ms=deleted).to_bytes())
    since = int(time.time() * 1000) - db_cluster.backup_retention_period * DAY_MS
    Collecting(vault).collect(since, facts.wal_segment_bytes)


def _store(runtime: OpenRuntime, location: str, kms_key_id: str | None) -> BackupStore:
    key_file = "" if kms_key_id else str(runtime.state.path / KEY_FILE)
    return BackupStore(location, kms_key_id or "", key_file)


def _described(
    runtime: OpenRuntime, db_cluster: DBCluster, backup: RetainedBackup | None
) -> DBClusterAutomatedBackup:
    days = db_cluster.backup_retention_period
    window = runtime.backups.window(db_cluster.db_cluster_resource_id, days)
    return DBClusterAutomatedBackup(
        db_cluster_identifier=db_cluster.db_cluster_identifier,
        db_cluster_resource_id=db_cluster.db_cluster_resource_id,
        engine=db_cluster.engine,
        engine_version=db_cluster.engine_version,
        master_username=db_cluster.master_username,
        region=db_cluster.region,
        cluster_create_time=db_cluster.cluster_create_time,
        status=backup.status if backup is not None else "active",
        backup_retention_period=days,
        restore_window=RestoreWindow(moment_of(window.earliest), moment_of(window.latest))
        if window is not None
        else None,
        iam_database_authentication_enabled=db_cluster.iam_database_authentication_enabled,
    )
