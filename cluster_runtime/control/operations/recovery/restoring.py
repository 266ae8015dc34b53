"""Operations that make a cluster of what another one is, or was."""

from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from cluster_runtime.control.operations.clusters import DB_CLUSTER_NOUN
from cluster_runtime.control.operations.declaration import (
    AS_IN_SOURCE,
    MAKES_NO_INSTANCE_IN_RDS,
    RDS_HAS_NONE,
    Request,
    operation,
)
from cluster_runtime.control.operations.recovery.errors import BACKUP_ERRORS, CUT_ERRORS
from cluster_runtime.control.operations.types import (
    DB_CLUSTER,
    HANDLE,
    ClusterReference,
    NewClusterIdentifier,
    RetentionDays,
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
    ParameterGroupNotFoundError,
    PortInUseError,
    QuorumLostError,
)
from cluster_runtime.wording import Parameter

TRANSACTION_MIN, TRANSACTION_MAX = 3, 2**63 - 1
"""Lower ones are PostgreSQL's own, such as that of frozen rows."""

RestoreType = Literal["full-copy", "copy-on-write"]


@operation(
    "RestoreDBClusterToPointInTime",
    of=DB_CLUSTER_NOUN,
    returns=HANDLE,
    raises=(
        ClusterNotFoundError,
        ClusterAlreadyExistsError,
        InvalidClusterStateError,
        InvalidParameterError,
        InvalidRestoreError,
        PortInUseError,
        InsufficientStorageError,
        EngineError,
        QuorumLostError,
        EngineNotFoundError,
        ParameterGroupNotFoundError,
        *BACKUP_ERRORS,
    ),
)
@dataclass(frozen=True, slots=True)
class RestoreDBClusterToPointInTime(Request):
    """Make a cluster of what another one is now, or was at a time.

    It takes connections when this returns, and is independent of its source from then on: either
    may be deleted first. After an error nothing of it remains. What is not given is as it is in the
    source.

    source_db_cluster_identifier: identifier or resource id of the cluster to begin from; of one
        that was deleted, the last of this name whose backup is kept.
    restore_type: `copy-on-write` makes a clone of the present, which shares the storage of its
        source until either changes it; `full-copy` takes a time as well.
    restore_to_time: the new cluster has each commit whose time is not after this; aware.
    use_latest_restorable_time: the present instead of a time.
    restore_to_transaction: up to the commit of a transaction instead of a time, as the database
        numbers it (`xmin` of a row, `pg_current_xact_id()`); within the backtrack window, and with
        either restore type.
    port: port of the cluster endpoint; by default any free one.
    tags: words about it, at most 50; by default none.
    deletion_protection: refuse to delete it until this is switched off.
    enable_iam_database_authentication: take IAM tokens as passwords; by default as the source.
    serverless_v2_scaling_configuration: range of capacity, and when to pause.
    db_cluster_parameter_group_name: parameters that it runs with.
    source_db_cluster_resource_id: the source by the id that is never used again.
    backup_retention_period: days for which any second of it can be restored; by default as the
        source.
    backup_location: another place of backups than this host's, as `modify_backup_store` takes it:
        what some machine wrote there is enough. Of a place that holds one cluster alone, or one of
        the new cluster's name, no source need be named.
    backup_key: what opens the backups there: the text of a `backup.key`; by default this host's,
        and no key of its own where a KMS has it.
    with_writer: make an instance; without one it takes no connections until it gets one.
    """

    db_cluster_identifier: NewClusterIdentifier
    source_db_cluster_identifier: str | None = None
    _: KW_ONLY
    restore_type: RestoreType = "full-copy"
    restore_to_time: datetime | None = None
    use_latest_restorable_time: bool = False
    port: Annotated[int | None, Range(PORT_MIN, PORT_MAX)] = None
    tags: tuple[Tag, ...] = ()
    deletion_protection: bool = False
    enable_iam_database_authentication: bool | None = None
    serverless_v2_scaling_configuration: Annotated[ServerlessScaling | None, AS_IN_SOURCE] = None
    db_cluster_parameter_group_name: str | None = None
    source_db_cluster_resource_id: str | None = None
    backup_retention_period: Annotated[int | None, RetentionDays] = None
    backup_location: Annotated[str | None, RDS_HAS_NONE, OfTheHost()] = None
    backup_key: Annotated[str | None, SECRET, RDS_HAS_NONE] = field(default=None, repr=False)
    with_writer: Annotated[bool, RDS_HAS_NONE, MAKES_NO_INSTANCE_IN_RDS] = True
    restore_to_transaction: Annotated[
        int | None, RDS_HAS_NONE, Range(TRANSACTION_MIN, TRANSACTION_MAX)
    ] = None

    def check(self) -> None:
        """Raises InvalidParameterError where it is not clear what to make a cluster of."""
        named = (self.source_db_cluster_identifier, self.source_db_cluster_resource_id)
        if named == (None, None) and self.backup_location is None:
            raise InvalidParameterError(
                Parameter("source_db_cluster_identifier"), " says which cluster to begin from"
            )
        targets = (self.restore_to_time is not None, self.restore_to_transaction is not None)
        if sum((*targets, self.use_latest_restorable_time)) != 1:
            raise InvalidParameterError(
                "give one of ",
                Parameter("restore_to_time"),
                ", ",
                Parameter("use_latest_restorable_time"),
                " and ",
                Parameter("restore_to_transaction"),
            )
        if self.restore_to_transaction is not None and self.backup_location is not None:
            raise InvalidParameterError(
                Parameter("restore_to_transaction"),
                " is found in the log of a cluster that is there, not in its backup",
            )
        if self.restore_type == "copy-on-write" and self.backup_location is not None:
            raise InvalidParameterError(
                Parameter("backup_location"), " goes with the restore type full-copy"
            )
        if self.restore_to_time is not None:
            if self.restore_type == "copy-on-write":
                raise InvalidParameterError(
                    "a copy-on-write clone is of the present: ",
                    Parameter("restore_to_time"),
                    " goes with the restore type full-copy",
                )
            if self.restore_to_time.tzinfo is None:
                raise InvalidParameterError(Parameter("restore_to_time"), " names no time zone")


@operation(
    "ResetBranch",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTER,
    raises=(
        ClusterNotFoundError,
        InvalidClusterStateError,
        *CUT_ERRORS,
    ),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class ResetBranch(Request):
    """Make a branch what the cluster that it was made from is now; its own changes go.

    Its name, its endpoints and its settings stay. Connections end; who connects waits.
    """

    db_cluster_identifier: ClusterReference
