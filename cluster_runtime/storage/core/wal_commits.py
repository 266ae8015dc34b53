"""The commits in a stretch of PostgreSQL's WAL: where each record ends, and its time.

A cluster as it was at a time has exactly the commits whose record says a time not after it. Records
are in the order of the log; their times nearly are, and so the log ends before the first later one,
as PostgreSQL's own recovery to a time ends there.

Source: PostgreSQL `xlogrecord.h`, `xlog_internal.h`, `xact.h` (xl_xact_commit), and
`recoveryStopsBefore` in `xlogrecovery.c`.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cluster_runtime.storage.core.wal_records import WAL_PAGE_BYTES

EPOCH_OF_POSTGRESQL_S = 946_684_800
"""2000-01-01 in seconds since 1970, from which PostgreSQL counts microseconds."""

_SHORT_PAGE_HEADER, _LONG_PAGE_HEADER, _LONG_HEADER = 24, 40, 0x0002
_LENGTH = struct.Struct("=I")
_PAGE_INFO = struct.Struct("=2xH")
_KIND_AT = 16
_TIME = struct.Struct("=q")
_HEADER_BYTES = 24
_HEAD_BYTES = 64
"""As much of a record as is looked at: its header, and the time behind the headers of its data."""
_TRANSACTIONS, _OPERATION = 1, 0x70
_COMMIT, _COMMIT_PREPARED = 0x00, 0x30
_SHORT_DATA, _LONG_DATA, _ORIGIN, _TOPLEVEL_XID = 255, 254, 253, 252
_HEADER_OF_DATA = {_SHORT_DATA: 2, _LONG_DATA: 5, _ORIGIN: 3, _TOPLEVEL_XID: 5}


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
    stream = _Stream(start, chunks)
    before = start
    while (length := stream.length_of_next()) is not None:
        if not length:  # behind the record that switches to the next file, zeros fill the rest
            if not stream.skip(-stream.lsn % wal_segment_bytes or wal_segment_bytes):
                return
            before = stream.lsn
            continue
        head = stream.take(length)
        if head is None:
            return
        time = _time_of_commit(head)
        if time is not None:
            yield Commit(before, stream.lsn, time)
        before = stream.lsn


def end_at(time: float, found: Iterable[Commit], end: int) -> int:
    """Up to where the log is as it was at a time. end: where what was searched ends."""
    for commit in found:
        if commit.time > time:
            return commit.before
    return end


def _time_of_commit(head: bytes) -> float | None:
    info, manager = head[_KIND_AT], head[_KIND_AT + 1]
    if manager != _TRANSACTIONS or info & _OPERATION not in (_COMMIT, _COMMIT_PREPARED):
        return None
    at = _HEADER_BYTES
    while (kind := head[at]) in (_ORIGIN, _TOPLEVEL_XID):
        at += _HEADER_OF_DATA[kind]
    (microseconds,) = _TIME.unpack_from(head, at + _HEADER_OF_DATA[kind])
    # Rounded once, as `datetime.timestamp` rounds: the same microsecond is the same number.
    return float((EPOCH_OF_POSTGRESQL_S * 1_000_000 + microseconds) / 1_000_000)


class _Stream:
    """WAL without the headers of its pages. lsn: where it is, always at a multiple of eight."""

    def __init__(self, start: int, chunks: Iterable[bytes]) -> None:
        self.lsn = start
        self._chunks = iter(chunks)
        self._content = b""
        self._at = 0

    def length_of_next(self) -> int | None:
        """The length of the record that begins here; None where the WAL ends."""
        if not self._pass_header() or not self._has(_LENGTH.size):
            return None
        return int(_LENGTH.unpack_from(self._content, self._at)[0])

    def take(self, length: int) -> bytes | None:
        """The first bytes of a record; what follows them is passed. None where it is not whole."""
        head = b""
        while length:
            if not self._pass_header():
                return None
            part = min(length, WAL_PAGE_BYTES - self.lsn % WAL_PAGE_BYTES)
            if not self._has(part):
                return None
            if len(head) < _HEAD_BYTES:
                head += self._content[self._at : self._at + min(part, _HEAD_BYTES - len(head))]
            self._move(part)
            length -= part
        return head if self.skip(-self.lsn % 8) else None

    def skip(self, count: int) -> bool:
        """Pass bytes, headers of pages included; whether they are there."""
        if not self._has(count):
            return False
        self._move(count)
        return True

    def _pass_header(self) -> bool:
        if self.lsn % WAL_PAGE_BYTES:
            return True
        if not self._has(_LONG_PAGE_HEADER):
            return False
        (info,) = _PAGE_INFO.unpack_from(self._content, self._at)
        return self.skip(_LONG_PAGE_HEADER if info & _LONG_HEADER else _SHORT_PAGE_HEADER)

    def _has(self, count: int) -> bool:
        while len(self._content) - self._at < count:
            chunk = next(self._chunks, b"")
            if not chunk:
                return False
            self._content = self._content[self._at :] + chunk
            self._at = 0
        return True

    def _move(self, count: int) -> None:
        self._at += count
        self.lsn += count
