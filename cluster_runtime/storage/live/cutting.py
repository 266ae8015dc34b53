"""A volume as a cut of another one that is open: its log, and what its segments say of it.

Log files are linked, not copied: the new volume takes some milliseconds and no space. What the old
one writes on into the last of them is void for the new one (`core.cutting`), and whatever else
changes a file in place breaks the link first (`SegmentLog.own`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import UUID

from cluster_runtime.errors import QuorumLostError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.batch import Batch, encode
from cluster_runtime.storage.core.cutting import Place, history_of_cut, place_of_cut
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.quorum import WRITE_QUORUM, Membership
from cluster_runtime.storage.core.segment import History
from cluster_runtime.storage.core.types import Lsn, SegmentId
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.filesystem import HOST_DISK, Disk, link_or_copy
from cluster_runtime.storage.disk.log_files import LogFile, Mark, SegmentLog
from cluster_runtime.storage.disk.segment_store import LOG, SegmentStore, segment_directory
from cluster_runtime.storage.disk.state_file import STATE_FILE, SegmentStateFile
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.live.volume_file import write_volume_file

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LogCut:
    """Everything that the segments of the new volume have in common.

    first: log before that position is left out. floor: what it begins with, for each segment that
        has it. rest: WAL from the last shared batch up to the cut.
    """

    place: Place
    first: int
    floor: Lsn
    rest: bytes
    history: History
    membership: Membership
    metadata: VolumeMetadata

    @property
    def position(self) -> int:
        """Where the new volume's own log begins: the start of a page."""
        return -(-self.place.position // PAGE_BYTES) * PAGE_BYTES

    @property
    def mark(self) -> Mark:
        """Of the file that begins there."""
        shared, timeline = self.place.shared, self.metadata.timelines.current
        return Mark(self.position, shared, shared, self.history[-1].epoch, timeline)

    @property
    def frame(self) -> bytes:
        """What the new log begins with; empty where the cut lies between two batches."""
        if not self.rest:
            return b""
        place, mark = self.place, self.mark
        batch = Batch(
            self.history[-1].epoch, place.shared, place.shared, place.end, mark.timeline, True
        )
        return encode(self.log_id, batch, self.rest)

    @property
    def log_id(self) -> UUID:
        """Whose frames these are."""
        return UUID(self.metadata.volume_id)


def plan_cut(mount: Mount, identity: str, place: Place, since: int) -> LogCut:
    """What the volume that is cut from an open one shares and says.

    identity: what it will be known by. since: the lowest LSN that it has to read.
    Raises LookupError where the log does not reach back to that.
    """
    volume = mount.node.volume
    begun = since - since % mount.metadata.wal_segment_bytes
    first = mount.index.before(max(begun, mount.index.oldest))
    length = place.end - place.shared
    rest = mount.cursor(place.shared).read(length) if length else b""
    promised = [lane.store.core.promised for lane in mount.node.lanes]
    history = history_of_cut(volume.history, promised, place)
    settled = volume.membership
    if settled.changing:
        settled = settled.without_replacement()
    metadata = mount.metadata
    return LogCut(
        place,
        first,
        Lsn(begun),
        rest,
        history,
        settled,
        replace(
            metadata,
            own_id=identity,
            timelines=metadata.timelines.until(place.end),
            version=(history[-1].epoch, 1),
        ),
    )


def place_at(mount: Mount, lsn: int | None = None) -> Place:
    """Where in the log an LSN lies at which a record ends; None: what is durable now.

    Raises LookupError for one that the log does not reach, or does not reach back to.
    """
    now = _durable_now(mount)
    if lsn is None or lsn == now.end:
        return now
    if lsn > now.end:
        raise LookupError(f"the log is durable up to {now.end:#x}, not to {lsn:#x}")
    return _found(mount, Lsn(lsn))


def write_cut(mount: Mount, cut: LogCut, directory: Path) -> list[SegmentId]:
    """Make the segments of the new volume in a directory; those that it has now.

    A segment that lacks log, or fails meanwhile, is left out: the new volume makes another one.
    Nothing may be collected meanwhile. Raises FileExistsError where the directory is there,
    QuorumLostError where too few segments hold the log up to the cut, OSError; then the caller
    removes what was made.
    """
    disk = mount.disk
    lanes = [each for each in mount.node.lanes if _holds(each, cut)]
    _require_quorum(cut, lanes)
    segments = {lane.store.id: segment_directory(directory, lane.store.id) for lane in lanes}
    zones = sorted({each.parent for each in segments.values()})
    for each in (directory, *zones, *(each / LOG for each in segments.values())):
        disk.make_directory(each)
    # Nobody opens it before all of it is on the disk: in what order that comes about is all one.
    links = [partial(_cut_log, disk, lane.store, cut, directory) for lane in lanes]
    others: list[Callable[[], object]] = [
        *(partial(_cut_state, disk, lane.store, cut, directory) for lane in lanes),
        *(partial(disk.sync_directory, each) for each in (*zones, directory.parent)),
        partial(write_volume_file, disk, directory, cut.metadata),
    ]
    done = _all(disk, [*links, *others])[: len(lanes)]
    # One that lost its place meanwhile may have had files taken from under it.
    linked = [lane for lane, is_linked in zip(lanes, done, strict=True) if is_linked]
    whole = [lane for lane in linked if _holds(lane, cut)]
    for lane in lanes:
        if lane not in whole:
            disk.remove_tree(segments[lane.store.id])
            disk.sync_directory(segments[lane.store.id].parent)
    _require_quorum(cut, whole)
    return [lane.store.id for lane in whole]


def _durable_now(mount: Mount) -> Place:
    node = mount.node

    def look() -> tuple[Lsn, int | None]:
        vdl = node.volume.vdl
        return vdl, node.head.position_of(vdl)

    vdl, position = look() if node.ended else node.call(look)
    return Place(vdl, position, vdl) if position is not None else _found(mount, vdl)


def _found(mount: Mount, lsn: Lsn) -> Place:
    """Search the files of whichever segment can be read."""
    start = mount.index.start_before(lsn)
    for lane in mount.node.lanes:
        if not lane.reachable or not lane.live or lane.store.log.start > start[0]:
            continue
        frames = lane.store.frames(start[0], previous=start[1], end=lane.store.end)
        with suppress(LookupError, OSError):
            return place_of_cut(start, ((each.end, each.batch) for each in frames), lsn)
    raise LookupError(f"no segment that answers has the log up to {lsn:#x} unharmed")


def _holds(lane: Lane, cut: LogCut) -> bool:
    store = lane.store
    return (
        store.id in cut.membership.segments
        and lane.reachable
        and lane.live
        and store.core.scl >= cut.place.shared
        and store.log.start <= cut.place.position
    )


def _require_quorum(cut: LogCut, lanes: Sequence[Lane]) -> None:
    found = [lane.store.id for lane in lanes]
    if not cut.membership.has_quorum(found, WRITE_QUORUM):
        raise QuorumLostError(
            f"the log up to the cut is held by {', '.join(found) or 'no segment'}; it takes "
            f"{WRITE_QUORUM} of every six. Heal segments and try again"
        )


def _all(disk: Disk, actions: Sequence[Callable[[], object]]) -> list[object]:
    """On real disks all at the same time: each waits for its disk, which then has them at once."""
    if disk is not HOST_DISK:
        return [action() for action in actions]
    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(lambda action: action(), actions))


def _cut_log(disk: Disk, source: SegmentStore, cut: LogCut, root: Path) -> bool:
    """Whether every file of it was there."""
    log = SegmentLog(segment_directory(root, source.id) / LOG, disk, direct=False)
    log.epoch = cut.history[-1].epoch
    try:
        for file in _shared(source.log, cut):
            link_or_copy(disk, file.path, log.directory / file.path.name)
        frame = cut.frame
        size = max(disk.sizes.first_file, len(frame) + -len(frame) % PAGE_BYTES)
        # It makes the names of the links durable as well, for it is the last in their folder.
        log.add_file(cut.position, size, cut.mark, frame, sparse=True)
    except FileNotFoundError as error:
        _log.warning("a segment is not cut", segment=source.id, error=str(error))
        return False
    finally:
        log.close()
    return True


def _cut_state(disk: Disk, source: SegmentStore, cut: LogCut, root: Path) -> None:
    state = SegmentStateFile(
        source.volume,
        source.id,
        cut.history[-1].epoch,
        cut.history,
        cut.membership,
        max(source.core.floor, cut.floor),
        cut.metadata,
    )
    disk.replace(segment_directory(root, source.id) / STATE_FILE, state.encode())


def _shared(log: SegmentLog, cut: LogCut) -> list[LogFile]:
    """The files of one segment that the new volume needs; the first says where its log begins."""
    needed: list[LogFile] = []
    for file in reversed([each for each in log.files if each.start < cut.position]):
        needed.insert(0, file)
        if file.start <= cut.first and log.mark(file) is not None:
            break
    return needed
