"""Opening a segment reads on from where its log was noted to end, and only where that fits."""

from pathlib import Path
from uuid import UUID

import pytest

from cluster_runtime.storage.core.batch import Batch, encode
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import Cut
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId
from cluster_runtime.storage.disk import log_frames
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.end_note import END_FILE, EndNote
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.segment_store import SegmentStore, segment_directory

LOG = UUID(int=5)
A1 = SegmentId("a1")
BATCHES = 40


@pytest.fixture
def root(tmp_path: Path) -> Path:
    SegmentStore.create(tmp_path, LOG, A1, Mark(0, 0, 0, 0, 1), Membership(), direct=False).close()
    store = opened(tmp_path)
    grow(store, BATCHES)
    store.note_end(store.end_note())
    store.close()
    return tmp_path


def opened(root: Path) -> SegmentStore:
    return SegmentStore.open(root, LOG, A1, direct=False)


def grow(store: SegmentStore, batches: int) -> None:
    for _ in range(batches):
        tail, end = store.core.tail, Lsn(store.core.tail + 100)
        frame = encode(LOG, Batch(Epoch(0), tail, tail, end), b"x" * 100)
        store.log.write(store.end, frame)
        store.end += len(frame)
        store.core.restart(end, end)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The position of each frame that was decoded."""
    found: list[int] = []
    real = log_frames.decode

    def decode(volume: UUID | None, buffer: memoryview, offset: int = 0) -> object:
        result = real(volume, buffer, offset)
        found.append(offset)
        return result

    monkeypatch.setattr(log_frames, "decode", decode)
    return found


def end_file(root: Path) -> Path:
    return segment_directory(root, A1) / END_FILE


def test_what_was_noted_is_not_read_again(root: Path, decoded: list[int]) -> None:
    store = opened(root)
    assert (store.core.scl, store.core.consistent) == (100 * BATCHES, 100 * BATCHES)
    assert decoded == []
    store.promise(Epoch(1))
    assert decoded == []
    store.close()


def test_what_came_after_the_note_is_read_once(root: Path, decoded: list[int]) -> None:
    store = opened(root)
    grow(store, 3)
    store.close()
    store = opened(root)
    store.promise(Epoch(1))
    assert store.core.scl == 100 * (BATCHES + 3)
    assert len(decoded) == 3
    store.close()


def test_what_a_replaced_writer_wrote_meanwhile_is_found_by_the_promise(root: Path) -> None:
    store, other = opened(root), opened(root)
    grow(other, 2)
    assert store.core.scl == 100 * BATCHES
    assert store.promise(Epoch(1)).scl == 100 * (BATCHES + 2)
    store.close()
    other.close()


@pytest.mark.parametrize("damage", ["bytes", "history", "position", "missing"])
def test_a_note_that_does_not_fit_is_left_out_of_account(
    root: Path, decoded: list[int], damage: str
) -> None:
    path = end_file(root)
    fits = EndNote.decode(path.read_bytes(), ())
    assert fits is not None
    if damage == "bytes":
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "history":
        other = EndNote(fits.position, fits.lsn, fits.consistent, (Cut(Epoch(1), Lsn(5)),))
        path.write_bytes(other.encode())
    elif damage == "position":
        path.write_bytes(EndNote(1 << 40, fits.lsn, fits.consistent, ()).encode())
    else:
        path.unlink()
    store = opened(root)
    assert store.core.scl == 100 * BATCHES
    assert len(decoded) == BATCHES
    store.close()


def test_log_that_is_found_damaged_is_not_noted_any_more(root: Path) -> None:
    store = opened(root)
    later = store.end_note()
    store.damaged_behind(store.end // 2)
    assert not end_file(root).exists()
    store.note_end(later)
    assert not end_file(root).exists()
    store.close()


def log_file(root: Path) -> Path:
    (found,) = (segment_directory(root, A1) / "log").glob("*.log")
    return found


def test_what_was_made_ahead_of_need_is_given_back(root: Path) -> None:
    store = opened(root)
    store.log.add_file(store.log.end)
    store.give_back()
    store.close()
    assert log_file(root).stat().st_size == PAGE_BYTES * (1 + -(-store.end // PAGE_BYTES))
    again = opened(root)
    assert (again.core.scl, again.end) == (100 * BATCHES, store.end)
    again.promise(Epoch(1))
    position = -(-store.end // PAGE_BYTES) * PAGE_BYTES
    again.begin_epoch(position, 1)
    assert [file.start for file in again.log.files] == [0, position]
    again.close()


def test_a_log_without_a_frame_keeps_a_page_for_one(tmp_path: Path) -> None:
    store = SegmentStore.create(tmp_path, LOG, A1, Mark(0, 0, 0, 0, 1), Membership(), direct=False)
    store.give_back()
    assert log_file(tmp_path).stat().st_size == 2 * PAGE_BYTES
    grow(store, 1)
    store.close()
    assert opened(tmp_path).core.scl == 100


def test_nothing_is_given_back_of_a_file_that_another_volume_shares(root: Path) -> None:
    shared = root / "shared"
    shared.hardlink_to(log_file(root))
    store = opened(root)
    size = shared.stat().st_size
    store.give_back()
    assert shared.stat().st_size == size
    shared.unlink()
    store.give_back()
    assert log_file(root).stat().st_size < size


def test_who_was_replaced_gives_nothing_back(root: Path) -> None:
    replaced, other = opened(root), opened(root)
    other.promise(Epoch(7))
    size = log_file(root).stat().st_size
    replaced.give_back()
    assert log_file(root).stat().st_size == size
