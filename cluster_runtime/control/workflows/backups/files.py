"""Snapshots that leave as a file, and come from one."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cluster_runtime.backup import sharing
from cluster_runtime.backup.core.manifests import SnapshotManifest
from cluster_runtime.backup.core.names import FACTS, SNAPSHOTS, snapshot_name
from cluster_runtime.control.cluster import OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.snapshots import (
    ExportDBClusterSnapshot,
    ImportDBClusterSnapshot,
)
from cluster_runtime.control.records.identifiers import new_resource_id
from cluster_runtime.control.records.recovery.backups import DBClusterSnapshot
from cluster_runtime.control.workflows.backups import origins
from cluster_runtime.control.workflows.backups.snapshots import (
    described,
    enter_snapshot,
    require_available,
    snapshot_named,
)
from cluster_runtime.errors import BackupDamagedError, InvalidParameterError
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.wording import Parameter


async def export_snapshot(
    runtime: OpenRuntime, request: ExportDBClusterSnapshot
) -> DBClusterSnapshot:
    """Raises what the operation declares; then no file is there."""
    snapshot = await snapshot_named(runtime, request.db_cluster_snapshot_identifier)
    require_available(snapshot)
    file = _file(request.file)

    def write() -> None:
        vault = runtime.backups.archive.vault(snapshot.folder)
        name = snapshot.db_cluster_snapshot_identifier
        plan = origins.of_snapshot(vault, name).plan
        sharing.export(vault, name, plan, file, request.passphrase, lambda _: None)

    await in_thread(write)
    return snapshot


async def import_snapshot(
    runtime: OpenRuntime, request: ImportDBClusterSnapshot
) -> DBClusterSnapshot:
    """Into a folder of its own: the cluster that it is of may be here as well."""
    file = _file(request.file)
    shared = await in_thread(sharing.read_head, file)
    key = await in_thread(sharing.key_in, shared, request.passphrase)
    folder = new_resource_id()
    # Read without a bucket: what the cluster was stands in the snapshot.
    manifest = await in_thread(_manifest_in, file, key, shared.identifier)
    was = origins.cluster_in(manifest.cluster, str(file))
    snapshot = replace(
        described(was, request.db_cluster_snapshot_identifier, folder, ()),
        snapshot_type="shared",
        snapshot_create_time=datetime.now(UTC),
        lsn=format_lsn(manifest.lsn),
        region=runtime.region,
    )

    def read() -> DBClusterSnapshot:
        name = snapshot.db_cluster_snapshot_identifier
        vault = runtime.backups.archive.adopt(folder, key)
        for each, sealed in sharing.objects(file, key):
            if each != snapshot_name(shared.identifier):
                vault.bucket.put(f"{vault.folder}/{each}", sealed)
        facts = replace(vault.facts(), cluster=manifest.cluster, automated=False, deleted_ms=0)
        vault.write(FACTS, facts.to_bytes())
        vault.write(snapshot_name(name), replace(manifest, identifier=name).to_bytes())
        origins.of_snapshot(vault, name)
        return snapshot

    return await enter_snapshot(runtime, snapshot, read)


def _manifest_in(file: Path, key: bytes, identifier: str) -> SnapshotManifest:
    name = snapshot_name(identifier)
    for each, sealed in sharing.objects(file, key):
        if each == name:
            return sharing.manifest_of(key, each, sealed)
    raise BackupDamagedError(f"{file} is damaged: {SNAPSHOTS}/{identifier} is missing")


def _file(text: str) -> Path:
    file = Path(text)
    if not file.is_absolute():
        raise InvalidParameterError(
            Parameter("file"), f" is {text!r}; give an absolute path on the host's machine"
        )
    return file
