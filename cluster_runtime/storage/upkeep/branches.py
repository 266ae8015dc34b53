"""Volumes that are made as cuts of an open one, and the data directories of their writers.

What is shared is linked: log files and page images, never a directory that a server uses. Either of
the two volumes may be deleted first; the files of the other keep their content.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.errors import QuorumLostError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.types import AZS, Lsn, SegmentId
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.storage.disk.page_images import PageImage, link_image
from cluster_runtime.storage.disk.segment_store import PAGES, segment_directory
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.cutting import LogCut, place_at, plan_cut, write_cut
from cluster_runtime.storage.live.mount import Mount, is_full
from cluster_runtime.storage.live.node import StorageNode
from cluster_runtime.storage.upkeep.data_directories import DataDirectories
from cluster_runtime.storage.upkeep.images.pages import Pages
from cluster_runtime.storage.upkeep.past.past import Past

_log = get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CutVolume:
    """A volume that is cut from another one, before anybody opened it.

    end: where its log ends. image: the pages that its first data directory is made of; None for
    those that the volume began with. written: done once its log is there, durably, so that it can
    be opened; has what went wrong with that.
    """

    directory: Path
    metadata: VolumeMetadata
    end: Lsn
    image: PageImage | None
    written: "Future[None]"


@dataclass(frozen=True, slots=True)
class _Planned:
    """node: that of the day. since: the lowest LSN that the log is needed from."""

    node: StorageNode
    log: LogCut
    since: int
    image: PageImage | None


class Branches:
    """What is cut from one open volume. From any thread."""

    def __init__(
        self, mount: Mount, directories: DataDirectories, pages: Pages, past: Past
    ) -> None:
        self._mount, self._directories, self._pages = mount, directories, pages
        self._past = past

    @contextmanager
    def cutting(
        self, directory: Path, identity: str, lsn: int | None = None, *, with_past: bool = False
    ) -> Iterator[CutVolume]:
        """Make a volume with everything that was durable at an LSN; commits go on meanwhile.

        Its log is being written when this is entered (`written`), and is there, with its pages, at
        the end of it; until then what `lay_out` reads stays. Where it fails nothing of it stays,
        whatever was laid out apart.
        directory: where, on the file system of this one. identity: what it will be known by.
        lsn: where a record ends; None: now. with_past: it can be rewound as far as this one, whose
        place it takes; a clone's past begins with the clone.
        Raises LookupError for an LSN that the log, or the pages, do not reach back to;
        FileExistsError, QuorumLostError, OSError.
        """
        if directory.exists():
            raise FileExistsError(f"{directory} is there already")
        mount = self._mount
        mount.bring_back(only_for_writers=True)
        with self._pages.staying.reading(), ThreadPoolExecutor(len(AZS) + 1) as pool:
            planned = self._of_open_volume(partial(self._plan, identity, lsn, with_past))
            end, image = planned.log.place.end, planned.image
            linking: list[Future[int]] = []
            link = partial(self._link_images, planned.since, end, directory)

            def write() -> None:
                full = {each for each in self._cut(planned, identity, directory) if is_full(each)}
                if with_past:
                    self._past.copy_to(directory, end)
                if image is not None:
                    lanes = [each for each in mount.full_lanes() if each.store.id in full]
                    linking.extend(pool.submit(link, lane) for lane in lanes)

            written = pool.submit(write)
            try:
                yield CutVolume(directory, planned.log.metadata, end, image, written)
                written.result()
                if linking and not sum(each.result() for each in linking):
                    raise QuorumLostError("no full segment has its page images whole; heal one")
            except BaseException as error:
                wait([written])
                wait(linking)
                mount.disk.remove_tree(directory)
                cause = written.exception()
                if isinstance(error, Exception) and cause is not None and cause is not error:
                    raise cause from None  # what else went wrong went wrong for that
                raise

    def lay_out(
        self, made: CutVolume, data_directory: Path, user: OsUser, base_copy: Path | None = None
    ) -> None:
        """Make the data directory of the first writer of a volume that is cut from this one.

        Its pages and its log come from here, which has them in memory and open. base_copy: of the
        pages that the volume began with, to take where `made` has no image.
        """
        copies = [base_copy]

        def make() -> None:
            copy, image = copies.pop() if copies else None, made.image
            given = image is not None and self._pages.give_away(image, data_directory, user)
            self._directories.make_others(
                data_directory, image, made.end, made.metadata, user, copy, has_pages=given
            )

        self._of_open_volume(make)

    def _plan(self, identity: str, lsn: int | None, with_past: bool) -> _Planned:
        mount, node = self._mount, self._mount.node
        place = place_at(mount, lsn)
        image = self._newest_below(place.end)
        begins = image.redo if image is not None else mount.metadata.start_lsn
        since = min(begins, self._past.begins_at) if with_past else begins
        return _Planned(node, plan_cut(mount, identity, place, since), since, image)

    def _cut(self, planned: _Planned, identity: str, directory: Path) -> list[SegmentId]:
        """Make the durable part: its log; the segments that have it."""
        mount = self._mount

        def write() -> list[SegmentId]:
            log = planned.log
            if mount.node is not planned.node:
                # Where it ends is told already; how the segments are cut there may be another way.
                log = plan_cut(mount, identity, place_at(mount, log.place.end), planned.since)
            return write_cut(mount, log, directory)

        return self._of_open_volume(write, lambda: mount.disk.remove_tree(directory))

    def _of_open_volume(self, work: Callable[[], T], undo: Callable[[], None] = lambda: None) -> T:
        """Do it; again where the volume was opened again under it, as by a failover."""
        mount, node = self._mount, self._mount.node
        try:
            return work()
        except (StorageError, LookupError, OSError):
            with mount.changing:  # until it is open
                if mount.closed or mount.node is node:
                    raise
            undo()
            return work()

    def _newest_below(self, end: int) -> PageImage | None:
        """The newest image whose pages hold nothing above an LSN.

        None where that is what the volume began with, which every volume that is cut from it shares
        as it does. Raises LookupError where there is none, and no log that stands in for it.
        """
        mount = self._mount
        images = [each for lane in mount.full_lanes() for each in lane.store.images()]
        usable = [each for each in images if each.lsn <= end]
        reaches_back = mount.index.oldest <= mount.metadata.start_lsn
        for image in sorted(usable, key=lambda each: each.redo, reverse=True):
            if reaches_back and image.redo == self._directories.base_redo:
                break
            # PostgreSQL verifies the checksum of each page that it reads, the scrub all of them.
            if not image.damaged(sizes_only=True):
                return image
        if not reaches_back:
            raise LookupError(f"no page image that answers reaches back to {format_lsn(end)}")
        return None

    def _link_images(self, since: int, end: int, directory: Path, lane: Lane) -> int:
        """Give a segment its own copies, so that damage to one stays damage to one; how many."""
        store, linked = lane.store, 0
        for own in store.images():
            if since <= own.redo and own.lsn <= end:
                try:
                    link_image(own, segment_directory(directory, store.id) / PAGES)
                    linked += 1
                except FileNotFoundError as error:
                    _log.warning("a page image is not whole", segment=store.id, error=str(error))
        return linked
