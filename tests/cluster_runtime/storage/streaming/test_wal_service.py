"""The WAL service when the volume behind it is opened again, and what it knows of its standbys."""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.template import Template
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.streaming.wal_protocol import ServedLog
from cluster_runtime.storage.streaming.wal_service import SOCKET_NAME, WalCursor, WalService
from cluster_runtime.storage.volume import StorageVolume
from tests.cluster_runtime.storage.conftest import Writer, insert, stored
from tests.cluster_runtime.storage.streaming.test_wal_protocol import query, startup
from tests.waiting import wait_until


class Cursor:
    """Of a volume whose durable end stands still."""

    def __init__(self, lsn: int, end: int) -> None:
        self.lsn, self.end = lsn, end
        self.reads = 0

    def read(self, limit_bytes: int) -> bytes:
        self.reads += 1
        size = max(0, min(limit_bytes, self.end - self.lsn))
        self.lsn += size
        return bytes(size)


class Source:
    """A volume that the test opens again."""

    def __init__(self) -> None:
        self.end = 0x2000
        self.cursors: list[Cursor] = []
        self.relayed: list[Feedback] = []
        self.watchers: set[int] = set()

    def served_log(self) -> ServedLog:
        return ServedLog(4711, Timelines(), 0x1000, self.end, 1 << 20, "18.6")

    def cursor(self, lsn: int) -> WalCursor:
        made = Cursor(lsn, self.end)
        self.cursors.append(made)
        return made

    def watch(self, fd: int) -> None:
        self.watchers.add(fd)

    def unwatch(self, fd: int) -> None:
        self.watchers.discard(fd)

    def relay(self, feedback: Feedback) -> None:
        self.relayed.append(feedback)

    def moved(self) -> None:
        for fd in list(self.watchers):
            os.write(fd, b"x")


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def service(source: Source, engine_dir: Path) -> Iterator[WalService]:
    made = WalService(source, engine_dir / "w", engine_user())
    yield made
    made.close()


def standby(folder: Path, name: str, lsn: str = "0/1000") -> socket.socket:
    """A standby that has begun to stream."""
    conn = socket.socket(socket.AF_UNIX)
    conn.settimeout(20)
    conn.connect(str(folder / "w" / SOCKET_NAME))
    conn.sendall(startup(user="x", replication="true", application_name=name))
    while not conn.recv(65536).endswith(b"I"):
        pass
    conn.sendall(query(f"START_REPLICATION {lsn} TIMELINE 1"))
    return conn


def ends(conn: socket.socket) -> bool:
    """Whether the service closes the connection."""
    while data := conn.recv(1 << 16):
        assert data
    return True


def say(conn: socket.socket, body: bytes) -> None:
    conn.sendall(b"d" + struct.pack("!I", 4 + len(body)) + body)


def feedback(xmin: int, catalog_xmin: int) -> bytes:
    return struct.pack("!cQIIII", b"h", 0, xmin, 0, catalog_xmin, 0)


def test_a_stream_whose_volume_was_opened_anew_ends_and_does_not_spin(
    source: Source, service: WalService, engine_dir: Path
) -> None:
    before = set(threading.enumerate())  # others in this process may serve readers too
    conn = standby(engine_dir, "old")
    wait_until(lambda: source.cursors and source.cursors[0].lsn == 0x2000)
    reads = source.cursors[0].reads
    source.end = 0x3000  # of the new one: the old cursor never gets there
    source.moved()
    assert ends(conn)
    assert source.cursors[0].reads == reads + 1
    wait_until(lambda: service.readers() == {})

    def serving() -> list[threading.Thread]:
        now = set(threading.enumerate()) - before
        return [each for each in now if each.name == "borealis-wal-reader"]

    wait_until(lambda: serving() == [])


def test_of_two_connections_of_one_name_the_newer_counts(
    service: WalService, engine_dir: Path
) -> None:
    first = standby(engine_dir, "same")
    say(first, struct.pack("!cQQQQB", b"r", 9, 9, 9, 0, 0))
    wait_until(lambda: service.replayed_by("same") == 9)
    second = standby(engine_dir, "same")
    wait_until(lambda: service.replayed_by("same") == 0)
    say(second, struct.pack("!cQQQQB", b"r", 5, 5, 5, 0, 0))
    wait_until(lambda: service.replayed_by("same") == 5)
    assert service.replayed_by("nobody") == 0
    first.close()
    second.close()


def test_the_least_need_of_all_standbys_is_relayed_once_and_goes_with_them(
    source: Source, service: WalService, engine_dir: Path
) -> None:
    one, other = standby(engine_dir, "one"), standby(engine_dir, "other")
    say(one, feedback(100, 0))
    wait_until(lambda: source.relayed)
    say(other, feedback(90, 70))
    wait_until(lambda: len(source.relayed) == 2)
    say(one, feedback(100, 0))
    other.close()
    wait_until(lambda: len(source.relayed) == 3)
    one.close()
    wait_until(lambda: len(source.relayed) == 4)
    assert source.relayed == [
        Feedback((100, 0), (0, 0)),
        Feedback((90, 0), (70, 0)),
        Feedback((100, 0), (0, 0)),
        Feedback(),
    ]


def test_a_cursor_of_a_volume_that_was_opened_anew_says_so(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    cursor = volume.log.cursor(volume.metadata.start_lsn)
    assert cursor.read(100)
    writer.stop()
    volume.recover()
    with pytest.raises(StorageError, match="opened again"):
        cursor.read(100)


def test_a_standby_follows_a_volume_that_is_opened_anew_under_it(
    writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path
) -> None:
    insert(writer, 0)
    volume.serve_wal(engine_dir / "w")
    data = engine_dir / "reader"
    reader = Postmaster(
        template.installation, template.user, data, engine_dir / "r", engine_dir / "reader.log"
    )
    # A stream of the volume as it was open before, which does not end, would be one without end.
    reader.start({**volume.lay_out_standby(data, SUPERUSER), "wal_receiver_timeout": 0})
    try:
        volume.await_standby(data, lambda: reader.running)
        with superuser_connection(reader) as conn:
            for value in range(1, 4):
                writer.lose()
                writer.start()
                insert(writer, value)
                wait_until(lambda value=value: stored(conn) == list(range(value + 1)), 90)
    finally:
        reader.stop(Shutdown.IMMEDIATE)
        volume.forget_standby(data)
