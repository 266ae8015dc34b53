"""Gossip: a segment that misses log copies it from a peer, frame by frame, each one verified.

Log positions are the same in all segments, and so are the files: what is copied lands where the
segment's own writes would have put it.
"""

from collections.abc import Callable
from contextlib import suppress

from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.log_files import FILE_BYTES, Mark
from cluster_runtime.storage.disk.segment_store import SegmentStore

COPY_BYTES = 1 << 20


def _never() -> bool:
    return False


def copy_log(
    target: SegmentStore,
    source: SegmentStore,
    position: int,
    tail: Lsn,
    until: int | None = None,
    *,
    stopped: Callable[[], bool] = _never,
) -> tuple[int, Lsn]:
    """Copy frames from a position on; return where the target's log ends now, and its last LSN.

    tail: the LSN that the target holds. until: a position that must not be passed. stopped: asked
    between two writes whether to leave it at that.
    Stops at damage in the source: another peer may have what follows. Blocking; the target takes
    no other writes meanwhile. Raises OSError where the target's disk is full.
    """
    pending = bytearray()
    begun = position
    end, lsn = position, tail
    for frame in source.frames(position, previous=tail, end=until):
        gap = frame.position - end
        crosses = source.log.file_at(frame.position).start > begun
        if crosses or len(pending) + gap > COPY_BYTES:
            _write(target, source, begun, pending)
            if stopped():
                return end, lsn
            begun, pending, gap = frame.position, bytearray(), 0
        pending += bytes(gap)
        pending += source_bytes(source, frame.position, frame.end)
        end, lsn = frame.end, frame.batch.end
    _write(target, source, begun, pending)
    return end, lsn


def source_bytes(source: SegmentStore, start: int, end: int) -> bytes:
    """A frame as it lies in a segment's file."""
    return source.log.read(start, end - start)


def _write(target: SegmentStore, source: SegmentStore, position: int, content: bytearray) -> None:
    if not content:
        return
    have_file(target, source, position)
    target.log.write(position, bytes(content))


def have_file(target: SegmentStore, source: SegmentStore, position: int) -> None:
    """Make the target's file that holds a position the same stretch as the source's."""
    wanted = source.log.file_at(position)
    with suppress(LookupError):
        if target.log.file_at(position).start == wanted.start:
            return
    mark: Mark | None = source.log.mark(wanted)
    size = max(wanted.end - wanted.start, 0) or FILE_BYTES
    target.log.add_file(wanted.start, size, mark)
