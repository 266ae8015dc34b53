"""Which commits are upkeep: those whose transactions wrote the planner's statistics alone."""

import struct

import pytest

from cluster_runtime.storage.core.wal_commits import EPOCH_OF_POSTGRESQL_S, commits

SEGMENT = 1 << 20
START = SEGMENT + 40
"""Behind the header of a page: all that is read here fits into that page."""

XACT, SMGR, STANDBY, HEAP2, HEAP, BTREE, LOGICAL = 1, 2, 8, 9, 10, 11, 21
COMMIT, ABORT = 0x00, 0x20
XID, CHILD, OTHER = 700, 701, 702


def record(manager: int, info: int, rest: bytes, xid: int = XID) -> bytes:
    made = struct.pack("=IIQBBxxI", 24 + len(rest), xid, 0, info, manager, 0) + rest
    return made.ljust(-(-len(made) // 8) * 8, b"\0")


def block(relation: int, image: bytes = b"") -> bytes:
    flags = 0x10 if image else 0
    return struct.pack("=BBH", 0, flags, 0) + image + struct.pack("=IIII", 1663, 5, relation, 0)


def of(relation: int, manager: int = HEAP, info: int = 0x00, xid: int = XID) -> bytes:
    return record(manager, info, block(relation), xid)


def end(kind: int = COMMIT, xid: int = XID, children: tuple[int, ...] = ()) -> bytes:
    data = struct.pack("=q", (1_700_000_000 - EPOCH_OF_POSTGRESQL_S) * 1_000_000)
    if children:
        data += struct.pack(f"=IIII{len(children)}I", 3, 5, 1663, len(children), *children)
    return record(XACT, kind | (0x80 if children else 0), bytes([255, len(data)]) + data, xid)


def upkeep(*records: bytes) -> list[bool]:
    return [each.upkeep for each in commits(START, [b"".join(records)], SEGMENT)]


STATISTICS = of(2619)
PLAIN, COMPRESSED = struct.pack("=HHB", 0, 0, 0x02), struct.pack("=HHBH", 0, 0, 0x05, 0)


@pytest.mark.parametrize(
    "what",
    [
        of(2619, info=0x40),
        of(2696, BTREE),
        of(2840),
        of(3429),
        of(1259, info=0x70),
        of(16384, HEAP2, 0x40),
        of(16384, HEAP2, 0x10),
        record(STANDBY, 0x20, bytes(20)),
        record(SMGR, 0x20, bytes(20)),
        record(HEAP, 0, block(2619, PLAIN)),
        record(HEAP, 0, block(2619, COMPRESSED)),
    ],
)
def test_what_analyze_and_vacuum_write_is_upkeep(what: bytes) -> None:
    assert upkeep(STATISTICS, what, end()) == [True]
    assert upkeep(what, end()) == [True]


@pytest.mark.parametrize(
    "what",
    [
        of(16384),
        of(1259),
        of(16384, HEAP2, 0x50),
        of(16390, BTREE),
        record(SMGR, 0x10, bytes(20)),
        record(LOGICAL, 0, bytes([255, 2, 0, 0])),
        record(HEAP, 0, block(16384, PLAIN)),
    ],
)
def test_a_transaction_that_writes_anything_else_is_not(what: bytes) -> None:
    assert upkeep(STATISTICS, what, end()) == [False]
    assert upkeep(what, STATISTICS, end()) == [False]


def test_one_of_which_no_record_was_seen_or_that_has_subtransactions_is_not() -> None:
    assert upkeep(end()) == [False]
    assert upkeep(STATISTICS, of(16384, xid=CHILD), end(children=(CHILD,))) == [False]


def test_transactions_that_run_at_the_same_time_are_told_apart() -> None:
    log = (STATISTICS, of(16384, xid=OTHER), STATISTICS, end(), STATISTICS, end(xid=OTHER))
    assert upkeep(*log) == [True, False]


def test_what_an_earlier_transaction_of_the_same_number_wrote_is_forgotten() -> None:
    assert upkeep(of(16384), end(ABORT), STATISTICS, end(), end()) == [True, False]
