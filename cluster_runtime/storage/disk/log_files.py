"""The hot log of one segment on disk: preallocated files that hold one stream of frames.

A *log position* is a byte of the volume's log stream; it is the same in all six segments, so that
a segment takes what it misses from a peer byte by byte. Files cover consecutive stretches of it:

    00000000000ff000-00000007.log     one page: the file's mark (where it starts, with which LSN)
                                      then the frames from that position on, zeros behind the last

The name ends with the epoch that the segment had promised when the file was made. So a writer that
was replaced never opens a file of its successor, which may begin at the same position; and what it
still makes after that is known by its number: behind a file of a higher epoch it does not count.

Files are written with zeros before they are used, so that a durable write changes no metadata.
The mark says that this segment holds every frame below it, which spares the next open all older
files; it is written after the first frames of the file and may be missing.
"""

import errno
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import google_crc32c

from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.filesystem import HOST_DISK, Disk

SUFFIX = ".log"
MARK_MAGIC = b"BORLOG01"
_MARK = struct.Struct("<8sQQQQI")
_CRC = struct.Struct("<I")


READERS_MAX = 8
"""Files of one segment that are open for reading at once."""


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
    """One file: positions [start, end). `writer` is the descriptor that durable writes use.

    epoch: that its segment had promised when it was made.
    """

    path: Path
    start: int
    end: int
    epoch: int
    writer: int = -1
    reader: int = -1

    def offset(self, position: int) -> int:
        """Where a log position lies in the file."""
        return PAGE_BYTES + position - self.start

    def close_reader(self, disk: Disk) -> None:
        """Close what it is read through; the next read opens it again."""
        if self.reader >= 0:
            disk.close(self.reader)
        self.reader = -1

    def close(self, disk: Disk) -> None:
        """Close the file."""
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
        self.epoch = 0
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
        sparse: bool = False,
    ) -> "SegmentLog":
        """Make an empty log that starts at `mark`. sparse: nothing is written to it by a device."""
        disk.make_directory(directory)
        log = cls(directory, disk, direct=direct)
        log._add_file(mark.position, first_file_bytes, mark, sparse=sparse)
        return log

    @classmethod
    def open(
        cls, directory: Path, disk: Disk = HOST_DISK, *, direct: bool, floor: int | None = None
    ) -> "SegmentLog":
        """Open the files that make a log, oldest first; what does not belong to it is removed.

        floor: the LSN below which log may have been collected; None where that is not known.
        """
        log = cls(directory, disk, direct=direct)
        runs: list[list[LogFile]] = []
        for file in files_of(directory, disk):
            if runs and runs[-1][-1].end >= file.start:
                runs[-1].append(file)
            elif file.end >= file.start:
                runs.append([file])
        # The log has no hole: what follows one is not reached. It begins where a file says so, and
        # not above what may have been collected: what lies before that was made by a writer that
        # had been replaced, or was collected and came back with a power cut. If that is damaged, no
        # peer can mend it any more.
        for run in runs:
            while run and not log._begins(run[0], floor):
                run.pop(0)
            while floor is not None and len(run) > 1 and log._begins(run[1], floor):
                run.pop(0)
        log.files = _sealed(next((run for run in runs if run), []))
        if not log.files:
            return log
        for name in {*disk.names(directory)} - {file.path.name for file in log.files}:
            disk.remove(directory / name)
        return log

    def _begins(self, file: LogFile, floor: int | None) -> bool:
        mark = self.mark(file)
        return mark is not None and (floor is None or mark.lsn <= floor)

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
            file.writer = self.disk.open_writer(file.path, direct=self.direct)
        return file.writer

    def read(self, position: int, length: int) -> bytes:
        """Bytes from a position on: at most `length`, and never past the end of the file."""
        with self._changing:
            file = self.file_at(position)
            if file.reader < 0:
                self._close_readers()
                file.reader = self.disk.open_reader(file.path)
            wanted = min(length, file.end - position)
            return self.disk.read_at(file.reader, file.offset(position), wanted)

    def _close_readers(self) -> None:
        """Log may be of any length, and what a process may have open is not."""
        opened = [each for each in self.files if each.reader >= 0]
        for each in opened[: max(0, len(opened) - READERS_MAX + 1)]:
            each.close_reader(self.disk)

    def rest_below(self, position: int) -> None:
        """Close the descriptors of files that nobody writes to any more. On the writing thread."""
        with self._changing:
            for each in self.files:
                if each.end <= position:
                    each.close(self.disk)

    def write(self, position: int, content: bytes) -> None:
        """Write bytes durably, from any thread, where no device write is under way."""
        while content:
            if position >= self.end:
                self.add_file(self.end)
            if position >= self.end:
                raise OSError(errno.EIO, "a log file was cut short", str(self.files[-1].path))
            file = self.file_at(position)
            file = self._renew(file, position) if file.epoch < self.epoch else self.own(file)
            part = content[: file.end - position]
            self.disk.write(file.path, file.offset(position), part)
            position += len(part)
            content = content[len(part) :]

    def own(self, file: LogFile) -> LogFile:
        """Have a file share its content with no other volume any more, where it does.

        A volume that was cut from another one begins with links to its files: what is repaired in
        one of the two never touches the other. Not while a device writes to the file.
        """
        with self._adding:
            if self.disk.links(file.path) == 1:
                return file
            content = self.disk.read(file.path)
            self.disk.create(file.path, content, len(content))
            new = LogFile(file.path, file.start, file.end, file.epoch)
            with self._changing:
                self.files = _sealed([new, *(each for each in self.files if each is not file)])
                file.close(self.disk)
            return new

    def renew_at(self, end: int) -> None:
        """Have the file that begins at the end of the log be one of this epoch's own."""
        for file in self.files:
            if file.start == end and file.epoch < self.epoch:
                self._renew(file, end)

    def _renew(self, file: LogFile, end: int) -> LogFile:
        """Take what a file holds up to a position into one of this epoch's own.

        A writer that was replaced may have a write to the old one under way: once it lands, the
        page of the last frames is what it was before others were put behind them.
        """
        with self._adding:
            content = self.disk.read(file.path, 0, file.offset(end))
            if len(content) < file.offset(end):
                raise OSError(errno.EIO, "a log file was cut short", str(file.path))
            # It may have been cut short behind that, and may be sealed before its own end.
            size = max(self.disk.size(file.path) - PAGE_BYTES, file.end - file.start)
            return self._put_in_place(file, size, content)

    def lengthen(self, start: int, end: int) -> None:
        """Have the file that begins at a position reach to another one, should it be cut short.

        Not where another file has the rest of that. What is written behind its end otherwise would
        have frames that lie in two files, or a hole before it.
        """
        with self._adding:
            file = next((each for each in self.files if each.start == start), None)
            rest = [each for each in self.files if start < each.start < end]
            if file is not None and file.end < end and not rest:
                self._put_in_place(file, end - start, self.disk.read(file.path))

    def _put_in_place(self, file: LogFile, size: int, content: bytes) -> LogFile:
        """Make a file of this epoch's own that takes the place of another. `_adding` is held."""
        new = self._make_file(file.start, size, content)
        with self._changing:
            self.files = _sealed([new, *(each for each in self.files if each is not file)])
            file.close(self.disk)
        if new.path != file.path:
            self.disk.remove(file.path)
        return new

    def mark(self, file: LogFile) -> Mark | None:
        """The mark of a file, where it has one that fits it."""
        mark = Mark.decode(self.disk.read(file.path, 0, PAGE_BYTES))
        return mark if mark is not None and mark.position == file.start else None

    def begins(self) -> int:
        """Where the log that is kept begins, as the first file's mark says; 0 where none does."""
        try:
            mark = self.mark(self.files[0])
        except FileNotFoundError:
            return 0  # collected just now, by a writer that was not fenced until then
        return mark.lsn if mark is not None else 0

    def set_mark(self, file: LogFile, mark: Mark) -> None:
        """Write a file's mark durably.

        A file of this epoch may be shared with volumes that were cut from this one while the device
        writes to it. They held all the log below it, so that its mark is true for them too.
        """
        if file.epoch < self.epoch:
            file = self.own(file)
        self.disk.write(file.path, 0, mark.encode().ljust(PAGE_BYTES, b"\0"))

    def add_file(
        self,
        start: int,
        size: int = 0,
        mark: Mark | None = None,
        content: bytes = b"",
        *,
        sparse: bool = False,
    ) -> LogFile:
        """Prepare the file that starts at `start`: zeros, on the disk, under its final name.

        size: of its frames; 0 for the usual one. It is on the disk, blocks and all, before a device
        writes to it: such a write makes its bytes durable and nothing else.
        content: frames that it begins with, of one write with the rest. sparse: no device writes to
        it.
        A file that starts there already stays, and is given the content.
        Raises OSError (ENOSPC) where the disk is full; nothing half-made remains.
        """
        with self._adding:
            there = next((file for file in self.files if file.start == start), None)
            if there is None:
                size = size or self.disk.sizes.file
                return self._add_file(start, size, mark, content, sparse=sparse)
        self.write(start, content)
        return there

    def _add_file(
        self,
        start: int,
        size: int,
        mark: Mark | None,
        content: bytes = b"",
        *,
        sparse: bool = False,
    ) -> LogFile:
        file = self._make_file(start, size, _first_page(mark) + content, sparse=sparse)
        with self._changing:
            self.files = _sealed([*self.files, file])
        return file

    def _make_file(self, start: int, size: int, head: bytes, *, sparse: bool = False) -> LogFile:
        """head: its first page, and what it is to hold behind that."""
        path = self.directory / f"{start:016x}-{self.epoch:08x}{SUFFIX}"
        self.disk.create(path, head, PAGE_BYTES + size, sparse=sparse)
        return LogFile(path, start, start + size, self.epoch)

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
        before = [each.start for each in self.files if each.start < position]
        if before:
            self.lengthen(before[-1], position)
        # First the new one: a crash in between leaves a log that says where it starts.
        with self._adding:
            file = self._make_file(position, self.disk.sizes.first_file, _first_page(mark))
            self.remove_from(position, but=file.path)
            with self._changing:
                self.files = _sealed([*self.files, file])

    def trim(self, end: int) -> None:
        """Give back what was made ahead of need behind the end of the log, which is a position.

        The next opening begins a file of its own behind that. A file that another volume shares
        keeps its size; one without a page for frames is none. Not while a device writes to the log.
        """
        with self._adding:
            self.remove_from(end + 1)
            file = self.files[-1]
            size = max(file.offset(-(-end // PAGE_BYTES) * PAGE_BYTES), 2 * PAGE_BYTES)
            shares = self.disk.links(file.path) > 1
            if not shares and size < self.disk.size(file.path):
                with self._changing:
                    file.end = file.start + size - PAGE_BYTES
                self.disk.cut_short(file.path, size)

    def remove_from(self, position: int, *, but: Path | None = None) -> None:
        """Delete the files that begin at a position or behind it, the newest first.

        but: a file that took the name of one of them.
        """
        while self.files and self.files[-1].start >= position:
            with self._changing:
                *left, file = self.files
                self.files = tuple(left)
                file.close(self.disk)
            if file.path != but:
                self.disk.remove(file.path)
            if left:
                # It had sealed the one before it, which goes on to its own end again.
                size = self.disk.size(left[-1].path) - PAGE_BYTES
                left[-1].end = left[-1].start + max(0, size)

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
                file.close(self.disk)


def _first_page(mark: Mark | None) -> bytes:
    return (mark.encode() if mark is not None else b"").ljust(PAGE_BYTES, b"\0")


def _sealed(files: list[LogFile]) -> tuple[LogFile, ...]:
    """In order; a file that begins inside the one before it seals that one."""
    files.sort(key=lambda each: each.start)
    for file, following in pairwise(files):
        file.end = min(file.end, following.start)
    return tuple(files)


def files_of(directory: Path, disk: Disk) -> list[LogFile]:
    """The files of a log that count, in order: none that a writer made after it was replaced."""
    found: list[tuple[int, int, LogFile]] = []
    for name in disk.names(directory):
        if name.endswith(SUFFIX):
            start, _, maker = name.removesuffix(SUFFIX).partition("-")
            begin, epoch = int(start, 16), int(maker, 16) if maker else 0
            path = directory / name
            size = disk.size(path) - PAGE_BYTES
            if size >= 0:  # one that was cut short of its first page holds nothing
                found.append((begin, epoch, LogFile(path, begin, begin + size, epoch)))
    counting: list[LogFile] = []
    highest = 0
    for begin, epoch, file in sorted(found, key=lambda each: each[:2]):
        if epoch >= highest:
            if counting and counting[-1].start == begin:
                counting.pop()
            counting.append(file)
            highest = epoch
    return counting
