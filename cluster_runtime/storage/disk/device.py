"""Durable writes to several files at once: io_uring where the kernel has it, threads elsewhere.

A commit waits for four of six writes, so what counts is the cost of starting six of them and of
hearing of the fourth. With io_uring one system call starts all six and one eventfd tells of their
ends, on one thread; with a thread for each file the same work takes twelve hand-offs of the
interpreter lock. Both write with `RWF_DSYNC`: a completed write is on the disk.

Sources: io_uring_setup(2), io_uring_enter(2), io_uring_register(2); pwritev2(2).
"""

import ctypes
import errno
import fcntl
import mmap
import os
import queue
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from cluster_runtime.engine.sandbox.libc import libc

PAGE_BYTES = 4096
"""Unit and alignment of every write to the log: Aurora counts its write I/O in the same unit."""

_FLUSH_THE_DEVICE = {"ext4", "xfs"}

Vector = tuple[int, int]
"""A part of the arena: offset and length, both in bytes."""


class Arena:
    """Page-aligned memory that writes are taken from, shared by all lanes of a device."""

    def __init__(self, size_bytes: int) -> None:
        self._memory = mmap.mmap(-1, size_bytes)
        self.view = memoryview(self._memory)
        anchor = ctypes.c_char.from_buffer(self._memory)
        self.address = ctypes.addressof(anchor)
        del anchor


class LogDevice(Protocol):
    """Writes on lanes 0..n-1; a lane has at most one write under way at a time."""

    direct: bool
    """Whether it writes past the page cache where files are open with O_DIRECT."""

    def fileno(self) -> int:
        """Readable while completions wait to be taken."""

    def start(
        self, lane: int, fd: int, vectors: Sequence[Vector], offset: int, *, durable: bool
    ) -> None:
        """Prepare a write of parts of the arena at `offset`; `submit` starts it.

        durable: the write has ended when its bytes are on the disk; otherwise they are when a
        `flush` that was prepared after its end has ended.
        """

    def shares_a_disk(self, fds: Sequence[int]) -> bool:
        """Whether a flush of one of these files flushes the disk below all of them."""

    def flush(self, lane: int, fd: int) -> None:
        """Prepare to have the disk write out its cache; `submit` starts it. Results in 0."""

    def submit(self) -> None:
        """Start every write prepared since the last call."""

    def completed(self) -> list[tuple[int, int]]:
        """(lane, bytes written or minus errno) of each write that ended since the last call."""

    def close(self) -> None:
        """Wait for writes under way, then release the device."""


def open_device(arena: Arena, lanes: int) -> LogDevice:
    """The fastest device that works here. `BOREALIS_LOG_DEVICE=threads` picks the portable one."""
    if sys.platform == "linux" and os.environ.get("BOREALIS_LOG_DEVICE") != "threads":
        # Containers often forbid io_uring (EPERM), old kernels lack it (ENOSYS).
        with suppress(OSError):
            return UringDevice(arena, lanes)
    return ThreadDevice(arena)


def sync_file(fd: int) -> None:
    """Force a file's content to the disk; on macOS past the drive's cache as well."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


def share_a_disk(fds: Sequence[int]) -> bool:
    """Whether flushing the disk below one of these files flushes it for all of them.

    So it is where they were opened past the page cache, on one block device, with a file system
    that passes every fdatasync on to the device and writes in place.
    """
    devices = {os.fstat(fd).st_dev for fd in fds}
    if sys.platform != "linux" or len(devices) != 1:
        return False
    if not all(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT for fd in fds):
        return False
    device = devices.pop()
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[2] == wanted:
                return fields[fields.index("-") + 1] in _FLUSH_THE_DEVICE
    return False


# io_uring -------------------------------------------------------------------------------------

_SYS_IO_URING_SETUP, _SYS_IO_URING_ENTER, _SYS_IO_URING_REGISTER = 425, 426, 427
_REGISTER_EVENTFD = 4
_ENTER_GETEVENTS = 1
_OP_WRITEV, _OP_FSYNC = 2, 3
_FSYNC_DATASYNC = 1
_RWF_DSYNC = 2
_SQES_OFFSET = 0x1000_0000
_PARAMS_BYTES = 120
_SQ_OFFSETS_AT, _CQ_OFFSETS_AT = 40, 80
_MAX_VECTORS = 4
_RETRY = {errno.EINTR, errno.EAGAIN, errno.EBUSY}

_SQE = struct.Struct("<BBHiQQIiQHHiQQ")
_CQE = struct.Struct("<QiI")
_IOVEC = struct.Struct("@NN")


class UringDevice:
    """One io_uring; a lane's number is the user data of its write.

    The ring's counters are read and written as plain memory. The thread that submits is the one
    that reaps, and a system call lies between a change of ours and the kernel's look at it. Between
    the kernel's count of completions and the completions themselves we need a fence of our own.
    """

    direct = True

    def __init__(self, arena: Arena, lanes: int) -> None:
        self._arena = arena
        self._syscall = libc().syscall
        self._syscall.restype = ctypes.c_long
        entries = 1 << (2 * lanes - 1).bit_length()
        params = ctypes.create_string_buffer(_PARAMS_BYTES)
        self._fd = self._call(_SYS_IO_URING_SETUP, entries, params)
        self._sq_entries, self._cq_entries = struct.unpack_from("<II", params)
        sq = struct.unpack_from("<7I", params, _SQ_OFFSETS_AT)
        cq = struct.unpack_from("<7I", params, _CQ_OFFSETS_AT)
        size = max(sq[6] + 4 * self._sq_entries, cq[5] + _CQE.size * self._cq_entries)
        self._ring = mmap.mmap(self._fd, size)
        self._sqes = mmap.mmap(self._fd, 64 * self._sq_entries, offset=_SQES_OFFSET)
        counter = ctypes.c_uint32.from_buffer
        self._sq_tail = counter(self._ring, sq[1])
        self._cq_head, self._cq_tail = counter(self._ring, cq[0]), counter(self._ring, cq[1])
        self._cqes_at = cq[5]
        for index in range(self._sq_entries):
            struct.pack_into("<I", self._ring, sq[6] + 4 * index, index)
        self._iovecs = Arena(lanes * _MAX_VECTORS * _IOVEC.size)
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        event = ctypes.c_int(self._event)
        self._call(_SYS_IO_URING_REGISTER, self._fd, _REGISTER_EVENTFD, ctypes.byref(event), 1)
        self._order = threading.Lock()
        self._prepared = 0
        self._under_way = 0

    def fileno(self) -> int:
        """What becomes readable when something has ended."""
        return self._event

    def start(
        self, lane: int, fd: int, vectors: Sequence[Vector], offset: int, *, durable: bool
    ) -> None:
        """Prepare a write of parts of the arena; `submit` starts it."""
        first = lane * _MAX_VECTORS * _IOVEC.size
        for index, (at, length) in enumerate(vectors):
            _IOVEC.pack_into(
                self._iovecs.view, first + index * _IOVEC.size, self._arena.address + at, length
            )
        address = self._iovecs.address + first
        flags = _RWF_DSYNC if durable else 0
        self._queue(_OP_WRITEV, fd, offset, address, len(vectors), flags, lane)

    def shares_a_disk(self, fds: Sequence[int]) -> bool:
        """Whether one flush covers files of all these descriptors."""
        return share_a_disk(fds)

    def flush(self, lane: int, fd: int) -> None:
        """Prepare a flush of a file; `submit` starts it."""
        self._queue(_OP_FSYNC, fd, 0, 0, 0, _FSYNC_DATASYNC, lane)

    def _queue(
        self, operation: int, fd: int, offset: int, address: int, length: int, flags: int, lane: int
    ) -> None:
        tail = self._sq_tail.value
        at = (tail % self._sq_entries) * 64
        _SQE.pack_into(
            self._sqes, at, operation, 0, 0, fd, offset, address, length, flags, lane, 0, 0, 0, 0, 0
        )
        self._sq_tail.value = (tail + 1) & 0xFFFF_FFFF
        self._prepared += 1

    def submit(self) -> None:
        """Start everything that was prepared, by one system call."""
        while self._prepared:
            taken = self._enter(self._prepared, 0)
            self._prepared -= taken
            self._under_way += taken

    def completed(self) -> list[tuple[int, int]]:
        """What has ended since the last time."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._event)
        return self._reap()

    def close(self) -> None:
        """Wait for what is under way, and give everything back."""
        while self._under_way:
            self._enter(0, 1)
            self._reap()
        del self._sq_tail, self._cq_head, self._cq_tail
        self._ring.close()
        self._sqes.close()
        os.close(self._event)
        os.close(self._fd)

    def _reap(self) -> list[tuple[int, int]]:
        head, tail = self._cq_head.value, self._cq_tail.value
        self._fence()
        ended = []
        while head != tail:
            at = self._cqes_at + (head % self._cq_entries) * _CQE.size
            lane, result, _ = _CQE.unpack_from(self._ring, at)
            ended.append((lane, result))
            head = (head + 1) & 0xFFFF_FFFF
        self._cq_head.value = head
        self._under_way -= len(ended)
        return ended

    def _fence(self) -> None:
        """Nothing after this is read before what was read before it.

        A processor with a weak memory order (ARM) may read a completion before the count that
        announces it. A lock taken and released twice keeps both sides apart: no read passes the
        first release downwards, or the second acquisition upwards.
        """
        for _ in range(2):
            with self._order:
                pass

    def _enter(self, submit: int, wait_for: int) -> int:
        flags = _ENTER_GETEVENTS if wait_for else 0
        while True:
            try:
                return self._call(_SYS_IO_URING_ENTER, self._fd, submit, wait_for, flags, None, 0)
            except OSError as error:
                if error.errno not in _RETRY:
                    raise

    def _call(self, number: int, *arguments: object) -> int:
        result = int(self._syscall(ctypes.c_long(number), *arguments))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result


# threads --------------------------------------------------------------------------------------


class ThreadDevice:
    """A thread for each lane; a pipe tells of completions."""

    direct = False

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._write = durable_write()
        self._ended: deque[tuple[int, int]] = deque()
        self._told, self._tell = os.pipe()
        for end in (self._told, self._tell):
            os.set_blocking(end, False)
        self._queues: dict[int, queue.SimpleQueue[_Write | None]] = {}
        self._threads: list[threading.Thread] = []

    def fileno(self) -> int:
        """What becomes readable when something has ended."""
        return self._told

    def start(
        self, lane: int, fd: int, vectors: Sequence[Vector], offset: int, *, durable: bool
    ) -> None:
        """Have the lane's thread write parts of the arena durably."""
        assert durable, "a write through the page cache is made durable by itself"
        parts = [self._arena.view[at : at + length] for at, length in vectors]
        if lane not in self._queues:
            self._begin(lane)
        self._queues[lane].put((fd, parts, offset))

    def shares_a_disk(self, fds: Sequence[int]) -> bool:
        """False: no flush is shared."""
        return False  # each write is durable by itself, through the page cache

    def flush(self, lane: int, fd: int) -> None:
        """Every write of this device is durable by itself: nothing is left to do."""
        self._end(lane, 0)

    def submit(self) -> None:
        """Writes start as they are prepared."""

    def completed(self) -> list[tuple[int, int]]:
        """What has ended since the last time."""
        with suppress(BlockingIOError):
            os.read(self._told, 4096)
        ended = []
        while self._ended:
            ended.append(self._ended.popleft())
        return ended

    def close(self) -> None:
        """Wait for what is under way, and end the threads."""
        for waiting in self._queues.values():
            waiting.put(None)
        for thread in self._threads:
            thread.join()
        os.close(self._told)
        os.close(self._tell)

    def _begin(self, lane: int) -> None:
        self._queues[lane] = queue.SimpleQueue()
        thread = threading.Thread(target=self._serve, args=(lane,), daemon=True)
        thread.name = f"borealis-log-{lane}"
        thread.start()
        self._threads.append(thread)

    def _serve(self, lane: int) -> None:
        while (write := self._queues[lane].get()) is not None:
            try:
                result = self._write(*write)
            except OSError as error:
                result = -(error.errno or errno.EIO)
            self._end(lane, result)

    def _end(self, lane: int, result: int) -> None:
        self._ended.append((lane, result))
        with suppress(BlockingIOError):
            os.write(self._tell, b"x")


_Write = tuple[int, list[memoryview], int]


def durable_write() -> Callable[[int, list[memoryview], int], int]:
    """The one-call durable write where the platform has it, else write and sync."""
    return _write_through if hasattr(os, "RWF_DSYNC") else _write_and_sync


def _write_through(fd: int, parts: list[memoryview], offset: int) -> int:
    try:
        return os.pwritev(fd, parts, offset, os.RWF_DSYNC)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return _write_and_sync(fd, parts, offset)


def _write_and_sync(fd: int, parts: list[memoryview], offset: int) -> int:
    written = os.pwrite(fd, b"".join(parts), offset)
    sync_file(fd)
    return written
