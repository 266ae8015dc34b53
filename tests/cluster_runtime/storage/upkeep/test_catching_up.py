"""Segments that are behind under a writer that goes on: they get up, or are replaced."""

import threading
from pathlib import Path

import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.template import Template
from cluster_runtime.storage.core.policy import back_pressure, retention
from cluster_runtime.storage.core.types import SegmentId, SegmentState
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.upkeep import repair
from cluster_runtime.storage.upkeep import upkeep as upkeep_module
from cluster_runtime.storage.volume import StorageVolume
from tests.cluster_runtime.storage.conftest import (
    Writer,
    stored,
    wait_until_healthy,
    wait_until_members,
)
from tests.waiting import wait_until

MB = 1 << 20


@pytest.fixture
def coalescing(volume: StorageVolume, template: Template, engine_dir: Path) -> StorageVolume:
    volume.start_coalescing(
        template.installation,
        engine_dir / "c",
        SUPERUSER,
        automatic=False,
        wal_sockets=engine_dir / "w",
    )
    return volume


def write(writer: Writer, megabytes: int, name: str = "big") -> None:
    with writer.connect() as conn:
        conn.execute(f"create table if not exists {name} (filler text)")  # type: ignore[arg-type]
        conn.execute(
            f"insert into {name} select repeat('x', 950) from generate_series(1, %s)",  # type: ignore[arg-type]
            (megabytes * 1000,),
        )


def store_of(volume: StorageVolume, segment: str) -> SegmentStore:
    lane = volume._mount.lane(SegmentId(segment))
    assert lane is not None
    return lane.store


def holders(volume: StorageVolume) -> set[str]:
    return {each.name for each in volume.describe().holders}


def test_a_segment_that_is_far_behind_begins_again_behind_the_pages(
    writer: Writer, coalescing: StorageVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log is not kept for it, so the volume does not grow because one of six is away."""
    volume = coalescing
    write(writer, 4)
    volume.coalesce()
    volume.inject_fault("segment:c2", "partition")
    write(writer, 20)
    assert "c2" in holders(volume)
    monkeypatch.setattr(retention, "SEGMENT_BOUNDS", 0.1)
    assert "c2" not in holders(volume)
    volume.coalesce()
    assert store_of(volume, "a1").log.start > store_of(volume, "c2").end
    write(writer, 20)
    volume.heal()
    wait_until_healthy(volume)
    assert store_of(volume, "c2").log.start == store_of(volume, "a1").log.start
    assert volume.scrub() == []
    # What it has counts: four of six, of which it is one, open the volume for writing.
    volume.inject_fault("az:b", "crash")
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert conn.execute("select count(*) from big").fetchone() == (44_000,)


def test_damage_below_what_the_peers_have_collected_is_mended(
    writer: Writer, coalescing: StorageVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No peer has that log any more: the segment would ask for it without end."""
    volume = coalescing
    store, collect = store_of(volume, "b2"), SegmentStore.collect

    def not_there(self: SegmentStore, position: int) -> None:
        if self is not store:
            collect(self, position)

    monkeypatch.setattr(SegmentStore, "collect", not_there)
    write(writer, 20)
    volume.coalesce()
    damaged = store.log.files[1]
    assert damaged.end < store_of(volume, "a1").log.start
    with damaged.path.open("r+b") as file:
        file.seek(PAGE_BYTES + 5000)
        file.write(b"nothing that was ever written")
    assert volume.scrub() == ["b2"]
    wait_until_healthy(volume)
    assert store.log.start == store_of(volume, "a1").log.start
    assert volume.scrub() == []


def test_a_segment_that_no_peer_continues_is_replaced_after_a_while(
    writer: Writer, volume: StorageVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(repair, "RETRY_S", 0.01)
    copy_log, tries = repair.copy_log, 0

    def nothing_fits(target: SegmentStore, *given: object, **named: object) -> object:
        nonlocal tries
        if target.id != "c2":
            return copy_log(target, *given, **named)  # type: ignore[arg-type]
        tries += 1
        return given[1], given[2]

    monkeypatch.setattr(repair, "copy_log", nothing_fits)
    volume.inject_fault("segment:c2", "partition")
    write(writer, 12)
    volume.heal()
    wait_until_members(volume, "a1", "a2", "b1", "b2", "c1", "c2.2")
    assert repair.FRUITLESS_MAX < tries < 20 * repair.FRUITLESS_MAX


def test_a_writer_that_never_rests_does_not_keep_a_segment_from_catching_up(
    writer: Writer, volume: StorageVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is held back meanwhile, is told so, and not any more after that."""
    monkeypatch.setattr(back_pressure, "LAG_BYTES", 8 * MB)
    volume.inject_fault("segment:c2", "partition")
    write(writer, 30)
    ended, numbers = threading.Event(), list[int]()
    copy_log, throttled = repair.copy_log, threading.Event()

    def load(name: str) -> None:
        while not ended.is_set():
            write(writer, 8, name)

    def count() -> None:
        with writer.connect() as conn:
            conn.execute("create table t (x int)")
            while not ended.is_set():
                conn.execute("insert into t values (%s)", (len(numbers),))
                numbers.append(len(numbers))

    def watched(*given: object, **named: object) -> object:
        done = copy_log(*given, **named)  # type: ignore[arg-type]
        if volume.describe().throttled:
            throttled.set()
        return done

    monkeypatch.setattr(repair, "copy_log", watched)
    threads = [threading.Thread(target=load, args=(f"big_{each}",)) for each in range(2)]
    threads.append(threading.Thread(target=count))
    for each in threads:
        each.start()
    try:
        volume.heal()
        wait_until(
            lambda: all(s.state is SegmentState.HEALTHY for s in volume.describe().segments), 60
        )
    finally:
        ended.set()
        for each in threads:
            each.join()
    assert throttled.is_set()
    wait_until(lambda: not volume.describe().throttled)
    with writer.connect() as conn:
        assert stored(conn) == numbers
