"""Repair: segments that missed log, or hold damaged log, get it back from their peers.

On a thread of its own: the node asks, and goes on.
"""

import sys
from contextlib import suppress
from functools import partial

from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.types import Lsn, SegmentId
from cluster_runtime.storage.disk.segment_store import SegmentStore, SegmentUnreadableError
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.gossip import begin_again, copy_log, have_file
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.live.opening import align
from cluster_runtime.storage.upkeep.worker import Worker

RETRY_S = 0.2
FRUITLESS_MAX = 25
"""Tries in a row that brought nothing, though peers hold more: then it cannot be mended."""

TRIES_WHILE_COLLECTED = 5
"""How often log is read again that was collected, from its oldest file on, while it was read."""

_log = get_logger(__name__)


class Repair:
    """For one volume; `worker` is its thread."""

    def __init__(self, mount: Mount, worker: Worker) -> None:
        self._mount = mount
        self._worker = worker
        self._asked: set[SegmentId] = set()
        self._fruitless: dict[SegmentId, int] = {}

    def catch_up(self, segment: SegmentId) -> None:
        """Have a segment take what it misses from its peers: once, if asked twice before that."""
        if segment not in self._asked:
            self._asked.add(segment)
            self._worker.put(lambda: self._catch_up(segment))

    def repair_damage(self, segment: SegmentId) -> None:
        """The same, on the thread of repairs."""
        self._worker.put(lambda: self.mend(segment))

    def bring_back(self) -> None:
        """Open the volume again where too few segments answered the last time."""
        self._worker.put(self._mount.bring_back)

    def mend(self, segment: SegmentId) -> None:
        """Have a segment that holds damaged log take what is behind the damage from its peers."""
        _log.warning("a segment's log is damaged", segment=segment)
        for _ in range(TRIES_WHILE_COLLECTED):
            with suppress(LookupError):  # the log begins later by now
                self._mend(segment)
                return
        _log.warning("a segment's log was collected while it was looked at", segment=segment)

    def _catch_up(self, segment: SegmentId) -> None:
        """Bring a segment that missed log up to the others."""
        self._asked.discard(segment)
        with self._mount.filling:
            lane = self._mount.lane(segment)
            if lane is None:
                return
            node, store = self._mount.node, lane.store
            try:
                done = self._fill(lane)
            except SegmentUnreadableError as error:
                _log.warning("a segment is of no use any more", segment=segment, error=str(error))
                lane.useless = True  # it is replaced
                return
            except OSError as error:
                node.post(partial(node.fail, lane, error, store))
                return
            except (LookupError, StorageError) as error:
                _log.warning("a segment could not catch up", segment=segment, error=str(error))
                done = False
            if not done:
                self._worker.put(lambda: self.catch_up(segment), after_s=RETRY_S)

    def _fill(self, lane: Lane) -> bool:
        """Whether the segment takes what comes from now on, or nothing can be done for it.

        Raises OSError where its disk refuses, SegmentUnreadableError where it cannot catch up.
        """
        mount, node = self._mount, self._mount.node
        if lane.live or not lane.reachable or not mount.is_writable:
            return True
        if not lane.store.is_there:
            return True  # it is replaced
        begun = node.call(lambda: node.begin_catching_up(lane))
        if begun is None:
            return False
        volume = node.volume
        if lane.damaged:
            # What lies behind damage still claims to follow it.
            lane.store.drop_behind()
            lane.damaged = False
        if lane.store.core.history != volume.history:
            align(lane.store, volume.history, volume.membership)
            begun = lane.store.end, lane.store.core.scl
        if self._has_other_files(lane):
            lane.store.drop_behind()
        lane.store.log.renew_at(lane.store.end)
        try:
            if not self._copy_until_live(lane, *begun):
                return False
        except LookupError:
            return False  # collected while it was copied
        node.post(_look_again)
        return True

    def _copy_until_live(self, lane: Lane, end: int, tail: Lsn) -> bool:
        """Copy what peers hold behind a position; whether the segment is live after that.

        Log goes on to come meanwhile. So it goes on with that at once, as long as there is less of
        it each time; the segment is live when so little is left that the ring still holds it.
        """
        node, store, leaving = self._mount.node, lane.store, self._mount.leaving.is_set
        sources = self._sources(lane, end)
        if sources and all(each.log.start > end for each in sources):
            begin_again(store, sources[0], node.call)
            end, tail = store.end, store.core.scl

        def copied_more(count: int) -> None:
            node.post(partial(node.intake.copied, count))

        begun, copied, live = end, sys.maxsize, False
        while not live and not leaving():
            before, at = copied, end
            for source in self._sources(lane, end):
                if source.log.start <= end:
                    end, tail = copy_log(
                        store, source, end, tail, source.end, stopped=leaving, copied=copied_more
                    )
            if end >= node.staging.oldest or tail == node.end_lsn:  # it may be live in a moment
                self._have_files_ahead(lane, end, tail)
            live = node.call(partial(node.caught_up, lane, end, tail))
            copied = end - at
            if not 0 < copied < before:
                break
        if live:
            # Once more: one may have been made for the others meanwhile.
            self._have_files_ahead(lane, end, tail)
        if live or end > begun or leaving() or not self._sources(lane, end):
            self._fruitless.pop(store.id, None)
            return live
        self._fruitless[store.id] = tries = self._fruitless.get(store.id, 0) + 1
        if tries > FRUITLESS_MAX:
            del self._fruitless[store.id]
            raise SegmentUnreadableError(
                f"no peer's log goes on from {tail:#x}, where its own ends"
            )
        return False

    def _sources(self, lane: Lane, end: int) -> list[SegmentStore]:
        """Who holds log behind a position: the furthest first."""
        node = self._mount.node
        found = [
            each.store
            for each in node.lanes
            # One that missed this opening may still hold what the opening cut.
            if each.store.core.history == node.volume.history
            and each is not lane
            and each.reachable
            and each.store.end > end
            and each.store.log.files
        ]
        return sorted(found, key=lambda each: each.end, reverse=True)

    def _has_other_files(self, lane: Lane) -> bool:
        """Whether files behind its end are an older epoch's, or begin where no peer's do."""
        history = self._mount.node.volume.history
        peers = (each.store for each in self._mount.node.lanes if each is not lane)
        theirs = {
            file.start
            for store in peers
            if store.core.history == history
            for file in store.log.files
        }
        log, end = lane.store.log, lane.store.end
        return any(
            file.start > end and (file.epoch < log.epoch or file.start not in theirs)
            for file in log.files
        )

    def _have_files_ahead(self, lane: Lane, end: int, tail: Lsn) -> None:
        """Make the files that the others have for what follows a position."""
        live = [each.store for each in self._mount.node.lanes if each.live and each is not lane]
        if live:
            ahead = max(live, key=lambda store: store.log.end)
            for file in ahead.log.files:
                if file.end > end:
                    have_file(lane.store, ahead, file.start, tail)

    def _mend(self, segment: SegmentId) -> None:
        lane = self._mount.lane(segment)
        if lane is None or not lane.reachable or not lane.live or is_whole(lane):
            return
        store = lane.store
        mark = store.log.mark(store.log.files[0])
        if mark is None:
            # Nothing says where its log begins any more, so nothing can be taken behind that.
            lane.useless = True
            return
        good, lsn = store.log.start, Lsn(mark.lsn)
        consistent = lsn
        for frame in store.frames(good, previous=Lsn(mark.lsn), end=store.end):
            good, lsn = frame.end, frame.batch.end
            consistent = lsn if frame.batch.consistent else consistent
        node = self._mount.node
        node.call(lambda: node.lost(lane, good, lsn, consistent))


def is_whole(lane: Lane) -> bool:
    """Whether the segment's log can be read from its first frame to its end."""
    store = lane.store
    end = store.end
    mark = store.log.mark(store.log.files[0])
    if mark is None:
        return False
    reached, lsn = store.log.start, mark.lsn
    for frame in store.frames(reached, previous=Lsn(mark.lsn), end=end):
        reached, lsn = frame.end, frame.batch.end
    if reached >= end:
        return True
    # Between the last frame of an epoch and the file of the next one there may be anything.
    begun = store.log.file_at(end)
    following = store.log.mark(begun)
    return begun.start >= end and following is not None and following.lsn == lsn


def _look_again() -> None:
    """What is posted to make the node look again."""
