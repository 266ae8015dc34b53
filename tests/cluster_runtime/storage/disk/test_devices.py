"""Both log devices write what they are told, say so, and report what fails."""

import errno
import os
import select
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster_runtime.storage.core.sizes import SIZES
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.device import (
    PAGE_BYTES,
    Arena,
    LogDevice,
    ThreadDevice,
    UringDevice,
)
from cluster_runtime.storage.disk.ring import Staging

LANES = 6
MakeDevice = Callable[[Arena], LogDevice]


def uring(arena: Arena) -> LogDevice:
    try:
        return UringDevice(arena, LANES)
    except OSError as error:
        pytest.skip(f"this kernel has no io_uring for us: {error}")


@pytest.fixture(params=[uring, ThreadDevice], ids=["io_uring", "threads"])
def make_device(request: pytest.FixtureRequest) -> Iterator[MakeDevice]:
    made: list[LogDevice] = []

    def make(arena: Arena) -> LogDevice:
        made.append(request.param(arena))
        return made[-1]

    yield make
    for device in made:
        device.close()


def completions(device: LogDevice, count: int) -> dict[int, int]:
    found: list[tuple[int, int]] = []
    while len(found) < count:
        assert select.select([device.fileno()], [], [], 10)[0]
        found += device.completed()
    assert len(found) == count
    return dict(found)


def test_six_writes_started_at_once_reach_their_six_files(
    make_device: MakeDevice, tmp_path: Path
) -> None:
    arena = Arena(LANES * PAGE_BYTES)
    device = make_device(arena)
    files = [os.open(tmp_path / str(lane), os.O_RDWR | os.O_CREAT) for lane in range(LANES)]
    for lane, fd in enumerate(files):
        at = lane * PAGE_BYTES
        arena.view[at : at + PAGE_BYTES] = bytes([lane + 1]) * PAGE_BYTES
        device.start(lane, fd, [(at, 100), (at, PAGE_BYTES - 100)], PAGE_BYTES, durable=True)
    device.submit()
    assert completions(device, LANES) == dict.fromkeys(range(LANES), PAGE_BYTES)
    for lane, fd in enumerate(files):
        assert os.pread(fd, PAGE_BYTES, PAGE_BYTES) == bytes([lane + 1]) * PAGE_BYTES
        os.close(fd)


def test_a_flush_that_was_prepared_ends(make_device: MakeDevice, tmp_path: Path) -> None:
    device = make_device(Arena(PAGE_BYTES))
    (tmp_path / "f").touch()
    fd = os.open(tmp_path / "f", os.O_RDWR)
    device.flush(2, fd)
    device.submit()
    assert completions(device, 1) == {2: 0}
    os.close(fd)


def test_a_write_that_fails_says_why(make_device: MakeDevice, tmp_path: Path) -> None:
    device = make_device(Arena(PAGE_BYTES))
    (tmp_path / "f").touch()
    read_only = os.open(tmp_path / "f", os.O_RDONLY)
    device.start(3, read_only, [(0, PAGE_BYTES)], 0, durable=True)
    device.submit()
    assert completions(device, 1) == {3: -errno.EBADF}
    os.close(read_only)


def staging(position: int = 0) -> Staging:
    return Staging(LANES, position, SIZES.ring)


def test_a_frame_that_wraps_around_the_ring_is_read_back_whole() -> None:
    ring = staging()
    ring.skip_to(SIZES.ring - 1000)
    frame = bytes(range(256)) * 16
    ring.append([frame], Lsn(1))
    assert ring.read(SIZES.ring - 1000, len(frame)) == frame


def test_a_write_takes_whole_pages_and_zeros_behind_the_last_frame() -> None:
    ring = staging()
    ring.append([b"a" * 5000], Lsn(1))
    parts = ring.vectors(2, 0, ring.head)
    content = b"".join(bytes(ring.arena.view[at : at + length]) for at, length in parts)
    assert content == b"a" * 5000 + bytes(2 * PAGE_BYTES - 5000)
    assert parts[-1] == (SIZES.ring + 2 * PAGE_BYTES, PAGE_BYTES)


def test_the_bytes_of_the_write_before_stay_where_the_ring_overtakes_a_write() -> None:
    ring = staging()
    ring.append([b"a" * 1000], Lsn(1))
    before = ring.head
    ring.append([b"b" * 3 * PAGE_BYTES], Lsn(2))
    parts = ring.vectors(2, before, ring.head)
    ring.append([b"z" * (SIZES.ring - PAGE_BYTES)], Lsn(3))

    content = b"".join(bytes(ring.arena.view[at : at + length]) for at, length in parts)
    assert ring.oldest > before
    assert content[:before] == b"a" * 1000
    assert len(content) == 4 * PAGE_BYTES


def test_a_run_ends_with_a_frame_and_never_past_its_limit() -> None:
    ring = staging()
    for number in range(5):
        ring.append([b"x" * 800], Lsn(number + 1))
    assert ring.run(0, 2000) == (0, 1600, Lsn(2))
    assert ring.run(1600, 4000) == (1600, 4000, Lsn(5))
    assert ring.run(4000, 9000) is None
    assert ring.run(0, 700) is None


def test_what_the_ring_has_overwritten_is_older_than_its_oldest_position() -> None:
    ring = staging()
    for number in range(3 * SIZES.ring // (1 << 16)):
        ring.append([bytes([number % 256]) * (1 << 16)], Lsn(number))
    assert ring.head - ring.oldest <= SIZES.ring
    assert ring.oldest % PAGE_BYTES == 0
    assert ring.start_after(ring.oldest) is not None
