"""Operations on automated backups, and on where they are kept."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.recovery.errors import STORE_ERRORS
from cluster_runtime.control.operations.types import (
    AUTOMATED_BACKUP,
    AUTOMATED_BACKUPS,
    BACKUP_STORE,
)
from cluster_runtime.control.records.fields import Doc, OfTheHost
from cluster_runtime.errors import (
    AutomatedBackupNotFoundError,
    InsufficientStorageError,
    InvalidParameterError,
)

BACKUP_NOUN = "DBClusterAutomatedBackup"


@operation(
    "DescribeDBClusterAutomatedBackups",
    of=BACKUP_NOUN,
    returns=AUTOMATED_BACKUPS,
)
@dataclass(frozen=True, slots=True)
class DescribeDBClusterAutomatedBackups(Request):
    """Show the automated backups: of clusters that are there, and of deleted ones.

    db_cluster_resource_id: only that of this cluster.
    db_cluster_identifier: only those of clusters of this name.
    """

    db_cluster_resource_id: str | None = None
    _: KW_ONLY
    db_cluster_identifier: str | None = None


@operation(
    "DeleteDBClusterAutomatedBackup",
    of=BACKUP_NOUN,
    returns=AUTOMATED_BACKUP,
    raises=(AutomatedBackupNotFoundError, *STORE_ERRORS),
)
@dataclass(frozen=True, slots=True)
class DeleteDBClusterAutomatedBackup(Request):
    """Delete the automated backup of a cluster that is deleted. Snapshots stay."""

    db_cluster_resource_id: Annotated[str, Doc("Resource id of the deleted cluster.")]


@operation("DescribeBackupStore", of=BACKUP_NOUN, returns=BACKUP_STORE, ours=True)
@dataclass(frozen=True, slots=True)
class DescribeBackupStore(Request):
    """Show where the backups of this host are kept, and what opens them."""


@operation(
    "ModifyBackupStore",
    of=BACKUP_NOUN,
    returns=BACKUP_STORE,
    raises=(InvalidParameterError, InsufficientStorageError, *STORE_ERRORS),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class ModifyBackupStore(Request):
    """Keep the backups of all clusters elsewhere from now on.

    An object is written, read, listed and deleted there first. What was kept before stays there;
    a restore can name that place.

    location: an absolute path, or `s3://BUCKET[/PREFIX][?endpoint=URL&region=REGION]`; credentials
        are found as AWS's own tools find them.
    kms_key_id: a key of AWS KMS that wraps the data keys of new backups; by default `backup.key` of
        the state directory does.
    """

    location: Annotated[str, OfTheHost()]
    _: KW_ONLY
    kms_key_id: str | None = None
