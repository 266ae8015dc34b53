"""Log files of instances: which there are, and parts of them. Blocking."""

import os
from pathlib import Path

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.operations.instances import (
    LINES_MAX,
    DescribeDBLogFiles,
    DownloadDBLogFilePortion,
)
from cluster_runtime.control.records.resources import DBLogFilePortion, DescribeDBLogFilesDetails
from cluster_runtime.control.servers.places import log_file_at
from cluster_runtime.errors import InvalidParameterError, LogFileNotFoundError

LOG_FILE_NAME = "error/postgresql.log"
PORTION_MAX_BYTES = 1 << 20
BEGINNING = "0"


def describe_log_files(
    cluster: HostedCluster, name: str, request: DescribeDBLogFiles
) -> list[DescribeDBLogFilesDetails]:
    """The log file of an instance, where it has one and the request wants it."""
    try:
        db_cluster = _path(cluster, name).stat()
    except FileNotFoundError:
        return []
    written = db_cluster.st_mtime_ns // 1_000_000
    wanted = (
        (request.filename_contains or "") in LOG_FILE_NAME
        and written >= (request.file_last_written or 0)
        and (request.file_size is None or db_cluster.st_size > request.file_size)
    )
    return [DescribeDBLogFilesDetails(LOG_FILE_NAME, written, db_cluster.st_size)] if wanted else []


def log_file_portion(
    cluster: HostedCluster, instance: str, request: DownloadDBLogFilePortion
) -> DBLogFilePortion:
    """A part of a log file: whole lines, unless one is longer than a part may be.

    Raises LogFileNotFoundError, InvalidParameterError for a marker that is none.
    """
    name = request.log_file_name
    path = _path(cluster, instance)
    if name != LOG_FILE_NAME or not path.exists():
        raise LogFileNotFoundError(
            f"instance {request.db_instance_identifier!r} has no log file {name!r}"
            + (f"; it has {LOG_FILE_NAME!r}" if path.exists() else "")
        )
    lines = request.number_of_lines or LINES_MAX
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if request.marker is None:
            start = max(0, size - PORTION_MAX_BYTES)
            file.seek(start)
            data = _last_lines(file.read(PORTION_MAX_BYTES), lines, whole=start == 0)
            end = size
        else:
            start = _position(request.marker, size)
            file.seek(start)
            data = _first_lines(file.read(PORTION_MAX_BYTES), lines)
            end = start + len(data)
    return DBLogFilePortion(data.decode(errors="replace"), str(end), end < size)


def _path(cluster: HostedCluster, name: str) -> Path:
    return log_file_at(cluster.directory, cluster.records[name].place)


def _position(marker: str, size: int) -> int:
    if not marker.isascii() or not marker.isdigit() or int(marker) > size:
        raise InvalidParameterError(
            f"marker {marker!r} is none of this log file; {BEGINNING!r} begins with its first line"
        )
    return int(marker)


def _first_lines(data: bytes, number: int) -> bytes:
    found = data.splitlines(keepends=True)[:number]
    if len(found) > 1 and not found[-1].endswith(b"\n") and len(data) == PORTION_MAX_BYTES:
        found.pop()  # the rest of it comes with the next part
    return b"".join(found)


def _last_lines(data: bytes, number: int, *, whole: bool) -> bytes:
    found = data.splitlines(keepends=True)
    if not whole and len(found) > 1:
        found = found[1:]  # its beginning lies before
    return b"".join(found[-number:])
