"""Copies of directory trees, as cheap as the file system allows, and files among a server's own.

Whoever takes a server over owns its data directory. Where the host, which may be root, reads or
writes in one, it follows no link and opens no pipe.

A clone of extents (reflink) where the file system has them, else `copy_file_range`, which keeps
the bytes inside the kernel, else an ordinary copy.
"""

import errno
import fcntl
import os
import shutil
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.errors import InsufficientStorageError

FICLONE = 0x40049409
"""ioctl of Linux that makes a file share another one's extents (linux/fs.h)."""

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_TOPDIR_FL = 0x0002_0000
"""Attribute of a folder whose folders have nothing to do with each other (chattr +T)."""

STRETCH_BYTES = 32 << 20
"""Copied at once: some tens of milliseconds."""

_NO_REFLINK = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS}
_NO_ATTRIBUTE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EPERM, errno.ENOSYS}
_LONG = struct.Struct("@l")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_no_space(error: BaseException) -> bool:
    """Whether a disk is full, or what a user may have of it."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def copy_tree(
    source: Path, target: Path, user: OsUser, go_on: Callable[[], None] | None = None
) -> None:
    """Copy a folder of plain files and folders to `target`, which must not exist yet.

    go_on: called before each stretch of a file; what it raises ends the copy.
    Everything becomes the user's own, 0700 and 0600. Raises FileExistsError for a target that is
    there, and InsufficientStorageError where the file system is full; then, as after any error in
    the copy, nothing of `target` remains.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
    try:
        _copy_folder(os.fspath(source), os.fspath(target), user, _Copier(go_on or _nothing))
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        if is_no_space(error):
            free = shutil.disk_usage(_nearest_existing(target)).free
            raise InsufficientStorageError(
                f"no space to copy {source} to {target} ({free / 2**20:.0f} MiB free there); "
                "nothing was kept of it: free some space and try again"
            ) from error
        raise
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _nothing() -> None:
    """Who ends a copy that nobody ends."""


_Way = Callable[[int, int, int, Callable[[], None]], None]


class _Copier:
    """Copies one file by the cheapest way that has worked so far on this file system."""

    def __init__(self, go_on: Callable[[], None]) -> None:
        self._go_on = go_on
        self._ways: list[_Way] = [_by_read_and_write]
        if hasattr(os, "copy_file_range"):
            self._ways.append(_by_copy_file_range)
        if sys.platform == "linux":
            self._ways.append(_by_reflink)

    def __call__(self, source: int, target: int, size: int) -> None:
        while True:
            try:
                return self._ways[-1](source, target, size, self._go_on)
            except OSError as error:
                if error.errno not in _NO_REFLINK or len(self._ways) == 1:
                    raise
                self._ways.pop()


def _copy_folder(source: str, target: str, user: OsUser, copy: _Copier) -> None:
    os.mkdir(target, 0o700)
    with os.scandir(source) as entries:
        for entry in entries:
            below = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                _copy_folder(entry.path, below, user, copy)
            else:
                _copy_file(entry.path, below, user, copy)
    # Last: until then nobody who runs as that user puts anything in the way of what is written.
    user.own(Path(target))


def _copy_file(source: str, target: str, user: OsUser, copy: _Copier) -> None:
    reader = open_plain(source)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(reader).st_size
            if size:
                copy(reader, writer, size)
            if user.drops:
                os.fchown(writer, user.uid, user.gid)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _by_reflink(source: int, target: int, size: int, go_on: Callable[[], None]) -> None:
    go_on()
    fcntl.ioctl(target, FICLONE, source)


def _by_copy_file_range(source: int, target: int, size: int, go_on: Callable[[], None]) -> None:
    left = size
    while left:
        go_on()
        copied = os.copy_file_range(source, target, min(left, STRETCH_BYTES))
        if not copied:
            return
        left -= copied


def _by_read_and_write(source: int, target: int, size: int, go_on: Callable[[], None]) -> None:
    os.lseek(source, 0, os.SEEK_SET)
    os.lseek(target, 0, os.SEEK_SET)
    while chunk := os.read(source, 1 << 20):
        go_on()
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]


def _nearest_existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def spread_folders(directory: Path) -> None:
    """Have the file system place each folder below this one apart from the others, where it can.

    ext4 passes over every inode that was deleted in the last minutes when it looks for one for a
    new file, in the folder's own part of the disk: where clusters come and go beside each other,
    a copy takes three times as long.
    """
    if sys.platform != "linux":
        return
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (flags,) = _LONG.unpack(fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(_LONG.size)))
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, _LONG.pack(flags | FS_TOPDIR_FL))
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTE:
            raise
    finally:
        os.close(fd)


def open_plain(path: str | Path) -> int:
    """A descriptor to read a plain file. Raises OSError for a link, a pipe or a device."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    reader = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(reader).st_mode):
        os.close(reader)
        raise OSError(errno.EINVAL, "not a plain file", os.fspath(path))
    return reader


def create_plain(path: str | Path, user: OsUser) -> int:
    """A descriptor to write a file of `user` (0600) that is not there yet; follows no link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    writer = os.open(path, flags, 0o600)
    try:
        if user.drops:
            os.fchown(writer, user.uid, user.gid)
    except BaseException:
        os.close(writer)
        raise
    return writer


def write_atomically(path: Path, text: str, user: OsUser | None = None) -> None:
    """Put a file of `user` (0600) in the place of whatever has that name, a folder too."""
    partial = path.with_name(f"{path.name}.new")
    remove_file(partial)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(partial, flags, 0o600), "w", encoding="utf-8") as file:
        if user is not None and user.drops:
            os.fchown(file.fileno(), user.uid, user.gid)
        file.write(text)
    try:
        partial.rename(path)
    except IsADirectoryError:
        remove_file(path)
        partial.rename(path)


def remove_file(path: Path) -> None:
    """Remove a file, or what a server put in the place of one. Follows no link."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def take_over(directory: Path, user: OsUser) -> bool:
    """Make a data directory the user's own, that another user had before.

    False, with some of it changed, where it holds anything but folders and plain files that no
    other folder shares: nothing that PostgreSQL would make, so it may lead somewhere else. The
    directory itself changes hands last: one that is the user's own is so throughout.
    """
    folder = os.open(directory, _FOLDER)
    try:
        return _take_over(folder, user)
    finally:
        os.close(folder)


def _take_over(folder: int, user: OsUser) -> bool:
    with os.scandir(folder) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                below = os.open(entry.name, _FOLDER, dir_fd=folder)
                try:
                    if not _take_over(below, user):
                        return False
                finally:
                    os.close(below)
            elif not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
                return False
            elif user.drops:
                os.chown(entry.name, user.uid, user.gid, dir_fd=folder, follow_symlinks=False)
    if user.drops:
        os.fchown(folder, user.uid, user.gid)
    return True


def remove_tree(path: Path) -> None:
    """Remove a folder; one that is not there is as good. Whoever made it may have closed it."""
    with suppress(FileNotFoundError):
        try:
            shutil.rmtree(path)
        except PermissionError:
            _open_folders(path)
            shutil.rmtree(path)


def _open_folders(path: Path) -> None:
    """Give the owner back the way into a folder and those below it."""
    path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            below = Path(folder, name)
            if not below.is_symlink():
                below.chmod(0o700)  # before it is walked into
