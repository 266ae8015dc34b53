"""A paused cluster costs nothing but the sockets that wake it; running out of anything is told."""

import asyncio
import errno
import gc
import logging
import os
import re
import resource
import sqlite3
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.backup.core import pacing
from cluster_runtime.engine.system import resources
from cluster_runtime.engine.system.resources import raise_open_files, used_up
from cluster_runtime.errors import BorealisError, InsufficientResourcesError
from cluster_runtime.storage.live import opening
from tests.waiting import wait_until

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
OF_THE_HOST = {"borealis-spawner_0", "borealis-runtime"}
"""Threads that there are once for all clusters."""


def open_files() -> list[str]:
    """What this process has open, by the names that the system gives."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return found


def threads() -> list[str]:
    """Those of clusters; other tests may have some of their own, which come and go."""
    names = (thread.name for thread in threading.enumerate())
    return sorted(
        name for name in names if name.startswith("borealis-") and name not in OF_THE_HOST
    )


def tasks(runtime: Runtime) -> int:
    """Tasks on the runtime's loop, without the one that asks."""

    async def count() -> int:
        return len(asyncio.all_tasks()) - 1

    return runtime._home.thread.call(count())


def volume_of(runtime: Runtime, cluster: ClusterHandle) -> object | None:
    return runtime._home.service.find(cluster.id).instances.storage.opened


@needs_proc
def test_paused_clusters_have_no_thread_no_task_and_nothing_open_but_their_ports(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A host opens what it needs for buckets with its first backup.
    monkeypatch.setattr(pacing, "FIRST_AFTER_S", 3600.0)
    runtime.create_db_cluster("first")  # what the host itself needs, as its client of buckets
    runtime.describe_db_cluster_automated_backups()
    runtime.pause_db_cluster("first")
    runtime.describe_db_cluster_automated_backups()
    runtime.delete_db_cluster("first")
    before = threads(), len(open_files()), tasks(runtime)
    clusters = [runtime.create_db_cluster(f"sleepy-{number}") for number in range(3)]
    assert len(threads()) >= len(before[0]) + 3 * len(clusters)  # so the measure sees them
    for cluster in clusters:
        runtime.pause_db_cluster(cluster.id)
    folders = tuple(str(runtime._home.service.find(each.id).directory) for each in clusters)
    assert [file for file in open_files() if file.startswith(folders)] == []
    listening = sum(
        len(endpoint._reception._listener._fds)
        for each in clusters
        for endpoint in runtime._home.service.find(each.id).endpoints.values()
    )
    assert listening <= 6 * len(clusters)
    # The last task of a disconnect, or of a delete before, may still be on its way out.
    wait_until(lambda: len(threads()) <= len(before[0]) and tasks(runtime) <= before[2])
    assert len(open_files()) - listening <= before[1]


def test_a_paused_cluster_waits_for_no_time(runtime: Runtime, cluster: ClusterHandle) -> None:
    watch = runtime._home.service.find(cluster.id).watch
    assert watch is not None
    assert watch._timer is not None
    runtime.pause_db_cluster(cluster.id)
    assert watch._timer is None
    cluster.connect().close()
    assert wait_until(lambda: watch._timer)  # once the gateway has seen the end


def bytes_on_disk(folder: Path) -> int:
    return sum(each.lstat().st_blocks * 512 for each in folder.rglob("*"))


def test_a_paused_cluster_keeps_no_log_file_that_was_made_ahead_of_need(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    directory = runtime._home.service.find(cluster.id).directory
    segments = sorted(directory.glob("volume/az-*/*/log"))
    assert len(segments) == 6
    with cluster.connect() as conn:
        conn.execute("create table t as select g as x from generate_series(1, 20000) g")
    wait_until(lambda: any(each.stat().st_size > 8 << 20 for each in segments[0].iterdir()))
    taken = []
    for number in range(3):
        runtime.pause_db_cluster(cluster.id)
        assert bytes_on_disk(directory) < 60 << 20
        last = [max(each.iterdir(), key=lambda file: file.name) for each in segments]
        for file in last:  # what is left of it is a page, or less
            assert len(file.read_bytes().rstrip(b"\0")) > file.stat().st_size - 2 * 4096
        taken.append(bytes_on_disk(directory / "volume"))
        with cluster.connect() as conn:
            assert conn.execute("select count(*) from t").fetchone() == (20000 + number,)
            conn.execute("insert into t values (0)")
    assert taken[2] - taken[1] < 6 << 20, "each wake leaves more than a wake writes"


def add_copies(catalog: sqlite3.Connection, resource_id: str, count: int) -> None:
    """Rows as those of the cluster `solo`, under other names, for clusters that nobody wakes."""
    for table, key in (("db_cluster", "resource_id"), ("db_instance", "cluster")):
        query = f"select * from {table} where {key} = ?"
        (row,) = catalog.execute(query, (resource_id,)).fetchall()
        text = re.sub(r'port": *\d+', 'port": 0', "\x1f".join(map(str, row)))
        for number in range(count):
            new = f"{resource_id[:-4]}{number:04}"
            made = text.replace(resource_id, new).replace(resource_id.lower(), new.lower())
            made = made.replace("solo", f"solo-{number}").replace('"db-', f'"db-{number:04}')
            values = made.split("\x1f")
            catalog.execute(f"insert into {table} values ({','.join('?' * len(values))})", values)


def test_a_paused_cluster_is_a_small_record(state_dir: Path) -> None:
    """What each takes once a host has begun, by what Python has allocated.

    Of so many that what a host's own beginning varies by, some 60 kB, is less than the margin.
    """
    count = 120
    with Runtime.open(state_dir, host="process", warm_pool_size=0) as runtime:
        solo = runtime.create_db_cluster("solo")
        runtime.pause_db_cluster(solo.id)

    def traced(clusters: int) -> int:
        logging.disable(logging.CRITICAL)  # records of it are kept by the test, not by the host
        tracemalloc.start(1)
        try:
            with Runtime.open(state_dir, host="process", warm_pool_size=0) as runtime:
                hosted = runtime._home.service._runtime.clusters.values()
                assert [len(each.endpoints) for each in hosted] == [3] * clusters
                gc.collect()
                return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            logging.disable(logging.NOTSET)

    traced(1)  # what is loaded with the first one
    base = traced(1)
    with closing(sqlite3.connect(state_dir / "catalog.sqlite", isolation_level=None)) as catalog:
        add_copies(catalog, solo.id, count)
    # The least of some: what is imported meanwhile is no part of a cluster.
    each = (min(traced(1 + count) for _ in range(3)) - base) / count
    assert 2_000 < each < 16 * 1024, each


def test_the_memory_of_a_volume_that_was_closed_goes_back(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    home = runtime._home
    volume = weakref.ref(volume_of(runtime, cluster))
    home.thread.call(home.service.stay_small())
    gc.disable()  # so that it is not chance
    try:
        runtime.pause_db_cluster(cluster.id)
        assert wait_until(lambda: volume() is None)
    finally:
        gc.enable()


def test_a_paused_cluster_keeps_no_certificate(runtime: Runtime, cluster: ClusterHandle) -> None:
    endpoint = runtime._home.service.find(cluster.id).endpoints["writer"]
    for _ in range(2):
        with cluster.connect() as conn:
            conn.execute("select 1")
            assert endpoint._certificate is not None
        runtime.pause_db_cluster(cluster.id)
        assert endpoint._certificate is None


def test_a_paused_cluster_wakes_with_what_it_had(runtime: Runtime, cluster: ClusterHandle) -> None:
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    for number in range(2, 5):
        runtime.pause_db_cluster(cluster.id)
        assert volume_of(runtime, cluster) is None
        with cluster.connect() as conn:
            conn.execute("insert into t values (%s)", [number])
            assert conn.execute("select count(*) from t").fetchone() == (number,)


def test_an_operation_on_the_volume_of_a_paused_cluster_opens_it_for_itself(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    runtime.pause_db_cluster(cluster.id)
    assert len(runtime.describe_volume(cluster.id).segments) == 6
    assert volume_of(runtime, cluster) is None
    runtime.modify_db_cluster(cluster.id, storage_type="aurora-iopt1")
    assert volume_of(runtime, cluster) is None
    assert runtime.describe_volume(cluster.id).storage_type == "aurora-iopt1"
    runtime.stop_db_cluster(cluster.id)
    runtime.describe_volume(cluster.id)
    assert volume_of(runtime, cluster) is None


def test_a_fault_on_purpose_outlives_a_pause(runtime: Runtime, cluster: ClusterHandle) -> None:
    runtime.inject_fault(cluster.id, "az:a", "crash")
    runtime.pause_db_cluster(cluster.id)
    assert volume_of(runtime, cluster) is not None
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    faults = [each.fault for each in runtime.describe_volume(cluster.id).segments if each.fault]
    assert len(faults) == 2
    runtime.pause_db_cluster(cluster.id)
    runtime.heal_fault(cluster.id)
    assert volume_of(runtime, cluster) is None


def test_a_cluster_can_be_woken_while_its_volume_is_looked_at(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    """Who looks closes nothing under the writer, and who pauses nothing under who looks."""
    failures: list[BorealisError] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                runtime.describe_volume(cluster.id)
            except BorealisError as error:
                failures.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(4):
            runtime.pause_db_cluster(cluster.id)
            cluster.connect().close()
    finally:
        over.set()
        looking.join()
    assert failures == []
    runtime.pause_db_cluster(cluster.id)
    assert wait_until(lambda: volume_of(runtime, cluster) is None)


def test_a_reader_that_serves_keeps_the_volume_open(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    storage = runtime._home.service.find(cluster.id).instances.storage
    reader = object()
    storage.open_for(reader)
    runtime.pause_db_cluster(cluster.id)
    assert storage.opened is not None
    storage.rest(reader)
    assert storage.opened is None


@pytest.fixture
def low_limit() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(open_files()) + 100, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("low_limit")
def test_opening_a_runtime_raises_the_limit_of_open_files(state_dir: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Runtime.open(state_dir, warm_pool_size=0):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    expected = resources.OPEN_FILES_WANTED
    assert soft == (expected if hard == resource.RLIM_INFINITY else min(expected, hard))
    assert raise_open_files() == soft


def test_no_thread_keeps_a_commit_waiting_for_long(state_dir: Path) -> None:
    before = sys.getswitchinterval()
    try:
        for chosen, then in ((0.005, 0.001), (0.0005, 0.0005)):
            sys.setswitchinterval(chosen)
            with Runtime.open(state_dir, warm_pool_size=0):
                assert sys.getswitchinterval() == pytest.approx(then)
    finally:
        sys.setswitchinterval(before)


@needs_proc
def test_a_create_without_descriptors_says_so_and_leaves_nothing(runtime: Runtime) -> None:
    kept = runtime.create_db_cluster("kept")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    folder = runtime._home.service.find(kept.id).directory.parent
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(open_files()) + 8, limits[1]))
    try:
        with pytest.raises(InsufficientResourcesError, match="open files of this process left"):
            runtime.create_db_cluster("too-many")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [each.db_cluster_identifier for each in runtime.describe_db_clusters()] == ["kept"]
    assert [each.name for each in folder.iterdir()] == [kept.id]
    assert runtime.create_db_cluster("too-many").connect().execute("select 1").fetchone() == (1,)


def test_a_segment_that_cannot_be_opened_for_want_of_descriptors_is_not_lost(
    runtime: Runtime, cluster: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its replacement would be made, of all times when there is nothing left to make it by."""
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    runtime.pause_db_cluster(cluster.id)
    states = opening.SegmentStore._reload
    monkeypatch.setattr(opening.SegmentStore, "_reload", _out_of_files_for("b2", states))
    with pytest.raises(InsufficientResourcesError):
        runtime.describe_volume(cluster.id)
    assert volume_of(runtime, cluster) is None
    monkeypatch.undo()
    with cluster.connect() as conn:
        assert conn.execute("select x from t").fetchone() == (1,)
    found = runtime.describe_volume(cluster.id)
    assert {str(each.id) for each in found.segments} >= {"a1", "b2", "c2"}


def _out_of_files_for(segment: str, reload: object) -> object:
    def refused(store: opening.SegmentStore, *arguments: object) -> object:
        if store.id == segment:
            raise OSError(errno.EMFILE, "Too many open files")
        return reload(store, *arguments)  # type: ignore[operator]

    return refused


@pytest.mark.parametrize(
    ("error", "starting", "said"),
    [
        (OSError(errno.EMFILE, "x"), False, "open files of this process left .*ulimit -n"),
        (OSError(errno.ENFILE, "x"), False, "open files of this machine left"),
        (OSError(errno.EAGAIN, "x"), True, "processes that this user may have left"),
        (OSError(errno.ENOMEM, "x"), True, "no memory left"),
        (RuntimeError("can't start new thread"), False, "no threads left"),
    ],
)
def test_what_has_run_out_is_named(error: Exception, starting: bool, said: str) -> None:
    known = used_up(error, starting=starting)
    assert known is not None
    assert known.retry_helps
    with pytest.raises(InsufficientResourcesError, match=said):
        raise known


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EAGAIN, "x"),
        OSError(errno.ENOSPC, "x"),
        RuntimeError("x"),
        psycopg.OperationalError("x"),
    ],
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert used_up(error) is None
