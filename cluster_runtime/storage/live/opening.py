"""Opening a volume: the segments' files are read, fenced, cut, and brought to one end.

`core.durability.Opening` decides; this module reads and writes. Nothing here runs while writes
are under way. A crash in the middle leaves a volume that opens again.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cluster_runtime.errors import QuorumLostError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.durability import Opening, Volume, read_point
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import History
from cluster_runtime.storage.core.types import (
    AZS,
    Epoch,
    Lsn,
    SegmentId,
)
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.page_images import images
from cluster_runtime.storage.disk.segment_store import (
    STATE_FILE,
    SegmentStore,
    SegmentUnreadableError,
    segment_directory,
)
from cluster_runtime.storage.live.gossip import copy_log

_log = get_logger(__name__)


@dataclass(slots=True)
class OpenedVolume:
    """position: where the log of this epoch begins. read_only: no write quorum answers.

    stores: of the members that answered; one that is lost is replaced while the volume runs.
    """

    volume: Volume
    stores: dict[SegmentId, SegmentStore]
    position: int
    read_only: bool = False


def open_volume(
    root: Path, volume: UUID, *, timeline: int, unreachable: frozenset[SegmentId], direct: bool
) -> OpenedVolume:
    """Open what answers of a volume's segments, for a new writer where a write quorum does.

    unreachable: segments that a fault keeps away. Raises QuorumLostError where fewer than a read
    quorum answers.
    """
    membership = newest_membership(root)
    stores: dict[SegmentId, SegmentStore] = {}
    for segment in membership.segments:
        if segment in unreachable:
            continue
        try:
            stores[segment] = SegmentStore.open(root, volume, segment, direct=direct)
        except SegmentUnreadableError as error:
            _log.warning("a segment is lost", segment=segment, error=str(error))
    try:
        opening = _promise(stores)
        if opening.may_cut:
            return _open_for_writing(opening, stores, timeline)
        return _open_for_reading(opening.epoch, stores, membership)
    except BaseException:
        for store in stores.values():
            store.close()
        raise


def align(store: SegmentStore, history: History, membership: Membership) -> None:
    """Make a segment that missed openings drop what they cut."""
    store.perform(store.core.adopt(history, membership))


def catch_up(store: SegmentStore, sources: list[SegmentStore], until: Lsn) -> bool:
    """Copy log from peers up to an LSN at which a batch ends; return whether that was reached."""
    for source in sources:
        if store.core.scl >= until:
            break
        if source is store or source.core.scl < until:
            continue
        try:
            position = source.position_of(store.core.tail)
        except LookupError:
            continue  # collected there
        # Files behind its end hold nothing, and may begin where those of its peers do not.
        store.log.remove_from(max(position, store.log.start + 1))
        limit = source.position_of(until)
        take(store, *copy_log(store, source, position, store.core.tail, limit))
    return store.core.scl >= until


def take(store: SegmentStore, end: int, lsn: Lsn) -> None:
    """Note that a segment holds the log up to `end`, on disk."""
    core = store.core
    if lsn > core.tail:
        core.receive_gossip([Batch(core.epoch, core.tail, core.tail, lsn)], core.history)
        core.synced(lsn, core.epoch)
    store.end = end


def newest_membership(root: Path) -> Membership:
    """The membership of the highest version that any segment's files name."""
    newest = Membership()
    for az in AZS:
        for path in sorted((root / f"az-{az}").glob(f"*/{STATE_FILE}")):
            try:
                state = json.loads(path.read_text())
                found = Membership(state["membership"], tuple(map(tuple, state["sets"])))
            except (OSError, ValueError, KeyError, TypeError):
                continue
            newest = max(newest, found, key=lambda each: each.version)
    return newest


def _promise(stores: dict[SegmentId, SegmentStore]) -> Opening:
    opening = Opening()
    for store in stores.values():
        opening.seen(store.status())
    for store in stores.values():
        store.perform(store.core.promise(opening.epoch))
        # A writer that was not fenced until now may have written since the segment was read.
        store.find_end()
        opening.promised(store.status())
    return opening


def _open_for_writing(
    opening: Opening,
    stores: dict[SegmentId, SegmentStore],
    timeline: int,
) -> OpenedVolume:
    history = opening.cut()
    cut = history[-1]
    for store in stores.values():
        align(store, history, opening.membership)
    sources = [store for store in stores.values() if store.core.scl >= cut.lsn]
    for store in stores.values():
        if store.core.scl < cut.lsn and not catch_up(store, sources, cut.lsn):
            _log.warning("a segment could not catch up at once", segment=store.id)
    position = -(-sources[0].end // PAGE_BYTES) * PAGE_BYTES
    for store in stores.values():
        if store.core.scl == cut.lsn:
            store.begin_epoch(position, timeline)
            opening.adopted(store.id, cut.lsn)
    opened = OpenedVolume(opening.volume(), stores, position)
    _settle(opened)
    return opened


def _settle(opened: OpenedVolume) -> None:
    """End a replacement that was under way: go on where the candidate holds everything, else back.

    Whoever lacks a segment after that is told of it by `OpenedVolume.stores`.
    """
    volume, stores = opened.volume, opened.stores
    candidate, replaced = volume.membership.candidate, volume.membership.replaced
    if candidate is None or replaced is None:
        return
    _store_membership(opened, volume.membership)
    finished = None
    if candidate in stores and has_newest_image(stores[candidate].pages, stores.values()):
        finished = volume.finish_replacement()
    _store_membership(opened, finished or volume.abandon_replacement())
    gone = replaced if finished else candidate
    _log.warning("a replacement was under way", successor=candidate, finished=bool(finished))
    left = stores.pop(gone, None)
    if left is not None:
        left.close()
    root = next(iter(stores.values())).directory.parent.parent
    shutil.rmtree(segment_directory(root, gone), ignore_errors=True)


def successor_store(
    source: SegmentStore, successor: SegmentId, membership: Membership, history: History
) -> SegmentStore:
    """Make an empty segment whose log begins where that of a peer does, in files like that peer's.

    Raises OSError where the disk is full.
    """
    root, file = source.directory.parent.parent, source.log.files[0]
    mark = source.log.mark(file)
    if mark is None:
        raise OSError(f"{file.path} does not say where it starts")
    # A candidate of that name can only be an older writer's: this one's epoch is on a write quorum.
    shutil.rmtree(segment_directory(root, successor), ignore_errors=True)
    return SegmentStore.create(
        root,
        source.volume,
        successor,
        mark,
        membership,
        direct=source.log.direct,
        history=history,
        first_file_bytes=file.path.stat().st_size - PAGE_BYTES,
    )


def has_newest_image(pages: Path, stores: Iterable[SegmentStore]) -> bool:
    """Whether a folder of images holds one that is as new as that of any segment."""
    newest = max((image.redo for store in stores for image in images(store.pages)), default=0)
    return any(image.redo >= newest for image in images(pages)) or not newest


def _store_membership(opened: OpenedVolume, membership: Membership) -> None:
    for store in opened.stores.values():
        store.perform(store.core.change_membership(membership, opened.volume.epoch))
        opened.volume.membership_stored(store.id, membership.version)


def _open_for_reading(
    epoch: Epoch,
    stores: dict[SegmentId, SegmentStore],
    membership: Membership,
) -> OpenedVolume:
    statuses = [store.status() for store in stores.values()]
    point = read_point(statuses, membership)
    history = point.cut(epoch)
    for store in stores.values():
        align(store, history, membership)
    sources = sorted(stores.values(), key=lambda store: store.core.scl, reverse=True)
    behind = [each for each in sources if not catch_up(each, sources, point.lsn)]
    if behind:
        raise QuorumLostError(
            f"segments {', '.join(each.id for each in behind)} cannot catch up to the end of the "
            "log; heal others and try again"
        )
    complete = {each.id: point.lsn for each in sources}
    volume = Volume(history, membership, complete, vcl=point.lsn, vdl=point.lsn)
    position = sources[0].position_of(point.lsn)
    return OpenedVolume(volume, stores, position, read_only=True)
