"""Page images: data directories that a coalescer stopped cleanly, kept by full segments.

An image is never changed: it is complete under its name, or not there. Files that did not change
since the segment's image before are hard links to it. The manifest has every file's size and
CRC32C; the scrub and a rebuild compare them.

    pages/0000000001a00000/manifest.json
    pages/0000000001a00000/data/base/5/1259 ...
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system.files import copy_tree, remove_file
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.disk.filesystem import HOST_DISK, Disk, Pace, at_once, link_or_copy
from cluster_runtime.storage.disk.sealed import SealBrokenError, is_unsealed, seal, unseal

MANIFEST = "manifest.json"
DATA = "data"
PARTIAL = ".partial"
_KIND = "image"
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
    """A complete image. `redo`: replay starts there; `lsn`: its pages hold nothing above that."""

    directory: Path
    redo: int
    lsn: int
    timeline: int
    files: tuple[ImageFile, ...]
    disk: Disk = HOST_DISK

    @property
    def size_bytes(self) -> int:
        """The size of all files of the image."""
        return sum(each.size for each in self.files)

    def copy_to(
        self, data_directory: Path, user: OsUser, go_on: Callable[[], None] | None = None
    ) -> None:
        """Make a data directory of it, as cheaply as the file system allows.

        go_on: called again and again; what it raises ends the copy.
        """
        copy_tree(self.directory / DATA, data_directory, user, go_on)

    def is_copy_of(self, data_directory: Path) -> bool:
        """Whether a stopped data directory is as it was when this image was made of it.

        A server that ran over it since has written its control file.
        """

        def same(file: ImageFile) -> bool:
            path = data_directory / file.path
            found = self.disk.size(path), self.disk.modified_ns(path)
            return found == (file.size, file.modified_ns)

        try:
            return all(same(each) for each in self.files)
        except OSError:
            return False

    def damaged(
        self, files: Sequence[ImageFile] | None = None, *, sizes_only: bool = False
    ) -> list[str]:
        """Paths of files (of `files`, or all) whose size or checksum is not the manifest's."""
        given = self.files if files is None else files
        return [each.path for each in given if self._is_damaged(each, sizes_only)]

    def _is_damaged(self, file: ImageFile, sizes_only: bool) -> bool:
        path = self.directory / DATA / file.path
        try:
            if self.disk.size(path) != file.size:
                return True
            return not sizes_only and self.disk.checksum(path) != file.crc32c
        except OSError:
            return True


def images(folder: Path, disk: Disk = HOST_DISK) -> list[PageImage]:
    """The complete images of a segment, oldest first. One whose manifest is damaged is none."""
    found = []
    try:
        names = disk.names(folder)
    except OSError:
        return []  # this segment's disk refuses: others have theirs
    for name in names:
        if name.endswith(PARTIAL):
            continue
        try:
            manifest = disk.read(folder / f"{name}/{MANIFEST}")
            found.append(_image(folder / name, manifest, disk))
        except (OSError, SealBrokenError, ValueError, TypeError, KeyError):
            continue
    return found


def seal_images(folder: Path, disk: Disk) -> None:
    """Give images of format 1, whose manifests had no checksum, those of today."""
    for name in disk.names(folder):
        try:
            content = disk.read(folder / name / MANIFEST)
            image = _listed(folder / name, content, disk)
            if is_unsealed(content) and not image.damaged():
                disk.replace(folder / name / MANIFEST, seal(_KIND, content))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # it is copied again from a peer


@lru_cache(maxsize=64)
def _image(directory: Path, content: bytes, disk: Disk) -> PageImage:
    return _listed(directory, unseal(_KIND, content), disk)


def _listed(directory: Path, manifest: bytes, disk: Disk) -> PageImage:
    listed = json.loads(manifest)
    files = tuple(ImageFile(**each) for each in listed.pop("files"))
    return PageImage(directory=directory, files=files, disk=disk, **listed)


def files_of(
    source: Path, known: Sequence[ImageFile] = (), disk: Disk = HOST_DISK
) -> tuple[ImageFile, ...]:
    """The files of a cleanly stopped data directory that make an image.

    known: as they were the last time; one that was not written since has the checksum it had.
    """
    before = {(each.path, each.size, each.modified_ns): each for each in known}
    found = []
    for path in _files(source, disk):
        file = source / path
        size, modified_ns = disk.size(file), disk.modified_ns(file)
        same = before.get((path, size, modified_ns))
        found.append(same or ImageFile(path, size, disk.checksum(file), modified_ns))
    return tuple(found)


def make_image(
    folder: Path,
    source: Path,
    *,
    redo: int,
    lsn: int,
    timeline: int,
    linked: bool = True,
    files_known: Sequence[ImageFile] | None = None,
    pace: Pace = at_once,
    disk: Disk = HOST_DISK,
) -> PageImage:
    """Copy a cleanly stopped data directory to a segment's folder, durably.

    linked: files equal to those of the newest image there become links to them. files_known: the
    source's, where they are known already. pace: called with a descriptor and a number of bytes
    after each stretch that was written there.
    Raises OSError where the disk is full; nothing half-made remains under the image's name.
    """
    last = (images(folder, disk) or [_NOTHING])[-1] if linked else _NOTHING
    before = {each.path: each for each in last.files}
    newest = last.directory
    target = folder / f"{redo:016x}"
    partial = folder / f"{redo:016x}{PARTIAL}"
    disk.remove_tree(partial)
    files = tuple(files_known) if files_known is not None else files_of(source, disk=disk)
    copied: list[Path] = []
    try:
        disk.make_directory(partial / DATA)
        for path in _folders(source, disk):
            with suppress(FileExistsError):
                disk.make_directory(partial / DATA / path)
        for file in files:
            copy = partial / DATA / file.path
            if before.get(file.path) == file:
                disk.link(newest / DATA / file.path, copy)
            else:
                disk.copy(source / file.path, copy, pace)
                copied.append(copy)
        disk.sync_tree(partial, copied)
        manifest = {"redo": redo, "lsn": lsn, "timeline": timeline}
        listed = {**manifest, "files": [asdict(each) for each in files]}
        disk.replace(partial / MANIFEST, seal(_KIND, json.dumps(listed).encode()))
        disk.remove_tree(target)
        disk.rename(partial, target)
        disk.sync_directory(folder)
    except OSError:
        with suppress(OSError):
            disk.remove_tree(partial)
        raise
    return PageImage(target, redo, lsn, timeline, files, disk)


def keep_pages_alone(data_directory: Path) -> None:
    """Remove from a cleanly stopped data directory all that an image of it does not have."""
    for name in _NOT_PAGES:
        remove_file(data_directory / name)
    for folder, names, _ in os.walk(data_directory):
        if Path(folder).name in _EMPTY_FOLDERS:
            names.clear()
            for path in Path(folder).iterdir():
                remove_file(path)
    for below in _folders(data_directory, HOST_DISK):
        (data_directory / below).mkdir(0o700, exist_ok=True)


def link_image(image: PageImage, folder: Path) -> None:
    """Give another volume's segment an image, durably, by a second name for each of its files.

    Nobody writes into the file of an image: what is damaged is put in its place as a new file.
    Raises OSError; nothing half-made remains under the image's name.
    """
    disk = image.disk

    def finish(partial: Path) -> None:
        link_or_copy(disk, image.directory / MANIFEST, partial / MANIFEST)

    _link(
        image.directory / DATA,
        [each.path for each in image.files],
        folder,
        image.directory.name,
        finish,
        disk,
    )


def link_base(
    base: Path,
    folder: Path,
    *,
    redo: int,
    timeline: int,
    make_own: Callable[[Path], None],
    disk: Disk = HOST_DISK,
) -> None:
    """Give a segment the pages that its volume began with as an image, by second names.

    make_own: given the new data directory, makes the files that differ new ones. Raises OSError;
    nothing half-made remains under the image's name.
    """

    def finish(partial: Path) -> None:
        make_own(partial / DATA)
        listed = [asdict(each) for each in files_of(partial / DATA, disk=disk)]
        manifest = {"redo": redo, "lsn": redo, "timeline": timeline, "files": listed}
        disk.replace(partial / MANIFEST, seal(_KIND, json.dumps(manifest).encode()))

    _link(base, list(_files(base, disk)), folder, f"{redo:016x}", finish, disk, durable=False)


def _link(
    source: Path,
    paths: Sequence[str],
    folder: Path,
    name: str,
    finish: Callable[[Path], None],
    disk: Disk,
    *,
    durable: bool = True,
) -> None:
    """Make an image of second names. finish: adds its manifest. durable: the source's files are."""
    partial = folder / f"{name}{PARTIAL}"
    disk.remove_tree(partial)
    try:
        disk.make_directory(partial / DATA)
        for path in _folders(source, disk):
            with suppress(FileExistsError):
                disk.make_directory(partial / DATA / path)
        disk.link_all(source, partial / DATA, paths)
        finish(partial)
        disk.sync_tree(partial, [] if durable else [partial / DATA / path for path in paths])
        disk.rename(partial, folder / name)
        disk.sync_directory(folder)
    except OSError:
        with suppress(OSError):
            disk.remove_tree(partial)
        raise


def copy_image(image: PageImage, folder: Path, *, pace: Pace = at_once) -> PageImage:
    """Give another segment an image, which it then holds exactly as the manifest says.

    Nothing of what that segment holds is linked to: it may be what was damaged. pace: as for
    `make_image`.

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
        disk=image.disk,
        pace=pace,
    )


def give_up_images(
    folder: Path, *, below: int, keep: frozenset[int] = frozenset(), disk: Disk = HOST_DISK
) -> None:
    """Take their names from the images whose redo LSN is lower than `below`; `sweep` deletes them.

    keep: redo LSNs of those that stay. Half of an image is never found under an image's name.
    """
    for name in disk.names(folder):
        redo = redo_of(name)
        # By name: one whose manifest is damaged is no image any more, and takes space like one.
        if redo is not None and redo < below and redo not in keep:
            given_up = folder / f"{name}{PARTIAL}"
            # One that was being made again when the process ended has that name already.
            disk.remove_tree(given_up)
            disk.rename(folder / name, given_up)


def redo_of(name: str) -> int | None:
    """The redo LSN of the image that has this name; None where it is no image's."""
    try:
        return int(name, 16)
    except ValueError:
        return None


def sweep(folder: Path, disk: Disk = HOST_DISK) -> None:
    """Delete the images that were given up, and what was left half-made."""
    for name in disk.names(folder):
        if name.endswith(PARTIAL):
            disk.remove_tree(folder / name)


def fingerprint(data_directory: Path) -> str:
    """A checksum that tells the pages of a cleanly stopped data directory from all others."""
    control = (data_directory / "global" / "pg_control").stat()
    return _fingerprint(data_directory, control.st_ino, control.st_mtime_ns)


@lru_cache(maxsize=8)
def _fingerprint(data_directory: Path, inode: int, modified_ns: int) -> str:
    """inode, modified_ns: of its control file, which every start of a server over it changes."""
    digest = hashlib.sha256()
    for path in sorted(_files(data_directory, HOST_DISK)):
        file = data_directory / path
        size, crc32c = HOST_DISK.size(file), HOST_DISK.checksum(file)
        digest.update(f"{path} {size} {crc32c:08x}\n".encode())
    return digest.hexdigest()


def _folders(source: Path, disk: Disk) -> Iterator[str]:
    for folder, names, _ in disk.walk(source):
        relative = Path(folder).relative_to(source)
        yield str(relative)
        if relative.name in _EMPTY_FOLDERS:
            names.clear()
            if relative.name == "pg_wal":
                yield str(relative / "archive_status")
                yield str(relative / "summaries")


def _files(source: Path, disk: Disk) -> Iterator[str]:
    for folder, names, files in disk.walk(source):
        relative = Path(folder).relative_to(source)
        if relative.name in _EMPTY_FOLDERS or relative.parent.name == "pg_wal":
            names.clear()
            continue
        yield from (str(relative / name) for name in sorted(files) if name not in _NOT_PAGES)


_NOTHING = PageImage(Path(), 0, 0, 0, ())
