"""What of a backup nobody can ask for any more.

A point in the window needs the newest image that is not newer, and the log from there on; a
snapshot needs the same for its LSN, as long as it is there. All else goes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster_runtime.backup.core.names import (
    Era,
    Image,
    Piece,
    image_name,
    pack_name,
    piece_name,
)
from cluster_runtime.backup.core.pieces import covered
from cluster_runtime.backup.core.targets import log_start


@dataclass(frozen=True, slots=True)
class Held:
    """What a snapshot needs: an image of an era, and the log from there up to an LSN."""

    era: int
    image: Image
    end: int


def superfluous(
    eras: Sequence[Era],
    held: Iterable[Held],
    since: int | None,
    wal_segment_bytes: int,
    packs_of: Mapping[tuple[int, Image], frozenset[str]],
) -> list[str]:
    """Names of objects that may go, in the order in which they may be removed.

    since: the begin of the window, in milliseconds since 1970; None where there is none, after the
    automated backup was deleted. packs_of: the packs of each image.
    """
    found: list[str] = []
    holds = list(held)
    for era in eras:
        images, floor = _in_window(era, since, wal_segment_bytes, newest=era is eras[-1])
        kept = set(images) | {hold.image for hold in holds if hold.era == era.number}
        ranges = [
            (log_start(hold.image.redo, wal_segment_bytes), hold.end)
            for hold in holds
            if hold.era == era.number
        ]
        gone = [image for image in era.images if image not in kept]
        # First what names others, so that nothing is ever named that is not there.
        found += [image_name(era.number, image) for image in gone]
        doubled = set(covered(era.pieces))
        found += [
            piece_name(era.number, piece)
            for piece in era.pieces
            if piece in doubled or not _needed(piece, floor, ranges)
        ]
        present = [image for image in era.images if image in kept]
        used = frozenset[str]().union(*(packs_of[era.number, image] for image in present))
        found += [pack_name(era.number, pack) for pack in sorted(era.packs - used)]
    return found


def _in_window(
    era: Era, since: int | None, wal_segment_bytes: int, *, newest: bool
) -> tuple[list[Image], int | None]:
    """The images that points in the window need, and where their log begins; None: none of it."""
    if since is None or (not newest and era.last < since):
        return [], None
    old = [image for image in era.images if image.complete_at <= since]
    base = max(old, key=lambda each: (each.complete_at, each.lsn), default=None)
    kept = [each for each in era.images if each.complete_at > since or each == base]
    if not kept:
        return [], 0  # its first image is being uploaded
    floor = min(log_start(each.redo, wal_segment_bytes) for each in kept)
    if not newest and era.end <= floor:
        return [], None  # no log follows its images, and none will
    return kept, floor


def _needed(piece: Piece, floor: int | None, ranges: Sequence[tuple[int, int]]) -> bool:
    if floor is not None and piece.end > floor:
        return True
    return any(piece.start < end and piece.end > start for start, end in ranges)
