"""The hot log of one segment on disk: preallocated files that hold one stream of frames.

A *log position* is a byte of the volume's log stream; it is the same in all six segments, so that
a segment takes what it misses from a peer byte by byte. Files cover consecutive stretches of it:

    00000000000ff000.log     one page: the file's mark (where it starts, and with which LSN)
                             then the frames from that position on, zeros behind the last

Files are written with zeros before they are used, so that a durable write changes no metadata.
The mark says that this segment holds every frame below it, which spares the next open all older
files; it is written after the first frames of the file and may be missing.
"""

import errno
import fcntl
import os
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from cluster_runtime.storage.disk.device import PAGE_BYTES, sync_file

FIRST_FILE_BYTES = 1 << 20
FILE_BYTES = 8 << 20
"""Bytes of frames in a log file. The first one is small: a new cluster should cost little."""

MARK_MAGIC = b"BORLOG01"
_MARK = struct.Struct("<8sQQQQI")
_CRC = struct.Struct("<I")
_ZEROS = bytes(1 << 20)
_O_DIRECT = getattr(os, "O_DIRECT", 0)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a file starts: log position, LSN of the first frame, its back-link, epoch, timeline."""

    position: int
    lsn: int
    previous: int
    epoch: int
    timeline: int

    def encode(self) -> bytes:
        """The mark as it stands at the beginning of a file, with its checksum."""
        body = _MARK.pack(
            MARK_MAGIC, self.position, self.lsn, self.previous, self.epoch, self.timeline
        )
        return body + _CRC.pack(google_crc32c.value(body))

    @classmethod
    def decode(cls, page: bytes) -> "Mark | None":
        """The mark that a page holds; None for zeros, damage, or another format."""
        body, crc = page[: _MARK.size], page[_MARK.size : _MARK.size + _CRC.size]
        if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != google_crc32c.value(body):
            return None
        magic, *fields = _MARK.unpack(body)
        return cls(*fields) if magic == MARK_MAGIC else None


@dataclass(slots=True)
class LogFile:
    """One file: positions [start, end). `writer` is the descriptor that durable writes use."""

    path: Path
    start: int
    end: int
    writer: int = -1
    reader: int = -1

    def offset(self, position: int) -> int:
        """Where a log position lies in the file."""
        return PAGE_BYTES + position - self.start

    def close(self) -> None:
        """Close the file."""
        for fd in (self.writer, self.reader):
            if fd >= 0:
                os.close(fd)
        self.writer = self.reader = -1


class SegmentLog:
    """The files of one segment. One thread writes; files are added and read by others."""

    def __init__(self, directory: Path, *, direct: bool) -> None:
        self.directory = directory
        self.direct = direct
        self.files: tuple[LogFile, ...] = ()
        self._changing = threading.Lock()
        self._adding = threading.Lock()

    @classmethod
    def create(
        cls, directory: Path, mark: Mark, first_file_bytes: int, *, direct: bool
    ) -> "SegmentLog":
        """Make an empty log that starts at `mark`."""
        directory.mkdir(parents=True, exist_ok=False)
        log = cls(directory, direct=direct)
        log.add_file(mark.position, first_file_bytes, mark, sync=False)
        return log

    @classmethod
    def open(cls, directory: Path, *, direct: bool) -> "SegmentLog":
        """Open the files that are there, oldest first; what a crash left half-made is removed."""
        log = cls(directory, direct=direct)
        for path in sorted(directory.iterdir()):
            if path.suffix != ".log":
                path.unlink()
                continue
            start = int(path.stem, 16)
            end = start + path.stat().st_size - PAGE_BYTES
            if log.files and log.files[-1].end < start:
                # What follows a hole was prepared and never reached: it holds nothing.
                path.unlink()
                continue
            if log.files:
                # A file that begins inside the one before it sealed that one.
                log.files[-1].end = start
            log.files = (*log.files, LogFile(path, start, end))
        return log

    @property
    def start(self) -> int:
        """The oldest position that is still here."""
        return self.files[0].start

    @property
    def end(self) -> int:
        """The position up to which files are prepared."""
        return self.files[-1].end

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(each.end - each.start + PAGE_BYTES for each in self.files)

    def file_at(self, position: int) -> LogFile:
        """The file that holds a position. Raises LookupError where none does (any more)."""
        for file in reversed(self.files):
            if file.start <= position:
                if position < file.end:
                    return file
                break
        raise LookupError(f"{self.directory} holds no log at position {position}")

    def writer(self, file: LogFile) -> int:
        """A descriptor for durable writes of whole pages to a file."""
        if file.writer < 0:
            file.writer = self._open_for_writing(file.path)
        return file.writer

    def read(self, position: int, length: int) -> bytes:
        """Bytes from a position on: at most `length`, and never past the end of the file."""
        with self._changing:
            file = self.file_at(position)
            if file.reader < 0:
                file.reader = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
            wanted = min(length, file.end - position)
            return os.pread(file.reader, wanted, file.offset(position))

    def write(self, position: int, content: bytes) -> None:
        """Write bytes durably, from any thread, where no device write is under way."""
        while content:
            if position >= self.end:
                self.add_file(self.end, FILE_BYTES)
            file = self.file_at(position)
            part = content[: file.end - position]
            fd = os.open(file.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(fd, part, file.offset(position))
                sync_file(fd)
            finally:
                os.close(fd)
            position += len(part)
            content = content[len(part) :]

    def mark(self, file: LogFile) -> Mark | None:
        """The mark of a file, where it has one that fits it."""
        with file.path.open("rb") as opened:
            mark = Mark.decode(opened.read(PAGE_BYTES))
        return mark if mark is not None and mark.position == file.start else None

    def set_mark(self, file: LogFile, mark: Mark) -> None:
        """Write a file's mark durably."""
        fd = os.open(file.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(fd, mark.encode().ljust(PAGE_BYTES, b"\0"), 0)
            sync_file(fd)
        finally:
            os.close(fd)

    def add_file(
        self, start: int, size: int = FILE_BYTES, mark: Mark | None = None, *, sync: bool = True
    ) -> LogFile:
        """Prepare the file that starts at `start`: zeros, on the disk, under its final name.

        sync: a file that device writes will go to must be on the disk, blocks and all, before:
        such a write makes its bytes durable and nothing else.
        A file that starts there already stays as it is.
        Raises OSError (ENOSPC) where the disk is full; nothing half-made remains.
        """
        with self._adding:
            there = next((file for file in self.files if file.start == start), None)
            return there or self._add_file(start, size, mark, sync=sync)

    def _add_file(self, start: int, size: int, mark: Mark | None, *, sync: bool) -> LogFile:
        path = self.directory / f"{start:016x}.log"
        partial = path.with_suffix(".new")
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            first = mark.encode() if mark is not None else b""
            os.write(fd, first.ljust(PAGE_BYTES, b"\0"))
            for at in range(0, size, len(_ZEROS)):
                os.write(fd, _ZEROS[: size - at])
            if sync:
                sync_file(fd)
        except OSError:
            partial.unlink()
            raise
        finally:
            os.close(fd)
        partial.rename(path)
        if sync:
            sync_directory(self.directory)
        file = LogFile(path, start, start + size)
        with self._changing:
            if self.files and self.files[-1].end > start:
                self.files[-1].end = start
            self.files = (*self.files, file)
        return file

    def remove_below(self, position: int) -> int:
        """Delete files that lie wholly below a position; return the bytes that this freed."""
        freed = 0
        while len(self.files) > 1 and self.files[0].end <= position:
            with self._changing:
                file, *left = self.files
                self.files = tuple(left)
                file.close()
            file.path.unlink()
            freed += file.end - file.start + PAGE_BYTES
        return freed

    def cut(self, position: int, mark: Mark) -> None:
        """Seal the log at a position (a page's start) and begin a new file there.

        Whatever was written behind the position lies in sealed or removed files from now on, and
        so does what a stale writer may still write.
        """
        self.remove_from(position)
        self.add_file(position, FIRST_FILE_BYTES, mark)

    def remove_from(self, position: int) -> None:
        """Delete the files that begin at a position or behind it, the newest first."""
        while self.files and self.files[-1].start >= position:
            with self._changing:
                *left, file = self.files
                self.files = tuple(left)
                file.close()
            file.path.unlink()
            if left:
                # It had sealed the one before it, which goes on to its own end again.
                left[-1].end = left[-1].start + left[-1].path.stat().st_size - PAGE_BYTES

    def chunks(self, position: int, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(position, bytes) from a position up to `end`, a file (or a MiB of it) at a time."""
        last = self.end if end is None else min(end, self.end)
        while position < last:
            content = self.read(position, min(1 << 20, last - position))
            yield position, content
            position += len(content)

    def close(self) -> None:
        """Close all files."""
        with self._changing:
            for file in self.files:
                file.close()

    def _open_for_writing(self, path: Path) -> int:
        flags = os.O_WRONLY | os.O_CLOEXEC
        if self.direct and _O_DIRECT:
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


def sync_directory(path: Path) -> None:
    """Force a folder's entries to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a small file: after a crash it is the old one or the new one."""
    partial = path.with_name(f"{path.name}.new")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        sync_file(file.fileno())
    partial.rename(path)
    sync_directory(path.parent)
