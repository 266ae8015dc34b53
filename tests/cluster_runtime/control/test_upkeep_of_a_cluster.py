"""What the product does by itself for the volume of a cluster, seen from `Runtime` alone."""

import os
from pathlib import Path

import psutil
import pytest

from cluster_runtime import ClusterHandle, Runtime, ServerlessScaling
from cluster_runtime.control.servers.postgres import Reader
from cluster_runtime.engine.postmaster import Postmaster
from cluster_runtime.storage.core.policy.retention import HolderKind
from tests.waiting import wait_until

MB = 1 << 20


def fill(cluster: ClusterHandle, megabytes: int) -> None:
    """Log that leaves the database as large as it was."""
    with cluster.connect(autocommit=True) as conn:
        conn.execute(
            "create table filled as select repeat('x', 500) from generate_series(1, %s)",
            (megabytes * MB // 580,),
        )
        conn.execute("drop table filled")


def processes_below(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cwd", "cmdline", "ppid"]):
        command = " ".join(process.info["cmdline"] or [])
        maker = "image_maker" in command and process.info["ppid"] == os.getpid()
        if maker or str(folder) in (process.info["cwd"] or ""):
            found.append(process)
    return found


def test_a_cluster_that_nobody_tuned_makes_its_pages_and_collects_its_log(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table t as select 1 as x")
    begun = runtime.describe_volume(cluster.id)
    assert begun.coalescing.images == 0
    assert HolderKind.RECOVERY in [each.kind for each in begun.holders]
    for _ in range(2):
        fill(cluster, 20)
    wait_until(lambda: runtime.describe_volume(cluster.id).coalescing.images >= 1, 60)
    wait_until(lambda: not runtime.describe_volume(cluster.id).coalescing.running, 60)
    facts = runtime.describe_volume(cluster.id)
    (recovery,) = [each for each in facts.holders if each.kind is HolderKind.RECOVERY]
    assert recovery.lsn > begun.image_lsn
    assert recovery.log_bytes < facts.vdl - begun.image_lsn
    runtime.lose_compute(cluster.id)
    with cluster.connect() as conn:
        assert conn.execute("select x from t").fetchall() == [(1,)]


@pytest.mark.usefixtures("impolite_coalescing")
def test_what_is_due_is_done_before_a_pause_and_then_no_process_runs(
    runtime: Runtime, cluster: ClusterHandle, state_dir: Path
) -> None:
    before = runtime.describe_volume(cluster.id).image_lsn
    fill(cluster, 24)
    runtime.pause_db_cluster(cluster.id)
    folder = runtime._home.service.find(cluster.id).directory
    assert processes_below(folder) == []
    facts = runtime.describe_volume(cluster.id)
    assert facts.image_lsn > before
    assert facts.log_bytes_since_image <= facts.coalescing.log_bound_bytes


@pytest.mark.usefixtures("impolite_coalescing")
def test_the_same_before_it_pauses_by_itself(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster(
        "sleepy", scaling=ServerlessScaling(0, 1, seconds_until_auto_pause=1)
    )
    before = runtime.describe_volume("sleepy").image_lsn
    fill(cluster, 24)
    wait_until(lambda: cluster.describe().paused, 60)
    facts = runtime.describe_volume("sleepy")
    assert facts.image_lsn > before
    assert facts.log_bytes_since_image <= facts.coalescing.log_bound_bytes
    assert processes_below(runtime._home.service.find("sleepy").directory) == []


def test_a_reader_that_is_ready_shows_all_that_is_durable(
    runtime: Runtime, cluster: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its server takes connections long before it has replayed that far."""
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table t (x int)")
        conn.execute("insert into t select generate_series(1, 1000)")
    runtime.lose_compute(cluster.id)
    runtime.inject_fault(cluster.id, "az:a", "crash")
    runtime.inject_fault(cluster.id, "segment:b1", "crash")
    replayed: list[int] = []
    start = Postmaster.start

    def started(self: Postmaster, *args: object, **kwargs: object) -> None:
        start(self, *args, **kwargs)  # type: ignore[arg-type]
        volume = runtime._home.service.find(cluster.id).instances.storage.opened
        assert volume is not None
        replayed.append(int(volume.describe().vdl))

    monkeypatch.setattr(Postmaster, "start", started)
    with cluster.connect("reader") as conn:
        assert conn.execute("select count(*) from t").fetchone() == (1000,)
        found = conn.execute("select pg_last_wal_replay_lsn() - '0/0'::pg_lsn").fetchone()
        assert found is not None
        assert int(found[0]) >= replayed[-1]
    readers = [
        each
        for each in runtime.describe_volume(cluster.id).holders
        if each.kind is HolderKind.READER
    ]
    assert len(readers) == 1
    assert readers[0].name.startswith("reader-")
    runtime.heal_fault(cluster.id)
    assert all(
        each.kind is not HolderKind.READER for each in runtime.describe_volume(cluster.id).holders
    )


def test_a_reader_that_stands_still_is_not_called_ready(
    runtime: Runtime, cluster: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster_runtime.storage.upkeep.standbys.STALL_S", 0.2)
    hosted = runtime._home.service.find(cluster.id)
    volume = hosted.instances.storage.open_for("a test")
    monkeypatch.setattr(volume._upkeep.standbys, "_replayed", lambda standby: 1)
    reader = hosted.instances.stand_in._instance
    assert isinstance(reader, Reader)
    with pytest.raises(Exception, match="went no further"):
        reader.start()
    assert not reader.running
    assert HolderKind.READER not in [each.kind for each in volume.describe().holders]
