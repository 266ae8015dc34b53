"""Opening a volume: the segments' files are read, fenced, cut, and brought to one end.

`core.durability.Opening` decides; this module reads and writes. Nothing here runs while writes
are under way. A crash in the middle leaves a volume that opens again.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from cluster_runtime.engine.system.files import is_no_space
from cluster_runtime.engine.system.resources import used_up
from cluster_runtime.errors import QuorumLostError, VolumeWithoutSpaceError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.durability import Opening, Volume, read_point
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.quorum import READ_QUORUM, WRITE_QUORUM, Membership
from cluster_runtime.storage.core.segment import History
from cluster_runtime.storage.core.types import (
    AZS,
    Epoch,
    Lsn,
    SegmentId,
)
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.filesystem import HOST_DISK, Disk
from cluster_runtime.storage.disk.segment_store import (
    SegmentStore,
    SegmentUnreadableError,
    segment_directory,
)
from cluster_runtime.storage.disk.state_file import (
    STATE_FILE,
    SegmentStateFile,
    StateDamagedError,
)
from cluster_runtime.storage.live.gossip import begin_again, copy_log

OPENING_TRIES = 3


class _Stores(dict[SegmentId, SegmentStore]):
    """Those that take part in an opening. full: why one has left, where its disk was full."""

    full: BaseException | None = None

    def note(self, error: BaseException | None) -> None:
        """Of one that leaves."""
        if error is not None and is_no_space(error):
            self.full = error


_log = get_logger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class OpenedVolume:
    """position: where the log of this epoch begins. read_only: no write quorum answers.

    stores: of the members that answered; one that is lost is replaced while the volume runs.
    """

    volume: Volume
    stores: _Stores
    position: int
    read_only: bool = False


def open_volume(
    root: Path,
    volume: UUID,
    *,
    timeline: int,
    unreachable: frozenset[SegmentId],
    direct: bool,
    format_1: VolumeMetadata | None = None,
    disk: Disk = HOST_DISK,
) -> OpenedVolume:
    """Open what answers of a volume's segments, for a new writer where a write quorum does.

    unreachable: segments that a fault keeps away. format_1: the metadata of a volume of that
    format, whose segments get it now, with a checksum over all.
    Raises QuorumLostError where fewer than a read quorum answers (VolumeWithoutSpaceError: for want
    of space), and InsufficientResourcesError where this process can open no more files.
    """
    for tries_left in reversed(range(OPENING_TRIES)):
        stores, membership = _open_segments(root, volume, unreachable, direct, format_1, disk)
        answered = len(stores)
        try:
            return _open(stores, membership, timeline, format_1)
        except BaseException as error:
            for store in stores.values():
                store.close()
            # A disk that began to refuse meanwhile may be the only one with the end of the log. It
            # was never acknowledged: the others agree on a log without it.
            lost = isinstance(error, QuorumLostError)
            if lost and len(stores) < answered and tries_left:
                continue
            if lost and stores.full is not None:
                raise VolumeWithoutSpaceError(
                    f"no space to open the volume {root}: too few of its segments could note that; "
                    "free some and try again"
                ) from stores.full
            raise
    raise AssertionError("the last try returns or raises")


def _open_segments(
    root: Path,
    volume: UUID,
    unreachable: frozenset[SegmentId],
    direct: bool,
    format_1: VolumeMetadata | None,
    disk: Disk,
) -> tuple[_Stores, Membership]:
    """Those of the newest membership that can be read."""
    states = segment_states(root, disk, unreachable, accept_format_1=format_1 is not None)
    membership = newest_membership(each for each in states if each.volume == volume)
    stores = _Stores()
    try:
        for segment in membership.segments:
            if segment in unreachable:
                continue
            try:
                stores[segment] = SegmentStore.open(
                    root,
                    volume,
                    segment,
                    direct=direct,
                    accept_format_1=format_1 is not None,
                    disk=disk,
                )
            except SegmentUnreadableError as error:
                stores.note(error.__cause__)
                _log.warning("a segment is lost", segment=segment, error=str(error))
    except BaseException:
        for store in stores.values():
            store.close()
        raise
    return stores, membership


def _open(
    stores: _Stores,
    membership: Membership,
    timeline: int,
    format_1: VolumeMetadata | None,
) -> OpenedVolume:
    opening = _promise(stores)
    _agree_on_metadata(stores, format_1)
    if opening.may_cut:
        return _open_for_writing(opening, stores, timeline)
    return _open_for_reading(opening.epoch, stores, membership)


def align(store: SegmentStore, history: History, membership: Membership) -> None:
    """Make a segment that missed openings drop what they cut.

    Raises SegmentUnreadableError where it holds no log up to that cut, OSError where its disk
    refuses.
    """
    store.make_durable()  # one that was not asked for a promise, or could not give it
    store.perform(store.core.adopt(history, membership))


def catch_up(store: SegmentStore, sources: list[SegmentStore], until: Lsn) -> bool:
    """Copy log from peers up to an LSN at which a batch ends; return whether that was reached."""
    others = [each for each in sources if each is not store and each.core.scl >= until]
    if others and store.core.scl < until and all(each.log.start > store.end for each in others):
        with suppress(LookupError):
            begin_again(store, others[0])
    for source in sources:
        if store.core.scl >= until:
            break
        if source is store or source.core.scl < until:
            continue
        try:
            position = source.position_of(store.core.tail)
            limit = source.position_of(until)
        except (LookupError, OSError):
            continue  # collected there, or that one's disk refuses
        # Files behind its end hold nothing, and may begin where those of its peers do not.
        store.log.remove_from(max(position, store.log.start + 1))
        take(store, *copy_log(store, source, position, store.core.tail, limit))
    return store.core.scl >= until


def take(store: SegmentStore, end: int, lsn: Lsn) -> None:
    """Note that a segment holds the log up to `end`, on disk."""
    core = store.core
    if lsn > core.tail:
        core.receive_gossip([Batch(core.epoch, core.tail, core.tail, lsn)], core.history)
        core.synced(lsn, core.epoch)
    store.end = end


def segment_states(
    root: Path, disk: Disk, unreachable: frozenset[SegmentId], *, accept_format_1: bool
) -> list[SegmentStateFile]:
    """The state files that are whole, of whichever segments there are."""
    found = []
    for az in AZS:
        for name in disk.names(root / f"az-{az}"):
            if name in unreachable:
                continue
            try:
                content = disk.read(root / f"az-{az}/{name}/{STATE_FILE}")
                found.append(SegmentStateFile.decode(content, accept_format_1=accept_format_1))
            except (OSError, StateDamagedError):
                continue  # found again, and told, where the segment is opened
    return found


def newest_membership(states: Iterable[SegmentStateFile]) -> Membership:
    """The membership of the highest version that any segment's files name."""
    memberships = (state.membership for state in states)
    return max(memberships, key=lambda each: each.version, default=Membership())


def _each(
    stores: _Stores,
    action: Callable[[SegmentStore], T],
    then: Callable[[SegmentStore, T], None] = lambda store, result: None,
) -> None:
    """Do something with every segment; one whose disk refuses has no part in the opening.

    action: touches its own segment alone. On real disks all segments go on at the same time, for
    each waits for its disk several times. then: told of each result, one after the other.
    """
    opened = list(stores.items())
    together = all(store.log.disk is HOST_DISK for _, store in opened)
    with ThreadPoolExecutor(len(opened) if together and opened else 1) as pool:
        results: list[Callable[[], T]] = [
            pool.submit(action, store).result if together else partial(action, store)
            for _, store in opened
        ]
        for (segment, store), result in zip(opened, results, strict=True):
            try:
                then(store, result())
            except (OSError, SegmentUnreadableError) as error:
                if (known := used_up(error)) is not None:
                    raise known from error
                stores.note(error)
                _log.warning("a segment is out of use", segment=segment, error=str(error))
                stores.pop(segment).close()


def _promise(stores: _Stores) -> Opening:
    opening = Opening()
    for store in stores.values():
        opening.seen(store.status())
    _each(
        stores,
        lambda store: store.promise(opening.epoch),
        lambda store, promised: opening.promised(promised),
    )
    return opening


def _agree_on_metadata(stores: _Stores, format_1: VolumeMetadata | None) -> None:
    """Give all the newest metadata; what each makes durable next has it."""
    known = [store.metadata for store in stores.values() if store.metadata is not None]
    newest = max(known, key=lambda each: each.version, default=format_1)
    for store in stores.values():
        store.metadata = newest


def _open_for_writing(
    opening: Opening,
    stores: _Stores,
    timeline: int,
) -> OpenedVolume:
    history = opening.cut()
    cut = history[-1]
    _each(stores, lambda store: align(store, history, opening.membership))
    sources = [store for store in stores.values() if store.core.scl >= cut.lsn]
    for store in sorted(stores.values(), key=lambda each: each.core.scl, reverse=True):
        has = [each.id for each in stores.values() if each.core.scl >= cut.lsn]
        enough = opening.membership.has_quorum(has, WRITE_QUORUM)
        # Once a write quorum has the log, nobody waits for those that lack much of it.
        if not enough or cut.lsn - store.core.scl <= store.log.disk.sizes.write:
            _bring_up(stores, store, sources, cut.lsn)
    sources = [store for store in stores.values() if store.core.scl >= cut.lsn]
    position = max((-(-store.end // PAGE_BYTES) * PAGE_BYTES for store in sources), default=0)

    def begin(store: SegmentStore) -> bool:
        if store.core.scl != cut.lsn:
            return False
        store.begin_epoch(position, timeline)
        return True

    def begun(store: SegmentStore, has_begun: bool) -> None:
        if has_begun:
            opening.adopted(store.id, cut.lsn)

    _each(stores, begin, begun)
    opened = OpenedVolume(opening.volume(), stores, position)
    _settle(opened)
    return opened


def _come_up(stores: _Stores, sources: list[SegmentStore], lsn: Lsn) -> None:
    """Bring those that are behind up, one after the other: each reads what its peers hold."""
    for store in list(stores.values()):
        _bring_up(stores, store, sources, lsn)


def _bring_up(
    stores: _Stores,
    store: SegmentStore,
    sources: list[SegmentStore],
    lsn: Lsn,
) -> None:
    try:
        if store.core.scl < lsn and not catch_up(store, sources, lsn):
            _log.warning("a segment could not catch up at once", segment=store.id)
    except (OSError, SegmentUnreadableError) as error:
        stores.note(error)
        _log.warning("a segment is out of use", segment=store.id, error=str(error))
        stores.pop(store.id).close()


def _settle(opened: OpenedVolume) -> None:
    """Go on with a replacement that was under way, end it, or take it back.

    It is finished where the candidate holds everything, and taken back where the segment that it
    replaces answers, or the candidate does not. Else it stays under way: a volume that is opened
    often would never be whole again if each opening took it back.
    Whoever lacks a segment after that is told of it by `OpenedVolume.stores`.
    """
    volume, stores = opened.volume, opened.stores
    candidate, replaced = volume.membership.candidate, volume.membership.replaced
    if candidate is None or replaced is None:
        return
    _store_membership(opened, volume.membership)
    finished = None
    if candidate in stores and has_newest_image(stores[candidate], stores.values()):
        finished = volume.finish_replacement()
    if finished is None and candidate in stores and replaced not in stores:
        return
    _store_membership(opened, finished or volume.abandon_replacement())
    gone = replaced if finished else candidate
    _log.warning("a replacement was under way", successor=candidate, finished=bool(finished))
    left = stores.pop(gone, None)
    if left is not None:
        left.close()
    some = next(iter(stores.values()))
    remove_segment(some.log.disk, some.directory.parent.parent, gone)


def remove_segment(disk: Disk, root: Path, segment: SegmentId) -> None:
    """Delete the files of what is a member no more. Where that fails, they only take space."""
    try:
        disk.remove_tree(segment_directory(root, segment))
    except OSError as error:
        _log.warning("a segment could not be removed", segment=segment, error=str(error))


def successor_store(
    source: SegmentStore, successor: SegmentId, membership: Membership, history: History
) -> SegmentStore:
    """Make an empty segment whose log begins where that of a peer does, in files like that peer's.

    Raises OSError where the disk is full.
    """
    root, file = source.directory.parent.parent, source.log.files[0]
    mark = source.log.mark(file)
    if mark is None or source.log.disk.size(file.path) <= PAGE_BYTES:
        raise OSError(f"{file.path} does not say where it starts, or holds nothing")
    # A candidate of that name can only be an older writer's: this one's epoch is on a write quorum.
    disk = source.log.disk
    remove_segment(disk, root, successor)
    return SegmentStore.create(
        root,
        source.volume,
        successor,
        mark,
        membership,
        direct=source.log.direct,
        history=history,
        first_file_bytes=disk.size(file.path) - PAGE_BYTES,
        metadata=source.metadata,
        disk=disk,
    )


def has_newest_image(one: SegmentStore, stores: Iterable[SegmentStore]) -> bool:
    """Whether a segment holds an image that is as new as that of any."""
    newest = max((image.redo for store in stores for image in store.images()), default=0)
    return any(each.redo >= newest for each in one.images()) or not newest


def _store_membership(opened: OpenedVolume, membership: Membership) -> None:
    _each(
        opened.stores,
        lambda store: store.perform(store.core.change_membership(membership, opened.volume.epoch)),
        lambda store, _: opened.volume.membership_stored(store.id, membership.version),
    )


def _open_for_reading(
    epoch: Epoch,
    stores: _Stores,
    membership: Membership,
) -> OpenedVolume:
    statuses = [store.status() for store in stores.values()]
    point = read_point(statuses, membership)
    history = point.cut(epoch)
    _each(stores, lambda store: align(store, history, membership))
    sources = sorted(stores.values(), key=lambda store: store.core.scl, reverse=True)
    _come_up(stores, sources, point.lsn)
    sources = [each for each in stores.values() if each.core.scl >= point.lsn]
    if not membership.has_quorum([each.id for each in sources], READ_QUORUM):
        raise QuorumLostError(
            f"only {', '.join(each.id for each in sources) or 'no segments'} can catch up to the "
            "end of the log; heal others and try again"
        )
    complete = {each.id: point.lsn for each in sources}
    volume = Volume(history, membership, complete, vcl=point.lsn, vdl=point.lsn)
    position = sources[0].position_of(point.lsn)
    return OpenedVolume(volume, stores, position, read_only=True)
