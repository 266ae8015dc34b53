"""Continuous backup and restores, through the product: any second back, and a copy that stays."""

import errno
import random
import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster_runtime import ClusterHandle, DBParameter, Runtime
from cluster_runtime.backup import sharing
from cluster_runtime.backup.core import pacing
from cluster_runtime.backup.core.names import piece_name
from cluster_runtime.backup.core.targets import Plan
from cluster_runtime.backup.keeping import volume_backup
from cluster_runtime.backup.restoring import fetching
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.workflows.backups import restore
from cluster_runtime.errors import (
    BackupDamagedError,
    BackupKeyError,
    ClusterNotFoundError,
    InsufficientStorageError,
    InvalidParameterError,
    InvalidRestoreError,
    SnapshotAlreadyExistsError,
    SnapshotNotFoundError,
)
from tests.places import SpentFolders, reachable_folder
from tests.waiting import wait_until

LAG_MAX = timedelta(seconds=5)


def values(cluster: ClusterHandle) -> list[int]:
    with cluster.connect() as conn:
        return [value for (value,) in conn.execute("select v from t order by v")]


def add(cluster: ClusterHandle, value: int) -> None:
    with cluster.connect() as conn:
        conn.execute("insert into t values (%s)", (value,))


def backed_up(cluster: ClusterHandle) -> datetime:
    """Wait until the cluster can be restored; from when on."""
    return wait_until(lambda: cluster.describe().earliest_restorable_time)


def objects(era: Path, kind: str) -> list[Path]:
    return sorted((era / kind).glob("*"))


def clusters_on_disk(runtime: Runtime) -> set[str]:
    home = runtime._home.service._runtime.home  # type: ignore[attr-defined]
    return {path.name for folder in (home.clusters, home.bases) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def place(spent_folders: SpentFolders) -> Iterator[Path]:
    folder = reachable_folder()
    yield folder
    spent_folders.append(folder)


@pytest.fixture(autouse=True, scope="module")
def at_once() -> Iterator[None]:
    """Clusters are backed up from their first second on, and not only once they may stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pacing, "FIRST_AFTER_S", 0.0)
        yield


@pytest.fixture(scope="module")
def host(place: Path) -> Iterator[Runtime]:
    with Runtime.open(place / "state", warm_pool_size=0) as opened:
        yield opened


@pytest.fixture(autouse=True)
def only_the_source_stays(host: Runtime) -> Iterator[None]:
    """Others would run until they have copies of their pages, which take long to delete."""
    yield
    for each in host.describe_db_clusters():
        if each.db_cluster_identifier != "source":
            host.delete_db_cluster(each.db_cluster_identifier, delete_automated_backups=True)


@pytest.fixture(scope="module")
def source(host: Runtime) -> ClusterHandle:
    cluster = host.create_db_cluster("source")
    with cluster.connect() as conn:
        conn.execute("create table t (v int primary key)")
    add(cluster, 1)
    backed_up(cluster)
    return cluster


def test_a_cluster_says_from_when_to_when_it_can_be_restored(source: ClusterHandle) -> None:
    add(source, 2)
    facts = source.describe()
    assert facts.backup_retention_period == 1
    assert facts.earliest_restorable_time is not None
    assert facts.latest_restorable_time is not None
    assert facts.cluster_create_time <= facts.earliest_restorable_time
    for _ in range(8):
        latest = source.describe().latest_restorable_time
        assert latest is not None
        assert datetime.now(UTC) - latest < LAG_MAX
        time.sleep(0.25)  # the lag is looked at through two uploads


def test_a_restore_has_what_was_committed_by_a_time_and_nothing_else(
    host: Runtime, source: ClusterHandle
) -> None:
    add(source, 10)
    moment = datetime.now(UTC)
    add(source, 11)
    back = host.restore_db_cluster_to_point_in_time("back", "source", restore_to_time=moment)
    assert 10 in values(back)
    assert 11 not in values(back)
    add(back, 12)
    host.failover_db_cluster("back")
    assert 12 in values(back)
    assert 12 not in values(source)
    assert back.describe().db_cluster_resource_id != source.id
    assert back.describe().master_username == source.describe().master_username


def test_a_time_out_of_the_window_is_refused_with_the_window(
    host: Runtime, source: ClusterHandle
) -> None:
    before = clusters_on_disk(host)
    earliest = backed_up(source)
    before_it = earliest - timedelta(seconds=30)
    time_said = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"
    with pytest.raises(InvalidRestoreError) as raised:
        host.restore_db_cluster_to_point_in_time("no", "source", restore_to_time=before_it)
    said = re.fullmatch(
        f"cluster 'source' can be restored as it was between {time_said} and {time_said}, and not "
        f"at {time_said}; choose a time between them; restore_db_cluster_to_point_in_time"
        r"\(use_latest_restorable_time=True\) takes the latest there is",
        str(raised.value),
    )
    assert said is not None, str(raised.value)
    first, last, wanted = (datetime.fromisoformat(each) for each in said.groups())
    assert earliest <= first
    assert last <= datetime.now(UTC)
    assert wanted == before_it.replace(microsecond=0)
    with pytest.raises(InvalidRestoreError, match="is yet to come; choose a time that is past"):
        host.restore_db_cluster_to_point_in_time(
            "no", "source", restore_to_time=datetime.now(UTC) + timedelta(minutes=1)
        )
    with pytest.raises(ClusterNotFoundError):
        host.restore_db_cluster_to_point_in_time("no", "nobody", use_latest_restorable_time=True)
    assert clusters_on_disk(host) == before


def test_a_cluster_without_a_writer_is_restored_for_who_makes_one(
    host: Runtime, source: ClusterHandle
) -> None:
    add(source, 20)
    made = host.restore_db_cluster_to_point_in_time(
        "headless", "source", use_latest_restorable_time=True, with_writer=False
    )
    assert not made.describe().has_writer
    host.create_db_instance("headless-writer", db_cluster_identifier="headless")
    assert 20 in values(made)


def test_a_snapshot_is_taken_at_once_after_the_volume_was_opened_again(
    host: Runtime, source: ClusterHandle
) -> None:
    """Whatever read its log before cannot read on."""
    for _ in range(3):
        wait_until(lambda: source.describe().latest_restorable_time)
        host.failover_db_cluster("source")
        add(source, max(values(source)) + 1)
        host.create_db_cluster_snapshot("at-once", "source")
        host.delete_db_cluster_snapshot("at-once")
    assert not [
        each for each in host.describe_events("source") if "does not get on" in each.message
    ]


class Joining:
    """Has the last piece of a plan joined with what comes behind it."""

    def __init__(self, host: Runtime, source: ClusterHandle) -> None:
        self._log = (
            Path(host.describe_backup_store().location) / "clusters" / source.id / "0001" / "log"
        )
        self._source = source

    def __call__(self, plan: Plan) -> None:
        last = self._log / Path(piece_name(plan.era, plan.pieces[-1])).name
        assert last.exists()
        with self._source.connect() as conn:
            pad = "select i::text, repeat(md5(i::text), 300) from generate_series(1, 100) i"
            conn.execute(f"create table joined as {pad}")
            conn.execute("drop table joined")
        wait_until(lambda: not last.exists())


@pytest.fixture
def joining(host: Runtime, source: ClusterHandle) -> Joining:
    """The newest piece is a short one, and in the bucket."""
    add(source, max(values(source)) + 1)
    moment = datetime.now(UTC)
    wait_until(lambda: (latest := source.describe().latest_restorable_time) and latest > moment)
    return Joining(host, source)


def test_a_restore_goes_on_while_pieces_of_its_log_are_joined(
    host: Runtime, source: ClusterHandle, joining: Joining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_check_paths", lambda _, __, plan: joining(plan))
    # By its resource id: of its backup, and not of its volume.
    back = host.restore_db_cluster_to_point_in_time(
        "back", source_db_cluster_resource_id=source.id, use_latest_restorable_time=True
    )
    assert values(back) == values(source)


def test_a_snapshot_is_exported_while_pieces_of_its_log_are_joined(
    host: Runtime,
    source: ClusterHandle,
    joining: Joining,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host.create_db_cluster_snapshot("joined", "source")
    whole = sharing._objects_of

    def meanwhile(vault: Vault, identifier: str, plan: Plan) -> Any:
        joining(plan)
        return whole(vault, identifier, plan)

    monkeypatch.setattr(sharing, "_objects_of", meanwhile)
    host.export_db_cluster_snapshot("joined", str(place / "joined.snapshot"))
    host.import_db_cluster_snapshot("joined-again", str(place / "joined.snapshot"))
    assert values(host.restore_db_cluster_from_snapshot("back", "joined-again")) == values(source)
    for name in ("joined", "joined-again"):
        host.delete_db_cluster_snapshot(name)


def test_a_snapshot_stays_what_the_cluster_was(host: Runtime, source: ClusterHandle) -> None:
    add(source, 30)
    made = host.create_db_cluster_snapshot("before", "source")
    assert (made.status, made.percent_progress, made.snapshot_type) == ("available", 100, "manual")
    add(source, 31)
    with pytest.raises(SnapshotAlreadyExistsError):
        host.create_db_cluster_snapshot("before", "source")
    copy = host.copy_db_cluster_snapshot("before", "copy")
    assert copy.source_db_cluster_snapshot_arn == made.db_cluster_snapshot_arn
    names = [each.db_cluster_snapshot_identifier for each in host.describe_db_cluster_snapshots()]
    assert {"before", "copy"} <= set(names)
    host.delete_db_cluster_snapshot("before")
    with pytest.raises(SnapshotNotFoundError, match="did you mean"):
        host.describe_db_cluster_snapshots(db_cluster_snapshot_identifier="copi")
    back = host.restore_db_cluster_from_snapshot("from-copy", "copy")
    assert 30 in values(back)
    assert 31 not in values(back)
    host.delete_db_cluster_snapshot("copy")
    assert host.describe_db_cluster_snapshots("source") == []


def test_a_paused_and_a_stopped_cluster_have_snapshots_too(
    host: Runtime, source: ClusterHandle
) -> None:
    add(source, 40)
    host.pause_db_cluster("source")
    host.create_db_cluster_snapshot("paused", "source")
    host.stop_db_cluster("source")
    host.create_db_cluster_snapshot("stopped", "source")
    host.start_db_cluster("source")
    for name in ("paused", "stopped"):
        assert 40 in values(host.restore_db_cluster_from_snapshot(f"of-{name}", name))
        host.delete_db_cluster(f"of-{name}", delete_automated_backups=True)
        host.delete_db_cluster_snapshot(name)


def test_a_snapshot_goes_to_another_host_as_a_file(
    host: Runtime, source: ClusterHandle, place: Path, runtime: Runtime
) -> None:
    add(source, 50)
    host.create_db_cluster_snapshot("shared", "source")
    secret, plain = place / "secret.snapshot", place / "plain.snapshot"
    host.export_db_cluster_snapshot("shared", str(secret), passphrase="a long one")
    host.export_db_cluster_snapshot("shared", str(plain))
    assert plain.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidParameterError, match="is there already"):
        host.export_db_cluster_snapshot("shared", str(plain))
    with pytest.raises(InvalidParameterError, match="absolute path"):
        host.export_db_cluster_snapshot("shared", "plain.snapshot")
    with pytest.raises(BackupKeyError, match="with a passphrase"):
        runtime.import_db_cluster_snapshot("here", str(secret))
    with pytest.raises(BackupKeyError, match="not the passphrase"):
        runtime.import_db_cluster_snapshot("here", str(secret), passphrase="another")
    with pytest.raises(InvalidParameterError, match="holds no snapshot"):
        runtime.import_db_cluster_snapshot("here", __file__)
    assert runtime.describe_db_cluster_snapshots() == []
    came = runtime.import_db_cluster_snapshot("here", str(secret), passphrase="a long one")
    assert came.snapshot_type == "shared"
    assert 50 in values(runtime.restore_db_cluster_from_snapshot("back", "here"))
    content = bytearray(plain.read_bytes())
    content[len(content) // 2] ^= 1
    plain.write_bytes(content)
    with pytest.raises(BackupDamagedError, match="is damaged"):
        runtime.import_db_cluster_snapshot("damaged", str(plain))
    names = [
        each.db_cluster_snapshot_identifier for each in runtime.describe_db_cluster_snapshots()
    ]
    assert names == ["here"]


def test_a_deleted_cluster_comes_back_from_its_backup_or_its_final_snapshot(
    host: Runtime, source: ClusterHandle
) -> None:
    cluster = host.restore_db_cluster_to_point_in_time(
        "gone", "source", use_latest_restorable_time=True
    )
    backed_up(cluster)
    add(cluster, 60)
    host.delete_db_cluster("gone", final_db_snapshot_identifier="last-of-gone")
    (kept,) = host.describe_db_cluster_automated_backups(cluster.id)
    assert kept.status == "retained"
    assert kept.restore_window is not None
    assert 60 in values(host.restore_db_cluster_from_snapshot("again", "last-of-gone"))
    back = host.restore_db_cluster_to_point_in_time("gone", "gone", use_latest_restorable_time=True)
    assert 60 in values(back)
    host.delete_db_cluster_automated_backup(cluster.id)
    assert host.describe_db_cluster_automated_backups(cluster.id) == []
    with pytest.raises(ClusterNotFoundError):
        host.restore_db_cluster_to_point_in_time(
            "no", source_db_cluster_resource_id=cluster.id, use_latest_restorable_time=True
        )
    assert 60 in values(host.restore_db_cluster_from_snapshot("once-more", "last-of-gone"))
    host.delete_db_cluster_snapshot("last-of-gone")
    bucket = Path(host.describe_backup_store().location)
    assert not (bucket / "clusters" / cluster.id).exists()


def test_a_backup_can_be_deleted_with_its_cluster(host: Runtime, source: ClusterHandle) -> None:
    cluster = host.restore_db_cluster_to_point_in_time(
        "all-gone", "source", use_latest_restorable_time=True
    )
    backed_up(cluster)
    host.delete_db_cluster("all-gone", delete_automated_backups=True)
    bucket = Path(host.describe_backup_store().location)
    wait_until(lambda: not (bucket / "clusters" / cluster.id).exists())
    assert host.describe_db_cluster_automated_backups(cluster.id) == []


@pytest.mark.parametrize("kind", ["packs", "images", "log"])
@pytest.mark.parametrize("harm", ["flipped", "removed"])
def test_a_damaged_backup_is_told_by_the_object_s_name_and_leaves_nothing(
    host: Runtime, source: ClusterHandle, kind: str, harm: str
) -> None:
    host.create_db_cluster_snapshot("harmed", "source")
    bucket = Path(host.describe_backup_store().location)
    (path, *_) = sorted((bucket / "clusters" / source.id).glob(f"*/{kind}/*"))
    whole = path.read_bytes()
    before = clusters_on_disk(host)
    if harm == "flipped":
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    else:
        path.unlink()
    try:
        with pytest.raises((BackupDamagedError, InvalidRestoreError)) as told:
            host.restore_db_cluster_from_snapshot("no", "harmed")
    finally:
        path.write_bytes(whole)
        host.delete_db_cluster_snapshot("harmed")
    if harm == "flipped":
        assert str(path) in str(told.value)
    assert clusters_on_disk(host) == before
    assert "no" not in {each.db_cluster_identifier for each in host.describe_db_clusters()}


def test_commits_go_on_while_the_bucket_is_away_and_its_return_is_told(
    host: Runtime, source: ClusterHandle
) -> None:
    bucket = Path(host.describe_backup_store().location)
    aside = bucket.with_name("aside")
    bucket.rename(aside)
    bucket.write_text("no folder")
    try:
        for value in range(70, 73):
            add(source, value)

        def told() -> bool:
            add_events = host.describe_events("source")
            return any("does not get on" in each.message for each in add_events)

        wait_until(told)
        (holder,) = [
            each for each in host.describe_volume("source").holders if each.name == "backup"
        ]
        assert holder.kind == "backup"
    finally:
        bucket.unlink()
        aside.rename(bucket)
    wait_until(
        lambda: any("goes on" in each.message for each in host.describe_events("source")), 60
    )
    assert 72 in values(
        host.restore_db_cluster_to_point_in_time(
            "after-all", "source", use_latest_restorable_time=True
        )
    )


def test_a_backup_that_somebody_emptied_begins_again(host: Runtime, source: ClusterHandle) -> None:
    bucket = Path(host.describe_backup_store().location)
    shutil.rmtree(bucket / "clusters" / source.id)
    host.pause_db_cluster("source")
    add(source, 80)
    host.create_db_cluster_snapshot("fresh", "source")
    assert 80 in values(host.restore_db_cluster_from_snapshot("of-fresh", "fresh"))


def test_a_newer_image_shares_what_did_not_change_and_the_old_one_goes_with_the_window(
    host: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = host.create_db_cluster("grown")
    with cluster.connect() as conn:
        conn.execute("create table t (v int primary key, pad text)")
    bucket = Path(host.describe_backup_store().location) / "clusters" / cluster.id / "0001"
    wait_until(lambda: objects(bucket, "images"))
    (first,) = objects(bucket, "images")
    monkeypatch.setattr(pacing, "IMAGE_LOG_MIN_BYTES", 1 << 20)
    with cluster.connect(autocommit=True) as conn:
        for part in range(12):  # more log than gathers before an image is made
            conn.execute(
                "insert into t select i, repeat(md5(i::text), 30)"
                " from generate_series(%s::int, %s::int) i",
                (part * 2000, part * 2000 + 1999),
            )
            conn.execute("checkpoint")  # replay from the image begins at one
    wait_until(lambda: len(objects(bucket, "images")) == 2, 90)
    begin = objects(bucket, "log")[0]
    # A day later, as far as the backup can tell.
    monkeypatch.setattr(volume_backup, "DAY_MS", 0)
    monkeypatch.setattr(pacing, "COLLECT_EVERY_S", 0.0)
    host.pause_db_cluster("grown")
    with cluster.connect() as conn:
        conn.execute("insert into t values (-1)")
    wait_until(lambda: not first.exists(), 30)
    host.create_db_cluster_snapshot("of-grown", "grown")
    wait_until(lambda: not begin.exists())
    back = host.restore_db_cluster_from_snapshot("grown-back", "of-grown")
    with back.connect() as conn:
        assert conn.execute("select count(*), min(v) from t").fetchone() == (24001, -1)
    host.delete_db_cluster_snapshot("of-grown")


def test_another_machine_restores_from_the_bucket_alone(
    engine_dir: Path, runtime: Runtime, cluster: ClusterHandle
) -> None:
    bucket = engine_dir / "bucket"
    store = runtime.modify_backup_store(str(bucket))
    key = Path(store.key_file).read_text()
    with cluster.connect() as conn:
        conn.execute("create table t (v int primary key)")
    backed_up(cluster)
    add(cluster, 1)
    moment = datetime.now(UTC)
    add(cluster, 2)
    wait_until(lambda: (latest := cluster.describe().latest_restorable_time) and latest > moment)
    wait_until(lambda: runtime.describe_volume("notes").holders)
    runtime.close()
    shutil.rmtree(engine_dir / "state")
    with Runtime.open(engine_dir / "elsewhere", warm_pool_size=0) as other:
        with pytest.raises(ClusterNotFoundError, match="that this key opens"):
            other.restore_db_cluster_to_point_in_time(
                "notes", restore_to_time=moment, backup_location=str(bucket)
            )
        for name, wanted, expected in (
            ("notes", {"restore_to_time": moment}, [1]),
            ("newest", {"use_latest_restorable_time": True}, [1, 2]),
        ):
            back = other.restore_db_cluster_to_point_in_time(
                name, backup_location=str(bucket), backup_key=key, **wanted
            )
            assert values(back) == expected
        assert back.describe().status is ClusterStatus.AVAILABLE


@pytest.mark.parametrize("days", [0, 36])
def test_a_retention_period_has_1_to_35_days(host: Runtime, days: int) -> None:
    with pytest.raises(InvalidParameterError, match="from 1 to 35"):
        host.create_db_cluster("long", backup_retention_period=days)


def test_a_rewind_begins_an_era_and_what_it_undid_can_still_be_restored(
    host: Runtime, place: Path
) -> None:
    cluster = host.create_db_cluster("rewound")
    with cluster.connect() as conn:
        conn.execute("create table t (v int primary key)")
    add(cluster, 1)
    host.create_restore_point("rewound", "before")
    backed_up(cluster)
    add(cluster, 2)
    undone = datetime.now(UTC)
    wait_until(lambda: (at := cluster.describe().latest_restorable_time) and at > undone)
    host.create_db_cluster_snapshot("undone", "rewound")
    host.rewind("rewound", "before")
    add(cluster, 3)
    host.create_db_cluster_snapshot("after", "rewound")
    host.pause_db_cluster("rewound")
    bucket = host.describe_backup_store().location
    for name, wanted, expected in (
        ("of-undone", {"restore_to_time": undone}, [1, 2]),
        ("of-now", {"use_latest_restorable_time": True}, [1, 3]),
    ):
        back = host.restore_db_cluster_to_point_in_time(
            name, "rewound", backup_location=bucket, **wanted
        )
        assert values(back) == expected
    assert values(host.restore_db_cluster_from_snapshot("by-snapshot", "undone")) == [1, 2]
    assert values(host.restore_db_cluster_from_snapshot("by-after", "after")) == [1, 3]


def test_a_restore_shows_how_far_it_is_and_leaves_nothing_where_the_disk_is_full(
    host: Runtime, source: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.create_db_cluster_snapshot("whole", "source")
    before = clusters_on_disk(host)
    seen = []

    def full(*arguments: object) -> None:
        (facts,) = host.describe_db_clusters("too-large")
        seen.append((facts.status, facts.percent_progress))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(restore, "recover", full)
    with pytest.raises(InsufficientStorageError, match="no space to restore cluster 'too-large'"):
        host.restore_db_cluster_from_snapshot("too-large", "whole")
    assert seen == [(ClusterStatus.CREATING, restore.FETCHED_PERCENT)]
    assert clusters_on_disk(host) == before
    monkeypatch.undo()
    assert host.restore_db_cluster_from_snapshot("fits", "whole").describe().port


@pytest.mark.long
def test_twenty_random_seconds_are_restored_exactly_from_the_bucket_alone(
    engine_dir: Path,
) -> None:
    """Exactly the rows whose commit record's time is at or before the second."""
    bucket = engine_dir / "bucket"
    with Runtime.open(engine_dir / "state", warm_pool_size=0) as runtime:
        key = Path(runtime.modify_backup_store(str(bucket)).key_file).read_text()
        runtime.create_db_cluster_parameter_group(
            "stamped", "aurora-postgresql18", description="commit times are kept"
        )
        runtime.modify_db_cluster_parameter_group(
            "stamped", [DBParameter("track_commit_timestamp", "on", apply_method="pending-reboot")]
        )
        cluster = runtime.create_db_cluster("stamps", db_cluster_parameter_group_name="stamped")
        with cluster.connect() as conn:
            conn.execute("create table t (v int primary key, at timestamptz)")
        backed_up(cluster)
        with cluster.connect(autocommit=True) as conn:
            ends, row = time.monotonic() + 60, 0
            while time.monotonic() < ends:
                conn.execute("insert into t values (%s, now())", (row,))
                row += 1
                time.sleep(0.01)
            committed = conn.execute(
                "select v, pg_xact_commit_timestamp(xmin) from t order by v"
            ).fetchall()
        last = committed[-1][1]
        wait_until(lambda: (at := cluster.describe().latest_restorable_time) and at > last)
    shutil.rmtree(engine_dir / "state")
    seconds = random.sample(range(2, 58), 20)
    with Runtime.open(engine_dir / "elsewhere", warm_pool_size=0) as other:
        for number, second in enumerate(seconds):
            moment = committed[0][1] + timedelta(seconds=second)
            back = other.restore_db_cluster_to_point_in_time(
                f"back-{number}",
                "stamps",
                restore_to_time=moment,
                backup_location=str(bucket),
                backup_key=key,
            )
            assert values(back) == [v for v, at in committed if at <= moment]
            other.delete_db_cluster(f"back-{number}", delete_automated_backups=True)
