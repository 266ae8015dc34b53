"""Operations on backups and snapshots."""

from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations.recovery.backups import (
    DeleteDBClusterAutomatedBackup,
    DescribeBackupStore,
    DescribeDBClusterAutomatedBackups,
    ModifyBackupStore,
)
from cluster_runtime.control.operations.recovery.snapshots import (
    CopyDBClusterSnapshot,
    CreateDBClusterSnapshot,
    DeleteDBClusterSnapshot,
    DescribeDBClusterSnapshots,
    ExportDBClusterSnapshot,
    ImportDBClusterSnapshot,
    RestoreDBClusterFromSnapshot,
)
from cluster_runtime.control.performing.base import Performing
from cluster_runtime.control.records.recovery.backups import (
    BackupStore,
    DBClusterAutomatedBackup,
    DBClusterSnapshot,
)
from cluster_runtime.control.workflows.backups import automated, files, restore, snapshots


class BackupOperations(Performing):
    """Each takes its declaration, on the runtime's event loop."""

    async def create_db_cluster_snapshot(
        self, request: CreateDBClusterSnapshot
    ) -> DBClusterSnapshot:
        """Perform it; raises what `CreateDBClusterSnapshot` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return await snapshots.create_snapshot(self._runtime, cluster, request)

    async def describe_db_cluster_snapshots(
        self, request: DescribeDBClusterSnapshots
    ) -> list[DBClusterSnapshot]:
        """Perform it; raises what `DescribeDBClusterSnapshots` declares."""
        return await snapshots.describe_snapshots(self._runtime, request)

    async def copy_db_cluster_snapshot(self, request: CopyDBClusterSnapshot) -> DBClusterSnapshot:
        """Perform it; raises what `CopyDBClusterSnapshot` declares."""
        return await snapshots.copy_snapshot(self._runtime, request)

    async def delete_db_cluster_snapshot(
        self, request: DeleteDBClusterSnapshot
    ) -> DBClusterSnapshot:
        """Perform it; raises what `DeleteDBClusterSnapshot` declares."""
        return await snapshots.delete_snapshot(
            self._runtime, request.db_cluster_snapshot_identifier
        )

    async def restore_db_cluster_from_snapshot(
        self, request: RestoreDBClusterFromSnapshot
    ) -> ClusterHandle:
        """Perform it; raises what `RestoreDBClusterFromSnapshot` declares."""
        return self.handle((await restore.restore_from_snapshot(self._runtime, request)).id)

    async def export_db_cluster_snapshot(
        self, request: ExportDBClusterSnapshot
    ) -> DBClusterSnapshot:
        """Perform it; raises what `ExportDBClusterSnapshot` declares."""
        return await files.export_snapshot(self._runtime, request)

    async def import_db_cluster_snapshot(
        self, request: ImportDBClusterSnapshot
    ) -> DBClusterSnapshot:
        """Perform it; raises what `ImportDBClusterSnapshot` declares."""
        return await files.import_snapshot(self._runtime, request)

    async def describe_db_cluster_automated_backups(
        self, request: DescribeDBClusterAutomatedBackups
    ) -> list[DBClusterAutomatedBackup]:
        """Perform it."""
        return await automated.describe_automated_backups(self._runtime, request)

    async def delete_db_cluster_automated_backup(
        self, request: DeleteDBClusterAutomatedBackup
    ) -> DBClusterAutomatedBackup:
        """Perform it; raises what `DeleteDBClusterAutomatedBackup` declares."""
        return await automated.delete_automated_backup(
            self._runtime, request.db_cluster_resource_id
        )

    async def describe_backup_store(self, request: DescribeBackupStore) -> BackupStore:
        """Perform it."""
        return await automated.describe_store(self._runtime)

    async def modify_backup_store(self, request: ModifyBackupStore) -> BackupStore:
        """Perform it; raises what `ModifyBackupStore` declares."""
        return await automated.modify_store(self._runtime, request)
