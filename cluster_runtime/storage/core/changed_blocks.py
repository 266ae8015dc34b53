"""Which blocks of which relations a stretch of WAL changes, and which transactions it commits.

Every change of a page is a record that names the page: relation, fork, block. So two databases that
were one at some LSN can differ only in blocks that the log of one of them names since, whatever
happened there; nothing has to be asked of PostgreSQL beforehand, and no row be decoded.

Source: PostgreSQL `xlogrecord.h`, `xlogreader.c` (DecodeXLogRecord), `pg_control.h` (CheckPoint).
"""

import struct
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from cluster_runtime.storage.core.wal_records import (
    COMMIT_PREPARED,
    COMMITS,
    DATA_LONG,
    DATA_SHORT,
    INFO_OF_COMMIT,
    INFO_OF_MANAGER,
    ORIGIN,
    RECORD,
    TOP_XID,
    XACT,
    XLOG,
)

_LENGTH = struct.Struct("=I")
_BLOCK = struct.Struct("=BH")  # fork and flags, length of data
_IMAGE = struct.Struct("=HHB")  # length, offset of the hole, what it is
_RELATION = struct.Struct("=III")  # tablespace, database, file
_XID = struct.Struct("=I")
_NEXT_XID_OF_CHECKPOINT, _NEXT_XID_OF_RUNNING = 24, 12
"""Offsets in CheckPoint and in xl_running_xacts, the same in all versions from 15 to 18."""

_BLOCK_ID_MAX = 32
_FORK, _HAS_IMAGE, _SAME_RELATION = 0x0F, 0x10, 0x80
_HAS_HOLE, _COMPRESSED = 0x01, 0x1C
_MAIN_FORK = 0

_STANDBY = 8
_CHECKPOINTS = (0x00, 0x10)
_RUNNING = 0x10


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
        length, xid, _, info, manager, _ = RECORD.unpack_from(record)
        counts = self.since is None or not (xid == 0 or precedes(xid, self.since))
        main_data = self._note_blocks(record, length, counts)
        if manager == XACT and info & INFO_OF_COMMIT in COMMITS:
            self.prepared |= info & INFO_OF_COMMIT == COMMIT_PREPARED
            if xid and (self.committed is None or precedes(xid, self.committed)):
                self.committed = xid
        elif self.next_xid is None:
            at = _place_of_next_xid(manager, info & INFO_OF_MANAGER)
            if at is not None:
                (self.next_xid,) = _XID.unpack_from(record, main_data + at)

    def _note_blocks(self, record: bytes, length: int, counts: bool) -> int:
        """Walk the headers of a record; where its main data begins."""
        at, data = RECORD.size, 0
        main = 0
        relation = RelationFile(0, 0)
        while length - at > data:
            kind = record[at]
            at += 1
            if kind == DATA_SHORT:
                main = record[at]
                at += 1
                data += main
            elif kind == DATA_LONG:
                (main,) = _LENGTH.unpack_from(record, at)
                at += _LENGTH.size
                data += main
            elif kind == ORIGIN:
                at += 2
            elif kind == TOP_XID:
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
    if manager == XLOG and info in _CHECKPOINTS:
        return _NEXT_XID_OF_CHECKPOINT
    return _NEXT_XID_OF_RUNNING if manager == _STANDBY and info == _RUNNING else None


def precedes(xid: int, other: int) -> bool:
    """Whether a transaction began before another one, as PostgreSQL counts round and round."""
    return (xid - other) & 0xFFFF_FFFF >= 1 << 31
