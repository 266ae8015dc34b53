"""Page images: data directories that a coalescer stopped cleanly, kept by full segments.

An image is never changed: it is complete under its name, or not there. Files that did not change
since the segment's image before are hard links to it. The manifest has every file's size and
CRC32C; the scrub and a rebuild compare them.

    pages/0000000001a00000/manifest.json
    pages/0000000001a00000/data/base/5/1259 ...
"""

import ctypes
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import google_crc32c

from cluster_runtime.engine.files import copy_tree, open_plain
from cluster_runtime.engine.os_user import OsUser
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.disk.device import sync_file
from cluster_runtime.storage.disk.log_files import sync_directory, write_durably

MANIFEST = "manifest.json"
DATA = "data"
_CHUNK_BYTES = 1 << 20
_NOT_PAGES = {
    "postmaster.pid",
    "postmaster.opts",
    "standby.signal",
    "recovery.signal",
    "runtime.conf",
    "borealis.volume",
}
_EMPTY_FOLDERS = {"pg_wal", "pg_stat_tmp", "pg_replslot", "pg_notify", "pg_dynshmem", "pgsql_tmp"}


class ImageDamagedError(StorageError):
    """Files of a page image are not what its manifest says. It is taken from a peer."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file of an image; `path` is relative to its data directory.

    modified_ns: when the coalescer last wrote it. The checksum alone cannot tell that a file did
    not change: pg_control ends with its own CRC32C, which gives all its versions the same one.
    """

    path: str
    size: int
    crc32c: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class PageImage:
    """A complete image. `redo`: replay starts there; `lsn`: what its pages hold at least."""

    directory: Path
    redo: int
    lsn: int
    timeline: int
    files: tuple[ImageFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(each.size for each in self.files)

    def copy_to(self, data_directory: Path, user: OsUser) -> None:
        """Make a data directory of it, as cheaply as the file system allows."""
        copy_tree(self.directory / DATA, data_directory, user)

    def damaged(
        self, files: Sequence[ImageFile] | None = None, *, sizes_only: bool = False
    ) -> list[str]:
        """Paths of files (of `files`, or all) whose size or checksum is not the manifest's."""
        given = self.files if files is None else files
        return [each.path for each in given if self._is_damaged(each, sizes_only)]

    def _is_damaged(self, file: ImageFile, sizes_only: bool) -> bool:
        path = self.directory / DATA / file.path
        try:
            if path.stat().st_size != file.size:
                return True
            return not sizes_only and checksum(path) != file.crc32c
        except OSError:
            return True


def images(folder: Path) -> list[PageImage]:
    """The complete images of a segment, oldest first."""
    found = []
    for directory in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            manifest = json.loads((directory / MANIFEST).read_text())
            files = tuple(ImageFile(**each) for each in manifest.pop("files"))
            found.append(PageImage(directory=directory, files=files, **manifest))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
            continue
    return found


def make_image(
    folder: Path, source: Path, *, redo: int, lsn: int, timeline: int, linked: bool = True
) -> PageImage:
    """Copy a cleanly stopped data directory to a segment's folder, durably.

    linked: files equal to those of the newest image there become links to them.
    Raises OSError where the disk is full; nothing half-made remains under the image's name.
    """
    last = (images(folder) or [_NOTHING])[-1] if linked else _NOTHING
    before = {each.path: each for each in last.files}
    newest = last.directory
    target = folder / f"{redo:016x}"
    partial = folder / f"{redo:016x}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    files = []
    try:
        (partial / DATA).mkdir(parents=True, mode=0o700)
        for path in _folders(source):
            (partial / DATA / path).mkdir(mode=0o700, exist_ok=True)
        for path in _files(source):
            kept = before.get(path)
            stat = (source / path).stat()
            facts = ImageFile(path, stat.st_size, checksum(source / path), stat.st_mtime_ns)
            copy = partial / DATA / path
            if kept == facts:
                os.link(newest / DATA / path, copy)
            else:
                _copy(source / path, copy)
            files.append(facts)
        _sync_all(partial)
        manifest = {"redo": redo, "lsn": lsn, "timeline": timeline}
        listed = {**manifest, "files": [asdict(each) for each in files]}
        write_durably(partial / MANIFEST, json.dumps(listed).encode())
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        sync_directory(folder)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return PageImage(target, redo, lsn, timeline, tuple(files))


def copy_image(image: PageImage, folder: Path) -> PageImage:
    """Give another segment an image, which it then holds exactly as the manifest says.

    Nothing of what that segment holds is linked to: it may be what was damaged.

    Raises ImageDamagedError where the image is not what its manifest says, OSError where the disk
    is full.
    """
    damaged = image.damaged()
    if damaged:
        raise ImageDamagedError(f"{image.directory} is damaged: {', '.join(damaged)}")
    return make_image(
        folder,
        image.directory / DATA,
        redo=image.redo,
        lsn=image.lsn,
        timeline=image.timeline,
        linked=False,
    )


def remove_images(folder: Path, *, below: int) -> None:
    """Delete the images whose redo LSN is lower than `below`, and what was left half-made."""
    for image in images(folder):
        if image.redo < below:
            shutil.rmtree(image.directory)
    for partial in folder.glob("*.partial"):
        shutil.rmtree(partial)


def checksum(path: Path) -> int:
    """CRC32C of a file."""
    crc = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = google_crc32c.extend(crc, chunk)
    return crc


def _folders(source: Path) -> Iterator[str]:
    for folder, names, _ in os.walk(source):
        relative = Path(folder).relative_to(source)
        yield str(relative)
        if relative.name in _EMPTY_FOLDERS:
            names.clear()
            if relative.name == "pg_wal":
                yield str(relative / "archive_status")
                yield str(relative / "summaries")


def _files(source: Path) -> Iterator[str]:
    for folder, names, files in os.walk(source):
        relative = Path(folder).relative_to(source)
        if relative.name in _EMPTY_FOLDERS or relative.parent.name == "pg_wal":
            names.clear()
            continue
        yield from (str(relative / name) for name in sorted(files) if name not in _NOT_PAGES)


def _copy(source: Path, target: Path) -> None:
    with (
        open(open_plain(source), "rb", buffering=0) as reader,
        target.open("xb", buffering=0) as writer,
    ):
        os.fchmod(writer.fileno(), 0o600)
        if hasattr(os, "copy_file_range"):
            left = os.fstat(reader.fileno()).st_size
            while left > 0 and (copied := _copy_range(reader.fileno(), writer.fileno(), left)):
                left -= copied
        while chunk := reader.read(_CHUNK_BYTES):
            writer.write(chunk)


def _sync_all(folder: Path) -> None:
    """Force everything below a folder to the disk: at once where the system can."""
    syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
    if syncfs is not None:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if syncfs(fd) == 0:
                return
        finally:
            os.close(fd)
    for inside, _, files in os.walk(folder):
        for name in files:
            with (Path(inside) / name).open("rb") as file:
                sync_file(file.fileno())
        sync_directory(Path(inside))


def _copy_range(source: int, target: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, count)
    except OSError:
        # Not between these file systems: the plain copy that follows does it.
        return 0


_NOTHING = PageImage(Path(), 0, 0, 0, ())
