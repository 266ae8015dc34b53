"""The host process: one at a time, and its death loses nothing."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from cluster_runtime import Runtime
from cluster_runtime.control.records.catalog import MIGRATIONS
from cluster_runtime.engine.system.processes import wait_until_gone
from cluster_runtime.errors import (
    BorealisError,
    CatalogCorruptedError,
    StateDirectoryError,
    StateDirectoryInUseError,
)

HOST = """
import sys
from cluster_runtime import Runtime
runtime = Runtime.open(sys.argv[1])
runtime.warm()
cluster = runtime.create_db_cluster("notes")
conn = cluster.connect(autocommit=True)
conn.execute("create table t (x int)")
print("ready", flush=True)
for x in range(1_000_000):
    conn.execute("insert into t values (%s)", [x])
    print(x, flush=True)
"""


def postgres_below(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter(["pid", "cwd", "name"]):
        cwd = process.info["cwd"]
        if cwd and Path(cwd).is_relative_to(folder) and process.info["name"] == "postgres":
            found.append(process.info["pid"])
    return found


def test_a_killed_host_loses_no_commit_and_leaves_no_orphan(state_dir: Path) -> None:
    argv = [sys.executable, "-c", HOST, str(state_dir)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
        acknowledged = [int(host.stdout.readline()) for _ in range(200)]
        host.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in host.stdout.read().split()]

    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        assert postgres_below(state_dir) == []
        cluster = runtime.cluster("notes")
        with cluster.connect() as conn:
            present = {x for (x,) in conn.execute("select x from t")}
        assert set(acknowledged) <= present
        assert [path.name for path in (state_dir / "engine" / "clusters").iterdir()] == [cluster.id]
    assert postgres_below(state_dir) == []


def test_a_second_host_is_told_who_the_first_is(runtime: Runtime, state_dir: Path) -> None:
    with pytest.raises(StateDirectoryInUseError, match=f"hosted by process {os.getpid()}"):
        Runtime.open(state_dir, host="process")


def test_clusters_are_back_after_a_restart_at_the_same_address(state_dir: Path) -> None:
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("notes")
        before = cluster.describe()
        with cluster.connect() as conn:
            conn.execute("create table t as select 1 as x")
        runtime.create_db_cluster("resting")
        runtime.stop_db_cluster("resting")
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        after = runtime.cluster("notes").describe()
        assert (after.endpoint, after.port, after.reader_port) == (
            before.endpoint,
            before.port,
            before.reader_port,
        )
        with runtime.cluster("notes").connect() as conn:
            assert conn.execute("select x from t").fetchone() == (1,)
        assert runtime.cluster("resting").describe().status == "stopped"


def test_closing_twice_is_harmless_and_a_closed_runtime_says_so(state_dir: Path) -> None:
    runtime = Runtime.open(state_dir, warm_pool_size=0)
    runtime.close()
    runtime.close()
    with pytest.raises(BorealisError, match="closed"):
        runtime.describe_db_clusters()


def test_a_corrupted_catalog_is_told_and_left_untouched(state_dir: Path) -> None:
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        runtime.create_db_cluster("notes")
    catalog = state_dir / "catalog.sqlite"
    intact = catalog.read_bytes()
    catalog.write_bytes(b"not a database" + intact[14:])
    damaged = catalog.read_bytes()
    clusters = list((state_dir / "engine" / "clusters").iterdir())
    with pytest.raises(CatalogCorruptedError, match="nothing was changed"):
        Runtime.open(state_dir)
    assert catalog.read_bytes() == damaged
    assert list((state_dir / "engine" / "clusters").iterdir()) == clusters
    catalog.write_bytes(intact)
    with Runtime.open(state_dir, warm_pool_size=0) as runtime, runtime.cluster("notes").connect():
        pass


def test_an_unreadable_row_is_a_corrupted_catalog(state_dir: Path) -> None:
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        runtime.create_db_cluster("notes")
    with sqlite3.connect(state_dir / "catalog.sqlite") as catalog:
        catalog.execute("update db_cluster set document = '{}'")
    catalog.close()
    with pytest.raises(CatalogCorruptedError, match="unreadable"):
        Runtime.open(state_dir)


def test_a_catalog_of_a_newer_release_is_refused(state_dir: Path) -> None:
    Runtime.open(state_dir, warm_pool_size=0).close()
    with sqlite3.connect(state_dir / "catalog.sqlite") as catalog:
        catalog.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    catalog.close()
    with pytest.raises(StateDirectoryError, match="newer release"):
        Runtime.open(state_dir)


def test_a_lost_catalog_does_not_take_the_data_with_it(state_dir: Path) -> None:
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        identifier = runtime.create_db_cluster("notes").id
    for part in state_dir.glob("catalog.sqlite*"):
        part.unlink()
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        assert runtime.describe_db_clusters() == []
    assert (state_dir / "engine" / "clusters" / identifier / "data" / "PG_VERSION").exists()


def test_a_file_where_the_state_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateDirectoryError, match="not a directory"):
        Runtime.open(tmp_path / "file")


def test_keys_are_private_and_never_printed(runtime: Runtime, state_dir: Path) -> None:
    from cluster_runtime.control.records.state_directory import AccessKey

    credentials = state_dir / "credentials"
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    for key in (state_dir / "tls").glob("*key*"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "hidden" not in repr(AccessKey("AKIA", "hidden"))


def test_a_state_directory_that_postgresql_cannot_reach_works_all_the_same(tmp_path: Path) -> None:
    """As root, tmp_path lies below a folder that only root can enter."""
    with Runtime.open(tmp_path / "state", warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("notes")
        with cluster.connect() as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        runtime.delete_db_cluster("notes")


def test_a_cluster_whose_postgresql_was_killed_comes_back_on_connect(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster("notes")
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
        conn.commit()
        (pid,) = conn.execute("select pg_backend_pid()").fetchone() or (0,)
        backend = psutil.Process(pid)
        postmaster = backend.parent()
        assert postmaster is not None
        postmaster.kill()
        assert wait_until_gone([postmaster, backend], 20) == []
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    with cluster.connect() as conn:
        assert conn.execute("select x from t").fetchone() == (1,)


def test_a_runtime_that_closes_while_its_pool_refills_leaves_nothing(
    state_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Found by use: the directory was removed under the thread that still filled it."""
    for _ in range(3):
        Runtime.open(state_dir, warm_pool_size=1).close()
        assert list((state_dir / "engine" / "clusters").iterdir()) == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
