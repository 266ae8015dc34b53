"""The log as it lies in six segments' files, after cuts, torn writes and damage. No PostgreSQL."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import UUID

import pytest

from cluster_runtime.errors import QuorumLostError, StorageError
from cluster_runtime.storage.core.batch import Batch, encode, frame_bytes
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import Cut
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.commit.lanes import IoCounts
from cluster_runtime.storage.live.cursor import LogCursor, LogIndex
from cluster_runtime.storage.live.node import StorageNode
from cluster_runtime.storage.live.opening import OpenedVolume, open_volume
from cluster_runtime.storage.simulation.disk import KilledError, SimulatedDisk
from cluster_runtime.storage.upkeep.scrub import file_is_whole

VOLUME = UUID(int=11)
START = Lsn(1000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for segment in SEGMENT_IDS:
        mark = Mark(0, START, START, 0, 1)
        SegmentStore.create(tmp_path, VOLUME, segment, mark, Membership(), direct=False).close()
    return tmp_path


@contextmanager
def opened(root: Path, *away: str) -> Iterator[OpenedVolume]:
    unreachable = frozenset(map(SegmentId, away))
    volume = open_volume(root, VOLUME, timeline=1, unreachable=unreachable, direct=False)
    try:
        yield volume
    finally:
        for store in volume.stores.values():
            store.close()


def wal(start: int, end: int, epoch: int) -> bytes:
    """WAL bytes that tell their LSN and the writer that wrote them."""
    return random.Random(epoch).randbytes(end)[start:end]


def put(
    store: SegmentStore, position: int, epoch: int, *ends: int, after: int, whole: bool = True
) -> int:
    """Write frames as a writer of `epoch` would; return where the last one ends."""
    for end in ends:
        batch = Batch(Epoch(epoch), Lsn(after), Lsn(after), Lsn(end), 1, whole)
        frame = encode(VOLUME, batch, wal(after, end, epoch))
        store.log.write(position, frame)
        position += len(frame)
        after = end
    return position


def read_all(volume: OpenedVolume, damaged: Callable[[SegmentStore], None] | None = None) -> bytes:
    """What a reader from the start of the log is given."""
    stores = list(volume.stores.values())
    node = StorageNode(
        volume.volume,
        stores,
        position=volume.position,
        wal_segment_bytes=1 << 20,
        storage_type="aurora",
        counts=IoCounts(),
        prepare=lambda position: None,
        fell_behind=lambda segment: None,
        writer_lost=lambda attachment, error: None,
    )
    node.start()
    try:
        index = LogIndex(max(stores, key=lambda store: store.end))
        cursor = LogCursor(node, START, index.start_before(START), damaged or (lambda store: None))
        return b"".join(iter(lambda: cursor.read(1 << 16), b""))
    finally:
        node.close()


def test_a_batch_that_a_cut_made_void_is_never_read_again(root: Path) -> None:
    """It lies whole between the end of the old epoch's log and the new one's first page."""
    with opened(root) as first:
        for store in first.stores.values():
            end = put(store, first.position, 1, 1100, after=START)
            put(store, end, 1, 1130, after=1100, whole=False)
    with opened(root) as second:
        assert second.volume.vdl == 1100
        assert read_all(second) == wal(1000, 1100, 1)
    with opened(root) as third:
        for store in third.stores.values():
            put(store, third.position, 3, 1200, after=1100)
    with opened(root) as fourth:
        assert read_all(fourth) == wal(1000, 1100, 1) + wal(1100, 1200, 3)


def test_a_batch_that_the_end_of_the_process_tore_stops_no_reader(root: Path) -> None:
    with opened(root) as first:
        for store in first.stores.values():
            end = put(store, first.position, 1, 1100, after=START)
            torn = Batch(Epoch(1), Lsn(1100), Lsn(1100), Lsn(20_000), 1)
            store.log.write(end, encode(VOLUME, torn, wal(1100, 20_000, 1))[: PAGE_BYTES - end])
    with opened(root) as second:
        assert second.volume.vdl == 1100
        for store in second.stores.values():
            put(store, second.position, 2, 1200, after=1100)
    with opened(root) as third:
        assert read_all(third) == wal(1000, 1100, 1) + wal(1100, 1200, 2)


def test_a_write_that_a_disk_lost_is_read_from_another_segment(root: Path) -> None:
    with opened(root) as first:
        for store in first.stores.values():
            put(store, first.position, 1, 1100, 9000, 19_000, after=START)
    with opened(root) as second:
        a1 = second.stores[SegmentId("a1")]
        at = frame_bytes(100)
        a1.log.write(at, bytes(frame_bytes(7900)))
        noticed: list[SegmentStore] = []
        assert read_all(second, noticed.append) == wal(1000, 19_000, 1)
        assert a1 in noticed


def test_readers_of_three_segments_see_nothing_of_a_log_that_was_cut(root: Path) -> None:
    """a1 slept through the cut of epoch 2; its log is longer, and void."""
    with opened(root) as first:
        for store in first.stores.values():
            end = put(store, first.position, 1, 1100, after=START)
            if store.id == "a1":
                put(store, end, 1, 1150, 9000, after=1100)
    with opened(root, "a1") as second:
        assert second.volume.vdl == 1100
        for store in second.stores.values():
            put(store, second.position, 2, 1200, after=1100)
    for again in range(2):
        with opened(root, "a2", "b2", "c2") as readers:
            assert readers.read_only
            assert readers.volume.vdl == 1200
            assert read_all(readers) == wal(1000, 1100, 1) + wal(1100, 1200, 2), again
    for segment in ("b1", "c1"):
        shutil.rmtree(root / f"az-{segment[0]}" / segment)
    with opened(root) as third:
        assert third.volume.vdl == 1200


def test_what_a_crashed_opening_began_is_no_hindrance_to_a_later_one(root: Path) -> None:
    """Epoch 2 cut at 1100 on a1 alone and began its file there; epoch 3 finds log up to 9000."""
    with opened(root) as first:
        for store in first.stores.values():
            put(store, first.position, 1, 1100, 9000, after=START)
    store = SegmentStore.open(root, VOLUME, SegmentId("a1"), direct=False)
    history = store.core.history
    store.perform(store.core.promise(Epoch(2)))
    store.perform(store.core.adopt((*history, Cut(Epoch(2), Lsn(1100))), Membership()))
    store.begin_epoch(PAGE_BYTES, 1)
    store.close()
    with opened(root, "a1") as second:
        assert second.volume.vdl == 9000
    with opened(root) as third:
        assert {each.core.scl for each in third.stores.values()} == {9000}
        a1 = third.stores[SegmentId("a1")]
        assert [frame.batch.end for frame in a1.frames(0, previous=START)] == [1100, 9000]


@pytest.mark.parametrize("kept", [0, 100, frame_bytes(100), 500, PAGE_BYTES, 9_000])
def test_a_log_file_that_was_cut_short_gets_its_length_back(root: Path, kept: int) -> None:
    """Without it a frame of its peers would lie in two files, where nobody reads it."""
    with opened(root) as first:
        for store in first.stores.values():
            put(store, first.position, 1, 1100, 9000, 19_000, after=START)
        path = first.stores[SegmentId("a1")].log.files[0].path
    os.truncate(path, PAGE_BYTES + kept)
    with opened(root) as second:
        assert second.stores[SegmentId("a1")].core.scl == 19_000
    for _ in range(2):
        with closing(SegmentStore.open(root, VOLUME, SegmentId("a1"), direct=False)) as a1:
            ends = [frame.batch.end for frame in a1.frames(0, previous=START)]
            assert ends == [1100, 9000, 19_000]
            assert a1.core.scl == 19_000


@pytest.mark.parametrize("kept", [frame_bytes(100), 200, 500, 2_000, PAGE_BYTES - 1])
def test_a_log_file_that_was_cut_short_leaves_no_hole_before_the_next_epoch(
    root: Path, kept: int
) -> None:
    """All its frames are there; what follows a hole would not count any more."""
    with opened(root) as first:
        for store in first.stores.values():
            put(store, first.position, 1, 1100, after=START)
        path = first.stores[SegmentId("a1")].log.files[0].path
    os.truncate(path, PAGE_BYTES + kept)
    with opened(root) as second:
        for store in second.stores.values():
            put(store, second.position, 2, 1200, after=1100)
    with closing(SegmentStore.open(root, VOLUME, SegmentId("a1"), direct=False)) as a1:
        assert a1.core.scl == 1200


def test_a_log_file_that_was_cut_short_while_it_is_open_is_taken_over_in_its_length(
    root: Path,
) -> None:
    with closing(SegmentStore.open(root, VOLUME, SegmentId("a1"), direct=False)) as a1:
        end = put(a1, 0, 1, 1100, after=START)
        whole = a1.log.end
        os.truncate(a1.log.files[0].path, PAGE_BYTES + end + 50)
        a1.log.epoch = 2
        put(a1, end, 2, 9000, after=1100)
        assert len(a1.log.files) == 1
        assert a1.log.end == whole
        assert [frame.batch.end for frame in a1.frames(0, previous=START)] == [1100, 9000]


def test_collected_files_that_a_power_cut_brought_back_are_gone_after_an_opening(
    root: Path,
) -> None:
    with opened(root) as first:
        for store in first.stores.values():
            put(store, first.position, 1, 1100, after=START)
    with opened(root) as second:
        for store in second.stores.values():
            put(store, second.position, 2, 1200, after=1100)
    with opened(root) as third:
        a1 = third.stores[SegmentId("a1")]
        back = a1.log.files[0].path
        a1.core.collect(Lsn(1100))
        a1.persist()
    with closing(SegmentStore.open(root, VOLUME, SegmentId("a1"), direct=False)) as a1:
        assert a1.core.scl == 1200
        assert not back.exists()
        assert [frame.batch.end for frame in a1.frames(a1.log.start)] == [1200]


def test_a_log_that_is_collected_while_a_new_writer_opens_it_takes_part_all_the_same(
    root: Path,
) -> None:
    """The writer before it is not fenced yet, and has its reasons to collect."""
    for epoch, last in enumerate((START, 1100, 1200), 1):
        with opened(root) as volume:
            for store in volume.stores.values():
                put(store, volume.position, epoch, last + 100, after=last)
    with (
        closing(SegmentStore.open(root, VOLUME, SegmentId("a1"), direct=False)) as old,
        closing(SegmentStore.open(root, VOLUME, SegmentId("a1"), direct=False)) as new,
    ):
        assert new.log.begins() == START
        old.core.collect(Lsn(1200))
        old.persist()
        old.collect(old.position_of(Lsn(1200)))
        assert old.log.begins() == 1200
        promised = new.promise(Epoch(new.core.promised + 1))
        assert (promised.scl, promised.begins) == (1300, 0)


def test_where_a_log_was_said_to_begin_no_power_cut_brings_back_what_was_before() -> None:
    """An opening leaves out the cuts below: nobody could tell void log from other log there."""
    segment, root = SegmentId("a1"), Path("/volume")
    for seed in range(60):
        rng = random.Random(seed)
        disk = SimulatedDisk(rng, root)
        mark = Mark(0, START, START, 0, 1)
        made = SegmentStore.create(
            root, VOLUME, segment, mark, Membership(), direct=True, disk=disk
        )
        made.close()
        said, last = 0, START
        for epoch in range(1, 8):
            store = SegmentStore.open(root, VOLUME, segment, direct=True, disk=disk)
            assert store.log.begins() >= said
            said = store.promise(Epoch(epoch)).begins
            cut = (*store.core.history, Cut(Epoch(epoch), last))
            store.perform(store.core.adopt(cut, Membership()))
            if rng.random() < 0.8:
                store.begin_epoch(-(-store.end // PAGE_BYTES) * PAGE_BYTES, 1)
                put(store, store.end, epoch, last + 100, after=last)
                last = Lsn(last + 100)
            if rng.random() < 0.7:
                store.find_end()
                floor = max(store.log.begins(), last - rng.choice((0, 50, 100, 250)))
                store.core.collect(Lsn(floor))
                store.persist()
                disk.killed_after = rng.choice((None, 0, 1, 2))
                with suppress(KilledError):
                    store.collect(store.position_of(Lsn(floor - floor % 100)))
                disk.killed_after = None
            if rng.random() < 0.6:
                disk.cut_power()


def test_two_segments_are_too_few_to_read(root: Path) -> None:
    with pytest.raises(QuorumLostError), opened(root, "a1", "a2", "b1", "b2"):
        pass


def test_log_that_is_damaged_everywhere_is_an_error_and_no_gap(root: Path) -> None:
    with opened(root) as first:
        for store in first.stores.values():
            put(store, first.position, 1, 1100, 1200, after=START)
    with opened(root) as second:
        for store in second.stores.values():
            store.log.write(frame_bytes(100), bytes(frame_bytes(100)))
        with pytest.raises(StorageError, match="damaged at log position"):
            read_all(second)


def test_each_file_of_a_log_is_verified_by_itself(root: Path) -> None:
    """A scrub that followed the whole chain for each file would take the square of its time."""
    end = int(START)
    for epoch in range(1, 6):
        with opened(root) as volume:
            for store in volume.stores.values():
                put(store, volume.position, epoch, end + 50, end + 100, after=end)
            end += 100
    with opened(root) as volume:
        store = volume.stores[SEGMENT_IDS[0]]
        files = [file for file in store.log.files if file.start <= store.end]
        assert len(files) > 5
        assert all(file_is_whole(store, file) for file in files)
        rotten = files[3]
        with rotten.path.open("r+b") as opened_file:
            opened_file.seek(PAGE_BYTES + 10)
            opened_file.write(b"rot")
        assert [file_is_whole(store, file) for file in files].count(False) == 1
