"""Which objects a restore needs, and from when to when one is possible."""

from collections.abc import Sequence
from dataclasses import dataclass

from cluster_runtime.backup.core.names import Era, Image, Piece
from cluster_runtime.backup.core.pieces import chain

MARGIN_MS = 1000
"""A commit's time is read before its record is in the log. So much later everything that was
committed by a time is known to be there."""


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when a restore is possible, in milliseconds since 1970."""

    earliest: int
    latest: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A restore: the image, and the log behind it.

    end: the LSN to which the log is taken. time: the last commit's time at most, in microseconds
    since 1970; None: all of that log.
    """

    era: int
    image: Image
    pieces: tuple[Piece, ...]
    end: int
    time: int | None = None


class NotRestorableError(LookupError):
    """What is kept does not reach a target. missing: the first LSN of log that is not there."""

    def __init__(self, missing: int | None = None) -> None:
        super().__init__(missing)
        self.missing = missing


def log_start(redo: int, wal_segment_bytes: int) -> int:
    """Where the log that an image needs begins: with the WAL file of its redo point."""
    return redo - redo % wal_segment_bytes


def plan_for_time(
    eras: Sequence[Era], time_us: int, wal_segment_bytes: int, complete_at: int = 0
) -> Plan:
    """The restore of everything whose commit record's time is at or before a time.

    Of several eras the newest one that had begun by then counts: what it left is what was undone.
    complete_at: a time, in milliseconds, until which the log of the newest era is known to be
    complete, beyond what its names say: whoever follows the volume knows. Raises
    NotRestorableError.
    """
    time = time_us / 1000
    for era in sorted(eras, key=lambda each: each.number, reverse=True):
        usable = [image for image in era.images if image.complete_at <= time]
        if not usable:
            continue
        image = max(usable, key=lambda each: (each.lsn, each.complete_at))
        pieces = chain(era.pieces, log_start(image.redo, wal_segment_bytes))
        newest = era is eras[-1]
        for index, piece in enumerate(pieces):
            known = complete_at if newest and piece.end == era.end else 0
            if max(piece.last, known) >= time + MARGIN_MS:
                taken = tuple(pieces[: index + 1])
                return Plan(era.number, image, taken, piece.end, time_us)
        raise NotRestorableError(_gap(era, pieces, image, wal_segment_bytes))
    raise NotRestorableError


def plan_for_lsn(era: Era, lsn: int, wal_segment_bytes: int) -> Plan:
    """The restore of exactly the log up to an LSN, at which a record ends.

    Raises NotRestorableError.
    """
    usable = [image for image in era.images if image.lsn <= lsn]
    if not usable:
        raise NotRestorableError
    image = max(usable, key=lambda each: (each.lsn, each.complete_at))
    pieces = chain(era.pieces, log_start(image.redo, wal_segment_bytes))
    taken = [piece for piece in pieces if piece.start < lsn]
    if not taken or taken[-1].end < lsn:
        raise NotRestorableError(_gap(era, pieces, image, wal_segment_bytes))
    return Plan(era.number, image, tuple(taken), lsn)


def window(eras: Sequence[Era], since: int, complete_at: int = 0) -> Window | None:
    """From when to when restores are possible by what is kept; None where they are not.

    since: the begin of the retention period; what is older is about to go. complete_at: as
    `plan_for_time` takes it.
    """
    whole = [era for era in eras if era.images and era.pieces]
    if not whole:
        return None
    earliest = max(since, min(image.complete_at for era in whole for image in era.images))
    latest = max(whole[-1].last, complete_at) - MARGIN_MS
    return Window(earliest, latest) if earliest <= latest else None


def _gap(era: Era, pieces: Sequence[Piece], image: Image, size: int) -> int | None:
    """The first LSN that is missing, where log follows behind it."""
    reached = pieces[-1].end if pieces else log_start(image.redo, size)
    return reached if era.end > reached else None
