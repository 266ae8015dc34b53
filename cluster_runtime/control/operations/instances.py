"""Operations on a DBInstance: the writer of a cluster, or one of its readers."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import RDS_HAS_NONE, Request, operation
from cluster_runtime.control.operations.types import DB_INSTANCES, LOG_FILE_PORTION, LOG_FILES
from cluster_runtime.control.records.fields import Doc
from cluster_runtime.control.records.rules import Range
from cluster_runtime.errors import (
    ClusterNotFoundError,
    InstanceNotFoundError,
    InvalidParameterError,
    LogFileNotFoundError,
)

DB_INSTANCE_NOUN = "DBInstance"
LINES_MAX = 10_000
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
