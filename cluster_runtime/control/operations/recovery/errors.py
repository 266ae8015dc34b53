"""What every operation may raise that asks the object store of backups."""

from cluster_runtime.errors import (
    BackupDamagedError,
    BackupKeyError,
    BackupStoreRefusedError,
    BackupStoreUnavailableError,
)

STORE_ERRORS = (BackupStoreUnavailableError, BackupStoreRefusedError, BackupKeyError)
BACKUP_ERRORS = (*STORE_ERRORS, BackupDamagedError)
