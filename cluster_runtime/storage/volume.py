"""One cluster's storage volume as the runtime uses it.

    volume = StorageVolume.create(directory, template, user=..., system_identifier=...)
    volume.rebuild(data_directory)            # pages and log -> a data directory
    postmaster.start(settings | WRITER_SETTINGS)
    volume.attach_writer(socket_directory, superuser)     # from here on commits return
    ...
    volume.detach_writer(); volume.close()

Every method may be called from any thread, and blocks; none runs on an event loop.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self
from uuid import UUID

from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.os_user import OsUser
from cluster_runtime.engine.settings import Settings
from cluster_runtime.errors import InvalidClusterStateError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.replacement import ReplacementPolicy
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.core.types import SEGMENT_IDS, SegmentId
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.storage.description import VolumeDescription, describe
from cluster_runtime.storage.disk.data_directory import ControlFile
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.page_images import PageImage
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.cursor import LogCursor
from cluster_runtime.storage.live.mount import Mount, Upkeep
from cluster_runtime.storage.live.node import StorageType
from cluster_runtime.storage.live.volume_file import VolumeFacts
from cluster_runtime.storage.streaming.replication import ReplicationClient
from cluster_runtime.storage.streaming.wal_protocol import LogFacts
from cluster_runtime.storage.streaming.wal_service import WalService
from cluster_runtime.storage.upkeep.coalescer import Coalescer
from cluster_runtime.storage.upkeep.data_directories import DataDirectories
from cluster_runtime.storage.upkeep.faults import FaultInjection
from cluster_runtime.storage.upkeep.log_files import FilePreparation
from cluster_runtime.storage.upkeep.pages import Pages
from cluster_runtime.storage.upkeep.repair import Repair
from cluster_runtime.storage.upkeep.replacement import Replacing
from cluster_runtime.storage.upkeep.scrub import Scrubbing
from cluster_runtime.storage.upkeep.worker import Worker

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

LOOK_EVERY_S = 2.0

_log = get_logger(__name__)


class StorageVolume:
    """Six segments in three zones, and what serves them in this process."""

    def __init__(self, directory: Path, facts: VolumeFacts, base_image: Path, user: OsUser) -> None:
        self.directory = directory
        self._user = user
        self._writer_lost: Callable[[StorageError], None] = _log_loss
        mount = self._mount = Mount(directory, facts)
        self._quick = Worker("borealis-files")
        self._slow = Worker("borealis-repair", self._look_after_segments)
        files = FilePreparation(mount, self._quick)
        self._repair = Repair(mount, self._slow)
        self._directories = DataDirectories(mount, base_image, user)
        self._pages = Pages(mount, files, self._directories, self._slow)
        self._faults = FaultInjection(mount, self._bring_back)
        self._replacing = Replacing(mount, self._repair, self._pages, ReplacementPolicy())
        self._scrubbing = Scrubbing(mount, self._repair, self._pages)
        self._look_at = 0.0
        mount.open(
            Upkeep(
                files.prepare_file,
                self._repair.catch_up,
                self._repair.repair_damage,
                lambda error: self._quick.put(lambda: self._writer_lost(error)),
            )
        )
        self._quick.start()
        self._slow.start()

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
        mount = self._mount
        self._pages.close()
        with mount.changing:
            if mount.closed:
                return
            mount.closed = True
            self._faults.close()
            if mount.service is not None:
                mount.service.close()
        mount.leaving.set()
        # Their work may wait for the lock.
        self._quick.close()
        self._slow.close()
        with mount.changing:
            mount.close_node()

    @property
    def facts(self) -> VolumeFacts:
        """What never changes, the timelines, and the storage type."""
        return self._mount.facts

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
        mount = self._mount
        with mount.changing:
            mount.require_writable()
            node = mount.node
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
                mount.writer_sockets = socket_directory
                node.call(lambda: node.attach(client, system.timeline))
            except BaseException:
                client.close()
                raise

    def detach_writer(self) -> None:
        """Stop to follow the writer. Commits wait from now on; stop the server before this."""
        node = self._mount.node
        node.call(node.detach)

    @property
    def attached(self) -> bool:
        """Whether a writer sends its log."""
        return self._mount.node.attached

    def wait_durable(self, lsn: int, timeout_s: float) -> bool:
        """Wait until the volume durable LSN has reached an LSN."""
        deadline = time.monotonic() + timeout_s
        while self._mount.node.volume.vdl < lsn:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    # data directories -------------------------------------------------------------------------

    def trusts(self, data_directory: Path) -> bool:
        """Whether a data directory may be started as it is: see `disk.data_directory`."""
        return self._directories.trusts(data_directory)

    def claim(self, data_directory: Path) -> None:
        """Note that a server uses a directory now: an unclean end leaves it untrusted."""
        self._directories.claim(data_directory)

    def release(self, data_directory: Path) -> None:
        """Note that the server over a directory has stopped cleanly, and all its log is here."""
        self._directories.release(data_directory)

    def rebuild(self, data_directory: Path) -> None:
        """Replace a data directory by the newest page image and the log up to the VDL.

        The next server over it replays that log and writes on behind it, as this volume's next
        writer. Anything the last writer had not made durable is cut off, under a new epoch. Where
        the log changes its timeline behind the image, that server begins a timeline of its own.
        """
        with self._mount.changing:
            self.recover()
            self._mount.require_writable()
            self._directories.make_writers(data_directory, self._pages.whole())

    def lay_out_standby(self, data_directory: Path, superuser: str) -> dict[str, str | bool]:
        """Make the data directory of a hot standby; return the settings that it needs.

        It follows the log through the WAL service, and never sees anything past the VDL.
        """
        with self._mount.changing:
            self._directories.make_standbys(data_directory, self._pages.whole())
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
        with self._mount.changing:
            if self._mount.service is None:
                self._mount.service = WalService(self, socket_directory, self._user)

    @property
    def wal_conninfo(self) -> str:
        """`primary_conninfo` of this volume's standbys, without a user."""
        if self._mount.service is None:
            raise InvalidClusterStateError("the WAL service does not run; call serve_wal first")
        return self._mount.service.conninfo

    def log_facts(self) -> LogFacts:
        """What a standby's IDENTIFY_SYSTEM is answered with."""
        facts = self.facts
        return LogFacts(
            facts.system_identifier,
            facts.timelines,
            self._mount.index.oldest,
            self._mount.node.volume.vdl,
            facts.wal_segment_bytes,
            facts.server_version,
        )

    def cursor(self, lsn: int) -> LogCursor:
        """A reader of the log from an LSN on. Raises LookupError where that has been collected."""
        return self._mount.cursor(lsn)

    def watch(self, fd: int) -> None:
        """Have `fd` (non-blocking) written to whenever the volume durable LSN moves."""
        self._mount.watch(fd)

    def unwatch(self, fd: int) -> None:
        """Tell a file descriptor no more that the log has grown."""
        self._mount.unwatch(fd)

    # operations -------------------------------------------------------------------------------

    def describe(self) -> VolumeDescription:
        """The segments, how far each is, the image, the scrub."""
        base = self._directories.base_image_bytes
        return describe(self._mount, self.newest_image(), base, self._scrubbing.report)

    def set_storage_type(self, storage_type: StorageType) -> None:
        """Switch between standard and I/O-Optimized storage, while commits go on."""
        with self._mount.changing:
            self._change_facts(replace(self.facts, storage_type=storage_type))
            node = self._mount.node
            node.call(lambda: node.set_storage_type(storage_type))

    def inject_fault(self, target: str, kind: str, duration: float | None = None) -> None:
        """Make a segment, a zone or the writer's connection fail; see `core.faults`.

        duration: seconds after which it heals; None until `heal`, or until the volume is closed:
        whoever opens it next finds no fault. `corrupt` damages the log of the segment once, which
        the scrub, or whoever reads it first, finds.
        Raises InvalidParameterError for a target or kind that there is not.
        """
        self._faults.inject(target, kind, duration)

    def heal(self, target: str | None = None) -> None:
        """Take the faults of a target, or all of them; segments catch up from their peers."""
        self._faults.heal(target)

    def recover(self) -> None:
        """Open the volume again in place: readers are disconnected, the log ends at the VDL.

        Raises QuorumLostError where fewer than three of six segments answer.
        """
        self._mount.reopen()

    def scrub(self) -> list[SegmentId]:
        """Verify every frame and every page image of every segment now, and not in due time.

        Damaged ones are repaired from their peers. Returns the segments in which damage was found.
        """
        return self._scrubbing.run()

    def start_coalescing(
        self, installation: Installation, sockets: Path, superuser: str, *, automatic: bool = True
    ) -> None:
        """Make page images from now on, by a standby that only replays; the WAL service must run.

        sockets: a private directory of the standby's own. automatic: make one whenever it is due,
        on a thread of its own; otherwise only when `coalesce` is called.
        """
        coalescer = Coalescer(installation, self._user, self.directory, sockets)
        with self._mount.changing:
            self._pages.start(coalescer, superuser, automatic=automatic)

    def coalesce(self) -> PageImage:
        """Turn the log up to the volume durable LSN into a page image on each full segment.

        Log that no image needs any more is removed. Raises InvalidClusterStateError before
        `start_coalescing`, EngineError where replay fails, OSError where a disk is full.
        """
        return self._pages.coalesce()

    def newest_image(self) -> PageImage | None:
        """The newest page image of any full segment that answers, by the sizes of its files."""
        return self._pages.newest()

    # inside -----------------------------------------------------------------------------------

    def _bring_back(self) -> None:
        self._repair.bring_back()
        self._slow.put(self._replacing.look)

    def _look_after_segments(self) -> float:
        """Returns the seconds until the next time."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._replacing.look()
        return min(self._scrubbing.step(), max(0.0, self._look_at - time.monotonic()))

    def _change_facts(self, facts: VolumeFacts) -> None:
        facts.write(self.directory)
        self._mount.facts = facts

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
        end = self._mount.node.end_lsn
        if timelines.ended[-1][1] != end:
            raise StorageError(
                f"the server left timeline {known.current} at "
                f"{format_lsn(timelines.ended[-1][1])}, the volume ends at {format_lsn(end)}; "
                "rebuild it"
            )
        self._change_facts(replace(self.facts, timelines=timelines))


def _log_loss(error: StorageError) -> None:
    _log.warning("the writer's log stream ended", error=str(error))
