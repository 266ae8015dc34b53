"""Readers come to one half of the segments and then to the other; no later writer loses either.

The cases one by one, and then many of them by chance: three segments or four answer, in turn, and
writers die at every point of their opening.
"""

import random
from collections.abc import Collection
from pathlib import Path

import pytest

from cluster_runtime.storage.core import durability
from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.durability import (
    Opening,
    ReadPoint,
    Volume,
    newest_not_refuted,
    read_point,
    recovery_point,
)
from cluster_runtime.storage.core.quorum import READ_QUORUM, WRITE_QUORUM, Membership
from cluster_runtime.storage.core.segment import (
    Cut,
    History,
    Segment,
    SegmentStatus,
    writers_of,
)
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.sealed import SealBrokenError, unseal
from cluster_runtime.storage.disk.segment_store import SegmentStore, segment_directory
from cluster_runtime.storage.disk.state_file import STATE_FILE, SegmentStateFile
from cluster_runtime.storage.simulation.node import Node
from cluster_runtime.storage.simulation.scheduler import Scheduler
from tests.cluster_runtime.storage.live.test_log_on_disk import VOLUME, opened, put, read_all, wal

WRITER = Cut(Epoch(1), Lsn(0))
FAILED = Cut(Epoch(2), Lsn(100))


def readers(epoch: int, lsn: int) -> Cut:
    return Cut(Epoch(epoch), Lsn(lsn), of_readers=True)


def status(segment: str, scl: int, *history: Cut) -> SegmentStatus:
    promised = max((cut.epoch for cut in history), default=Epoch(1))
    return SegmentStatus(
        SegmentId(segment), promised, history, Lsn(scl), Lsn(scl), Lsn(0), Membership()
    )


@pytest.mark.parametrize(("low", "high"), [(4, 3), (3, 4), (3, 3)])
def test_the_half_that_showed_less_does_not_end_the_log(low: int, high: int) -> None:
    """Found by simulation, seed 600055734: 112 was shown by one half, then 242 by the other."""
    less = [status(each, 112, WRITER, readers(low, 112)) for each in ("a2", "b1", "b2")]
    more = [status(each, 242, WRITER, readers(high, 242)) for each in ("a1", "c1", "c2")]
    assert recovery_point([*less, more[0]]) == ((WRITER,), 242)
    assert recovery_point([*more, less[0]]) == ((WRITER,), 242)
    assert recovery_point(less) == ((WRITER,), 112)


def test_halves_that_overlap_show_the_longest_log_again() -> None:
    three = [
        status("a1", 112, WRITER, readers(3, 112)),
        status("b1", 242, WRITER, readers(2, 242)),
        status("c1", 50, WRITER),
    ]
    point = read_point(three, Membership())
    assert point.cut(Epoch(4)) == (WRITER, readers(4, 242))


def test_a_half_refutes_a_writer_that_died_in_its_opening() -> None:
    shown = status("a1", 112, WRITER, readers(3, 112))
    failed = status("b1", 100, WRITER, FAILED)
    others = [status(each, 100, WRITER) for each in ("b2", "c1")]
    assert recovery_point([shown, failed, *others]) == ((WRITER,), 112)


def test_it_does_so_when_readers_of_the_other_half_came_after_that_writer() -> None:
    """Three ways: one half shows 112; the other has the failed writer's cut, and a newer epoch."""
    shown = [status(each, 112, WRITER, readers(3, 112)) for each in ("a1", "a2", "c1")]
    built = [status(each, 100, WRITER, FAILED, readers(9, 100)) for each in ("b1", "b2", "c2")]
    for one in (0, 2):
        assert recovery_point([shown[one], *built]) == ((WRITER,), 112)
        assert recovery_point([*shown, built[one]]) == ((WRITER,), 112)
    assert recovery_point(built) == ((WRITER, FAILED), 100)


def test_a_writer_that_opened_stays_whoever_comes_later() -> None:
    """It has written: log of the writer before it, beyond its cut, is void."""
    after = [status(each, 180, WRITER, FAILED) for each in ("a1", "b1", "c1")]
    reading = status("a2", 130, WRITER, FAILED, readers(5, 130))
    slept = status("b2", 300, WRITER)
    assert recovery_point([*after, slept]) == ((WRITER, FAILED), 180)
    assert recovery_point([reading, slept, after[0]]) == ((WRITER, FAILED), 180)


def test_a_writer_that_wrote_upon_a_failed_cut_keeps_its_log_where_another_refutes_that_cut() -> (
    None
):
    """Epoch 4 opened on the cut of 2; 3 failed too, and had not met it."""
    third, fourth = Cut(Epoch(3), Lsn(120)), Cut(Epoch(4), Lsn(100))
    wrote = [status(each, 200, WRITER, FAILED, fourth) for each in ("a1", "b1", "c1")]
    assert recovery_point([*wrote, status("a2", 120, WRITER, third)]) == (
        (WRITER, FAILED, fourth),
        200,
    )


def test_the_next_cut_proves_what_the_readers_cut_did_and_takes_its_place() -> None:
    opening = Opening()
    statuses = [status(each, 112, WRITER, readers(3, 112)) for each in SEGMENT_IDS[:4]]
    for each in statuses:
        opening.seen(each)
    for each in statuses:
        segment = Segment(each.segment, each.membership, each.promised, each.history)
        segment.restart(each.scl, each.consistent)
        segment.promise(opening.epoch)
        opening.promised(segment.status())
    assert opening.cut() == (WRITER, Cut(Epoch(4), Lsn(112)))
    failed = status("b1", 100, WRITER, FAILED)
    opened = status("a1", 112, *opening.history)
    assert recovery_point([failed, opened]) == (opening.history, 112)


def test_a_segment_that_showed_less_keeps_its_log_and_takes_the_rest() -> None:
    one = Segment(SegmentId("a2"), promised=Epoch(4), history=(WRITER, readers(4, 112)))
    one.restart(Lsn(112), Lsn(112))
    history = (WRITER, Cut(Epoch(5), Lsn(242)))
    one.adopt(history, Membership())
    assert one.scl == 112
    one.receive_gossip([Batch(Epoch(1), Lsn(112), Lsn(112), Lsn(242), 1, True)], history)
    one.synced(Lsn(242), Epoch(5))
    assert one.scl == 242


def test_on_the_disk_each_half_is_shown_what_it_has_and_the_next_writer_has_both(
    tmp_path: Path,
) -> None:
    start, more, less = Lsn(1000), ("a1", "c1", "c2"), ("a2", "b1", "b2")
    for segment in SEGMENT_IDS:
        mark = Mark(0, start, start, 0, 1)
        SegmentStore.create(tmp_path, VOLUME, segment, mark, Membership(), direct=False).close()
    with opened(tmp_path) as first:
        for segment, store in first.stores.items():
            put(
                store,
                first.position,
                1,
                *((1100, 9000) if segment in more else (1100,)),
                after=1000,
            )
    with opened(tmp_path, *less) as longer:
        assert (longer.read_only, longer.volume.vdl) == (True, 9000)
    for _ in range(2):
        with opened(tmp_path, *more) as shorter:
            assert (shorter.read_only, shorter.volume.vdl) == (True, 1100)
    for segment in SEGMENT_IDS:
        content = (segment_directory(tmp_path, segment) / STATE_FILE).read_bytes()
        assert content.startswith(b"borealis segment 3 ")
        history = SegmentStateFile.decode(content, accept_format_1=False).history
        assert [cut.of_readers for cut in history] == [False, True]
        with pytest.raises(SealBrokenError, match="format 2 or below"):
            unseal("segment", content)  # as an older release reads it
    with opened(tmp_path, "c1", "c2") as writer:
        assert (writer.read_only, writer.volume.vdl) == (False, 9000)
        assert read_all(writer) == wal(1000, 9000, 1)
    with opened(tmp_path) as last:
        assert [store.core.scl for store in last.stores.values()] == [9000] * 6
        assert not any(cut.of_readers for cut in last.volume.history)
    for segment in SEGMENT_IDS:
        content = (segment_directory(tmp_path, segment) / STATE_FILE).read_bytes()
        assert content.startswith(b"borealis segment 2 ")


class Silent:
    def acknowledged(self, segment: SegmentId, epoch: Epoch, scl: Lsn, membership: int) -> None:
        pass

    def refused(self, segment: SegmentId, promised: Epoch) -> None:
        pass


class Halves:
    """Six segments, and whoever comes: each step is over before the next one begins."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        scheduler = Scheduler(seed, None)
        self.nodes: list[Node] = []
        for each in SEGMENT_IDS:
            self.nodes.append(Node(each, scheduler, lambda: self.nodes))
        self.volume: Volume | None = None
        self.log: list[Batch] = []
        self.kept: list[Batch] = []

    def step(self) -> None:
        act = self.rng.choice((self.write, self.open, self.show))
        act()

    def some(self, count: int) -> list[Node]:
        """Often those that hold the most log, or the least: what chance alone gives seldom."""
        nodes = self.rng.sample(self.nodes, len(self.nodes))
        order = self.rng.choice((-1, 0, 1))
        return sorted(nodes, key=lambda node: order * node.core.scl)[:count]

    def open(self) -> None:
        answering = self.some(WRITE_QUORUM)
        opening = Opening()
        for node in answering:
            opening.seen(node.core.status())
        for node in answering:
            opening.promised(node.fence(opening.epoch))
        history = opening.cut()
        adopting = self.rng.sample(answering, self.rng.randint(1, WRITE_QUORUM))
        log = self.agree(adopting, history)
        if len(adopting) < WRITE_QUORUM:
            return  # it died
        assert log[: len(self.kept)] == self.kept, "a writer lost what was shown or acknowledged"
        for node in adopting:
            opening.adopted(node.core.id, node.core.scl)
        self.volume, self.log = opening.volume(), log

    def write(self) -> None:
        if self.volume is None:
            return
        start = self.log[-1].end if self.log else Lsn(0)
        batch = Batch(self.volume.epoch, start, start, Lsn(start + 1), 1, self.rng.random() < 0.8)
        self.log.append(batch)
        self.volume.appended(batch.end, batch.consistent)
        for node in self.rng.sample(self.nodes, self.rng.randint(1, 5)):
            for each in self.log:
                node.receive(Silent(), self.volume.epoch, each)
            node.copy([])
            if node.core.promised == node.core.epoch == self.volume.epoch:
                self.volume.acknowledged(node.core.id, node.core.scl, self.volume.epoch)
        vdl = self.volume.vdl
        self.keep([each for each in self.log if each.end <= vdl])

    def show(self) -> None:
        answering = self.some(READ_QUORUM)
        epoch = Epoch(max(node.core.promised for node in answering) + 1)
        point = read_point([node.fence(epoch) for node in answering], Membership())
        self.keep(self.agree(answering, point.cut(epoch)))

    def agree(self, nodes: list[Node], history: History) -> list[Batch]:
        for node in nodes:
            node.follow(history, Membership())
        best = max(nodes, key=lambda node: node.core.scl)
        log = [each for each in best.durable if each.end <= history[-1].lsn]
        for node in nodes:
            node.copy([each for each in log if each.previous >= node.core.scl])
        return log

    def keep(self, log: list[Batch]) -> None:
        common = min(len(log), len(self.kept))
        assert log[:common] == self.kept[:common], "two logs were shown or acknowledged"
        self.kept = max(self.kept, log, key=len)


def chances(seeds: range) -> None:
    for seed in seeds:
        halves = Halves(seed)
        halves.open()
        for _ in range(40):
            halves.step()


def test_whoever_answers_nothing_that_was_shown_is_lost() -> None:
    chances(range(600))


def newest_alone(histories: Collection[History]) -> History:
    return writers_of(max(histories, key=lambda each: each[-1:], default=()))


def cut_of_a_writer(point: ReadPoint, epoch: Epoch) -> History:
    return (*point.history, Cut(epoch, point.lsn))


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        (durability, newest_not_refuted.__name__, newest_alone),
        (ReadPoint, "cut", cut_of_a_writer),
    ],
)
def test_each_half_of_the_rule_is_needed(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, wrong: object
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(AssertionError, match="lost what was shown"):
        chances(range(600))
