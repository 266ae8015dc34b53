"""The files of a volume as the rest of it sees them: one interface, over a real disk or a model.

What is said to be durable here is on the disk when the call returns. The simulation puts its own
disk behind the same interface, one that loses what was not synced, fails, rots and fills up.
"""

import errno
import fcntl
import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import google_crc32c

from cluster_runtime.engine.sandbox.libc import libc
from cluster_runtime.engine.system.files import open_plain
from cluster_runtime.storage.core.sizes import SIZES, Sizes
from cluster_runtime.storage.disk.device import sync_file

_EPOCH = struct.Struct("=Q")
_ZEROS = bytes(1 << 20)
_STRETCH_BYTES = 2 << 20
_SYNCED_ONE_BY_ONE = 200
NO_LINK = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP}
"""How a file system says that a file cannot have this second name."""

_O_DIRECT = getattr(os, "O_DIRECT", 0)


Pace = Callable[[int, int], None]


def at_once(fd: int, count: int) -> None:
    """Copy without a rest."""


class PromiseBoard(Protocol):
    """A number that every process which has the volume open sees at once: a segment's promise.

    It says how things stand, and keeps nothing: what is promised for good is in the state file.
    """

    value: int

    def alone(self) -> AbstractContextManager[None]:
        """Keep every other process from changing it, and the state file beside it."""

    @property
    def is_there(self) -> bool:
        """Whether it is still what others find under its name."""

    def close(self) -> None:
        """A second call does nothing."""


class Disk(Protocol):
    """Every method may raise OSError: that is the trouble of the segment whose file it is."""

    sizes: Sizes

    def __hash__(self) -> int: ...

    def names(self, directory: Path) -> list[str]:
        """What is in a folder, in order of names; nothing where there is no such folder."""

    def exists(self, path: Path) -> bool:
        """Whether there is such a file or folder."""

    def size(self, path: Path) -> int:
        """The length of a file in bytes."""

    def read(self, path: Path, offset: int = 0, length: int | None = None) -> bytes:
        """A file from an offset on, or `length` bytes of it."""

    def make_directory(self, path: Path) -> None:
        """Make a folder, and those above it that are not there.

        Raises FileExistsError where it is there already.
        """

    def replace(self, path: Path, content: bytes) -> None:
        """Replace a small file durably: after a crash it is the old one or the new one."""

    def create(self, path: Path, head: bytes, size: int, *, sparse: bool = False) -> None:
        """Make a file of `size` bytes durably: `head`, then zeros, with all its blocks.

        It has its name once it is complete; a file of that name is replaced. sparse: without the
        blocks of its zeros. Where that fails nothing half-made remains.
        """

    def write(self, path: Path, offset: int, content: bytes) -> None:
        """Write all of `content` into a file, durably."""

    def cut_short(self, path: Path, size: int) -> None:
        """Give back what a file has behind a size; after a power cut it may have that again."""

    def sync(self, path: Path) -> None:
        """Force what can be read of a file to the disk, whoever wrote it."""

    def remove(self, path: Path) -> None:
        """Delete a file."""

    def remove_tree(self, path: Path) -> None:
        """Delete a folder and what is in it; it need not be there."""

    def sync_directory(self, path: Path) -> None:
        """Force a folder's entries to the disk."""

    def sync_tree(self, path: Path, written: Sequence[Path]) -> None:
        """Force a folder with everything below it to the disk. written: the files that are new."""

    def rename(self, path: Path, target: Path) -> None:
        """Give a file or folder another name."""

    def link(self, path: Path, target: Path) -> None:
        """Give a file a second name."""

    def link_all(self, folder: Path, target: Path, paths: Sequence[str]) -> None:
        """Give many files second names, at the same paths below another folder.

        Where the file system cannot, the names are given copies.
        """

    def links(self, path: Path) -> int:
        """How many names a file has: more than one where another volume shares it."""

    def copy(self, path: Path, target: Path, pace: Pace) -> None:
        """Copy a file to a name that is free, as cheaply as the file system allows.

        pace: called with a descriptor and a number of bytes after each stretch that was written.
        """

    def walk(self, folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        """As os.walk: (folder, names of folders in it, names of files in it), from the top."""

    def modified_ns(self, path: Path) -> int:
        """When a file was last written, in nanoseconds of the clock of the file system."""

    def checksum(self, path: Path) -> int:
        """CRC32C of a file."""

    def open_reader(self, path: Path) -> int:
        """A descriptor to read from."""

    def open_writer(self, path: Path, *, direct: bool) -> int:
        """A descriptor for the log device. direct: past the page cache, where that is possible."""

    def read_at(self, fd: int, offset: int, length: int) -> bytes:
        """Some bytes at an offset; fewer at the end of the file."""

    def close(self, fd: int) -> None:
        """Close a descriptor."""

    def board(self, path: Path) -> PromiseBoard:
        """The promise board of a segment, made where it is not there."""


class HostDisk:
    """The disk of this machine."""

    sizes = SIZES

    def names(self, directory: Path) -> list[str]:
        """What is in a folder, in order of names; nothing where there is no such folder."""
        return sorted(os.listdir(directory)) if directory.is_dir() else []

    def exists(self, path: Path) -> bool:
        """Whether there is such a file or folder."""
        return path.exists()

    def size(self, path: Path) -> int:
        """The length of a file in bytes."""
        return path.stat().st_size

    def read(self, path: Path, offset: int = 0, length: int | None = None) -> bytes:
        """A file from an offset on, or `length` bytes of it."""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read() if length is None else file.read(length)

    def make_directory(self, path: Path) -> None:
        """Make a folder, and those above it that are not there."""
        path.mkdir(parents=True)

    def replace(self, path: Path, content: bytes) -> None:
        """Replace a small file durably: after a crash it is the old one or the new one."""
        partial = path.with_name(f"{path.name}.new")
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(fd, content)
            sync_file(fd)
        finally:
            os.close(fd)
        partial.rename(path)
        self.sync_directory(path.parent)

    def create(self, path: Path, head: bytes, size: int, *, sparse: bool = False) -> None:
        """Make a file of `size` bytes durably: `head`, then zeros, with all its blocks."""
        partial = path.with_suffix(".new")
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(fd, head)
            if sparse:
                os.ftruncate(fd, size)
            for at in range(len(head), 0 if sparse else size, len(_ZEROS)):
                _write_all(fd, _ZEROS[: size - at])
            sync_file(fd)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            raise
        finally:
            os.close(fd)
        partial.rename(path)
        self.sync_directory(path.parent)

    def write(self, path: Path, offset: int, content: bytes) -> None:
        """Write all of `content` into a file, durably."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            _write_all(fd, content, offset)
            sync_file(fd)
        finally:
            os.close(fd)

    def cut_short(self, path: Path, size: int) -> None:
        """Give back what a file has behind a size; after a power cut it may have that again."""
        os.truncate(path, size)

    def sync(self, path: Path) -> None:
        """Force what can be read of a file to the disk, whoever wrote it."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            sync_file(fd)
        finally:
            os.close(fd)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()

    def remove_tree(self, path: Path) -> None:
        """Delete a folder and what is in it; it need not be there."""
        with suppress(FileNotFoundError):
            shutil.rmtree(path)

    def sync_directory(self, path: Path) -> None:
        """Force a folder's entries to the disk."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync_tree(self, path: Path, written: Sequence[Path]) -> None:
        """Force a folder with everything below it to the disk. written: the files that are new."""
        # A few new files by themselves: the file system also holds what a writer with fsync=off
        # has not written yet. For many it is the cheaper way all the same.
        if len(written) > _SYNCED_ONE_BY_ONE and _sync_file_system(path):
            return
        for file in written:
            with file.open("rb") as opened:
                sync_file(opened.fileno())
        for inside, _, _ in os.walk(path):
            self.sync_directory(Path(inside))

    def rename(self, path: Path, target: Path) -> None:
        """Give a file or folder another name."""
        path.rename(target)

    def link(self, path: Path, target: Path) -> None:
        """Give a file a second name."""
        os.link(path, target)

    def link_all(self, folder: Path, target: Path, paths: Sequence[str]) -> None:
        """Give many files second names, at the same paths below another folder."""
        begin, there = os.fspath(folder), os.fspath(target)
        for path in paths:
            try:
                os.link(f"{begin}/{path}", f"{there}/{path}")
            except OSError as error:
                if error.errno not in NO_LINK:
                    raise
                link_or_copy(self, folder / path, target / path)

    def links(self, path: Path) -> int:
        """How many names a file has: more than one where another volume shares it."""
        return path.stat().st_nlink

    def copy(self, path: Path, target: Path, pace: Pace) -> None:
        """Copy a file to a name that is free, as cheaply as the file system allows."""
        with (
            open(open_plain(path), "rb", buffering=0) as reader,
            target.open("xb", buffering=0) as writer,
        ):
            os.fchmod(writer.fileno(), 0o600)
            if hasattr(os, "copy_file_range"):
                while copied := _copy_range(reader.fileno(), writer.fileno(), _STRETCH_BYTES):
                    pace(writer.fileno(), copied)
            while chunk := reader.read(len(_ZEROS)):
                _write_all(writer.fileno(), chunk)
                pace(writer.fileno(), len(chunk))

    def walk(self, folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        """As os.walk: (folder, names of folders in it, names of files in it), from the top."""
        return os.walk(folder)

    def modified_ns(self, path: Path) -> int:
        """When a file was last written, in nanoseconds of the clock of the file system."""
        return path.stat().st_mtime_ns

    def checksum(self, path: Path) -> int:
        """CRC32C of a file."""
        crc = 0
        with open(open_plain(path), "rb", buffering=0) as file:
            while chunk := file.read(len(_ZEROS)):
                crc = google_crc32c.extend(crc, chunk)
        return crc

    def open_reader(self, path: Path) -> int:
        """A descriptor to read from."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def open_writer(self, path: Path, *, direct: bool) -> int:
        """A descriptor for the log device. direct: past the page cache, where that is possible."""
        flags = os.O_WRONLY | os.O_CLOEXEC
        if direct and _O_DIRECT:
            try:
                return os.open(path, flags | _O_DIRECT)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
        fd = os.open(path, flags)
        if sys.platform == "darwin":
            with suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_NOCACHE, 1)
        return fd

    def read_at(self, fd: int, offset: int, length: int) -> bytes:
        """Some bytes at an offset; fewer at the end of the file."""
        return os.pread(fd, length, offset)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def board(self, path: Path) -> PromiseBoard:
        """The promise board of a segment, made where it is not there."""
        return _SharedBoard(path)


HOST_DISK = HostDisk()


def link_or_copy(disk: Disk, path: Path, target: Path) -> None:
    """Give a file a second name, or where the file system cannot, give the name a copy of it."""
    try:
        disk.link(path, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        disk.copy(path, target, at_once)
        disk.sync(target)


class _SharedBoard:
    """Eight bytes of a file that every process with the segment open reads and writes.

    Through the page cache, and not mapped: a file that is cut short would end a process there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @property
    def value(self) -> int:
        content = os.pread(self._fd, _EPOCH.size, 0)
        return int(_EPOCH.unpack(content)[0]) if len(content) == _EPOCH.size else 0

    @value.setter
    def value(self, value: int) -> None:
        os.pwrite(self._fd, _EPOCH.pack(value), 0)

    @contextmanager
    def alone(self) -> Iterator[None]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    @property
    def is_there(self) -> bool:
        try:
            return self._path.stat().st_ino == os.fstat(self._fd).st_ino
        except OSError:
            return False

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _write_all(fd: int, content: bytes, offset: int | None = None) -> None:
    """Every byte of it: a write may take less than it was given."""
    view = memoryview(content)
    while view:
        taken = os.write(fd, view) if offset is None else os.pwrite(fd, view, offset)
        if taken == 0:
            raise OSError(errno.EIO, "the disk took nothing of a write")
        view = view[taken:]
        offset = None if offset is None else offset + taken


def _copy_range(source: int, target: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, count)
    except OSError:
        # Not between these file systems: the plain copy that follows does it.
        return 0


def _sync_file_system(path: Path) -> bool:
    """Whether the whole file system that holds a folder could be forced to the disk."""
    syncfs = getattr(libc(), "syncfs", None)
    if syncfs is None:
        return False
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(syncfs(fd)) == 0
    finally:
        os.close(fd)
