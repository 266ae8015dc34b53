"""A volume's page images: made by the coalescer, kept by the full segments, and what they free.

An image that every full segment has makes the log before it, and older images, superfluous, unless
somebody holds them (`core.retention`).
"""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psycopg

from cluster_runtime.engine.admin_session import admin_conninfo
from cluster_runtime.errors import InvalidClusterStateError, QuorumLostError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.coalescing import is_due, log_bound, niceness
from cluster_runtime.storage.core.retention import Holder, HolderKind, ImagePoint, kept
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.page_images import (
    PageImage,
    copy_image,
    give_up_images,
    images,
)
from cluster_runtime.storage.live.lanes import Lane
from cluster_runtime.storage.live.mount import Mount, is_full
from cluster_runtime.storage.live.opening import has_newest_image
from cluster_runtime.storage.upkeep.coalescer import Coalescer
from cluster_runtime.storage.upkeep.data_directories import DataDirectories
from cluster_runtime.storage.upkeep.holders import Holders
from cluster_runtime.storage.upkeep.image_maker import ImageMaker
from cluster_runtime.storage.upkeep.log_files import FilePreparation
from cluster_runtime.storage.upkeep.worker import Worker

COALESCER = "coalescer"
WRITER = "writer"
MEND_AGAIN_S = 5.0

_log = get_logger(__name__)


class Pages:
    """The images of one volume. `coalesce` may run beside commits; one run at a time."""

    def __init__(
        self,
        mount: Mount,
        files: FilePreparation,
        directories: DataDirectories,
        worker: Worker,
        holders: Holders,
    ) -> None:
        """worker: the thread of repairs."""
        self._mount = mount
        self._worker = worker
        self._files = files
        self._directories = directories
        self._holders = holders
        holders.ask(self._held)
        self._coalescer: Coalescer | None = None
        self._superuser = ""
        self._serve: Callable[[], None] = _nothing
        self._runs = 0
        self._last: tuple[int, int] | None = None
        self._running = threading.Lock()
        self.staying = threading.Lock()
        """Held by whoever reads an image, and the log behind it, for longer than a moment: nothing
        is removed meanwhile."""

    def newest(self) -> PageImage | None:
        """The newest page image of any full segment that answers, by the sizes of its files."""
        found = [image for lane in self._mount.full_lanes() for image in images(lane.store.pages)]
        for image in sorted(found, key=lambda each: each.redo, reverse=True):
            if not image.damaged(sizes_only=True):
                return image
        return None

    def whole(self) -> PageImage | None:
        """The newest image of which every file fits its checksum; others are mended meanwhile.

        None before there is one. Raises StorageError where none is whole, and the log that could
        stand in for it is gone.
        """
        lanes = self._mount.full_lanes()
        found = [(image, lane) for lane in lanes for image in images(lane.store.pages)]
        for image, lane in sorted(found, key=lambda each: each[0].redo, reverse=True):
            if not image.damaged():
                return image
            self.mend(lane, image)
        if self._mount.index.oldest > self._mount.facts.start_lsn:
            raise StorageError(
                f"{len(found)} page images answer, and none is whole; the log begins behind them. "
                "Heal full segments and try again"
            )
        return None

    def mend(self, lane: Lane, image: PageImage) -> None:
        """Have a damaged image taken anew from another segment, on the thread of repairs."""
        _log.warning("a page image is damaged", segment=lane.store.id, redo=image.redo)
        self._worker.put(lambda: self._mend(lane, image))

    def _mend(self, lane: Lane, image: PageImage) -> None:
        if not self._running.acquire(blocking=False):
            self._worker.put(lambda: self._mend(lane, image), after_s=MEND_AGAIN_S)
            return
        try:
            for peer in self._mount.full_lanes():
                for other in images(peer.store.pages):
                    if peer is not lane and other.redo == image.redo and not other.damaged():
                        copy_image(other, lane.store.pages)
                        return
        finally:
            self._running.release()
        _log.error("no other segment holds a page image whole", redo=image.redo)

    def give_all(self) -> None:
        """Give the newest image to every full segment that lacks it."""
        for lane in self._mount.full_lanes():
            self.give(lane)

    def are_on(self, lane: Lane) -> bool:
        """Whether a segment holds the newest pages, or need hold none."""
        if not is_full(lane.store.id):
            return True
        return has_newest_image(lane.store.pages, [one.store for one in self._mount.full_lanes()])

    def give(self, lane: Lane) -> None:
        """Copy the newest image to a full segment that lacks it, unless one is being made now."""
        image = self.newest()
        if image is None or self.are_on(lane) or not self._running.acquire(blocking=False):
            return
        try:
            copy_image(image, lane.store.pages)
        finally:
            self._running.release()

    def start(self, coalescer: Coalescer, superuser: str, serve: Callable[[], None]) -> None:
        """serve: have the WAL service run, which the coalescer follows."""
        self._coalescer, self._superuser, self._serve = coalescer, superuser, serve

    def coalesce(self, stopped: Callable[[], bool]) -> PageImage:
        """Turn the log up to the volume durable LSN into a page image on each full segment.

        Log and images that nobody needs any more are removed. stopped: asked whether to end before
        that is done; raises InterruptedCoalescingError then.
        Raises InvalidClusterStateError before `start`, EngineError where replay fails, OSError
        where a disk is full.
        """
        with self._running:
            mount, coalescer = self._mount, self._coalescer
            if coalescer is None:
                raise InvalidClusterStateError("coalescing was not started on this volume")
            self._serve()
            service = mount.service
            if service is None:
                raise InvalidClusterStateError("the WAL service does not run; call serve_wal first")
            self._checkpoint_writer()
            if not coalescer.can_go_on(mount.index.oldest):
                with self.staying:
                    self._directories.make_coalescers(coalescer.data_directory, self.whole())
            until = int(mount.node.volume.vdl)
            # A name of its own: what an earlier run said last may still be known of it.
            self._runs += 1
            name = f"{COALESCER}-{self._runs}"
            nice = niceness(*self._since_last())
            control = coalescer.replay(
                f"{service.conninfo} user={self._superuser} application_name={name}",
                until,
                lambda: service.replayed_by(name),
                stopped,
                nice,
            )
            point = ImagePoint(control.redo, until)
            with ImageMaker(stopped, nice) as maker:
                made = self._give_out(maker, coalescer.data_directory, point, control.timeline)
            if not made:
                raise QuorumLostError("no full segment answers; heal one and coalesce again")
            image = images(made[0].store.pages)[-1]
            self._last = image.lsn, image.size_bytes
            if len(made) == len([each for each in mount.members if is_full(each)]):
                # While one of them lacks the image, the loss of the others must leave its log.
                self._collect()
            return image

    def is_due(self) -> bool:
        """Whether an image is to be made now: a writer is there, and much log since the last."""
        node = self._mount.node
        return node.attachment is not None and is_due(*self._since_last())

    @property
    def log_bound_bytes(self) -> int:
        """How much log may gather before an image is due."""
        return log_bound(self._since_last()[1])

    def _since_last(self) -> tuple[int, int]:
        """Log since the last image, and the size of the database then."""
        if self._last is None:
            image = self.newest()
            self._last = (
                (image.lsn, image.size_bytes)
                if image is not None
                else (self._mount.facts.start_lsn, self._directories.base_image_bytes)
            )
        lsn, size = self._last
        return self._mount.node.volume.vdl - lsn, size

    def _give_out(
        self, maker: ImageMaker, source: Path, point: ImagePoint, timeline: int
    ) -> list[Lane]:
        """Make an image of a directory on each full segment, one after the other.

        What a segment had before goes as soon as it has the new one: the others still have theirs
        and the log behind it, and so there are never six of them.
        """
        made: list[Lane] = []
        for lane in self._mount.full_lanes():
            folder = lane.store.pages
            if all(each.redo != point.redo for each in images(folder)):
                # Never over one that is there: somebody may be reading it.
                maker.make(folder, source, redo=point.redo, lsn=point.lsn, timeline=timeline)
            made.append(lane)
            with self.staying:
                give_up_images(folder, below=point.redo, keep=self._kept_redos())
            maker.sweep(folder)
        return made

    def _checkpoint_writer(self) -> None:
        """Have the writer checkpoint: an image begins with the last one that was replayed."""
        attachment = self._mount.node.attachment
        if attachment is not None:
            major = int(self._mount.facts.server_version.partition(".")[0])
            conninfo = admin_conninfo(attachment.sockets, major)
            with psycopg.connect(conninfo, autocommit=True) as conn:
                conn.execute("checkpoint")

    def _held(self) -> Iterable[Holder]:
        """Who needs log without having asked for it: the next writer, and segments."""
        mount = self._mount
        node, oldest = mount.node, Lsn(mount.index.oldest)
        redos = []
        for segment in (each for each in mount.members if is_full(each)):
            lane = mount.lane(segment)
            found = images(lane.store.pages) if lane is not None else []
            redos.append((found[-1].redo, _made_at(found[-1])) if found else (oldest, 0.0))
        redo, since = min(redos)
        yield Holder(HolderKind.RECOVERY, WRITER, Lsn(max(redo, oldest)), since)
        for segment in mount.members:
            lane = mount.lane(segment)
            # A segment that is behind, or away, can only get what it misses from its peers' log.
            scl = lane.store.core.scl if lane is not None else oldest
            if lane is None or not lane.live or scl < node.volume.vdl:
                away = lane.unreachable_since if lane is not None else None
                yield Holder(HolderKind.SEGMENT, segment, max(scl, oldest), _wall_clock(away))

    def _kept_redos(self) -> frozenset[int]:
        return kept(self._holders.now(), self._common_images(), self._mount.facts.start_lsn).redos

    def _common_images(self) -> list[ImagePoint]:
        """The images that every full segment has."""
        points = [
            {ImagePoint(each.redo, each.lsn) for each in images(lane.store.pages)}
            for lane in self._mount.full_lanes()
        ]
        return sorted(set.intersection(*points), key=lambda each: each.lsn) if points else []

    def _collect(self) -> None:
        """Remove log and images that nobody holds."""
        with self.staying:
            self._collect_now()

    def _collect_now(self) -> None:
        mount, node = self._mount, self._mount.node
        keep = kept(self._holders.now(), self._common_images(), mount.facts.start_lsn)
        floor = keep.floor - keep.floor % mount.facts.wal_segment_bytes
        self._files.write_marks()
        try:
            position = mount.index.before(floor)
        except LookupError:
            return

        def collect() -> None:
            for lane in node.lanes:
                if lane.reachable:
                    lane.store.core.collect(Lsn(floor))
                    lane.store.collect(position)

        node.call(collect)
        mount.index.forget_below(position)
        for lane in node.lanes:
            if lane.reachable:
                lane.store.persist()


def _made_at(image: PageImage) -> float:
    try:
        return image.directory.stat().st_mtime
    except OSError:
        return time.time()


def _wall_clock(monotonic: float | None) -> float:
    """The time of the system's clock at a time of the monotonic one; now where there is none."""
    return time.time() - (time.monotonic() - monotonic if monotonic is not None else 0.0)


def _nothing() -> None:
    """What serves the log where somebody else has begun to."""
