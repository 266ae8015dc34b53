"""Deliberate bugs, by name: each breaks one rule of the cores, and the simulation must notice.

python -m cluster_runtime.storage.simulation --mutation quorum_of_three
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from cluster_runtime.storage.core import durability, quorum, segment
from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.segment import Action, History, Segment, SegmentStatus
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId
from cluster_runtime.storage.disk import log_files, log_frames, page_images, sealed, segment_store
from cluster_runtime.storage.live import cursor, gossip, opening
from cluster_runtime.storage.simulation.disk import SimulatedDisk
from cluster_runtime.storage.simulation.inodes import Inode
from cluster_runtime.storage.upkeep import repair
from cluster_runtime.storage.upkeep.images import pages

Patch = Callable[[object, str, object], None]


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Have the cores this bug.

    Raises KeyError for a name that there is not, TypeError where the bug cannot be called as what
    it stands for is: the rule has changed, and the bug would break anything but that.
    """
    with ExitStack() as stack:

        def patch(target: object, attribute: str, value: object) -> None:
            _check_fits(value, getattr(target, attribute))
            stack.enter_context(mock.patch.object(target, attribute, value))

        {**MUTATIONS, **DISK_MUTATIONS}[name](patch)
        yield


def _check_fits(bug: object, original: object) -> None:
    if not (callable(bug) and callable(original)):
        return
    parameters = inspect.signature(original).parameters.values()
    named = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    inspect.signature(bug).bind(
        *[None for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD],
        **dict.fromkeys(named),
    )


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


def readers_cut_ends_the_log(patch: Patch) -> None:
    """What one half showed to readers is the end of the log for the next writer."""

    def cut(self: durability.ReadPoint, epoch: Epoch) -> History:
        return (*self.history, segment.Cut(epoch, self.lsn))

    patch(durability.ReadPoint, "cut", cut)


def longest_log_wins(patch: Patch) -> None:
    def recovery_point(statuses: Iterable[SegmentStatus]) -> tuple[History, Lsn]:
        best = max(statuses, key=lambda status: status.scl)
        return best.history, best.consistent

    patch(durability, "recovery_point", recovery_point)


def acknowledgements_of_any_epoch_count(patch: Patch) -> None:
    def acknowledged(self: durability.Volume, segment: SegmentId, scl: Lsn, epoch: Epoch) -> Lsn:
        return original(self, segment, scl, self.epoch)

    original = durability.Volume.acknowledged
    patch(durability.Volume, "acknowledged", acknowledged)


def replacement_finished_without_telling(patch: Patch) -> None:
    def finish(self: durability.Volume) -> quorum.Membership | None:
        candidate = self.membership.with_replacement()
        if candidate.held_by(self.complete) < self.vdl:
            return None
        self.membership = candidate
        return candidate

    patch(durability.Volume, "finish_replacement", finish)


def void_off_by_one(patch: Patch) -> None:
    def is_void(batch: Batch, history: History) -> bool:
        for cut in reversed(history):
            if cut.lsn <= batch.end:
                return cut.epoch > batch.epoch
        return False

    for module in (segment, log_frames, cursor):
        patch(module, "is_void", is_void)


def losses_ignored(patch: Patch) -> None:
    patch(durability.Volume, "lost", lambda self, segment, scl: None)


def promise_not_persisted(patch: Patch) -> None:
    def promise(self: Segment, epoch: Epoch) -> list[Action]:
        actions = original(self, epoch)
        return [Promised()] if actions == [segment.Persist()] else actions

    def on_disk(self: segment_store.SegmentStore, epoch: Epoch) -> SegmentStatus:
        self._reload()
        if original(self.core, epoch) != [segment.Persist()]:
            raise self._stale(epoch)
        self.find_end()
        self.make_durable()
        return self.status()

    original = Segment.promise
    patch(Segment, "promise", promise)
    patch(segment_store.SegmentStore, "promise", on_disk)


class Promised(segment.Persist):
    """As good as the real thing, to whoever asks; only that nothing is made durable."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, segment.Persist)

    __hash__ = None  # type: ignore[assignment]


def older_membership_accepted(patch: Patch) -> None:
    def change(self: Segment, membership: quorum.Membership, writer: Epoch) -> list[Action]:
        if writer < self.promised or writer != self.epoch:
            return [segment.Refuse(self.promised)]
        self.membership = membership
        return [segment.Persist(), segment.Acknowledge(writer, self.scl)]

    def adopt(self: Segment, history: History, membership: quorum.Membership) -> list[Action]:
        actions = original(self, history, membership)
        if history == self.history:
            self.membership = membership
        return actions

    original = Segment.adopt
    patch(Segment, "change_membership", change)
    patch(Segment, "adopt", adopt)


def collection_too_far(patch: Patch) -> None:
    def collect(self: segment_store.SegmentStore, position: int) -> None:
        for file in self.log.files:
            if file.start <= position < file.end:
                self.log.remove_below(file.end)
                return

    def of_core(self: Segment, floor: Lsn) -> Lsn:
        return original(self, Lsn(floor + 64))

    original = Segment.collect
    patch(Segment, "collect", of_core)
    patch(segment_store.SegmentStore, "collect", collect)


def marks_copied_ahead(patch: Patch) -> None:
    def have_file(
        target: segment_store.SegmentStore,
        source: segment_store.SegmentStore,
        position: int,
        chained: Lsn,
        content: bytes = b"",
    ) -> bool:
        mark = source.log.mark(source.log.file_at(position))
        return original(target, source, position, Lsn(mark.lsn) if mark else chained, content)

    original = gossip.have_file
    patch(gossip, "have_file", have_file)
    patch(repair, "have_file", have_file)


def state_without_a_checksum(patch: Patch) -> None:
    patch(sealed, "_head", lambda kind, body, number=2: b"borealis\n")


def one_full_disk_stops_all(patch: Patch) -> None:
    def each(
        stores: dict[SegmentId, object],
        action: Callable[[object], object],
        then: Callable[[object, object], None] = lambda store, result: None,
    ) -> None:
        for store in list(stores.values()):
            then(store, action(store))

    patch(opening, "_each", each)


def opened_at_the_first_try_or_not(patch: Patch) -> None:
    patch(opening, "OPENING_TRIES", 1)


def index_of_the_longest_log_alone(patch: Patch) -> None:
    def of(stores: Iterable[segment_store.SegmentStore]) -> cursor.LogIndex:
        return cursor.LogIndex(max(stores, key=lambda each: each.end))

    patch(cursor.LogIndex, "of", of)


def damaged_images_kept(patch: Patch) -> None:
    def give_up(
        folder: Path, *, below: int, keep: frozenset[int] = frozenset(), disk: SimulatedDisk
    ) -> None:
        whole = {each.redo for each in page_images.images(folder, disk)}
        there = {redo for each in disk.names(folder) if (redo := page_images.redo_of(each))}
        original(folder, below=below, keep=keep | (there - whole), disk=disk)

    original = page_images.give_up_images
    patch(pages, "give_up_images", give_up)


def copied_into_files_of_old_writers(patch: Patch) -> None:
    patch(log_files.SegmentLog, "_renew", lambda self, file, end: file)


def files_of_any_epoch_count(patch: Patch) -> None:
    def add(self: log_files.SegmentLog, *given: object, **named: object) -> log_files.LogFile:
        epoch, self.epoch = self.epoch, 0
        try:
            return original(self, *given, **named)  # type: ignore[arg-type]
        finally:
            self.epoch = epoch

    original = log_files.SegmentLog._make_file
    patch(log_files.SegmentLog, "_make_file", add)


def damage_behind_which_claims_stay(patch: Patch) -> None:
    patch(segment_store.SegmentStore, "drop_behind", lambda self: None)


def found_log_not_synced(patch: Patch) -> None:
    patch(segment_store.SegmentStore, "make_durable", lambda self: None)


def names_not_synced(patch: Patch) -> None:
    def replace(self: SimulatedDisk, path: Path, content: bytes) -> None:
        folder, name = self._tree.place(self._changing(path))
        inode = folder.entries.get(name)
        if not isinstance(inode, Inode):
            inode = Inode()
            folder.put(name, inode)
        inode.content = bytearray()
        inode.write(0, content)

    patch(SimulatedDisk, "replace", replace)


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
        readers_cut_ends_the_log,
        longest_log_wins,
        acknowledgements_of_any_epoch_count,
        replacement_finished_without_telling,
        older_membership_accepted,
    )
}
"""What the network of segments (`run`) notices."""

DISK_MUTATIONS: dict[str, Callable[[Patch], None]] = {
    each.__name__: each
    for each in (
        void_off_by_one,
        losses_ignored,
        promise_not_persisted,
        collection_too_far,
        quorum_of_three,
        marks_copied_ahead,
        state_without_a_checksum,
        one_full_disk_stops_all,
        opened_at_the_first_try_or_not,
        index_of_the_longest_log_alone,
        damaged_images_kept,
        copied_into_files_of_old_writers,
        files_of_any_epoch_count,
        damage_behind_which_claims_stay,
        names_not_synced,
        found_log_not_synced,
    )
}
"""What the volume over disks (`disks`) notices."""
