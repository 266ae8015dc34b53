"""The logs of a cluster's servers, as RDS shows and downloads them. Blocking.

Source: Amazon RDS API Reference, DescribeDBLogFiles and DownloadDBLogFilePortion.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from cluster_runtime.control.operations.log_files import (
    DescribeDBLogFiles,
    DownloadDBLogFilePortion,
)
from cluster_runtime.control.records.model import DBInstance, DBLogFile, DBLogFilePortion
from cluster_runtime.engine.system.files import open_plain
from cluster_runtime.errors import InvalidParameterError, LogFileNotFoundError
from cluster_runtime.wording import Parameter

PORTION_BYTES_MAX = 1 << 20
LOG_FILE_NAME = "error/postgresql.log"
"""What each instance has. The host keeps it by the role of the instance."""

READERS_LOG, WRITERS_LOG = "reader.log", "writer.log"


def describe_log_files(
    directory: Path, instance: DBInstance, request: DescribeDBLogFiles
) -> list[DBLogFile]:
    """The log files of an instance of the cluster in `directory`."""
    try:
        facts = _path(directory, instance).stat()
    except FileNotFoundError:
        return []
    if (request.filename_contains or "") not in LOG_FILE_NAME:
        return []
    return [DBLogFile(LOG_FILE_NAME, datetime.fromtimestamp(facts.st_mtime, UTC), facts.st_size)]


def read_log_file(
    directory: Path, instance: DBInstance, request: DownloadDBLogFilePortion
) -> DBLogFilePortion:
    """Whole lines of a log file. Raises LogFileNotFoundError, InvalidParameterError.

    A marker behind the end is one of a file that was replaced: it counts as the beginning.
    """
    marker, lines, name = request.marker, request.number_of_lines, request.log_file_name
    if marker is not None and not (marker.isascii() and marker.isdecimal()):
        raise InvalidParameterError(Parameter("marker"), f" {marker!r} is none that a portion had")
    try:
        if name != LOG_FILE_NAME:
            raise FileNotFoundError
        handle = open_plain(_path(directory, instance))
    except FileNotFoundError:
        raise LogFileNotFoundError(
            f"this instance has no log file {name!r}; {LOG_FILE_NAME!r} is there once it started"
        ) from None
    with open(handle, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = max(0, size - PORTION_BYTES_MAX) if marker is None else int(marker)
        start = start if start <= size else 0
        file.seek(start)
        found = file.read(PORTION_BYTES_MAX)
    if marker is None:
        skipped = _before_the_last(found, lines, whole=start == 0)
        start, found = start + skipped, found[skipped:]
    taken = _first(found, lines)
    more = b"\n" in found[len(taken) :] or start + len(found) < size
    return DBLogFilePortion(
        taken.decode(errors="replace"), str(start + len(taken)), additional_data_pending=more
    )


def _path(directory: Path, instance: DBInstance) -> Path:
    return directory / (WRITERS_LOG if instance.is_cluster_writer else READERS_LOG)


def _first(found: bytes, lines: int) -> bytes:
    """The first whole lines; a line longer than a portion counts as one."""
    end = found.rfind(b"\n") + 1
    if not end and len(found) == PORTION_BYTES_MAX:
        return found
    return b"".join(found[:end].splitlines(keepends=True)[:lines])


def _before_the_last(found: bytes, lines: int, *, whole: bool) -> int:
    """How many bytes stand before the last `lines` whole lines. whole: it begins the file."""
    end = found.rfind(b"\n") + 1
    begin = 0 if whole else found.find(b"\n") + 1
    kept = found[begin:end].splitlines(keepends=True)
    return end - sum(map(len, kept[-lines:]))
