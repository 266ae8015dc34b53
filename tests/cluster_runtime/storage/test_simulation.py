"""The volume's cores survive 20,000 storms, and the simulation notices when they are wrong."""

from collections.abc import Callable, Iterable, Mapping

import pytest

from cluster_runtime.storage import quorum, segment, volume
from cluster_runtime.storage.batch import Batch
from cluster_runtime.storage.segment import Action, History, Segment, SegmentStatus
from cluster_runtime.storage.simulation import Violation, run_seed
from cluster_runtime.storage.types import Epoch, Lsn, SegmentId

SEEDS = 20_000
CHUNK = 1_000
CAUGHT_WITHIN = 2_000


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_storm_breaks_an_invariant(first: int) -> None:
    promised = sum(run_seed(seed) for seed in range(first, first + CHUNK))
    assert promised > CHUNK * 50, "the storms are so bad that hardly anything was promised"


def test_a_seed_tells_the_same_story_each_time() -> None:
    def story(seed: int) -> list[str]:
        lines: list[str] = []
        run_seed(seed, trace=lines.append)
        return [line.split("(")[0] for line in lines]

    assert story(7) == story(7)
    assert story(7) != story(8)


def run_seeds(count: int) -> None:
    for seed in range(count):
        run_seed(seed)


# Deliberate bugs --------------------------------------------------------------------------------


def quorum_of_three(patch: pytest.MonkeyPatch) -> None:
    def held_by(self: quorum.Membership, complete: Mapping[SegmentId, Lsn], size: int = 3) -> Lsn:
        return original(self, complete, size)

    original = quorum.Membership.held_by
    patch.setattr(quorum.Membership, "held_by", held_by)


def no_epoch_check(patch: pytest.MonkeyPatch) -> None:
    def receive(self: Segment, batch: Batch, writer: Epoch) -> list[Action]:
        return self._take(batch)

    patch.setattr(Segment, "receive", receive)


def no_promise_kept(patch: pytest.MonkeyPatch) -> None:
    def acknowledgement(self: Segment) -> list[Action]:
        return [segment.Acknowledge(self.epoch, self.scl)]

    patch.setattr(Segment, "_acknowledgement", acknowledgement)


def durable_past_a_gap(patch: pytest.MonkeyPatch) -> None:
    def take(self: Segment, batch: Batch) -> list[Action]:
        if batch.end <= self.tail:
            return []
        self._unsynced.append(batch)
        self.tail = batch.end
        return [segment.Write(batch)]

    patch.setattr(Segment, "_take", take)


def durable_at_any_batch(patch: pytest.MonkeyPatch) -> None:
    def appended(self: volume.Volume, end: Lsn, consistent: bool) -> None:
        original(self, end, True)

    original = volume.Volume.appended
    patch.setattr(volume.Volume, "appended", appended)


def cut_too_low(patch: pytest.MonkeyPatch) -> None:
    def recovery_point(statuses: Iterable[SegmentStatus]) -> tuple[History, Lsn]:
        found = list(statuses)
        base, end = original(found)
        return base, min(end, *(status.consistent for status in found))

    original = volume.recovery_point
    patch.setattr(volume, "recovery_point", recovery_point)


def cut_too_high(patch: pytest.MonkeyPatch) -> None:
    def recovery_point(statuses: Iterable[SegmentStatus]) -> tuple[History, Lsn]:
        found = list(statuses)
        base, _ = original(found)
        return base, max(status.scl for status in found)

    original = volume.recovery_point
    patch.setattr(volume, "recovery_point", recovery_point)


def history_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segment, "common_end", lambda one, other: None)


def replacement_counts_at_once(patch: pytest.MonkeyPatch) -> None:
    def finish(self: volume.Volume) -> quorum.Membership:
        self.membership = self.membership.with_replacement()
        return self.membership

    patch.setattr(volume.Volume, "finish_replacement", finish)


@pytest.mark.parametrize(
    "bug",
    [
        quorum_of_three,
        no_epoch_check,
        no_promise_kept,
        durable_past_a_gap,
        durable_at_any_batch,
        cut_too_low,
        cut_too_high,
        history_not_compared,
        replacement_counts_at_once,
    ],
)
def test_a_deliberate_bug_is_caught(
    bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    with pytest.raises(Violation, match=r"--seed \d+ --trace"):
        run_seeds(CAUGHT_WITHIN)
