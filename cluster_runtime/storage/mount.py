"""A volume as it is open now: its segments' files, the node over them, and the index of its log.

`open` and `reopen` are read-quorum recovery: each raises the epoch. What works on an open volume
(repair, pages, data directories, faults) shares one `Mount`, and meets in it the node of the day.
"""

import threading
from pathlib import Path
from typing import Protocol
from uuid import UUID

from cluster_runtime.errors import (
    InvalidClusterStateError,
    QuorumLostError,
    StaleEpochError,
    StorageError,
)
from cluster_runtime.storage.cursor import LogCursor, LogIndex
from cluster_runtime.storage.facts import VolumeFacts
from cluster_runtime.storage.faults import Fault
from cluster_runtime.storage.node import IoCounts, Lane, StorageNode
from cluster_runtime.storage.opening import OpenedVolume, open_volume
from cluster_runtime.storage.segment_store import SegmentStore
from cluster_runtime.storage.types import SegmentId, SegmentKind, kind_of
from cluster_runtime.storage.wal_service import WalService


class Upkeep(Protocol):
    """What the node asks for and cannot wait for. Every method returns at once."""

    def prepare_file(self, position: int) -> None:
        """Make the log file that starts at a position."""

    def catch_up(self, segment: SegmentId) -> None:
        """Bring a segment that missed log up to the others."""

    def repair_damage(self, segment: SegmentId) -> None:
        """Have a segment take everything behind its first damage from its peers."""

    def writer_lost(self, error: StorageError) -> None:
        """Tell whoever attached the writer that its stream ended."""


class Mount:
    """`node`, `opened` and `index` are there from `open` on, and change with each `reopen`.

    changing: held by whoever changes what the volume consists of, or who writes to it.
    faults: those that were injected, by segment. service: where standbys are served.
    writer_sockets: the socket directory of the writer that was attached last.
    """

    node: StorageNode
    opened: OpenedVolume
    index: LogIndex

    def __init__(self, directory: Path, facts: VolumeFacts) -> None:
        self.directory = directory
        self.facts = facts
        self.counts = IoCounts()
        self.faults: dict[SegmentId, Fault] = {}
        self.changing = threading.RLock()
        self.service: WalService | None = None
        self.writer_sockets: Path | None = None
        self.closed = False
        self._watchers: set[int] = set()
        self._watch_lock = threading.Lock()
        self._upkeep: Upkeep

    def open(self, upkeep: Upkeep) -> None:
        """Raises QuorumLostError where fewer than three of six segments answer."""
        self._upkeep = upkeep
        self._open()

    def reopen(self) -> None:
        """Open the volume anew in place: readers are disconnected, the log ends at the VDL.

        Raises QuorumLostError where fewer than three of six segments answer.
        """
        with self.changing:
            if self.service is not None:
                self.service.disconnect_all()
            self.close_node()
            self._open()
            with self._watch_lock:
                for fd in self._watchers:
                    self.node.watch(fd)

    def close_node(self) -> None:
        self.node.close()
        for lane in self.node.lanes:
            lane.store.close()

    @property
    def members(self) -> tuple[SegmentId, ...]:
        return self.node.volume.membership.segments

    def lane(self, segment: SegmentId) -> Lane | None:
        """None for a member that was away when the volume was opened."""
        for lane in self.node.lanes:
            if lane.store.id == segment:
                return lane
        return None

    def full_lanes(self) -> list[Lane]:
        """The lanes of full segments that answer."""
        lanes = self.node.lanes
        return [each for each in lanes if each.reachable and is_full(each.store.id)]

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
        with self._watch_lock:
            self._watchers.discard(fd)
            self.node.unwatch(fd)

    def _open(self) -> None:
        unreachable = frozenset(
            segment for segment, fault in self.faults.items() if fault.unreachable
        )
        opened = open_volume(
            self.directory,
            UUID(self.facts.volume_id),
            timeline=self.facts.timelines.current,
            unreachable=unreachable,
            direct=True,
        )
        upkeep = self._upkeep
        node = StorageNode(
            opened.volume,
            list(opened.stores.values()),
            position=opened.position,
            wal_segment_bytes=self.facts.wal_segment_bytes,
            storage_type=self.facts.storage_type,
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
        self.node, self.opened = node, opened
        self.index = LogIndex(max(opened.stores.values(), key=lambda store: store.end))
        for lane in node.lanes:
            if not lane.live and not opened.read_only:
                upkeep.catch_up(lane.store.id)

    def _found_damage(self, store: SegmentStore) -> None:
        self._upkeep.repair_damage(store.id)


def is_full(segment: SegmentId) -> bool:
    """Whether a segment holds pages too."""
    return kind_of(segment) is SegmentKind.FULL
