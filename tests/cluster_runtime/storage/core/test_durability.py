"""Quorums, the VDL, membership changes, and the opening of a volume."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.errors import QuorumLostError, StaleEpochError
from cluster_runtime.storage.core.durability import Opening, Volume, read_point
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import Cut, SegmentStatus
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId

lsns = st.integers(0, 1000).map(Lsn)


def volume() -> Volume:
    return Volume((Cut(Epoch(1), Lsn(0)),), Membership(), dict.fromkeys(SEGMENT_IDS, Lsn(0)))


def status(
    segment: str, scl: int, *, epoch: int = 1, history: tuple[Cut, ...] = ()
) -> SegmentStatus:
    return SegmentStatus(
        SegmentId(segment), Epoch(epoch), history, Lsn(scl), Lsn(scl), Lsn(0), Membership()
    )


@given(st.fixed_dictionaries(dict.fromkeys(SEGMENT_IDS, lsns)))
def test_the_complete_lsn_is_held_by_four_and_no_higher_one_is(
    complete: dict[SegmentId, Lsn],
) -> None:
    held = Membership().held_by(complete)
    assert sum(scl >= held for scl in complete.values()) >= 4
    assert sum(scl > held for scl in complete.values()) < 4


def test_the_durable_lsn_waits_for_the_end_of_a_record() -> None:
    one = volume()
    for end, consistent in ((10, True), (20, False), (30, True)):
        one.appended(Lsn(end), consistent)
    for segment in SEGMENT_IDS[:4]:
        one.acknowledged(segment, Lsn(20), Epoch(1))
    assert (one.vcl, one.vdl) == (20, 10)
    for segment in SEGMENT_IDS[:4]:
        one.acknowledged(segment, Lsn(30), Epoch(1))
    assert (one.vcl, one.vdl) == (30, 30)


@given(st.lists(st.tuples(st.sampled_from(SEGMENT_IDS), lsns)))
def test_neither_lsn_ever_goes_back(acknowledgements: list[tuple[SegmentId, Lsn]]) -> None:
    one = volume()
    for end in range(0, 1001, 7):
        one.appended(Lsn(end), end % 3 == 0)
    seen = [(one.vcl, one.vdl)]
    for segment, scl in acknowledgements:
        one.acknowledged(segment, scl, Epoch(1))
        seen.append((one.vcl, one.vdl))
    assert seen == sorted(seen)
    assert all(vdl <= vcl for vcl, vdl in seen)


def test_acknowledgements_of_another_epoch_do_not_count() -> None:
    one = volume()
    one.appended(Lsn(10), True)
    for segment in SEGMENT_IDS:
        one.acknowledged(segment, Lsn(10), Epoch(2))
    assert one.vdl == 0


def test_a_fenced_writer_stops() -> None:
    one = volume()
    one.refused(Epoch(3))
    with pytest.raises(StaleEpochError, match="replaced by that of epoch 3"):
        one.appended(Lsn(10), True)


def test_a_replacement_counts_when_both_sets_hold_everything_and_know_of_it() -> None:
    one = volume()
    one.appended(Lsn(10), True)
    for segment in ("a2", "b1", "b2", "c1"):
        one.acknowledged(SegmentId(segment), Lsn(10), Epoch(1))
    changing = one.begin_replacement(SegmentId("a2"))
    assert changing.segments == (*SEGMENT_IDS, "a2.2")
    assert one.finish_replacement() is None
    one.acknowledged(SegmentId("a2.2"), Lsn(10), Epoch(1))
    assert one.finish_replacement() is None
    for segment in changing.segments:
        one.membership_stored(segment, changing.version)
    done = one.finish_replacement()
    assert done is not None
    assert "a2" not in done.segments
    assert "a2.2" in done.segments


def test_a_slow_candidate_is_no_stall() -> None:
    """Both sets reach their quorum through the five segments that they share."""
    one = volume()
    one.begin_replacement(SegmentId("a2"))
    one.appended(Lsn(10), True)
    for segment in ("a1", "b1", "b2", "c1"):
        one.acknowledged(SegmentId(segment), Lsn(10), Epoch(1))
    assert one.vdl == 10


def test_a_second_replacement_waits_for_the_first() -> None:
    one = volume()
    one.begin_replacement(SegmentId("a2"))
    with pytest.raises(ValueError, match="under way"):
        one.begin_replacement(SegmentId("b1"))
    one.abandon_replacement()
    one.begin_replacement(SegmentId("b1"))


def opened(*statuses: SegmentStatus) -> Opening:
    opening = Opening()
    for each in statuses:
        opening.seen(each)
    for each in statuses:
        opening.promised(replace(each, promised=opening.epoch))
    return opening


def test_opening_takes_the_longest_log_that_any_of_four_holds() -> None:
    opening = opened(*(status(s, n) for s, n in (("a1", 5), ("a2", 9), ("b1", 7), ("b2", 0))))
    assert opening.cut() == (Cut(Epoch(2), Lsn(9)),)


def test_three_answers_open_a_volume_for_readers_only() -> None:
    three = [status(s, n) for s, n in (("a1", 5), ("b1", 9), ("c1", 7))]
    with pytest.raises(QuorumLostError, match="3 of 6 segments answer"):
        opened(*three).cut()
    assert read_point(three, Membership()).lsn == 9
    with pytest.raises(QuorumLostError, match="reading takes 3"):
        read_point(three[:2], Membership())


def test_what_readers_of_three_saw_outlives_a_lower_cut_of_an_opening_that_came_to_nothing() -> (
    None
):
    """Found by simulation, seed 1585: epoch 2 cut at 4 on a1 alone, and crashed."""
    first = (Cut(Epoch(1), Lsn(0)),)
    shown = read_point(
        [status(s, n, history=first) for s, n in (("b1", 0), ("b2", 4), ("c2", 9))], Membership()
    )
    readers = shown.cut(Epoch(3))
    assert readers == (*first, Cut(Epoch(3), Lsn(9), of_readers=True))
    opening = opened(
        status("a1", 4, epoch=2, history=(*first, Cut(Epoch(2), Lsn(4)))),
        status("a2", 4, history=first),
        status("c1", 4, history=first),
        status("b1", 9, epoch=3, history=readers),
    )
    assert opening.cut() == (*first, Cut(Epoch(4), Lsn(9)))


def test_the_newest_writers_cut_beats_a_longer_log() -> None:
    first = (Cut(Epoch(1), Lsn(0)),)
    second = (*first, Cut(Epoch(2), Lsn(4)))
    opening = opened(
        status("a1", 6, epoch=2, history=second),
        status("a2", 20, history=first),
        status("b1", 20, history=first),
        status("b2", 20, history=first),
    )
    assert opening.cut() == (*second, Cut(Epoch(3), Lsn(6)))


def test_a_volume_is_open_when_four_hold_the_recovered_log() -> None:
    opening = opened(*(status(s, n) for s, n in (("a1", 9), ("a2", 9), ("b1", 9), ("b2", 0))))
    opening.cut()
    for segment in ("a1", "a2", "b1"):
        opening.adopted(SegmentId(segment), Lsn(9))
    opening.adopted(SegmentId("b2"), Lsn(0))
    assert not opening.is_open
    with pytest.raises(QuorumLostError):
        opening.volume()
    opening.adopted(SegmentId("b2"), Lsn(9))
    assert opening.is_open
    assert opening.volume().vdl == 9
