"""A volume as it is open now: its segments' files, the node over them, and the index of its log.

`open` and `reopen` are read-quorum recovery: each raises the epoch. What works on an open volume
(repair, pages, data directories, faults) shares one `Mount`, and meets in it the node of the day.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from cluster_runtime.errors import (
    InvalidClusterStateError,
    QuorumLostError,
    StaleEpochError,
    StorageError,
)
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.faults import Fault
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.quorum import WRITE_QUORUM
from cluster_runtime.storage.core.types import SegmentId, SegmentKind, kind_of
from cluster_runtime.storage.disk.filesystem import HOST_DISK, Disk
from cluster_runtime.storage.disk.page_images import seal_images
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.commit.lanes import IoCounts, Lane
from cluster_runtime.storage.live.commit.writer_link import Attachment
from cluster_runtime.storage.live.cursor import LogCursor, LogIndex
from cluster_runtime.storage.live.node import StorageNode
from cluster_runtime.storage.live.opening import OpenedVolume, open_volume
from cluster_runtime.storage.live.volume_file import find_volume, write_volume_file
from cluster_runtime.storage.streaming.wal_service import WalService

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What is asked for while commits go on, and done on other threads: every call returns at once.

    prepare_file: make the log file that starts at a position. catch_up: bring a segment that missed
    log up to the others. repair_damage: have one take what is behind its first damage from its
    peers. writer_lost: tell whoever attached a writer that its stream ended.
    """

    prepare_file: Callable[[int], None]
    catch_up: Callable[[SegmentId], None]
    repair_damage: Callable[[SegmentId], None]
    writer_lost: Callable[[Attachment, StorageError], None]


class Mount:
    """`node`, `opened` and `index` are there from `open` on, and change with each `reopen`.

    metadata: as the segments have it. format_1: whether some of them may have a state without a
        checksum, which is accepted then.
    changing: held by whoever changes who writes to the volume, or how it is found.
    filling: held by whoever copies log into a segment, or changes which segments there are. It may
        be taken while `changing` is held, never the other way round. leaving: asks for it.
    faults: those that were injected, by segment. service: where standbys are served.
    """

    node: StorageNode
    opened: OpenedVolume
    index: LogIndex

    metadata: VolumeMetadata
    format_1: bool

    def __init__(
        self,
        directory: Path,
        disk: Disk = HOST_DISK,
        *,
        make_node: Callable[..., StorageNode] = StorageNode,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self.disk = disk
        self.clock = clock
        self._make_node = make_node
        self.counts = IoCounts()
        self.faults: dict[SegmentId, Fault] = {}
        self.changing = threading.RLock()
        self.filling = threading.Lock()
        self.leaving = threading.Event()
        self.service: WalService | None = None
        self.closed = False
        self._closed_node: StorageNode | None = None
        self._watchers: set[int] = set()
        self._watch_lock = threading.Lock()
        self._upkeep: Upkeep

    def open(self, upkeep: Upkeep) -> None:
        """Raises QuorumLostError where fewer than three of six segments answer."""
        self._upkeep = upkeep
        self._open()

    def reopen(self) -> None:
        """Open the volume again in place: readers are disconnected, the log ends at the VDL.

        Raises QuorumLostError where fewer than three of six segments answer.
        """
        with self.changing:
            if self.service is not None:
                self.service.disconnect_all()
            self.leaving.set()
            with self.filling:
                self.leaving.clear()
                self.close_node()
                self._open()
            with self._watch_lock:
                for fd in self._watchers:
                    self.node.watch(fd)

    def bring_back(self, *, only_for_writers: bool = False) -> None:
        """Open a volume again that nobody writes to and that ended, or can only be read.

        Segments that were away may be back. only_for_writers: not where faults keep so many away
        that it could only be read again. Raises as `open` does.
        """
        with self.changing:
            useless = self.node.ended or self.opened.read_only
            if self.closed or not useless or self.node.attachment is not None:
                return
            back = [each for each in self.members if not self._is_away(each)]
            enough = self.node.volume.membership.has_quorum(back, WRITE_QUORUM)
            if enough or not only_for_writers:
                self.reopen()

    def _is_away(self, segment: SegmentId) -> bool:
        fault = self.faults.get(segment)
        return fault is not None and fault.unreachable

    def close_node(self) -> None:
        """Close the storage node and the files of its segments. A second call does nothing."""
        if self._closed_node is self.node:
            return
        self.node.close()
        self._closed_node = self.node
        for lane in self.node.lanes:
            store = lane.store
            if lane.live and lane.reachable:
                with suppress(OSError):  # the next opening reads more, and what is left takes space
                    store.note_end(store.end_note())
                    store.give_back()
            store.close()

    @property
    def is_writable(self) -> bool:
        """Whether this process may change the volume, as far as it knows."""
        node = self.node
        if self.closed or node.ended or self.opened.read_only or node.volume.fenced_by is not None:
            return False
        return all(lane.store.promised_now <= node.volume.epoch for lane in node.lanes)

    @property
    def members(self) -> tuple[SegmentId, ...]:
        """The segments of the volume."""
        return self.node.volume.membership.segments

    def lane(self, segment: SegmentId) -> Lane | None:
        """None for a member that is not, or not yet, there."""
        for lane in self.node.lanes:
            if lane.store.id == segment:
                return lane
        return None

    def full_lanes(self) -> list[Lane]:
        """The lanes of full segments that answer."""
        lanes = self.node.lanes
        return [each for each in lanes if each.reachable and is_full(each.store.id)]

    def change_metadata(self, metadata: VolumeMetadata) -> None:
        """Have every segment that answers keep new metadata.

        Raises QuorumLostError where fewer than a write quorum did: then either may be found later.
        """
        node = self.node
        stores = [lane.store for lane in node.lanes]
        known = [self.metadata, *(each.metadata for each in stores if each.metadata is not None)]
        newest = max(known, key=lambda each: each.version)
        metadata = replace(metadata, version=newest.changed_by(node.volume.epoch))
        told = []
        for lane in node.lanes:
            if not lane.reachable:
                continue
            lane.store.metadata = metadata
            try:
                lane.store.persist()
                told.append(lane.store.id)
            except OSError as error:
                failed, where = error, lane
                node.call(lambda where=where, failed=failed: node.fail(where, failed))  # type: ignore[misc]
        if not node.volume.membership.has_quorum(told, WRITE_QUORUM):
            raise QuorumLostError(
                f"only {len(told)} segments could note the change; it takes {WRITE_QUORUM} of "
                "every six. Heal segments and try again"
            )
        self.metadata = metadata
        self._write_copy()

    def _write_copy(self) -> None:
        try:
            write_volume_file(self.disk, self.directory, self.metadata, upgrading=self.format_1)
        except OSError as error:
            _log.warning("the copy of a volume's metadata is not written", error=str(error))

    def put(self, store: SegmentStore, lane: Lane | None) -> None:
        """Have the node work with a segment's files, in a lane whose segment is gone, or a new one.

        It has to catch up. The lane's last store is closed; no write to it may be under way.
        """
        node, fault = self.node, self.faults.get(store.id)

        def put() -> None:
            if lane is None:
                node.join(store).fault = fault
                return
            lane.store.close()
            lane.store, lane.issued, lane.live = store, store.end, False
            lane.damaged = lane.useless = False
            lane.fault, lane.problem, lane.unreachable_since = fault, "", None

        node.call(put)

    def vacant_lane(self) -> Lane | None:
        """A lane whose segment is no member any more."""
        lanes = (lane for lane in self.node.lanes if lane.store.id not in self.members)
        return next(lanes, None)

    def require_writable(self) -> None:
        """Raises InvalidClusterStateError, QuorumLostError or StaleEpochError."""
        if self.closed:
            raise InvalidClusterStateError("the volume is closed")
        if self.opened.read_only:
            raise QuorumLostError(
                "the volume opened with fewer than four of six segments: it can be read, not "
                "written; heal segments and open it again"
            )
        fenced = self.node.volume.fenced_by
        if fenced is not None:
            raise StaleEpochError(
                f"another host opened this volume with epoch {fenced}; this one must stop"
            )

    def cursor(self, lsn: int) -> LogCursor:
        """A reader of the log from an LSN on. Raises LookupError where that has been collected."""
        return LogCursor(self.node, lsn, self.index.start_before(lsn), self._found_damage)

    def watch(self, fd: int) -> None:
        """Have `fd` (non-blocking) written to whenever the volume durable LSN moves."""
        with self._watch_lock:
            self._watchers.add(fd)
            self.node.watch(fd)

    def unwatch(self, fd: int) -> None:
        """Tell a file descriptor no more that the log has grown."""
        with self._watch_lock:
            self._watchers.discard(fd)
            self.node.unwatch(fd)

    def _open(self) -> None:
        unreachable = frozenset(each for each in self.faults if self._is_away(each))
        found = find_volume(self.disk, self.directory, unreachable)
        if found.format_1:
            # From here on an older release leaves it alone.
            write_volume_file(self.disk, self.directory, found.metadata, upgrading=True)
        opened = open_volume(
            self.directory,
            UUID(found.metadata.volume_id),
            timeline=found.metadata.timelines.current,
            unreachable=unreachable,
            direct=True,
            format_1=found.metadata if found.format_1 else None,
            disk=self.disk,
        )
        try:
            index = LogIndex.of(opened.stores.values())
        except QuorumLostError:
            for store in opened.stores.values():
                store.close()
            raise
        if found.format_1:
            for store in opened.stores.values():
                seal_images(store.pages, self.disk)
        kept = [store.metadata for store in opened.stores.values() if store.metadata is not None]
        self.metadata = max(kept, key=lambda each: each.version, default=found.metadata)
        self.format_1 = found.format_1 and len(opened.stores) < len(
            opened.volume.membership.segments
        )
        self._write_copy()
        upkeep = self._upkeep
        node = self._make_node(
            opened.volume,
            list(opened.stores.values()),
            position=opened.position,
            wal_segment_bytes=self.metadata.wal_segment_bytes,
            storage_type=self.metadata.storage_type,
            counts=self.counts,
            prepare=upkeep.prepare_file,
            fell_behind=upkeep.catch_up,
            writer_lost=upkeep.writer_lost,
        )
        for lane in node.lanes:
            lane.fault = self.faults.get(lane.store.id)
            if opened.read_only or lane.store.end != opened.position:
                lane.live = False
        node.start()
        # In this order: a cursor of the old node ends by itself, one without its index would not.
        self.index = index
        self.node, self.opened = node, opened
        for lane in node.lanes:
            if not lane.live and not opened.read_only:
                upkeep.catch_up(lane.store.id)

    def _found_damage(self, store: SegmentStore) -> None:
        self._upkeep.repair_damage(store.id)


def is_full(segment: SegmentId) -> bool:
    """Whether a segment holds pages too."""
    return kind_of(segment) is SegmentKind.FULL
