"""What a segment's files hold, read by other code than the product's, and without its errors."""

from dataclasses import dataclass
from uuid import UUID

from cluster_runtime.storage.core.batch import CorruptFrameError, EndOfLogError, decode, frame_bytes
from cluster_runtime.storage.core.segment import is_void
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.state_file import SegmentStateFile, StateDamagedError
from cluster_runtime.storage.simulation.disk import SimulatedDisk


@dataclass(frozen=True, slots=True)
class Held:
    """state: None where it cannot be read. start, end: LSNs between which the log has no gap.

    wal: its bytes. images_whole: whether every image is what its manifest says.
    """

    state: SegmentStateFile | None
    start: int = 0
    end: int = 0
    wal: bytes = b""


def state_of(disk: SimulatedDisk, place: str) -> SegmentStateFile | None:
    """The state of a segment; None where it cannot be read. place: `az-a/a1`."""
    content = disk.content(f"{place}/segment.json")
    try:
        return SegmentStateFile.decode(content or b"", accept_format_1=False)
    except StateDamagedError:
        return None


def held_by(disk: SimulatedDisk, volume: UUID, place: str) -> Held:
    """place: `az-a/a1`."""
    state = state_of(disk, place)
    if state is None:
        return Held(None)
    files: list[tuple[int, int, str]] = []
    highest = 0
    for path in sorted(disk.paths(f"{place}/log")):
        name = path.rpartition("/")[2]
        if name.endswith(".log"):
            at, epoch = (int(each, 16) for each in name.removesuffix(".log").split("-"))
            if epoch >= highest:
                highest = epoch
                files = [each for each in files if each[0] < at] + [(at, epoch, path)]
    # It begins at the first file that says so and is not above what may have been collected.
    while files:
        mark = Mark.decode((disk.content(files[0][2]) or b"")[:PAGE_BYTES])
        if mark is not None and mark.lsn <= state.floor:
            break
        files.pop(0)
    start = end = None
    wal = bytearray()
    for index, (position, _, path) in enumerate(files):
        content = disk.content(path) or b""
        if end is None:
            mark = Mark.decode(content[:PAGE_BYTES])
            if mark is None:
                return Held(state)
            start = end = mark.lsn
        limit = len(content)
        if index + 1 < len(files):
            limit = min(limit, PAGE_BYTES + files[index + 1][0] - position)
        view, at = memoryview(content)[:limit], PAGE_BYTES
        while at < limit:
            try:
                batch, payload = decode(volume, view, at)
            except EndOfLogError:
                # The next frame may begin with the next page.
                at += -at % PAGE_BYTES or PAGE_BYTES
                continue
            except CorruptFrameError:
                break
            if batch.previous != end or is_void(batch, state.history):
                break
            wal += payload
            end = batch.end
            at += frame_bytes(len(payload))
    return Held(state, start or 0, end or 0, bytes(wal))
