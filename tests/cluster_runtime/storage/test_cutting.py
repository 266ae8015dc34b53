"""A volume as a cut of another one: where the cut falls, and six segments' files. No PostgreSQL."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.errors import QuorumLostError
from cluster_runtime.storage.core.batch import Batch, encode, frame_bytes
from cluster_runtime.storage.core.cutting import history_of_cut, place_of_cut
from cluster_runtime.storage.core.faults import Fault
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import Cut, is_sound, is_void
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.filesystem import HOST_DISK
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.segment_store import SegmentStore, segment_directory
from cluster_runtime.storage.live.cutting import place_at, plan_cut, write_cut
from cluster_runtime.storage.live.mount import Mount, Upkeep
from cluster_runtime.storage.live.volume_file import find_volume, write_volume_file
from cluster_runtime.storage.upkeep.scrub import file_is_whole

LOG_ID = UUID(int=11)
START = 1000
METADATA = VolumeMetadata(str(LOG_ID), 7, START, 1 << 20, "18.1", "aurora")

lengths = st.lists(st.integers(1, 3000), min_size=1, max_size=12)


def wal(start: int, end: int, writer: int) -> bytes:
    """WAL bytes that tell their LSN and who wrote them."""
    return random.Random(writer).randbytes(end)[start:end]


def make_volume(root: Path) -> Path:
    for segment in SEGMENT_IDS:
        mark = Mark(0, START, START, 0, 1)
        SegmentStore.create(
            root, LOG_ID, segment, mark, Membership(), direct=False, metadata=METADATA
        ).close()
    write_volume_file(HOST_DISK, root, METADATA)
    return root


@contextmanager
def opened(root: Path, *away: str) -> Iterator[Mount]:
    mount = Mount(root)
    mount.faults = {SegmentId(each): Fault.parse("crash") for each in away}

    def nothing(*_: object) -> None:
        """Nobody keeps this volume."""

    mount.open(Upkeep(nothing, nothing, nothing, nothing))
    try:
        yield mount
    finally:
        mount.close_node()


def append(mount: Mount, *ends: int, writer: int) -> None:
    """What a writer sends, each batch up to an LSN, as it lies in the files once it is durable."""
    volume = mount.node.volume
    for lane in mount.node.lanes:
        store, after = lane.store, int(volume.vdl)
        position = mount.opened.position
        for end in ends:
            batch = Batch(volume.epoch, Lsn(after), Lsn(after), Lsn(end), 1, True)
            frame = encode(LOG_ID, batch, wal(after, end, writer))
            store.log.write(position, frame)
            position, after = position + len(frame), end
        store.find_end()


def written(root: Path, *lengths: int, writer: int) -> list[int]:
    """Write batches of these lengths behind a volume's end; where each ends."""
    with opened(root) as mount:
        end = int(mount.node.volume.vdl)
        ends = [end := end + each for each in lengths]
        append(mount, *ends, writer=writer)
    return ends


def cut(root: Path, target: Path, lsn: int | None = None, *away: str) -> int:
    with opened(root, *away) as mount:
        place = place_at(mount, lsn)
        write_cut(mount, plan_cut(mount, "another", place, START), target)
        return int(place.end)


def read_all(root: Path) -> bytes:
    with opened(root) as mount:
        cursor = mount.cursor(START)
        return b"".join(iter(lambda: cursor.read(1 << 16), b""))


def whole(root: Path) -> bool:
    with opened(root) as mount:
        stores = [lane.store for lane in mount.node.lanes]
        return all(file_is_whole(store, file) for store in stores for file in store.log.files)


# where it falls -----------------------------------------------------------------------------------


@given(lengths, st.data())
def test_a_cut_falls_behind_the_last_batch_that_ends_below_it(
    sizes: list[int], data: st.DataObject
) -> None:
    ends, position, batches = START, 0, []
    for size in sizes:
        batch = Batch(Epoch(1), Lsn(ends), Lsn(ends), Lsn(ends + size))
        position, ends = position + frame_bytes(size), ends + size
        batches.append((position, batch))
    lsn = data.draw(st.integers(START, ends))
    place = place_of_cut((0, Lsn(START)), batches, Lsn(lsn))
    assert place.shared <= place.end == lsn
    shared = [(behind, batch) for behind, batch in batches if batch.end <= lsn]
    assert (place.position, place.shared) == (
        (shared[-1][0], shared[-1][1].end) if shared else (0, START)
    )
    with pytest.raises(LookupError, match="the log ends at"):
        place_of_cut((0, Lsn(START)), batches, Lsn(ends + 1))


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=6, unique_by=lambda c: c[0]
    ),
    st.lists(st.integers(0, 60), min_size=1, max_size=6),
    st.integers(0, 60),
    st.integers(1, 60),
)
def test_what_the_other_volume_writes_on_is_void_for_the_new_one(
    cuts: list[tuple[int, int]], promised: list[int], shared: int, length: int
) -> None:
    history = tuple(Cut(Epoch(epoch), Lsn(lsn)) for epoch, lsn in sorted(cuts))
    place = place_of_cut((0, Lsn(shared)), [], Lsn(shared))
    made = history_of_cut(history, map(Epoch, promised), place)
    newest = max([*promised, *(cut.epoch for cut in history)])
    assert is_sound(made[-1].epoch, made)
    assert made[-1] == Cut(Epoch(newest + 1), Lsn(shared))
    theirs = Batch(Epoch(newest), Lsn(shared), Lsn(shared), Lsn(shared + length))
    assert is_void(theirs, made)
    below = Batch(Epoch(0), Lsn(0), Lsn(0), Lsn(shared))
    if all(cut.lsn >= shared for cut in history):
        assert not is_void(below, made)


@pytest.mark.parametrize(
    ("lsn", "current", "ended"),
    [(100, 1, ()), (101, 2, ((1, 100),)), (200, 2, ((1, 100),)), (900, 3, ((1, 100), (2, 200)))],
)
def test_the_timelines_of_a_cut_end_where_it_does(
    lsn: int, current: int, ended: tuple[tuple[int, int], ...]
) -> None:
    assert Timelines(3, ((1, 100), (2, 200))).until(lsn) == Timelines(current, ended)


# on the disk --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_anywhere_holds_exactly_the_log_below_it(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    root = make_volume(tmp_path / "old")
    ends = written(root, *(rng.randint(1, 9000) for _ in range(8)), writer=1)
    ends += written(root, *(rng.randint(1, 9000) for _ in range(4)), writer=2)
    everything = read_all(root)
    for number in range(3):
        lsn = rng.choice([rng.randint(START, ends[-1]), rng.choice(ends)])
        target = tmp_path / f"new{number}"
        assert cut(root, target, lsn) == lsn
        assert read_all(target) == everything[: lsn - START]
        assert whole(target)
    assert whole(root)


def test_both_write_on_apart_and_a_cut_of_a_cut_does_too(tmp_path: Path) -> None:
    root, one, two = make_volume(tmp_path / "old"), tmp_path / "one", tmp_path / "two"
    written(root, 700, 800, writer=1)
    shared = read_all(root)
    fork = cut(root, one)
    written(root, 5000, writer=2)
    written(one, 300, 6000, writer=3)
    inside = cut(one, two, fork + 200)
    written(two, 100, writer=4)
    assert read_all(root) == shared + wal(fork, fork + 5000, 2)
    assert read_all(one) == shared + wal(fork, fork + 6300, 3)
    assert read_all(two) == shared + wal(fork, inside, 3) + wal(inside, inside + 100, 4)
    assert whole(root)
    assert whole(one)
    assert whole(two)


def test_what_is_written_while_it_is_cut_stays_out_of_it(tmp_path: Path) -> None:
    """The old volume goes on in the very page in which the cut lies, in files that both share."""
    root, target = make_volume(tmp_path / "old"), tmp_path / "new"
    written(root, 700, writer=1)
    before = read_all(root)
    with opened(root) as mount:
        append(mount, START + 900, writer=2)  # on its way: not durable yet, as far as it knows
        write_cut(mount, plan_cut(mount, "another", place_at(mount), START), target)
        append(mount, START + 900, START + 1300, writer=2)
    assert read_all(target) == before
    assert len(read_all(root)) == 1300
    written(target, 5, writer=3)
    assert len(read_all(target)) == 705


def test_it_is_known_by_an_identity_of_its_own_and_its_log_by_the_old_one(tmp_path: Path) -> None:
    root, target = make_volume(tmp_path / "old"), tmp_path / "new"
    written(root, 700, writer=1)
    cut(root, target)
    found = find_volume(HOST_DISK, target, frozenset()).metadata
    assert (found.identity, found.volume_id) == ("another", str(LOG_ID))
    assert find_volume(HOST_DISK, root, frozenset()).metadata.identity == str(LOG_ID)
    state = (segment_directory(target, SegmentId("a1")) / "segment.json").read_bytes()
    assert state.startswith(b"borealis segment 4 ")


def test_a_segment_that_lacks_log_is_left_out_and_too_few_make_no_volume(tmp_path: Path) -> None:
    root, target = make_volume(tmp_path / "old"), tmp_path / "new"
    written(root, 700, writer=1)
    cut(root, target, None, "b2")
    assert not segment_directory(target, SegmentId("b2")).exists()
    with opened(target) as mount:
        assert not mount.opened.read_only
        assert len(mount.node.lanes) == 5
    with pytest.raises(QuorumLostError, match="it takes 4 of every six"):
        cut(root, tmp_path / "none", None, "b2", "c1", "a1")


def test_a_repair_writes_into_no_file_that_another_volume_shares(tmp_path: Path) -> None:
    root, target = make_volume(tmp_path / "old"), tmp_path / "new"
    written(root, 3000, 3000, writer=1)
    cut(root, target)
    before = read_all(target)
    with opened(root) as mount:
        for lane in mount.node.lanes:
            for file in lane.store.log.files:
                theirs = segment_directory(target, lane.store.id) / "log" / file.path.name
                if not theirs.exists():
                    continue
                content = theirs.read_bytes()
                assert file.path.stat().st_nlink == 2
                lane.store.log.write(file.start + 100, b"\xff" * 50)
                assert theirs.read_bytes() == content
                assert theirs.stat().st_nlink == 1
    assert read_all(target) == before


def test_a_mark_that_is_written_late_stays_with_whoever_writes_it(tmp_path: Path) -> None:
    root, target = make_volume(tmp_path / "old"), tmp_path / "new"
    written(root, 3000, writer=1)
    cut(root, target)
    with opened(target) as mount:
        log = mount.node.lanes[0].store.log
        file = log.files[0]
        theirs = segment_directory(root, mount.node.lanes[0].store.id) / "log" / file.path.name
        content = theirs.read_bytes()
        log.set_mark(file, Mark(file.start, START, START, 9, 1))
        assert theirs.read_bytes() == content
        assert log.mark(log.files[0]) == Mark(file.start, START, START, 9, 1)


def test_log_below_what_it_needs_is_not_shared(tmp_path: Path) -> None:
    root, target = make_volume(tmp_path / "old"), tmp_path / "new"
    for _ in range(3):
        written(root, *([250_000] * 4), writer=1)
    with opened(root) as mount:
        plan = plan_cut(mount, "another", place_at(mount), (2 << 20) + 17)
        write_cut(mount, plan, target)
        files = len(mount.node.lanes[0].store.log.files)
    with opened(target) as mount:
        assert mount.index.oldest > START
        assert mount.index.oldest <= 2 << 20
        assert len(mount.node.lanes[0].store.log.files) < files
        assert mount.cursor(2 << 20).read(100) == wal(2 << 20, (2 << 20) + 100, 1)


def test_the_first_page_of_a_new_log_is_never_one_of_the_old(tmp_path: Path) -> None:
    root, target = make_volume(tmp_path / "old"), tmp_path / "new"
    written(root, 700, writer=1)
    with opened(root) as mount:
        plan = plan_cut(mount, "another", place_at(mount), START)
        assert plan.position % PAGE_BYTES == 0
        assert plan.place.position <= plan.position < plan.place.position + PAGE_BYTES
        write_cut(mount, plan, target)
