"""When a segment is replaced."""

import pytest

from cluster_runtime.storage.core.policy.replacement import (
    Abandon,
    Begin,
    Condition,
    ReplacementPolicy,
)
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.types import SegmentId

LIMIT_S = 60.0


def found(membership: Membership, **other: Condition) -> dict[SegmentId, Condition]:
    return {
        each: other.get(each.replace(".", "_"), Condition.ANSWERS) for each in membership.segments
    }


@pytest.fixture
def policy() -> ReplacementPolicy:
    return ReplacementPolicy(LIMIT_S)


def test_nothing_happens_while_all_answer(policy: ReplacementPolicy) -> None:
    members = Membership()
    assert policy.decide(0, members, found(members)) is None
    assert policy.decide(1e9, members, found(members)) is None


def test_a_segment_whose_files_are_lost_is_replaced_at_once(policy: ReplacementPolicy) -> None:
    members = Membership()
    assert policy.decide(0, members, found(members, b1=Condition.LOST)) == Begin(SegmentId("b1"))


def test_a_segment_is_replaced_once_it_was_away_for_the_limit(policy: ReplacementPolicy) -> None:
    members = Membership()
    away = found(members, c2=Condition.AWAY)
    assert policy.decide(5, members, away) is None
    assert policy.decide(5 + LIMIT_S - 1, members, away) is None
    assert policy.decide(5 + LIMIT_S, members, away) == Begin(SegmentId("c2"))


def test_who_comes_back_in_between_starts_anew(policy: ReplacementPolicy) -> None:
    members = Membership()
    away = found(members, c2=Condition.AWAY)
    policy.decide(0, members, away)
    policy.decide(LIMIT_S - 1, members, found(members))
    assert policy.decide(LIMIT_S, members, away) is None
    assert policy.decide(2 * LIMIT_S, members, away) == Begin(SegmentId("c2"))


def test_a_zone_that_is_away_is_waited_for(policy: ReplacementPolicy) -> None:
    members = Membership()
    zone = found(members, a1=Condition.AWAY, a2=Condition.AWAY)
    policy.decide(0, members, zone)
    assert policy.decide(100 * LIMIT_S, members, zone) is None


def test_a_lost_segment_is_replaced_beside_one_that_is_away(policy: ReplacementPolicy) -> None:
    members = Membership()
    both = found(members, a1=Condition.LOST, a2=Condition.AWAY)
    assert policy.decide(0, members, both) == Begin(SegmentId("a1"))


def test_who_is_lost_comes_before_who_is_away_for_longer(policy: ReplacementPolicy) -> None:
    members = Membership()
    policy.decide(0, members, found(members, a1=Condition.AWAY))
    both = found(members, a1=Condition.AWAY, c1=Condition.LOST)
    assert policy.decide(LIMIT_S, members, both) == Begin(SegmentId("c1"))


def test_nothing_begins_without_a_write_quorum_to_agree_on_it(policy: ReplacementPolicy) -> None:
    members = Membership()
    three = found(members, a1=Condition.LOST, a2=Condition.AWAY, b1=Condition.AWAY)
    assert policy.decide(0, members, three) is None


def test_one_replacement_at_a_time(policy: ReplacementPolicy) -> None:
    changing = Membership().replacing(SegmentId("a1"))
    lost = found(changing, a1=Condition.LOST, b1=Condition.LOST)
    assert policy.decide(0, changing, lost) is None


def test_a_replacement_is_taken_back_when_the_segment_is_back(policy: ReplacementPolicy) -> None:
    changing = Membership().replacing(SegmentId("a1"))
    policy.decide(0, changing, found(changing, a1=Condition.AWAY))
    assert policy.decide(1, changing, found(changing)) == Abandon()


def test_a_candidate_that_is_lost_itself_is_given_up(policy: ReplacementPolicy) -> None:
    changing = Membership().replacing(SegmentId("a1"))
    lost = found(changing, a1=Condition.LOST, a1_2=Condition.LOST)
    assert policy.decide(0, changing, lost) == Abandon()


def test_after_a_replacement_that_came_to_nothing_the_next_one_takes_its_time() -> None:
    policy = ReplacementPolicy(LIMIT_S, retry_after_s=30)
    members = Membership()
    lost = found(members, a1=Condition.LOST)
    policy.gave_up(0)
    assert policy.decide(29, members, lost) is None
    assert policy.decide(30, members, lost) == Begin(SegmentId("a1"))


def test_a_candidate_that_stays_away_is_given_up(policy: ReplacementPolicy) -> None:
    changing = Membership().replacing(SegmentId("a1"))
    away = found(changing, a1=Condition.LOST, a1_2=Condition.AWAY)
    assert policy.decide(0, changing, away) is None
    assert policy.decide(LIMIT_S, changing, away) == Abandon()
