"""Opening a volume: the segments' files are read, fenced, cut, and brought to one end.

`Opening` (volume.py) decides; this module reads and writes. Nothing here runs while writes are
under way. A crash in the middle leaves a volume that opens again.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cluster_runtime.errors import QuorumLostError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.batch import Batch
from cluster_runtime.storage.disk import PAGE_BYTES
from cluster_runtime.storage.gossip import copy_log
from cluster_runtime.storage.page_images import DATA, images, make_image
from cluster_runtime.storage.quorum import Membership
from cluster_runtime.storage.segment import History
from cluster_runtime.storage.segment_store import (
    STATE_FILE,
    SegmentStore,
    SegmentUnreadableError,
    segment_directory,
)
from cluster_runtime.storage.types import (
    AZS,
    Epoch,
    Lsn,
    SegmentId,
    SegmentKind,
    kind_of,
    successor_of,
)
from cluster_runtime.storage.volume import Opening, Volume, read_point

_log = get_logger(__name__)


@dataclass(slots=True)
class OpenedVolume:
    """position: where the log of this epoch begins. read_only: no write quorum answers.

    missing: members whose files were not there, or not readable; where the volume opened for
    writes they have been replaced by successors.
    """

    volume: Volume
    stores: dict[SegmentId, SegmentStore]
    position: int
    missing: tuple[SegmentId, ...]
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
    missing = []
    for segment in membership.segments:
        if segment in unreachable:
            continue
        try:
            stores[segment] = SegmentStore.open(root, volume, segment, direct=direct)
        except SegmentUnreadableError as error:
            _log.warning("a segment is lost", segment=segment, error=str(error))
            missing.append(segment)
    try:
        opening = _promise(stores)
        if opening.may_cut:
            return _open_for_writing(opening, stores, timeline, tuple(missing))
        return _open_for_reading(opening.epoch, stores, membership, tuple(missing))
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
    missing: tuple[SegmentId, ...],
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
    opened = OpenedVolume(opening.volume(), stores, position, missing)
    for segment in missing:
        _replace(opened, segment, timeline)
    return opened


def _replace(opened: OpenedVolume, lost: SegmentId, timeline: int) -> None:
    """Make the successor of a lost segment from its peers, by quorum sets.

    Until the successor holds everything, writes need a quorum of the old set and of the new one;
    a crash in the middle leaves a volume that opens with both.
    """
    volume, stores = opened.volume, opened.stores
    source = max(stores.values(), key=lambda store: store.core.scl)
    first = source.log.mark(source.log.files[0])
    if first is None or volume.membership.changing:
        _log.warning("a segment cannot be replaced now", segment=lost)
        return
    _store_membership(opened, volume.begin_replacement(lost))
    successor = successor_of(lost)
    root = source.directory.parent.parent
    shutil.rmtree(segment_directory(root, successor), ignore_errors=True)
    store = SegmentStore.create(
        root,
        source.volume,
        successor,
        first,
        volume.membership,
        direct=source.log.direct,
        history=volume.history,
    )
    store.core.promised = volume.epoch
    store.core.restart(Lsn(first.lsn), Lsn(first.lsn))
    if not catch_up(store, list(stores.values()), volume.vdl):
        store.close()
        _store_membership(opened, volume.abandon_replacement())
        return
    if kind_of(successor) is SegmentKind.FULL:
        _copy_images(store, stores)
    stores[successor] = store
    store.begin_epoch(opened.position, timeline)
    volume.acknowledged(successor, store.core.scl, volume.epoch)
    _store_membership(opened, volume.membership)
    finished = volume.finish_replacement()
    if finished is not None:
        _store_membership(opened, finished)
        shutil.rmtree(segment_directory(root, lost), ignore_errors=True)
        _log.warning("a segment was replaced", lost=lost, successor=successor)


def _store_membership(opened: OpenedVolume, membership: Membership) -> None:
    for store in opened.stores.values():
        store.perform(store.core.change_membership(membership, opened.volume.epoch))
        opened.volume.membership_stored(store.id, membership.version)


def _copy_images(target: SegmentStore, stores: dict[SegmentId, SegmentStore]) -> None:
    """Give a new full segment the newest page image of its peers."""
    found = [image for store in stores.values() for image in images(store.pages)]
    for image in sorted(found, key=lambda each: each.redo, reverse=True):
        if not image.damaged():
            target.pages.mkdir()
            make_image(
                target.pages,
                image.directory / DATA,
                redo=image.redo,
                lsn=image.lsn,
                timeline=image.timeline,
            )
            return


def _open_for_reading(
    epoch: Epoch,
    stores: dict[SegmentId, SegmentStore],
    membership: Membership,
    missing: tuple[SegmentId, ...],
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
    return OpenedVolume(volume, stores, position, missing, read_only=True)
