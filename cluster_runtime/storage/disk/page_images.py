"""Page images: data directories that a coalescer stopped cleanly, kept by full segments.

An image is never changed: it is complete under its name, or not there. Files that did not change
since the segment's image before are hard links to it. The manifest has every file's size and
CRC32C; the scrub and a rebuild compare them.

    pages/0000000001a00000/manifest.json
    pages/0000000001a00000/data/base/5/1259 ...
"""

import ctypes
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import google_crc32c

from cluster_runtime.engine.files import copy_tree
from cluster_runtime.engine.os_user import OsUser
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.disk.device import sync_file
from cluster_runtime.storage.disk.filesystem import HOST_DISK

Pace = Callable[[int, int], None]

MANIFEST = "manifest.json"
PARTIAL = ".partial"
DATA = "data"
_CHUNK_BYTES = 1 << 20
_STRETCH_BYTES = 2 << 20
_SYNCED_ONE_BY_ONE = 200
_NOT_PAGES = {
    "postmaster.pid",
    "postmaster.opts",
    "standby.signal",
    "recovery.signal",
    "runtime.conf",
    "borealis.volume",
}
_EMPTY_FOLDERS = {"pg_wal", "pg_stat_tmp", "pg_replslot", "pg_notify", "pg_dynshmem", "pgsql_tmp"}


def _at_once(fd: int, count: int) -> None:
    """The pace of a copy that nobody has to wait for."""


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
        if directory.suffix == PARTIAL:
            continue
        try:
            facts = (directory / MANIFEST).stat()
            found.append(_read(directory, facts.st_ino, facts.st_mtime_ns))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
            continue
    return found


@lru_cache(maxsize=64)
def _read(directory: Path, inode: int, modified_ns: int) -> PageImage:
    """inode, modified_ns: of the manifest, which never changes: another one is another image's."""
    manifest = json.loads((directory / MANIFEST).read_text())
    files = tuple(ImageFile(**each) for each in manifest.pop("files"))
    return PageImage(directory=directory, files=files, **manifest)


def facts_of(source: Path, known: Sequence[ImageFile] = ()) -> tuple[ImageFile, ...]:
    """The files of a cleanly stopped data directory that make an image.

    known: as they were the last time; one that was not written since has the checksum it had.
    """
    before = {(each.path, each.size, each.modified_ns): each for each in known}
    found = []
    for path in _files(source):
        stat = (source / path).stat()
        same = before.get((path, stat.st_size, stat.st_mtime_ns))
        found.append(
            same or ImageFile(path, stat.st_size, checksum(source / path), stat.st_mtime_ns)
        )
    return tuple(found)


def make_image(
    folder: Path,
    source: Path,
    *,
    redo: int,
    lsn: int,
    timeline: int,
    linked: bool = True,
    facts: Sequence[ImageFile] | None = None,
    pace: Pace = _at_once,
) -> PageImage:
    """Copy a cleanly stopped data directory to a segment's folder, durably.

    linked: files equal to those of the newest image there become links to them. facts: of the files
    of the source, where they are known already. pace: called with a descriptor and a number of
    bytes after each stretch that was written there.
    Raises OSError where the disk is full; nothing half-made remains under the image's name.
    """
    last = (images(folder) or [_NOTHING])[-1] if linked else _NOTHING
    before = {each.path: each for each in last.files}
    newest = last.directory
    target = folder / f"{redo:016x}"
    partial = folder / f"{redo:016x}{PARTIAL}"
    shutil.rmtree(partial, ignore_errors=True)
    files = tuple(facts) if facts is not None else facts_of(source)
    copied: list[Path] = []
    try:
        (partial / DATA).mkdir(parents=True, mode=0o700)
        for path in _folders(source):
            (partial / DATA / path).mkdir(mode=0o700, exist_ok=True)
        for file in files:
            copy = partial / DATA / file.path
            if before.get(file.path) == file:
                os.link(newest / DATA / file.path, copy)
            else:
                _copy(source / file.path, copy, pace)
                copied.append(copy)
        _sync(partial, copied)
        manifest = {"redo": redo, "lsn": lsn, "timeline": timeline}
        listed = {**manifest, "files": [asdict(each) for each in files]}
        HOST_DISK.replace(partial / MANIFEST, json.dumps(listed).encode())
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        HOST_DISK.sync_directory(folder)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return PageImage(target, redo, lsn, timeline, files)


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


def give_up_images(folder: Path, *, below: int, keep: frozenset[int] = frozenset()) -> None:
    """Take their names from the images whose redo LSN is lower than `below`; `sweep` deletes them.

    keep: redo LSNs of those that stay. Half of an image is never found under an image's name.
    """
    for image in images(folder):
        if image.redo < below and image.redo not in keep:
            image.directory.rename(image.directory.with_suffix(PARTIAL))


def sweep(folder: Path) -> None:
    """Delete the images that were given up, and what was left half-made."""
    for partial in folder.glob(f"*{PARTIAL}"):
        shutil.rmtree(partial)


def fingerprint(data_directory: Path) -> str:
    """A checksum that tells the pages of a cleanly stopped data directory from all others."""
    control = (data_directory / "global" / "pg_control").stat()
    return _fingerprint(data_directory, control.st_ino, control.st_mtime_ns)


@lru_cache(maxsize=8)
def _fingerprint(data_directory: Path, inode: int, modified_ns: int) -> str:
    """inode, modified_ns: of its control file, which every start of a server over it changes."""
    digest = hashlib.sha256()
    for path in sorted(_files(data_directory)):
        file = data_directory / path
        digest.update(f"{path} {file.stat().st_size} {checksum(file):08x}\n".encode())
    return digest.hexdigest()


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


def _copy(source: Path, target: Path, pace: Pace) -> None:
    """Copy a file, by reflink or inside the kernel where that can be."""
    with source.open("rb", buffering=0) as reader, target.open("xb", buffering=0) as writer:
        os.fchmod(writer.fileno(), 0o600)
        if hasattr(os, "copy_file_range"):
            while copied := _copy_range(reader.fileno(), writer.fileno(), _STRETCH_BYTES):
                pace(writer.fileno(), copied)
        while chunk := reader.read(_CHUNK_BYTES):
            view = memoryview(chunk)
            while view:
                view = view[writer.write(view) :]
            pace(writer.fileno(), len(chunk))


def _sync(folder: Path, copied: Sequence[Path]) -> None:
    """Force an image to the disk: a few new files by themselves, for many the whole file system.

    The file system also holds what a writer with fsync=off has not written yet.
    """
    if len(copied) > _SYNCED_ONE_BY_ONE:
        _sync_all(folder)
        return
    for path in copied:
        with path.open("rb") as file:
            sync_file(file.fileno())
    for inside, _, _ in os.walk(folder):
        HOST_DISK.sync_directory(Path(inside))


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
        HOST_DISK.sync_directory(Path(inside))


def _copy_range(source: int, target: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, count)
    except OSError:
        # Not between these file systems: the plain copy that follows does it.
        return 0


_NOTHING = PageImage(Path(), 0, 0, 0, ())
