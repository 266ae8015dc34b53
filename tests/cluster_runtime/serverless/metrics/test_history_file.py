"""The file of a history holds what there was, or is known to be damaged."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster_runtime.serverless.metrics import history_file
from cluster_runtime.serverless.metrics.history import OF_THE_VOLUME, History, Origin
from cluster_runtime.serverless.metrics.history_file import UnreadableHistoryError

ONE = Origin("one", "WRITER")


def some_history() -> History:
    history = History()
    for second in range(0, 7200, 7):
        history.add(ONE, second, {"CPUUtilization": second % 100, "CPUCores": second / 7})
        history.add(OF_THE_VOLUME, second, {"VolumeWriteIOPs": float(second)})
    return history


def all_of(history: History) -> object:
    return {
        (origin, name, period): history.read(name, 0, 8000, period, instance=origin.instance)
        for origin, name, _ in history.series()
        for period in (1, 10, 60)
    }


def test_what_was_written_is_read_and_goes_on(tmp_path: Path) -> None:
    history = some_history()
    history_file.write(tmp_path, history_file.snapshot(history))
    found = history_file.read(tmp_path)
    assert found is not None
    assert all_of(found) == all_of(history)
    for each in (found, history):
        each.add(ONE, 7201, {"CPUUtilization": 5.0})
    assert all_of(found) == all_of(history)
    assert [each.name for each in tmp_path.iterdir()] == [history_file.FILE_NAME]
    assert (tmp_path / history_file.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_nothing_is_read_where_nothing_was_written(tmp_path: Path) -> None:
    assert history_file.read(tmp_path) is None
    history_file.write(tmp_path, history_file.snapshot(History()))
    empty = history_file.read(tmp_path)
    assert empty is not None
    assert not empty.rings


CONTENT = history_file.encode(history_file.snapshot(some_history()))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_one_byte_that_is_another_one_is_noticed(at: int, by: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[at] ^= by
    with pytest.raises(UnreadableHistoryError):
        history_file.decode(bytes(damaged))


@given(st.integers(0, len(CONTENT) - 1))
def test_a_file_that_was_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(UnreadableHistoryError):
        history_file.decode(CONTENT[:length])


@given(st.binary(max_size=200))
def test_any_other_file_is_told_from_one(content: bytes) -> None:
    with pytest.raises(UnreadableHistoryError):
        history_file.decode(content)


def test_a_file_of_a_newer_release_is_said_to_be_one() -> None:
    newer = CONTENT.replace(b"borealis metrics 1 ", b"borealis metrics 2 ", 1)
    with pytest.raises(UnreadableHistoryError, match="format 2, and this release knows up to 1"):
        history_file.decode(newer)


def test_a_write_that_fails_leaves_the_file_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history_file.write(tmp_path, history_file.snapshot(some_history()))
    before = (tmp_path / history_file.FILE_NAME).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(history_file.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        history_file.write(tmp_path, history_file.snapshot(History()))
    assert [each.name for each in tmp_path.iterdir()] == [history_file.FILE_NAME]
    assert (tmp_path / history_file.FILE_NAME).read_bytes() == before


def test_what_a_killed_host_left_half_written_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f"{history_file.FILE_NAME}.new").write_bytes(CONTENT[:100])
    history_file.write(tmp_path, history_file.snapshot(some_history()))
    assert history_file.read(tmp_path) is not None


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    (tmp_path / f"{history_file.FILE_NAME}.new").symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"):
        history_file.write(tmp_path, history_file.snapshot(some_history()))
    assert elsewhere.read_text() == "untouched"


def test_metrics_that_a_release_does_not_have_are_passed_over() -> None:
    from cluster_runtime.serverless.metrics.ring import Ring

    old = Ring(["Forgotten", "CPUUtilization"])
    old.add(60, {"Forgotten": 1.0, "CPUUtilization": 2.0})
    taken = [(ONE, old.names, old.rows())]
    found = history_file.decode(history_file.encode(taken))
    assert [name for _, name, _ in found.series()] == ["CPUUtilization"]
    found.add(ONE, 61, {"CPUUtilization": 4.0, "DatabaseConnections": 1.0})
    assert found.read("CPUUtilization", 0, 120, 60)[60].average == 3.0
