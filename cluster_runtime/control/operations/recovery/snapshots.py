"""Operations on snapshots of clusters."""

from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Literal

from cluster_runtime.control.operations.clusters import Engine
from cluster_runtime.control.operations.declaration import (
    AS_IN_SOURCE,
    MAKES_NO_INSTANCE_IN_RDS,
    RDS_HAS_NONE,
    RDS_REQUIRES_IT,
    Request,
    operation,
)
from cluster_runtime.control.operations.recovery.errors import BACKUP_ERRORS, STORE_ERRORS
from cluster_runtime.control.operations.types import (
    HANDLE,
    SNAPSHOT,
    SNAPSHOTS,
    ClusterReference,
    NewClusterIdentifier,
    NewSnapshotIdentifier,
    RetentionDays,
    SnapshotReference,
)
from cluster_runtime.control.records.fields import SECRET, OfTheHost
from cluster_runtime.control.records.model import ServerlessScaling
from cluster_runtime.control.records.resources import Tag
from cluster_runtime.control.records.rules import PORT_MAX, PORT_MIN, Range
from cluster_runtime.errors import (
    ClusterAlreadyExistsError,
    ClusterNotFoundError,
    EngineError,
    EngineNotFoundError,
    InsufficientStorageError,
    InvalidClusterStateError,
    InvalidParameterError,
    InvalidRestoreError,
    InvalidSnapshotStateError,
    ParameterGroupNotFoundError,
    PortInUseError,
    QuorumLostError,
    SnapshotAlreadyExistsError,
    SnapshotNotFoundError,
)

SNAPSHOT_NOUN = "DBClusterSnapshot"
SnapshotType = Literal["manual", "shared"]


@operation(
    "CreateDBClusterSnapshot",
    of=SNAPSHOT_NOUN,
    returns=SNAPSHOT,
    raises=(
        ClusterNotFoundError,
        SnapshotAlreadyExistsError,
        InvalidClusterStateError,
        InvalidParameterError,
        QuorumLostError,
        InsufficientStorageError,
        *BACKUP_ERRORS,
    ),
)
@dataclass(frozen=True, slots=True)
class CreateDBClusterSnapshot(Request):
    """Keep what a cluster is now, until the snapshot is deleted.

    It has every commit that returned before this was called. It shares what it can with the
    automated backup; commits do not wait for it.

    tags: words about it, at most 50.
    """

    db_cluster_snapshot_identifier: NewSnapshotIdentifier
    db_cluster_identifier: ClusterReference
    _: KW_ONLY
    tags: tuple[Tag, ...] = ()


@operation(
    "DescribeDBClusterSnapshots",
    of=SNAPSHOT_NOUN,
    returns=SNAPSHOTS,
    raises=(SnapshotNotFoundError,),
)
@dataclass(frozen=True, slots=True)
class DescribeDBClusterSnapshots(Request):
    """Show snapshots: of one cluster, one of them, or all.

    db_cluster_identifier: only those of this cluster, by its identifier or resource id.
    db_cluster_snapshot_identifier: the only snapshot to show.
    snapshot_type: only those that were made here, or that came as files.
    """

    db_cluster_identifier: str | None = None
    _: KW_ONLY
    db_cluster_snapshot_identifier: str | None = None
    snapshot_type: SnapshotType | None = None


@operation(
    "CopyDBClusterSnapshot",
    of=SNAPSHOT_NOUN,
    returns=SNAPSHOT,
    raises=(
        SnapshotNotFoundError,
        SnapshotAlreadyExistsError,
        InvalidSnapshotStateError,
        InvalidParameterError,
        InsufficientStorageError,
        *BACKUP_ERRORS,
    ),
)
@dataclass(frozen=True, slots=True)
class CopyDBClusterSnapshot(Request):
    """Keep a snapshot under another name as well, independent of the first one.

    source_db_cluster_snapshot_identifier: identifier or ARN of the snapshot.
    target_db_cluster_snapshot_identifier: identifier of the copy.
    copy_tags: the tags of the snapshot too.
    tags: words about it, at most 50.
    """

    source_db_cluster_snapshot_identifier: str
    target_db_cluster_snapshot_identifier: NewSnapshotIdentifier
    _: KW_ONLY
    copy_tags: bool = False
    tags: tuple[Tag, ...] = ()


@operation(
    "DeleteDBClusterSnapshot",
    of=SNAPSHOT_NOUN,
    returns=SNAPSHOT,
    raises=(SnapshotNotFoundError, InvalidSnapshotStateError, *STORE_ERRORS),
)
@dataclass(frozen=True, slots=True)
class DeleteDBClusterSnapshot(Request):
    """Delete a snapshot. What others share with it stays."""

    db_cluster_snapshot_identifier: SnapshotReference


@operation(
    "RestoreDBClusterFromSnapshot",
    of=SNAPSHOT_NOUN,
    returns=HANDLE,
    raises=(
        SnapshotNotFoundError,
        InvalidSnapshotStateError,
        ClusterAlreadyExistsError,
        InvalidParameterError,
        InvalidRestoreError,
        PortInUseError,
        InsufficientStorageError,
        EngineError,
        EngineNotFoundError,
        ParameterGroupNotFoundError,
        *BACKUP_ERRORS,
    ),
)
@dataclass(frozen=True, slots=True)
class RestoreDBClusterFromSnapshot(Request):
    """Make a cluster of a snapshot; it takes connections when this returns.

    After an error nothing of it remains. What is not given is as it was in the snapshot's cluster.

    snapshot_identifier: identifier or ARN of the snapshot.
    engine: there is one.
    port: port of the cluster endpoint; by default any free one.
    tags: words about it, at most 50; by default none.
    deletion_protection: refuse to delete it until this is switched off.
    enable_iam_database_authentication: take IAM tokens as passwords.
    serverless_v2_scaling_configuration: range of capacity, and when to pause.
    db_cluster_parameter_group_name: parameters that it runs with.
    backup_retention_period: days for which any second of it can be restored.
    with_writer: make an instance; without one it takes no connections until it gets one.
    """

    db_cluster_identifier: NewClusterIdentifier
    snapshot_identifier: str
    _: KW_ONLY
    engine: Annotated[Engine, RDS_REQUIRES_IT] = "aurora-postgresql"
    port: Annotated[int | None, Range(PORT_MIN, PORT_MAX)] = None
    tags: tuple[Tag, ...] = ()
    deletion_protection: bool = False
    enable_iam_database_authentication: bool | None = None
    serverless_v2_scaling_configuration: Annotated[ServerlessScaling | None, AS_IN_SOURCE] = None
    db_cluster_parameter_group_name: str | None = None
    backup_retention_period: Annotated[int | None, RetentionDays] = None
    with_writer: Annotated[bool, RDS_HAS_NONE, MAKES_NO_INSTANCE_IN_RDS] = True


@operation(
    "ExportDBClusterSnapshot",
    of=SNAPSHOT_NOUN,
    returns=SNAPSHOT,
    raises=(
        SnapshotNotFoundError,
        InvalidSnapshotStateError,
        InvalidParameterError,
        InsufficientStorageError,
        *BACKUP_ERRORS,
    ),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class ExportDBClusterSnapshot(Request):
    """Write a snapshot to a file that `import_db_cluster_snapshot` reads, here or elsewhere.

    Its objects stay encrypted. Their key is in the file: wrapped by a passphrase where one is
    given; otherwise whoever has the file has the data, and so only its owner may read it.

    file: an absolute path on the host's machine; nothing may be there.
    passphrase: what the import then has to be told.
    """

    db_cluster_snapshot_identifier: SnapshotReference
    file: Annotated[str, OfTheHost()]
    _: KW_ONLY
    passphrase: Annotated[str | None, SECRET] = field(default=None, repr=False)


@operation(
    "ImportDBClusterSnapshot",
    of=SNAPSHOT_NOUN,
    returns=SNAPSHOT,
    raises=(SnapshotAlreadyExistsError, InvalidParameterError, *BACKUP_ERRORS),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class ImportDBClusterSnapshot(Request):
    """Make a snapshot of a file that `export_db_cluster_snapshot` wrote.

    file: an absolute path on the host's machine.
    passphrase: what the export was told.
    """

    db_cluster_snapshot_identifier: NewSnapshotIdentifier
    file: Annotated[str, OfTheHost()]
    _: KW_ONLY
    passphrase: Annotated[str | None, SECRET] = field(default=None, repr=False)
