"""Segments that are lost, away for long, or back again, under a writer that goes on."""

import threading
from pathlib import Path

import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.template import Template
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.policy.replacement import ReplacementPolicy
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live import opening
from cluster_runtime.storage.upkeep import repair
from cluster_runtime.storage.upkeep import upkeep as upkeep_module
from cluster_runtime.storage.upkeep.images.pages import Pages
from cluster_runtime.storage.volume import StorageVolume
from tests.cluster_runtime.storage.conftest import (
    Writer,
    insert,
    stored,
    wait_until_healthy,
    wait_until_members,
)
from tests.waiting import wait_until

REPLACED = ("a1", "a2", "b1.2", "b2", "c1", "c2")


def lose(volume: StorageVolume, segment: str) -> None:
    """Its files are gone from one moment to the next."""
    (volume.directory / f"az-{segment[0]}" / segment).rename(volume.directory / f"lost-{segment}")


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(
        upkeep_module, "ReplacementPolicy", lambda: ReplacementPolicy(away_limit_s=0.3)
    )


def test_a_segment_that_is_lost_while_the_volume_is_closed_is_replaced_once_it_is_open(
    writer: Writer, volume: StorageVolume, template: Template
) -> None:
    insert(writer, 1)
    writer.lose()
    volume.close()
    lose(volume, "b1")
    with_replacement = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        wait_until_members(with_replacement, *REPLACED)
        with_replacement.rebuild(writer.data)
    finally:
        with_replacement.close()


def test_a_segment_that_is_lost_is_replaced_while_commits_go_on(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    """With log of several files, a page image, and more than the ring holds."""
    volume.serve_wal(engine_dir / "w")
    volume.start_coalescing(template.installation, engine_dir / "c", SUPERUSER, automatic=False)
    with writer.connect() as conn:
        conn.execute("create table big as select repeat('x', 500) from generate_series(1, 30000)")
        volume.coalesce()
        conn.execute("insert into big select repeat('y', 500) from generate_series(1, 30000)")
    stopped = threading.Event()
    committed: list[int] = []

    def load() -> None:
        with writer.connect() as conn:
            conn.execute("create table t (x int)")
            while not stopped.is_set():
                conn.execute("insert into t values (%s)", (len(committed),))
                committed.append(len(committed))

    loading = threading.Thread(target=load)
    loading.start()
    try:
        lose(volume, "b1")
        wait_until_members(volume, *REPLACED)
    finally:
        stopped.set()
        loading.join()
    assert volume.scrub() == []
    # What the successor has counts: without the others of two zones it still holds everything.
    volume.inject_fault("az:a", "crash")
    volume.inject_fault("segment:c1", "crash")
    volume.inject_fault("segment:c2", "partition")
    volume.heal("az:a")
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == committed
        assert conn.execute("select count(*) from big").fetchone() == (60000,)


def test_a_segment_that_stays_away_is_replaced_and_commits_go_on(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    volume.inject_fault("segment:b1", "partition")
    insert(writer, 2)
    wait_until_members(volume, *REPLACED)
    volume.heal()
    insert(writer, 3)
    wait_until_members(volume, *REPLACED)


def test_a_zone_that_was_away_when_the_volume_was_opened_joins_a_writer_that_runs(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    volume.inject_fault("az:a", "crash")
    writer.lose()
    writer.start()
    insert(writer, 2)
    volume.heal()
    wait_until_healthy(volume)
    volume.inject_fault("az:b", "crash")
    insert(writer, 3)
    with writer.connect() as conn:
        assert stored(conn) == [1, 2, 3]


@pytest.mark.parametrize("steps", range(0, 26, 3))
def test_a_crash_in_the_middle_of_a_replacement_leaves_a_volume_that_opens(
    writer: Writer,
    volume: StorageVolume,
    template: Template,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
) -> None:
    """The disks take so many more changes of a segment's state, and then none."""
    insert(writer, 1)
    left = iter(range(steps))
    ended = threading.Event()
    persist = SegmentStore._persist

    def failing(store: SegmentStore) -> None:
        if next(left, None) is None:
            ended.set()
            raise StorageError("the process has ended")
        persist(store)

    monkeypatch.setattr(SegmentStore, "_persist", failing)
    lose(volume, "b1")
    while not ended.is_set() and "b1" in {each.id for each in volume.describe().segments}:
        threading.Event().wait(0.01)
    writer.lose()
    volume.close()
    monkeypatch.setattr(SegmentStore, "_persist", persist)

    again = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        wait_until_healthy(again)
        writer.volume = again
        writer.start()
        with writer.connect() as conn:
            assert stored(conn) == [1]
        members = {each.id.partition(".")[0] for each in again.describe().segments}
        assert members == {"a1", "a2", "b1", "b2", "c1", "c2"}
        writer.postmaster.kill()
    finally:
        again.close()


def test_a_replacement_goes_on_where_the_last_opening_left_it(
    writer: Writer, volume: StorageVolume, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume that is opened often would never be whole again if each opening took it back."""
    insert(writer, 1)
    with monkeypatch.context() as hindered:
        hindered.setattr(Pages, "are_on", lambda self, lane: False)  # the successor lacks them
        hindered.setattr(opening, "has_newest_image", lambda one, stores: False)
        lose(volume, "b1")
        candidate = volume.directory / "az-b" / "b1.2"
        wait_until(candidate.exists)
        first = candidate.stat().st_ino
        for _ in range(2):
            writer.lose()
            volume.close()
            volume = StorageVolume.open(volume.directory, template.directory, user=template.user)
            writer.volume = volume
            writer.start()
        assert candidate.stat().st_ino == first
    try:
        wait_until_members(volume, *REPLACED)
        assert candidate.stat().st_ino == first
        writer.postmaster.kill()
    finally:
        volume.close()


def test_commits_do_not_wait_while_a_segment_copies_what_it_missed(
    writer: Writer, volume: StorageVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log files that commits go on in are made meanwhile."""
    volume.inject_fault("segment:a2", "partition")
    insert(writer, 1)
    copying, go_on = threading.Event(), threading.Event()
    copy_log = repair.copy_log

    def slow(*arguments: object, **options: object) -> object:
        copying.set()
        go_on.wait(30)
        return copy_log(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(repair, "copy_log", slow)
    volume.heal()
    assert copying.wait(10)
    try:
        with writer.connect() as conn:
            conn.execute(
                "create table big as select repeat('x', 500) from generate_series(1, 40000)"
            )
    finally:
        go_on.set()
    wait_until_healthy(volume)


def test_a_stale_host_does_not_take_back_a_promise(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    """Its coalescer runs once more, and must leave epoch, members and log to the new host."""
    volume.serve_wal(engine_dir / "w")
    volume.start_coalescing(template.installation, engine_dir / "c", SUPERUSER, automatic=False)
    insert(writer, *range(20))
    writer.stop()
    other = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        with pytest.raises(StorageError, match="epoch"):
            volume.coalesce()
    finally:
        other.close()
    again = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        assert again.describe().epoch > other.describe().epoch
    finally:
        again.close()
