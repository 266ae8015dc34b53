"""All instances of a host: who follows whom, and what the machine has for all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.serverless.fleet import (
    NOTE_EVERY_S,
    Fleet,
    Member,
    ScalingNotes,
    machine_capacity,
)
from cluster_runtime.serverless.scaling.demand import Demand
from cluster_runtime.serverless.scaling.units import ACU
from cluster_runtime.serverless.scaling.versions import DEFAULT_VERSION

IDLE = Demand()


def member(server: str, demand: Demand | None = IDLE, **other: object) -> Member:
    usual = Member(server, server.partition(".")[0], True, 1, 0.5, 16.0, demand)
    return replace(usual, **other)  # type: ignore[arg-type]


def busy(acu: float) -> Demand:
    return Demand(cpu_cores=acu * ACU.cores)


def fleet(machine: float = 8.0, overcommit: float = 1.0) -> Fleet:
    return Fleet(DEFAULT_VERSION, machine, overcommit, ACU)


def run(of: Fleet, ticks: int, *members: Member) -> dict[str, float]:
    """Load that never has enough: each uses all that it gets."""
    found: dict[str, float] = {}
    for second in range(ticks):
        now = [
            each if each.demand is IDLE else replace(each, demand=busy(found.get(each.server, 0.5)))
            for each in members
        ]
        found = {name: each.granted for name, each in of.tick(float(second), now).items()}
    return found


def test_an_instance_begins_with_its_minimum_and_is_not_held_before_it_was_measured() -> None:
    given = fleet().tick(0.0, [member("a", None, minimum=2.0)])["a"]
    assert (given.granted, given.wanted, given.measured) == (2.0, 2.0, False)
    assert given.reason == "not measured yet"


def test_an_instance_that_has_used_up_its_cpu_does_not_wait_for_a_tick() -> None:
    of = fleet()
    assert of.tick(0.0, [member("a")])["a"].granted == 0.5
    assert of.look_seconds == 0.25
    assert of.tick(0.25, [member("a")])["a"].granted == 0.5
    assert of.tick(0.5, [of.used_up(member("a"))])["a"].granted > 2
    assert of.used_up(member("a", None)).demand is None
    assert of.used_up(member("unknown")).demand is IDLE


def test_a_busy_instance_has_the_machine_within_two_ticks() -> None:
    assert run(fleet(), 3, member("a", busy(1)))["a"] == 8.0


def test_readers_of_tiers_0_and_1_follow_their_writer_and_others_scale_alone() -> None:
    of = fleet(machine=64.0)
    writer = member("a.writer", busy(1), maximum=4.0)
    first = member("a.first", is_writer=False, tier=0, maximum=4.0)
    second = member("a.second", is_writer=False, tier=1, maximum=4.0)
    last = member("a.last", is_writer=False, tier=2, maximum=4.0)
    stranger = member("b.first", is_writer=False, tier=0, maximum=4.0)
    found = run(of, 5, writer, first, second, last, stranger)
    assert found == {
        "a.writer": 4.0,
        "a.first": 4.0,
        "a.second": 4.0,
        "a.last": 0.5,
        "b.first": 0.5,
    }
    given = of.tick(6.0, [writer, first])["a.first"]
    assert "writer" in given.reason


def test_a_busy_reader_has_more_than_its_writer() -> None:
    writer = member("a.writer", maximum=4.0)
    reader = member("a.reader", busy(1), is_writer=False, tier=1, maximum=4.0)
    assert run(fleet(), 5, writer, reader) == {"a.writer": 0.5, "a.reader": 4.0}


def test_two_busy_clusters_share_the_machine_by_their_minimums() -> None:
    even = run(fleet(), 10, member("a", busy(1)), member("b", busy(1)))
    assert even == {"a": 4.0, "b": 4.0}
    uneven = run(fleet(), 10, member("a", busy(1), minimum=3.0), member("b", busy(1), minimum=1.0))
    assert uneven == {"a": 6.0, "b": 2.0}


def test_who_comes_later_squeezes_who_has_all() -> None:
    of = fleet()
    assert run(of, 5, member("a", busy(1)))["a"] == 8.0
    given = of.tick(10.0, [member("a", busy(8)), member("b", busy(1))])
    assert given["b"].granted > 0.5
    assert given["a"].granted + given["b"].granted <= 8.0
    assert "all clusters together have 8" in given["a"].reason


def test_more_instances_than_the_machine_has_room_for_share_what_there_is() -> None:
    of = fleet(machine=2.0)
    given = of.tick(0.0, [member(str(number)) for number in range(8)])
    assert {each.granted for each in given.values()} == {0.5}
    assert sum(each.held_to for each in given.values()) == pytest.approx(2.0)
    assert of.budget.granted == 4.0
    assert of.budget.total == 2.0


def test_overcommit_gives_the_machine_more_than_once() -> None:
    of = fleet(overcommit=2.0)
    assert run(of, 10, member("a", busy(1)), member("b", busy(1))) == {"a": 8.0, "b": 8.0}
    assert (of.budget.machine, of.budget.total, of.budget.granted) == (8.0, 16.0, 16.0)


def test_another_range_is_in_force_at_the_next_tick() -> None:
    of = fleet()
    assert run(of, 5, member("a", busy(1)))["a"] == 8.0
    assert of.tick(5.0, [member("a", busy(2), maximum=2.0)])["a"].granted == 2.0
    assert of.tick(6.0, [member("a", IDLE, minimum=4.0, maximum=8.0)])["a"].granted == 4.0


def test_an_instance_that_pauses_begins_again_with_its_minimum() -> None:
    of = fleet()
    assert run(of, 5, member("a", busy(1)))["a"] == 8.0
    of.tick(6.0, [])
    assert of.budget.granted == 0
    assert of.tick(7.0, [member("a", None)])["a"].granted == 0.5


@given(
    st.floats(0.5, 64.0),
    st.floats(1.0, 4.0),
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.5, 1.0, 4.0]),
            st.sampled_from([4.0, 8.0, 32.0]),
            st.none() | st.floats(0, 64.0),
            st.integers(0, 3),
            st.booleans(),
        ),
        max_size=6,
    ),
)
def test_the_budget_and_the_ranges_hold_whatever_is_asked(
    machine: float,
    overcommit: float,
    asked: list[tuple[float, float, float | None, int, bool]],
) -> None:
    of = Fleet(DEFAULT_VERSION, machine, overcommit, ACU)
    members = [
        Member(
            str(number),
            str(number // 2),
            is_writer,
            tier,
            low,
            high,
            None if load is None else busy(load),
        )
        for number, (low, high, load, tier, is_writer) in enumerate(asked)
    ]
    for second in range(5):
        given = of.tick(float(second), members)
        held = sum(each.held_to for each in given.values())
        assert held <= max(of.budget.total, 0.0) + 1e-6
        for each in members:
            got = given[each.server]
            assert 0.5 <= got.granted <= each.maximum
            assert got.held_to <= got.granted
            assert got.granted <= max(got.wanted, 0.5)


def test_a_machine_is_what_it_has_least_of() -> None:
    assert machine_capacity(2.0, 64 << 30, ACU) == 8.0
    assert machine_capacity(64.0, 5 << 30, ACU) == 2.5
    assert machine_capacity(0.01, 1 << 20, ACU) == 0.5


def test_no_machine_and_no_overcommit_below_1_are_refused() -> None:
    for machine, overcommit in ((0.0, 1.0), (8.0, 0.5)):
        with pytest.raises(ValueError, match="overcommit"):
            Fleet(DEFAULT_VERSION, machine, overcommit, ACU)


def test_events_tell_the_first_change_and_then_what_came_of_ten_minutes() -> None:
    notes = ScalingNotes()
    assert notes.seen(0.0, "a", 0.5) is None
    assert notes.seen(1.0, "a", 4.0) == (0.5, 4.0)
    assert notes.seen(2.0, "a", 8.0) is None
    assert notes.seen(3.0, "a", 6.0) is None
    assert notes.seen(1.0 + NOTE_EVERY_S, "a", 2.0) == (4.0, 2.0)
    assert notes.seen(9000.0, "a", 2.0) is None
    notes.keep_only(set())
    assert notes.seen(9001.0, "a", 0.5) is None  # it has begun again
