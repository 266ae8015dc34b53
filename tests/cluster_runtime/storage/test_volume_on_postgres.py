"""The invariants of the volume, with a real writer, real files and real faults."""

import threading
import time
from pathlib import Path

import psycopg
import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.template import Template
from cluster_runtime.errors import QuorumLostError, StaleEpochError, StorageError
from cluster_runtime.storage.volume import StorageVolume
from tests.cluster_runtime.storage.conftest import Writer, insert, stored, wait_until_healthy
from tests.waiting import wait_until


def test_commits_survive_the_loss_of_the_writer_and_its_directory(writer: Writer) -> None:
    insert(writer, 1, 2, 3)
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == [1, 2, 3]


def test_a_commit_survives_the_loss_of_an_az_and_one_more_segment(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    insert(writer, 1)
    volume.inject_fault("az:a", "crash")
    volume.inject_fault("segment:b1", "crash")
    writer.lose()
    with pytest.raises(QuorumLostError, match="it can be read, not written"):
        volume.rebuild(writer.data)

    volume.serve_wal(engine_dir / "w")
    reader = reader_of(volume, template, engine_dir)
    try:
        with superuser_connection(reader) as conn:
            assert stored(conn) == [1]
    finally:
        reader.stop(Shutdown.IMMEDIATE)

    volume.heal()
    writer.start()
    insert(writer, 2)
    with writer.connect() as conn:
        assert stored(conn) == [1, 2]


def test_writes_block_while_an_az_and_one_more_are_lost_and_go_on_once_healed(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    pid = writer.postmaster.pid
    volume.inject_fault("az:c", "partition")
    volume.inject_fault("segment:a1", "crash")
    committed = threading.Event()

    def commit() -> None:
        insert(writer, 2)
        committed.set()

    waiting = threading.Thread(target=commit)
    waiting.start()
    with writer.connect() as conn:
        while conn.execute(
            "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"
        ).fetchone() != (1,):
            assert not committed.is_set()
        assert stored(conn) == [1]
    assert not committed.is_set()

    volume.heal("az:c")
    assert committed.wait(60)
    waiting.join()
    assert writer.postmaster.pid == pid
    volume.heal()
    wait_until_healthy(volume)


def test_a_slow_segment_is_never_a_stall(writer: Writer, volume: StorageVolume) -> None:
    insert(writer, 0)
    volume.inject_fault("segment:c1", "slow:2000")
    volume.inject_fault("segment:b2", "slow:2000")
    began = time.monotonic()
    insert(writer, *range(1, 31))  # a minute, if each of them waited
    assert time.monotonic() - began < 20
    volume.heal()
    wait_until_healthy(volume)


def test_a_segment_that_falls_behind_the_ring_catches_up_from_its_peers(
    writer: Writer, volume: StorageVolume
) -> None:
    volume.inject_fault("segment:a2", "partition")
    with writer.connect() as conn:
        conn.execute("create table big as select repeat('x', 500) from generate_series(1, 60000)")
    behind = {each.id: each for each in volume.describe().segments}["a2"]
    assert volume.describe().vdl - behind.scl > 8 << 20
    volume.heal()
    wait_until_healthy(volume)
    assert volume.scrub() == []


@pytest.mark.parametrize("fault", ["drop:40", "disk-full"])
def test_a_segment_that_loses_deliveries_gets_them_by_gossip(
    writer: Writer, volume: StorageVolume, fault: str
) -> None:
    volume.inject_fault("segment:b1", fault)
    insert(writer, *range(50))
    volume.heal()
    insert(writer, 50)
    wait_until_healthy(volume)
    assert volume.scrub() == []


def test_a_corrupted_segment_is_healed_from_its_peers(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, *range(20))
    wait_until_healthy(volume)
    volume.inject_fault("segment:c2", "corrupt")
    assert volume.scrub() == ["c2"]
    wait_until_healthy(volume)
    assert volume.scrub() == []


def test_a_rebuild_reads_past_corruption_in_any_one_segment(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, *range(20))
    for segment in ("a1", "a2"):
        volume.inject_fault(f"segment:{segment}", "corrupt")
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == list(range(20))


def test_a_stale_writer_is_refused_once_another_host_opened_the_volume(
    writer: Writer, volume: StorageVolume, template: Template
) -> None:
    insert(writer, 1)
    other = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        assert other.describe().epoch > volume.describe().epoch
        acknowledged = threading.Event()

        def commit() -> None:
            try:
                insert(writer, 2)
            except psycopg.Error:
                return
            acknowledged.set()

        refused = threading.Thread(target=commit)
        refused.start()
        wait_until(lambda: not volume.attached)
        writer.postmaster.kill()
        refused.join()
        assert not acknowledged.is_set()
        with pytest.raises(StaleEpochError):
            volume.attach_writer(writer.postmaster.socket_directory, SUPERUSER)
        assert other.describe().vdl == volume.describe().vdl
    finally:
        other.close()


def test_a_clean_stop_leaves_a_directory_that_is_trusted_until_the_volume_moves_on(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    writer.stop()
    assert volume.trusts(writer.data)
    writer.start()
    assert not volume.trusts(writer.data)
    insert(writer, 2)
    writer.postmaster.kill()
    assert not volume.trusts(writer.data)


def test_a_directory_of_another_boot_is_not_trusted(
    writer: Writer, volume: StorageVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.stop()
    monkeypatch.setattr(
        "cluster_runtime.storage.upkeep.data_directories.boot_id", lambda: "another boot"
    )
    assert not volume.trusts(writer.data)


def test_a_server_of_another_cluster_is_not_taken_for_the_writer(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    writer.stop()
    template.copy_to(engine_dir / "other", 4711)
    other = Postmaster(
        template.installation,
        template.user,
        engine_dir / "other",
        engine_dir / "o",
        engine_dir / "l",
    )
    other.start({})
    try:
        with pytest.raises(StorageError, match="belongs to another cluster"):
            volume.attach_writer(engine_dir / "o", SUPERUSER)
    finally:
        other.stop(Shutdown.IMMEDIATE)


def test_the_storage_type_is_switched_while_commits_go_on(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    volume.set_storage_type("aurora-iopt1")
    insert(writer, *range(2, 40))
    volume.set_storage_type("aurora")
    insert(writer, 40)
    wait_until_healthy(volume)
    assert volume.scrub() == []
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == list(range(1, 41))


def reader_of(volume: StorageVolume, template: Template, folder: Path) -> Postmaster:
    settings = volume.lay_out_standby(folder / "reader", SUPERUSER)
    reader = Postmaster(
        template.installation, template.user, folder / "reader", folder / "r", folder / "reader.log"
    )
    reader.start(settings)
    # PostgreSQL takes connections before it shows what is durable.
    volume.await_standby(folder / "reader", lambda: reader.running)
    return reader


def test_a_reader_sees_what_was_committed_and_nothing_past_the_volume_durable_lsn(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    insert(writer, 1)
    volume.serve_wal(engine_dir / "w")
    reader = reader_of(volume, template, engine_dir)
    try:
        with superuser_connection(reader) as conn:
            wait_until(lambda: stored(conn) == [1])
            volume.inject_fault("az:a", "partition")
            volume.inject_fault("az:b", "partition")
            blocked = threading.Thread(target=insert, args=(writer, 2))
            blocked.start()
            with writer.connect() as local:
                waits = "select 1 from pg_stat_activity where wait_event = 'SyncRep'"
                wait_until(lambda: local.execute(waits).fetchone())
            received = conn.execute("select pg_last_wal_receive_lsn() - '0/0'::pg_lsn").fetchone()
            assert received is not None
            assert int(received[0]) <= volume.describe().vdl
            assert stored(conn) == [1]
            volume.heal()
            blocked.join()
            wait_until(lambda: stored(conn) == [1, 2])
    finally:
        reader.stop(Shutdown.IMMEDIATE)


def test_pages_are_coalesced_and_the_log_below_them_is_collected(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    volume.serve_wal(engine_dir / "w")
    volume.start_coalescing(template.installation, engine_dir / "c", SUPERUSER, automatic=False)
    with writer.connect() as conn:
        conn.execute("create table big as select repeat('x', 500) from generate_series(1, 30000)")
    before = {each.id: each.bytes for each in volume.describe().segments}
    image = volume.coalesce()
    assert image.damaged() == []
    after = {each.id: each.bytes for each in volume.describe().segments}
    assert after["a2"] < before["a2"]
    assert image.redo > volume.metadata.start_lsn

    with writer.connect() as conn:
        conn.execute("delete from big where ctid < '(100,0)'")
        left = conn.execute("select count(*) from big").fetchone()
    newer = volume.coalesce()
    assert newer.redo > image.redo
    assert not image.directory.exists()

    insert(writer, 7)
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert conn.execute("select count(*) from big").fetchone() == left
        assert stored(conn) == [7]


def test_a_damaged_page_image_is_passed_over(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    volume.serve_wal(engine_dir / "w")
    volume.start_coalescing(template.installation, engine_dir / "c", SUPERUSER, automatic=False)
    insert(writer, 1)
    image = volume.coalesce()
    (image.directory / "data" / image.files[-1].path).unlink()
    found = volume.newest_image()
    assert found is not None
    assert found.directory != image.directory
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == [1]


def test_a_volume_says_what_it_holds_and_what_was_read_and_written(
    writer: Writer, volume: StorageVolume
) -> None:
    before = volume.describe()
    with writer.connect() as conn:
        conn.execute("create table big as select repeat('x', 500) from generate_series(1, 6000)")
    after = volume.describe()
    assert after.bytes_used - before.bytes_used >= 3_000_000
    assert (after.allocated_storage_gib, after.protection_groups) == (1, 1)
    assert after.io.write_ios - before.io.write_ios >= 3_000_000 // 4096
    assert after.io.read_ios > 0, "the data directory was made of pages"


def faults_of(volume: StorageVolume) -> dict[str, str]:
    return {each.id: each.fault for each in volume.describe().segments if each.fault}


def test_a_fault_heals_after_its_time_and_a_later_one_has_a_time_of_its_own(
    volume: StorageVolume,
) -> None:
    volume.inject_fault("segment:a1", "crash", duration=0.05)
    volume.inject_fault("segment:a1", "slow:5", duration=60)
    volume.inject_fault("segment:b2", "partition", duration=0.1)
    assert faults_of(volume)["a1"] == "slow:5"
    wait_until(lambda: "b2" not in faults_of(volume))
    assert faults_of(volume) == {"a1": "slow:5"}
    volume.heal()
    assert faults_of(volume) == {}


def test_a_fault_does_not_outlive_the_host(volume: StorageVolume, template: Template) -> None:
    volume.inject_fault("az:a", "crash")
    volume.inject_fault("segment:b1", "crash")
    volume.close()
    again = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        assert again.describe().writable
        assert faults_of(again) == {}
    finally:
        again.close()


def test_a_volume_that_lost_four_segments_comes_back_once_they_are_healed(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    writer.lose()
    volume.inject_fault("az:a", "crash")
    volume.inject_fault("az:b", "crash")
    with pytest.raises(QuorumLostError, match="reading takes 3"):
        volume.rebuild(writer.data)
    with pytest.raises(QuorumLostError, match="reading takes 3"):
        volume.rebuild(writer.data)
    volume.heal()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == [1]


def test_damage_in_the_oldest_frame_is_found_by_the_scrub(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    writer.lose()
    writer.start()  # the new epoch has a log file of its own
    log = next(
        path
        for path in sorted((volume.directory / "az-c" / "c1" / "log").iterdir())
        if path.suffix == ".log"
    )
    with log.open("r+b") as file:
        file.seek(4096 + 80)
        file.write(b"rot")
    assert volume.scrub() == ["c1"]
    wait_until_healthy(volume)
    assert volume.scrub() == []


@pytest.mark.parametrize("away", ["b1", "b2"])
def test_log_is_kept_while_a_segment_lacks_the_pages_or_the_log(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path, away: str
) -> None:
    volume.serve_wal(engine_dir / "w")
    volume.start_coalescing(template.installation, engine_dir / "c", SUPERUSER, automatic=False)
    volume.inject_fault(f"segment:{away}", "partition")
    with writer.connect() as conn:
        conn.execute("create table big as select repeat('x', 500) from generate_series(1, 6000)")
    volume.coalesce()
    assert volume.log.served_log().oldest == volume.metadata.start_lsn
    volume.heal()
    wait_until_healthy(volume)
    volume.coalesce()
    assert volume.log.served_log().oldest > volume.metadata.start_lsn


def test_a_promoted_reader_becomes_the_writer_on_a_timeline_of_its_own(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    insert(writer, 1)
    volume.serve_wal(engine_dir / "w")
    reader = reader_of(volume, template, engine_dir)
    try:
        writer.lose()
        volume.recover()
        with superuser_connection(reader) as conn:
            wait_until(lambda: stored(conn) == [1])
            conn.execute("select pg_promote(wait => true)")
            volume.attach_writer(reader.socket_directory, SUPERUSER)
            conn.execute("alter system set synchronous_standby_names = 'storage'")
            conn.execute("select pg_reload_conf()")
            synchronous = "select from pg_stat_replication where sync_state <> 'async'"
            wait_until(lambda: conn.execute(synchronous).fetchall())
            conn.execute("insert into t values (2)")
        assert volume.metadata.timelines.current == 2
    finally:
        reader.kill()

    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == [1, 2]
        conn.execute("insert into t values (3)")
    assert volume.metadata.timelines.current == 3
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == [1, 2, 3]
