"""Data directories: what pg_control says, WAL files made from log, and which are trusted."""

import os
import pwd
from pathlib import Path

import pytest

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.template import Template
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.disk.data_directory import (
    Claim,
    ControlFile,
    DatabaseState,
    boot_id,
    mark_in_production,
    write_wal,
)

SEGMENT = 1 << 20


@pytest.fixture
def me() -> OsUser:
    found = pwd.getpwuid(os.geteuid())
    return OsUser(found.pw_name, found.pw_uid, found.pw_gid, drops=False)


@pytest.fixture
def data(tmp_path: Path, template: Template) -> Path:
    (tmp_path / "global").mkdir()
    (tmp_path / "pg_wal").mkdir()
    control = (template.directory / "global" / "pg_control").read_bytes()
    (tmp_path / "global" / "pg_control").write_bytes(control)
    return tmp_path


def test_the_template_was_shut_down_and_says_where_replay_begins(data: Path) -> None:
    control = ControlFile.read(data)
    assert control.state is DatabaseState.SHUT_DOWN
    assert control.timeline == 1
    assert control.redo == control.checkpoint > SEGMENT


def test_marking_a_directory_changes_its_state_and_nothing_else(data: Path) -> None:
    before = ControlFile.read(data)
    mark_in_production(data)
    after = ControlFile.read(data)
    assert after.state is DatabaseState.IN_PRODUCTION
    assert (after.system_identifier, after.redo) == (before.system_identifier, before.redo)


def test_a_damaged_pg_control_is_an_error(data: Path) -> None:
    path = data / "global" / "pg_control"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(StorageError, match="no valid checksum"):
        ControlFile.read(data)


def test_log_becomes_wal_files_of_the_timeline_that_each_belongs_to(data: Path, me: OsUser) -> None:
    (data / "pg_wal" / "000000010000000000000001").write_bytes(b"old")
    timelines = Timelines(2, ((1, 4 * SEGMENT + 100),))
    log = bytes(range(256)) * (2 * SEGMENT // 256) + b"tail"
    chunks = (log[at : at + 70_000] for at in range(0, len(log), 70_000))
    write_wal(data, 3 * SEGMENT, chunks, timelines, SEGMENT, me)
    files = {path.name: path.read_bytes() for path in (data / "pg_wal").iterdir()}
    assert sorted(files) == [
        "000000010000000000000003",
        "00000002.history",
        "000000020000000000000004",
        "000000020000000000000005",
    ]
    assert files["000000010000000000000003"] == log[:SEGMENT]
    assert files["000000020000000000000005"] == b"tail".ljust(SEGMENT, b"\0")


def test_a_claim_reads_back_and_anything_else_is_none(tmp_path: Path) -> None:
    assert Claim.read(tmp_path) is None
    claim = Claim("volume", boot_id(), 4711)
    claim.write(tmp_path)
    assert Claim.read(tmp_path) == claim
    (tmp_path / "borealis.volume").write_text("{}")
    assert Claim.read(tmp_path) is None
