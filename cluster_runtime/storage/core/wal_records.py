"""Where records end in PostgreSQL's WAL, as far as a volume has to know it.

A volume may be cut (recovered, cloned, restored) only where a record ends: Aurora's consistency
point LSN. The server's replication stream never splits a record over two messages except at the
end of a WAL page. So the end of a message is such a point unless it is the end of a page, and
then one walk over that last page finds the last one before it.

Source: PostgreSQL `XLogSendPhysical` (walsender.c), `xlog_internal.h`, `xlogrecord.h`.
"""

import struct

WAL_PAGE_BYTES = 8192

_PAGE_HEADER = struct.Struct("=HHIQI")
_SHORT_HEADER_BYTES, _LONG_HEADER_BYTES = 24, 40
_FIRST_IS_CONTRECORD, _LONG_HEADER = 0x0001, 0x0002
_TOTAL_LENGTH = struct.Struct("=I")


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


def page_header_bytes(wal: memoryview) -> int | None:
    """How long the header of the page is that begins here; None where too little of it is here."""
    if len(wal) < _PAGE_HEADER.size:
        return None
    _, info, _, _, _ = _PAGE_HEADER.unpack_from(wal)
    return _header_bytes(info)


def continued_bytes(wal: memoryview) -> int:
    """How much of a record that began before the page that begins here is still to come."""
    _, info, _, _, remaining = _PAGE_HEADER.unpack_from(wal)
    return int(remaining) if info & _FIRST_IS_CONTRECORD else 0


def _header_bytes(info: int) -> int:
    return _LONG_HEADER_BYTES if info & _LONG_HEADER else _SHORT_HEADER_BYTES


def _aligned(length: int) -> int:
    return (length + 7) & ~7


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
