"""How far back an open volume can be rewound, and what is kept for that."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.past import (
    Cost,
    Tick,
    Window,
    begins,
    first_at,
    last_before,
)
from cluster_runtime.storage.core.policy.retention import Holder, HolderKind, ImagePoint
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.core.wal_commits import Commit, commits, end_at
from cluster_runtime.storage.disk.page_images import DATA, PageImage
from cluster_runtime.storage.disk.sealed import SealBrokenError
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.upkeep.holders import Holders
from cluster_runtime.storage.upkeep.past.restore_points import (
    POINTS_FILE,
    Point,
    read_points,
    write_points,
)
from cluster_runtime.storage.upkeep.past.tick_file import (
    TICK_FILE,
    append_tick,
    read_ticks,
    write_ticks,
)

FIRST_NORMAL_XID = 3
WINDOW = "backtrack-window"
TICKS_EXPIRED_MAX = 4096
"""Ticks before the window that may be in the file before it is written again."""
READ_BYTES = 1 << 20

_log = get_logger(__name__)


class OutOfWindowError(StorageError):
    """What a volume was then cannot be had any more, or not yet. Choose another time."""


@dataclass(frozen=True, slots=True)
class Reach:
    """From where on a volume can be rewound. Times in seconds since 1970; None before there is one.

    bytes: what the images of the window take on the disk.
    """

    lsn: int | None
    earliest: float | None
    latest: float | None
    bytes: int


class Past:
    """Of one volume. From any thread."""

    def __init__(
        self,
        mount: Mount,
        holders: Holders,
        base_redo: Callable[[], int],
    ) -> None:
        """base_redo: where replay begins over the pages that the volume began with."""
        self._mount, self._base_redo = mount, base_redo
        self.expired: Callable[[Point], None] = _nobody
        """Told of each restore point that fell out of the window."""
        self.also_expires: Callable[[], None] = _nothing
        """Called where something else may have fallen out of the window."""
        self.wanted: Window | None = None
        """What whoever opened the volume wants; until that is said nothing expires."""
        self.rewound = False
        """Whether the volume came to its present by a rewind, and has no page image of it yet."""
        self._lock = threading.Lock()
        self._ticks: list[Tick] = []
        self._points: list[Point] = []
        self._costs: list[Cost] = []
        self._database_bytes = 0
        holders.ask(self._held)

    def open(self) -> None:
        """Read what is known, once the volume is open: what lies behind its end never was."""
        end = int(self._mount.node.volume.vdl)
        self._ticks = [each for each in read_ticks(self._tick_file) if each.lsn <= end]
        try:
            found = read_points(self._mount.disk, self._point_file)
        except SealBrokenError as error:
            _log.error("the restore points of a volume are lost", error=str(error))
            found = []
        self._points = [each for each in found if each.lsn <= end]
        self.weigh()

    @property
    def window(self) -> Window:
        """How far back the volume is to be kept."""
        return self.wanted or Window(seconds=0)

    # moments ----------------------------------------------------------------------------------

    def tick(self, now: float | None = None) -> None:
        """Note how far the log is durable now, where that has moved. Raises OSError."""
        if not self.window.seconds or not self._mount.is_writable:
            return
        lsn = int(self._mount.node.volume.vdl)
        with self._lock:
            last = self._ticks[-1] if self._ticks else None
            if last is not None and last.lsn >= lsn:
                return
            moment = max(time.time() if now is None else now, last.time if last else 0.0)
            tick = Tick(moment, lsn)
            append_tick(self._tick_file, tick, len(self._ticks))
            self._ticks.append(tick)

    def expire(self) -> None:
        """Let go of what has fallen out of the window; who made it is told. Raises OSError."""
        if self.wanted is None:
            return
        reach = self.reach()
        begun = reach.lsn if reach.lsn is not None else int(self._mount.node.volume.vdl)
        with self._lock:
            gone = [each for each in self._points if each.lsn < begun]
            if gone:
                left = [each for each in self._points if each.lsn >= begun]
                write_points(self._mount.disk, self._point_file, left)
                self._points = left
            before = sum(each.lsn < begun for each in self._ticks) - 1
            if before > TICKS_EXPIRED_MAX:
                kept = self._ticks[before:]
                write_ticks(self._mount.disk, self._tick_file, kept)
                self._ticks = kept
        for each in gone:
            self.expired(each)
        self.also_expires()

    # restore points ---------------------------------------------------------------------------

    @property
    def points(self) -> tuple[Point, ...]:
        """The restore points, in the order in which they were made."""
        return tuple(self._points)

    def create_point(self, name: str) -> Point:
        """Name what is durable now: everything that was acknowledged before this was called.

        Raises FileExistsError where the name is taken, OutOfWindowError where nothing is kept.
        """
        if not self.window.seconds:
            raise OutOfWindowError("nothing of the past is kept: the backtrack window is 0")
        self._mount.require_writable()
        self.tick()
        with self._lock:
            if any(each.name == name for each in self._points):
                raise FileExistsError(
                    f"there is a restore point {name!r} already; choose another name"
                )
            point = Point(name, int(self._mount.node.volume.vdl), time.time())
            write_points(self._mount.disk, self._point_file, [*self._points, point])
            self._points.append(point)
        return point

    def delete_point(self, name: str) -> None:
        """Forget a name. Raises LookupError where there is none."""
        with self._lock:
            left = [each for each in self._points if each.name != name]
            if len(left) == len(self._points):
                raise LookupError(f"there is no restore point {name!r}")
            write_points(self._mount.disk, self._point_file, left)
            self._points = left

    # where to ---------------------------------------------------------------------------------

    def reach(self, now: float | None = None) -> Reach:
        """From where on the volume can be rewound."""
        moment = time.time() if now is None else now
        taken = sum(each.bytes for each in self._costs[:-1])
        budget = self.window.bytes_for(self._database_bytes)
        lsn = begins(self._ticks, self._costs, self.window, moment, budget)
        if lsn is None:
            return Reach(None, None, None, taken)
        lsn = max(lsn, self._reached_by_pages())
        first = first_at(self._ticks, lsn)
        if first is None:
            return Reach(None, None, None, taken)
        return Reach(first.lsn, first.time, self._ticks[-1].time, taken)

    def lsn_at(self, target: float) -> int:
        """Up to where the log has the commits whose time is not after a time, and no others.

        Raises OutOfWindowError for a time before the window, or after now.
        """
        reach = self.reach()
        tick = last_before(self._ticks, target)
        if reach.lsn is None or tick is None or tick.lsn < reach.lsn:
            raise OutOfWindowError(f"{_said(target)} is out of reach: {_window_said(reach)}")
        if target > time.time():
            raise OutOfWindowError(f"{_said(target)} is yet to come; choose a time that is past")
        end = int(self._mount.node.volume.vdl)
        return end_at(target, self.commits_between(tick.lsn, end), end)

    def lsn_of(self, transaction: int) -> int:
        """Up to where the log has the commit of a transaction, and none that came after it.

        transaction: its id, of 32 bits or with the epoch, or that of a subtransaction; the epoch is
        not looked at, for no window has as many as make one. Raises OutOfWindowError where no such
        commit is within the window. The log is read backwards, in stretches that double: what
        somebody goes back to is recent more often than not.
        """
        reach, xid = self.reach(), transaction & 0xFFFF_FFFF
        starts = [] if reach.lsn is None else self._ticks_from(reach.lsn)
        if xid < FIRST_NORMAL_XID:
            starts = []
        end, stretch = int(self._mount.node.volume.vdl), 1
        while starts:
            first = starts[-stretch:][0]
            for commit in self.commits_between(first, end):
                if xid in commit.xids:
                    return commit.end
            end, starts, stretch = first, starts[:-stretch], stretch * 2
        raise OutOfWindowError(
            f"no commit of a transaction {transaction} is within reach: {_window_said(reach)}"
        )

    def _ticks_from(self, lsn: int) -> list[int]:
        with self._lock:
            return [each.lsn for each in self._ticks if each.lsn >= lsn]

    @property
    def end(self) -> int:
        """What is durable now."""
        return int(self._mount.node.volume.vdl)

    def require(self, lsn: int) -> None:
        """Raise OutOfWindowError for an LSN that cannot be returned to."""
        reach, end = self.reach(), int(self._mount.node.volume.vdl)
        if reach.lsn is None or not reach.lsn <= lsn <= end:
            raise OutOfWindowError(f"LSN {lsn:#x} is out of reach: {_window_said(reach)}")

    def commits_between(self, start: int, end: int) -> Iterator[Commit]:
        """Those whose records lie between two LSNs at which records end."""
        cursor = self._mount.cursor(start)

        def chunks() -> Iterator[bytes]:
            while cursor.lsn < end and (chunk := cursor.read(min(READ_BYTES, end - cursor.lsn))):
                yield chunk

        return commits(start, chunks(), self._mount.metadata.wal_segment_bytes)

    # what is kept -----------------------------------------------------------------------------

    def weigh(self) -> None:
        """Look at what the images take: after one was made, or went."""
        mount = self._mount
        found: dict[int, PageImage] = {}
        for lane in mount.full_lanes():
            for image in lane.store.images():
                found.setdefault(image.redo, image)
        costs = [
            Cost(ImagePoint(each.redo, each.lsn), _own_bytes(each))
            for _, each in sorted(found.items())
        ]
        base, newest = self._base_redo(), max(found, default=None)
        if mount.index.oldest <= mount.metadata.start_lsn and base not in found:
            costs.insert(0, Cost(ImagePoint(base, base), 0))
        self._database_bytes = found[newest].size_bytes if newest is not None else 0
        self._costs = costs

    def keeps(self, lane: Lane, image: ImagePoint) -> bool:
        """Whether a segment keeps an image because a rewind may begin from it: one of them does."""
        base = self._base()
        if base is None or image.redo < base.redo:
            return False
        for each in self._mount.full_lanes():
            if any(one.redo == image.redo for one in each.store.images()):
                return each is lane
        return False

    @property
    def begins_at(self) -> int:
        """The LSN from which on log is needed to rewind as far as one can."""
        return min(
            (int(each.lsn) for each in self._held()), default=int(self._mount.node.volume.vdl)
        )

    def copy_to(self, directory: Path, end: int) -> None:
        """Give a volume that was cut from this one at an LSN what is known of the time before."""
        ticks = [each for each in self._ticks if each.lsn <= end]
        points = [each for each in self._points if each.lsn <= end]
        write_ticks(self._mount.disk, directory / TICK_FILE, ticks)
        write_points(self._mount.disk, directory / POINTS_FILE, points)

    def _base(self) -> ImagePoint | None:
        """The image that a rewind to the beginning of the window begins from."""
        reach = self.reach()
        if reach.lsn is None:
            return None
        usable = [each.image for each in self._costs if each.image.lsn <= reach.lsn]
        return max(usable, key=lambda each: each.lsn, default=None)

    def _held(self) -> Iterable[Holder]:
        reach, base = self.reach(), self._base()
        if reach.lsn is None or reach.earliest is None:
            return
        floor = min(base.redo, reach.lsn) if base is not None else reach.lsn
        yield Holder(HolderKind.BACKTRACK, WINDOW, Lsn(floor), reach.earliest, with_pages=False)
        for each in self.points:
            if each.lsn >= reach.lsn:
                yield Holder(HolderKind.RESTORE_POINT, each.name, Lsn(each.lsn), each.time)

    def _reached_by_pages(self) -> int:
        """The lowest LSN that pages and the log behind them reach."""
        oldest = self._mount.index.oldest
        usable = [each.image.lsn for each in self._costs if each.image.redo >= oldest]
        return min(usable, default=int(self._mount.node.volume.vdl))

    @property
    def _tick_file(self) -> Path:
        return self._mount.directory / TICK_FILE

    @property
    def _point_file(self) -> Path:
        return self._mount.directory / POINTS_FILE


def _nobody(point: Point) -> None:
    """Who hears of a restore point that is gone where nobody asked to."""


def _nothing() -> None:
    """What else expires where nothing does."""


def _own_bytes(image: PageImage) -> int:
    """What it takes that no other image of its segment, and no other volume, has too.

    Of thousands of files, in a process that commits go through: as little for each as can be.
    """
    begin, found, stat = f"{image.directory}/{DATA}/", 0, os.stat
    for file in image.files:
        try:
            status = stat(begin + file.path)
        except OSError:
            continue  # it went meanwhile
        if status.st_nlink == 1:
            found += status.st_size
    return found


def _said(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _window_said(reach: Reach) -> str:
    if reach.earliest is None or reach.latest is None:
        return "nothing of the past is kept yet"
    earliest = math.ceil(reach.earliest)  # so that what is said is within reach
    return f"it can be had from {_said(earliest)} on"
