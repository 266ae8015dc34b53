"""Nouns of backups: snapshots, automated backups, and where they are kept.

Field names are the RDS API's in snake case. Source: Amazon RDS API Reference, data types
DBClusterSnapshot, DBClusterAutomatedBackup and RestoreWindow.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cluster_runtime.control.records.resources import Tag

SnapshotStatus = Literal["creating", "available", "copying", "deleting"]


@dataclass(frozen=True, slots=True)
class DBClusterSnapshot:
    """What a cluster was at an LSN, as DescribeDBClusterSnapshots shows it.

    It stays until it is deleted, whatever becomes of its cluster. snapshot_type: `manual`, or
    `shared` for one that came as a file. lsn: as PostgreSQL writes it. folder: whose backup holds
    its objects.
    """

    db_cluster_snapshot_identifier: str
    db_cluster_identifier: str
    db_cluster_resource_id: str
    snapshot_create_time: datetime
    cluster_create_time: datetime
    engine: str
    engine_version: str
    master_username: str
    region: str = ""
    folder: str = ""
    status: SnapshotStatus = "creating"
    percent_progress: int = 0
    snapshot_type: str = "manual"
    storage_type: str = "aurora"
    storage_encrypted: bool = True
    iam_database_authentication_enabled: bool = True
    source_db_cluster_snapshot_arn: str = ""
    tag_list: tuple[Tag, ...] = ()
    lsn: str = ""
    allocated_storage: int = 1
    engine_mode: str = "provisioned"

    @property
    def db_cluster_snapshot_arn(self) -> str:
        """The Amazon resource name, formed as RDS forms it."""
        return snapshot_arn(self.db_cluster_snapshot_identifier, self.region)


@dataclass(frozen=True, slots=True)
class RestoreWindow:
    """From when to when restores are possible."""

    earliest_time: datetime
    latest_time: datetime


@dataclass(frozen=True, slots=True)
class DBClusterAutomatedBackup:
    """The continuous backup of a cluster, as DescribeDBClusterAutomatedBackups shows it.

    status: `active` while the cluster is there, `retained` after that, until the retention period
    of what is in it is over, and `deleting`. restore_window: None where nothing can be restored
    yet, or it is not known yet.
    """

    db_cluster_identifier: str
    db_cluster_resource_id: str
    engine: str
    engine_version: str
    master_username: str
    region: str
    cluster_create_time: datetime
    status: Literal["active", "retained", "deleting"]
    backup_retention_period: int
    restore_window: RestoreWindow | None = None
    storage_encrypted: bool = True
    iam_database_authentication_enabled: bool = True

    @property
    def db_cluster_automated_backups_arn(self) -> str:
        """The Amazon resource name, formed as RDS forms it."""
        unique = self.db_cluster_resource_id.removeprefix("cluster-").lower()
        return f"arn:aws:rds:{self.region}:000000000000:cluster-auto-backup:ab-{unique}"


@dataclass(frozen=True, slots=True)
class BackupStore:
    """Where the backups of a state directory are kept.

    key_file: holds what opens them, where no KMS does: keep a copy of it apart from both.
    """

    location: str
    kms_key_id: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class RetainedBackup:
    """An automated backup whose cluster is gone. complete_at_ms: it has all until then."""

    db_cluster_resource_id: str
    deleted_at: datetime
    status: Literal["retained", "deleting"]
    complete_at_ms: int = 0


def snapshot_arn(identifier: str, region: str) -> str:
    """The ARN of a snapshot."""
    return f"arn:aws:rds:{region}:000000000000:cluster-snapshot:{identifier}"
