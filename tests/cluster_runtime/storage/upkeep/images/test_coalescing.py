"""Log becomes pages by itself: when, in what order, what is kept for whom, and after any kill."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.template import Template
from cluster_runtime.errors import (
    BorealisError,
    InvalidClusterStateError,
    StaleEpochError,
    StorageError,
)
from cluster_runtime.storage.core.policy.coalescing import (
    IDLE_S,
    LOG_BYTES_MIN,
    NICE,
    Politeness,
    is_due,
    log_bound,
    politeness,
    retry_after,
)
from cluster_runtime.storage.core.policy.retention import Holder, HolderKind, ImagePoint, kept
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.disk.filesystem import HostDisk
from cluster_runtime.storage.disk.page_images import (
    MANIFEST,
    PageImage,
    files_of,
    give_up_images,
    images,
    make_image,
    sweep,
)
from cluster_runtime.storage.upkeep.holders import Holders
from cluster_runtime.storage.upkeep.images import coalescer, coalescing, image_maker, pages
from cluster_runtime.storage.upkeep.images.coalescing import Coalescing
from cluster_runtime.storage.upkeep.images.image_maker import ImageMaker
from cluster_runtime.storage.upkeep.images.interruption import InterruptedCoalescingError
from cluster_runtime.storage.upkeep.images.priority import may_be_idle
from cluster_runtime.storage.volume import StorageVolume
from tests.cluster_runtime.storage.conftest import Writer, insert, stored, wait_until_healthy
from tests.waiting import has_ended, wait_until

MB = 1 << 20
IMAGE = PageImage(Path(), 1, 1, 1, ())


# when ------------------------------------------------------------------------------------------


def test_an_image_is_due_after_sixteen_megabytes_or_a_third_of_a_large_database() -> None:
    assert log_bound(0) == log_bound(48 * MB) == LOG_BYTES_MIN == 16 * MB
    assert log_bound(300 * MB) == 100 * MB
    assert not is_due(100 * MB, 300 * MB)
    assert is_due(100 * MB + 1, 300 * MB)


def test_after_a_rewind_an_image_is_due_at_once_unless_there_is_next_to_nothing_to_replay() -> None:
    assert not is_due(4 * MB, 300 * MB, rewinds=True, rewound=True)
    assert is_due(4 * MB + 1, 300 * MB, rewinds=True, rewound=True)
    assert not is_due(4 * MB + 1, 300 * MB, rewinds=True)


def test_coalescing_steps_back_behind_commits_unless_it_does_not_keep_up() -> None:
    assert politeness(33 * MB, 30 * MB, 0) is Politeness.NONE
    assert politeness(31 * MB, 30 * MB, 0) is Politeness.IDLE
    assert politeness(31 * MB, 30 * MB, IDLE_S) is Politeness.NICE


def test_what_fails_is_tried_again_later_each_time() -> None:
    assert [retry_after(each) for each in (1, 2, 3)] == [2, 4, 8]
    assert retry_after(40) == retry_after(41)


class Runs:
    """What makes images in place of a volume; each waits until it may end."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.made = 0
        self.due = 1
        self.go = threading.Event()
        self.begun = threading.Event()
        self._lock = threading.Lock()

    def make(self, stopped: Callable[[], bool]) -> PageImage:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.begun.set()
        try:
            while not self.go.wait(0.005):
                if stopped():
                    raise InterruptedCoalescingError("told to")
        finally:
            with self._lock:
                self.now -= 1
        self.made += 1
        self.due -= 1
        return IMAGE

    def coalescing(self) -> Coalescing:
        made = Coalescing(lambda: self.due > 0, self.make)
        made.enable()
        return made


def test_only_so_many_volumes_of_a_host_coalesce_at_once() -> None:
    runs = Runs()
    runs.due = 6
    all_of_them = [runs.coalescing() for _ in range(6)]
    for each in all_of_them:
        each.look()
    wait_until(lambda: runs.now == coalescing.AT_ONCE)
    runs.go.set()
    wait_until(lambda: runs.made == 6)
    assert runs.most == coalescing.AT_ONCE
    for each in all_of_them:
        each.close()


def test_what_is_not_due_begins_nothing_and_what_is_due_twice_is_made_twice() -> None:
    runs = Runs()
    runs.go.set()
    runs.due = 0
    made = runs.coalescing()
    made.look()
    made.settle()
    assert runs.made == 0
    runs.due = 2
    made.settle()
    assert (runs.made, made.report.images, made.report.running) == (2, 2, False)
    made.close()


def test_one_that_was_not_enabled_makes_images_only_when_told() -> None:
    runs = Runs()
    runs.go.set()
    made = Coalescing(lambda: True, runs.make)
    made.look()
    made.settle()
    assert runs.made == 0
    assert made.now() is IMAGE
    made.close()


def test_an_interrupted_run_ends_and_the_next_one_goes_on() -> None:
    runs = Runs()
    made = runs.coalescing()
    made.look()
    assert runs.begun.wait(60)
    assert made.report.running
    made.interrupt()
    assert (runs.now, runs.made, made.report.problem) == (0, 0, "")
    runs.go.set()
    made.look()
    wait_until(lambda: runs.made == 1)
    made.close()


def test_nothing_is_under_way_or_begins_while_it_rests() -> None:
    runs = Runs()
    made = runs.coalescing()
    made.look()
    assert runs.begun.wait(60)
    with made.resting():
        assert (runs.now, runs.made) == (0, 0)
        runs.go.set()
        made.look()
        assert made._thread is not None
        made._thread.join()
        assert runs.made == 0
    made.look()
    wait_until(lambda: runs.made == 1)
    made.close()


def test_what_is_told_to_settle_makes_nothing_while_it_rests_and_an_image_on_demand_waits() -> None:
    runs = Runs()
    runs.go.set()
    made = runs.coalescing()
    asked = threading.Thread(target=made.now)
    with made.resting():
        made.settle()
        asked.start()
        assert not runs.begun.wait(0.2), "a while in which it would have begun"
    asked.join(60)
    assert runs.made == 1
    with made.resting():
        asked = threading.Thread(target=fails, args=(InterruptedCoalescingError, made.now))
        asked.start()
        made.close()
        asked.join(60)
    assert runs.made == 1


def fails(with_error: type[Exception], call: Callable[[], object]) -> None:
    with pytest.raises(with_error):
        call()


def test_a_close_ends_what_waits_for_its_turn_too() -> None:
    first, second = Runs(), Runs()
    holders = [first.coalescing() for _ in range(coalescing.AT_ONCE)]
    for each in holders:
        each.look()
    wait_until(lambda: first.now == coalescing.AT_ONCE)
    waiting = second.coalescing()
    waiting.look()
    waiting.close()
    assert not second.begun.is_set()
    for each in holders:
        each.close()


def test_a_failure_is_told_and_holds_up_the_next_try() -> None:
    tries: list[float] = []

    def fail(stopped: Callable[[], bool]) -> PageImage:
        tries.append(time.monotonic())
        raise StorageError("no")

    made = Coalescing(lambda: True, fail)
    made.enable()
    made.settle()
    made.look()
    assert len(tries) == 1
    assert made.report.problem == "no"
    made.close()


# for whom --------------------------------------------------------------------------------------


def holder(lsn: int, *, with_pages: bool = False) -> Holder:
    return Holder(HolderKind.CLONE, "x", Lsn(lsn), 0.0, with_pages)


def test_the_oldest_holder_decides_what_log_is_kept() -> None:
    assert kept([holder(50), holder(20), holder(90)], [], 10).floor == 20
    assert kept([], [], 10).floor == 10


def test_who_needs_pages_keeps_the_newest_image_not_newer_than_its_lsn() -> None:
    made = [ImagePoint(10, 15), ImagePoint(30, 35), ImagePoint(60, 65)]
    found = kept([holder(40, with_pages=True), holder(90)], made, 0)
    assert (found.floor, found.redos) == (30, {30})


@pytest.mark.parametrize(("lsn", "redo"), [(35, 30), (34, 10), (15, 10)])
def test_an_image_whose_pages_are_newer_is_of_no_use(lsn: int, redo: int) -> None:
    made = [ImagePoint(10, 15), ImagePoint(30, 35)]
    assert kept([holder(lsn, with_pages=True)], made, 0).redos == {redo}


def test_before_the_first_image_all_log_is_kept_for_who_needs_pages() -> None:
    found = kept([holder(40, with_pages=True)], [ImagePoint(50, 60)], 7)
    assert (found.floor, found.redos) == (7, frozenset())


def test_a_holder_advances_never_goes_back_and_goes() -> None:
    holders = Holders()
    hold = holders.register(HolderKind.BACKUP, "b", Lsn(10))
    hold.advance(30)
    hold.advance(20)
    assert [each.lsn for each in holders.now()] == [30]
    hold.release()
    hold.release()
    hold.advance(50)
    assert holders.now() == []


# images ----------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "base" / "1").mkdir(parents=True)
    (folder / "global").mkdir()
    for name in ("base/1/1", "base/1/2", "global/pg_control"):
        (folder / name).write_bytes(name.encode() * 1000)
    return folder


def test_an_image_that_is_given_up_is_no_image_from_that_moment(
    source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pages"
    for redo in (16, 32, 48):
        make_image(folder, source, redo=redo, lsn=redo + 1, timeline=1)
    give_up_images(folder, below=48, keep=frozenset({16}))
    assert [each.redo for each in images(folder)] == [16, 48]
    sweep(folder)
    assert len(list(folder.iterdir())) == 2
    assert [each.damaged() for each in images(folder)] == [[], []]


def test_an_image_is_given_up_though_the_making_of_it_anew_was_cut_short(
    source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pages"
    for redo in (16, 32):
        make_image(folder, source, redo=redo, lsn=redo + 1, timeline=1)
    half = folder / f"{16:016x}.partial"
    half.mkdir()
    (half / "data").write_bytes(b"half")
    give_up_images(folder, below=32)
    assert [each.redo for each in images(folder)] == [32]
    sweep(folder)
    assert len(list(folder.iterdir())) == 1


def test_an_image_whose_manifest_is_damaged_is_given_up_like_the_others(
    source: Path, tmp_path: Path
) -> None:
    """Found by simulation, seed 152: nobody took it for an image, and so nobody removed it."""
    folder = tmp_path / "pages"
    for redo in (16, 32, 48):
        make_image(folder, source, redo=redo, lsn=redo + 1, timeline=1)
    for redo in (16, 32):
        (folder / f"{redo:016x}" / "manifest.json").write_bytes(b"rotten")
    (folder / "notes").mkdir()
    give_up_images(folder, below=48, keep=frozenset({16}))
    sweep(folder)
    assert sorted(each.name for each in folder.iterdir()) == [f"{16:016x}", f"{48:016x}", "notes"]


def test_files_that_did_not_change_are_links_and_are_not_read_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pages"
    first = make_image(folder, source, redo=16, lsn=17, timeline=1)
    (source / "base/1/2").write_bytes(b"new" * 900)
    read: list[Path] = []
    summed = HostDisk.checksum

    def checksum(self: HostDisk, path: Path) -> int:
        read.append(path)
        return summed(self, path)

    monkeypatch.setattr(HostDisk, "checksum", checksum)
    files = files_of(source, first.files)
    assert read == [source / "base/1/2"]
    monkeypatch.undo()
    make_image(
        folder, source, redo=32, lsn=33, timeline=1, files_known=files_of(source, first.files)
    )
    newest = images(folder)[-1]
    assert newest.damaged() == []
    links = {
        path: (newest.directory / "data" / path).stat().st_nlink
        for path in ("base/1/1", "base/1/2")
    }
    assert links == {"base/1/1": 2, "base/1/2": 1}
    assert files


def never_polite() -> ImageMaker:
    return ImageMaker(lambda: False, lambda: Politeness.NONE)


def test_images_are_made_by_a_process_of_their_own_which_ends_with_its_work(
    source: Path, tmp_path: Path
) -> None:
    with ImageMaker(lambda: False, lambda: Politeness.NICE) as maker:
        process = psutil.Process(maker.pid)
        for segment in ("a1", "b1", "c1"):
            maker.make(tmp_path / segment, source, redo=16, lsn=17, timeline=1)
            maker.sweep(tmp_path / segment)
        assert process.nice() == min(19, psutil.Process().nice() + NICE)
    assert not process.is_running()
    for segment in ("a1", "b1", "c1"):
        (image,) = images(tmp_path / segment)
        assert image.damaged() == []


@pytest.mark.skipif(not may_be_idle(), reason="no idle class here, or no way back from it")
def test_the_process_takes_idle_time_alone_and_comes_forward_where_that_is_not_enough(
    source: Path, tmp_path: Path
) -> None:
    levels = iter([Politeness.IDLE, Politeness.IDLE])
    with ImageMaker(lambda: False, lambda: next(levels, Politeness.NONE)) as maker:
        assert os.sched_getscheduler(maker.pid) == os.SCHED_IDLE
        maker.make(tmp_path / "a1", source, redo=16, lsn=17, timeline=1)
        maker._prioritise()
        assert os.sched_getscheduler(maker.pid) == os.SCHED_OTHER
        assert psutil.Process(maker.pid).nice() == psutil.Process().nice()


def test_what_the_process_cannot_write_is_an_error_here(source: Path, tmp_path: Path) -> None:
    (tmp_path / "a1").write_text("a file where a folder should be")
    with (
        ImageMaker(lambda: False, lambda: Politeness.NONE) as maker,
        pytest.raises(OSError, match="a1"),
    ):
        maker.make(tmp_path / "a1", source, redo=16, lsn=17, timeline=1)


def test_a_process_that_was_killed_is_an_error_too(source: Path, tmp_path: Path) -> None:
    with never_polite() as maker:
        psutil.Process(maker.pid).kill()
        with pytest.raises(StorageError, match="ended with code -9"):
            maker.make(tmp_path / "a1", source, redo=16, lsn=17, timeline=1)
        assert images(tmp_path / "a1") == []


def test_the_process_ends_with_its_parent_in_the_middle_of_its_work(tmp_path: Path) -> None:
    endless = tmp_path / "source" / "endless"
    endless.parent.mkdir()
    endless.touch()
    os.truncate(endless, 1 << 40)  # reading it takes a quarter of an hour
    with ImageMaker(lambda: True, lambda: Politeness.NONE) as maker:
        process = psutil.Process(maker.pid)
        with pytest.raises(InterruptedCoalescingError):
            maker.make(tmp_path / "a1", endless.parent, redo=16, lsn=17, timeline=1)
        assert process.is_running()
        assert maker._process.stdin is not None
        maker._process.stdin.close()  # as the end of its parent does
        wait_until(lambda: has_ended(process))


# with PostgreSQL -------------------------------------------------------------------------------


@pytest.fixture
def upkept(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> StorageVolume:
    volume.start_coalescing(
        template.installation, engine_dir / "c", SUPERUSER, wal_sockets=engine_dir / "w"
    )
    return volume


def fill(conn: psycopg.Connection[tuple[object, ...]], megabytes: int) -> None:
    """Log that leaves nothing behind."""
    conn.execute(
        "create table filled as select repeat('x', 500) from generate_series(1, %s)",
        (megabytes * MB // 580,),
    )
    conn.execute("drop table filled")


def coalescers(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cwd"]):
        place = process.info["cwd"] or ""
        if str(folder) in place and place.endswith("coalescer"):
            found.append(process)
    return found


def test_pages_follow_the_log_by_themselves_and_no_process_stays(
    upkept: StorageVolume, writer: Writer, engine_dir: Path
) -> None:
    with writer.connect() as conn:
        for _ in range(2):
            fill(conn, 20)
    wait_until(lambda: upkept.describe().coalescing.images >= 1, 60)
    wait_until(lambda: not upkept.describe().coalescing.running)
    described = upkept.describe()
    assert described.log_bytes_since_image <= described.coalescing.log_bound_bytes + 20 * MB
    assert upkept.log.served_log().oldest > upkept.metadata.start_lsn
    wait_until(lambda: coalescers(engine_dir) == [])
    insert(writer, 1, 2)
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == [1, 2]


def test_log_is_collected_while_a_transaction_is_under_way(
    upkept: StorageVolume, writer: Writer
) -> None:
    with writer.connect() as conn, conn.transaction():
        conn.execute("create table big (filler text)")
        conn.execute("insert into big select repeat('x', 500) from generate_series(1, 36000)")
        oldest = upkept.metadata.start_lsn
        wait_until(lambda: upkept.log.served_log().oldest > oldest, 60)
        conn.execute("insert into big values ('the last one')")
    with writer.connect() as conn:
        rows = conn.execute("select count(*) from big").fetchone()
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert conn.execute("select count(*) from big").fetchone() == rows


def test_a_run_steps_back_as_far_as_the_policy_says(
    upkept: StorageVolume, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int, float]] = []
    told: dict[int, Politeness] = {}

    def policy(log_bytes: int, database_bytes: int, seconds: float) -> Politeness:
        asked.append((log_bytes, database_bytes, seconds))
        return Politeness.NICE

    monkeypatch.setattr(pages, "politeness", policy)
    for module in (coalescer, image_maker):
        monkeypatch.setattr(module, "set_priority", told.__setitem__)
    insert(writer, 1)
    upkept.coalesce()
    assert any(0 < log_bytes < database_bytes for log_bytes, database_bytes, _ in asked)
    assert 0 <= min(seconds for *_, seconds in asked) < max(seconds for *_, seconds in asked)
    assert set(told.values()) == {Politeness.NICE}
    assert len(told) >= 2, "the postmaster, and the process that makes images"


def test_the_processes_of_a_postmaster_step_back_with_it(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[int, Politeness] = {}
    monkeypatch.setattr(coalescer, "set_priority", told.__setitem__)
    pid = writer.postmaster.pid
    assert wait_until(lambda: coalescer._prioritise(pid, Politeness.NICE)), "all are there"
    assert pid in told
    assert len(told) > 3
    told.clear()
    assert not coalescer._prioritise(None, Politeness.NICE), "it has ended"
    assert told == {}, "nor is it the host that steps back"


def test_what_is_due_is_settled_and_then_nothing_is(upkept: StorageVolume, writer: Writer) -> None:
    with writer.connect() as conn:
        fill(conn, 24)
    upkept.settle()
    described = upkept.describe()
    assert described.coalescing.images >= 1
    assert described.log_bytes_since_image <= described.coalescing.log_bound_bytes
    images_made = described.coalescing.images
    upkept.settle()
    assert upkept.describe().coalescing.images == images_made


def test_replay_over_an_image_begins_near_its_end_however_much_was_written_meanwhile(
    upkept: StorageVolume, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(writer, 1)
    begun = coalescer.Coalescer._follow

    def follow(*arguments: Any) -> bool:
        if not written:
            written.append(True)
            with writer.connect() as conn:
                fill(conn, 24)
        return begun(*arguments)

    written: list[bool] = []
    monkeypatch.setattr(coalescer.Coalescer, "_follow", follow)
    image = upkept.coalesce()
    assert image.lsn - image.redo < 4 * MB
    described = upkept.describe()
    assert described.log_bytes_since_image == described.vdl - image.redo


@pytest.fixture
def held_checkpoint(writer: Writer) -> Iterator[psutil.Process]:
    """The writer's checkpointer, which does not go on before it is told to."""
    processes = psutil.Process(writer.postmaster.pid).children()
    (checkpointer,) = [each for each in processes if "checkpointer" in "".join(each.cmdline())]
    checkpointer.suspend()
    yield checkpointer
    with suppress(psutil.NoSuchProcess):
        checkpointer.resume()


def waits_for_a_checkpoint(writer: Writer) -> bool:
    with writer.connect() as conn:
        waits = "wait_event in ('CheckpointStart', 'CheckpointDone')"
        return conn.execute(f"select from pg_stat_activity where {waits}").rowcount > 0


def test_who_interrupts_waits_for_no_writer_that_is_slow_at_its_checkpoint(
    upkept: StorageVolume, writer: Writer, held_checkpoint: psutil.Process
) -> None:
    insert(writer, 1)
    run = upkept._upkeep.coalescing
    making = threading.Thread(target=fails, args=(InterruptedCoalescingError, upkept.coalesce))
    making.start()
    wait_until(lambda: waits_for_a_checkpoint(writer), 60)
    ending = threading.Thread(target=run.interrupt, daemon=True)
    ending.start()
    ending.join(30)
    waited = ending.is_alive()
    held_checkpoint.resume()
    making.join(60)
    assert not waited


def test_an_image_waits_for_no_log_that_its_writer_took_along(
    upkept: StorageVolume,
    writer: Writer,
    held_checkpoint: psutil.Process,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coalescer, "STALL_TIMEOUT_S", 5)
    insert(writer, 1)
    ended: list[PageImage | StaleEpochError] = []

    def make() -> None:
        try:
            ended.append(upkept.coalesce())
        except StaleEpochError as error:  # where the volume is opened again just then
            ended.append(error)

    making = threading.Thread(target=make)
    making.start()
    wait_until(lambda: waits_for_a_checkpoint(writer), 60)
    upkept.inject_fault("az:a", "partition")
    upkept.inject_fault("segment:b1", "partition")
    with writer.connect() as conn:
        conn.execute("set synchronous_commit = off")
        conn.execute("insert into t values (2)")
        held_checkpoint.resume()
        wait_until(lambda: not waits_for_a_checkpoint(writer), 60)
        upkept.heal()
        writer.postmaster.kill()  # what it flushed last is in no segment
    writer.lose()
    writer.start()
    making.join(60)
    assert len(ended) == 1
    if isinstance(ended[0], StaleEpochError):
        upkept.coalesce()
    with writer.connect() as conn:
        assert stored(conn)[:1] == [1]


def test_an_image_over_which_much_is_replayed_is_followed_by_the_next_one(
    upkept: StorageVolume, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "targets", lambda mount: [int(mount.node.volume.vdl)])
    with writer.connect() as conn:
        fill(conn, 24)
    image = upkept.coalesce()  # by a writer that made no checkpoint
    assert image.lsn - image.redo > LOG_BYTES_MIN
    assert upkept._upkeep.pages.is_due()


def test_a_named_holder_keeps_log_and_pages_and_is_described(
    upkept: StorageVolume, writer: Writer
) -> None:
    insert(writer, 1)
    first = upkept.coalesce()
    with writer.connect() as conn:
        fill(conn, 6)
    hold = upkept.hold(HolderKind.CLONE, "copy", first.lsn, with_pages=True)
    insert(writer, 2)
    second = upkept.coalesce()
    assert {each.redo for each in images(first.directory.parent)} == {first.redo, second.redo}
    assert upkept.log.served_log().oldest <= first.redo
    (described,) = [each for each in upkept.describe().holders if each.kind is HolderKind.CLONE]
    assert (described.name, described.lsn, described.with_pages) == ("copy", first.lsn, True)
    assert described.log_bytes > 4 * MB
    assert 0 <= described.age_seconds < 60

    hold.release()
    with writer.connect() as conn:
        fill(conn, 12)
    third = upkept.coalesce()
    assert {each.redo for each in images(first.directory.parent)} == {third.redo}
    assert upkept.log.served_log().oldest > first.redo
    with pytest.raises(LookupError, match="in no log any more"):
        upkept.hold(HolderKind.CLONE, "copy", first.lsn)
    assert HolderKind.CLONE not in [each.kind for each in upkept.describe().holders]


def test_a_segment_that_is_away_holds_log_by_its_name(
    upkept: StorageVolume, writer: Writer
) -> None:
    insert(writer, 1)
    upkept.inject_fault("segment:b2", "partition")
    insert(writer, 2, 3)
    found = {(each.kind, each.name) for each in upkept.describe().holders}
    assert {(HolderKind.RECOVERY, "writer"), (HolderKind.SEGMENT, "b2")} <= found
    upkept.heal()
    wait_until_healthy(upkept)
    assert [each.kind for each in upkept.describe().holders] == [HolderKind.RECOVERY]


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.long)])
def test_a_coalescer_that_is_killed_at_any_step_costs_one_try(
    upkept: StorageVolume, writer: Writer, engine_dir: Path, kills: int
) -> None:
    insert(writer, 1)
    upkept.coalesce()
    for _ in range(kills):
        with writer.connect() as conn:
            fill(conn, 2)
        failed: list[BaseException] = []

        def coalesce(failed: list[BaseException] = failed) -> None:
            try:
                upkept.coalesce()
            except (BorealisError, OSError, psycopg.Error) as error:
                failed.append(error)

        running = threading.Thread(target=coalesce)
        running.start()
        for process in wait_until(lambda: coalescers(engine_dir)):
            process.kill()
        running.join()
        assert upkept.coalesce().damaged() == []
    insert(writer, 2)
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == [1, 2]


def test_the_writer_may_come_and_go_while_pages_are_made(
    upkept: StorageVolume, writer: Writer
) -> None:
    insert(writer, 0)
    ended = threading.Event()
    made = 0

    def coalesce() -> None:
        nonlocal made
        while not ended.is_set():
            try:
                upkept.coalesce()
                made += 1
            except (BorealisError, psycopg.Error):
                continue  # the writer went while it was to checkpoint

    running = threading.Thread(target=coalesce)
    running.start()
    try:
        for value in (1, 2):
            insert(writer, value)
            writer.lose()
            writer.start()
        wait_until(lambda: made >= 2, 60)
    finally:
        ended.set()
        running.join()
    with writer.connect() as conn:
        assert stored(conn) == [0, 1, 2]


def test_a_directory_of_the_coalescer_from_another_boot_or_in_use_is_made_anew(
    upkept: StorageVolume, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(writer, 1)
    upkept.coalesce()
    kept, left = (upkept.directory / "coalescer" / "global" / name for name in ("kept", "left"))
    kept.touch()
    insert(writer, 2)
    upkept.coalesce()
    assert kept.exists(), "it went on where it ended"
    left.touch()  # later than the image that a directory made again begins with
    monkeypatch.setattr(
        "cluster_runtime.storage.upkeep.images.coalescer.boot_id", lambda: "another"
    )
    insert(writer, 3)
    assert upkept.coalesce().damaged() == []
    assert not left.exists()


def test_pages_half_given_out_are_no_pages(upkept: StorageVolume, writer: Writer) -> None:
    """As a kill of the host between two segments, or in one, leaves them."""
    insert(writer, 1)
    image = upkept.coalesce()
    (image.directory / MANIFEST).rename(image.directory / "gone")
    newest = upkept.newest_image()
    assert newest is not None
    assert newest.directory != image.directory
    insert(writer, 2)
    assert upkept.coalesce().damaged() == []
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == [1, 2]


def test_the_copy_that_a_run_begins_with_ends_where_that_is_interrupted(
    upkept: StorageVolume, writer: Writer
) -> None:
    insert(writer, 1)
    asked: list[bool] = []

    def stopped() -> bool:
        asked.append(True)
        return len(asked) == 3

    with pytest.raises(InterruptedCoalescingError):
        upkept._upkeep.pages.coalesce(stopped)
    assert len(asked) == 3, "file by file"
    assert not (upkept.directory / "coalescer").exists()


def test_coalescing_that_was_not_started_says_so(volume: StorageVolume) -> None:
    with pytest.raises(InvalidClusterStateError, match="was not started"):
        volume.coalesce()
