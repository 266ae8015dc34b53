"""The catalog keeps events as RDS does, and no more of them; a full disk is not damage."""

import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster_runtime.control.records import catalog as records
from cluster_runtime.control.records.catalog import EVENTS_KEPT, EVENTS_MAX, Catalog
from cluster_runtime.control.records.model import Event
from cluster_runtime.errors import CatalogCorruptedError, InsufficientStorageError

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def event(message: str, date: datetime = NOW) -> Event:
    return Event("notes", "db-cluster", message, ("security",), date)


def test_events_come_back_oldest_first_and_by_cluster(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.sqlite")
    for resource_id, message in (("a", "first"), ("b", "other"), ("a", "second")):
        catalog.add_event(resource_id, event(message))
    assert catalog.events("a") == [event("first"), event("second")]
    assert [each.message for each in catalog.events()] == ["first", "other", "second"]
    catalog.close()


def test_an_event_is_kept_for_two_weeks(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.sqlite")
    catalog.add_event("a", event("old", NOW - EVENTS_KEPT - timedelta(seconds=1)))
    catalog.add_event("b", event("recent", NOW - EVENTS_KEPT + timedelta(seconds=1)))
    catalog.add_event("b", event("now"))
    assert [each.message for each in catalog.events()] == ["recent", "now"]
    catalog.close()


def test_a_cluster_that_is_noisy_pushes_out_its_own_events_only(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.sqlite")
    catalog._connection.execute("pragma synchronous = off")
    catalog.add_event("quiet", event("kept"))
    for number in range(EVENTS_MAX + 3):
        catalog.add_event("noisy", event(str(number)))
    noisy = catalog.events("noisy")
    assert len(noisy) == EVENTS_MAX
    assert noisy[-1].message == str(EVENTS_MAX + 2)
    assert catalog.events("quiet") == [event("kept")]
    catalog.close()


def test_a_full_disk_is_not_taken_for_a_damaged_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(connection: sqlite3.Connection, _: Path) -> None:
        connection.execute("pragma max_page_count = 1")
        connection.execute("create table t (x)")

    monkeypatch.setattr(records, "_prepare", full)
    with pytest.raises(InsufficientStorageError, match="free some and try again"):
        Catalog.open(tmp_path / "catalog.sqlite")


@pytest.mark.parametrize(
    ("free", "kind"), [(0, InsufficientStorageError), (1 << 30, CatalogCorruptedError)]
)
def test_where_a_file_cannot_be_read_free_space_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, kind: type[Exception]
) -> None:
    def unreadable(connection: sqlite3.Connection, path: Path) -> None:
        (path.parent / "folder").mkdir()
        sqlite3.connect(path.parent / "folder").execute("pragma user_version")

    def usage(_: Any) -> Any:
        return shutil._ntuple_diskusage(1 << 40, 0, free)  # type: ignore[attr-defined]

    monkeypatch.setattr(records, "_prepare", unreadable)
    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(kind):
        Catalog.open(tmp_path / "catalog.sqlite")
