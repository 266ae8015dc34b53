"""Clones of a volume under a real writer: both go on, apart, and either can be lost."""

import random
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.template import Template
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.policy.past import Window
from cluster_runtime.storage.core.types import SegmentId
from cluster_runtime.storage.disk.segment_store import segment_directory
from cluster_runtime.storage.upkeep.images import coalescer
from cluster_runtime.storage.upkeep.past.past import OutOfWindowError
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume
from tests.cluster_runtime.storage.conftest import Writer, insert, stored, wait_until_healthy


@contextmanager
def clone(volume: StorageVolume, template: Template, folder: Path) -> Iterator[Writer]:
    """A volume that is cut from another one, with a writer over a directory of its own."""
    folder.mkdir(mode=0o711)
    branches = volume.branches
    with branches.cutting(folder / "volume", str(uuid.uuid4())) as cut:
        branches.lay_out(cut, folder / "data", template.user)
    made = StorageVolume.open(folder / "volume", template.directory, user=template.user)
    writer = Writer(made, template, folder)
    try:
        assert made.trusts(folder / "data")
        writer.start()
        yield writer
    finally:
        writer.postmaster.kill()
        made.close()


def rows(writer: Writer) -> list[object]:
    with writer.connect() as conn:
        return stored(conn)


def test_a_clone_begins_with_what_was_acknowledged_and_both_go_on_apart(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    insert(writer, 1, 2)
    with clone(volume, template, engine_dir / "clone") as other:
        insert(writer, 3)
        insert(other, 4)
        assert (rows(writer), rows(other)) == ([1, 2, 3], [1, 2, 4])
        other.lose()
        other.start()
        writer.lose()
        writer.start()
        assert (rows(writer), rows(other)) == ([1, 2, 3], [1, 2, 4])
        wait_until_healthy(volume)
        wait_until_healthy(other.volume)
        assert volume.scrub() == other.volume.scrub() == []
        with clone(other.volume, template, engine_dir / "second") as second:
            insert(second, 5)
            assert rows(second) == [1, 2, 4, 5]


def test_either_may_go_first(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    insert(writer, 1)
    with clone(volume, template, engine_dir / "first") as gone:
        insert(gone, 2)
    shutil.rmtree(engine_dir / "first")
    assert volume.scrub() == []
    with clone(volume, template, engine_dir / "clone") as other:
        writer.postmaster.kill()
        volume.close()
        shutil.rmtree(engine_dir / "volume")
        assert other.volume.scrub() == []
        other.lose()
        other.start()
        insert(other, 3)
        assert rows(other) == [1, 3]


def test_no_more_and_no_less_than_what_was_acknowledged_at_the_fork(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    """A row of a commit that returned before the cut is in the clone, whatever comes meanwhile."""
    insert(writer)
    acknowledged, over = [0], threading.Event()

    def write() -> None:
        with writer.connect() as conn:
            number = 0
            while not over.is_set():
                number += 1
                conn.execute("insert into t values (%s)", (number,))
                acknowledged[0] = number

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(2):
            while acknowledged[0] < 50 * (number + 1):
                pass
            least = acknowledged[0]
            with clone(volume, template, engine_dir / f"clone{number}") as other:
                most = acknowledged[0] + 1
                found = rows(other)
                assert found == list(range(1, len(found) + 1))
                assert least <= len(found) <= most
                assert other.volume.scrub() == []
    finally:
        over.set()
        writing.join()
    assert volume.scrub() == []


def test_with_page_images_the_log_before_them_is_not_shared(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    volume.serve_wal(engine_dir / "w")
    volume.start_coalescing(template.installation, engine_dir / "c", SUPERUSER, automatic=False)
    insert(writer, 1, 2)
    image = volume.coalesce()
    insert(writer, 3)
    with clone(volume, template, engine_dir / "clone") as other:
        assert rows(other) == [1, 2, 3]
        own = other.volume.newest_image()
        assert own is not None
        assert own.redo == image.redo
        shared = own.directory / "data" / own.files[0].path
        assert shared.samefile(image.directory / "data" / own.files[0].path)
        assert own.damaged() == []
        other.lose()
        other.start()
        assert rows(other) == [1, 2, 3]
    shutil.rmtree(engine_dir / "clone")
    assert volume.scrub() == []


def test_the_coalescers_directory_becomes_that_of_a_clone_where_it_is_what_the_image_is(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    volume.start_coalescing(
        template.installation,
        engine_dir / "c",
        SUPERUSER,
        automatic=False,
        wal_sockets=engine_dir / "w",
    )
    insert(writer, 1)
    volume.coalesce()
    insert(writer, 2)
    pages = volume.directory / "coalescer" / "global"
    moved = pages.stat().st_ino
    with clone(volume, template, engine_dir / "clone") as other:
        assert (other.data / "global").stat().st_ino == moved, "nothing was copied"
        assert not pages.exists()
        insert(writer, 3)
        insert(other, 4)
        assert (rows(writer), rows(other)) == ([1, 2, 3], [1, 2, 4])
        assert volume.coalesce().damaged() == [], "the next run has a directory of its own"
        insert(other, 5)
        assert rows(other) == [1, 2, 4, 5]


@pytest.mark.parametrize("how", ["it went on", "another boot", "it makes an image"])
def test_a_directory_of_the_coalescer_that_is_anything_else_stays_where_it_is(
    writer: Writer,
    volume: StorageVolume,
    template: Template,
    engine_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    volume.start_coalescing(
        template.installation,
        engine_dir / "c",
        SUPERUSER,
        automatic=False,
        wal_sockets=engine_dir / "w",
    )
    insert(writer, 1)
    volume.coalesce()
    insert(writer, 2)
    pages = volume._upkeep.pages
    control = volume.directory / "coalescer" / "global" / "pg_control"
    if how == "it went on":
        control.write_bytes(control.read_bytes())  # as a server does that begins over it
    elif how == "another boot":
        monkeypatch.setattr(coalescer, "boot_id", lambda: "another")
    else:
        pages._running.acquire()
    try:
        with clone(volume, template, engine_dir / "clone") as other:
            assert rows(other) == [1, 2]
            assert control.exists()
    finally:
        if how == "it makes an image":
            pages._running.release()


def test_damage_to_one_is_repaired_in_one(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    insert(writer, *range(20))
    with clone(volume, template, engine_dir / "clone") as other:
        for damaged, well in ((volume, other.volume), (other.volume, volume)):
            damaged.inject_fault("segment:b1", "corrupt")
            assert damaged.scrub() == ["b1"]
            assert well.scrub() == []
            wait_until_healthy(damaged)
            assert damaged.scrub() == []
        assert rows(other) == rows(writer) == list(range(20))


def test_a_server_of_the_one_is_refused_by_the_other(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    """They have the same system identifier."""
    insert(writer, 1)
    with clone(volume, template, engine_dir / "clone") as other:
        other.volume.detach_writer()
        with pytest.raises(StorageError, match="of another cluster that was made from the same"):
            other.volume.attach_writer(writer.postmaster.socket_directory, SUPERUSER)
        assert not other.volume.trusts(writer.data)
        other.volume.attach_writer(other.postmaster.socket_directory, SUPERUSER)
        insert(other, 2)


def test_a_segment_that_is_away_is_made_anew_in_the_clone(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    volume.inject_fault("segment:c2", "crash")
    insert(writer, 1)
    with clone(volume, template, engine_dir / "clone") as other:
        assert not segment_directory(other.volume.directory, SegmentId("c2")).exists()
        assert rows(other) == [1]
    volume.heal()


def test_images_of_the_window_are_kept_once_and_a_cut_begins_from_the_nearest(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    volume.serve_wal(engine_dir / "w")
    volume.start_coalescing(template.installation, engine_dir / "c", SUPERUSER, automatic=False)
    past = volume.past
    past.wanted = Window(seconds=3600, bytes_max=1 << 40)
    insert(writer, 1)
    early = past.create_point("early")
    first = volume.coalesce()
    insert(writer, 2)
    late = past.create_point("late")
    insert(writer, 3)
    newest = volume.coalesce()
    kept = [[image.redo for image in lane.store.images()] for lane in volume._mount.full_lanes()]
    assert sorted(map(len, kept)) == [1, 1, 2]
    assert all(newest.redo in each for each in kept)
    for point, expected, pages in ((early, [1], None), (late, [1, 2], first.redo)):
        target = engine_dir / f"at-{point.name}"
        target.mkdir(mode=0o711)
        with volume.branches.cutting(
            target / "volume", str(uuid.uuid4()), point.lsn, with_past=True
        ) as cut:
            assert (cut.image.redo if cut.image is not None else None) == pages
            volume.branches.lay_out(cut, target / "data", template.user)
        made = StorageVolume.open(target / "volume", template.directory, user=template.user)
        made.past.wanted = past.wanted
        other = Writer(made, template, target)
        try:
            other.start()
            assert rows(other) == expected
            names = [each.name for each in made.past.points]
            assert names == (["early"] if point is early else ["early", "late"])
            made.past.require(early.lsn)
        finally:
            other.postmaster.kill()
            made.close()

    past.wanted = Window(seconds=3600, bytes_max=0)
    insert(writer, 4)
    last = volume.coalesce()
    assert {image.redo for lane in volume._mount.full_lanes() for image in lane.store.images()} == {
        last.redo
    }
    with pytest.raises(OutOfWindowError, match="is out of reach"):
        past.require(late.lsn)
    past.expire()
    assert past.points == ()


def test_a_time_means_exactly_the_commits_whose_records_are_not_after_it(
    volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    """As PostgreSQL itself tells the times of commits, at twenty times of two seconds of writes."""
    writer = Writer(volume, template, engine_dir)
    volume.rebuild(writer.data)
    volume.claim(writer.data)
    writer.postmaster.start({**WRITER_SETTINGS, "track_commit_timestamp": True})
    volume.attach_writer(writer.postmaster.socket_directory, SUPERUSER)
    volume.past.wanted = Window()
    try:
        with writer.connect() as conn:
            conn.execute("create table t (x int)")
        volume.past.create_point("begin")

        with writer.connect() as conn:
            for number in range(200):
                conn.execute("insert into t values (%s)", (number,))
                if number % 10 == 0:
                    volume.past.tick()
                time.sleep(0.01)
            found = conn.execute("select pg_xact_commit_timestamp(xmin) from t order by x")
            times = [each[0].timestamp() for each in found.fetchall()]
        assert len(times) == 200
        begin = volume.past.points[0].lsn
        rng = random.Random(5)
        targets = [rng.uniform(times[0], times[-1]) for _ in range(19)]
        for target in (*targets, rng.choice(times)):
            lsn = volume.past.lsn_at(target)
            commits = [each.time for each in volume.past.commits_between(begin, lsn)]
            assert len(commits) == sum(each <= target for each in times)
        middle = times[100]
        target_folder = engine_dir / "then"
        target_folder.mkdir(mode=0o711)
        with volume.branches.cutting(
            target_folder / "volume", str(uuid.uuid4()), volume.past.lsn_at(middle)
        ) as cut:
            volume.branches.lay_out(cut, target_folder / "data", template.user)
        made = StorageVolume.open(target_folder / "volume", template.directory, user=template.user)
        other = Writer(made, template, target_folder)
        try:
            other.start()
            assert len(rows(other)) == 101
        finally:
            other.postmaster.kill()
            made.close()
    finally:
        writer.postmaster.kill()
