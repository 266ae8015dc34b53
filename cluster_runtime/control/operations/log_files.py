"""Operations on a DBLogFile: what the server of an instance wrote to its log."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import LOG_FILE_PORTION, LOG_FILES
from cluster_runtime.control.records.rules import Range
from cluster_runtime.errors import (
    InstanceNotFoundError,
    InvalidParameterError,
    LogFileNotFoundError,
)

LOG_FILE_NOUN = "DBLogFile"
LINES_MAX = 10_000


@operation(
    "DescribeDBLogFiles",
    of=LOG_FILE_NOUN,
    returns=LOG_FILES,
    raises=(InstanceNotFoundError,),
)
@dataclass(frozen=True, slots=True)
class DescribeDBLogFiles(Request):
    """Show the log files of an instance, with their sizes.

    db_instance_identifier: the instance whose files to show.
    filename_contains: only files with this in their names.
    """

    db_instance_identifier: str
    _: KW_ONLY
    filename_contains: str | None = None


@operation(
    "DownloadDBLogFilePortion",
    of=LOG_FILE_NOUN,
    returns=LOG_FILE_PORTION,
    raises=(InstanceNotFoundError, LogFileNotFoundError, InvalidParameterError),
)
@dataclass(frozen=True, slots=True)
class DownloadDBLogFilePortion(Request):
    """Read whole lines of a log file, at most 1 MiB: its last ones, or those behind a marker.

    db_instance_identifier: the instance whose file it is.
    log_file_name: name of the file, as shown for the instance.
    marker: where to go on, as the portion before said; "0" is the beginning of the file.
    number_of_lines: how many lines at most.
    """

    db_instance_identifier: str
    _: KW_ONLY
    log_file_name: str
    marker: str | None = None
    number_of_lines: Annotated[int, Range(1, LINES_MAX)] = LINES_MAX
