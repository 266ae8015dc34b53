"""The records in PostgreSQL's WAL: where they end, and what each of them is.

A volume may be cut (recovered, cloned, restored) only where a record ends: Aurora's consistency
point LSN. The server's replication stream never splits a record over two messages except at the
end of a WAL page. So the end of a message is such a point unless it is the end of a page, and
then one walk over that last page finds the last one before it.

Source: PostgreSQL `XLogSendPhysical` (walsender.c), `xlog_internal.h`, `xlogrecord.h`, `xact.h`,
`rmgrlist.h`.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

WAL_PAGE_BYTES = 8192
ALIGNMENT = 8
"""Records begin at multiples of this (MAXALIGN)."""

_PAGE_HEADER = struct.Struct("=HHIQI")
_SHORT_HEADER_BYTES, LONG_HEADER_BYTES = 24, 40
_FIRST_IS_CONTRECORD, _LONG_HEADER = 0x0001, 0x0002
_TOTAL_LENGTH = struct.Struct("=I")

RECORD = struct.Struct("=IIQBB2xI")
"""The header of a record: length, xid, previous, info, resource manager, checksum."""
DATA_SHORT, DATA_LONG, ORIGIN, TOP_XID = 255, 254, 253, 252
"""What the headers behind it that are of no block are of."""
XLOG, XACT = 0, 1
"""Resource managers."""
INFO_OF_MANAGER, INFO_OF_COMMIT = 0xF0, 0x70
"""The bits of `info` that say what a record is: in general, and of a transaction."""
COMMIT, COMMIT_PREPARED = COMMITS = (0x00, 0x30)
ENDS = (*COMMITS, 0x20, 0x40)
"""Of a transaction: committed or aborted, with or without PREPARE TRANSACTION before."""
SWITCH = 0x40


def last_record_end(start: int, wal: memoryview, wal_segment_bytes: int) -> int | None:
    """The highest LSN in the last page of `wal` at which a record ends; None where none does.

    start: the LSN of the first byte, which is the start of a record or of a page.
    """
    end = start + len(wal)
    if end % WAL_PAGE_BYTES:
        return end
    at = max(start, end - WAL_PAGE_BYTES)
    found = None
    if at % WAL_PAGE_BYTES == 0:
        _, info, _, _, remaining = _PAGE_HEADER.unpack_from(wal, at - start)
        at += _header_bytes(info)
        if info & _FIRST_IS_CONTRECORD:
            at += _aligned(remaining)
            found = at if at <= end else None
    while at < end:
        (length,) = _TOTAL_LENGTH.unpack_from(wal, at - start)
        if length == 0:
            # Zeros behind an XLOG_SWITCH record, which ends with its segment.
            return end if end % wal_segment_bytes == 0 else found
        at += _aligned(length)
        if at <= end:
            found = at
    return found


class Record(NamedTuple):
    """A record of WAL. begin: where the one before it ended. end: where it ends itself."""

    begin: int
    end: int
    content: bytes


class RecordReader:
    """Takes WAL as it comes, from where a record or a page begins, and gives whole records."""

    def __init__(self, lsn: int, wal_segment_bytes: int) -> None:
        self._at = lsn
        self._wal_segment_bytes = wal_segment_bytes
        self._wal = bytearray()
        self._record = bytearray()
        self._missing = 0
        """Of the record that has begun; 0 between two records."""
        self._begin = lsn
        """Where the next record begins, but for the header of a page; what is before is skipped."""
        self._first = True
        self._of_before = False
        """Whether the record under way began before all that was given: it is passed over."""

    def feed(self, wal: bytes) -> Iterator[Record]:
        """More WAL; the records that are whole now."""
        self._wal += wal
        place = 0
        while (taken := self._step(place)) is not None:
            place += taken
            self._at += taken
            if self._record and not self._missing:
                if not self._of_before:
                    yield Record(self._begin, _aligned(self._at), bytes(self._record))
                self._ended()
        del self._wal[:place]

    def _step(self, place: int) -> int | None:
        """Go on by some bytes, whose number is returned; None where more WAL is needed first."""
        here = len(self._wal) - place
        if self._at < self._begin:
            return min(here, self._begin - self._at) or None
        inside = self._at % WAL_PAGE_BYTES
        if inside == 0:
            header = memoryview(self._wal)[place : place + LONG_HEADER_BYTES]
            if (length := page_header_bytes(header)) is None or length > here:
                return None
            if self._first:
                self._missing = _continued_bytes(header)
                self._of_before = self._missing > 0
                self._first = False
            return length
        self._first = False
        if not self._missing:
            if here < _TOTAL_LENGTH.size:
                return None
            (self._missing,) = _TOTAL_LENGTH.unpack_from(self._wal, place)
            if not self._missing:  # zeros behind a switch, to the end of the segment
                self._skip_segment()
                return 0
        taken = min(self._missing, WAL_PAGE_BYTES - inside, here)
        self._record += self._wal[place : place + taken]
        self._missing -= taken
        return taken or None

    def _ended(self) -> None:
        self._begin = _aligned(self._at)
        if not self._of_before:
            _, _, _, info, manager, _ = RECORD.unpack_from(self._record)
            if manager == XLOG and info & INFO_OF_MANAGER == SWITCH:
                self._skip_segment()
        self._of_before = False
        self._record.clear()

    def _skip_segment(self) -> None:
        self._begin = self._at + -self._at % self._wal_segment_bytes


def page_header_bytes(wal: bytes | memoryview) -> int | None:
    """How long the header of the page is that begins here; None where too little of it is here."""
    if len(wal) < _PAGE_HEADER.size:
        return None
    _, info, _, _, _ = _PAGE_HEADER.unpack_from(wal)
    return _header_bytes(info)


def _continued_bytes(wal: memoryview) -> int:
    """How much of a record that began before the page that begins here is still to come."""
    _, info, _, _, remaining = _PAGE_HEADER.unpack_from(wal)
    return int(remaining) if info & _FIRST_IS_CONTRECORD else 0


def _header_bytes(info: int) -> int:
    return LONG_HEADER_BYTES if info & _LONG_HEADER else _SHORT_HEADER_BYTES


def _aligned(length: int) -> int:
    return length + -length % ALIGNMENT


def wal_file_name(timeline: int, lsn: int, wal_segment_bytes: int) -> str:
    """The name of the WAL file that holds an LSN: timeline, and segment number in two halves."""
    number = lsn // wal_segment_bytes
    per_id = (1 << 32) // wal_segment_bytes
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"


def format_lsn(lsn: int) -> str:
    """An LSN as PostgreSQL writes it: `0/16B3748`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFF_FFFF:X}"


def parse_lsn(text: str) -> int:
    """The byte position that `0/16B3748` stands for. Raises ValueError."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
