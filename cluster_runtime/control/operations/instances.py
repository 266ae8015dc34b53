"""Operations on a DBInstance: the writer of a cluster, or one of its readers."""

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
    DB_INSTANCE,
    DB_INSTANCES,
    LOG_FILE_PORTION,
    LOG_FILES,
)
from cluster_runtime.control.records.fields import Doc
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.model import SERVERLESS
from cluster_runtime.control.records.rules import Must, Range
from cluster_runtime.errors import (
    ClusterNotFoundError,
    EngineError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    InvalidClusterStateError,
    InvalidParameterError,
    LogFileNotFoundError,
    OperationNotSupportedError,
    QuorumLostError,
)
from cluster_runtime.wording import Parameter

DB_INSTANCE_NOUN = "DBInstance"
LINES_MAX = 10_000
InstanceClass = Literal["db.serverless"]
Engine = Literal["aurora-postgresql"]
InstanceReference = Annotated[str, Doc("Identifier of the instance.")]


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
        InvalidClusterStateError,
        InvalidParameterError,
        OperationNotSupportedError,
    ),
)
@dataclass(frozen=True, slots=True)
class CreateDBInstance(Request):
    """Make the writer of a cluster that has none; it takes connections when this returns.

    This release makes no other instance by name: readers come when a cluster needs one.

    db_instance_identifier: its name: 1 to 63 letters, digits and hyphens.
    db_instance_class: there is one.
    engine: there is one.
    db_cluster_identifier: identifier or resource id of the cluster; there are no instances without.
    """

    db_instance_identifier: Annotated[str, Must(check_identifier)]
    _: KW_ONLY
    db_cluster_identifier: str | None = None
    db_instance_class: Annotated[InstanceClass, RDS_REQUIRES_IT] = SERVERLESS
    engine: Annotated[Engine, RDS_REQUIRES_IT] = "aurora-postgresql"

    def check(self) -> None:
        """Raises InvalidParameterError without a cluster."""
        if self.db_cluster_identifier is None:
            raise InvalidParameterError(
                "an instance needs a cluster: name it with ", Parameter("db_cluster_identifier")
            )


@operation(
    "DeleteDBInstance",
    of=DB_INSTANCE_NOUN,
    returns=DB_INSTANCE,
    raises=(InstanceNotFoundError, InvalidClusterStateError, OperationNotSupportedError),
)
@dataclass(frozen=True, slots=True)
class DeleteDBInstance(Request):
    """Delete the writer of a cluster; the cluster keeps its data and takes no connections.

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
        InvalidClusterStateError,
        OperationNotSupportedError,
        EngineError,
        QuorumLostError,
    ),
)
@dataclass(frozen=True, slots=True)
class RebootDBInstance(Request):
    """Start the writer of a cluster again; clients wait at the gateway meanwhile."""

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
