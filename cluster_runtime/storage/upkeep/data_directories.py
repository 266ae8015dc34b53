"""Data directories of a volume's servers: laid out from its pages and log, and when to trust one.

What is in such a directory, and what makes PostgreSQL replay it, is `disk.data_directory`'s.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from cluster_runtime.engine.control_file import set_system_identifier
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system.files import copy_tree, remove_tree
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.policy.growth import read_ios
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.disk.data_directory import (
    Claim,
    ControlFile,
    boot_id,
    clear_wal,
    mark_in_production,
    recover_along_timelines,
    write_wal,
)
from cluster_runtime.storage.disk.page_images import PageImage, fingerprint
from cluster_runtime.storage.live.mount import Mount

WAL_CHUNK_BYTES = 1 << 20


class DataDirectories:
    """base_image: the pages that the volume began with, a cleanly stopped data directory."""

    def __init__(self, mount: Mount, base_image: Path, user: OsUser) -> None:
        self._mount = mount
        self.base_image = base_image
        self._user = user

    @cached_property
    def base_image_bytes(self) -> int:
        """The size of the pages that the volume began with."""
        files = (path for path in (self.base_image / "base").rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files)

    @cached_property
    def base_redo(self) -> int:
        """Where replay begins over the pages that the volume began with; 0 where they are gone."""
        try:
            return ControlFile.read(self.base_image).redo
        except (OSError, StorageError):
            return 0

    def trusts(self, claimed: Claim | None) -> bool:
        """Whether a data directory of that claim may be started as it is."""
        return claimed == self._claim(int(self._mount.node.volume.vdl))

    def claim(self, data_directory: Path) -> None:
        """Note that a server uses a directory now: an unclean end leaves it untrusted."""
        self._claim(None).write(data_directory)

    def release(self, data_directory: Path) -> None:
        """Note that the server over a directory has stopped cleanly, and all its log is here."""
        node = self._mount.node
        if node.end_lsn == node.volume.vdl:
            self._claim(int(node.volume.vdl)).write(data_directory)

    def make_writers(self, data_directory: Path, image: PageImage | None) -> None:
        """Pages and log up to the VDL; the server over it writes on behind them."""
        metadata, end = self._mount.metadata, int(self._mount.node.volume.vdl)
        remove_tree(data_directory)
        redo = self._lay_out_pages(data_directory, image, self._user)
        self._continue(data_directory, redo, end, metadata.timelines, self._user)
        self.claim(data_directory)

    def make_others(
        self,
        data_directory: Path,
        image: PageImage | None,
        end: int,
        metadata: VolumeMetadata,
        user: OsUser,
        base_copy: Path | None,
        *,
        has_pages: bool,
    ) -> None:
        """The same for the writer of a volume that was cut from this one where its log ends.

        metadata, user: of that one. It trusts the directory as if it had stopped cleanly there.
        base_copy: of the pages that the volume began with, which becomes the directory if they are
        needed. has_pages: whether the image's are there.
        """
        if image is not None and has_pages:
            redo = image.redo
        elif image is None and base_copy is not None:
            self.check_base()
            remove_tree(data_directory)
            base_copy.rename(data_directory)
            set_system_identifier(data_directory, metadata.system_identifier)
            redo = ControlFile.read(data_directory).redo
        else:
            remove_tree(data_directory)
            redo = self._lay_out_pages(data_directory, image, user)
        self._continue(data_directory, redo, end, metadata.timelines, user)
        Claim(metadata.identity, boot_id(), end).write(data_directory)

    def _continue(
        self, data_directory: Path, redo: int, end: int, timelines: Timelines, user: OsUser
    ) -> None:
        """Have the next server over pages replay the log up to an LSN, and write on behind it."""
        self._write_log(data_directory, redo, end, timelines, user)
        if redo < end:
            if timelines.at(redo) == timelines.current:
                mark_in_production(data_directory)
            else:
                recover_along_timelines(data_directory, user)

    def make_standbys(
        self, data_directory: Path, image: PageImage | None, user: OsUser | None = None
    ) -> None:
        """The same for a server that only follows the log.

        user: whose it is; by default this volume's servers'.
        """
        user = user or self._user
        timelines, end = self._mount.metadata.timelines, int(self._mount.node.volume.vdl)
        remove_tree(data_directory)
        redo = self._lay_out_pages(data_directory, image, user)
        self._write_log(data_directory, redo, end, timelines, user)
        self._make_standby(data_directory, user)

    def _make_standby(self, data_directory: Path, user: OsUser) -> None:
        signal = data_directory / "standby.signal"
        signal.touch(0o600)
        user.own(signal)

    def make_coalescers(
        self, data_directory: Path, image: PageImage | None, go_on: Callable[[], None]
    ) -> None:
        """Pages alone, for a standby that takes all its log from the WAL service.

        Nothing is locked meanwhile: a writer can be started beside it. go_on: called again and
        again; what it raises ends this, and nothing of the directory remains.
        """
        remove_tree(data_directory)
        self._lay_out_pages(data_directory, image, self._user, go_on)
        clear_wal(data_directory)
        self._make_standby(data_directory, self._user)

    def _claim(self, stopped_at: int | None) -> Claim:
        return Claim(self._mount.metadata.identity, boot_id(), stopped_at)

    def _write_log(
        self, data_directory: Path, redo: int, end: int, timelines: Timelines, user: OsUser
    ) -> None:
        """Put the log from where replay begins into a data directory."""
        if redo < end:
            size = self._mount.metadata.wal_segment_bytes
            start = redo - redo % size
            write_wal(data_directory, start, self._wal(start, end), timelines, size, user)

    def _lay_out_pages(
        self,
        data_directory: Path,
        image: PageImage | None,
        user: OsUser,
        go_on: Callable[[], None] | None = None,
    ) -> int:
        counts = self._mount.counts
        if image is not None:
            image.copy_to(data_directory, user, go_on)
            counts.read_ios += read_ios(image.size_bytes)
            return image.redo
        self.copy_base(data_directory, user, go_on)
        counts.read_ios += read_ios(self.base_image_bytes)
        return ControlFile.read(data_directory).redo

    def copy_base(
        self,
        data_directory: Path,
        user: OsUser | None = None,
        go_on: Callable[[], None] | None = None,
    ) -> None:
        """Make a directory of the pages that the volume began with.

        user: whose it is; by default this volume's servers'. go_on: called again and again; what it
        raises ends the copy. Raises StorageError where what is
        there now are others.
        """
        self.check_base()
        copy_tree(self.base_image, data_directory, user or self._user, go_on)
        set_system_identifier(data_directory, self._mount.metadata.system_identifier)

    def check_base(self) -> None:
        """Raises StorageError where the base image is not the one that the volume began with."""
        began_with = self._mount.metadata.base
        try:
            found = fingerprint(self.base_image)
        except OSError as error:
            raise StorageError(
                f"the pages that the volume began with cannot be read: {error}; put "
                f"{self.base_image} back, or heal a full segment that has an image"
            ) from error
        if began_with and found != began_with:
            raise StorageError(
                f"{self.base_image} holds other pages than those that the volume began with "
                f"(checksum {found[:12]}, not {began_with[:12]}); put the old ones back, or heal a "
                "full segment that has an image"
            )

    def _wal(self, start: int, end: int) -> Iterator[bytes]:
        cursor = self._mount.cursor(start)
        while cursor.lsn < end and (chunk := cursor.read(min(WAL_CHUNK_BYTES, end - cursor.lsn))):
            yield chunk
