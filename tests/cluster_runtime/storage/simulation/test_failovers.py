"""One failover after the other, over both models: histories are shortened as log is collected."""

import os
import random
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest

from cluster_runtime.storage.core import durability, segment
from cluster_runtime.storage.core.durability import Opening
from cluster_runtime.storage.core.segment import (
    History,
    Persist,
    SegmentStatus,
    common_end,
    shortened,
)
from cluster_runtime.storage.core.types import Epoch, Lsn
from cluster_runtime.storage.live import log_source
from cluster_runtime.storage.simulation import disks
from cluster_runtime.storage.simulation.disks import DiskWorld, Weather
from cluster_runtime.storage.simulation.node import Node
from cluster_runtime.storage.simulation.run import Violation, World
from cluster_runtime.storage.simulation.scheduler import Storm
from cluster_runtime.storage.simulation.writer import SimulatedWriter

SEEDS, FAILOVERS = 5, 12
NET_SEEDS, STEPS = 40, 2_000
LONG = 5_000
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
"""The same in all processes of a run."""
FIRST = random.Random(os.environ.get("BOREALIS_SEED", RUN)).randrange(10**6, 10**9)
"""Where the fresh seeds begin: elsewhere in each run. BOREALIS_SEED repeats a run."""
NEVER_S = 1e9
COMPARING: tuple[ModuleType, ...] = (segment, durability, log_source)


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many cuts each opening left out."""
    found: list[int] = []

    def counted(history: History, begins: Lsn) -> History:
        short = shortened(history, begins)
        found.append(len(history) - len(short))
        return short

    monkeypatch.setattr(durability, "shortened", counted)
    return found


# over a network -----------------------------------------------------------------------------------


def often_whole(rng: random.Random) -> Storm:
    """All six answer often, and have all the log; writers come and go."""
    return Storm(
        loss=rng.choice((0.0, 0.0, 0.02)),
        duplication=rng.choice((0.0, 0.05, 0.2)),
        delay=rng.choice((0.2, 0.5)),
        sync=rng.choice((0.2, 0.5)),
        crash_every=rng.choice((15.0, 60.0, 200.0)),
        az_every=rng.choice((60.0, 200.0)),
        corrupt_every=rng.choice((60.0, 400.0)),
        takeover_every=rng.choice((5.0, 8.0, 15.0)),
        replace_every=rng.choice((15.0, 100.0, 400.0)),
    )


@pytest.fixture
def waiting_for_all(monkeypatch: pytest.MonkeyPatch, forgotten: list[int]) -> None:
    """Openings hear of all that answer; log is said to begin as late as nobody can tell otherwise.

    It is not collected: what is compared afterwards is all of it.
    """

    def cut(writer: SimulatedWriter, opening: Opening) -> None:
        if opening is writer.opening and writer.alive and not opening.history and opening.may_cut:
            opening.cut()
            writer._send_history()

    def promised(self: SimulatedWriter, status: SegmentStatus) -> None:
        opening = self.opening
        if not self.alive or status.promised != opening.epoch or opening.history:
            return
        opening.promised(status)
        if {*opening.membership.segments} <= {*opening.statuses}:
            cut(self, opening)
        elif opening.may_cut:
            self._scheduler.after(self._scheduler.storm.delay * 4, cut, self, opening)

    def promise(
        self: Node, writer: SimulatedWriter, epoch: Epoch, answer: Callable[[SegmentStatus], None]
    ) -> None:
        if not self.up:
            return
        actions = self.core.promise(epoch)
        self._do(actions, writer)
        if actions == [Persist()]:
            status = self.core.status()
            begins = Lsn(status.consistent // self._scheduler.rng.choice((1, 1, 2)))
            self._scheduler.send(answer, replace(status, begins=begins))

    monkeypatch.setattr(Storm, "of", often_whole)
    monkeypatch.setattr(SimulatedWriter, "_promised", promised)
    monkeypatch.setattr(Node, "promise", promise)


def survive(first: int, count: int) -> None:
    for seed in range(first, first + count):
        World(seed).scheduler.run(STEPS)


@pytest.mark.usefixtures("waiting_for_all")
@pytest.mark.parametrize(
    ("first", "count"),
    [
        (0, NET_SEEDS),
        (FIRST, NET_SEEDS),
        *(
            pytest.param(2 * FIRST + part, 1_000, marks=pytest.mark.long)
            for part in range(0, LONG, 1_000)
        ),
    ],
)
def test_no_storm_breaks_an_invariant_where_each_history_is_as_short_as_it_can_be(
    forgotten: list[int], first: int, count: int
) -> None:
    survive(first, count)
    assert sum(forgotten) > 0, f"seeds from {first} on"


def compared_as_whole(one: History, other: History) -> Lsn | None:
    return min((cut.lsn for cut in {*one} ^ {*other}), default=None)


def without_the_last_below(history: History, begins: Lsn) -> History:
    return tuple(cut for cut in history if cut.lsn >= begins)


@pytest.mark.usefixtures("waiting_for_all")
@pytest.mark.parametrize(
    ("name", "wrong"),
    [("common_end", compared_as_whole), ("shortened", without_the_last_below)],
)
def test_a_wrong_rule_of_shortened_histories_is_caught(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: object
) -> None:
    for module in COMPARING:
        monkeypatch.setattr(module, name, wrong, raising=False)
    with pytest.raises(Violation):
        survive(0, NET_SEEDS)


# over disks ---------------------------------------------------------------------------------------


def fail_over(world: DiskWorld) -> None:
    """A process writes, makes an image, and ends; the next one may be killed while it opens."""
    world.scheduler.run_until(world.scheduler.now + 0.2)
    world.make_image()
    world.scheduler.run_until(world.scheduler.now + 0.1)
    if (host := world.host) is not None:
        chance = world.rng.random()
        if chance < 0.5:
            world.leave(host)
            world.scheduler.run_until(world.scheduler.now + 0.3)
        elif chance < 0.75:
            world.cut_power()
        else:
            world.kill(host)
    if world.rng.random() < 0.5:
        world.disk.killed_after = world.rng.randrange(120)
    world.ensure_open()


def fail_over_again_and_again(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    calm = replace(
        Weather.of(random.Random(0)),
        **dict.fromkeys(("kill", "take_over", "trouble", "rot", "image", "scrub"), NEVER_S),
        write=0.02,
        slowest=0.01,
    )
    monkeypatch.setattr(Weather, "of", lambda rng: calm)
    for seed in range(first, first + SEEDS):
        world = DiskWorld(seed)
        for _ in range(FAILOVERS):
            fail_over(world)
        monkeypatch.setattr(disks, "STORM_S", world.scheduler.now)
        world.run()


@pytest.mark.parametrize("first", [0, FIRST])
def test_failovers_that_are_cut_short_lose_nothing_and_histories_get_shorter(
    monkeypatch: pytest.MonkeyPatch, forgotten: list[int], first: int
) -> None:
    fail_over_again_and_again(monkeypatch, first)
    assert sum(forgotten) > 0 or first == FIRST


@pytest.mark.parametrize("first", [0, FIRST])
def test_a_release_that_knows_of_no_shortened_histories_loses_nothing_between_failovers(
    monkeypatch: pytest.MonkeyPatch, forgotten: list[int], first: int
) -> None:
    """Every third opening, about, is one of that release; it may refuse, and the next one opens."""
    older, opening = False, DiskWorld.open
    now = vars(durability)["shortened"]  # the one that counts

    def opened(self: DiskWorld) -> None:
        nonlocal older
        for host in self.hosts:
            if host.alive:
                self.kill(host)
        older = self.stormy and self.rng.random() < 0.4
        try:
            opening(self)
        except Violation as violation:
            if not (older and "away:" in str(violation)):
                raise

    def compared(one: History, other: History) -> Lsn | None:
        return compared_as_whole(one, other) if older else common_end(one, other)

    def left_out(history: History, begins: Lsn) -> History:
        return history if older else now(history, begins)

    for module in COMPARING:
        monkeypatch.setattr(module, "common_end", compared)
    monkeypatch.setattr(durability, "shortened", left_out)
    monkeypatch.setattr(DiskWorld, "open", opened)
    fail_over_again_and_again(monkeypatch, first)
    assert sum(forgotten) > 0 or first == FIRST
