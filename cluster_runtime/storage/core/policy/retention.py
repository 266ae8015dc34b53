"""What log and which page images are kept, and for whom.

Nothing is collected that a holder needs; every holder has a name, so that whoever asks why a volume
is large gets an answer. A new part of the system registers a holder; it never touches collection.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cluster_runtime.storage.core.types import Lsn


class HolderKind(StrEnum):
    """Why log or pages are kept."""

    RECOVERY = "recovery"
    """The writer's: the pages that the next data directory is made of, and the log behind them."""
    SEGMENT = "segment"
    """A segment that is behind or away: it can get what it misses from its peers alone."""
    READER = "reader"
    BACKUP = "backup"
    CLONE = "clone"
    RESTORE_POINT = "restore-point"
    BACKTRACK = "backtrack"


@dataclass(frozen=True, slots=True)
class Holder:
    """Keeps the log from `lsn` on.

    since: when it began, in seconds of the system's clock. with_pages: it also needs pages from
    which `lsn` can be reached: the newest image that is not newer than that, and the log behind it.
    """

    kind: HolderKind
    name: str
    lsn: Lsn
    since: float
    with_pages: bool = False


@dataclass(frozen=True, slots=True)
class ImagePoint:
    """A page image: replay begins at `redo`; its pages hold nothing above `lsn`."""

    redo: int
    lsn: int


@dataclass(frozen=True, slots=True)
class Kept:
    """floor: log from here on. redos: images besides the newest one."""

    floor: Lsn
    redos: frozenset[int] = frozenset()


SEGMENT_BOUNDS = 4
"""How much log is kept for a segment that is behind, in units of what may lie behind an image."""


def is_waited_for(scl: int, vdl: int, log_bound_bytes: int) -> bool:
    """Whether log is kept for a segment that is behind.

    One that is further behind begins again where the others' log begins then: less has to be copied
    to it, and log does not gather without bound because one of six cannot keep up.
    """
    return vdl - scl <= SEGMENT_BOUNDS * log_bound_bytes


def kept(holders: Iterable[Holder], images: Sequence[ImagePoint], start: int) -> Kept:
    """What these holders keep.

    images: those that every full segment has. start: where the log began; the pages that a volume
    was made from stay as long as it does.
    """
    floors, redos = [], set()
    for holder in holders:
        floors.append(int(holder.lsn))
        if holder.with_pages:
            usable = [each for each in images if each.lsn <= holder.lsn]
            base = max(usable, key=lambda each: each.lsn, default=None)
            floors.append(base.redo if base is not None else start)
            if base is not None:
                redos.add(base.redo)
    return Kept(Lsn(min(floors, default=start)), frozenset(redos))
