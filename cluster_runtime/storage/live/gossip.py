"""Gossip: a segment that misses log copies it from a peer, frame by frame, each one verified.

Log positions are the same in all segments, and so are the files: what is copied lands where the
segment's own writes would have put it.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.log_frames import Frame
from cluster_runtime.storage.disk.segment_store import SegmentStore

COPY_BYTES = 8 << 20
"""Most log in one durable write: a whole file, which then takes one synchronisation."""

_log = get_logger(__name__)


def _never() -> bool:
    return False


def _nobody(_: int) -> None:
    """Whoever counts what is copied where nobody does."""


def copy_log(
    target: SegmentStore,
    source: SegmentStore,
    position: int,
    tail: Lsn,
    until: int | None = None,
    *,
    stopped: Callable[[], bool] = _never,
    copied: Callable[[int], None] = _nobody,
) -> tuple[int, Lsn]:
    """Copy frames from a position on; return where the target's log ends now, and its last LSN.

    tail: the LSN that the target holds. until: a position that must not be passed. stopped: asked
    between two writes whether to leave it at that. copied: told the bytes of each write.
    Stops at damage in the source: another peer may have what follows. Blocking; the target takes
    no other writes meanwhile. Raises OSError where the target's disk is full.
    """
    pending = bytearray()
    begun, begun_lsn = position, tail
    end, lsn = position, tail

    def write() -> None:
        if pending:
            content = bytes(pending)
            if not have_file(target, source, begun, begun_lsn, content):
                target.log.write(begun, content)
            copied(len(content))

    for frame, begins_file in _frames(source, position, tail, until):
        gap = frame.position - end
        if begins_file > begun or len(pending) + gap > COPY_BYTES:
            write()
            if stopped():
                return end, lsn
            begun, begun_lsn, gap = frame.position, lsn, 0
            pending.clear()
        pending += bytes(gap)
        pending += frame.raw
        end, lsn = frame.end, frame.batch.end
    write()
    return end, lsn


def _frames(
    source: SegmentStore, position: int, tail: Lsn, until: int | None
) -> Iterator[tuple[Frame, int]]:
    """Frames, and where their file begins; no more where the source's disk refuses."""
    try:
        for frame in source.frames(position, previous=tail, end=until):
            yield frame, source.log.file_at(frame.position).start
    except OSError as error:
        # Not the trouble of who copies: another peer may have what follows.
        _log.warning("a segment cannot be copied from", segment=source.id, error=str(error))


def have_file(
    target: SegmentStore,
    source: SegmentStore,
    position: int,
    chained: Lsn,
    content: bytes = b"",
) -> bool:
    """Make the target's file that holds a position the same stretch as the source's.

    chained: the LSN up to which the target's log goes without a gap. Only where the file begins
    with it may the file say so: a mark that is copied ahead claims log that is not there.
    content: the log at that position. A file that begins there, and has to be made, is made with
    it: written once, and not first with zeros. Returns whether that is so.
    """
    wanted = source.log.file_at(position)
    target.log.lengthen(wanted.start, wanted.end)
    try:
        mark = source.log.mark(wanted)
    except OSError:
        mark = None  # the source's trouble; a mark may be missing
    if mark is not None and mark.lsn != chained:
        mark = None
    with suppress(LookupError):
        if target.log.file_at(position).start == wanted.start:
            if mark is not None:
                target.set_mark(mark, reached=mark.position)
            return False
    with_content = position == wanted.start
    size = max(wanted.end - wanted.start, 0)
    target.log.add_file(wanted.start, size, mark, content if with_content else b"")
    return with_content


def begin_again(
    target: SegmentStore,
    source: SegmentStore,
    state: Callable[[Callable[[], None]], None] = lambda change: change(),
) -> None:
    """Have the target's log begin where the source's does: what it misses before that is collected.

    The pages stand in for that, as they do for the source. state: runs what changes the segment's
    state, on the thread that may.
    A kill in between leaves the target as it was, or without log: then it is lost.
    Raises LookupError where the source does not say where it begins, OSError.
    """
    first = source.log.files[0]
    mark = source.log.mark(first)
    if mark is None:
        raise LookupError(f"the log of segment {source.id} does not say where it begins")
    _log.warning("a segment begins again behind the pages", segment=target.id, source=source.id)

    def begin() -> None:
        target.core.begin_at(Lsn(mark.lsn))
        target.end = mark.position

    target.drop_behind()
    target.log.add_file(mark.position, first.end - first.start)
    target.log.remove_below(mark.position)
    # What comes back with a power cut would be taken for the log, and what follows the hole not.
    target.log.disk.sync_directory(target.log.directory)
    state(begin)
    target.set_mark(mark)  # from here on the file says where the log begins
    target.persist()
