"""Which blocks of which relations a stretch of WAL changes, and which transactions it commits.

Every change of a page is a record that names the page: relation, fork, block. So two databases that
were one at some LSN can differ only in blocks that the log of one of them names since, whatever
happened there; nothing has to be asked of PostgreSQL beforehand, and no row be decoded.

Source: PostgreSQL `xlogrecord.h`, `xlogreader.c` (DecodeXLogRecord), `xlog_internal.h`, `xact.h`,
`pg_control.h` (CheckPoint), `rmgrlist.h`.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from cluster_runtime.storage.core.wal_records import (
    WAL_PAGE_BYTES,
    continued_bytes,
    page_header_bytes,
)

_RECORD = struct.Struct("=IIQBB2xI")  # length, xid, previous, info, resource manager, checksum
_LENGTH = struct.Struct("=I")
_BLOCK = struct.Struct("=BH")  # fork and flags, length of data
_IMAGE = struct.Struct("=HHB")  # length, offset of the hole, what it is
_RELATION = struct.Struct("=III")  # tablespace, database, file
_XID = struct.Struct("=I")
_NEXT_XID_OF_CHECKPOINT, _NEXT_XID_OF_RUNNING = 24, 12
"""Offsets in CheckPoint and in xl_running_xacts, the same in all versions from 15 to 18."""

_BLOCK_ID_MAX = 32
_DATA_SHORT, _DATA_LONG, _ORIGIN, _TOP_XID = 255, 254, 253, 252
_FORK, _HAS_IMAGE, _SAME_RELATION = 0x0F, 0x10, 0x80
_HAS_HOLE, _COMPRESSED = 0x01, 0x1C
_MAIN_FORK = 0

_XLOG, _XACT, _STANDBY = 0, 1, 8
_CHECKPOINTS = (0x00, 0x10)
_SWITCH = 0x40
_RUNNING = 0x10
_XACT_KIND = 0x70
_COMMIT, _COMMIT_PREPARED = 0x00, 0x30


class RelationFile(NamedTuple):
    """The file of a relation: oid of its database, and its number there (relfilenode)."""

    database: int
    number: int


@dataclass(slots=True)
class ChangedBlocks:
    """What a stretch of log changed.

    blocks: of main forks. next_xid: the first transaction that had not begun where the stretch says
    so first; None where it never does. committed: the oldest transaction that commits in it; None
    for none. prepared: whether one does that was prepared, which may be of any age. since: only
    blocks count that transactions from this one on have changed; None: those of all.
    """

    blocks: dict[RelationFile, set[int]] = field(default_factory=lambda: defaultdict(set))
    next_xid: int | None = None
    committed: int | None = None
    prepared: bool = False
    since: int | None = None

    def note(self, record: bytes) -> None:
        """Take a record into account."""
        length, xid, _, info, manager, _ = _RECORD.unpack_from(record)
        counts = self.since is None or not (xid == 0 or precedes(xid, self.since))
        main_data = self._note_blocks(record, length, counts)
        if manager == _XACT and info & _XACT_KIND in (_COMMIT, _COMMIT_PREPARED):
            self.prepared |= info & _XACT_KIND == _COMMIT_PREPARED
            if xid and (self.committed is None or precedes(xid, self.committed)):
                self.committed = xid
        elif self.next_xid is None:
            at = _place_of_next_xid(manager, info & 0xF0)
            if at is not None:
                (self.next_xid,) = _XID.unpack_from(record, main_data + at)

    def _note_blocks(self, record: bytes, length: int, counts: bool) -> int:
        """Walk the headers of a record; where its main data begins."""
        at, data = _RECORD.size, 0
        main = 0
        relation = RelationFile(0, 0)
        while length - at > data:
            kind = record[at]
            at += 1
            if kind == _DATA_SHORT:
                main = record[at]
                at += 1
                data += main
            elif kind == _DATA_LONG:
                (main,) = _LENGTH.unpack_from(record, at)
                at += _LENGTH.size
                data += main
            elif kind == _ORIGIN:
                at += 2
            elif kind == _TOP_XID:
                at += 4
            elif kind <= _BLOCK_ID_MAX:
                flags, block_data = _BLOCK.unpack_from(record, at)
                at += _BLOCK.size
                data += block_data
                if flags & _HAS_IMAGE:
                    image, _, about = _IMAGE.unpack_from(record, at)
                    at += _IMAGE.size
                    data += image
                    if about & _COMPRESSED and about & _HAS_HOLE:
                        at += 2
                if not flags & _SAME_RELATION:
                    _, database, number = _RELATION.unpack_from(record, at)
                    at += _RELATION.size
                    relation = RelationFile(database, number)
                (block,) = _LENGTH.unpack_from(record, at)
                at += _LENGTH.size
                if counts and flags & _FORK == _MAIN_FORK:
                    self.blocks[relation].add(block)
            else:
                raise ValueError(f"a WAL record has a header of an unknown kind, {kind}")
        return length - main


def _place_of_next_xid(manager: int, info: int) -> int | None:
    """Where in the main data of a record its next transaction is; None where it names none."""
    if manager == _XLOG and info in _CHECKPOINTS:
        return _NEXT_XID_OF_CHECKPOINT
    return _NEXT_XID_OF_RUNNING if manager == _STANDBY and info == _RUNNING else None


def precedes(xid: int, other: int) -> bool:
    """Whether a transaction began before another one, as PostgreSQL counts round and round."""
    return (xid - other) & 0xFFFF_FFFF >= 1 << 31


class RecordReader:
    """Takes WAL as it comes, from where a record or a page begins, and gives whole records."""

    def __init__(self, lsn: int, wal_segment_bytes: int) -> None:
        self._at = lsn
        self._wal_segment_bytes = wal_segment_bytes
        self._wal = bytearray()
        self._record = bytearray()
        self._missing = 0
        """Of the record that has begun; 0 between two records."""
        self._skip_to = lsn
        self._first = True
        self._of_before = False
        """Whether the record under way began before all that was given: it is passed over."""

    def feed(self, wal: bytes) -> Iterator[bytes]:
        """More WAL; the records that are whole now."""
        self._wal += wal
        place = 0
        while (taken := self._step(place)) is not None:
            place += taken
            self._at += taken
            if self._record and not self._missing:
                if not self._of_before:
                    yield bytes(self._record)
                self._ended()
        del self._wal[:place]

    def _step(self, place: int) -> int | None:
        """Go on by some bytes, whose number is returned; None where more WAL is needed first."""
        here = len(self._wal) - place
        if self._at < self._skip_to:
            return min(here, self._skip_to - self._at) or None
        inside = self._at % WAL_PAGE_BYTES
        if inside == 0:
            header = page_header_bytes(memoryview(self._wal)[place:])
            if header is None or header > here:
                return None
            if self._first:
                self._missing = continued_bytes(memoryview(self._wal)[place:])
                self._of_before = self._missing > 0
                self._first = False
            return header
        self._first = False
        if not self._missing:
            if here < _LENGTH.size:
                return None
            (self._missing,) = _LENGTH.unpack_from(self._wal, place)
            if not self._missing:  # zeros behind a switch, to the end of the segment
                self._skip_segment()
                return 0
        taken = min(self._missing, WAL_PAGE_BYTES - inside, here)
        self._record += self._wal[place : place + taken]
        self._missing -= taken
        return taken or None

    def _ended(self) -> None:
        self._skip_to = self._at + -self._at % 8
        if not self._of_before:
            _, _, _, info, manager, _ = _RECORD.unpack_from(self._record)
            if manager == _XLOG and info & 0xF0 == _SWITCH:
                self._skip_segment()
        self._of_before = False
        self._record.clear()

    def _skip_segment(self) -> None:
        self._skip_to = self._at + -self._at % self._wal_segment_bytes
