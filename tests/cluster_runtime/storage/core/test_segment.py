"""A segment: gaps, duplicates and reordering, epochs, cuts, damage."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import (
    Acknowledge,
    Ask,
    Cut,
    CutLog,
    Persist,
    Refuse,
    Segment,
    Write,
    common_end,
    is_void,
)
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId

HISTORY = (Cut(Epoch(1), Lsn(0)),)


def segment() -> Segment:
    made = Segment(SegmentId("a1"))
    made.promise(Epoch(1))
    made.adopt(HISTORY, Membership())
    return made


def log(*ends: int, epoch: int = 1, after: int = 0) -> list[Batch]:
    points = [after, *ends]
    return [Batch(Epoch(epoch), Lsn(a), Lsn(a), Lsn(b)) for a, b in pairwise(points)]


@given(st.data())
def test_any_order_and_any_duplication_gives_the_same_log(data: st.DataObject) -> None:
    batches = log(*data.draw(st.lists(st.integers(1, 500), unique=True, min_size=1).map(sorted)))
    deliveries = data.draw(
        st.permutations(batches + data.draw(st.lists(st.sampled_from(batches), max_size=10)))
    )
    one = segment()
    written = [
        action.batch
        for batch in deliveries
        for action in one.receive(batch, Epoch(1))
        if isinstance(action, Write)
    ]
    assert written == batches
    assert one.scl == 0
    assert one.synced(batches[-1].end, Epoch(1)) == [Acknowledge(Epoch(1), batches[-1].end)]
    assert one.gap is None


def test_a_gap_is_known_by_the_back_link_and_asked_for() -> None:
    one = segment()
    first, second, third = log(10, 20, 30)
    one.receive(first, Epoch(1))
    assert one.receive(third, Epoch(1)) == []
    assert one.gap == 10
    assert one.behind(Lsn(30), HISTORY) == [Ask(Lsn(10))]
    assert one.receive_gossip([second], HISTORY) == [Write(second), Write(third)]


def test_nothing_is_acknowledged_before_it_is_on_the_disk() -> None:
    one = segment()
    first, second = log(10, 20)
    one.receive(first, Epoch(1))
    one.receive(second, Epoch(1))
    assert one.synced(Lsn(15), Epoch(1)) == [Acknowledge(Epoch(1), Lsn(10))]
    assert one.synced(Lsn(20), Epoch(1)) == [Acknowledge(Epoch(1), Lsn(20))]


def test_an_older_writer_is_refused_from_the_promise_on() -> None:
    one = segment()
    assert one.promise(Epoch(2)) == [Persist()]
    assert one.receive(log(10)[0], Epoch(1)) == [Refuse(Epoch(2))]
    assert one.promise(Epoch(2)) == [Refuse(Epoch(2))]


def test_what_reaches_the_disk_after_a_promise_is_not_acknowledged_to_the_old_writer() -> None:
    """Found by simulation: the promise's status had said less, so the new writer cut it."""
    one = segment()
    one.receive(log(10)[0], Epoch(1))
    one.promise(Epoch(2))
    assert one.status().scl == 0
    assert one.synced(Lsn(10), Epoch(1)) == []


def test_a_cut_removes_what_the_new_history_has_no_place_for() -> None:
    one = segment()
    for batch in log(10, 20, 30):
        one.receive(batch, Epoch(1))
    one.synced(Lsn(30), Epoch(1))
    after = (*HISTORY, Cut(Epoch(2), Lsn(20)))
    assert one.adopt(after, Membership()) == [
        CutLog(Lsn(20)),
        Acknowledge(Epoch(2), Lsn(20)),
    ]
    assert one.scl == one.tail == 20
    assert one.receive(log(25, epoch=2, after=20)[0], Epoch(2)) != []


def test_a_sync_that_was_under_way_at_a_cut_says_nothing_of_the_log_after_it() -> None:
    one = segment()
    one.receive(log(30)[0], Epoch(1))
    one.adopt((*HISTORY, Cut(Epoch(2), Lsn(0))), Membership())
    one.receive(log(20, epoch=2)[0], Epoch(2))
    assert one.synced(Lsn(30), Epoch(1)) == []
    assert one.scl == 0


def test_a_segment_that_followed_a_writer_who_failed_gives_up_that_writers_log() -> None:
    one = segment()
    one.adopt((*HISTORY, Cut(Epoch(2), Lsn(0))), Membership())
    one.receive(log(10, epoch=2)[0], Epoch(2))
    one.synced(Lsn(10), Epoch(2))
    one.adopt((*HISTORY, Cut(Epoch(3), Lsn(50))), Membership())
    assert one.scl == 0


def test_gossip_between_different_histories_is_refused() -> None:
    one = segment()
    other = (*HISTORY, Cut(Epoch(2), Lsn(5)))
    assert one.receive_gossip(log(10), other) == []
    assert one.behind(Lsn(10), other) == []


def test_damage_takes_back_the_log_from_there_on() -> None:
    one = segment()
    for batch in log(10, 20, 30):
        one.receive(batch, Epoch(1))
    one.synced(Lsn(30), Epoch(1))
    assert one.corrupted(Lsn(10), Lsn(10)) == [CutLog(Lsn(10)), Ask(Lsn(10))]
    assert one.scl == 10


def test_log_is_collected_only_as_far_as_it_is_complete() -> None:
    one = segment()
    one.receive(log(10)[0], Epoch(1))
    one.synced(Lsn(10), Epoch(1))
    assert one.collect(Lsn(50)) == 10


cuts = st.lists(
    st.builds(Cut, st.integers(1, 5).map(Epoch), st.integers(0, 9).map(Lsn)), max_size=4
).map(tuple)


@given(cuts, cuts)
def test_two_logs_agree_up_to_the_first_cut_that_only_one_knows(
    one: tuple[Cut, ...], other: tuple[Cut, ...]
) -> None:
    one, other = (Cut(Epoch(0), Lsn(0)), *one), (Cut(Epoch(0), Lsn(0)), *other)
    end = common_end(one, other)
    assert end == common_end(other, one)
    assert (end is None) == (set(one) == set(other))


@given(cuts, st.integers(1, 5), st.integers(1, 12))
def test_a_batch_is_void_where_any_newer_writer_began_below_its_end(
    history: tuple[Cut, ...], epoch: int, end: int
) -> None:
    ordered = tuple(sorted(history))
    batch = Batch(Epoch(epoch), Lsn(0), Lsn(0), Lsn(end))
    expected = any(cut.epoch > epoch and cut.lsn < end for cut in ordered)
    assert is_void(batch, ordered) == expected
