"""What a writer keeps until the volume has it, and what a volume says to a writer that waits."""

import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.settings import Settings
from cluster_runtime.engine.template import Template
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.streaming.replication import SLOT_NAME, ReplicationClient
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume
from tests.cluster_runtime.storage.conftest import Writer, insert, stored
from tests.waiting import wait_until

MB = 1 << 20
TINY: Settings = {**WRITER_SETTINGS, "max_wal_size": "2MB", "min_wal_size": "2MB"}


def attach(
    writer: Writer, volume: StorageVolume, settings: Settings, lost: list[StorageError]
) -> None:
    """The writer again, with other settings."""
    writer.stop()
    if not volume.trusts(writer.data):
        volume.rebuild(writer.data)
    volume.claim(writer.data)
    writer.postmaster.start(settings)
    volume.attach_writer(writer.postmaster.socket_directory, SUPERUSER, lost.append)


def write_log(conn: psycopg.Connection[tuple[object, ...]], megabytes: int) -> None:
    """One transaction of that much WAL."""
    conn.execute(
        "insert into t select i from generate_series(1, 10) i;"
        "select pg_logical_emit_message(true, 'x', repeat('y', 1000000))"
        f"  from generate_series(1, {megabytes})"
    )


def slot(conn: psycopg.Connection[tuple[object, ...]]) -> tuple[object, ...]:
    found = conn.execute(
        "select active, restart_lsn - '0/0'::pg_lsn, xmin::text, catalog_xmin::text"
        "  from pg_replication_slots where slot_name = %s",
        (SLOT_NAME,),
    ).fetchall()
    (row,) = found
    return row


def test_log_that_the_volume_does_not_have_yet_is_not_recycled(
    writer: Writer, volume: StorageVolume
) -> None:
    lost: list[StorageError] = []
    insert(writer, 0)
    attach(writer, volume, TINY, lost)
    for segment in ("a1", "a2", "b1", "b2", "c1", "c2"):
        volume.inject_fault(f"segment:{segment}", "slow:60")
    with writer.connect() as conn:
        write_log(conn, 20)
        assert slot(conn)[0] is True
    assert lost == []
    volume.heal()
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert len(stored(conn)) == 11


def test_log_is_kept_while_nobody_follows_and_a_second_attach_goes_on_from_there(
    writer: Writer, volume: StorageVolume
) -> None:
    lost: list[StorageError] = []
    insert(writer, 0)
    attach(writer, volume, TINY, lost)
    volume.detach_writer()
    with writer.connect() as conn:
        conn.execute("set synchronous_commit = local")
        write_log(conn, 20)
        conn.execute("checkpoint")
    attachment = volume.attach_writer(writer.postmaster.socket_directory, SUPERUSER, lost.append)
    insert(writer, 1)
    with writer.connect() as conn:
        wait_until(lambda: slot(conn)[1] == volume.describe().vdl)
    assert lost == []
    volume.detach_writer(attachment)


def test_a_directory_made_from_an_image_gets_a_slot_of_its_own_and_a_kept_one_keeps_it(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    writer.stop()
    writer.start()
    with writer.connect() as conn:
        assert slot(conn)[0] is True
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert slot(conn)[0] is True


def test_log_is_released_once_it_is_durable(writer: Writer, volume: StorageVolume) -> None:
    insert(writer, 0)
    attach(writer, volume, TINY, [])
    with writer.connect() as conn:
        write_log(conn, 20)
        wait_until(lambda: slot(conn)[1] == volume.describe().vdl)
        conn.execute("checkpoint")
        conn.execute("checkpoint")
        kept = conn.execute("select count(*) from pg_ls_waldir()").fetchone()
    assert kept is not None
    assert int(str(kept[0])) < 12


def test_a_long_log_takes_no_more_descriptors_than_a_short_one(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 0)

    def opened() -> int:
        paths = [each.path for each in psutil.Process().open_files()]
        folder = str(volume.directory)
        return len([each for each in paths if each.startswith(folder) and each.endswith(".log")])

    with writer.connect() as conn:
        write_log(conn, 60)
        cursor = volume.log.cursor(volume.metadata.start_lsn)
        while cursor.read(MB):
            pass
        most = opened()
    lanes = volume._mount.node.lanes
    assert all(len(lane.store.log.files) > 6 for lane in lanes)
    assert most <= 4 * len(lanes)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_gigabytes_of_log_in_one_transaction_commit(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    volume.start_coalescing(
        template.installation, engine_dir / "c", SUPERUSER, wal_sockets=engine_dir / "w"
    )
    insert(writer, 0)
    begun = volume.describe().vdl
    with writer.connect() as conn:
        conn.execute("create table big (x int, filler text)")
        conn.execute("alter table big alter filler set storage plain")
        conn.execute(
            "insert into big select i, repeat(md5(i::text), 60) from generate_series(1, 1100000) i"
        )
        assert volume.describe().vdl - begun > 2000 * MB
        # Collected while the transaction was under way, and not only after it.
        assert volume.describe().coalescing.images >= 2
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert conn.execute("select count(*) from big").fetchone() == (1100000,)


# a writer that waits ---------------------------------------------------------------------------


def test_a_backlog_that_stands_for_longer_than_the_server_waits_goes_on_once_healed(
    writer: Writer, volume: StorageVolume
) -> None:
    """AZ+1 away, with more log behind it than the ring holds: keepalives are not even read."""
    lost: list[StorageError] = []
    insert(writer, 0)
    attach(writer, volume, {**WRITER_SETTINGS, "wal_sender_timeout": "1s"}, lost)
    pid = writer.postmaster.pid
    volume.inject_fault("az:a", "partition")
    volume.inject_fault("segment:b1", "partition")
    committed = threading.Event()

    def load() -> None:
        with writer.connect() as conn:
            write_log(conn, 12)
        committed.set()

    loading = threading.Thread(target=load)
    loading.start()
    began = time.monotonic()
    with writer.connect() as conn:
        waiting = "select 1 from pg_stat_activity where wait_event = 'SyncRep'"
        wait_until(lambda: conn.execute(waiting).fetchone())
        # Twice what the server waits for a word of its standby.
        wait_until(lambda: time.monotonic() - began > 2)
    assert volume.attached
    assert not committed.is_set()
    volume.heal()
    assert committed.wait(60)
    loading.join()
    assert lost == []
    assert writer.postmaster.pid == pid


def test_a_partition_is_the_cut_and_the_server_notices_it(
    writer: Writer, volume: StorageVolume
) -> None:
    lost: list[StorageError] = []
    insert(writer, 0)
    attach(writer, volume, {**WRITER_SETTINGS, "wal_sender_timeout": "1s"}, lost)
    volume.inject_fault("writer", "partition")
    with writer.connect() as conn:
        wait_until(lambda: slot(conn)[0] is False)
    volume.heal("writer")
    wait_until(lambda: lost)
    assert not volume.attached


# the protocol, with the server in this process --------------------------------------------------


def test_a_client_in_the_process_of_the_service_itself_is_answered(
    volume: StorageVolume, engine_dir: Path
) -> None:
    volume.serve_wal(engine_dir / "w")
    client = ReplicationClient(str(engine_dir / "w"), "x")
    try:
        identification = client.identify()
        assert identification.system_identifier == volume.metadata.system_identifier
        assert client.wal_segment_bytes() == MB
    finally:
        client.close()


def test_what_readers_need_is_relayed_to_the_writer_and_given_up_with_them(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    insert(writer, 1)
    volume.serve_wal(engine_dir / "w")
    data = engine_dir / "reader"
    settings = volume.lay_out_standby(data, SUPERUSER)
    reader = Postmaster(
        template.installation, template.user, data, engine_dir / "r", engine_dir / "reader.log"
    )
    reader.start({**settings, "hot_standby_feedback": True})
    try:
        with writer.connect() as conn:
            wait_until(lambda: slot(conn)[2] is not None)
            with superuser_connection(reader) as reading:
                reading.execute("begin isolation level repeatable read")
                reading.execute("select 1 from pg_class limit 1")
                insert(writer, 2, 3)
                held = slot(conn)[2]
            insert(writer, 4)
            wait_until(lambda: slot(conn)[2] != held)
            # A new attachment is told at once, and does not wait for the reader to say it again.
            volume.detach_writer()
            volume.attach_writer(writer.postmaster.socket_directory, SUPERUSER)
            wait_until(lambda: slot(conn)[2] is not None)
        # The same for a writer of a volume that was opened again.
        writer.lose()
        writer.start()
        with writer.connect() as conn:
            wait_until(lambda: slot(conn)[2] is not None)
            reader.stop(Shutdown.IMMEDIATE)
            volume.forget_standby(data)
            wait_until(lambda: slot(conn)[2:] == (None, None))
    finally:
        reader.stop(Shutdown.IMMEDIATE)
