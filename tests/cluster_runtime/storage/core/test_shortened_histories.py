"""Histories that were shortened say what whole ones say: of logs, and through failovers."""

import os
import random
from dataclasses import dataclass, replace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.errors import QuorumLostError
from cluster_runtime.storage.core import durability, segment
from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.durability import Opening, newest_not_refuted, read_point
from cluster_runtime.storage.core.quorum import READ_QUORUM, Membership
from cluster_runtime.storage.core.segment import (
    Action,
    Cut,
    CutLog,
    History,
    Segment,
    Write,
    common_end,
    is_void,
    shortened,
)
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId

SEEDS, STEPS = 40, 30
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
"""The same in all processes of a run."""
FIRST = random.Random(os.environ.get("BOREALIS_SEED", RUN)).randrange(10**6, 10**9)
"""Where the fresh seeds begin: elsewhere in each run. BOREALIS_SEED repeats a run."""

lsns = st.integers(0, 60).map(Lsn)
histories = st.lists(lsns, min_size=1, max_size=12).map(
    lambda found: tuple(Cut(Epoch(at), lsn) for at, lsn in enumerate(found, 1))
)


@given(histories, lsns, st.integers(0, 14), st.integers(0, 20))
def test_a_shortened_history_calls_the_same_log_void_where_there_is_any(
    history: History, begins: Lsn, epoch: int, length: int
) -> None:
    batch = Batch(Epoch(epoch), begins, begins, Lsn(begins + length + 1))
    assert is_void(batch, shortened(history, begins)) == is_void(batch, history)


@given(histories, st.lists(lsns, max_size=4), st.lists(lsns, max_size=4), lsns, lsns)
def test_shortened_histories_part_where_the_whole_ones_do(
    shared: History, ours: list[Lsn], theirs: list[Lsn], one: Lsn, other: Lsn
) -> None:
    """Each may be shortened as far as both go back to the same cut."""
    of_ours = tuple(Cut(Epoch(100 + 2 * at), lsn) for at, lsn in enumerate(ours))
    of_theirs = tuple(Cut(Epoch(101 + 2 * at), lsn) for at, lsn in enumerate(theirs))
    whole = (*shared, *of_ours), (*shared, *of_theirs)
    short = (*shortened(shared, one), *of_ours), (*shortened(shared, other), *of_theirs)
    assert common_end(*short) == common_end(*whole)
    assert common_end(whole[0], short[1]) == common_end(*whole)
    found = newest_not_refuted(short)
    assert newest_not_refuted(whole)[-len(found) :] == found


def test_the_last_cut_below_the_log_stays_and_all_behind_it() -> None:
    history = tuple(Cut(Epoch(at), Lsn(10 * at)) for at in range(1, 6))
    assert shortened(history, Lsn(0)) == shortened(history, Lsn(20)) == history
    assert shortened(history, Lsn(21)) == history[1:]
    assert shortened(history, Lsn(1000)) == history[-1:]
    assert shortened((), Lsn(5)) == ()


def test_histories_that_share_no_cut_say_nothing_of_each_other() -> None:
    """A volume and its clone, when both have forgotten where they parted."""
    ours, theirs = (Cut(Epoch(7), Lsn(70)),), (Cut(Epoch(8), Lsn(80)), Cut(Epoch(9), Lsn(90)))
    assert common_end(ours, theirs) == 70


@dataclass
class Plan:
    """What befalls a volume in one step. adopting: how many do before the process is killed."""

    up: list[SegmentId]
    readers: bool
    adopting: int
    writes: list[tuple[int, bool, list[SegmentId]]]
    catching_up: list[SegmentId]
    replaced: SegmentId | None
    begins: int

    @classmethod
    def of(cls, rng: random.Random, members: tuple[SegmentId, ...]) -> "Plan":
        up = rng.sample(members, len(members) if rng.random() < 0.7 else rng.randint(3, 5))
        readers = rng.random() < 0.2
        return cls(
            up[:READ_QUORUM] if readers else up,
            readers,
            rng.randint(0, len(up)) if rng.random() < 0.4 else len(up),
            [
                (rng.randint(1, 9), rng.random() < 0.7, [s for s in up if rng.random() < 0.9])
                for _ in range(rng.randint(0, 4))
            ],
            [each for each in up if rng.random() < 0.8],
            rng.choice(up) if rng.random() < 0.1 else None,
            rng.choice((0, 10, 100, 10_000)),
        )


class Six:
    """The segments of a volume, which shortens histories or does not. seen: what openings found."""

    def __init__(self, *, shortens: bool) -> None:
        self.shortens = shortens
        self.cores = {each: Segment(each) for each in SEGMENT_IDS}
        self.logs: dict[SegmentId, list[Batch]] = {each: [] for each in SEGMENT_IDS}
        self.membership = Membership()
        self.acknowledged = Lsn(0)
        self.seen: list[object] = []

    def live(self, plan: Plan) -> None:
        try:
            (self._read if plan.readers else self._write)(plan)
        except QuorumLostError:
            self.seen.append("lost")

    def _promise(self, plan: Plan, opening: Opening) -> None:
        for each in plan.up:
            opening.seen(self.cores[each].status())
        for each in plan.up:
            core = self.cores[each]
            core.promise(opening.epoch)
            begins = Lsn(min(plan.begins, core.scl) if self.shortens else 0)
            opening.promised(replace(core.status(), begins=begins))

    def _read(self, plan: Plan) -> None:
        opening = Opening()
        self._promise(plan, opening)
        point = read_point(opening.statuses.values(), opening.membership)
        self.seen.append(point.lsn)
        assert point.lsn >= self.acknowledged
        for each in plan.up[: plan.adopting]:
            self._do(each, self.cores[each].adopt(point.cut(opening.epoch), opening.membership))

    def _write(self, plan: Plan) -> None:
        opening = Opening()
        self._promise(plan, opening)
        history = opening.cut()
        self.seen.append(history[-1])
        assert history[-1].lsn >= self.acknowledged
        for each in plan.up[: plan.adopting]:
            self._do(each, self.cores[each].adopt(history, opening.membership))
        if plan.adopting < len(plan.up):
            return
        self._catch_up(plan.up)
        for each in plan.up:
            opening.adopted(each, self.cores[each].scl)
        volume, self.membership = opening.volume(), opening.membership
        start = history[-1].lsn
        for length, consistent, takers in plan.writes:
            end = Lsn(start + length)
            volume.appended(end, consistent)
            for each in takers:
                batch = Batch(opening.epoch, start, start, end, 1, consistent)
                self._do(each, self.cores[each].receive(batch, opening.epoch))
            start = end
        self._catch_up(plan.catching_up)
        for each in plan.up:
            volume.acknowledged(each, self.cores[each].scl, opening.epoch)
        self.acknowledged = max(self.acknowledged, volume.vdl)
        if plan.replaced is not None and len(plan.up) == len(SEGMENT_IDS):
            self._replace(plan.replaced, plan.up, opening)

    def _replace(self, left: SegmentId, up: list[SegmentId], opening: Opening) -> None:
        changing = self.membership.replacing(left)
        new = changing.candidate
        assert new is not None
        self.cores[new], self.logs[new] = Segment(new), []
        self._do(new, self.cores[new].adopt(opening.history, changing))
        self._catch_up([*up, new])
        self.membership = changing.with_replacement()
        for each in self.membership.segments:
            actions = self.cores[each].change_membership(self.membership, opening.epoch)
            self._do(each, actions)
        del self.cores[left], self.logs[left]

    def _catch_up(self, segments: list[SegmentId]) -> None:
        best = max(segments, key=lambda each: self.cores[each].scl, default=None)
        for each in segments:
            assert best is not None
            core, history = self.cores[each], self.cores[best].history
            missing = [batch for batch in self.logs[best] if batch.previous >= core.tail]
            self._do(each, core.receive_gossip(missing, history))

    def _do(self, segment: SegmentId, actions: list[Action]) -> None:
        core = self.cores[segment]
        for action in actions:
            if isinstance(action, Write):
                self.logs[segment].append(action.batch)
            elif isinstance(action, CutLog):
                self.logs[segment] = [b for b in self.logs[segment] if b.end <= action.lsn]
        core.synced(core.tail, core.epoch)


def same_all_the_way(seed: int) -> int:
    """Two volumes that suffer the same; returns how many cuts the one has forgotten."""
    rng = random.Random(seed)
    whole, short = Six(shortens=False), Six(shortens=True)
    for _ in range(STEPS):
        plan = Plan.of(rng, whole.membership.segments)
        for each in (whole, short):
            each.live(plan)
        assert whole.seen == short.seen, f"seed {seed}: {plan}"
        assert whole.logs == short.logs, f"seed {seed}: {plan}"
        for name, core in whole.cores.items():
            history = short.cores[name].history
            assert core.history[len(core.history) - len(history) :] == history, f"seed {seed}"
    ends = [
        (len(whole.cores[each].history), len(short.cores[each].history)) for each in short.cores
    ]
    return max(one - other for one, other in ends)


def forgotten_by(first: int) -> int:
    return sum(same_all_the_way(seed) for seed in range(first, first + SEEDS))


@pytest.mark.parametrize("first", [0, FIRST])
def test_failovers_over_shortened_histories_find_what_those_over_whole_ones_find(
    first: int,
) -> None:
    """Copies lag, processes are killed while the shortened history is adopted, readers come."""
    assert forgotten_by(first) > SEEDS


def knows_the_same(self: Opening, history: History, end: Lsn) -> bool:
    """What the rule needs of the six, without what an older release needs."""
    return {*self.membership.segments} == {*self.statuses} and all(
        each.history == history for each in self.statuses.values()
    )


@pytest.mark.parametrize("first", [0, FIRST])
def test_a_history_may_be_shortened_while_copies_lag(first: int) -> None:
    with mock.patch.object(Opening, "_all_are_level", knows_the_same):
        assert forgotten_by(first) > SEEDS


def compared_as_whole(one: History, other: History) -> Lsn | None:
    return min((cut.lsn for cut in {*one} ^ {*other}), default=None)


def test_a_comparison_that_knows_of_no_shortened_histories_is_caught() -> None:
    with (
        mock.patch.object(segment, "common_end", compared_as_whole),
        mock.patch.object(durability, "common_end", compared_as_whole),
        pytest.raises(AssertionError, match="seed"),
    ):
        forgotten_by(0)
