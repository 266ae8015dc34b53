"""What is uploaded, what may go, what a restore needs: rules alone, over made-up holdings."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_runtime.backup.core import pacing
from cluster_runtime.backup.core.names import (
    Era,
    Holdings,
    Image,
    Piece,
    holdings,
    image_name,
    pack_name,
    piece_name,
    snapshot_name,
)
from cluster_runtime.backup.core.pieces import PIECE_BYTES, chain, covered, joined
from cluster_runtime.backup.core.retention import Held, superfluous
from cluster_runtime.backup.core.targets import (
    MARGIN_MS,
    NotRestorableError,
    log_start,
    plan_for_lsn,
    plan_for_time,
    window,
)

WAL_FILE = 1 << 20


def uploaded(news: list[int]) -> list[Piece]:
    """The pieces that are there once so many bytes have come, one upload after the other."""
    pieces: list[Piece] = []
    end = 0
    for at, new in enumerate(news, start=1):
        count = joined([piece.bytes for piece in pieces], new)
        kept, before = pieces[: len(pieces) - count], pieces[len(pieces) - count :]
        start = before[0].start if before else end
        first = before[0].first if before else (at - 1) * 2000
        end += new
        pieces = [*kept, Piece(start, end, first, at * 2000)]
    return pieces


@given(st.lists(st.integers(1, 3 * PIECE_BYTES), max_size=60))
def test_pieces_hold_the_log_without_a_gap_however_they_are_joined(news: list[int]) -> None:
    pieces = uploaded(news)
    assert chain(pieces, 0) == pieces
    assert sum(piece.bytes for piece in pieces) == sum(news)


@given(st.lists(st.integers(1, 64 << 10), min_size=1, max_size=1000))
@settings(max_examples=15)
def test_the_number_of_objects_grows_with_the_log_and_not_with_time(news: list[int]) -> None:
    pieces = uploaded(news)
    assert len(pieces) <= 2 * sum(news) // PIECE_BYTES + PIECE_BYTES.bit_length()


@given(st.lists(st.integers(1, 64 << 10), min_size=1, max_size=1000))
@settings(max_examples=15)
def test_a_byte_is_uploaded_a_few_times_at_most(news: list[int]) -> None:
    written, pieces = 0, list[int]()
    for new in news:
        count = joined(pieces, new)
        size = sum(pieces[len(pieces) - count :]) + new
        pieces = [*pieces[: len(pieces) - count], size]
        written += size
    assert written <= sum(news) * (PIECE_BYTES.bit_length() + 1)


def test_of_pieces_that_hold_the_same_log_the_longest_one_counts() -> None:
    left, joined_one, right = Piece(0, 10, 0, 1), Piece(0, 20, 0, 2), Piece(10, 20, 1, 2)
    assert chain([left, joined_one, right], 0) == [joined_one]
    assert covered([left, joined_one, right]) == [left, right]
    assert covered([left, right]) == []


lsns = st.integers(0, 1 << 40)
times = st.integers(0, 10**13 - 1)


@given(
    st.builds(Piece, lsns, lsns, times, times),
    st.builds(Image, lsns, lsns, times),
    st.integers(1, 12345),
)
def test_names_say_what_they_were_made_of(piece: Piece, image: Image, era: int) -> None:
    names = [
        piece_name(era, piece),
        image_name(era, image),
        pack_name(era, "00ff"),
        snapshot_name("before-the-move"),
        "key",
        "facts",
        f"{era:04d}/log/nonsense",
    ]
    expected = Era(era, (image,), (piece,), frozenset({"00ff"}))
    assert holdings(names) == Holdings((expected,), ("before-the-move",))


@st.composite
def eras(draw: st.DrawFn) -> list[Era]:
    """Some stretches of log, each with images where a coalescer might have left them."""
    made = []
    clock, lsn = 1_000_000, draw(st.integers(0, 8 * WAL_FILE))
    for number in range(1, draw(st.integers(1, 3)) + 1):
        start = log_start(lsn, WAL_FILE)
        pieces, images = [], [Image(lsn, lsn, clock)]
        at, last = start, 0
        for new in draw(st.lists(st.integers(1, 2 * WAL_FILE), min_size=1, max_size=12)):
            clock += draw(st.integers(1500, 60_000))
            pieces.append(Piece(at, at + new, last, clock))
            at, last = at + new, clock
            if draw(st.integers(0, 3)) == 0 and at > lsn:
                redo = draw(st.integers(max(lsn, start), at))
                images.append(Image(redo, max(redo, at), clock + draw(st.integers(0, 1000))))
        lsn = at + draw(st.integers(0, WAL_FILE))
        clock += draw(st.integers(0, 100_000))
        packs = {f"{number:02d}{index:02d}" for index in range(len(images))}
        made.append(Era(number, tuple(sorted(images)), tuple(pieces), frozenset(packs)))
    return made


def packs_of(found: list[Era]) -> dict[tuple[int, Image], frozenset[str]]:
    """Each image has a pack of its own, and shares the one before."""
    return {
        (era.number, image): frozenset(sorted(era.packs)[max(0, at - 1) : at + 1])
        for era in found
        for at, image in enumerate(era.images)
    }


def after_collection(
    found: list[Era],
    held: list[Held],
    since: int | None,
    packs: dict[tuple[int, Image], frozenset[str]] | None = None,
) -> tuple[list[Era], list[str]]:
    gone = superfluous(found, held, since, WAL_FILE, packs or packs_of(found))
    names = {
        *(piece_name(era.number, piece) for era in found for piece in era.pieces),
        *(image_name(era.number, image) for era in found for image in era.images),
        *(pack_name(era.number, pack) for era in found for pack in era.packs),
    }
    assert set(gone) <= names
    kept = holdings(names - set(gone))
    return [kept.era(era.number) for era in found], gone


@given(eras(), st.data())
def test_collection_keeps_what_every_point_of_the_window_needs(
    found: list[Era], data: st.DataObject
) -> None:
    whole = window(found, 0)
    assert whole is not None
    since = data.draw(st.integers(whole.earliest - 10_000, whole.latest), "since")
    moment = data.draw(st.integers(since, whole.latest + 5000), "moment")
    kept, _ = after_collection(found, [], since)
    try:
        before = plan_for_time(found, moment * 1000, WAL_FILE)
    except NotRestorableError:
        with pytest.raises(NotRestorableError):
            plan_for_time(kept, moment * 1000, WAL_FILE)
        return
    assert plan_for_time(kept, moment * 1000, WAL_FILE) == before
    assert packs_of(found)[before.era, before.image] <= kept[before.era - 1].packs


@given(eras(), st.data())
def test_collection_keeps_what_a_snapshot_needs_and_nothing_beside_once_the_window_is_over(
    found: list[Era], data: st.DataObject
) -> None:
    era = data.draw(st.sampled_from(found))
    lsn = data.draw(st.integers(max(era.images[0].lsn, 1), max(era.end, era.images[0].lsn, 1)))
    try:
        plan = plan_for_lsn(era, lsn, WAL_FILE)
    except NotRestorableError:
        return
    kept, _ = after_collection(found, [Held(era.number, plan.image, lsn)], None)
    mine = kept[era.number - 1]
    assert plan_for_lsn(mine, lsn, WAL_FILE) == plan
    assert set(mine.pieces) == set(plan.pieces)
    assert mine.images == (plan.image,)
    assert mine.packs == packs_of(found)[era.number, plan.image]
    assert all(not other.images and not other.pieces for other in kept if other is not mine)


@given(eras(), st.integers(0, 2_000_000))
def test_what_was_collected_needs_no_second_collection(found: list[Era], since: int) -> None:
    kept, _ = after_collection(found, [], since)
    _, again = after_collection(kept, [], since, packs_of(found))
    assert again == []


@given(eras(), st.integers(0, 3_000_000))
def test_an_image_goes_before_what_it_names(found: list[Era], since: int) -> None:
    _, gone = after_collection(found, [], since)
    for era in found:
        mine = [name for name in gone if name.startswith(f"{era.number:04d}/")]
        kinds = [name.split("/")[1] for name in mine]
        assert kinds == sorted(kinds, key=["images", "log", "packs"].index)


ERA = Era(
    1,
    (Image(5 * WAL_FILE + 7, 5 * WAL_FILE + 7, 10_000),),
    (
        Piece(5 * WAL_FILE, 6 * WAL_FILE, 0, 12_000),
        Piece(6 * WAL_FILE, 7 * WAL_FILE, 12_000, 14_000),
        Piece(7 * WAL_FILE, 8 * WAL_FILE, 14_000, 16_000),
    ),
)


def test_a_time_is_restorable_once_all_of_its_commits_are_known_to_be_there() -> None:
    assert len(plan_for_time([ERA], 11_000_000, WAL_FILE).pieces) == 1
    assert len(plan_for_time([ERA], 11_001_000, WAL_FILE).pieces) == 2
    assert len(plan_for_time([ERA], 15_000_000, WAL_FILE).pieces) == 3
    with pytest.raises(NotRestorableError):
        plan_for_time([ERA], 15_001_000, WAL_FILE)
    with pytest.raises(NotRestorableError):
        plan_for_time([ERA], 9_999_000, WAL_FILE)


def test_who_follows_the_volume_knows_that_an_idle_one_is_complete() -> None:
    plan = plan_for_time([ERA], 90_000_000, WAL_FILE, complete_at=90_000 + MARGIN_MS)
    assert plan.pieces == ERA.pieces


def test_a_missing_piece_is_named_by_where_it_begins() -> None:
    damaged = replace(ERA, pieces=(ERA.pieces[0], ERA.pieces[2]))
    with pytest.raises(NotRestorableError) as refused:
        plan_for_time([damaged], 14_000_000, WAL_FILE)
    assert refused.value.missing == 6 * WAL_FILE
    with pytest.raises(NotRestorableError) as refused:
        plan_for_lsn(damaged, 7 * WAL_FILE + 1, WAL_FILE)
    assert refused.value.missing == 6 * WAL_FILE


def test_an_era_that_began_later_counts_from_its_first_image_on() -> None:
    later = Era(
        2,
        (Image(5 * WAL_FILE + 9, 5 * WAL_FILE + 9, 30_000),),
        (Piece(5 * WAL_FILE, 6 * WAL_FILE, 0, 40_000),),
    )
    assert plan_for_time([ERA, later], 13_000_000, WAL_FILE).era == 1
    assert plan_for_time([ERA, later], 30_000_000, WAL_FILE).era == 2
    with pytest.raises(NotRestorableError):
        plan_for_time([ERA, later], 29_000_000, WAL_FILE)


def test_an_image_is_shared_with_the_one_before_only_while_that_saves_half() -> None:
    assert not pacing.is_uploaded_whole(100, 199)
    assert pacing.is_uploaded_whole(100, 201)


def test_log_that_waits_for_the_bucket_is_bounded_by_the_database() -> None:
    assert not pacing.is_given_up(1 << 30, 0)
    assert pacing.is_given_up((1 << 30) + 1, 1 << 20)
    assert not pacing.is_given_up(3 << 30, 2 << 30)


def test_a_restore_replays_half_of_the_database_at_most() -> None:
    assert not pacing.image_is_due((64 << 20) - 1, 1 << 20)
    assert pacing.image_is_due(64 << 20, 1 << 20)
    assert not pacing.image_is_due(200 << 20, 1 << 30)
    assert pacing.image_is_due(512 << 20, 1 << 30)


def test_a_bucket_that_fails_is_tried_again_less_and_less_often() -> None:
    waits = [pacing.retry_after_s(failures) for failures in range(1, 10)]
    assert waits == sorted(waits)
    assert waits[0] == 1.0
    assert waits[-1] == pacing.RETRY_MOST_S
