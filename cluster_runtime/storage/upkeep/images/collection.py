"""What log and which images stay, because somebody needs them; the rest of the log goes.

Whose need counts is in `core.policy.retention`; here is who has one without asking for anything,
and the removal.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial

from cluster_runtime.storage.core.policy.retention import (
    Holder,
    HolderKind,
    ImagePoint,
    is_waited_for,
    kept,
)
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.page_images import PageImage
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.mount import Mount, is_full
from cluster_runtime.storage.upkeep.holders import Holders
from cluster_runtime.storage.upkeep.images.staying import Staying
from cluster_runtime.storage.upkeep.log_files import FilePreparation

WRITER = "writer"


class Collection:
    """Of one volume, on the thread of whoever has made an image."""

    def __init__(
        self,
        mount: Mount,
        files: FilePreparation,
        holders: Holders,
        staying: Staying,
        log_bound: Callable[[], int],
    ) -> None:
        """staying: shared by who reads what could go. log_bound: bytes of log that may gather."""
        self._mount, self._files, self._holders = mount, files, holders
        self._staying, self._log_bound = staying, log_bound
        holders.ask(self._held)

    def kept_redos(self) -> frozenset[int]:
        """The redo points of the images that stay, of those that every full segment has."""
        return kept(
            self._holders.now(), self._common_images(), self._mount.metadata.start_lsn
        ).redos

    def collect(self) -> None:
        """Remove the log that nobody needs. Images go as newer ones come: see `Pages.keep`."""
        with self._staying.removing():
            self._collect_now()

    def _held(self) -> Iterable[Holder]:
        """Who needs log without having asked for it: the next writer, and segments."""
        mount = self._mount
        node, oldest = mount.node, Lsn(mount.index.oldest)
        redos = []
        for segment in (each for each in mount.members if is_full(each)):
            lane = mount.lane(segment)
            found = lane.store.images() if lane is not None else []
            redos.append((found[-1].redo, _made_at(found[-1])) if found else (oldest, 0.0))
        redo, since = min(redos)
        yield Holder(HolderKind.RECOVERY, WRITER, Lsn(max(redo, oldest)), since)
        for segment in mount.members:
            lane = mount.lane(segment)
            # A segment that is behind, or away, can only get what it misses from its peers' log.
            scl = lane.store.core.scl if lane is not None else oldest
            behind = lane is None or not lane.live or scl < node.volume.vdl
            if behind and is_waited_for(scl, node.volume.vdl, self._log_bound()):
                away = lane.unreachable_since if lane is not None else None
                yield Holder(HolderKind.SEGMENT, segment, max(scl, oldest), _wall_clock(away))

    def _common_images(self) -> list[ImagePoint]:
        """The images that every full segment has."""
        points = [
            {ImagePoint(each.redo, each.lsn) for each in lane.store.images()}
            for lane in self._mount.full_lanes()
        ]
        return sorted(set.intersection(*points), key=lambda each: each.lsn) if points else []

    def _collect_now(self) -> None:
        mount, node = self._mount, self._mount.node
        keep = kept(self._holders.now(), self._common_images(), mount.metadata.start_lsn)
        floor = keep.floor - keep.floor % mount.metadata.wal_segment_bytes
        self._files.write_marks()
        try:
            position = mount.index.before(floor)
        except LookupError:
            return

        lanes = [lane for lane in node.lanes if lane.reachable]
        node.call(lambda: [lane.store.core.collect(Lsn(floor)) for lane in lanes])
        # First what says where the log begins now, then what was before that.
        told = [lane for lane in lanes if self._tried(lane, SegmentStore.persist)]
        mount.index.forget_below(position)
        # Not on the node's thread: commits need not wait until many files are deleted.
        for lane in told:
            self._tried(lane, lambda store: store.collect(position))

    def _tried(self, lane: Lane, action: Callable[[SegmentStore], None]) -> bool:
        """Do something with a segment's files; where its disk refuses that is its own trouble."""
        store = lane.store
        try:
            action(store)
        except OSError as error:
            self._mount.node.post(partial(self._mount.node.fail, lane, error, store))
            return False
        return True


def _made_at(image: PageImage) -> float:
    try:
        return image.disk.modified_ns(image.directory) / 1e9
    except OSError:
        return time.time()


def _wall_clock(monotonic: float | None) -> float:
    """The time of the system's clock at a time of the monotonic one; now where there is none."""
    return time.time() - (time.monotonic() - monotonic if monotonic is not None else 0.0)
