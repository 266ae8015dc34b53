"""The logs of a cluster's servers, shown and downloaded as RDS does it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.monitoring import log_files
from cluster_runtime.control.monitoring.log_files import read_log_file
from cluster_runtime.control.operations.log_files import DownloadDBLogFilePortion
from cluster_runtime.control.records.model import DBInstance, DBLogFilePortion
from cluster_runtime.errors import (
    InstanceNotFoundError,
    InvalidParameterError,
    LogFileNotFoundError,
)

WRITER = "notes-instance-1"
NAME = "error/postgresql.log"


def test_what_the_server_says_is_read_line_by_line(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    (file,) = runtime.describe_db_log_files(WRITER)
    assert file.log_file_name == NAME
    assert file.size > 0
    assert runtime.describe_db_log_files(WRITER, filename_contains="slowquery") == []
    before = runtime.download_db_log_file_portion(WRITER, log_file_name=NAME, number_of_lines=1)
    assert before.log_file_data.count("\n") == 1
    assert not before.additional_data_pending
    with cluster.connect(autocommit=True) as conn:
        conn.execute("do $$ begin raise log 'said by a client'; end $$")
    after = runtime.download_db_log_file_portion(
        WRITER, log_file_name=NAME, marker=before.marker, number_of_lines=1
    )
    assert "said by a client" in after.log_file_data
    whole = runtime.download_db_log_file_portion(WRITER, log_file_name=NAME, marker="0")
    assert "database system is ready" in whole.log_file_data
    assert int(whole.marker) >= file.size


def test_what_is_not_there_is_said(runtime: Runtime, cluster: ClusterHandle) -> None:
    with pytest.raises(InstanceNotFoundError, match="did you mean 'notes-instance-1'"):
        runtime.describe_db_log_files("notes-instance-7")
    for name in ("../writer.log", "error/other.log"):
        with pytest.raises(LogFileNotFoundError, match=r"error/postgresql\.log"):
            runtime.download_db_log_file_portion(WRITER, log_file_name=name)
    with pytest.raises(InvalidParameterError, match="marker"):
        runtime.download_db_log_file_portion(WRITER, log_file_name=NAME, marker="-1")


def read(folder: Path, marker: str | None = None, lines: int = 10_000) -> DBLogFilePortion:
    writer = DBInstance(WRITER, "notes", *[None] * 1, True, *[None] * 3)  # type: ignore[arg-type]
    request = DownloadDBLogFilePortion(
        WRITER, log_file_name=NAME, marker=marker, number_of_lines=lines
    )
    return read_log_file(folder, writer, request)


@given(
    said=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"|")), max_size=30),
    begun=st.sampled_from([b"", b"a line that is not whole"]),
    at_once=st.integers(1, 8),
    limit=st.integers(40, 100),
)
def test_the_portions_are_the_file_whatever_their_size(
    tmp_path_factory: pytest.TempPathFactory,
    said: list[bytes],
    begun: bytes,
    at_once: int,
    limit: int,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    whole = b"".join(line + b"\n" for line in said)
    (folder / "writer.log").write_bytes(whole + begun)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(log_files, "PORTION_BYTES_MAX", limit)
        found, marker, more = "", "0", True
        while more:
            portion = read(folder, marker, at_once)
            assert portion.log_file_data.count("\n") <= at_once
            found, marker = found + portion.log_file_data, portion.marker
            more = portion.additional_data_pending
        assert found == whole.decode(errors="replace")
        assert marker == str(len(whole))
        last = read(folder, None, at_once)
    assert whole.decode(errors="replace").endswith(last.log_file_data)
    assert (last.marker, last.additional_data_pending) == (str(len(whole)), False)
    if said:
        assert last.log_file_data


def test_a_file_that_was_replaced_is_read_from_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "writer.log").write_bytes(b"new\n")
    assert read(tmp_path, "4000").log_file_data == "new\n"
