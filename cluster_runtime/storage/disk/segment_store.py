"""One segment on disk: its log files, its durable state, and the pure `Segment` over them.

az-a/a1/segment.json      promise, history, membership (replaced atomically)
az-a/a1/promised          the promised epoch in 8 bytes, mapped by every process that has the
                          volume open: how a stale writer hears at once that it was replaced
az-a/a1/log/*.log         the hot log
az-a/a1/pages/<lsn>/      page images (full segments)
"""

import fcntl
import json
import mmap
import os
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cluster_runtime.errors import StaleEpochError, StorageError
from cluster_runtime.storage.core.batch import (
    Batch,
    CorruptFrameError,
    EndOfLogError,
    decode,
    frame_bytes,
)
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import (
    Action,
    Cut,
    CutLog,
    History,
    Persist,
    Segment,
    SegmentStatus,
    is_void,
)
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId, az_of
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.log_files import (
    FIRST_FILE_BYTES,
    Mark,
    SegmentLog,
    sync_directory,
    write_durably,
)

_EPOCH = struct.Struct("=Q")
STATE_FILE, PROMISED_FILE = "segment.json", "promised"


class SegmentUnreadableError(StorageError):
    """A segment's files are missing or damaged. It is replaced from its peers."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame in the log: its position, its batch, its WAL bytes."""

    position: int
    batch: Batch
    wal: memoryview

    @property
    def end(self) -> int:
        """The log position behind it."""
        return self.position + frame_bytes(len(self.wal))


class SegmentStore:
    """A segment's files and state. One thread changes it; reading is free to all."""

    def __init__(self, directory: Path, volume: UUID, core: Segment, log: SegmentLog) -> None:
        self.directory = directory
        self.volume = volume
        self.core = core
        self.log = log
        self.end = log.start
        self._promised_fd, self._promised = _map_epoch(directory / PROMISED_FILE)
        self._persisting = threading.Lock()
        core.promised = Epoch(max(core.promised, self.promised_now))

    @classmethod
    def create(
        cls,
        root: Path,
        volume: UUID,
        segment: SegmentId,
        start: Mark,
        membership: Membership,
        *,
        direct: bool,
        history: History = (),
        first_file_bytes: int = FIRST_FILE_BYTES,
    ) -> "SegmentStore":
        """Make an empty segment whose log begins at `start`.

        first_file_bytes: of the log; what is copied from a peer needs files like that peer's.
        """
        directory = segment_directory(root, segment)
        directory.mkdir(parents=True)
        log = SegmentLog.create(directory / "log", start, first_file_bytes, direct=direct)
        lsn = Lsn(start.lsn)
        epoch = history[-1].epoch if history else Epoch(start.epoch)
        core = Segment(segment, membership, epoch, history, lsn, lsn, lsn, floor=lsn)
        store = cls(directory, volume, core, log)
        store.persist()
        sync_directory(directory)
        return store

    @classmethod
    def open(cls, root: Path, volume: UUID, segment: SegmentId, *, direct: bool) -> "SegmentStore":
        """Open a segment and find the end of its log.

        Raises SegmentUnreadableError where it is missing, or not this volume's.
        """
        directory = segment_directory(root, segment)
        try:
            state = json.loads((directory / STATE_FILE).read_text())
            owner = UUID(state["volume"])
            core = Segment(
                SegmentId(state["segment"]),
                Membership(state["membership"], tuple(tuple(each) for each in state["sets"])),
                Epoch(state["promised"]),
                tuple(Cut(Epoch(epoch), Lsn(lsn)) for epoch, lsn in state["history"]),
                floor=Lsn(state["floor"]),
            )
            log = SegmentLog.open(directory / "log", direct=direct)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SegmentUnreadableError(f"segment {segment} cannot be read: {error}") from error
        if owner != volume or not log.files:
            raise SegmentUnreadableError(f"segment {segment} holds no log of volume {volume}")
        store = cls(directory, volume, core, log)
        try:
            store.find_end()
        except OSError as error:
            store.close()
            raise SegmentUnreadableError(f"segment {segment} cannot be read: {error}") from error
        return store

    @property
    def id(self) -> SegmentId:
        """The name of the segment."""
        return self.core.id

    @property
    def pages(self) -> Path:
        """The folder of its page images."""
        return self.directory / "pages"

    @property
    def promised_now(self) -> int:
        """The promise as it stands, also where another process made it."""
        return int(_EPOCH.unpack_from(self._promised)[0])

    def status(self) -> SegmentStatus:
        """What an opening of the volume asks a segment for."""
        return self.core.status()

    def perform(self, actions: Iterable[Action]) -> None:
        """Do what the core asks of the disk while no device writes to this segment."""
        for action in actions:
            match action:
                case CutLog(lsn):
                    self.end = self.position_of(lsn)
                    # A file that begins behind it belongs to an opening that failed; it
                    # would split the frames that are to lie there.
                    self.log.remove_from(self.end + 1)
                    self.persist()
                case Persist():
                    self.persist()
                case _:
                    # Acknowledgements and refusals are read from the core's state by the caller.
                    continue

    def persist(self) -> None:
        """Make promise, history, membership and floor durable.

        Raises StaleEpochError where another process has promised more: its state stays.
        """
        with self._persisting:
            fcntl.flock(self._promised_fd, fcntl.LOCK_EX)
            try:
                if self.promised_now > self.core.promised:
                    raise StaleEpochError(
                        f"segment {self.id} was promised to epoch {self.promised_now}; the writer "
                        f"of epoch {self.core.promised} must stop"
                    )
                self._persist()
            finally:
                fcntl.flock(self._promised_fd, fcntl.LOCK_UN)

    def _persist(self) -> None:
        state = {
            "volume": str(self.volume),
            "segment": self.core.id,
            "promised": self.core.promised,
            "history": [(cut.epoch, cut.lsn) for cut in self.core.history],
            "membership": self.core.membership.version,
            "sets": self.core.membership.sets,
            "floor": self.core.floor,
        }
        write_durably(self.directory / STATE_FILE, json.dumps(state).encode())
        _EPOCH.pack_into(self._promised, 0, self.core.promised)

    @property
    def is_there(self) -> bool:
        """Whether the files are still under their names: an open file outlives its deletion."""
        if not (self.directory / STATE_FILE).exists():
            return False
        missing = [file for file in self.log.files if not file.path.exists()]
        return not any(file in self.log.files for file in missing)

    def begin_epoch(self, position: int, timeline: int) -> None:
        """Seal the log at a position and begin the file of a new writer there."""
        tail = self.core.tail
        self.log.cut(position, Mark(position, tail, tail, self.core.promised, timeline))
        self.end = position

    def collect(self, position: int) -> None:
        """Remove log files that no read from `position` on needs.

        The oldest file that stays must have a mark: without one, nothing says where it begins.
        """
        if position > self.end:
            return
        for file in self.log.files:
            if file.start <= position < file.end and self.log.mark(file) is not None:
                self.log.remove_below(file.start)
                return

    def find_end(self) -> None:
        """Find the end of the log: read the newest file, and older ones where that is needed."""
        for file in reversed(self.log.files):
            mark = self.log.mark(file)
            if mark is None:
                continue
            end, tail, consistent = file.start, Lsn(mark.lsn), None
            for frame in self.frames(file.start, previous=tail):
                end, tail = frame.end, frame.batch.end
                consistent = tail if frame.batch.consistent else consistent
            if consistent is None and mark.lsn == mark.previous and self._is_cut(tail):
                consistent = tail
            if consistent is not None or file is self.log.files[0]:
                self.end = end
                floor = self.core.floor
                self.core.restart(tail, consistent if consistent is not None else floor)
                return
        raise SegmentUnreadableError(f"segment {self.id} has no log file that says where it starts")

    def frames(
        self, position: int, *, previous: Lsn | None = None, end: int | None = None
    ) -> Iterator[Frame]:
        """The frames from a position on, as far as they are whole and form one chain.

        previous: the back-link that the first one must have; None takes any.
        """
        for file in self.log.files:
            if file.end <= position:
                continue
            at = max(position, file.start)
            content = memoryview(self.log.read(at, file.end - at))
            for frame in self._frames_of(content, at, previous):
                if end is not None and frame.position >= end:
                    return
                yield frame
                previous = frame.batch.end
                position = frame.end

    def position_of(self, lsn: Lsn) -> int:
        """Where the batch that ends at an LSN ends. Raises LookupError where there is none."""
        for file in reversed(self.log.files):
            mark = self.log.mark(file)
            if mark is None or mark.lsn > lsn:
                continue
            if mark.lsn == lsn:
                return file.start
            for frame in self.frames(file.start, previous=Lsn(mark.lsn)):
                if frame.batch.end == lsn:
                    return frame.end
            break
        raise LookupError(f"segment {self.id} has no batch that ends at {lsn:#x}")

    def close(self) -> None:
        """A second call does nothing."""
        self.log.close()
        self._promised.close()
        if self._promised_fd >= 0:
            os.close(self._promised_fd)
            self._promised_fd = -1

    def _frames_of(self, content: memoryview, start: int, previous: Lsn | None) -> Iterator[Frame]:
        at = 0
        while at < len(content):
            try:
                batch, wal = decode(self.volume, content, at)
            except EndOfLogError:
                # Zeros: the next frame may start with the next page, as it does after a batch
                # of I/O-Optimized storage.
                page = at + -(start + at) % PAGE_BYTES
                if page == at or page >= len(content):
                    return
                at = page
                continue
            except CorruptFrameError:
                return
            if (previous is not None and batch.previous != previous) or is_void(
                batch, self.core.history
            ):
                return
            yield Frame(start + at, batch, wal)
            previous = batch.end
            at += frame_bytes(len(wal))

    def _is_cut(self, lsn: Lsn) -> bool:
        return any(cut.lsn == lsn for cut in self.core.history) or lsn == self.core.floor


def segment_directory(root: Path, segment: SegmentId) -> Path:
    """Where a segment of a volume lives: one folder per zone, one per segment in it."""
    return root / f"az-{az_of(segment)}" / segment


def _map_epoch(path: Path) -> tuple[int, mmap.mmap]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_size < PAGE_BYTES:
            os.ftruncate(fd, PAGE_BYTES)
        return fd, mmap.mmap(fd, PAGE_BYTES)
    except BaseException:
        os.close(fd)
        raise
