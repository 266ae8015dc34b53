"""Log files made ahead of need, and their marks written behind it.

On a thread that does nothing longer than a file: commits wait for the next file once this one is
full.
"""

import threading
from functools import partial

from cluster_runtime.storage.core.types import SegmentId
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.live.node import StorageNode
from cluster_runtime.storage.upkeep.worker import Worker

NOTE_EVERY_BYTES = 1 << 20
"""Of log in a segment between two notes of where it ends."""


class FilePreparation:
    """For one volume; `worker` is its thread."""

    def __init__(self, mount: Mount, worker: Worker) -> None:
        self._mount = mount
        self._worker = worker
        self._marking = threading.Lock()
        self._noted: dict[SegmentId, int] = {}
        self._unmarked: list[tuple[Mark, set[SegmentId]]] = []

    def prepare_file(self, position: int) -> None:
        """Have the file at a log position made before it is needed."""
        self._worker.put(lambda: self._prepare_file(position))

    def write_marks(self) -> None:
        """Write the marks of log files that were begun, in the segments that have come so far."""
        mount, node = self._mount, self._mount.node
        with self._marking:
            marks = node.head.marks
            while marks:
                mark = marks.popleft()
                mount.index.add(mark.lsn, mark.position)
                self._unmarked.append((mark, {lane.store.id for lane in node.lanes}))
            for mark, segments in self._unmarked:
                for lane in node.lanes:
                    if lane.store.id in segments and self._mark(lane, mark):
                        segments.remove(lane.store.id)
            self._unmarked = [each for each in self._unmarked if each[1]]

    def note_ends(self) -> None:
        """Note where the segments' logs end now, where that has moved much since the last time.

        Of what came later, an opening after the sudden end of this process has to read it all.
        """
        node = self._mount.node
        if node.ended or not self._mount.is_writable:
            return
        ends = node.call(
            lambda: [(lane, lane.store.end_note()) for lane in node.lanes if lane.live]
        )
        for lane, note in ends:
            if abs(note.position - self._noted.get(lane.store.id, 0)) < NOTE_EVERY_BYTES:
                continue
            try:
                lane.store.note_end(note)
            except OSError as error:
                node.post(partial(node.fail, lane, error, lane.store))
            self._noted[lane.store.id] = note.position

    def _mark(self, lane: Lane, mark: Mark) -> bool:
        """Whether nothing is left to do for this mark in this segment."""
        node, store = self._mount.node, lane.store
        try:
            return store.set_mark(mark)
        except LookupError:
            return True  # collected
        except OSError as error:
            node.post(partial(node.fail, lane, error, store))
            return True

    def _prepare_file(self, position: int) -> None:
        """Make the next log file of each live segment, and write the marks that are due."""
        node = self._mount.node
        # Once more for those that caught up meanwhile: they copy only files that were there.
        for lane in (*node.lanes, *node.lanes):
            store = lane.store
            if not lane.live or store.log.end != position:
                continue
            try:
                store.log.add_file(position)
            except OSError as error:
                node.post(partial(node.fail, lane, error, store))
        node.post(lambda: _rest(node))
        self.write_marks()


def _rest(node: StorageNode) -> None:
    """On the node's thread, which looks again after that: let go of files that are full."""
    for lane in node.lanes:
        if lane.live:
            lane.store.log.rest_below(lane.store.end)
