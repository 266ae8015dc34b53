"""How far back a volume can be rewound: ticks, the window, what it costs; commits in WAL."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.storage.core.policy.past import (
    Cost,
    Tick,
    Window,
    begins,
    first_at,
    last_before,
)
from cluster_runtime.storage.core.policy.retention import ImagePoint
from cluster_runtime.storage.core.wal_commits import (
    EPOCH_OF_POSTGRESQL_S,
    Commit,
    commits,
    end_at,
)
from cluster_runtime.storage.core.wal_records import WAL_PAGE_BYTES
from cluster_runtime.storage.disk.filesystem import HOST_DISK
from cluster_runtime.storage.upkeep.past.tick_file import (
    RECORD_BYTES,
    append_tick,
    read_ticks,
    write_ticks,
)

SEGMENT = 1 << 20
START = 5 * SEGMENT + WAL_PAGE_BYTES

# commits in WAL -----------------------------------------------------------------------------------


def page_header(lsn: int) -> bytes:
    long = lsn % SEGMENT == 0
    return struct.pack("=HHIQI", 0xD116, 0x0002 if long else 0, 1, lsn, 0).ljust(40 if long else 24)


def wal_of(records: list[bytes]) -> tuple[bytes, list[int]]:
    """WAL from `START` on, and the LSN at which each record ends."""
    content, ends = b"", []
    for record in records:
        left = record.ljust(-(-len(record) // 8) * 8, b"\0")
        while left:
            lsn = START + len(content)
            if lsn % WAL_PAGE_BYTES == 0:
                content += page_header(lsn)
                continue
            part = left[: WAL_PAGE_BYTES - lsn % WAL_PAGE_BYTES]
            content, left = content + part, left[len(part) :]
        ends.append(START + len(content))
    return content, ends


XID = 7


def record(manager: int, info: int, data: bytes) -> bytes:
    return struct.pack("=IIQBBxxI", 24 + len(data), XID, 0, info, manager, 0) + data


def commit_record(seconds: float, extra: int = 0, *, before: bytes = b"", info: int = 0) -> bytes:
    moment = struct.pack("=q", int((seconds - EPOCH_OF_POSTGRESQL_S) * 1e6)) + bytes(extra)
    if len(moment) < 256:
        return record(1, info, before + bytes([255, len(moment)]) + moment)
    return record(1, info, before + bytes([254]) + struct.pack("=I", len(moment)) + moment)


ORIGIN = bytes([253, 1, 0])
TOPLEVEL = bytes([252, 1, 0, 0, 0])
kinds = st.one_of(
    st.tuples(st.just("other"), st.integers(0, 3 * WAL_PAGE_BYTES)),
    st.tuples(st.just("abort"), st.integers(0, 50)),
    st.tuples(st.just("commit"), st.integers(0, 400)),
)


@given(st.lists(kinds, max_size=30), st.integers(1, 9000), st.sampled_from([b"", ORIGIN, TOPLEVEL]))
def test_commits_are_found_wherever_pages_cut_them(
    what: list[tuple[str, int]], chunk: int, before: bytes
) -> None:
    records, expected = [], []
    for number, (kind, size) in enumerate(what):
        if kind == "commit":
            info = (0x00, 0x30, 0x80)[number % 3]  # plain, prepared, with extended information
            records.append(commit_record(1_700_000_000 + number, size, before=before, info=info))
            expected.append(number)
        elif kind == "abort":
            records.append(commit_record(1_700_000_000, size, info=0x20))
        else:
            records.append(record(10, 0, bytes(size)))
    content, ends = wal_of(records)
    chunks = [content[at : at + chunk] for at in range(0, len(content), chunk)]
    found = list(commits(START, chunks, SEGMENT))
    assert found == [
        Commit(ends[n - 1] if n else START, ends[n], 1_700_000_000.0 + n, xids=(XID,))
        for n in expected
    ]
    if content:
        assert list(commits(START, [content[:-8]], SEGMENT)) == [
            each for each in found if each.end < ends[-1]
        ]


def test_the_rest_of_a_file_behind_a_switch_is_passed() -> None:
    first, ends = wal_of([commit_record(1_700_000_000), record(0, 0x40, b"")])
    rest = bytes(-ends[-1] % SEGMENT)
    at = ends[-1] + len(rest)
    second = page_header(at) + commit_record(1_700_000_001).ljust(40, b"\0")
    found = list(commits(START, [first + rest + second], SEGMENT))
    assert [each.time for each in found] == [1_700_000_000, 1_700_000_001]
    assert found[-1].before == at


@given(st.lists(st.integers(0, 20), max_size=10), st.integers(0, 20))
def test_the_log_as_it_was_at_a_time_ends_before_the_first_later_commit(
    times: list[int], target: int
) -> None:
    found = [Commit(10 * n, 10 * n + 10, float(time)) for n, time in enumerate(times)]
    end = end_at(target, found, 1000)
    kept = [each for each in found if each.end <= end]
    assert all(each.time <= target for each in kept)
    assert end == 1000 or found[len(kept)].time > target


# ticks --------------------------------------------------------------------------------------------


def test_ticks_come_back_as_they_were_written_up_to_what_is_not_whole(tmp_path: Path) -> None:
    path, ticks = tmp_path / "ticks", [Tick(1.5 * n, 100 * n) for n in range(5)]
    assert read_ticks(path) == []
    for number, each in enumerate(ticks):
        append_tick(path, each, number)
    assert read_ticks(path) == ticks
    whole = path.read_bytes()
    path.write_bytes(whole[: 3 * RECORD_BYTES + 7])
    assert read_ticks(path) == ticks[:3]
    append_tick(path, ticks[3], 3)
    assert read_ticks(path) == ticks[:4]
    path.write_bytes(whole[:25] + b"\xff" + whole[26:])
    assert read_ticks(path) == ticks[:1]
    write_ticks(HOST_DISK, path, ticks[2:])
    assert read_ticks(path) == ticks[2:]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50))), st.integers(0, 60))
def test_a_tick_is_found_by_its_time_and_by_its_lsn(
    given_ticks: list[tuple[int, int]], wanted: int
) -> None:
    times, lsns = (
        (sorted(each) for each in zip(*given_ticks, strict=True)) if given_ticks else ([], [])
    )
    ticks = [Tick(time, lsn) for time, lsn in zip(times, lsns, strict=True)]
    earlier = [each for each in ticks if each.time <= wanted]
    assert last_before(ticks, wanted) == (earlier[-1] if earlier else None)
    later = [each for each in ticks if each.lsn >= wanted]
    assert first_at(ticks, wanted) == (later[0] if later else None)


# the window ---------------------------------------------------------------------------------------

TICKS = [Tick(float(time), 100 * time) for time in range(1, 11)]


@pytest.mark.parametrize(
    ("seconds", "now", "lsn"), [(3, 10, 700), (100, 10, 100), (0, 10, None), (1, 500, 1000)]
)
def test_the_window_begins_with_the_last_tick_before_it(
    seconds: int, now: int, lsn: int | None
) -> None:
    assert begins(TICKS, [], Window(seconds), now, 1 << 40) == lsn


def test_nothing_was_before_the_first_tick() -> None:
    assert begins([], [], Window(10), 5, 1 << 40) is None


def costs(*each: tuple[int, int]) -> list[Cost]:
    return [Cost(ImagePoint(redo, redo + 10), size) for redo, size in each]


@pytest.mark.parametrize(
    ("budget", "lsn"),
    [(1 << 40, 100), (50 + 6 * 400 + 50, 100), (50 + 6 * 400 + 49, 510), (49 + 6 * 200, 710)],
)
def test_what_costs_too_much_is_let_go_from_the_oldest_image_on(budget: int, lsn: int) -> None:
    images = costs((300, 50), (500, 50), (700, 99))
    assert begins(TICKS, images, Window(100), 10, budget) == lsn


def test_by_default_the_window_may_take_some_databases() -> None:
    assert Window().bytes_for(0) == 256 << 20
    assert Window().bytes_for(1 << 30) == 4 << 30
    assert Window(bytes_max=7).bytes_for(1 << 30) == 7
