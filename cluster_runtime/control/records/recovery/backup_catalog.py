"""What the catalog keeps of backups: snapshots, backups of deleted clusters, where they are."""

from pydantic import TypeAdapter

from cluster_runtime.control.records.catalog import Catalog, cluster_of, document_of
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.recovery.backups import (
    BackupStore,
    DBClusterSnapshot,
    RetainedBackup,
)

SNAPSHOT, RETAINED, DELETED, STORE = (
    "db_cluster_snapshot",
    "automated_backup",
    "deleted_cluster",
    "backup_store",
)
HOST = "host"

_SNAPSHOT = TypeAdapter(DBClusterSnapshot)
_RETAINED = TypeAdapter(RetainedBackup)
_STORE = TypeAdapter(BackupStore)
_CLUSTER = TypeAdapter(dict)


class BackupCatalog:
    """Blocking; safe to call from several threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def snapshots(self) -> list[DBClusterSnapshot]:
        """All of them, by identifier."""
        return [_SNAPSHOT.validate_json(text) for _, text in self._catalog.documents(SNAPSHOT)]

    def put_snapshot(self, snapshot: DBClusterSnapshot) -> None:
        """Keep a snapshot as it is now."""
        name = snapshot.db_cluster_snapshot_identifier
        self._catalog.put_document(SNAPSHOT, name, _SNAPSHOT.dump_json(snapshot).decode())

    def remove_snapshot(self, identifier: str) -> None:
        """Forget a snapshot."""
        self._catalog.remove_document(SNAPSHOT, identifier)

    def retained(self) -> list[tuple[RetainedBackup, DBCluster]]:
        """The backups of deleted clusters, with what those were."""
        clusters = dict(self._catalog.documents(DELETED))
        return [
            (
                _RETAINED.validate_json(text),
                cluster_of(_CLUSTER.validate_json(clusters[resource_id])),
            )
            for resource_id, text in self._catalog.documents(RETAINED)
        ]

    def put_retained(self, backup: RetainedBackup, db_cluster: DBCluster) -> None:
        """Keep the backup of a cluster that is about to go."""
        name = backup.db_cluster_resource_id
        cluster = _CLUSTER.dump_json(document_of(db_cluster)).decode()
        self._catalog.put_document(DELETED, name, cluster)
        self._catalog.put_document(RETAINED, name, _RETAINED.dump_json(backup).decode())

    def remove_retained(self, resource_id: str) -> None:
        """Forget such a backup."""
        self._catalog.remove_document(RETAINED, resource_id)
        self._catalog.remove_document(DELETED, resource_id)

    def store(self) -> BackupStore | None:
        """Where backups are kept; None where nobody has said so."""
        found = dict(self._catalog.documents(STORE))
        return _STORE.validate_json(found[HOST]) if HOST in found else None

    def put_store(self, store: BackupStore) -> None:
        """Keep them there from now on."""
        self._catalog.put_document(STORE, HOST, _STORE.dump_json(store).decode())
