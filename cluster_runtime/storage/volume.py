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
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import UUID

from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.settings import Settings
from cluster_runtime.errors import InvalidClusterStateError, StorageError
from cluster_runtime.moved import names_of
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.policy.retention import Holder, HolderKind
from cluster_runtime.storage.core.types import Lsn, SegmentId, StorageType
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.storage.description import (
    CoalescingDescription,
    VolumeDescription,
    describe,
)
from cluster_runtime.storage.disk.data_directory import Claim
from cluster_runtime.storage.disk.page_images import PageImage, fingerprint
from cluster_runtime.storage.live.commit.writer_link import Attachment
from cluster_runtime.storage.live.creation import create_volume
from cluster_runtime.storage.live.log_source import LogSource
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.live.writers import Writers
from cluster_runtime.storage.streaming.wal_service import WalService
from cluster_runtime.storage.upkeep.holders import Hold
from cluster_runtime.storage.upkeep.images.coalescer import Coalescer
from cluster_runtime.storage.upkeep.meters import VolumeMeters
from cluster_runtime.storage.upkeep.upkeep import VolumeUpkeep

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

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__, "cluster_runtime.storage.core.durability")


class StorageVolume:
    """Six segments in three zones, and what serves them in this process.

    log: what is durable. branches: volumes that are made as cuts of this one. past: how far back it
    can be rewound. meters: what is billed of it. standbys: who follows the log.
    """

    def __init__(self, directory: Path, base_image: Path, user: OsUser) -> None:
        self.directory = directory
        self._user = user
        mount = self._mount = Mount(directory)
        self._upkeep = VolumeUpkeep(mount, base_image, user)
        self._writers = Writers(mount)
        self.log = LogSource(mount)
        self._before_close: list[Callable[[], None]] = []
        self.meters = VolumeMeters(mount, self._upkeep, self._before_close.append)
        self.branches = self._upkeep.branches
        self.past = self._upkeep.past
        self.standbys = self._upkeep.standbys
        mount.open(self._upkeep.asked)
        if not mount.metadata.base and not mount.opened.read_only:
            # A volume of format 1 did not note what it began with: that is what is here now.
            with suppress(OSError):
                mount.change_metadata(replace(mount.metadata, base=fingerprint(base_image)))
        self._upkeep.start()

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
        create_volume(
            directory,
            volume_id,
            base_image,
            system_identifier=system_identifier,
            server_version=server_version,
            wal_segment_bytes=wal_segment_bytes,
            storage_type=storage_type,
        )
        try:
            return cls(directory, base_image, user)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    @classmethod
    def open(cls, directory: Path, base_image: Path, *, user: OsUser) -> Self:
        """Open a volume: read-quorum recovery, a new epoch on a write quorum.

        With three of six segments it opens for reading alone. Raises QuorumLostError with fewer.
        """
        return cls(directory, base_image, user)

    def close(self) -> None:
        """Let writer and readers go and close the segments' files."""
        mount = self._mount
        for call in self._before_close:
            call()
        self._before_close.clear()
        self._upkeep.coalescing.close()
        with mount.changing:
            if mount.closed:
                return
            mount.closed = True
            self._upkeep.faults.close()
            if mount.service is not None:
                mount.service.close()
        mount.leaving.set()
        # Their work may wait for the lock.
        self._upkeep.close()
        with mount.changing:
            mount.close_node()

    @property
    def must_stay_open(self) -> bool:
        """Whether closing it would end what somebody began: a fault, or a hold on the log."""
        return self._upkeep.faults.any or self._upkeep.holders.any

    @property
    def metadata(self) -> VolumeMetadata:
        """What never changes, the timelines, and the storage type."""
        return self._mount.metadata

    # writer -----------------------------------------------------------------------------------

    def attach_writer(
        self,
        socket_directory: Path,
        superuser: str,
        lost: Callable[[StorageError], None] | None = None,
    ) -> Attachment:
        """Become the synchronous standby of a running writer; its commits return from now on.

        The writer keeps its log until the volume has it, in a slot of its own.
        lost: called, on another thread, when the stream ends without `detach_writer`; of this
        attachment, whatever was attached after it.
        Raises QuorumLostError while the volume is read-only, StaleEpochError once another host
        has opened it, StorageError for a server that does not continue this volume's log.
        """
        return self._writers.attach(socket_directory, superuser, lost)

    def detach_writer(self, attachment: Attachment | None = None) -> None:
        """Stop to follow the writer. Commits wait from now on; stop the server before this.

        attachment: leave a later one alone.
        """
        self._writers.detach(attachment)

    @property
    def attached(self) -> bool:
        """Whether a writer sends its log."""
        return self._writers.attached

    # data directories -------------------------------------------------------------------------

    def trusts(self, data_directory: Path, claimed: Claim | None = None) -> bool:
        """Whether a data directory may be started as it is, or as it was with that claim."""
        return self._upkeep.directories.trusts(claimed or Claim.read(data_directory))

    def claim(self, data_directory: Path) -> None:
        """Note that a server uses a directory now: an unclean end leaves it untrusted."""
        self._upkeep.directories.claim(data_directory)

    def release(self, data_directory: Path) -> None:
        """Note that the server over a directory has stopped cleanly, and all its log is here."""
        self._upkeep.directories.release(data_directory)

    def rebuild(self, data_directory: Path) -> None:
        """Replace a data directory by the newest page image and the log up to the VDL.

        The next server over it replays that log and writes on behind it, as this volume's next
        writer. Anything the last writer had not made durable is cut off, under a new epoch. Where
        the log changes its timeline behind the image, that server begins a timeline of its own.
        """
        with self._mount.changing:
            self.recover()
            self._mount.require_writable()
            with self._upkeep.pages.staying.reading():
                self._upkeep.directories.make_writers(data_directory, self._upkeep.pages.whole())

    def require_rebuildable(self) -> None:
        """Raises StorageError, QuorumLostError where no data directory could be made from it."""
        self._upkeep.require_rebuildable()

    def lay_out_standby(
        self, data_directory: Path, superuser: str, called: str = ""
    ) -> dict[str, str | bool]:
        """Make the data directory of a hot standby; return the settings that it needs.

        called: in the name that it streams under, and that log is held by.
        It follows the log through the WAL service, and never sees anything past the VDL. The log
        behind it is kept until `forget_standby`.
        """
        return self._upkeep.standbys.lay_out(data_directory, self.wal_conninfo, superuser, called)

    def await_standby(self, data_directory: Path, running: Callable[[], bool]) -> None:
        """Wait until a standby has replayed what is durable now. running: asked whether it lives.

        Raises StorageError where it ends before that, or stands still.
        """
        self._upkeep.standbys.wait_for(data_directory, running)

    def forget_standby(self, data_directory: Path) -> None:
        """A standby is gone: no log is kept for it any more."""
        self._upkeep.standbys.forget(data_directory)

    # readers ----------------------------------------------------------------------------------

    def serve_wal(self, socket_directory: Path) -> None:
        """Serve standbys on a socket in a private directory until the volume is closed."""
        with self._mount.changing:
            if self._mount.service is None:
                self._mount.service = WalService(self.log, socket_directory, self._user)

    @property
    def durable_lsn(self) -> int:
        """The volume durable LSN."""
        return int(self._mount.node.volume.vdl)

    @property
    def lost_zones(self) -> frozenset[str]:
        """The zones that a fault took away as a whole, with all that runs in them."""
        return self._upkeep.faults.lost_zones

    @property
    def wal_conninfo(self) -> str:
        """`primary_conninfo` of this volume's standbys, without a user."""
        if self._mount.service is None:
            raise InvalidClusterStateError("the WAL service does not run; call serve_wal first")
        return self._mount.service.conninfo

    # operations -------------------------------------------------------------------------------

    def describe(self) -> VolumeDescription:
        """The segments, how far each is, the image, the scrub."""
        base = self._upkeep.directories.base_image_bytes
        return describe(
            self._mount,
            self.newest_image(),
            base,
            self._upkeep.scrubbing.report,
            self._upkeep.holders.now(),
            CoalescingDescription.of(
                self._upkeep.coalescing.report, self._upkeep.pages.log_bound_bytes
            ),
        )

    def set_storage_type(self, storage_type: StorageType) -> None:
        """Switch between standard and I/O-Optimized storage, while commits go on."""
        with self._mount.changing:
            self._mount.require_writable()
            self._mount.change_metadata(replace(self.metadata, storage_type=storage_type))
            node = self._mount.node
            node.call(lambda: node.set_storage_type(storage_type))

    def inject_fault(self, target: str, kind: str, duration: float | None = None) -> None:
        """Make a segment, a zone or the writer's connection fail; see `core.faults`.

        duration: seconds after which it heals; None until `heal`, or until the volume is closed:
        whoever opens it next finds no fault. `corrupt` damages the log of the segment once, which
        the scrub, or whoever reads it first, finds.
        Raises InvalidParameterError for a target or kind that there is not.
        """
        self._upkeep.faults.inject(target, kind, duration)

    def heal(self, target: str | None = None) -> None:
        """Take the faults of a target, or all of them; segments catch up from their peers."""
        self._upkeep.faults.heal(target)

    def recover(self) -> None:
        """Open the volume again in place: readers are disconnected, the log ends at the VDL.

        Raises QuorumLostError where fewer than three of six segments answer.
        """
        self._mount.reopen()

    def fence(self) -> int:
        """Open the volume again in place for its next writer; where its log ends now.

        Whoever wrote to it before can make nothing durable any more. Raises QuorumLostError where
        too few segments answer for a writer.
        """
        with self._mount.changing:
            self.recover()
            self._mount.require_writable()
            return self.durable_lsn

    def scrub(self) -> list[SegmentId]:
        """Verify every frame and every page image of every segment now, and not in due time.

        Damaged ones are repaired from their peers. Returns the segments in which damage was found.
        """
        return self._upkeep.scrubbing.run()

    def start_coalescing(
        self,
        installation: Installation,
        sockets: Path,
        superuser: str,
        *,
        automatic: bool = True,
        wal_sockets: Path | None = None,
    ) -> None:
        """Make page images from now on, by a standby that only replays.

        sockets: a private directory of the standby's own. automatic: make one whenever it is due,
        beside commits, while a writer is attached; otherwise only when `coalesce` is called.
        wal_sockets: where to serve the log once that is needed; None: `serve_wal` was called.
        """
        coalescer = Coalescer(
            installation, self._user, self.metadata.identity, self.directory, sockets
        )

        def serve() -> None:
            if wal_sockets is not None:
                self.serve_wal(wal_sockets)

        with self._mount.changing:
            self._upkeep.pages.start(coalescer, superuser, serve)
        if automatic:
            self._upkeep.coalescing.enable()

    def coalesce(self) -> PageImage:
        """Turn the log up to the volume durable LSN into a page image on each full segment.

        Log that nobody needs any more is removed. Raises InvalidClusterStateError before
        `start_coalescing`, EngineError where replay fails, OSError where a disk is full.
        """
        return self._upkeep.coalescing.now()

    def settle(self) -> None:
        """Make the image that is due, and wait for one under way: before a pause."""
        self._upkeep.coalescing.settle()

    def rest(self) -> None:
        """End the making of an image, so that no process of this volume runs."""
        self._upkeep.coalescing.interrupt()

    def resting(self) -> AbstractContextManager[None]:
        """End the making of an image, and begin none before the end of this."""
        return self._upkeep.coalescing.resting()

    def hold(self, kind: HolderKind, name: str, lsn: int, *, with_pages: bool = False) -> Hold:
        """Keep the log from an LSN on, by name, until that is released; see `core.retention`.

        with_pages: and pages from which that LSN can be reached. Raises LookupError where the log
        no longer reaches that far back.
        """
        hold = self._upkeep.holders.register(kind, name, Lsn(lsn), with_pages=with_pages)
        if lsn < self._mount.index.oldest:
            hold.release()
            raise LookupError(
                f"the log begins at {format_lsn(self._mount.index.oldest)}, behind "
                f"{format_lsn(lsn)}: that is in no log any more"
            )
        return hold

    def held_by(self, source: Callable[[], Iterable[Holder]], ended: Callable[[], None]) -> None:
        """Have `source` asked what it needs, as long as the volume is open.

        That keeps nothing open, unlike `hold`. Call it before `start_coalescing`: nothing is
        collected before that. ended: called when the volume is about to be closed.
        """
        self._upkeep.holders.ask(source)
        self._before_close.append(ended)

    def newest_image(self) -> PageImage | None:
        """The newest page image of any full segment that answers, by the sizes of its files."""
        return self._upkeep.pages.newest()

    @property
    def base_image(self) -> Path:
        """The pages that the volume began with. Raises StorageError where they are others now."""
        self._upkeep.directories.check_base()
        return self._upkeep.directories.base_image
