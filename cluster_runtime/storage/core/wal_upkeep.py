"""Which transactions in WAL are upkeep: they wrote nothing but what the planner and VACUUM note.

Autovacuum commits a transaction for each table that it analyzes, catalogs among them, whether
anybody uses the database or not. Who asks what a rewind would take away does not mean those.

Source: PostgreSQL `xlogrecord.h` (the header of a block), `rmgrlist.h`, `heapam_xlog.h`, `xact.h`
(xl_xact_xinfo), `pg_statistic.h` and `pg_statistic_ext_data.h`.
"""

import struct

from cluster_runtime.storage.core.wal_records import INFO_OF_COMMIT, RECORD, XACT, XLOG

STATISTICS = frozenset((2619, 2696, 2840, 2841, 3429, 3433, 3430, 3431))
"""The files of what ANALYZE writes, with their indexes and long values. One that VACUUM FULL wrote
has another number: it is not known then."""

_SMGR, _STANDBY, _HEAP2, _HEAP = 2, 8, 9, 10
_TRUNCATE = 0x20
_PRUNING = range(0x10, 0x41)
"""Of Heap2, in all versions: pages are tidied up."""
_INPLACE = 0x70
"""Of Heap: relation statistics and horizons. DDL uses it beside other records."""
_INFO_OF_HEAP = 0x70

_BLOCK = struct.Struct("=BBH")
_IMAGE = struct.Struct("=HHB")
_LOCATOR = struct.Struct("=III")
_HAS_IMAGE, _HAS_HOLE, _COMPRESSED = 0x10, 0x01, 0x1C
_BLOCKS_MAX = 32

_HAS_INFO = 0x80
_DATABASE, _SUBTRANSACTIONS = 0x01, 0x02
_NUMBER = struct.Struct("=I")


class Upkeep:
    """What the transactions have written so far whose end was not read yet."""

    def __init__(self) -> None:
        self.changed: set[int] = set()
        """Those that wrote something else: of these nothing more has to be looked at."""
        self._tidied: set[int] = set()

    def note(self, xid: int, info: int, manager: int, record: bytes | bytearray, at: int) -> None:
        """A record of a transaction that is not its end begins `at` a place."""
        if _is_upkeep(info, manager, record, at):
            self._tidied.add(xid)
        else:
            self.changed.add(xid)

    def ended(self, record: bytes, data: int) -> bool:
        """Whether a transaction that ends was upkeep.

        record: that of its end. data: where its own data begin. One of which no record was seen, or
        that has subtransactions, is nobody's upkeep.
        """
        _, xid, _, info, _, _ = RECORD.unpack_from(record)
        below = subtransactions(record, data, info)
        found = xid in self._tidied and xid not in self.changed and not below
        self._tidied.difference_update((xid, *below))
        self.changed.difference_update((xid, *below))
        return found


def _is_upkeep(info: int, manager: int, record: bytes | bytearray, at: int) -> bool:
    if manager in (XLOG, XACT, _STANDBY):
        return True  # images for hints, invalidations, locks
    if manager == _SMGR:
        return info & INFO_OF_COMMIT == _TRUNCATE
    if manager == _HEAP2 and info & _INFO_OF_HEAP in _PRUNING:
        return True
    if manager == _HEAP and info & _INFO_OF_HEAP == _INPLACE:
        return True
    return _first_relation(record, at) in STATISTICS


def _first_relation(record: bytes | bytearray, at: int) -> int:
    """The file of the relation that a record is of; 0 where it is of none."""
    (length,) = _NUMBER.unpack_from(record, at)
    end, at = at + length, at + RECORD.size
    if end - at < _BLOCK.size + _LOCATOR.size or record[at] > _BLOCKS_MAX:
        return 0
    _, flags, _ = _BLOCK.unpack_from(record, at)
    at += _BLOCK.size
    if flags & _HAS_IMAGE:
        _, _, kind = _IMAGE.unpack_from(record, at)
        at += _IMAGE.size + (2 if kind & _HAS_HOLE and kind & _COMPRESSED else 0)
    if end - at < _LOCATOR.size:
        return 0
    _, _, relation = _LOCATOR.unpack_from(record, at)
    return int(relation)


def subtransactions(record: bytes, data: int, info: int) -> tuple[int, ...]:
    """The subtransactions of a commit or an abort.

    record: that of the end. data: where its own data begin. info: of its header.
    """
    at = data + 8  # behind the time
    if not info & _HAS_INFO or at + _NUMBER.size > len(record):
        return ()
    (extended,) = _NUMBER.unpack_from(record, at)
    at += _NUMBER.size + (8 if extended & _DATABASE else 0)
    if not extended & _SUBTRANSACTIONS:
        return ()
    (count,) = _NUMBER.unpack_from(record, at)
    return struct.unpack_from(f"={count}I", record, at + _NUMBER.size)
