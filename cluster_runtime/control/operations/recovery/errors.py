"""What every operation may raise that asks the object store of backups, or cuts a volume."""

from cluster_runtime.errors import (
    BackupDamagedError,
    BackupKeyError,
    BackupStoreRefusedError,
    BackupStoreUnavailableError,
    EngineError,
    InsufficientStorageError,
    InvalidRestoreError,
    QuorumLostError,
)

STORE_ERRORS = (BackupStoreUnavailableError, BackupStoreRefusedError, BackupKeyError)
CUT_ERRORS = (InvalidRestoreError, InsufficientStorageError, EngineError, QuorumLostError)
BACKUP_ERRORS = (*STORE_ERRORS, BackupDamagedError)
