"""Operations on a DBCluster."""

from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Literal

from cluster_runtime.control.operations.declaration import (
    RDS_HAS_NONE,
    RDS_REQUIRES_IT,
    Changes,
    Earlier,
    InRds,
    Request,
    operation,
)
from cluster_runtime.control.operations.types import (
    DB_CLUSTER,
    DB_CLUSTERS,
    HANDLE,
    SECRET_VALUE,
    ClusterReference,
    NewClusterIdentifier,
    NewSnapshotIdentifier,
    Password,
    RetentionDays,
)
from cluster_runtime.control.records.fields import OfTheHost
from cluster_runtime.control.records.model import (
    SECONDS_UNTIL_DEEP_PAUSE_MAX,
    ServerlessScaling,
    StorageType,
)
from cluster_runtime.control.records.resources import Tag
from cluster_runtime.control.records.rules import (
    DEFAULT_DATABASE,
    PORT_MAX,
    PORT_MIN,
    Must,
    Range,
    check_database_name,
    check_master_username,
)
from cluster_runtime.engine.access.role_names import MASTER
from cluster_runtime.errors import (
    BackupKeyError,
    BackupStoreRefusedError,
    BackupStoreUnavailableError,
    ClusterAlreadyExistsError,
    ClusterNotFoundError,
    DeletionProtectedError,
    EngineError,
    EngineNotFoundError,
    InstanceNotReadyError,
    InsufficientStorageError,
    InvalidClusterStateError,
    InvalidParameterError,
    ParameterGroupNotFoundError,
    PortInUseError,
    QuorumLostError,
    SnapshotAlreadyExistsError,
    StorageError,
)
from cluster_runtime.storage.core.policy.past import BACKTRACK_SECONDS_MAX
from cluster_runtime.wording import Parameter

DB_CLUSTER_NOUN = "DBCluster"
BACKTRACK_BYTES_MAX = 1 << 50
Engine = Literal["aurora-postgresql"]


@operation(
    "CreateDBCluster",
    of=DB_CLUSTER_NOUN,
    returns=HANDLE,
    raises=(
        ClusterAlreadyExistsError,
        InvalidParameterError,
        PortInUseError,
        EngineNotFoundError,
        InsufficientStorageError,
        ParameterGroupNotFoundError,
    ),
)
@dataclass(frozen=True, slots=True)
class CreateDBCluster(Request):
    """Create a cluster that takes connections when this returns.

    Express configuration: serverless from 0 to 16 ACU, auto-pause after 300 s, TLS, IAM
    authentication, the gateway on, pgvector in the default database. After an error nothing of the
    cluster remains.

    with_express_configuration: set everything up as above, with a writer. RDS makes a cluster
        without any instance where this is not given; here one without it needs a password.
    engine_version: version of PostgreSQL; by default the newest that is installed.
    database_name: name of the default database, which is made with pgvector.
    master_username: role that owns the databases.
    master_user_password: password of the master user: 8 to 128 printable characters; without one,
        IAM tokens are the way in.
    manage_master_user_password: let the runtime make the master password; `get_master_user_secret`
        tells it.
    enable_iam_database_authentication: take IAM tokens as passwords.
    serverless_v2_scaling_configuration: range of capacity, and when to pause.
    storage_type: kind of storage: aurora, or aurora-iopt1 (I/O-optimized).
    deletion_protection: refuse to delete it until this is switched off.
    port: port of the cluster endpoint; by default any free one.
    tags: words about it, at most 50.
    db_cluster_parameter_group_name: parameters that it runs with; by default the engine's.
    backup_retention_period: days for which any second can be restored.
    backtrack_window: seconds for which it can be rewound, 0 for not at all; by default a day.
    warm_branch: keep a standby ready, so that a branch of it takes the same short time at any size.
    with_writer: make an instance; without one it takes no connections until it gets one.
    engine: there is one.
    if_not_exists: return the cluster of this name as it is where there is one, whoever is making
        it at the moment.
    """

    db_cluster_identifier: Annotated[NewClusterIdentifier, Earlier("identifier")]
    _: KW_ONLY
    with_express_configuration: Annotated[bool, InRds(default=False)] = True
    engine_version: Annotated[str | None, OfTheHost(paths_alone=True)] = None
    database_name: Annotated[str, Must(check_database_name)] = DEFAULT_DATABASE
    master_username: Annotated[str, Must(check_master_username)] = MASTER
    master_user_password: Password | None = field(default=None, repr=False)
    manage_master_user_password: bool = False
    enable_iam_database_authentication: Annotated[bool, InRds(default=False)] = True
    serverless_v2_scaling_configuration: Annotated[ServerlessScaling | None, Earlier("scaling")] = (
        None
    )
    storage_type: StorageType = "aurora"
    deletion_protection: bool = False
    port: Annotated[int | None, Range(PORT_MIN, PORT_MAX)] = None
    tags: tuple[Tag, ...] = ()
    db_cluster_parameter_group_name: str | None = None
    backup_retention_period: Annotated[int, RetentionDays] = 1
    backtrack_window: Annotated[int | None, Range(0, BACKTRACK_SECONDS_MAX)] = None
    warm_branch: Annotated[bool, RDS_HAS_NONE] = False
    with_writer: Annotated[bool, RDS_HAS_NONE] = True
    engine: Annotated[Engine, RDS_REQUIRES_IT] = "aurora-postgresql"
    if_not_exists: Annotated[bool, RDS_HAS_NONE] = False

    def check(self) -> None:
        """Raises InvalidParameterError for a cluster that nobody could log in to."""
        if self.with_express_configuration and not self.with_writer:
            raise InvalidParameterError("the express configuration makes a writer")
        _check_one_password(self.master_user_password, self.manage_master_user_password)
        has_password = self.master_user_password is not None or self.manage_master_user_password
        if not self.with_express_configuration and not has_password:
            raise InvalidParameterError(
                "a cluster without express configuration needs ",
                Parameter("master_user_password"),
                " or ",
                Parameter("manage_master_user_password"),
            )
        if not self.enable_iam_database_authentication and not has_password:
            raise InvalidParameterError(
                "a cluster without IAM tokens needs ", Parameter("master_user_password")
            )


@operation(
    "DescribeDBClusters",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTERS,
    raises=(ClusterNotFoundError,),
)
@dataclass(frozen=True, slots=True)
class DescribeDBClusters(Request):
    """Show the facts of one cluster, or of all in order of their identifiers.

    db_cluster_identifier: identifier or resource id of the only cluster to show.
    """

    db_cluster_identifier: ClusterReference | None = None


@operation(
    "ModifyDBCluster",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTER,
    raises=(
        ClusterNotFoundError,
        ClusterAlreadyExistsError,
        InvalidParameterError,
        InvalidClusterStateError,
        ParameterGroupNotFoundError,
    ),
)
@dataclass(frozen=True, slots=True)
class ModifyDBCluster(Request):
    """Change settings of a cluster, at once; those that are not given stay as they are.

    new_db_cluster_identifier: new name; endpoints have it from then on.
    master_user_password: new password of the master user: 8 to 128 printable characters.
    manage_master_user_password: let the runtime make the master password, or no longer.
    rotate_master_user_password: make another one; only where the runtime manages it.
    serverless_v2_scaling_configuration: range of capacity, and when to pause.
    deletion_protection: refuse to delete it.
    enable_iam_database_authentication: take IAM tokens as passwords.
    require_tls: refuse connections without TLS.
    internet_access_gateway_enabled: keep its endpoints open.
    storage_type: kind of storage: aurora, or aurora-iopt1 (I/O-optimized).
    db_cluster_parameter_group_name: other parameters to run with; static ones at its next start.
    backup_retention_period: days for which any second can be restored.
    backtrack_window: seconds for which it can be rewound; 0: not at all.
    backtrack_bytes_max: what that may take on the disk, log and page images; what does not fit into
        it cannot be rewound to any more.
    seconds_until_deep_pause: how long it is paused until it gives its data directory back; waking
        makes it again from the volume. 0: never.
    warm_branch: keep a standby ready for its next branch while it runs, or no longer. That takes
        the memory of one more instance, and the CPU of replaying what the writer writes.
    reset_settings: let a master user who locked himself out back in: settings of his databases
        and of his role, connection limits and refusals, all back to their defaults. Data stay.
    """

    db_cluster_identifier: ClusterReference
    _: KW_ONLY
    new_db_cluster_identifier: NewClusterIdentifier | None = None
    master_user_password: Password | None = field(default=None, repr=False)
    manage_master_user_password: bool | None = None
    rotate_master_user_password: bool | None = None
    serverless_v2_scaling_configuration: Annotated[
        ServerlessScaling | None, Earlier("scaling"), Changes("scaling")
    ] = None
    deletion_protection: bool | None = None
    enable_iam_database_authentication: Annotated[
        bool | None, Earlier("iam_database_authentication_enabled")
    ] = None
    require_tls: Annotated[bool | None, RDS_HAS_NONE] = None
    internet_access_gateway_enabled: Annotated[bool | None, RDS_HAS_NONE] = None
    storage_type: StorageType | None = None
    db_cluster_parameter_group_name: str | None = None
    backup_retention_period: Annotated[int | None, RetentionDays] = None
    backtrack_window: Annotated[int | None, Range(0, BACKTRACK_SECONDS_MAX)] = None
    backtrack_bytes_max: Annotated[int | None, RDS_HAS_NONE, Range(0, BACKTRACK_BYTES_MAX)] = None
    seconds_until_deep_pause: Annotated[
        int | None, RDS_HAS_NONE, Range(0, SECONDS_UNTIL_DEEP_PAUSE_MAX)
    ] = None
    warm_branch: Annotated[bool | None, RDS_HAS_NONE] = None
    reset_settings: Annotated[bool, RDS_HAS_NONE] = False

    def check(self) -> None:
        """Raises InvalidParameterError for two passwords."""
        _check_one_password(self.master_user_password, bool(self.manage_master_user_password))


@operation(
    "StartDBCluster",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTER,
    raises=(ClusterNotFoundError, InvalidClusterStateError, EngineError, QuorumLostError),
)
@dataclass(frozen=True, slots=True)
class StartDBCluster(Request):
    """Start a stopped cluster; it takes connections when this returns."""

    db_cluster_identifier: ClusterReference


@operation(
    "StopDBCluster",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTER,
    raises=(ClusterNotFoundError, InvalidClusterStateError),
)
@dataclass(frozen=True, slots=True)
class StopDBCluster(Request):
    """Stop a cluster: it refuses connections until it is started again."""

    db_cluster_identifier: ClusterReference


@operation(
    "PauseDBCluster",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTER,
    raises=(ClusterNotFoundError, InvalidClusterStateError, StorageError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class PauseDBCluster(Request):
    """Pause a cluster now, as auto-pause would; the next connect wakes it.

    deep: give its data directory back at once, and not after a day; waking makes it again from the
        volume.
    """

    db_cluster_identifier: ClusterReference
    _: KW_ONLY
    deep: bool = False


@operation(
    "ResumeDBCluster",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTER,
    raises=(ClusterNotFoundError, InvalidClusterStateError, EngineError, QuorumLostError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class ResumeDBCluster(Request):
    """Wake a paused cluster now, as a connect would; one that runs stays as it is."""

    db_cluster_identifier: ClusterReference


@operation(
    "FailoverDBCluster",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTER,
    raises=(
        ClusterNotFoundError,
        InvalidClusterStateError,
        InvalidParameterError,
        InstanceNotReadyError,
        InsufficientStorageError,
        EngineError,
        QuorumLostError,
    ),
)
@dataclass(frozen=True, slots=True)
class FailoverDBCluster(Request):
    """Make a reader the writer; the old writer returns as a reader. Clients wait meanwhile.

    In a cluster without readers the writer itself begins again, from the volume.

    target_db_instance_identifier: the reader that takes over; by default that of the lowest
        promotion tier, then the one that is least behind.
    """

    db_cluster_identifier: ClusterReference
    target_db_instance_identifier: str | None = None


@operation(
    "DeleteDBCluster",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTER,
    raises=(
        ClusterNotFoundError,
        DeletionProtectedError,
        InvalidClusterStateError,
        InvalidParameterError,
        SnapshotAlreadyExistsError,
        InsufficientStorageError,
        BackupStoreUnavailableError,
        BackupStoreRefusedError,
        BackupKeyError,
    ),
)
@dataclass(frozen=True, slots=True)
class DeleteDBCluster(Request):
    """Delete a cluster with all its data.

    Its automated backup is kept for its retention period, so that it can be restored, unless that
    is to go too.

    skip_final_snapshot: take no final snapshot, unless one is named.
    final_db_snapshot_identifier: name of a snapshot that is taken first.
    delete_automated_backups: remove its automated backup as well. Snapshots stay.
    """

    db_cluster_identifier: ClusterReference
    _: KW_ONLY
    skip_final_snapshot: Annotated[bool, InRds(default=False)] = True
    final_db_snapshot_identifier: NewSnapshotIdentifier | None = None
    delete_automated_backups: Annotated[bool, InRds(default=True)] = False

    def check(self) -> None:
        """Raises InvalidParameterError for a final snapshot without a name."""
        if not self.skip_final_snapshot and self.final_db_snapshot_identifier is None:
            raise InvalidParameterError(
                Parameter("final_db_snapshot_identifier"),
                " must name the final snapshot, unless none is taken: ",
                Parameter("skip_final_snapshot"),
            )


@operation(
    "GetMasterUserSecret",
    of=DB_CLUSTER_NOUN,
    returns=SECRET_VALUE,
    raises=(ClusterNotFoundError, InvalidParameterError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class GetMasterUserSecret(Request):
    """Tell the master password of a cluster whose password the runtime manages.

    AWS Secrets Manager has it as `GetSecretValue`, of the secret that the cluster names.
    """

    db_cluster_identifier: ClusterReference


def _check_one_password(password: str | None, managed: bool) -> None:
    if password is not None and managed:
        raise InvalidParameterError(
            Parameter("master_user_password"),
            " is given, and ",
            Parameter("manage_master_user_password"),
            " says that the runtime makes it; give one of the two",
        )
