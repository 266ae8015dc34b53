"""Repair: segments that missed log, or hold damaged log, get it back from their peers.

On a thread of its own: the node asks, and goes on. Log files are made here too, ahead of need.
"""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.gossip import copy_log
from cluster_runtime.storage.log_files import FILE_BYTES, Mark
from cluster_runtime.storage.mount import Mount
from cluster_runtime.storage.node import Lane
from cluster_runtime.storage.opening import align
from cluster_runtime.storage.types import Lsn, SegmentId

RETRY_S = 0.2

_log = get_logger(__name__)


class Repair:
    """Works for one volume from `start` to `close`."""

    def __init__(self, mount: Mount, writer_lost: Callable[[StorageError], None]) -> None:
        self._mount = mount
        self._writer_lost = writer_lost
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._marking = threading.Lock()
        self._unmarked: list[tuple[Mark, set[SegmentId]]] = []
        self._thread = threading.Thread(target=self._run, name="borealis-gossip", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Finish what was asked for until now. The caller must not hold the mount's lock."""
        self._work.put(None)
        self._thread.join()

    def prepare_file(self, position: int) -> None:
        self._work.put(lambda: self._prepare_file(position))

    def catch_up(self, segment: SegmentId) -> None:
        self._work.put(lambda: self._catch_up(segment))

    def repair_damage(self, segment: SegmentId) -> None:
        _log.warning("a segment's log is damaged", segment=segment)
        self._work.put(lambda: self._repair_damage(segment))

    def writer_lost(self, error: StorageError) -> None:
        self._work.put(lambda: self._writer_lost(error))

    def bring_back(self) -> None:
        """Take in segments that were away when the volume was opened."""
        self._work.put(self._bring_back)

    def scrub(self) -> list[SegmentId]:
        """Verify every frame of every segment; damaged ones are repaired from their peers."""
        damaged = []
        for lane in self._mount.node.lanes:
            if lane.reachable and lane.live and not _is_whole(lane):
                damaged.append(lane.store.id)
                _log.warning("a segment's log is damaged", segment=lane.store.id)
                self._repair_damage(lane.store.id)
        return damaged

    def write_marks(self) -> None:
        """Write the marks of log files that were begun, in the segments that have come so far."""
        mount, node = self._mount, self._mount.node
        with self._marking:
            while node.marks:
                mark = node.marks.popleft()
                mount.index.add(mark.lsn, mark.position)
                self._unmarked.append((mark, {lane.store.id for lane in node.lanes}))
            for mark, segments in self._unmarked:
                for lane in node.lanes:
                    if lane.store.id in segments and lane.store.end > mark.position:
                        segments.remove(lane.store.id)
                        with suppress(LookupError):
                            file = lane.store.log.file_at(mark.position)
                            lane.store.log.set_mark(file, mark)
            self._unmarked = [each for each in self._unmarked if each[1]]

    # on its thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except (OSError, LookupError, StorageError) as error:
                _log.warning("background work of a volume failed", error=str(error))

    def _again(self, work: Callable[[], None]) -> None:
        timer = threading.Timer(RETRY_S, self._work.put, (work,))
        timer.daemon = True
        timer.start()

    def _prepare_file(self, position: int) -> None:
        """Make the next log file of each live segment, and write the marks that are due."""
        node = self._mount.node
        for lane in node.lanes:
            if not lane.live or lane.store.log.end != position:
                continue
            try:
                lane.store.log.add_file(position, FILE_BYTES)
            except OSError as error:
                node.post(lambda lane=lane, error=error: node.fail(lane, error))  # type: ignore[misc]
        node.post(_look_again)
        self.write_marks()

    def _catch_up(self, segment: SegmentId) -> None:
        """Bring a segment that missed log up to the others."""
        node, lane = self._mount.node, self._mount.lane(segment)
        if lane is None or lane.live or not lane.reachable or self._mount.opened.read_only:
            return
        begun = node.call(lambda: node.begin_catching_up(lane))
        if begun is None:
            self._again(lambda: self._catch_up(segment))
            return
        volume = node.volume
        if lane.store.core.history != volume.history:
            align(lane.store, volume.history, volume.membership)
            begun = lane.store.end, lane.store.core.scl
        position, lsn = begun
        try:
            for source in sorted(node.lanes, key=lambda each: each.store.end, reverse=True):
                if source is not lane and source.reachable and source.store.end > position:
                    position, lsn = copy_log(
                        lane.store, source.store, position, lsn, source.store.end
                    )
        except OSError as error:
            failed = error
            node.call(lambda: node.fail(lane, failed))
            return
        end, tail = position, lsn
        if not node.call(lambda: node.caught_up(lane, end, tail)):
            self._again(lambda: self._catch_up(segment))

    def _bring_back(self) -> None:
        mount = self._mount
        with mount.changing:
            away = [each for each in mount.members if mount.lane(each) is None]
            if (away or mount.node.ended) and not mount.closed and not mount.node.attached:
                # A writer that is attached goes on without them; they join at the next opening.
                mount.reopen()

    def _repair_damage(self, segment: SegmentId) -> None:
        lane = self._mount.lane(segment)
        if lane is None or not lane.reachable or not lane.live or _is_whole(lane):
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


def _is_whole(lane: Lane) -> bool:
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


def _lsn_of(mark: Mark | None) -> Lsn | None:
    return Lsn(mark.lsn) if mark is not None else None


def _look_again() -> None:
    """What is posted to make the node look again."""
