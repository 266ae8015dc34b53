"""Repair: segments that missed log, or hold damaged log, get it back from their peers.

On a thread of its own: the node asks, and goes on.
"""

from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.types import Lsn, SegmentId
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.live.gossip import copy_log, have_file
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.live.node import Lane
from cluster_runtime.storage.live.opening import align
from cluster_runtime.storage.upkeep.worker import Worker

RETRY_S = 0.2

_log = get_logger(__name__)


class Repair:
    """For one volume; `worker` is its thread."""

    def __init__(self, mount: Mount, worker: Worker) -> None:
        self._mount = mount
        self._worker = worker

    def catch_up(self, segment: SegmentId) -> None:
        """Have a segment take what it misses from its peers."""
        self._worker.put(lambda: self._catch_up(segment))

    def repair_damage(self, segment: SegmentId) -> None:
        """The same, on the thread of repairs."""
        self._worker.put(lambda: self.mend(segment))

    def bring_back(self) -> None:
        """Open the volume again where too few segments answered the last time."""
        self._worker.put(self._bring_back)

    def mend(self, segment: SegmentId) -> None:
        """Have a segment that holds damaged log take what is behind the damage from its peers."""
        _log.warning("a segment's log is damaged", segment=segment)
        self._mend(segment)

    def _catch_up(self, segment: SegmentId) -> None:
        """Bring a segment that missed log up to the others."""
        with self._mount.filling:
            if not self._fill(segment):
                self._worker.put(lambda: self._catch_up(segment), after_s=RETRY_S)

    def _fill(self, segment: SegmentId) -> bool:
        """Whether the segment takes what comes from now on, or nothing can be done for it."""
        mount, node, lane = self._mount, self._mount.node, self._mount.lane(segment)
        if lane is None or lane.live or not lane.reachable or not mount.is_writable:
            return True
        if not lane.store.is_there:
            return True  # it is replaced
        begun = node.call(lambda: node.begin_catching_up(lane))
        if begun is None:
            return False
        volume = node.volume
        if lane.store.core.history != volume.history:
            align(lane.store, volume.history, volume.membership)
            begun = lane.store.end, lane.store.core.scl
        end, tail = begun
        stopped = mount.leaving.is_set
        try:
            for source in sorted(node.lanes, key=lambda each: each.store.end, reverse=True):
                if source is not lane and source.reachable and source.store.end > end:
                    store, limit = source.store, source.store.end
                    end, tail = copy_log(lane.store, store, end, tail, limit, stopped=stopped)
            self._have_files_ahead(lane, end)
        except LookupError:
            return False  # collected while it was copied
        except OSError as error:
            failed = error
            node.call(lambda: node.fail(lane, failed))
            return True
        if not node.call(lambda: node.caught_up(lane, end, tail)):
            return False
        # Once more: one may have been made for the others meanwhile.
        self._have_files_ahead(lane, end)
        node.post(_look_again)
        return True

    def _have_files_ahead(self, lane: Lane, end: int) -> None:
        """Make the files that the others have for what follows a position."""
        live = [each.store for each in self._mount.node.lanes if each.live and each is not lane]
        if live:
            ahead = max(live, key=lambda store: store.log.end)
            for file in ahead.log.files:
                if file.end > end:
                    have_file(lane.store, ahead, file.start)

    def _bring_back(self) -> None:
        mount = self._mount
        with mount.changing:
            useless = mount.node.ended or mount.opened.read_only
            if useless and not mount.closed and not mount.node.attached:
                mount.reopen()

    def _mend(self, segment: SegmentId) -> None:
        lane = self._mount.lane(segment)
        if lane is None or not lane.reachable or not lane.live or is_whole(lane):
            return
        store = lane.store
        mark = store.log.mark(store.log.files[0])
        good, lsn = store.log.start, _lsn_of(mark) or Lsn(0)
        consistent = lsn
        for frame in store.frames(good, previous=_lsn_of(mark), end=store.end):
            good, lsn = frame.end, frame.batch.end
            consistent = lsn if frame.batch.consistent else consistent
        node = self._mount.node
        node.call(lambda: node.lost(lane, good, lsn, consistent))


def is_whole(lane: Lane) -> bool:
    """Whether the segment's log can be read from its first frame to its end."""
    store = lane.store
    end = store.end
    mark = store.log.mark(store.log.files[0])
    reached, lsn = store.log.start, mark.lsn if mark is not None else None
    for frame in store.frames(reached, previous=_lsn_of(mark), end=end):
        reached, lsn = frame.end, frame.batch.end
    if reached >= end:
        return True
    # Between the last frame of an epoch and the file of the next one there may be anything.
    begun = store.log.file_at(end)
    following = store.log.mark(begun)
    return begun.start >= end and following is not None and following.lsn == lsn


def _look_again() -> None:
    """What is posted to make the node look again."""


def _lsn_of(mark: Mark | None) -> Lsn | None:
    return Lsn(mark.lsn) if mark is not None else None
