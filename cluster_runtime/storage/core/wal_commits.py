"""The commits in a stretch of PostgreSQL's WAL: where each record ends, and its time.

A cluster as it was at a time has exactly the commits whose record says a time not after it. Records
are in the order of the log; their times nearly are, and so the log ends before the first later one,
as PostgreSQL's own recovery to a time ends there.

Source: PostgreSQL `xact.h` (xl_xact_commit), and `recoveryStopsBefore` in `xlogrecovery.c`.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cluster_runtime.storage.core.wal_records import (
    COMMITS,
    DATA_LONG,
    DATA_SHORT,
    INFO_OF_COMMIT,
    ORIGIN,
    RECORD,
    TOP_XID,
    XACT,
    RecordReader,
)

EPOCH_OF_POSTGRESQL_S = 946_684_800
"""2000-01-01 in seconds since 1970, from which PostgreSQL counts microseconds."""

_TIME = struct.Struct("=q")
_HEADER_OF_DATA = {DATA_SHORT: 2, DATA_LONG: 5, ORIGIN: 3, TOP_XID: 5}


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit record. before: the end of the record before it. end: of its own.

    time: in seconds since 1970.
    """

    before: int
    end: int
    time: float


def commits(start: int, chunks: Iterable[bytes], wal_segment_bytes: int) -> Iterator[Commit]:
    """The commits in WAL that begins at an LSN where a record ends, as far as they are whole."""
    reader = RecordReader(start, wal_segment_bytes)
    for chunk in chunks:
        for record in reader.feed(chunk):
            time = _time_of_commit(record.content)
            if time is not None:
                yield Commit(record.begin, record.end, time)


def end_at(time: float, found: Iterable[Commit], end: int) -> int:
    """Up to where the log is as it was at a time. end: where what was searched ends."""
    for commit in found:
        if commit.time > time:
            return commit.before
    return end


def _time_of_commit(record: bytes) -> float | None:
    _, _, _, info, manager, _ = RECORD.unpack_from(record)
    if manager != XACT or info & INFO_OF_COMMIT not in COMMITS:
        return None
    at = RECORD.size
    while (kind := record[at]) in (ORIGIN, TOP_XID):
        at += _HEADER_OF_DATA[kind]
    (microseconds,) = _TIME.unpack_from(record, at + _HEADER_OF_DATA[kind])
    # Rounded once, as `datetime.timestamp` rounds: the same microsecond is the same number.
    return float((EPOCH_OF_POSTGRESQL_S * 1_000_000 + microseconds) / 1_000_000)
