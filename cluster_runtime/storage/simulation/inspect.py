"""What segments' files hold, read by other code than the product's, and without its errors."""

from dataclasses import dataclass, field
from uuid import UUID

from cluster_runtime.storage.core.batch import (
    HEADER_BYTES,
    Batch,
    CorruptFrameError,
    EndOfLogError,
    decode,
    frame_bytes,
)
from cluster_runtime.storage.core.segment import is_void
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.state_file import SegmentStateFile, StateDamagedError
from cluster_runtime.storage.simulation.disk import SimulatedDisk
from cluster_runtime.storage.simulation.inodes import UNCHANGED, Inode

NOTHING = bytes(HEADER_BYTES)


@dataclass(frozen=True, slots=True)
class Held:
    """state: None where it cannot be read. start, end: LSNs between which the log has no gap.

    wal: its bytes.
    """

    state: SegmentStateFile | None
    start: int = 0
    end: int = 0
    wal: bytes = b""


@dataclass(slots=True)
class LogFrames:
    """A log file as it was found: mark, size, and (end offset, batch, WAL) of each frame."""

    mark: Mark | None = None
    size: int = 0
    frames: list[tuple[int, Batch, bytes]] = field(default_factory=list)

    def follow(self, volume: UUID, inode: Inode) -> None:
        """Read what was written since the last time."""
        changed_from, frames = inode.changed_from, self.frames
        content = bytes(inode.content)
        if changed_from < PAGE_BYTES or self.size < PAGE_BYTES:
            self.mark = Mark.decode(content[:PAGE_BYTES])
        self.size = len(content)
        while frames and frames[-1][0] > changed_from:
            frames.pop()
        at, view = frames[-1][0] if frames else PAGE_BYTES, memoryview(content)
        while at < self.size:
            if content.startswith(NOTHING, at):
                # The next frame may begin with the next page.
                at += -at % PAGE_BYTES or PAGE_BYTES
                continue
            try:
                batch, wal = decode(volume, view, at)
            except (EndOfLogError, CorruptFrameError):
                break
            at += frame_bytes(len(wal))
            frames.append((at, batch, bytes(wal)))


class Inspector:
    """Reads what changed since it looked the last time."""

    def __init__(self, disk: SimulatedDisk, volume: UUID) -> None:
        self._disk = disk
        self._volume = volume
        self._states: dict[Inode, SegmentStateFile | None] = {}
        self._logs: dict[Inode, LogFrames] = {}

    def state_of(self, place: str) -> SegmentStateFile | None:
        """The state of a segment; None where it cannot be read. place: `az-a/a1`."""
        inode = self._disk.inode(f"{place}/segment.json")
        if inode is None:
            return None
        if inode.changed_from != UNCHANGED:
            inode.changed_from = UNCHANGED
            try:
                content = bytes(inode.content)
                self._states[inode] = SegmentStateFile.decode(content, accept_format_1=False)
            except StateDamagedError:
                self._states[inode] = None
        return self._states[inode]

    def held_by(self, place: str) -> Held:
        """place: `az-a/a1`."""
        state = self.state_of(place)
        if state is None:
            return Held(None)
        files = self._files(f"{place}/log")
        # It begins at the first file that says so and is not above what may have been collected.
        while files:
            mark = files[0][1].mark
            if mark is not None and mark.lsn <= state.floor:
                break
            files.pop(0)
        if not files or mark is None:
            return Held(state)
        start, end, parts = mark.lsn, mark.lsn, []
        for index, (position, log) in enumerate(files):
            limit = log.size
            if index + 1 < len(files):
                limit = min(limit, PAGE_BYTES + files[index + 1][0] - position)
            for until, batch, wal in log.frames:
                if until > limit or batch.previous != end or is_void(batch, state.history):
                    break
                parts.append(wal)
                end = batch.end
        return Held(state, start, end, b"".join(parts))

    def _files(self, folder: str) -> list[tuple[int, LogFrames]]:
        """(position, content) of the files that count, in their order."""
        found: list[tuple[int, str]] = []
        highest = 0
        for name in self._disk.names_of(folder):
            if name.endswith(".log"):
                at, epoch = (int(each, 16) for each in name.removesuffix(".log").split("-"))
                if epoch >= highest:
                    highest = epoch
                    found = [each for each in found if each[0] < at] + [(at, name)]
        return [(at, self._frames(f"{folder}/{name}")) for at, name in found]

    def _frames(self, path: str) -> LogFrames:
        inode = self._disk.inode(path)
        if inode is None:
            return LogFrames()
        log = self._logs.get(inode)
        if log is None or inode.changed_from != UNCHANGED:
            log = self._logs.setdefault(inode, LogFrames())
            log.follow(self._volume, inode)
            inode.changed_from = UNCHANGED
        return log
