"""The commits in a stretch of PostgreSQL's WAL: where each record ends, and its time.

A cluster as it was at a time has exactly the commits whose record says a time not after it. Records
are in the order of the log; their times nearly are, and so the log ends before the first later one,
as PostgreSQL's own recovery to a time ends there.

Source: PostgreSQL `xact.h` (xl_xact_commit), and `recoveryStopsBefore` in `xlogrecovery.c`.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cluster_runtime.storage.core.wal_records import (
    ALIGNMENT,
    COMMITS,
    DATA_LONG,
    DATA_SHORT,
    ENDS,
    INFO_OF_COMMIT,
    INFO_OF_MANAGER,
    LONG_HEADER_BYTES,
    ORIGIN,
    RECORD,
    SWITCH,
    TOP_XID,
    WAL_PAGE_BYTES,
    XACT,
    XLOG,
    page_header_bytes,
)
from cluster_runtime.storage.core.wal_upkeep import Upkeep, subtransactions

EPOCH_OF_POSTGRESQL_S = 946_684_800
"""2000-01-01 in seconds since 1970, from which PostgreSQL counts microseconds."""

_HEAD = struct.Struct("=II8xBB")
"""Of the header of a record what tells a commit: length, xid, info, resource manager."""
_TIME = struct.Struct("=q")
_HEADER_OF_DATA = {DATA_SHORT: 2, DATA_LONG: 5, ORIGIN: 3, TOP_XID: 5}


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit record. before: the end of the record before it. end: of its own.

    time: in seconds since 1970. upkeep: whether nobody misses it, as where statistics were made.
    xids: the transaction, and its subtransactions.
    """

    before: int
    end: int
    time: float
    upkeep: bool = False
    xids: tuple[int, ...] = ()


def commits(start: int, chunks: Iterable[bytes], wal_segment_bytes: int) -> Iterator[Commit]:
    """The commits in WAL that begins at an LSN where a record ends, as far as they are whole."""
    reader = _CommitReader(start, wal_segment_bytes)
    for chunk in chunks:
        yield from reader.feed(chunk)


class _CommitReader:
    """A reader of records that looks into commits alone: they are searched for among many others.

    Pages are joined without their headers, and where in the log something lies is worked out for
    commits only.
    """

    def __init__(self, start: int, wal_segment_bytes: int) -> None:
        self._wal_segment_bytes = wal_segment_bytes
        self._raw, self._raw_at = b"", start
        self._joined = bytearray()
        self._place = 0
        """Where in `_joined` the next record begins; behind it while padding is to come."""
        self._offsets: list[int] = []
        self._lsns: list[int] = []
        """Where in `_joined` the content of each page begins, and in the log."""
        self._skip_to = start
        """WAL before that is no record: the rest of a file behind a switch."""
        self._begin = start
        """Where the last record that is not in `_joined` any more ended."""
        self._upkeep = Upkeep()

    def feed(self, wal: bytes) -> Iterator[Commit]:
        """More WAL; the commits that are whole now."""
        self._join(wal)
        joined, unpack, upkeep = self._joined, _HEAD.unpack_from, self._upkeep
        at, ended = self._place, 0
        while len(joined) - at >= RECORD.size:
            length, xid, info, manager = unpack(joined, at)
            end = at + length
            if end > len(joined):
                break
            if not length or (manager == XLOG and info & INFO_OF_MANAGER == SWITCH):
                at, ended = self._next_segment(end - 1 if length else at), 0
                continue
            if manager == XACT and info & INFO_OF_COMMIT in ENDS:
                record = bytes(joined[at:end])
                data = _data_of(record)
                tidy = upkeep.ended(record, data)
                if info & INFO_OF_COMMIT in COMMITS:
                    begin = self._end(ended) if ended else self._begin
                    xids = (xid, *subtransactions(record, data, info))
                    yield Commit(begin, self._end(end), _time_at(record, data), tidy, xids)
            elif xid and xid not in upkeep.changed:
                upkeep.note(xid, info, manager, joined, at)
            at, ended = end + -end % ALIGNMENT, end
        if ended:
            self._begin = self._end(ended)
        self._let_go(at)

    def _join(self, wal: bytes) -> None:
        raw, lsn, place = self._raw + wal, self._raw_at, 0
        while place < len(raw):
            left = len(raw) - place
            if lsn < self._skip_to:
                step = min(self._skip_to - lsn, left)
            elif lsn % WAL_PAGE_BYTES == 0:
                header = page_header_bytes(raw[place : place + LONG_HEADER_BYTES])
                if header is None or header > left:
                    break
                step = header
            else:
                step = min(WAL_PAGE_BYTES - lsn % WAL_PAGE_BYTES, left)
                if not self._lsns or self._lsn(len(self._joined)) != lsn:
                    self._offsets.append(len(self._joined))
                    self._lsns.append(lsn)
                self._joined += raw[place : place + step]
            lsn, place = lsn + step, place + step
        self._raw, self._raw_at = raw[place:], lsn

    def _next_segment(self, offset: int) -> int:
        """Pass over all that follows in a WAL file; where the next one begins in `_joined`."""
        size = self._wal_segment_bytes
        self._begin = self._skip_to = (self._lsn(offset) // size + 1) * size
        page = bisect_left(self._lsns, self._begin)
        if page < len(self._offsets):
            return self._offsets[page]
        del self._joined[len(self._joined) // ALIGNMENT * ALIGNMENT :]
        return len(self._joined)

    def _lsn(self, offset: int) -> int:
        page = bisect_right(self._offsets, offset) - 1
        return self._lsns[page] + offset - self._offsets[page]

    def _end(self, offset: int) -> int:
        """The LSN at which a record ends that ends there."""
        end = self._lsn(offset - 1) + 1
        return end + -end % ALIGNMENT

    def _let_go(self, at: int) -> None:
        """Forget what was read, in whole units: offsets are aligned as the log is."""
        gone = min(at, len(self._joined)) // ALIGNMENT * ALIGNMENT
        pages = [
            (max(offset - gone, 0), lsn + max(gone - offset, 0))
            for offset, lsn in zip(self._offsets, self._lsns, strict=True)
        ]
        first = max(bisect_right(self._offsets, gone) - 1, 0)
        kept = pages[first:] if gone < len(self._joined) else []
        self._offsets, self._lsns = [each for each, _ in kept], [each for _, each in kept]
        del self._joined[:gone]
        self._place = at - gone


def end_at(time: float, found: Iterable[Commit], end: int) -> int:
    """Up to where the log is as it was at a time. end: where what was searched ends."""
    for commit in found:
        if commit.time > time:
            return commit.before
    return end


def _data_of(record: bytes) -> int:
    """Where the data of a record begin that is of no block."""
    at = RECORD.size
    while (kind := record[at]) in (ORIGIN, TOP_XID):
        at += _HEADER_OF_DATA[kind]
    return at + _HEADER_OF_DATA[kind]


def _time_at(record: bytes, data: int) -> float:
    (microseconds,) = _TIME.unpack_from(record, data)
    # Rounded once, as `datetime.timestamp` rounds: the same microsecond is the same number.
    return float((EPOCH_OF_POSTGRESQL_S * 1_000_000 + microseconds) / 1_000_000)
