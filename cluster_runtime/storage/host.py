"""One cluster's storage volume as the runtime uses it.

    volume = StorageVolume.create(directory, template, user=..., system_identifier=...)
    volume.rebuild(data_directory)            # pages and log -> a data directory
    postmaster.start(settings | WRITER_SETTINGS)
    volume.attach_writer(socket_directory, superuser)     # from here on commits return
    ...
    volume.detach_writer(); volume.close()

Every method may be called from any thread, and blocks; none runs on an event loop.
"""

import json
import queue
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self
from uuid import UUID

import psycopg

from cluster_runtime.engine.control_file import set_system_identifier
from cluster_runtime.engine.files import copy_tree, remove_tree
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.os_user import OsUser
from cluster_runtime.engine.settings import Settings
from cluster_runtime.errors import (
    InvalidClusterStateError,
    QuorumLostError,
    StaleEpochError,
    StorageError,
)
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.coalescer import (
    COALESCE_LOG_BYTES,
    COALESCE_SHARE,
    Coalescer,
    CoalescingThread,
)
from cluster_runtime.storage.compute_directory import (
    Claim,
    ControlFile,
    boot_id,
    mark_in_production,
    recover_along_timelines,
    write_wal,
)
from cluster_runtime.storage.cursor import LogCursor, LogIndex
from cluster_runtime.storage.faults import (
    WRITER,
    Fault,
    FaultKind,
    check_writer_fault,
    segments_of,
)
from cluster_runtime.storage.gossip import copy_log
from cluster_runtime.storage.log_files import FILE_BYTES, Mark, write_durably
from cluster_runtime.storage.node import IoCounts, Lane, StorageNode, StorageType
from cluster_runtime.storage.opening import OpenedVolume, align, open_volume
from cluster_runtime.storage.page_images import PageImage, images, make_image, remove_images
from cluster_runtime.storage.quorum import Membership
from cluster_runtime.storage.replication import ReplicationClient
from cluster_runtime.storage.segment_store import SegmentStore
from cluster_runtime.storage.timelines import Timelines
from cluster_runtime.storage.types import (
    SEGMENT_IDS,
    Epoch,
    Lsn,
    SegmentId,
    SegmentKind,
    SegmentState,
    az_of,
    kind_of,
)
from cluster_runtime.storage.wal_protocol import LogFacts
from cluster_runtime.storage.wal_records import format_lsn
from cluster_runtime.storage.wal_service import WalService

WRITER_SETTINGS: Settings = {
    "fsync": False,
    "full_page_writes": False,
    "synchronous_standby_names": "storage",
    "synchronous_commit": "on",
    "restart_after_crash": False,
    "wal_recycle": True,
    "wal_init_zero": False,
}
"""What a writer on a volume runs with. Its directory is a cache, so nothing of it is synced; a
crashed backend ends it, because a directory that a crash left is rebuilt and not recovered."""

COALESCER = "coalescer"
VOLUME_FILE = "volume.json"
RETRY_S = 0.2
DATABASE_PAGE_BYTES = 8192

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """What never changes of a volume, its timelines and storage type apart."""

    volume_id: str
    system_identifier: int
    start_lsn: int
    wal_segment_bytes: int
    server_version: str
    storage_type: StorageType
    timelines: Timelines = field(default_factory=Timelines)

    def write(self, directory: Path) -> None:
        write_durably(directory / VOLUME_FILE, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, directory: Path) -> "VolumeFacts":
        """Raises StorageError where the file is missing or unreadable."""
        try:
            facts = json.loads((directory / VOLUME_FILE).read_text())
            lines = facts.pop("timelines")
            ended = tuple((int(each), int(lsn)) for each, lsn in lines["ended"])
            return cls(**facts, timelines=Timelines(lines["current"], ended))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{directory} holds no readable volume: {error}") from error


@dataclass(frozen=True, slots=True)
class SegmentDescription:
    """One segment. scl: segment complete LSN. bytes: on disk, log and pages."""

    id: SegmentId
    az: str
    kind: SegmentKind
    state: SegmentState
    scl: Lsn
    bytes: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class VolumeDescription:
    """A volume now. LSNs are byte positions in the WAL."""

    volume_id: str
    storage_type: StorageType
    epoch: Epoch
    vcl: Lsn
    vdl: Lsn
    writable: bool
    segments: tuple[SegmentDescription, ...]
    image_lsn: Lsn
    log_bytes_since_image: int
    io: IoCounts


class StorageVolume:
    """Six segments in three zones, and what serves them in this process."""

    def __init__(self, directory: Path, facts: VolumeFacts, base_image: Path, user: OsUser) -> None:
        self.directory = directory
        self.facts = facts
        self._base_image = base_image
        self._user = user
        self._faults: dict[SegmentId, Fault] = {}
        self._changing = threading.RLock()
        self._watchers: set[int] = set()
        self._watch_lock = threading.Lock()
        self._service: WalService | None = None
        self._timers: set[threading.Timer] = set()
        self._writer_lost: Callable[[StorageError], None] = _log_loss
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closed = False
        self._counts = IoCounts()
        self._superuser = ""
        self._writer_at: Path | None = None
        self._coalescer: Coalescer | None = None
        self._coalescing: CoalescingThread | None = None
        self._coalescing_lock = threading.Lock()
        self._marking = threading.Lock()
        self._unmarked: list[tuple[Mark, set[SegmentId]]] = []
        self._node, self._opened = self._open()
        self._index = self._make_index()
        self._worker = threading.Thread(target=self._serve_work, name="borealis-gossip")
        self._worker.daemon = True
        self._worker.start()

    # life -------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        directory: Path,
        volume_id: UUID,
        base_image: Path,
        *,
        user: OsUser,
        system_identifier: int,
        server_version: str,
        wal_segment_bytes: int,
        storage_type: StorageType = "aurora",
    ) -> Self:
        """Make a volume whose pages are those of `base_image`, a cleanly stopped data directory.

        The base image is shared with other volumes and only ever read; it must stay where it is.
        Raises FileExistsError where the directory is there already.
        """
        control = ControlFile.read(base_image)
        start = control.redo - control.redo % wal_segment_bytes
        directory.mkdir(parents=True)
        try:
            mark = Mark(0, start, start, 0, control.timeline)
            for segment in SEGMENT_IDS:
                SegmentStore.create(
                    directory, volume_id, segment, mark, Membership(), direct=False
                ).close()
            facts = VolumeFacts(
                str(volume_id),
                system_identifier,
                start,
                wal_segment_bytes,
                server_version,
                storage_type,
                Timelines(control.timeline),
            )
            facts.write(directory)
            return cls(directory, facts, base_image, user)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    @classmethod
    def open(cls, directory: Path, base_image: Path, *, user: OsUser) -> Self:
        """Open a volume: read-quorum recovery, a new epoch on a write quorum.

        With three of six segments it opens for reading alone. Raises QuorumLostError with fewer.
        """
        return cls(directory, VolumeFacts.read(directory), base_image, user)

    def close(self) -> None:
        """Let writer and readers go and close the segments' files."""
        if self._coalescing is not None:
            self._coalescing.close()
        with self._changing:
            if self._closed:
                return
            self._closed = True
            for timer in self._timers:
                timer.cancel()
            if self._service is not None:
                self._service.close()
        # Its work may wait for the lock.
        self._work.put(None)
        self._worker.join()
        with self._changing:
            self._close_node()

    # writer -----------------------------------------------------------------------------------

    def attach_writer(
        self,
        socket_directory: Path,
        superuser: str,
        lost: Callable[[StorageError], None] | None = None,
    ) -> None:
        """Become the synchronous standby of a running writer; its commits return from now on.

        lost: called, on another thread, when the stream ends without `detach_writer`.
        Raises QuorumLostError while the volume is read-only, StaleEpochError once another host
        has opened it, StorageError for a server that does not continue this volume's log.
        """
        with self._changing:
            self._require_writable()
            node = self._node
            client = ReplicationClient(str(socket_directory), superuser)
            try:
                system = client.identify()
                if system.system_identifier != self.facts.system_identifier:
                    raise StorageError(
                        f"the server in {socket_directory} has system identifier "
                        f"{system.system_identifier}, not this volume's "
                        f"{self.facts.system_identifier}; it belongs to another cluster"
                    )
                self._follow_timeline(client, system.timeline)
                start = node.end_lsn
                if system.flushed < start:
                    raise StorageError(
                        f"the server's log ends at {format_lsn(system.flushed)}, the volume's at "
                        f"{format_lsn(start)}; rebuild its data directory"
                    )
                client.start(start, system.timeline)
                self._writer_lost = lost or _log_loss
                self._writer_at, self._superuser = socket_directory, superuser
                node.call(lambda: node.attach(client, system.timeline))
            except BaseException:
                client.close()
                raise

    def detach_writer(self) -> None:
        """Stop to follow the writer. Commits wait from now on; stop the server before this."""
        node = self._node
        node.call(node.detach)

    @property
    def attached(self) -> bool:
        return self._node.attached

    def wait_durable(self, lsn: int, timeout_s: float) -> bool:
        """Wait until the volume durable LSN has reached an LSN."""
        deadline = time.monotonic() + timeout_s
        while self._node.volume.vdl < lsn:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    # data directories -------------------------------------------------------------------------

    def trusts(self, data_directory: Path) -> bool:
        """Whether a data directory may be started as it is: see `compute_directory`."""
        claim = Claim.read(data_directory)
        return claim == Claim(self.facts.volume_id, boot_id(), int(self._node.volume.vdl))

    def claim(self, data_directory: Path) -> None:
        """Note that a server uses a directory now: an unclean end leaves it untrusted."""
        Claim(self.facts.volume_id, boot_id(), None).write(data_directory)

    def release(self, data_directory: Path) -> None:
        """Note that the server over a directory has stopped cleanly, and all its log is here."""
        node = self._node
        if node.end_lsn == node.volume.vdl:
            Claim(self.facts.volume_id, boot_id(), int(node.volume.vdl)).write(data_directory)

    def rebuild(self, data_directory: Path) -> None:
        """Replace a data directory by the newest page image and the log up to the VDL.

        The next server over it replays that log and writes on behind it, as this volume's next
        writer. Anything the last writer had not made durable is cut off, under a new epoch. Where
        the log changes its timeline behind the image, that server begins a timeline of its own.
        """
        with self._changing:
            self.recover()
            self._require_writable()
            remove_tree(data_directory)
            redo = self._lay_out_pages(data_directory)
            if self._lay_out_log(data_directory, redo):
                if self.facts.timelines.at(redo) == self.facts.timelines.current:
                    mark_in_production(data_directory)
                else:
                    recover_along_timelines(data_directory, self._user)
            self.claim(data_directory)

    def lay_out_standby(self, data_directory: Path, superuser: str) -> dict[str, str | bool]:
        """Make the data directory of a hot standby; return the settings that it needs.

        It follows the log through the WAL service, and never sees anything past the VDL.
        """
        with self._changing:
            remove_tree(data_directory)
            redo = self._lay_out_pages(data_directory)
            self._lay_out_log(data_directory, redo)
            signal = data_directory / "standby.signal"
            signal.touch(0o600)
            self._user.own(signal)
        return {
            "primary_conninfo": f"{self.wal_conninfo} user={superuser} "
            f"application_name={data_directory.name}",
            "hot_standby": True,
            "fsync": False,
            "recovery_target_timeline": "latest",
        }

    # readers ----------------------------------------------------------------------------------

    def serve_wal(self, socket_directory: Path) -> None:
        """Serve standbys on a socket in a private directory until the volume is closed."""
        with self._changing:
            if self._service is None:
                self._service = WalService(self, socket_directory, self._user)

    @property
    def wal_conninfo(self) -> str:
        """`primary_conninfo` of this volume's standbys, without a user."""
        if self._service is None:
            raise InvalidClusterStateError("the WAL service does not run; call serve_wal first")
        return self._service.conninfo

    def log_facts(self) -> LogFacts:
        facts = self.facts
        return LogFacts(
            facts.system_identifier,
            facts.timelines,
            self._index.oldest,
            self._node.volume.vdl,
            facts.wal_segment_bytes,
            facts.server_version,
        )

    def cursor(self, lsn: int) -> LogCursor:
        """A reader of the log from an LSN on. Raises LookupError where that has been collected."""
        return LogCursor(self._node, lsn, self._index.start_before(lsn), self._found_damage)

    def watch(self, fd: int) -> None:
        """Have `fd` (non-blocking) written to whenever the volume durable LSN moves."""
        with self._watch_lock:
            self._watchers.add(fd)
            self._node.watch(fd)

    def unwatch(self, fd: int) -> None:
        with self._watch_lock:
            self._watchers.discard(fd)
            self._node.unwatch(fd)

    # operations -------------------------------------------------------------------------------

    def describe(self) -> VolumeDescription:
        node = self._node
        image = self.newest_image()
        image_lsn = image.lsn if image is not None else self.facts.start_lsn
        return VolumeDescription(
            self.facts.volume_id,
            self.facts.storage_type,
            node.volume.epoch,
            node.volume.vcl,
            node.volume.vdl,
            not self._opened.read_only,
            tuple(self._describe_segment(each) for each in node.volume.membership.segments),
            Lsn(image_lsn),
            max(0, node.volume.vdl - image_lsn),
            replace(node.counts),
        )

    def set_storage_type(self, storage_type: StorageType) -> None:
        """Switch between standard and I/O-Optimized storage, while commits go on."""
        with self._changing:
            self.facts = replace(self.facts, storage_type=storage_type)
            self.facts.write(self.directory)
            node = self._node
            node.call(lambda: node.set_storage_type(storage_type))

    def inject_fault(self, target: str, kind: str, duration: float | None = None) -> None:
        """Make a segment, a zone or the writer's connection fail; see `faults`.

        duration: seconds after which it heals; None until `heal`. `corrupt` damages the log of
        the segment once, which the scrub, or whoever reads it first, finds.
        Raises InvalidParameterError for a target or kind that there is not.
        """
        fault = Fault.parse(kind)
        with self._changing:
            if target == WRITER:
                check_writer_fault(fault)
                node = self._node
                node.call(lambda: node.set_writer_fault(fault))
            else:
                for segment in segments_of(target, self._members()):
                    self._fail_segment(segment, fault)
        if duration is not None:
            timer = threading.Timer(duration, self.heal, (target,))
            timer.daemon = True
            self._timers.add(timer)
            timer.start()

    def heal(self, target: str | None = None) -> None:
        """Take the faults of a target, or all of them; segments catch up from their peers."""
        with self._changing:
            node = self._node
            if target in (WRITER, None) and not node.ended:
                node.call(lambda: node.set_writer_fault(None))
            if target == WRITER or self._closed:
                return
            members = self._members()
            healed = segments_of(target, members) if target is not None else members
            for segment in healed:
                self._faults.pop(segment, None)
            for lane in [each for each in map(self._lane, healed) if each is not None]:
                self._set_lane_fault(lane, None)
            if node.ended or any(self._lane(segment) is None for segment in healed):
                self._work.put(self._bring_back)

    def recover(self) -> None:
        """Open the volume anew in place: readers are disconnected, the log ends at the VDL.

        Raises QuorumLostError where fewer than three of six segments answer.
        """
        with self._changing:
            service = self._service
            if service is not None:
                service.disconnect_all()
            self._close_node()
            self._node, self._opened = self._open()
            self._index = self._make_index()
            with self._watch_lock:
                for fd in self._watchers:
                    self._node.watch(fd)

    def scrub(self) -> list[SegmentId]:
        """Verify every frame of every segment; damaged ones are repaired from their peers.

        Returns the segments in which damage was found. Blocking.
        """
        damaged = []
        for lane in self._node.lanes:
            if lane.reachable and lane.live and not self._is_whole(lane):
                damaged.append(lane.store.id)
                _log.warning("a segment's log is damaged", segment=lane.store.id)
                self._repair_damage(lane.store.id)
        return damaged

    def start_coalescing(
        self, installation: Installation, sockets: Path, superuser: str, *, automatic: bool = True
    ) -> None:
        """Make page images from now on, by a standby that only replays; the WAL service must run.

        sockets: a private directory of the standby's own. automatic: make one whenever it is due,
        on a thread of its own; otherwise only when `coalesce` is called.
        """
        with self._changing:
            self._superuser = superuser
            self._coalescer = Coalescer(installation, self._user, self.directory, sockets)
            if automatic and self._coalescing is None:
                self._coalescing = CoalescingThread(self._image_is_due, self.coalesce)

    def coalesce(self) -> PageImage:
        """Turn the log up to the volume durable LSN into a page image on each full segment.

        Log that no image needs any more is removed. Raises InvalidClusterStateError before
        `start_coalescing`, EngineError where replay fails, OSError where a disk is full.
        """
        with self._coalescing_lock:
            coalescer = self._coalescer
            if coalescer is None or self._service is None:
                raise InvalidClusterStateError("coalescing was not started on this volume")
            self._checkpoint_writer()
            if not coalescer.is_reusable:
                self.lay_out_standby(coalescer.data_directory, self._superuser)
            until = int(self._node.volume.vdl)
            control = coalescer.replay(
                f"{self.wal_conninfo} user={self._superuser} application_name={COALESCER}",
                until,
                self._coalescer_replayed,
            )
            made = [
                make_image(
                    lane.store.pages,
                    coalescer.data_directory,
                    redo=control.redo,
                    lsn=until,
                    timeline=control.timeline,
                )
                for lane in self._node.lanes
                if lane.reachable and kind_of(lane.store.id) is SegmentKind.FULL
            ]
            if not made:
                raise QuorumLostError("no full segment answers; heal one and coalesce again")
            full = [each for each in self._members() if kind_of(each) is SegmentKind.FULL]
            if len(made) == len(full):
                # While one of them lacks the image, the loss of the others must leave its log.
                self._collect(control.redo)
            return made[0]

    def newest_image(self) -> PageImage | None:
        """The newest page image that any full segment which answers holds whole."""
        found = [
            image
            for lane in self._node.lanes
            if lane.reachable and kind_of(lane.store.id) is SegmentKind.FULL
            for image in images(lane.store.pages)
        ]
        for image in sorted(found, key=lambda each: each.redo, reverse=True):
            if not image.damaged(sizes_only=True):
                return image
        return None

    # inside -----------------------------------------------------------------------------------

    def _open(self) -> tuple[StorageNode, OpenedVolume]:
        unreachable = frozenset(
            segment for segment, fault in self._faults.items() if fault.unreachable
        )
        opened = open_volume(
            self.directory,
            UUID(self.facts.volume_id),
            timeline=self.facts.timelines.current,
            unreachable=unreachable,
            direct=True,
        )
        node = StorageNode(
            opened.volume,
            list(opened.stores.values()),
            position=opened.position,
            wal_segment_bytes=self.facts.wal_segment_bytes,
            storage_type=self.facts.storage_type,
            counts=self._counts,
            prepare=lambda position: self._work.put(lambda: self._prepare_file(position)),
            fell_behind=lambda segment: self._work.put(lambda: self._catch_up(segment)),
            writer_lost=lambda error: self._work.put(lambda: self._writer_lost(error)),
        )
        for lane in node.lanes:
            lane.fault = self._faults.get(lane.store.id)
            if opened.read_only or lane.store.end != opened.position:
                lane.live = False
        node.start()
        for lane in node.lanes:
            if not lane.live and not opened.read_only:
                self._work.put(lambda segment=lane.store.id: self._catch_up(segment))  # type: ignore[misc]
        return node, opened

    def _close_node(self) -> None:
        self._node.close()
        for lane in self._node.lanes:
            lane.store.close()

    def _make_index(self) -> LogIndex:
        stores = [lane.store for lane in self._node.lanes]
        return LogIndex(max(stores, key=lambda store: store.end))

    def _members(self) -> tuple[SegmentId, ...]:
        return self._node.volume.membership.segments

    def _lane(self, segment: SegmentId) -> Lane | None:
        for lane in self._node.lanes:
            if lane.store.id == segment:
                return lane
        return None

    def _describe_segment(self, segment: SegmentId) -> SegmentDescription:
        lane = self._lane(segment)
        kind = kind_of(segment)
        if lane is None:
            state = SegmentState.SUSPECT if segment in self._faults else SegmentState.GONE
            return SegmentDescription(segment, az_of(segment), kind, state, Lsn(0), 0)
        size = lane.store.log.size_bytes
        if kind is SegmentKind.FULL:
            size += sum(image.size_bytes for image in images(lane.store.pages))
        state = lane.state(time.monotonic())
        if self._opened.read_only and lane.reachable:
            state = SegmentState.HEALTHY
        return SegmentDescription(
            segment, az_of(segment), kind, state, lane.store.core.scl, size, lane.problem
        )

    def _require_writable(self) -> None:
        if self._closed:
            raise InvalidClusterStateError("the volume is closed")
        if self._opened.read_only:
            raise QuorumLostError(
                "the volume opened with fewer than four of six segments: it can be read, not "
                "written; heal segments and open it again"
            )
        fenced = self._node.volume.fenced_by
        if fenced is not None:
            raise StaleEpochError(
                f"another host opened this volume with epoch {fenced}; this one must stop"
            )

    def _follow_timeline(self, client: ReplicationClient, timeline: int) -> None:
        """Learn of a timeline that a promoted reader began."""
        known = self.facts.timelines
        if timeline == known.current:
            return
        history = client.timeline_history(timeline).decode()
        timelines = Timelines.from_history(timeline, history)
        if known.ended != timelines.ended[: len(known.ended)]:
            raise StorageError(
                f"the server's timeline {timeline} does not descend from this volume's timeline "
                f"{known.current}; rebuild its data directory"
            )
        if timelines.ended[-1][1] != self._node.end_lsn:
            raise StorageError(
                f"the server left timeline {known.current} at "
                f"{format_lsn(timelines.ended[-1][1])}, the volume ends at "
                f"{format_lsn(self._node.end_lsn)}; rebuild it"
            )
        self.facts = replace(self.facts, timelines=timelines)
        self.facts.write(self.directory)

    def _lay_out_pages(self, data_directory: Path) -> int:
        """Copy the newest pages; return the LSN at which replay begins."""
        image = self.newest_image()
        if image is not None:
            image.copy_to(data_directory, self._user)
            self._counts.read_ios += image.size_bytes // DATABASE_PAGE_BYTES
            return image.redo
        copy_tree(self._base_image, data_directory, self._user)
        size = sum(path.stat().st_size for path in (data_directory / "base").rglob("*"))
        self._counts.read_ios += size // DATABASE_PAGE_BYTES
        set_system_identifier(data_directory, self.facts.system_identifier)
        return ControlFile.read(data_directory).redo

    def _lay_out_log(self, data_directory: Path, redo: int) -> bool:
        """Write the log from `redo` to the VDL as WAL files; whether there was any."""
        if self._node.volume.vdl <= redo:
            return False
        start = redo - redo % self.facts.wal_segment_bytes
        write_wal(
            data_directory,
            start,
            self._wal_from(start),
            self.facts.timelines,
            self.facts.wal_segment_bytes,
            self._user,
        )
        return True

    def _wal_from(self, lsn: int) -> Iterator[bytes]:
        cursor = self.cursor(lsn)
        while chunk := cursor.read(1 << 20):
            yield chunk

    def _image_is_due(self) -> bool:
        image = self.newest_image()
        since = self._node.volume.vdl - (image.lsn if image is not None else self.facts.start_lsn)
        size = image.size_bytes if image is not None else 0
        return since > max(COALESCE_LOG_BYTES, size // COALESCE_SHARE) and self._node.attached

    def _checkpoint_writer(self) -> None:
        """Have the writer checkpoint: an image begins with the last one that was replayed."""
        where = self._writer_at
        if where is not None and self._node.attached:
            with psycopg.connect(
                host=str(where), user=self._superuser, dbname="postgres", autocommit=True
            ) as conn:
                conn.execute("checkpoint")

    def _coalescer_replayed(self) -> int:
        if self._service is None:
            return 0
        status = self._service.readers().get(COALESCER)
        return status.replayed if status is not None else 0

    def _collect(self, redo: int) -> None:
        """Remove log and images that are older than an image that every full segment now has."""
        node = self._node
        streaming = self._service.readers().values() if self._service is not None else ()
        redo = min([redo, *(each.flushed for each in streaming if each.flushed)])
        lanes = [self._lane(each) for each in self._members()]
        # A segment that is behind, or away, can only get what it misses from its peers' log.
        redo = min([redo, *(lane.store.core.scl if lane is not None else 0 for lane in lanes)])
        floor = redo - redo % self.facts.wal_segment_bytes
        self._write_marks()
        try:
            position = self._index.before(floor)
        except LookupError:
            return

        def collect() -> None:
            for lane in node.lanes:
                lane.store.core.collect(Lsn(floor))
                lane.store.collect(position)

        node.call(collect)
        self._index.forget_below(position)
        for lane in node.lanes:
            if lane.reachable:
                lane.store.persist()
                remove_images(lane.store.pages, below=redo)

    # on the worker thread ---------------------------------------------------------------------

    def _serve_work(self) -> None:
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
        node = self._node
        for lane in node.lanes:
            if not lane.live or lane.store.log.end != position:
                continue
            try:
                lane.store.log.add_file(position, FILE_BYTES)
            except OSError as error:
                node.post(lambda lane=lane, error=error: node.fail(lane, error))  # type: ignore[misc]
        node.post(_nothing)
        self._write_marks()

    def _write_marks(self) -> None:
        """Write the marks of log files that were begun, in the segments that have come so far."""
        node = self._node
        with self._marking:
            while node.marks:
                mark = node.marks.popleft()
                self._index.add(mark.lsn, mark.position)
                self._unmarked.append((mark, {lane.store.id for lane in node.lanes}))
            for mark, segments in self._unmarked:
                for lane in node.lanes:
                    if lane.store.id in segments and lane.store.end > mark.position:
                        segments.remove(lane.store.id)
                        with suppress(LookupError):
                            file = lane.store.log.file_at(mark.position)
                            lane.store.log.set_mark(file, mark)
            self._unmarked = [each for each in self._unmarked if each[1]]

    def _catch_up(self, segment: SegmentId) -> None:
        """Bring a segment that missed log up to the others."""
        node, lane = self._node, self._lane(segment)
        if lane is None or lane.live or not lane.reachable or self._opened.read_only:
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
        """Take in segments that were away when the volume was opened."""
        with self._changing:
            away = [each for each in self._members() if self._lane(each) is None]
            if (away or self._node.ended) and not self._closed and not self._node.attached:
                # A writer that is attached goes on without them; they join at the next opening.
                self.recover()

    def _fail_segment(self, segment: SegmentId, fault: Fault) -> None:
        lane = self._lane(segment)
        if fault.kind is FaultKind.CORRUPT:
            if lane is not None:
                _damage(lane.store)
            return
        self._faults[segment] = fault
        if lane is not None:
            self._set_lane_fault(lane, fault)

    def _set_lane_fault(self, lane: Lane, fault: Fault | None) -> None:
        node = self._node
        if not node.ended:
            node.call(lambda: node.set_fault(lane, fault))

    def _is_whole(self, lane: Lane) -> bool:
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

    def _found_damage(self, store: SegmentStore) -> None:
        """Have a segment whose log is damaged take everything behind the damage from its peers."""
        _log.warning("a segment's log is damaged", segment=store.id)
        self._work.put(lambda: self._repair_damage(store.id))

    def _repair_damage(self, segment: SegmentId) -> None:
        lane = self._lane(segment)
        if lane is None or not lane.reachable or not lane.live or self._is_whole(lane):
            return
        store = lane.store
        mark = store.log.mark(store.log.files[0])
        good, lsn = store.log.start, _lsn_of(mark) or Lsn(0)
        consistent = lsn
        for frame in store.frames(good, previous=_lsn_of(mark), end=store.end):
            good, lsn = frame.end, frame.batch.end
            consistent = lsn if frame.batch.consistent else consistent
        node = self._node
        node.call(lambda: node.lost(lane, good, lsn, consistent))


def _lsn_of(mark: Mark | None) -> Lsn | None:
    return Lsn(mark.lsn) if mark is not None else None


def _damage(store: SegmentStore) -> None:
    """Turn over some bytes of a segment's log, as a failing disk would."""
    frames = list(store.frames(store.log.start, end=store.end))
    if not frames:
        return
    victim = random.choice(frames)
    file = store.log.file_at(victim.position)
    content = bytes(each ^ 0xFF for each in store.log.read(victim.position + 8, 64))
    with file.path.open("r+b") as opened:
        opened.seek(file.offset(victim.position + 8))
        opened.write(content)


def _log_loss(error: StorageError) -> None:
    _log.warning("the writer's log stream ended", error=str(error))


def _nothing() -> None:
    """What is posted to make the node look again."""
