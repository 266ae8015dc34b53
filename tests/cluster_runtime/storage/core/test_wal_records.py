"""Where records end, told from pages made by hand and from the log of a real server."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.storage.core.wal_records import (
    WAL_PAGE_BYTES,
    format_lsn,
    last_record_end,
    parse_lsn,
    wal_file_name,
)

SEGMENT = 1 << 20
SHORT, LONG = 24, 40


def page(lsn: int, *lengths: int, continued: int = 0) -> bytes:
    """A WAL page with records of these lengths; `continued` bytes belong to the one before."""
    long = lsn % SEGMENT == 0
    info = (1 if continued else 0) | (2 if long else 0)
    content = bytearray(struct.pack("=HHIQI", 0xD118, info, 1, lsn, continued))
    content = content.ljust(LONG if long else SHORT, b"\0")
    content += bytes(-(-continued // 8) * 8)
    for length in lengths:
        content += struct.pack("=I", length) + bytes(-(-length // 8) * 8 - 4)
    return bytes(content[:WAL_PAGE_BYTES]).ljust(WAL_PAGE_BYTES, b"\0")


def test_a_message_that_ends_inside_a_page_ends_at_a_record() -> None:
    assert last_record_end(0x2000, memoryview(bytes(100)), SEGMENT) == 0x2000 + 100


def test_a_record_that_fills_its_page_ends_with_it() -> None:
    wal = page(0x4000, 1000, WAL_PAGE_BYTES - SHORT - 1000)
    assert last_record_end(0x4000, memoryview(wal), SEGMENT) == 0x6000


def test_a_record_that_goes_on_in_the_next_page_is_left_out() -> None:
    wal = page(0x4000, 1000, 9000)
    assert last_record_end(0x4000, memoryview(wal), SEGMENT) == 0x4000 + SHORT + 1000


def test_a_page_inside_one_long_record_has_no_end_of_a_record() -> None:
    wal = page(0x4000, continued=50_000)
    assert last_record_end(0x4000, memoryview(wal), SEGMENT) is None


def test_the_rest_of_a_record_from_the_page_before_ends_where_its_header_says() -> None:
    wal = page(0x4000, 9000, continued=100)
    assert last_record_end(0x4000, memoryview(wal), SEGMENT) == 0x4000 + SHORT + 104


def test_a_message_may_begin_inside_the_page_at_a_record() -> None:
    start = 0x4000 + SHORT + 1000
    wal = page(0x4000, 1000, 9000)[SHORT + 1000 :]
    assert last_record_end(start, memoryview(wal), SEGMENT) is None


def test_zeros_behind_a_switch_record_end_only_with_their_segment() -> None:
    wal = page(SEGMENT - WAL_PAGE_BYTES, 32)
    assert last_record_end(SEGMENT - WAL_PAGE_BYTES, memoryview(wal), SEGMENT) == SEGMENT
    inside = page(0x4000, 32)
    assert last_record_end(0x4000, memoryview(inside), SEGMENT) == 0x4000 + SHORT + 32


@given(st.integers(0, (1 << 64) - 1))
def test_an_lsn_reads_back_as_it_was_written(lsn: int) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn


@pytest.mark.parametrize(
    ("lsn", "name"),
    [
        (0x926DC0, "000000010000000000000009"),
        (0x1_0000_0000, "000000010000000100000000"),
        (0x1_FFFF_FFFF, "000000010000000100000FFF"),
    ],
)
def test_wal_files_are_named_as_postgresql_names_them(lsn: int, name: str) -> None:
    assert wal_file_name(1, lsn, SEGMENT) == name
