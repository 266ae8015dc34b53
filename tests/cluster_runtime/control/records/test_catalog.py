"""The catalog keeps events as RDS does, and no more of them than it says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cluster_runtime.control.records.catalog import EVENTS_KEPT, EVENTS_MAX, Catalog
from cluster_runtime.control.records.model import Event

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
