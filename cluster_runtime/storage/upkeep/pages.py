"""A volume's page images: made by the coalescer, kept by the full segments, and what they free.

An image that every full segment has makes the log before it, and older images, superfluous.
"""

import threading

import psycopg

from cluster_runtime.engine.admin_session import admin_conninfo
from cluster_runtime.errors import InvalidClusterStateError, QuorumLostError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.page_images import (
    PageImage,
    copy_image,
    images,
    make_image,
    remove_images,
)
from cluster_runtime.storage.live.mount import Mount, is_full
from cluster_runtime.storage.live.node import Lane
from cluster_runtime.storage.live.opening import has_newest_image
from cluster_runtime.storage.upkeep.coalescer import (
    COALESCE_LOG_BYTES,
    COALESCE_SHARE,
    Coalescer,
    CoalescingThread,
)
from cluster_runtime.storage.upkeep.data_directories import DataDirectories
from cluster_runtime.storage.upkeep.log_files import FilePreparation
from cluster_runtime.storage.upkeep.worker import Worker

COALESCER = "coalescer"
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
    ) -> None:
        """worker: the thread of repairs."""
        self._mount = mount
        self._worker = worker
        self._files = files
        self._directories = directories
        self._coalescer: Coalescer | None = None
        self._superuser = ""
        self._thread: CoalescingThread | None = None
        self._running = threading.Lock()

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
        """Have a damaged image copied again from another segment, on the thread of repairs."""
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

    def start(self, coalescer: Coalescer, superuser: str, *, automatic: bool) -> None:
        """automatic: make an image whenever one is due, on a thread of its own."""
        self._coalescer, self._superuser = coalescer, superuser
        if automatic and self._thread is None:
            self._thread = CoalescingThread(self._is_due, self.coalesce)

    def close(self) -> None:
        """End the thread that makes images."""
        if self._thread is not None:
            self._thread.close()

    def coalesce(self) -> PageImage:
        """Turn the log up to the volume durable LSN into a page image on each full segment.

        Log that no image needs any more is removed. Raises InvalidClusterStateError before
        `start`, EngineError where replay fails, OSError where a disk is full.
        """
        with self._running:
            mount, coalescer, service = self._mount, self._coalescer, self._mount.service
            if coalescer is None or service is None:
                raise InvalidClusterStateError("coalescing was not started on this volume")
            self._checkpoint_writer()
            if not coalescer.is_reusable:
                with mount.changing:
                    self._directories.make_standbys(coalescer.data_directory, self.whole())
            until = int(mount.node.volume.vdl)
            control = coalescer.replay(
                f"{service.conninfo} user={self._superuser} application_name={COALESCER}",
                until,
                self._replayed,
            )
            made = [
                make_image(
                    lane.store.pages,
                    coalescer.data_directory,
                    redo=control.redo,
                    lsn=until,
                    timeline=control.timeline,
                )
                for lane in mount.full_lanes()
            ]
            if not made:
                raise QuorumLostError("no full segment answers; heal one and coalesce again")
            if len(made) == len([each for each in mount.members if is_full(each)]):
                # While one of them lacks the image, the loss of the others must leave its log.
                self._collect(control.redo)
            return made[0]

    def _is_due(self) -> bool:
        mount, image = self._mount, self.newest()
        last = image.lsn if image is not None else mount.facts.start_lsn
        size = image.size_bytes if image is not None else 0
        since = mount.node.volume.vdl - last
        return since > max(COALESCE_LOG_BYTES, size // COALESCE_SHARE) and mount.node.attached

    def _checkpoint_writer(self) -> None:
        """Have the writer checkpoint: an image begins with the last one that was replayed."""
        where = self._mount.writer_sockets
        if where is not None and self._mount.node.attached:
            major = int(self._mount.facts.server_version.partition(".")[0])
            with psycopg.connect(admin_conninfo(where, major), autocommit=True) as conn:
                conn.execute("checkpoint")

    def _replayed(self) -> int:
        service = self._mount.service
        status = service.readers().get(COALESCER) if service is not None else None
        return status.replayed if status is not None else 0

    def _collect(self, redo: int) -> None:
        """Remove log and images that are older than an image that every full segment now has."""
        mount, node, service = self._mount, self._mount.node, self._mount.service
        streaming = service.readers().values() if service is not None else ()
        redo = min([redo, *(each.flushed for each in streaming if each.flushed)])
        lanes = [mount.lane(each) for each in mount.members]
        # A segment that is behind, or away, can only get what it misses from its peers' log.
        redo = min([redo, *(lane.store.core.scl if lane is not None else 0 for lane in lanes)])
        floor = redo - redo % mount.facts.wal_segment_bytes
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
                remove_images(lane.store.pages, below=redo)
