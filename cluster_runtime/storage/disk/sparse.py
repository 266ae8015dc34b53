"""Files that take less of the disk than their size, and read as before.

Source: fallocate(2), FALLOC_FL_PUNCH_HOLE (Linux; ext4, xfs, btrfs, tmpfs); stat(2), st_blocks.
"""

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from cluster_runtime.engine.system.files import open_plain

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
_BLOCK_BYTES = 4096
_ZEROS = bytes(_BLOCK_BYTES)
_CHUNK_BYTES = 1 << 20
_ST_BLOCK_BYTES = 512
_NO_HOLES = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def make_sparse(path: Path) -> None:
    """Give the blocks of a file that hold nothing but zeros back to the file system.

    It reads as before at every moment. Where the system cannot do that, the file stays as it is.
    Raises OSError.
    """
    punch = _punch()
    if punch is None:
        return
    os.close(open_plain(path))  # no link, no pipe
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        start, offset = -1, 0
        while chunk := os.pread(fd, _CHUNK_BYTES, offset):
            for at in range(0, len(chunk), _BLOCK_BYTES):
                block = chunk[at : at + _BLOCK_BYTES]
                empty = block == _ZEROS[: len(block)]
                if empty and start < 0:
                    start = offset + at
                elif not empty and start >= 0:
                    if not punch(fd, start, offset + at - start):
                        return
                    start = -1
            offset += len(chunk)
        if start >= 0:
            punch(fd, start, offset - start)
    finally:
        os.close(fd)


def own_bytes(directory: Path) -> int:
    """What a folder takes of the disk: what would come free if it were removed.

    A file that has a name elsewhere too is not the folder's own.
    """
    names: dict[tuple[int, int], int] = {}
    found = 0
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            status = os.lstat(os.path.join(folder, name))
            inode = status.st_dev, status.st_ino
            names[inode] = names.get(inode, 0) + 1
            is_folder = name in folders
            if is_folder or names[inode] == status.st_nlink:
                found += status.st_blocks * _ST_BLOCK_BYTES
    return found


@cache
def _punch() -> Any:
    """Returns whether the file system can do it. Raises OSError where it fails otherwise."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "fallocate"):
        return None
    libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

    def punch(fd: int, offset: int, length: int) -> bool:
        if libc.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length) == 0:
            return True
        number = ctypes.get_errno()
        if number in _NO_HOLES:
            return False
        raise OSError(number, os.strerror(number))

    return punch
