"""Timelines as PostgreSQL's history files tell them."""

import pytest

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.timelines import Timelines

HISTORY = "1\t0/5000\tno recovery target specified\n\n2\t0/9000\tbefore\n"


def test_a_history_file_is_read_and_written() -> None:
    read = Timelines.from_history(3, HISTORY)
    assert read == Timelines(3, ((1, 0x5000), (2, 0x9000)))
    assert Timelines.from_history(3, read.history(3)) == read
    assert read.history(2) == "1\t0/5000\tpromoted\n\n"
    assert read.history(1) == ""


@pytest.mark.parametrize(
    ("lsn", "timeline"), [(0, 1), (0x4FFF, 1), (0x5000, 2), (0x8FFF, 2), (0x9000, 3), (1 << 60, 3)]
)
def test_each_byte_of_the_log_belongs_to_one_timeline(lsn: int, timeline: int) -> None:
    assert Timelines.from_history(3, HISTORY).at(lsn) == timeline


def test_a_timeline_ends_where_the_next_one_begins() -> None:
    timelines = Timelines(2, ((1, 0x5000),))
    assert timelines.end_of(1) == 0x5000
    assert timelines.end_of(2) is None
    assert timelines.after(1) == 2
    with pytest.raises(LookupError):
        timelines.end_of(7)


def test_a_promotion_where_the_log_ends_adds_a_timeline() -> None:
    known = Timelines()
    made = known.promoted(2, "1\t0/5000\tpromoted\n", 0x5000)
    assert made == Timelines(2, ((1, 0x5000),))
    assert made.promoted(3, "1\t0/5000\tx\n2\t0/9000\ty\n", 0x9000).known == (1, 2, 3)


@pytest.mark.parametrize(
    ("timeline", "history", "end", "said"),
    [
        (3, "1\t0/6000\tx\n2\t0/9000\ty\n", 0x9000, "does not descend"),
        (3, "", 0x9000, "does not descend"),
        (3, "1\t0/5000\tx\n2\t0/8000\ty\n", 0x9000, "ends at 0/9000"),
    ],
)
def test_a_promotion_elsewhere_is_refused(timeline: int, history: str, end: int, said: str) -> None:
    with pytest.raises(StorageError, match=said):
        Timelines(2, ((1, 0x5000),)).promoted(timeline, history, end)


def test_a_damaged_history_is_an_error() -> None:
    with pytest.raises(ValueError, match="abc"):
        Timelines.from_history(2, "abc 0/1 x")
