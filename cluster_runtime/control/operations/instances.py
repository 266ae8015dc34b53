"""Operations on instances: the writer of a cluster and its readers; and on what leads to them."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

from cluster_runtime.control.operations.declaration import (
    RDS_HAS_NONE,
    RDS_REQUIRES_IT,
    InRds,
    Request,
    operation,
)
from cluster_runtime.control.operations.types import (
    CLUSTER_ENDPOINT,
    CLUSTER_ENDPOINTS,
    DB_INSTANCE,
    DB_INSTANCES,
    LOG_FILE_PORTION,
    LOG_FILES,
    ClusterReference,
)
from cluster_runtime.control.records.fields import Doc
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.instances import (
    TIER_DEFAULT,
    TIER_MAX,
    TIER_MIN,
    CustomEndpointType,
    check_instance_class,
)
from cluster_runtime.control.records.model import SERVERLESS
from cluster_runtime.control.records.rules import Must, Range
from cluster_runtime.errors import (
    ClusterEndpointAlreadyExistsError,
    ClusterEndpointNotFoundError,
    ClusterNotFoundError,
    EngineError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    InstanceNotReadyError,
    InstanceQuotaError,
    InsufficientStorageError,
    InvalidClusterStateError,
    InvalidParameterError,
    LogFileNotFoundError,
    QuorumLostError,
)
from cluster_runtime.wording import Parameter

DB_INSTANCE_NOUN = "DBInstance"
LINES_MAX = 10_000
InstanceClass = Annotated[
    str,
    Must(check_instance_class),
    Doc("`db.serverless`, or a provisioned class, such as `db.r6g.large`: named limits."),
]
PromotionTier = Annotated[
    int,
    Range(TIER_MIN, TIER_MAX),
    Doc("readers of a lower tier become the writer first."),
]
Engine = Literal["aurora-postgresql"]
InstanceReference = Annotated[str, Doc("Identifier of the instance.")]
ENDPOINT_NOUN = "DBClusterEndpoint"
EndpointReference = Annotated[str, Doc("Identifier of the custom endpoint.")]


@operation(
    "DescribeDBInstances",
    of=DB_INSTANCE_NOUN,
    returns=DB_INSTANCES,
    raises=(InstanceNotFoundError, ClusterNotFoundError),
)
@dataclass(frozen=True, slots=True)
class DescribeDBInstances(Request):
    """Show one instance, those of one cluster, or all; a writer comes before its readers.

    db_instance_identifier: the only instance to show.
    db_cluster_identifier: identifier or resource id of the cluster whose instances to show
        (the filter `db-cluster-id` of RDS).
    """

    db_instance_identifier: str | None = None
    _: KW_ONLY
    db_cluster_identifier: Annotated[str | None, RDS_HAS_NONE] = None


@operation(
    "CreateDBInstance",
    of=DB_INSTANCE_NOUN,
    returns=DB_INSTANCE,
    raises=(
        ClusterNotFoundError,
        InstanceAlreadyExistsError,
        InstanceQuotaError,
        InvalidClusterStateError,
        InvalidParameterError,
        InsufficientStorageError,
        EngineError,
        QuorumLostError,
    ),
)
@dataclass(frozen=True, slots=True)
class CreateDBInstance(Request):
    """Give a cluster a reader; the first instance of a cluster without any is its writer.

    It takes connections when this returns. A cluster has at most 15 readers.

    db_instance_identifier: its name: 1 to 63 letters, digits and hyphens.
    engine: there is one.
    db_cluster_identifier: identifier or resource id of the cluster; there are no instances without.
    """

    db_instance_identifier: Annotated[str, Must(check_identifier)]
    _: KW_ONLY
    db_cluster_identifier: str | None = None
    db_instance_class: Annotated[InstanceClass, RDS_REQUIRES_IT] = SERVERLESS
    promotion_tier: PromotionTier = TIER_DEFAULT
    engine: Annotated[Engine, RDS_REQUIRES_IT] = "aurora-postgresql"

    def check(self) -> None:
        """Raises InvalidParameterError without a cluster."""
        if self.db_cluster_identifier is None:
            raise InvalidParameterError(
                "an instance needs a cluster: name it with ", Parameter("db_cluster_identifier")
            )


@operation(
    "ModifyDBInstance",
    of=DB_INSTANCE_NOUN,
    returns=DB_INSTANCE,
    raises=(
        InstanceNotFoundError,
        InstanceNotReadyError,
        InvalidParameterError,
    ),
)
@dataclass(frozen=True, slots=True)
class ModifyDBInstance(Request):
    """Change settings of an instance, at once; no connection ends."""

    db_instance_identifier: InstanceReference
    _: KW_ONLY
    promotion_tier: PromotionTier | None = None
    db_instance_class: InstanceClass | None = None


@operation(
    "DeleteDBInstance",
    of=DB_INSTANCE_NOUN,
    returns=DB_INSTANCE,
    raises=(
        InstanceNotFoundError,
        InstanceNotReadyError,
        InvalidClusterStateError,
        InsufficientStorageError,
    ),
)
@dataclass(frozen=True, slots=True)
class DeleteDBInstance(Request):
    """Delete an instance. Where it is the writer, a reader becomes the writer first.

    Without an instance a cluster keeps its data and takes no connections.

    skip_final_snapshot: none is taken in any case: the data stay with the cluster.
    """

    db_instance_identifier: InstanceReference
    _: KW_ONLY
    skip_final_snapshot: Annotated[bool, InRds(default=False)] = True


@operation(
    "RebootDBInstance",
    of=DB_INSTANCE_NOUN,
    returns=DB_INSTANCE,
    raises=(
        InstanceNotFoundError,
        InstanceNotReadyError,
        InvalidClusterStateError,
        InsufficientStorageError,
        EngineError,
        QuorumLostError,
    ),
)
@dataclass(frozen=True, slots=True)
class RebootDBInstance(Request):
    """Start an instance again; clients of a writer wait at the gateway meanwhile."""

    db_instance_identifier: InstanceReference


@operation(
    "DescribeDBLogFiles",
    of=DB_INSTANCE_NOUN,
    returns=LOG_FILES,
    raises=(InstanceNotFoundError,),
)
@dataclass(frozen=True, slots=True)
class DescribeDBLogFiles(Request):
    """Show the log files of an instance.

    filename_contains: show only those whose name has this in it.
    file_last_written: show only those written since; milliseconds since 1970.
    file_size: show only those that are larger; bytes.
    """

    db_instance_identifier: InstanceReference
    _: KW_ONLY
    filename_contains: str | None = None
    file_last_written: int | None = None
    file_size: int | None = None


@operation(
    "DownloadDBLogFilePortion",
    of=DB_INSTANCE_NOUN,
    returns=LOG_FILE_PORTION,
    raises=(InstanceNotFoundError, LogFileNotFoundError, InvalidParameterError),
)
@dataclass(frozen=True, slots=True)
class DownloadDBLogFilePortion(Request):
    """Read a part of a log file, of 1 MB at most.

    log_file_name: as describe_db_log_files shows it.
    marker: where to begin: `0`, or what the last part came with; by default the end is read.
    number_of_lines: at most so many lines.
    """

    db_instance_identifier: InstanceReference
    log_file_name: str
    _: KW_ONLY
    marker: str | None = None
    number_of_lines: Annotated[int | None, Range(1, LINES_MAX)] = None


def _check_one_list(static: tuple[str, ...], excluded: tuple[str, ...]) -> None:
    if static and excluded:
        raise InvalidParameterError(
            "an endpoint has ",
            Parameter("static_members"),
            " or ",
            Parameter("excluded_members"),
            ", not both",
        )


@operation(
    "CreateDBClusterEndpoint",
    of=ENDPOINT_NOUN,
    returns=CLUSTER_ENDPOINT,
    raises=(
        ClusterNotFoundError,
        ClusterEndpointAlreadyExistsError,
        InstanceNotFoundError,
        InvalidClusterStateError,
        InvalidParameterError,
    ),
)
@dataclass(frozen=True, slots=True)
class CreateDBClusterEndpoint(Request):
    """Make an endpoint of a cluster that leads to some of its instances, in turn.

    db_cluster_endpoint_identifier: its name: 1 to 63 letters, digits and hyphens.
    endpoint_type: READER leads to readers alone, ANY to the writer too where it is a member.
    static_members: the instances that it leads to.
    excluded_members: those that it does not lead to: all others, and those that are made later.
        Without either list it leads to all.
    """

    db_cluster_identifier: ClusterReference
    db_cluster_endpoint_identifier: Annotated[str, Must(check_identifier)]
    _: KW_ONLY
    endpoint_type: Annotated[CustomEndpointType, RDS_REQUIRES_IT] = "ANY"
    static_members: tuple[str, ...] = ()
    excluded_members: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises InvalidParameterError for two lists."""
        _check_one_list(self.static_members, self.excluded_members)


@operation(
    "DescribeDBClusterEndpoints",
    of=ENDPOINT_NOUN,
    returns=CLUSTER_ENDPOINTS,
    raises=(ClusterNotFoundError,),
)
@dataclass(frozen=True, slots=True)
class DescribeDBClusterEndpoints(Request):
    """Show the endpoints of one cluster, or of all: its writer's, its readers', custom ones.

    db_cluster_identifier: identifier or resource id of the only cluster to look at.
    db_cluster_endpoint_identifier: the only custom endpoint to show.
    """

    db_cluster_identifier: ClusterReference | None = None
    db_cluster_endpoint_identifier: str | None = None


@operation(
    "ModifyDBClusterEndpoint",
    of=ENDPOINT_NOUN,
    returns=CLUSTER_ENDPOINT,
    raises=(
        ClusterEndpointNotFoundError,
        InstanceNotFoundError,
        InvalidClusterStateError,
        InvalidParameterError,
    ),
)
@dataclass(frozen=True, slots=True)
class ModifyDBClusterEndpoint(Request):
    """Change which instances a custom endpoint leads to, for connections from now on.

    endpoint_type: READER leads to readers alone, ANY to the writer too where it is a member.
    static_members: the instances that it leads to; takes the place of either list.
    excluded_members: those that it does not lead to; takes the place of either list.
    """

    db_cluster_endpoint_identifier: EndpointReference
    _: KW_ONLY
    endpoint_type: CustomEndpointType | None = None
    static_members: tuple[str, ...] = ()
    excluded_members: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises InvalidParameterError for two lists."""
        _check_one_list(self.static_members, self.excluded_members)


@operation(
    "DeleteDBClusterEndpoint",
    of=ENDPOINT_NOUN,
    returns=CLUSTER_ENDPOINT,
    raises=(ClusterEndpointNotFoundError, InvalidClusterStateError),
)
@dataclass(frozen=True, slots=True)
class DeleteDBClusterEndpoint(Request):
    """Delete a custom endpoint; its connections end."""

    db_cluster_endpoint_identifier: EndpointReference
