"""Rot in what says where a log begins and ends: one segment is lost by it, five are not wrong."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from cluster_runtime.errors import QuorumLostError, StorageError
from cluster_runtime.storage.core.durability import Opening, read_point, recovery_point
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import Cut, SegmentStatus, is_sound
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId
from cluster_runtime.storage.disk.filesystem import HOST_DISK
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.segment_store import (
    PROMISED_FILE,
    SegmentStore,
    SegmentUnreadableError,
    segment_directory,
)
from cluster_runtime.storage.disk.state_file import (
    STATE_FILE,
    SegmentStateFile,
    StateDamagedError,
)
from cluster_runtime.storage.live.opening import OpenedVolume, open_volume
from cluster_runtime.storage.live.volume_file import (
    VOLUME_FILE,
    find_volume,
    write_volume_file,
)
from tests.cluster_runtime.storage.live.test_log_on_disk import VOLUME, opened, put

START = Lsn(1000)
METADATA = VolumeMetadata(str(VOLUME), 4711, START, 1 << 20, "18.0", "aurora", base="abc")


def state(**changes: object) -> SegmentStateFile:
    history = (Cut(Epoch(1), START), Cut(Epoch(4), Lsn(1100)))
    given = {
        "volume": VOLUME,
        "segment": SegmentId("a1"),
        "promised": Epoch(4),
        "history": history,
        "membership": Membership(),
        "floor": START,
        "metadata": METADATA,
    }
    return SegmentStateFile(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for segment in SEGMENT_IDS:
        mark = Mark(0, START, START, 0, 1)
        SegmentStore.create(
            tmp_path, VOLUME, segment, mark, Membership(), direct=False, metadata=METADATA
        ).close()
    write_volume_file(HOST_DISK, tmp_path, METADATA)
    with opened(tmp_path) as first:
        for store in first.stores.values():
            put(store, first.position, 1, 1100, 9000, after=START)
    return tmp_path


def reopened(root: Path) -> OpenedVolume:
    volume = open_volume(root, VOLUME, timeline=1, unreachable=frozenset(), direct=False)
    for store in volume.stores.values():
        store.close()
    return volume


def test_a_state_file_comes_back_as_it_was_written() -> None:
    assert SegmentStateFile.decode(state().encode(), accept_format_1=False) == state()


@pytest.mark.parametrize("of_readers", [False, True])
def test_no_flipped_bit_of_a_state_file_goes_unseen(of_readers: bool) -> None:
    history = (Cut(Epoch(1), START), Cut(Epoch(4), Lsn(1100), of_readers))
    content = state(history=history).encode()
    for at in range(len(content)):
        for bit in range(8):
            rotten = bytearray(content)
            rotten[at] ^= 1 << bit
            with pytest.raises(StateDamagedError):
                SegmentStateFile.decode(bytes(rotten), accept_format_1=False)


@pytest.mark.parametrize("cut", [0, 1, 20, 41, 42, 100, -1])
def test_no_part_of_a_state_file_passes_for_all_of_it(cut: int) -> None:
    with pytest.raises(StateDamagedError):
        SegmentStateFile.decode(state().encode()[:cut], accept_format_1=True)


def test_a_history_above_its_own_promise_is_damage_in_any_format() -> None:
    """A segment cannot have a cut of a writer that it never promised to."""
    beyond = state(history=(Cut(Epoch(1), START), Cut(Epoch(260), START)))
    with pytest.raises(StateDamagedError, match="260"):
        SegmentStateFile.decode(beyond.encode(), accept_format_1=False)
    bare = beyond.encode().partition(b"\n")[2]
    with pytest.raises(StateDamagedError, match="260"):
        SegmentStateFile.decode(bare, accept_format_1=True)
    assert not is_sound(Epoch(9), (Cut(Epoch(3), START), Cut(Epoch(3), START)))
    assert not is_sound(Epoch(9), (Cut(Epoch(4), START), Cut(Epoch(3), START)))
    assert is_sound(Epoch(4), (Cut(Epoch(3), START), Cut(Epoch(4), START)))


def test_an_opening_hears_nothing_of_a_damaged_history() -> None:
    def status(segment: SegmentId, *cuts: int, scl: int = 9000) -> SegmentStatus:
        history = tuple(Cut(Epoch(each), START) for each in cuts)
        lsn = Lsn(scl)
        return SegmentStatus(segment, Epoch(2), history, lsn, lsn, START, Membership())

    good = [status(each, 1) for each in SEGMENT_IDS[:5]]
    rotten = status(SEGMENT_IDS[5], 1, 300, scl=1000)
    opening = Opening()
    for each in (*good, rotten):
        opening.seen(each)
        opening.epoch = Epoch(2)
        opening.promised(each)
    assert opening.cut()[-1].lsn == 9000
    assert read_point([*good[:2], rotten, good[3]], Membership()).lsn == 9000
    assert recovery_point(good)[1] == 9000


@pytest.mark.parametrize("digit", [b"1", b"4"])
def test_rot_in_one_state_file_costs_nothing_that_was_acknowledged(
    root: Path, digit: bytes
) -> None:
    """The bit that made a history win over five others: 200 acknowledged rows were gone."""
    path = segment_directory(root, SegmentId("b2")) / STATE_FILE
    content = bytearray(path.read_bytes())
    at = content.index(b'"history": [[') + len(b'"history": [[')
    content[at] ^= digit[0]
    path.write_bytes(content)
    volume = reopened(root)
    assert volume.volume.vdl == 9000
    assert SegmentId("b2") not in volume.stores


@pytest.mark.parametrize(
    "damage", [lambda c: b"", lambda c: c[:70], lambda c: b"\0" * len(c), lambda c: c[::-1], None]
)
def test_a_state_file_that_is_gone_or_garbage_is_one_segment_lost(
    root: Path, damage: object
) -> None:
    path = segment_directory(root, SegmentId("c1")) / STATE_FILE
    if callable(damage):
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    volume = reopened(root)
    assert volume.volume.vdl == 9000
    assert set(volume.stores) == set(SEGMENT_IDS) - {"c1"}


def test_the_state_of_another_segment_in_its_place_is_damage(root: Path) -> None:
    other = (segment_directory(root, SegmentId("a1")) / STATE_FILE).read_bytes()
    (segment_directory(root, SegmentId("a2")) / STATE_FILE).write_bytes(other)
    with pytest.raises(SegmentUnreadableError, match="holds segment a1"):
        SegmentStore.open(root, VOLUME, SegmentId("a2"), direct=False)


@pytest.mark.parametrize("board", [b"\xff" * 8, b"\0" * 8, b"\0" * 7 + b"\x80", b""])
def test_rot_on_the_promise_board_changes_nothing(root: Path, board: bytes) -> None:
    """It is how processes hear of each other; what is promised for good is in the state file."""
    for segment in ("a1", "b1", "c1", "c2"):
        path = segment_directory(root, SegmentId(segment)) / PROMISED_FILE
        path.write_bytes(board + path.read_bytes()[8:] if board else b"")
    volume = reopened(root)
    assert volume.volume.vdl == 9000
    assert volume.volume.epoch == 2
    assert len(volume.stores) == 6


# the volume's metadata ----------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage", "flipped"])
def test_the_volume_file_is_a_copy_and_nothing_depends_on_it(root: Path, damage: str) -> None:
    path = root / VOLUME_FILE
    content = path.read_bytes()
    match damage:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(content[:40])
        case "garbage":
            path.write_bytes(b"\xfe" * 100)
        case "flipped":
            path.write_bytes(content.replace(b"4711", b"4713"))
    found = find_volume(HOST_DISK, root, frozenset())
    assert (found.metadata, found.format_1) == (METADATA, False)


def test_a_volume_file_that_says_the_same_already_is_not_written_again(root: Path) -> None:
    path = root / VOLUME_FILE
    before = path.stat().st_ino
    write_volume_file(HOST_DISK, root, METADATA)
    assert path.stat().st_ino == before
    changed = replace(METADATA, storage_type="aurora-iopt1")
    write_volume_file(HOST_DISK, root, changed)
    assert path.stat().st_ino != before
    assert find_volume(HOST_DISK, root, frozenset()).metadata == METADATA, "segments count"


def test_the_newest_metadata_of_any_segment_counts(root: Path) -> None:
    newer = VolumeMetadata(
        str(VOLUME), 4711, START, 1 << 20, "18.0", "aurora-iopt1", base="abc", version=(7, 1)
    )
    store = SegmentStore.open(root, VOLUME, SegmentId("c2"), direct=False)
    store.metadata = newer
    store.persist()
    store.close()
    assert find_volume(HOST_DISK, root, frozenset()).metadata == newer
    volume = reopened(root)
    assert {each.metadata for each in volume.stores.values()} == {newer}


def test_a_volume_without_its_file_and_without_segments_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no readable volume"):
        find_volume(HOST_DISK, tmp_path, frozenset())


def test_most_segments_name_the_volume_where_one_is_another_ones(root: Path) -> None:
    (root / VOLUME_FILE).unlink()
    path = segment_directory(root, SegmentId("a2")) / STATE_FILE
    foreign = VolumeMetadata(str(UUID(int=5)), 1, START, 1 << 20, "18.0", "aurora", version=(99, 1))
    path.write_bytes(state(volume=UUID(int=5), metadata=foreign).encode())
    assert find_volume(HOST_DISK, root, frozenset()).metadata == METADATA


# format 1 -----------------------------------------------------------------------------------------


def make_format_1(root: Path, *segments: str) -> None:
    """What the release before wrote: bare JSON, and the metadata in one file."""
    for segment in segments:
        path = segment_directory(root, SegmentId(segment)) / STATE_FILE
        content = json.loads(path.read_bytes().partition(b"\n")[2])
        del content["facts"]
        path.write_text(json.dumps(content))


def test_state_without_a_checksum_is_taken_from_a_volume_of_format_1_alone(root: Path) -> None:
    make_format_1(root, *SEGMENT_IDS)
    with pytest.raises(QuorumLostError):
        reopened(root)
    old = open_volume(
        root, VOLUME, timeline=1, unreachable=frozenset(), direct=False, format_1=METADATA
    )
    for store in old.stores.values():
        store.close()
    assert old.volume.vdl == 9000
    assert {each.metadata for each in old.stores.values()} == {METADATA}
    assert reopened(root).volume.vdl == 9000
    make_format_1(root, "a1")
    volume = reopened(root)
    assert (volume.volume.vdl, SegmentId("a1") in volume.stores) == (9000, False)


def test_a_false_mark_of_format_1_is_found_when_it_is_opened(root: Path) -> None:
    """In that format a segment could claim log up to a file that was copied ahead."""
    store = SegmentStore.open(root, VOLUME, SegmentId("b2"), direct=False)
    end = store.end + -store.end % 4096
    file = store.log.add_file(end, 1 << 20, Mark(end, 20_000, 20_000, 1, 1))
    put(store, end, 1, 20_100, after=20_000)
    store.close()
    store = SegmentStore.open(root, VOLUME, SegmentId("b2"), direct=False)
    claimed = store.core.scl
    store.close()
    make_format_1(root, "b2")
    checked = SegmentStore.open(root, VOLUME, SegmentId("b2"), direct=False, accept_format_1=True)
    checked.close()
    assert claimed == 20_100
    assert checked.core.scl == 9000
    assert not file.path.exists()
