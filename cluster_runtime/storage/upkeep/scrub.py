"""The scrub: reads what the segments hold, and has peers repair what its checksums do not fit."""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cluster_runtime.storage.core.policy.scrub import Part, PartKind, ScrubReport, ScrubSchedule
from cluster_runtime.storage.core.types import Lsn, SegmentId
from cluster_runtime.storage.disk.filesystem import Disk
from cluster_runtime.storage.disk.log_files import LogFile
from cluster_runtime.storage.disk.page_images import PageImage
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.upkeep.images.pages import Pages
from cluster_runtime.storage.upkeep.repair import Repair, is_whole

SCRUB_FILE = "scrub.json"
PART_BYTES = 8 << 20
AGAIN_S = 5.0
"""When a pass that is due is thought of again, on a volume that cannot be changed."""


class Scrubbing:
    """Verifies one volume. `step` is called again and again, on the thread of repairs."""

    def __init__(self, mount: Mount, repair: Repair, pages: Pages) -> None:
        self._mount = mount
        self._repair = repair
        self._pages = pages
        self._file = mount.directory / SCRUB_FILE
        self._schedule = ScrubSchedule(time.time(), _completed_at(mount.disk, self._file))
        # How far each segment's log was followed from its start in this pass, and found whole.
        self._followed: dict[SegmentId, int] = {}

    @property
    def report(self) -> ScrubReport:
        """When the last pass ended, how far this one is, and what was found."""
        return self._schedule.report()

    def step(self) -> float:
        """Verify one part if it is time; return in how many seconds it is time again."""
        schedule, now = self._schedule, time.time()
        if schedule.wants_parts(now):
            if not self._mount.is_writable:
                return AGAIN_S  # nothing could be repaired now
            self._followed.clear()
            self._verify_states()
            schedule.begin(list(self._parts()))
        completed = schedule.completed_at
        part = schedule.take(now)
        if part is not None:
            self._verify(part)
        elif schedule.completed_at != completed:
            self._pages.give_all()
            self._mount.disk.replace(self._file, json.dumps({"completed_at": now}).encode())
        return max(0.0, schedule.next_at - now)

    def run(self) -> list[SegmentId]:
        """Verify everything now; the segments in which damage was found."""
        self._followed.clear()
        damaged = self._verify_states()
        damaged += [part.segment for part in self._parts() if not self._verify(part)]
        self._pages.give_all()
        return list(dict.fromkeys(damaged))

    def _verify_states(self) -> list[SegmentId]:
        """Write again what each segment knows of itself where that is damaged on its disk."""
        node, damaged = self._mount.node, []
        for lane in node.lanes:
            store = lane.store
            if not lane.reachable or lane.useless:
                continue
            try:
                if store.is_there and not store.state_is_whole():
                    damaged.append(store.id)
                    self._schedule.found_damage()
                    store.persist()
            except OSError as error:
                node.post(partial(node.fail, lane, error, store))
        return damaged

    def _parts(self) -> Iterator[Part]:
        for lane in self._mount.node.lanes:
            if _is_scrubbed(lane):
                id = lane.store.id
                for file in lane.store.log.files:
                    yield Part(id, PartKind.LOG, file.start, file.end - file.start)
                for image in lane.store.images():
                    yield from _image_parts(id, image)

    def _verify(self, part: Part) -> bool:
        """Whether a part is whole, or gone by now; repairs what is not."""
        lane = self._mount.lane(part.segment)
        if lane is None or not _is_scrubbed(lane):
            return True
        store = lane.store
        try:
            if part.kind is PartKind.LOG:
                whole = self._verify_log(lane, part)
            else:
                whole = self._verify_pages(lane, part)
        except OSError as error:
            # What cannot be read is not found to be damaged: it is that disk's trouble.
            self._mount.node.post(partial(self._mount.node.fail, lane, error, store))
            return True
        if not whole:
            self._schedule.found_damage()
        return whole

    def _verify_log(self, lane: Lane, part: Part) -> bool:
        store = lane.store
        file = next((each for each in store.log.files if each.start == part.place), None)
        if file is None or file.end <= self._followed.get(store.id, 0):
            return True
        try:
            if file_is_whole(store, file):
                return True
            end = store.end
            if is_whole(lane):
                self._followed[store.id] = end
                return True
        except (LookupError, FileNotFoundError):
            return True  # collected meanwhile
        self._repair.mend(lane.store.id)
        return False

    def _verify_pages(self, lane: Lane, part: Part) -> bool:
        for image in lane.store.images():
            if image.redo == part.place:
                if not image.damaged(image.files[part.first : part.last]):
                    return True
                if not image.disk.exists(image.directory):
                    return True  # removed meanwhile
                self._pages.mend(lane, image)
                return False
        return True


def _is_scrubbed(lane: Lane) -> bool:
    return lane.reachable and lane.live and lane.store.is_there


def _image_parts(segment: SegmentId, image: PageImage) -> Iterator[Part]:
    first, size = 0, 0
    for index, file in enumerate(image.files, 1):
        size += file.size
        if size >= PART_BYTES or index == len(image.files):
            yield Part(segment, PartKind.PAGES, image.redo, size, first, index)
            first, size = index, 0


def file_is_whole(store: SegmentStore, file: LogFile) -> bool:
    """Whether the frames of a file reach to its end, or to the log's.

    One that another file sealed may end before that: where the other one's mark says. False also
    where that cannot be told from these two files: then the whole chain has to be followed.
    """
    end = min(store.end, file.end)
    mark = store.log.mark(file)
    if mark is None and file is store.log.files[0]:
        return False  # nothing else says where the log begins
    reached, lsn = file.start, Lsn(mark.lsn) if mark is not None else None
    for frame in store.frames(file.start, previous=lsn, end=end):
        reached, lsn = frame.end, frame.batch.end
    if reached >= end:
        return True
    following = next((each for each in store.log.files if each.start == file.end), None)
    mark = store.log.mark(following) if following is not None else None
    return mark is not None and mark.lsn == lsn


def _completed_at(disk: Disk, file: Path) -> float | None:
    try:
        return float(json.loads(disk.read(file))["completed_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
