"""Who becomes the writer, who is dead, where a connection goes: the rules alone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.control.availability.health import (
    STOPPED_S,
    UNANSWERED_S,
    Health,
    Process,
    Verdict,
)
from cluster_runtime.control.availability.lag import replica_lag_ms
from cluster_runtime.control.availability.placement import ZONES, zone_for
from cluster_runtime.control.availability.routing import Balance, Membership
from cluster_runtime.control.availability.succession import Candidate, in_order, unfit

candidates = st.lists(
    st.builds(
        Candidate,
        name=st.sampled_from("abcdefgh"),
        tier=st.integers(0, 15),
        replayed=st.integers(0, 9),
        ready=st.booleans(),
    ),
    unique_by=lambda each: each.name,
)


def test_the_lowest_tier_comes_first_then_the_one_that_replayed_furthest() -> None:
    readers = [
        Candidate("slow", 1, 100, True),
        Candidate("far", 1, 200, True),
        Candidate("late", 2, 900, True),
        Candidate("gone", 0, 900, False),
    ]
    assert [each.name for each in in_order(readers)] == ["far", "slow", "late"]


@given(candidates)
def test_nobody_who_is_not_ready_takes_over_and_nobody_of_a_higher_tier_before_a_lower(
    readers: list[Candidate],
) -> None:
    order = in_order(readers)
    assert {each.name for each in order} == {each.name for each in readers if each.ready}
    for first, second in pairwise(order):
        assert (first.tier, -first.replayed) <= (second.tier, -second.replayed)


def test_a_target_that_cannot_take_over_is_told_why() -> None:
    readers = [Candidate("here", 1, 5, True), Candidate("down", 1, 5, False)]
    assert unfit(readers, "here") is None
    assert "not ready" in (unfit(readers, "down") or "")
    assert "no reader" in (unfit(readers, "elsewhere") or "")


def test_zones_take_turns() -> None:
    taken: list[str] = []
    for _ in range(7):
        taken.append(zone_for(taken))
    assert taken == ["a", "b", "c", "a", "b", "c", "a"]


@given(st.lists(st.sampled_from(ZONES)), st.sets(st.sampled_from(ZONES)))
def test_a_lost_zone_gets_nobody_while_another_is_left(taken: list[str], lost: set[str]) -> None:
    zone = zone_for(taken, lost)
    assert zone not in lost or lost == set(ZONES)


def test_who_is_gone_is_dead_and_who_answers_is_well() -> None:
    health = Health()
    health.asked(0.0)
    assert health.seen(Process.RUNS, UNANSWERED_S / 2) is Verdict.WELL
    health.answered()
    assert health.seen(Process.RUNS, UNANSWERED_S * 10) is Verdict.WELL
    assert health.seen(Process.GONE, 0.0) is Verdict.DEAD


def test_who_answers_nothing_for_long_hangs() -> None:
    health = Health()
    health.asked(10.0)
    health.asked(10.0 + UNANSWERED_S / 2)  # the first question counts
    assert health.seen(Process.RUNS, 10.0 + UNANSWERED_S - 0.1) is Verdict.WELL
    assert health.seen(Process.RUNS, 10.0 + UNANSWERED_S) is Verdict.HANGS


def test_a_writer_whose_log_moves_is_busy_however_long_it_does_not_answer() -> None:
    health, at = Health(), 0.0
    health.asked(at)
    while at < 20 * UNANSWERED_S:
        at += UNANSWERED_S / 2
        assert health.seen(Process.RUNS, at, log=int(at)) is Verdict.WELL
    assert health.seen(Process.RUNS, at + UNANSWERED_S - 0.1, log=int(at)) is Verdict.WELL
    assert health.seen(Process.RUNS, at + UNANSWERED_S, log=int(at)) is Verdict.HANGS


def test_log_says_nothing_of_one_whose_process_is_stopped_or_gone() -> None:
    health = Health()
    assert health.seen(Process.STOPPED, 0.0, log=1) is Verdict.WELL
    assert health.seen(Process.STOPPED, STOPPED_S, log=2) is Verdict.HANGS
    assert health.seen(Process.GONE, 0.0, log=3) is Verdict.DEAD


def test_who_is_stopped_for_long_hangs_and_who_goes_on_does_not() -> None:
    health = Health()
    assert health.seen(Process.STOPPED, 0.0) is Verdict.WELL
    assert health.seen(Process.RUNS, STOPPED_S) is Verdict.WELL
    assert health.seen(Process.STOPPED, 2 * STOPPED_S) is Verdict.WELL
    assert health.seen(Process.STOPPED, 3 * STOPPED_S) is Verdict.HANGS


def test_connections_that_come_at_once_are_spread_in_turn() -> None:
    balance = Balance()
    chosen = [balance.choose(["x", "y", "z"], []) for _ in range(6)]
    assert chosen == ["x", "y", "z", "x", "y", "z"]


def test_who_has_fewer_connections_gets_the_next() -> None:
    balance = Balance()
    assert balance.choose(["x", "y"], [("x", 5), ("y", 2)]) == "y"
    assert balance.choose(["x", "y"], [("x", 5), ("y", 3)]) == "y"
    assert balance.choose([], []) is None


@given(st.lists(st.sets(st.sampled_from("uvwxyz"), min_size=1), min_size=1))
def test_only_one_that_is_ready_is_chosen(rounds: list[set[str]]) -> None:
    balance = Balance()
    for ready in rounds:
        assert balance.choose(sorted(ready), []) in ready


@pytest.mark.parametrize(
    ("membership", "members"),
    [
        (Membership(), ["w", "r1", "r2"]),
        (Membership(readers_only=True), ["r1", "r2"]),
        (Membership(static=("r2",)), ["r2"]),
        (Membership(static=("w", "r1")), ["w", "r1"]),
        (Membership(static=("w", "r1"), readers_only=True), ["r1"]),
        (Membership(excluded=("r1",)), ["w", "r2"]),
        (Membership(excluded=("r1",), readers_only=True), ["r2"]),
    ],
)
def test_a_custom_endpoint_leads_to_its_members(membership: Membership, members: list[str]) -> None:
    assert membership.members("w", ["r1", "r2"]) == members


def test_lag_is_the_age_of_what_is_shown_and_none_where_all_is_shown() -> None:
    now = datetime.now(UTC)
    old = now - timedelta(milliseconds=40)
    assert replica_lag_ms(10, 20, old, now) == pytest.approx(40)
    assert replica_lag_ms(20, 20, old, now) == 0
    assert replica_lag_ms(10, 20, None, now) == 0
    assert replica_lag_ms(10, 20, now + timedelta(seconds=1), now) == 0
