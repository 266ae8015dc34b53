"""The backup of one open volume, from its opening to its close.

It goes on where the bucket says that the last one ended. Where that cannot be (the log between is
gone, or another log has taken its place), a new era begins with a page image. Commits never wait
for any of this: log that waits for the bucket is held in the volume, up to a bound.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster_runtime.backup.core import pacing
from cluster_runtime.backup.core.manifests import ClusterFacts, ImageManifest
from cluster_runtime.backup.core.names import FACTS, Era, Holdings, Image, Piece
from cluster_runtime.backup.core.targets import Window, log_start, window
from cluster_runtime.backup.keeping.collecting import Collecting
from cluster_runtime.backup.keeping.image_upload import (
    Source,
    UploadStoppedError,
    upload_image,
)
from cluster_runtime.backup.keeping.log_upload import LogUpload
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.errors import BorealisError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.retention import Holder, HolderKind
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.data_directory import ControlFile
from cluster_runtime.storage.disk.page_images import DATA, ImageFile, PageImage, files_of
from cluster_runtime.storage.volume import StorageVolume

NAME, PAGES = "backup", "backup of pages"
COMPARED_BYTES = 64 << 10
CLOSE_TIMEOUT_S = 5.0
LOOK_EVERY_S = 0.5
DAY_MS = 86_400_000

CLOSED_MEANWHILE = "the volume was closed meanwhile; try again"
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup is of. cluster: as the catalog keeps it. retention_days: of the window."""

    cluster: Mapping[str, Any]
    retention_days: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far a backup is: everything up to an LSN of an era, and so up to a time."""

    era: int
    end: int
    complete_at: int


class VolumeBackup:
    """facts: asked what the cluster is; None while it has no name. Steps run one at a time."""

    def __init__(
        self,
        volume: StorageVolume,
        open_vault: Callable[[], Vault],
        facts: Callable[[], BackedUp | None],
        report: Callable[[str], None],
    ) -> None:
        """open_vault: that of the cluster; made again after each failure. report: an event."""
        self._volume, self._open_vault, self._facts, self._report = (
            volume,
            open_vault,
            facts,
            report,
        )
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._since = time.time()
        self._born = time.monotonic()
        self._failures = 0
        self._due = 0.0
        self._collect_at = 0.0
        self._vault: Vault | None = None
        self._collecting: Collecting
        self._written: BackedUp | None = None
        self._reset()

    def _reset(self) -> None:
        self._holdings = Holdings()
        self._era = 0
        self._log: LogUpload | None = None
        self._image: ImageManifest | None = None
        self._image_lsn = 0
        self._image_bytes = 0
        self._reading: int | None = None

    # what others ask ---------------------------------------------------------------------------

    def held(self) -> Iterable[Holder]:
        """What it needs of the volume: log from where it is uploaded, the image that it reads."""
        extent, log, reading = self._volume.log.extent(), self._log, self._reading
        oldest = extent.oldest if extent is not None else 0
        lsn = max(oldest, log.end) if log is not None else oldest
        yield Holder(HolderKind.BACKUP, NAME, Lsn(lsn), self._since)
        if reading is not None:
            yield Holder(HolderKind.BACKUP, PAGES, Lsn(reading), self._since, with_pages=True)

    @property
    def due_at(self) -> float:
        """When the next step is due, by the monotonic clock."""
        return self._due

    @property
    def position(self) -> Position | None:
        """How far it is; None before its first image is there."""
        log = self._log
        if log is None or not self._holdings.era(self._era).images:
            return None
        return Position(self._era, log.end, log.complete_at)

    def window(self, since: int) -> Window | None:
        """From when to when restores are possible now. since: the begin of the retention period."""
        position, log = self.position, self._log
        complete_at = position.complete_at if position is not None else 0
        holdings = self._holdings
        if log is not None and log.newest is not None:
            # Which pieces there are is listed when the backup begins, and once in a while.
            holdings = with_piece(holdings, self._era, log.newest)
        return window(holdings.eras, since, complete_at)

    # work --------------------------------------------------------------------------------------

    def step(self) -> None:
        """Do what is due. Never raises for a bucket that fails: it is tried again later."""
        with self._lock:
            if self._leaving.is_set():
                return
            self._due = time.monotonic() + LOOK_EVERY_S
            self._tried(self._step)

    def flush(self) -> Position:
        """Have everything that is durable now in the bucket; begin where it has not begun.

        Raises what `Vault` raises, and StorageError while the volume cannot be read.
        """
        with self._lock:
            extent = self._volume.log.extent()
            if extent is None:
                raise StorageError("the volume can only be read; heal segments and try again")
            try:
                self._work()
            except UploadStoppedError:
                raise StorageError(CLOSED_MEANWHILE) from None
            except (OSError, LookupError, ValueError) as error:
                raise StorageError(f"what is to be backed up cannot be read: {error}") from error
            position = self.position
            if position is None or position.end < extent.durable:
                raise StorageError(CLOSED_MEANWHILE)
            return position

    def end(self) -> Position | None:
        """The volume is about to be closed: upload what is left, within seconds.

        Returns how far the backup is, where that is all that there is.
        """
        self._leaving.set()
        if not self._lock.acquire(timeout=CLOSE_TIMEOUT_S):
            return None
        try:
            log, extent = self._log, self._volume.log.extent()
            if log is None or extent is None or self._failures or self.position is None:
                return None
            until = time.monotonic() + CLOSE_TIMEOUT_S
            with suppress(BorealisError, OSError, LookupError):
                log.upload(lambda: time.monotonic() > until)
            return self.position if log.end == extent.durable else None
        finally:
            self._lock.release()

    def restart(self) -> None:
        """Begin again, where the bucket has changed or the log has taken another course."""
        with self._lock:
            self._vault = None
            self._written = None
            self._reset()
            self._due = 0.0

    def _tried(self, work: Callable[[], None]) -> None:
        try:
            work()
        except UploadStoppedError:
            return
        except (BorealisError, OSError, LookupError, ValueError) as error:
            self._failed(error)
        else:
            if self._failures:
                self._report("Continuous backup goes on")
            self._failures = 0

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 2:  # once may be a coincidence, such as an image that went meanwhile
            self._report(f"Continuous backup does not get on: {error}")
        _log.warning("backup of a volume failed", error=str(error), failures=self._failures)
        self._due = time.monotonic() + pacing.retry_after_s(self._failures)
        extent = self._volume.log.extent()
        log = self._log
        if extent is None or log is None:
            return
        if pacing.is_given_up(extent.durable - log.end, self._image_bytes):
            self._report(
                "Continuous backup was interrupted for too long: log that waited for it is let go; "
                "times from now until it goes on cannot be restored"
            )
            self._vault = None
            self._reset()

    def _step(self) -> None:
        if time.monotonic() < self._born + pacing.FIRST_AFTER_S and self._log is None:
            return
        began = time.monotonic()
        self._work()
        if self._log is not None:
            # From the beginning on: a slow bucket makes the lag no longer than it has to be.
            self._due = began + pacing.UPLOAD_EVERY_S

    def _work(self) -> None:
        facts = self._facts()
        if facts is None or self._volume.log.extent() is None:
            return
        vault = self._vault
        if vault is None:
            vault = self._open_vault()
            self._begin(vault)
            self._vault, self._collecting = vault, Collecting(vault)
        if facts != self._written:
            size = self._volume.metadata.wal_segment_bytes
            kept = ClusterFacts(facts.cluster, size, facts.retention_days)
            vault.write(FACTS, kept.to_bytes())
            self._written = facts
        if self._log is None:
            self._upload_image(vault)
        assert self._log is not None, "an image begins an era"
        self._log.upload(self._leaving.is_set)
        if self._newer_image_is_due():
            self._upload_image(vault)
        if time.monotonic() >= self._collect_at:
            self._collect(facts)

    def _begin(self, vault: Vault) -> None:
        """Go on with the newest era, where this volume's log continues it."""
        self._holdings = holdings = vault.holdings()
        newest = holdings.eras[-1] if holdings.eras else None
        if newest is None or not self._continues(vault, newest):
            self._era = newest.number + 1 if newest is not None else 1
            return
        self._era = newest.number
        image = max(newest.images, key=lambda each: each.lsn)
        size = self._volume.metadata.wal_segment_bytes
        start = newest.end or log_start(image.redo, size)
        self._log = LogUpload(self._volume, vault, self._era, start, newest.last)
        self._image_lsn = image.lsn

    def _continues(self, vault: Vault, era: Era) -> bool:
        extent = self._volume.log.extent()
        if extent is None or not era.images:
            return False
        size = self._volume.metadata.wal_segment_bytes
        end = era.end or log_start(min(era.images).redo, size)
        if not extent.oldest <= end <= extent.durable:
            return False
        if not era.pieces:
            return True
        piece = max(era.pieces, key=lambda each: each.end)
        compared = min(piece.bytes, end - extent.oldest, COMPARED_BYTES)
        if compared == 0:
            return True
        kept = vault.piece(era.number, piece).wal[-compared:]
        cursor = self._volume.log.cursor(end - compared)
        found = b""
        while len(found) < compared and (part := cursor.read(compared - len(found))):
            found += part
        return kept == found

    # images ------------------------------------------------------------------------------------

    def _newer_image_is_due(self) -> bool:
        image = self._volume.newest_image()
        if image is None:
            return False
        self._image_bytes = image.size_bytes
        return pacing.image_is_due(image.lsn - self._image_lsn, image.size_bytes)

    def _upload_image(self, vault: Vault) -> None:
        """Upload the newest image, with the log beside it; it begins an era where none is open."""
        found = self._volume.newest_image()
        try:
            source = self._base() if found is None else self._of(found)
            if self.position is None:
                # What was before an era is the era's before it, or in no backup.
                now = replace(source.image, complete_at=int(time.time() * 1000))
                source = replace(source, image=now)
            if found is not None:
                self._reading = found.lsn
                if not found.directory.exists():
                    raise LookupError(f"{found.directory} gave way to a newer image")
            if self._image is None and self._log is not None:
                era = self._holdings.era(self._era)
                self._image = vault.image(self._era, max(era.images, key=lambda each: each.lsn))
            if self._log is None:
                start = log_start(source.image.redo, source.wal_segment_bytes)
                self._log = LogUpload(self._volume, vault, self._era, start, 0)
            manifest = upload_image(vault, self._era, source, self._image, self._between)
        except BaseException:
            if self.position is None:
                self._log = None
            raise
        finally:
            self._reading = None
        self._image = manifest
        self._image_lsn, self._image_bytes = source.image.lsn, manifest.size_bytes
        self._holdings = with_image(self._holdings, self._era, source.image)

    def _between(self) -> None:
        """While pages are uploaded, which may take long, log goes on to be."""
        if self._leaving.is_set():
            raise UploadStoppedError
        log = self._log
        if log is not None:
            log.upload(self._leaving.is_set)

    def _base(self) -> Source:
        """The pages that the volume began with: all that has happened since is in its log."""
        directory = self._volume.base_image
        control = ControlFile.read(directory)
        # What was done before the cluster had its name belongs to no time of its own.
        image = Image(control.redo, control.redo, int(time.time() * 1000))
        return self._source(directory, files_of(directory), image, control.timeline)

    def _of(self, image: PageImage) -> Source:
        """An image. It was complete when its manifest was written, or before."""
        made_at = image.disk.modified_ns(image.directory) // 1_000_000
        # Its pages may hold a little more than its LSN says: never more than what is durable now.
        extent = self._volume.log.extent()
        lsn = max(image.lsn, extent.durable) if extent is not None else image.lsn
        complete = Image(image.redo, lsn, min(made_at, int(time.time() * 1000)))
        return self._source(image.directory / DATA, image.files, complete, image.timeline)

    def _source(
        self, directory: Path, files: tuple[ImageFile, ...], image: Image, timeline: int
    ) -> Source:
        metadata = self._volume.metadata
        return Source(
            directory,
            files,
            image,
            timeline,
            metadata.system_identifier,
            metadata.wal_segment_bytes,
            metadata.server_version,
        )

    def _collect(self, facts: BackedUp) -> None:
        self._collect_at = time.monotonic() + pacing.COLLECT_EVERY_S
        since = int(time.time() * 1000) - facts.retention_days * DAY_MS
        size = self._volume.metadata.wal_segment_bytes
        self._holdings = self._collecting.collect(since, size)
        if not self._holdings.era(self._era).images:
            self._vault = None
            self._reset()


def with_image(holdings: Holdings, number: int, image: Image) -> Holdings:
    """Holdings with one image more."""
    era = holdings.era(number)
    return _with_era(holdings, replace(era, images=tuple(sorted({*era.images, image}))))


def with_piece(holdings: Holdings, number: int, piece: Piece) -> Holdings:
    """Holdings with one piece of log more."""
    era = holdings.era(number)
    return _with_era(holdings, replace(era, pieces=tuple(sorted({*era.pieces, piece}))))


def _with_era(holdings: Holdings, era: Era) -> Holdings:
    others = [each for each in holdings.eras if each.number != era.number]
    return replace(holdings, eras=tuple(sorted([*others, era], key=lambda each: each.number)))
