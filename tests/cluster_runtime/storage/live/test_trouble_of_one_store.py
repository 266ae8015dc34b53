"""What befalls the files of one segment is that segment's trouble, and nobody else's."""

import errno
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from cluster_runtime.errors import QuorumLostError
from cluster_runtime.storage.core.batch import Batch, encode
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import Cut
from cluster_runtime.storage.core.types import SEGMENT_IDS, Epoch, Lsn, SegmentId
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.filesystem import HostDisk
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.segment_store import (
    SegmentAwayError,
    SegmentStore,
    SegmentUnreadableError,
)
from cluster_runtime.storage.live.gossip import begin_again, copy_log, have_file
from cluster_runtime.storage.live.opening import OpenedVolume, open_volume
from cluster_runtime.storage.simulation.disk import KilledError, SimulatedDisk
from cluster_runtime.storage.simulation.inspect import Inspector
from cluster_runtime.storage.upkeep.worker import Worker
from tests.waiting import wait_until

VOLUME = UUID(int=21)
ROOT = Path("/volume")
START = Lsn(1000)


@pytest.fixture
def disk() -> SimulatedDisk:
    made = SimulatedDisk(random.Random(1), ROOT)
    for segment in SEGMENT_IDS:
        mark = Mark(0, START, START, 0, 1)
        SegmentStore.create(
            ROOT, VOLUME, segment, mark, Membership(), direct=True, disk=made
        ).close()
    volume = opened(made)
    for store in volume.stores.values():
        put(store, volume.position, 1, 1100, 2000)
    made.sync_tree(ROOT, [])
    return made


def opened(disk: SimulatedDisk, *away: str) -> OpenedVolume:
    unreachable = frozenset(map(SegmentId, away))
    return open_volume(ROOT, VOLUME, timeline=1, unreachable=unreachable, direct=True, disk=disk)


def put(store: SegmentStore, position: int, epoch: int, *ends: int, after: int = START) -> int:
    for end in ends:
        batch = Batch(Epoch(epoch), Lsn(after), Lsn(after), Lsn(end), 1)
        frame = encode(VOLUME, batch, bytes([epoch]) * (end - after))
        store.log.write(position, frame)
        position, after = position + len(frame), end
    return position


REFUSALS = [errno.EIO, errno.ENOSPC, errno.EROFS]


@pytest.mark.parametrize("code", REFUSALS, ids=errno.errorcode.get)
@pytest.mark.parametrize("segment", ["a1", "c2"])
def test_a_disk_that_refuses_keeps_one_segment_out_and_no_more(
    disk: SimulatedDisk, segment: str, code: int
) -> None:
    disk.refusals[f"az-{segment[0]}/{segment}"] = code
    volume = opened(disk)
    assert set(volume.stores) == set(SEGMENT_IDS) - {segment}
    assert (volume.volume.vdl, volume.read_only) == (2000, False)
    disk.refusals.clear()
    assert set(opened(disk).stores) == set(SEGMENT_IDS)


@pytest.mark.parametrize("change", range(0, 40, 3))
@pytest.mark.parametrize("code", REFUSALS, ids=errno.errorcode.get)
def test_a_disk_that_begins_to_refuse_in_the_middle_of_an_opening(
    disk: SimulatedDisk, change: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever step: the promise, the new history, the new file."""
    changes = 0
    original = SimulatedDisk._changing

    def changing(self: SimulatedDisk, path: Path) -> str:
        nonlocal changes
        if "/b1/" in str(path):
            changes += 1
            if changes > change:
                self.refusals["az-b/b1"] = code
        return original(self, path)

    monkeypatch.setattr(SimulatedDisk, "_changing", changing)
    volume = opened(disk)
    assert volume.volume.vdl == 2000
    assert len(volume.stores) >= 5
    monkeypatch.undo()
    disk.refusals.clear()
    again = opened(disk)
    assert (again.volume.vdl, len(again.stores)) == (2000, 6)


def test_three_disks_that_refuse_are_too_many_to_write_and_few_enough_to_read(
    disk: SimulatedDisk,
) -> None:
    for segment in ("a1", "b1", "c1"):
        disk.refusals[f"az-{segment[0]}/{segment}"] = errno.EIO
    volume = opened(disk)
    assert (volume.volume.vdl, volume.read_only) == (2000, True)
    disk.refusals["az-a/a2"] = errno.EIO
    with pytest.raises(QuorumLostError):
        opened(disk)


def test_away_and_lost_are_told_apart(disk: SimulatedDisk) -> None:
    """One comes back as it was; the other one is replaced at once."""
    disk.refusals["az-a/a1"] = errno.EIO
    with pytest.raises(SegmentAwayError):
        SegmentStore.open(ROOT, VOLUME, SegmentId("a1"), direct=True, disk=disk)
    disk.refusals.clear()
    disk.lose("az-a/a1/segment.json")
    with pytest.raises(SegmentUnreadableError) as lost:
        SegmentStore.open(ROOT, VOLUME, SegmentId("a1"), direct=True, disk=disk)
    assert not isinstance(lost.value, SegmentAwayError)


def test_a_segment_that_cannot_be_cut_where_it_has_to_be_is_of_no_use(disk: SimulatedDisk) -> None:
    """Its log begins behind the cut, or has no batch that ends there: that was swallowed once."""
    volume = opened(disk)
    store = volume.stores[SegmentId("b2")]
    assert store.core.tail == 2000
    history = (*store.core.history[:1], Cut(Epoch(9), Lsn(1050)))
    with pytest.raises(SegmentUnreadableError, match="cannot be cut"):
        store.perform(store.core.adopt(history, Membership()))


def test_a_source_that_cannot_be_read_is_not_the_trouble_of_who_copies(
    disk: SimulatedDisk,
) -> None:
    volume = opened(disk, "c2")
    target = SegmentStore.create(
        ROOT,
        VOLUME,
        SegmentId("c2.2"),
        Mark(0, START, START, 0, 1),
        Membership(),
        direct=True,
        disk=disk,
    )
    source = volume.stores[SegmentId("a1")]
    disk.refusals["az-a/a1"] = errno.EIO
    assert copy_log(target, source, 0, START) == (0, START)
    disk.refusals.clear()
    assert copy_log(target, source, 0, START)[1] == 2000


# marks --------------------------------------------------------------------------------------------


def segments(disk: SimulatedDisk) -> tuple[SegmentStore, SegmentStore]:
    """One with three files of log, and one that has none of it."""
    volume = opened(disk, "c2")
    source = volume.stores[SegmentId("a1")]
    position, lsn = source.end, 2000
    for _ in range(12):
        if position + 2000 > source.log.end:
            position = source.log.end
            source.log.add_file(position, 0, Mark(position, lsn, lsn, 1, 1))
        position = put(source, position, source.core.promised, lsn + 1000, after=lsn)
        lsn += 1000
    source.find_end()
    assert source.core.scl == lsn
    first = source.log.mark(source.log.files[0])
    assert first is not None
    target = SegmentStore.create(
        ROOT, VOLUME, SegmentId("c2.2"), first,
        Membership(), direct=True, disk=disk, history=source.core.history,
    )  # fmt: skip
    target.core.promised = source.core.promised
    target.persist()
    return source, target


@pytest.mark.parametrize("writes", range(1, 7))
def test_a_copy_that_stops_anywhere_leaves_no_mark_ahead_of_the_log(
    disk: SimulatedDisk, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away, closed, a new epoch: whatever stopped it, the next opening must not believe more."""
    source, target = segments(disk)
    monkeypatch.setattr("cluster_runtime.storage.live.gossip.COPY_BYTES", 1500)
    left = writes

    def stopped() -> bool:
        nonlocal left
        left -= 1
        return left <= 0

    end, lsn = copy_log(target, source, 0, START, stopped=stopped)
    for file in source.log.files:
        if file.end > end:
            have_file(target, source, file.start, lsn)
    target.find_end()
    assert target.core.scl == lsn
    again = SegmentStore.open(ROOT, VOLUME, SegmentId("c2.2"), direct=True, disk=disk)
    assert again.core.scl == lsn < source.core.scl


def test_a_whole_copy_has_the_marks_of_its_source(disk: SimulatedDisk) -> None:
    source, target = segments(disk)
    assert copy_log(target, source, 0, START)[1] == source.core.scl
    marks = [target.log.mark(file) for file in target.log.files]
    assert [each and each.lsn for each in marks] == [
        each and each.lsn for each in (source.log.mark(file) for file in source.log.files)
    ]


def test_no_mark_is_set_where_the_log_has_not_got_yet(disk: SimulatedDisk) -> None:
    target = segments(disk)[1]
    ahead = target.log.add_file(target.log.end)
    assert not target.set_mark(Mark(ahead.start, 9000, 9000, 1, 1))
    assert target.log.mark(ahead) is None


def test_what_lies_behind_damage_claims_nothing(disk: SimulatedDisk) -> None:
    source, _ = segments(disk)
    damaged = source.log.files[1]
    source.damaged_behind(damaged.start)
    source.drop_behind()
    again = SegmentStore.open(ROOT, VOLUME, SegmentId("a1"), direct=True, disk=disk)
    assert again.core.scl < 14_000
    assert all(file.start <= again.end for file in again.log.files)


# log that peers have collected --------------------------------------------------------------------


def collect_two_files(store: SegmentStore) -> Mark:
    """Returns where the log begins after that."""
    begins = store.log.mark(store.log.files[2])
    assert begins is not None
    store.core.collect(Lsn(begins.lsn))
    store.persist()
    store.collect(begins.position)
    assert store.log.start == begins.position
    return begins


def test_a_segment_begins_again_where_its_peer_does_and_holds_what_follows(
    disk: SimulatedDisk,
) -> None:
    source, target = segments(disk)
    begins = collect_two_files(source)
    begin_again(target, source)
    assert (target.log.start, target.core.scl) == (begins.position, begins.lsn)
    assert copy_log(target, source, target.end, target.core.scl)[1] == source.core.scl
    again = SegmentStore.open(ROOT, VOLUME, SegmentId("c2.2"), direct=True, disk=disk)
    assert (again.core.scl, again.core.floor) == (source.core.scl, begins.lsn)


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power-cut"])
@pytest.mark.parametrize("changes", range(16))
def test_a_kill_while_a_segment_begins_again_leaves_it_as_it_was_or_lost(
    disk: SimulatedDisk, changes: int, power: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = segments(disk)
    first = source.log.files[0]
    target.end, held = copy_log(target, source, 0, START, first.end)
    begins = collect_two_files(source)
    assert START < held < begins.lsn
    left = iter(range(changes))
    original = SimulatedDisk._changing

    def changing(self: SimulatedDisk, path: Path) -> str:
        if next(left, None) is None:
            raise KilledError
        return original(self, path)

    monkeypatch.setattr(SimulatedDisk, "_changing", changing)
    killed = False
    try:
        begin_again(target, source)
    except KilledError:
        killed = True
    monkeypatch.undo()
    if power:
        disk.cut_power()
    try:
        again = SegmentStore.open(ROOT, VOLUME, SegmentId("c2.2"), direct=True, disk=disk)
    except SegmentUnreadableError:
        assert killed
    else:
        assert again.core.scl == (held if killed and again.log.start == 0 else begins.lsn)
        has = Inspector(disk, VOLUME).held_by("az-c/c2.2")
        assert (has.end, has.start) == (again.core.scl, (again.log.start and begins.lsn) or START)


def test_with_an_az_and_one_more_away_those_far_behind_are_read_with_the_one_that_is_not(
    disk: SimulatedDisk,
) -> None:
    """What they miss is collected, so they cannot come up to it by gossip alone."""
    source, _ = segments(disk)
    end = source.core.scl
    collect_two_files(source)
    volume = opened(disk, "a2", "c1", "c2")
    assert volume.read_only
    assert volume.volume.vdl == end
    assert {each.core.scl for each in volume.stores.values()} == {end}


# files of a writer that was replaced --------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 9000])
@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_log_file_that_was_cut_short_is_one_segment_s_damage(
    disk: SimulatedDisk, which: int, size: int
) -> None:
    source, _ = segments(disk)
    path = str(source.log.files[which].path.relative_to(ROOT))
    content = disk.content(path)
    assert content is not None
    disk.lose(path)
    disk.create(ROOT / path, content[:size], min(size, len(content)))
    try:
        store = SegmentStore.open(ROOT, VOLUME, SegmentId("a1"), direct=True, disk=disk)
    except SegmentUnreadableError:
        return
    assert store.core.scl <= 14_000
    assert all(file.start <= file.end for file in store.log.files)


def test_a_stale_writer_never_opens_a_file_of_its_successor(disk: SimulatedDisk) -> None:
    """Neither wrote anything yet: both epochs begin at the same position."""
    stale = opened(disk)
    fresh = opened(disk)
    assert stale.position == fresh.position
    old, new = (each.stores[SegmentId("a1")] for each in (stale, fresh))
    put(new, fresh.position, 3, 2500, after=2000)
    with pytest.raises(FileNotFoundError):
        old.log.writer(old.log.file_at(stale.position))
    assert opened(disk).volume.vdl == 2500


@pytest.mark.parametrize("ahead", [0, PAGE_BYTES, 16 * PAGE_BYTES])
def test_a_file_that_a_stale_writer_still_makes_counts_for_nothing(
    disk: SimulatedDisk, ahead: int
) -> None:
    stale = opened(disk)
    fresh = opened(disk)
    for segment, store in fresh.stores.items():
        old = stale.stores[segment].log
        put(store, fresh.position, 3, 2500, after=2000)
        old.add_file(old.end + ahead)
        old.add_file(fresh.position + PAGE_BYTES)
    assert opened(disk).volume.vdl == 2500
    assert {each.core.scl for each in opened(disk).stores.values()} == {2500}


def test_a_file_made_below_the_beginning_of_a_collected_log_is_no_beginning(
    disk: SimulatedDisk,
) -> None:
    """The log goes on where it did; it is not taken for what follows a hole."""
    source, _ = segments(disk)
    source.core.collect(Lsn(9000))
    source.persist()
    source.collect(source.log.files[2].start)
    kept = [file.start for file in source.log.files]
    disk.create(source.log.directory / "0000000000000000-00000001.log", b"", 2 * PAGE_BYTES)
    again = SegmentStore.open(ROOT, VOLUME, SegmentId("a1"), direct=True, disk=disk)
    assert [file.start for file in again.log.files] == kept
    assert again.core.scl == 14_000


def test_a_write_still_under_way_does_not_undo_what_was_taken_from_a_peer(
    disk: SimulatedDisk,
) -> None:
    """c1 had one frame, and its writer a write of two under way when it was replaced."""
    volume = opened(disk)
    writer = {each: put(volume.stores[each], volume.position, 2, 2500, 3000, after=2000)
              for each in SEGMENT_IDS if each != "c1"}  # fmt: skip
    assert writer
    late = volume.stores[SegmentId("c1")]
    end = put(late, volume.position, 2, 2500, after=2000)
    file = late.log.file_at(volume.position)
    fd = late.log.writer(file)
    page = bytes(disk.read(file.path, PAGE_BYTES, end - volume.position)).ljust(PAGE_BYTES, b"\0")
    fresh = opened(disk)
    assert fresh.volume.vdl == 3000
    disk.write_at(fd, PAGE_BYTES, memoryview(page), durable=True)
    store = fresh.stores[SegmentId("c1")]
    assert [each.batch.end for each in store.frames(volume.position, previous=Lsn(2000))] == [
        2500, 3000
    ]  # fmt: skip


def test_what_an_opening_counts_is_durable_from_then_on(disk: SimulatedDisk) -> None:
    """The process was killed with writes in the disk's cache; then power was cut."""
    volume = opened(disk)
    for store in volume.stores.values():
        fd = store.log.writer(store.log.file_at(volume.position))
        frame = encode(VOLUME, Batch(Epoch(2), Lsn(2000), Lsn(2000), Lsn(2500), 1), bytes(500))
        padded = memoryview(frame.ljust(PAGE_BYTES, b"\0"))
        disk.write_at(fd, PAGE_BYTES, padded, durable=False)
    assert opened(disk).volume.vdl == 2500
    disk.cut_power()
    assert opened(disk).volume.vdl == 2500


# smaller ------------------------------------------------------------------------------------------


def test_a_write_that_takes_less_than_it_was_given_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from os import pwrite, write

    monkeypatch.setattr("os.write", lambda fd, data: write(fd, bytes(data)[:7]))
    monkeypatch.setattr("os.pwrite", lambda fd, data, at: pwrite(fd, bytes(data)[:5], at))
    disk, path, content = HostDisk(), tmp_path / "file", bytes(range(256))
    disk.replace(path, content)
    disk.write(path, 100, content)
    assert path.read_bytes() == content[:100] + content
    disk.create(tmp_path / "made.log", content, 300)
    assert (tmp_path / "made.log").read_bytes() == content + bytes(44)


def test_a_disk_that_takes_nothing_is_an_error_and_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.write", lambda fd, data: 0)
    with pytest.raises(OSError, match="took nothing"):
        HostDisk().replace(tmp_path / "file", b"content")
    assert not (tmp_path / "file").exists()


def test_a_new_segment_outlives_a_power_cut_with_its_zone_and_all(disk: SimulatedDisk) -> None:
    for seed in range(20):
        fresh = SimulatedDisk(random.Random(seed), ROOT)
        SegmentStore.create(
            ROOT, VOLUME, SegmentId("b1"), Mark(0, START, START, 0, 1), Membership(),
            direct=True, disk=fresh, sparse=True,
        )  # fmt: skip
        fresh.cut_power()
        store = SegmentStore.open(ROOT, VOLUME, SegmentId("b1"), direct=True, disk=fresh)
        assert store.core.scl == START


@pytest.mark.parametrize("error", [ValueError("odd"), RuntimeError("odder"), KeyError("x")])
def test_a_worker_outlives_what_nobody_expected(error: Exception) -> None:
    """Commits wait for the next log file, which is made on such a thread."""
    done: list[int] = []

    def fails() -> None:
        raise error

    def later(action: Callable[[], None]) -> None:
        worker.put(action)

    worker = Worker("test-worker")
    worker.start()
    later(fails)
    later(lambda: done.append(1))
    wait_until(lambda: done == [1])
    worker.close()


# opening ------------------------------------------------------------------------------------------


def test_an_opening_does_not_wait_for_those_that_lack_much(disk: SimulatedDisk) -> None:
    """A write quorum has everything; the writer starts, and the others catch up under it."""
    volume = opened(disk)
    for store in volume.stores.values():
        if store.id in ("a1", "a2", "b1", "b2"):
            put(store, volume.position, store.core.promised, 5000, 8000, after=2000)
        elif store.id == "c1":
            put(store, volume.position, store.core.promised, 5000, after=2000)
    disk.sizes = replace(disk.sizes, write=4000)
    again = opened(disk)
    held = {each.id: each.core.scl for each in again.stores.values()}
    assert again.volume.vdl == 8000
    # Less than a write is copied at once.
    assert held == {**dict.fromkeys(("a1", "a2", "b1", "b2", "c1"), 8000), "c2": 2000}


def test_an_opening_waits_for_those_that_make_the_quorum(disk: SimulatedDisk) -> None:
    volume = opened(disk)
    for store in volume.stores.values():
        if store.id in ("a1", "a2", "b1", "b2"):
            put(store, volume.position, store.core.promised, 5000, 8000, after=2000)
    again = opened(disk, "a1", "a2")
    assert not again.read_only
    assert {each.core.scl for each in again.stores.values()} == {8000}
