"""A volume's page images: made by the coalescer, kept by the full segments, and what they free.

An image that every full segment has makes the log before it, and older images, superfluous, unless
somebody holds them (`core.retention`).
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system.files import remove_tree
from cluster_runtime.errors import (
    InvalidClusterStateError,
    QuorumLostError,
    StaleEpochError,
    StorageError,
)
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.coalescing import (
    Politeness,
    image_spacing,
    is_due,
    log_bound,
    politeness,
)
from cluster_runtime.storage.core.policy.retention import (
    ImagePoint,
)
from cluster_runtime.storage.disk.data_directory import ControlFile
from cluster_runtime.storage.disk.page_images import (
    PageImage,
    copy_image,
    give_up_images,
)
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.mount import Mount, is_full
from cluster_runtime.storage.live.opening import has_newest_image
from cluster_runtime.storage.upkeep.data_directories import DataDirectories
from cluster_runtime.storage.upkeep.holders import Holders
from cluster_runtime.storage.upkeep.images.coalescer import Coalescer
from cluster_runtime.storage.upkeep.images.collection import Collection
from cluster_runtime.storage.upkeep.images.image_maker import RESTS, ImageMaker, Maker, Pace
from cluster_runtime.storage.upkeep.images.interruption import InterruptedCoalescingError
from cluster_runtime.storage.upkeep.images.staying import Staying
from cluster_runtime.storage.upkeep.images.targets import targets
from cluster_runtime.storage.upkeep.log_files import FilePreparation
from cluster_runtime.storage.upkeep.past.past import Past
from cluster_runtime.storage.upkeep.worker import Worker

COALESCER = "coalescer"
BASE_COPY = "base.copy"
KEEP_BASE_AFTER_S = 30.0
KEEP_BASE_AGAIN_S = 300.0
MEND_AGAIN_S = 5.0
GIVE_EVERY_S = 20.0
POLITE_PAUSE_S = 0.004
"""Between two messages of 128 KiB to a coalescer that steps back behind commits: 32 MB a second."""
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
        past: Past | None = None,
    ) -> None:
        """worker: the thread of repairs. past: what a rewind needs, besides the holders."""
        self._mount = mount
        self._worker = worker
        self._directories = directories
        self._coalescer: Coalescer | None = None
        self._superuser = ""
        self._serve: Callable[[], None] = _nothing
        self._runs = 0
        self._last: tuple[int, int] | None = None
        self._give_at = 0.0
        self._running = threading.Lock()
        self._keep_base_at = time.monotonic() + KEEP_BASE_AFTER_S
        self.staying = Staying()
        """Shared by whoever reads an image, and the log behind it, for longer than a moment."""
        self._past = past
        self._collection = Collection(
            mount, files, holders, self.staying, lambda: log_bound(self._since_last()[1])
        )

    def newest(self) -> PageImage | None:
        """The newest page image of any full segment that answers, by the sizes of its files."""
        found = [image for lane in self._mount.full_lanes() for image in lane.store.images()]
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
        found = [(image, lane) for lane in lanes for image in lane.store.images()]
        for image, lane in sorted(found, key=lambda each: each[0].redo, reverse=True):
            if not image.damaged():
                return image
            self.mend(lane, image)
        if self._mount.index.oldest > self._mount.metadata.start_lsn:
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
                for other in peer.store.images():
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
        return has_newest_image(lane.store, [one.store for one in self._mount.full_lanes()])

    def give(self, lane: Lane, *, rest: float = 0.0) -> None:
        """Copy the newest image to a full segment that lacks it, unless one is being made now.

        rest: after each stretch, in units of the time that it took; so commits wait for less.
        """
        image = self.newest()
        if image is None or self.are_on(lane) or not self._running.acquire(blocking=False):
            return
        try:
            copy_image(image, lane.store.pages, pace=Pace(rest))
        finally:
            self._running.release()

    def give_missing(self) -> None:
        """Give the newest image to a full segment that could not take it when it was made.

        One at a time, every now and then. Until each has it, no log is collected.
        """
        if time.monotonic() < self._give_at or not self._mount.is_writable:
            return
        self._give_at = time.monotonic() + GIVE_EVERY_S
        for lane in self._mount.full_lanes():
            if lane.live and not lane.problem and not self.are_on(lane):
                self.give(lane, rest=RESTS)
                return

    def keep_base(self) -> None:
        """Give full segments a copy of the pages that the volume began with, before it has others.

        The base image lies outside the volume: it would be the only copy until then. One segment at
        each call, and none before a volume has been open for a while: most that are gone soon never
        need it.
        """
        mount = self._mount
        if time.monotonic() < self._keep_base_at or mount.index.oldest > mount.metadata.start_lsn:
            return
        lane = next((each for each in mount.full_lanes() if self._lacks_base(each)), None)
        if lane is None:
            return
        if self.newest() is not None:
            self.give(lane, rest=RESTS)
            return
        if not self._running.acquire(blocking=False):
            return
        source = mount.directory / BASE_COPY
        try:
            remove_tree(source)
            self._directories.copy_base(source)
            control = ControlFile.read(source)
            began = time.monotonic()
            with ImageMaker(mount.leaving.is_set, lambda: self._polite(began)) as maker:
                maker.make(
                    lane.store.pages,
                    source,
                    redo=control.redo,
                    lsn=control.redo,
                    timeline=control.timeline,
                )
        except InterruptedCoalescingError:
            return  # the volume closes, or is opened again
        except (OSError, StorageError) as error:
            self._keep_base_at = time.monotonic() + KEEP_BASE_AGAIN_S
            _log.warning("the base of a volume is not copied to it", error=str(error))
        finally:
            remove_tree(source)
            self._running.release()

    def _lacks_base(self, lane: Lane) -> bool:
        store = lane.store
        return lane.live and not lane.problem and not store.images()

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
            self._require_ownership()
            self._serve()
            service = mount.service
            if service is None:
                raise InvalidClusterStateError("the WAL service does not run; call serve_wal first")

            def go_on() -> None:
                if stopped():
                    raise InterruptedCoalescingError("coalescing was interrupted before it began")

            if not coalescer.can_go_on(mount.index.oldest):
                with self.staying.reading():
                    image = self.whole()
                    self._directories.make_coalescers(coalescer.data_directory, image, go_on)
            # A name of its own: what an earlier run said last may still be known of it.
            self._runs += 1
            name = f"{COALESCER}-{self._runs}"
            began = time.monotonic()

            def polite() -> Politeness:
                level = self._polite(began)
                service.pause(name, POLITE_PAUSE_S if level else 0.0)
                return level

            polite()
            control = coalescer.replay(
                f"{service.conninfo} user={self._superuser} application_name={name}",
                targets(mount),
                lambda: service.replayed_by(name),
                stopped,
                polite,
            )
            # It may have replayed some more before it stopped: nothing above what is durable now.
            point = ImagePoint(control.redo, int(mount.node.volume.vdl))
            with ImageMaker(stopped, polite) as maker:
                return self.keep(maker, coalescer.data_directory, point, control.timeline)

    def keep(self, maker: Maker, source: Path, point: ImagePoint, timeline: int) -> PageImage:
        """Make a cleanly stopped data directory the newest image, and remove what that frees.

        Raises QuorumLostError where no full segment takes it.
        """
        made = self._give_out(maker, source, point, timeline)
        # A disk may have begun to fail since its segment took the image.
        images = (each for lane in made for each in lane.store.images())
        image = next((each for each in images if each.redo == point.redo), None)
        if image is None:
            raise QuorumLostError("no full segment answers; heal one and coalesce again")
        self._last = image.redo, image.size_bytes
        if self._past is not None:
            self._past.rewound = False
            self._past.weigh()
        if len(made) == len([each for each in self._mount.members if is_full(each)]):
            # While one of them lacks the image, the loss of the others must leave its log.
            self._collection.collect()
        return image

    def give_away(self, image: PageImage, data_directory: Path, user: OsUser) -> bool:
        """Make a data directory of an image's pages without copying them; whether that was done.

        It is the coalescer's own, where that has gone no further, and makes no other image now.
        """
        coalescer = self._coalescer
        if coalescer is None or not self._running.acquire(blocking=False):
            return False
        try:
            return coalescer.give_away(image, data_directory, user)
        finally:
            self._running.release()

    def is_due(self) -> bool:
        """Whether an image is to be made now: a writer is there, and much log since the last."""
        node = self._mount.node
        rewound = self._past is not None and self._past.rewound
        return node.attachment is not None and is_due(
            *self._since_last(), rewinds=self._rewinds, rewound=rewound
        )

    @property
    def log_bound_bytes(self) -> int:
        """How much log may gather before an image is due."""
        return image_spacing(self._since_last()[1], rewinds=self._rewinds)

    @property
    def _rewinds(self) -> bool:
        """Whether a rewind may begin from any image."""
        return self._past is not None and bool(self._past.window.seconds)

    def _polite(self, began: float) -> Politeness:
        """How far to step back now what began then, in seconds of the monotonic clock."""
        return politeness(*self._since_last(), time.monotonic() - began)

    def _since_last(self) -> tuple[int, int]:
        """Log that a replay over the last image goes through, and the size of the database then."""
        if self._last is None:
            image = self.newest()
            self._last = (
                (image.redo, image.size_bytes)
                if image is not None
                else (self._mount.metadata.start_lsn, self._directories.base_image_bytes)
            )
        redo, size = self._last
        return self._mount.node.volume.vdl - redo, size

    def _give_out(self, maker: Maker, source: Path, point: ImagePoint, timeline: int) -> list[Lane]:
        """Make an image of a directory on each full segment, one after the other.

        What a segment had before goes as soon as it has the new one: the others still have theirs
        and the log behind it, and so there are never six of them.
        """
        made: list[Lane] = []
        node, disk = self._mount.node, self._mount.disk
        for lane in self._mount.full_lanes():
            self._require_ownership()
            store = lane.store
            try:
                if all(each.redo != point.redo for each in store.images()):
                    # Never over one that is there: somebody may be reading it.
                    maker.make(
                        store.pages, source, redo=point.redo, lsn=point.lsn, timeline=timeline
                    )
                made.append(lane)
                if self._past is not None and len(made) == 1:
                    self._past.weigh()  # once: it looks at every file of every image
                with self.staying.removing():
                    keep = self._collection.kept_redos() | self._for_rewinds(lane)
                    give_up_images(store.pages, below=point.redo, keep=keep, disk=disk)
                maker.sweep(store.pages)
            except OSError as error:
                if Path(error.filename or "").is_relative_to(source):
                    raise  # no segment is to blame for what was to be copied
                # Its own trouble: the others have the image, and keep the log that it lacks.
                node.post(partial(node.fail, lane, error, store))
        return made

    def _for_rewinds(self, lane: Lane) -> frozenset[int]:
        """The redo points of the images of a segment that a rewind may begin from."""
        if self._past is None:
            return frozenset()
        images = [ImagePoint(each.redo, each.lsn) for each in lane.store.images()]
        return frozenset(each.redo for each in images if self._past.keeps(lane, each))

    def _require_ownership(self) -> None:
        """Raise StorageError where the volume is another host's, or cannot be changed now."""
        self._mount.require_writable()
        if not self._mount.is_writable:
            raise StaleEpochError(
                "another host opened this volume, with a higher epoch, or this one is about to: "
                "its pages are made by whoever has it then"
            )


def _nothing() -> None:
    """What serves the log where somebody else has begun to."""
