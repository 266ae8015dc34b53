"""The hot log of one segment on disk: preallocated files that hold one stream of frames.

A *log position* is a byte of the volume's log stream; it is the same in all six segments, so that
a segment takes what it misses from a peer byte by byte. Files cover consecutive stretches of it:

    00000000000ff000.log     one page: the file's mark (where it starts, and with which LSN)
                             then the frames from that position on, zeros behind the last

Files are written with zeros before they are used, so that a durable write changes no metadata.
The mark says that this segment holds every frame below it, which spares the next open all older
files; it is written after the first frames of the file and may be missing.
"""

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.filesystem import HOST_DISK, Disk

MARK_MAGIC = b"BORLOG01"
_MARK = struct.Struct("<8sQQQQI")
_CRC = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a file starts: log position, LSN of the first frame, its back-link, epoch, timeline."""

    position: int
    lsn: int
    previous: int
    epoch: int
    timeline: int

    def encode(self) -> bytes:
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

    def close(self, disk: Disk) -> None:
        for fd in (self.writer, self.reader):
            if fd >= 0:
                disk.close(fd)
        self.writer = self.reader = -1


class SegmentLog:
    """The files of one segment. One thread writes; files are added and read by others."""

    def __init__(self, directory: Path, disk: Disk = HOST_DISK, *, direct: bool) -> None:
        self.directory = directory
        self.disk = disk
        self.direct = direct
        self.files: tuple[LogFile, ...] = ()
        self._changing = threading.Lock()
        self._adding = threading.Lock()

    @classmethod
    def create(
        cls,
        directory: Path,
        mark: Mark,
        first_file_bytes: int,
        disk: Disk = HOST_DISK,
        *,
        direct: bool,
    ) -> "SegmentLog":
        """Make an empty log that starts at `mark`."""
        disk.make_directory(directory)
        log = cls(directory, disk, direct=direct)
        log.add_file(mark.position, first_file_bytes, mark, sync=False)
        return log

    @classmethod
    def open(cls, directory: Path, disk: Disk = HOST_DISK, *, direct: bool) -> "SegmentLog":
        """Open the files that are there, oldest first; what a crash left half-made is removed."""
        log = cls(directory, disk, direct=direct)
        for name in disk.names(directory):
            path = directory / name
            if path.suffix != ".log":
                disk.remove(path)
                continue
            start = int(path.stem, 16)
            end = start + disk.size(path) - PAGE_BYTES
            if log.files and log.files[-1].end < start:
                # What follows a hole is not reached by any chain.
                disk.remove(path)
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
            file.writer = self.disk.open_writer(file.path, direct=self.direct)
        return file.writer

    def read(self, position: int, length: int) -> bytes:
        """Bytes from a position on: at most `length`, and never past the end of the file."""
        with self._changing:
            file = self.file_at(position)
            if file.reader < 0:
                file.reader = self.disk.open_reader(file.path)
            wanted = min(length, file.end - position)
            return self.disk.read_at(file.reader, file.offset(position), wanted)

    def write(self, position: int, content: bytes) -> None:
        """Write bytes durably, from any thread, where no device write is under way."""
        while content:
            if position >= self.end:
                self.add_file(self.end)
            file = self.file_at(position)
            part = content[: file.end - position]
            self.disk.write(file.path, file.offset(position), part)
            position += len(part)
            content = content[len(part) :]

    def mark(self, file: LogFile) -> Mark | None:
        """The mark of a file, where it has one that fits it."""
        mark = Mark.decode(self.disk.read(file.path, 0, PAGE_BYTES))
        return mark if mark is not None and mark.position == file.start else None

    def set_mark(self, file: LogFile, mark: Mark) -> None:
        """Write a file's mark durably."""
        self.disk.write(file.path, 0, mark.encode().ljust(PAGE_BYTES, b"\0"))

    def add_file(
        self, start: int, size: int = 0, mark: Mark | None = None, *, sync: bool = True
    ) -> LogFile:
        """Prepare the file that starts at `start`: zeros, on the disk, under its final name.

        size: of its frames; 0 for the usual one.
        sync: a file that device writes will go to must be on the disk, blocks and all, before:
        such a write makes its bytes durable and nothing else.
        A file that starts there already stays as it is.
        Raises OSError (ENOSPC) where the disk is full; nothing half-made remains.
        """
        with self._adding:
            there = next((file for file in self.files if file.start == start), None)
            return there or self._add_file(start, size or self.disk.sizes.file, mark, sync=sync)

    def _add_file(self, start: int, size: int, mark: Mark | None, *, sync: bool) -> LogFile:
        path = self.directory / f"{start:016x}.log"
        head = (mark.encode() if mark is not None else b"").ljust(PAGE_BYTES, b"\0")
        self.disk.create(path, head, PAGE_BYTES + size, sync=sync)
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
                file.close(self.disk)
            self.disk.remove(file.path)
            freed += file.end - file.start + PAGE_BYTES
        return freed

    def cut(self, position: int, mark: Mark) -> None:
        """Seal the log at a position (a page's start) and begin a new file there.

        Whatever was written behind the position lies in sealed or removed files from now on, and
        so does what a stale writer may still write.
        """
        self.remove_from(position)
        self.add_file(position, self.disk.sizes.first_file, mark)

    def remove_from(self, position: int) -> None:
        """Delete the files that begin at a position or behind it, the newest first."""
        while self.files and self.files[-1].start >= position:
            with self._changing:
                *left, file = self.files
                self.files = tuple(left)
                file.close(self.disk)
            self.disk.remove(file.path)
            if left:
                # It had sealed the one before it, which goes on to its own end again.
                left[-1].end = left[-1].start + self.disk.size(left[-1].path) - PAGE_BYTES

    def chunks(self, position: int, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(position, bytes) from a position up to `end`, a file (or a MiB of it) at a time."""
        last = self.end if end is None else min(end, self.end)
        while position < last:
            content = self.read(position, min(1 << 20, last - position))
            yield position, content
            position += len(content)

    def close(self) -> None:
        with self._changing:
            for file in self.files:
                file.close(self.disk)
