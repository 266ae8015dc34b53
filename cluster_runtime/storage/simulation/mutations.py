"""Deliberate bugs, by name: each breaks one rule of the cores, and the simulation must notice.

python -m cluster_runtime.storage.simulation --mutation quorum_of_three
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from unittest import mock

from cluster_runtime.storage.core import durability, quorum, segment
from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.segment import Action, History, Segment, SegmentStatus
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId

Patch = Callable[[object, str, object], None]


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Have the cores this bug. Raises KeyError for a name that there is not."""
    with ExitStack() as stack:

        def patch(target: object, attribute: str, value: object) -> None:
            stack.enter_context(mock.patch.object(target, attribute, value))

        MUTATIONS[name](patch)
        yield


def quorum_of_three(patch: Patch) -> None:
    """Three segments are enough to acknowledge a write."""

    def held_by(self: quorum.Membership, complete: Mapping[SegmentId, Lsn], size: int = 3) -> Lsn:
        return original(self, complete, size)

    original = quorum.Membership.held_by
    patch(quorum.Membership, "held_by", held_by)


def no_epoch_check(patch: Patch) -> None:
    """A segment takes batches of a writer that was replaced."""

    def receive(self: Segment, batch: Batch, writer: Epoch) -> list[Action]:
        return self._take(batch)

    patch(Segment, "receive", receive)


def no_promise_kept(patch: Patch) -> None:
    """A segment acknowledges to the old writer after it promised a new epoch."""

    def acknowledgement(self: Segment) -> list[Action]:
        return [segment.Acknowledge(self.epoch, self.scl)]

    patch(Segment, "_acknowledgement", acknowledgement)


def durable_past_a_gap(patch: Patch) -> None:
    """A segment counts log behind a gap as complete."""

    def take(self: Segment, batch: Batch) -> list[Action]:
        if batch.end <= self.tail:
            return []
        self._unsynced.append(batch)
        self.tail = batch.end
        return [segment.Write(batch)]

    patch(Segment, "_take", take)


def durable_at_any_batch(patch: Patch) -> None:
    """The VDL may lie inside a record."""

    def appended(self: durability.Volume, end: Lsn, consistent: bool) -> None:
        original(self, end, True)

    original = durability.Volume.appended
    patch(durability.Volume, "appended", appended)


def cut_too_low(patch: Patch) -> None:
    """An opening cuts the log one batch too low."""

    def recovery_point(statuses: Iterable[SegmentStatus]) -> tuple[History, Lsn]:
        found = list(statuses)
        base, end = original(found)
        return base, min(end, *(status.consistent for status in found))

    original = durability.recovery_point
    patch(durability, "recovery_point", recovery_point)


def cut_too_high(patch: Patch) -> None:
    """An opening cuts the log at the longest segment, whatever its history."""

    def recovery_point(statuses: Iterable[SegmentStatus]) -> tuple[History, Lsn]:
        found = list(statuses)
        base, _ = original(found)
        return base, max(status.scl for status in found)

    original = durability.recovery_point
    patch(durability, "recovery_point", recovery_point)


def history_not_compared(patch: Patch) -> None:
    """Logs of different histories are taken for one."""
    patch(segment, "common_end", lambda one, other: None)


def replacement_counts_at_once(patch: Patch) -> None:
    """A replacement counts before it holds everything durable."""

    def finish(self: durability.Volume) -> quorum.Membership:
        self.membership = self.membership.with_replacement()
        return self.membership

    patch(durability.Volume, "finish_replacement", finish)


def readers_leave_no_cut(patch: Patch) -> None:
    """An opening for readers leaves no cut behind."""

    def cut(self: durability.ReadPoint, epoch: Epoch) -> History:
        return self.history or (segment.Cut(Epoch(0), self.lsn),)

    patch(durability.ReadPoint, "cut", cut)


MUTATIONS: dict[str, Callable[[Patch], None]] = {
    each.__name__: each
    for each in (
        quorum_of_three,
        no_epoch_check,
        no_promise_kept,
        durable_past_a_gap,
        durable_at_any_batch,
        cut_too_low,
        cut_too_high,
        history_not_compared,
        replacement_counts_at_once,
        readers_leave_no_cut,
    )
}
