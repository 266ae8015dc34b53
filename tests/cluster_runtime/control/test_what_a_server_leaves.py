"""Whoever took a server over owns its data directory. Nothing left there keeps it from waking."""

import os
import signal
from collections.abc import Callable

import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.engine.postmaster import Postmaster
from tests.waiting import wait_until


def a_folder_named(name: str) -> Callable[[Postmaster], None]:
    def leave(server: Postmaster) -> None:
        path = server.data_directory / name
        path.unlink(missing_ok=True)
        path.mkdir()
        (path / "full").touch()

    return leave


def a_file_of(name: str, content: bytes) -> Callable[[Postmaster], None]:
    def leave(server: Postmaster) -> None:
        (server.data_directory / name).write_bytes(content)

    return leave


def closed_folders(server: Postmaster) -> None:
    closed = server.data_directory / "closed" / "below"
    closed.mkdir(parents=True)
    (closed / "full").touch()
    for path in (closed, closed.parent, server.data_directory):
        path.chmod(0)


def a_folder_for_a_socket(server: Postmaster) -> None:
    (server.socket_directory / ".s.PGSQL.1").mkdir()


def no_control_file(server: Postmaster) -> None:
    (server.data_directory / "global" / "pg_control").write_bytes(b"short")


LEFT = {
    "a folder as lock": a_folder_named("postmaster.pid"),
    "a lock of many digits": a_file_of("postmaster.pid", b"9" * 6000),
    "a lock of no text": a_file_of("postmaster.pid", b"\xff\x00\n" * 99),
    "a folder as claim": a_folder_named("borealis.volume"),
    "a claim nested deeply": a_file_of("borealis.volume", b"[" * 4096),
    "a claim that is none": a_file_of("borealis.volume", b'{"volume_id": [], "x": 1}'),
    "a folder as settings": a_folder_named("runtime.conf"),
    "a folder in the way of settings": a_folder_named("runtime.conf.new"),
    "a folder as facts": a_folder_named("borealis.instance"),
    "a folder in the way of facts": a_folder_named("borealis.instance.new"),
    "a folder as promotion": a_folder_named("promote"),
    "a folder as configuration": a_folder_named("postgresql.auto.conf"),
    "closed folders": closed_folders,
    "a folder for a socket": a_folder_for_a_socket,
    "no control file": no_control_file,
}


@pytest.fixture(scope="module")
def cluster(shared_runtime: Runtime) -> ClusterHandle:
    made = shared_runtime.create_db_cluster("taken")
    with made.connect() as conn:
        conn.execute("create table t (v int)")
    return made


@pytest.mark.parametrize("left", LEFT)
def test_a_cluster_wakes_whatever_its_last_server_left(cluster: ClusterHandle, left: str) -> None:
    with cluster.connect() as conn:
        conn.execute("insert into t values (1)")
    writer = cluster._source.cluster.instances.writer_server  # type: ignore[attr-defined]
    server, killed = writer._postmaster, writer._postmaster.pid
    LEFT[left](server)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: server.pid != killed)
    with cluster.connect() as conn:
        row = conn.execute("select count(*) > 0 from t").fetchone()
    assert row == (True,)
    assert not (server.data_directory / "closed").exists()
