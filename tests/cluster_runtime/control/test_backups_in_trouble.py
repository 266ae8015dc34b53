"""Backups that move, that cannot be tidied, and that somebody damaged."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.backup.core import pacing
from cluster_runtime.backup.keeping.collecting import Collecting
from cluster_runtime.backup.keeping.volume_backup import VolumeBackup
from cluster_runtime.errors import (
    BackupDamagedError,
    BackupStoreUnavailableError,
    StorageError,
)
from tests.numbers import rows, write
from tests.waiting import wait_until

SOON_S = 30
"""Far less than a listing of the bucket counts (`keeper.KNOWN_FOR_S`)."""


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Clusters are backed up from their first second on, and not only once they may stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pacing, "FIRST_AFTER_S", 0.0)
        yield


def test_a_backup_that_moves_tells_its_window_as_soon_as_it_has_one(
    runtime: Runtime, cluster: ClusterHandle, engine_dir: Path
) -> None:
    wait_until(lambda: cluster.describe().earliest_restorable_time)
    moved = datetime.now(UTC)
    runtime.modify_backup_store(str(engine_dir / "elsewhere"))
    earliest = wait_until(lambda: cluster.describe().earliest_restorable_time, SOON_S)
    assert earliest > moved
    latest = cluster.describe().latest_restorable_time
    assert latest is not None
    wait_until(lambda: (at := cluster.describe().latest_restorable_time) and at > latest, SOON_S)


def test_a_backup_that_cannot_be_tidied_has_its_window_all_the_same(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise BackupStoreUnavailableError("it cannot be listed")

    monkeypatch.setattr(Collecting, "collect", away)
    cluster = runtime.create_db_cluster("notes")
    assert wait_until(lambda: cluster.describe().earliest_restorable_time, SOON_S)


@pytest.mark.parametrize(
    ("error", "said"),
    [(None, "the volume was closed meanwhile; try again"), (OSError("gone"), "gone")],
)
def test_a_snapshot_whose_upload_ends_early_says_so(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, error: Exception | None, said: str
) -> None:
    monkeypatch.setattr(pacing, "FIRST_AFTER_S", 3600.0)
    cluster = runtime.create_db_cluster("notes")
    write(cluster, 1)
    runtime.create_restore_point("notes", "here")
    uploading, between = threading.Event(), VolumeBackup._between

    def slow(backup: VolumeBackup) -> None:
        uploading.set()
        if error is not None:
            raise error
        backup._leaving.wait(60)
        between(backup)

    with monkeypatch.context() as held, ThreadPoolExecutor(1) as pool:
        held.setattr(VolumeBackup, "_between", slow)
        snapshot = pool.submit(runtime.create_db_cluster_snapshot, "monday", "notes")
        assert uploading.wait(60)
        if error is None:
            runtime.rewind("notes", "here")
        with pytest.raises(StorageError, match=said):
            snapshot.result(60)
    assert runtime.describe_db_cluster_snapshots() == []
    assert runtime.create_db_cluster_snapshot("monday", "notes").percent_progress == 100
    assert rows(cluster) == [1]


def test_times_that_do_not_need_a_damaged_object_can_be_restored(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    wait_until(lambda: cluster.describe().earliest_restorable_time)
    write(cluster, 1)
    moment = datetime.now(UTC)
    # A piece is written again together with what follows, unless it is the longer one.
    wait_until(lambda: (at := cluster.describe().latest_restorable_time) and at > moment)
    write(cluster, *range(2, 400))
    runtime.create_db_cluster_snapshot("first", "notes")
    log = Path(runtime.describe_backup_store().location, "clusters", cluster.id, "0001/log")
    before = set(log.iterdir())
    write(cluster, 400)
    runtime.create_db_cluster_snapshot("second", "notes")
    (newest,) = set(log.iterdir()) - before
    runtime.delete_db_cluster("notes")
    whole = newest.read_bytes()
    newest.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BackupDamagedError, match=f"{newest} is damaged"):
        runtime.restore_db_cluster_to_point_in_time(
            "latest", "notes", use_latest_restorable_time=True
        )
    assert runtime.describe_db_clusters() == []
    assert list((runtime._home.service._runtime.home.clusters).iterdir()) == []  # type: ignore[attr-defined]
    back = runtime.restore_db_cluster_to_point_in_time("then", "notes", restore_to_time=moment)
    assert rows(back) == [1]
    assert rows(runtime.restore_db_cluster_from_snapshot("first", "first")) == [*range(1, 400)]
    newest.write_bytes(whole)
    back = runtime.restore_db_cluster_to_point_in_time(
        "latest", "notes", use_latest_restorable_time=True
    )
    assert rows(back) == [*range(1, 401)]
