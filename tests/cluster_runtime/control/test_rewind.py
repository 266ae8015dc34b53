"""Back to what a cluster was, in place: to a restore point, a time, an LSN; and the way back."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.errors import InvalidParameterError, InvalidRestoreError
from tests.numbers import read_at, rows, write
from tests.waiting import wait_until

NOW = "select pg_catalog.clock_timestamp()"


def clock(cluster: ClusterHandle) -> datetime:
    """The time of the server, between two commits."""
    with cluster.connect() as conn:
        row = conn.execute(NOW).fetchone()
        assert row is not None
        found: datetime = row[0]
        return found


def directory_of(runtime: Runtime, cluster: ClusterHandle) -> Path:
    """Where a cluster lies, which PostgreSQL's user has to reach."""
    state = Path(runtime.describe_host().state_directory)
    places = [state / "engine" / "clusters", *Path("/var/lib/borealis").glob("*/clusters")]
    return next(each / cluster.id for each in places if (each / cluster.id).exists())


def ticked(runtime: Runtime, cluster: ClusterHandle) -> None:
    """Wait until a moment is known at which everything until now was durable."""
    runtime.create_restore_point(cluster.id, "tick")
    runtime.delete_restore_point(cluster.id, "tick")


@pytest.fixture
def ledger(shared_runtime: Runtime) -> Iterator[ClusterHandle]:
    made = shared_runtime.create_db_cluster("ledger")
    write(made, 1, 2)
    ticked(shared_runtime, made)
    yield made
    shared_runtime.delete_db_cluster("ledger")


def test_readers_go_back_with_their_writer_wherever_that_is(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    """After a failover the writer's data directory is another one than a new cluster's."""
    shared_runtime.create_db_instance("ledger-2", db_cluster_identifier="ledger")
    shared_runtime.failover_db_cluster("ledger", "ledger-2")
    write(ledger, 3)
    shared_runtime.create_restore_point("ledger", "three")
    write(ledger, 4)
    shared_runtime.rewind("ledger", "three")
    assert rows(ledger) == [1, 2, 3]
    assert wait_until(lambda: read_at(ledger, "ledger-instance-1")) == [1, 2, 3]
    write(ledger, 5)
    assert wait_until(lambda: 5 in read_at(ledger, "ledger-instance-1"))
    shared_runtime.undo_rewind("ledger")
    assert rows(ledger) == [1, 2, 3, 4]
    assert wait_until(lambda: read_at(ledger, "ledger-instance-1")) == [1, 2, 3, 4]


def test_a_cluster_goes_back_to_a_restore_point_and_forward_again(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    point = shared_runtime.create_restore_point("ledger", "before")
    port = ledger.describe().port
    write(ledger, 3, 4, 5)
    with ledger.connect(autocommit=True) as conn:
        conn.execute("analyze")  # as autovacuum does of its own accord: nobody misses that
    preview = shared_runtime.rewind("ledger", "before", dry_run=True)
    assert (preview.lsn, preview.commits, preview.dry_run) == (point.lsn, 3, True)
    assert rows(ledger) == [1, 2, 3, 4, 5]
    with ledger.connect(autocommit=True) as conn:
        sessions = shared_runtime.rewind("ledger", "before").sessions
        assert len(sessions) == 1
        assert sessions[0].startswith("postgres@postgres")
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    assert rows(ledger) == [1, 2]
    assert ledger.describe().port == port
    write(ledger, 6)
    shared_runtime.lose_compute("ledger")
    assert rows(ledger) == [1, 2, 6]

    shared_runtime.undo_rewind("ledger")
    assert rows(ledger) == [1, 2, 3, 4, 5]
    shared_runtime.undo_rewind("ledger")
    assert rows(ledger) == [1, 2, 6]
    shared_runtime.rewind("ledger", "before")
    assert rows(ledger) == [1, 2]
    assert [each.name for each in shared_runtime.describe_restore_points("ledger")] == ["before"]


def test_a_time_means_the_commits_that_are_not_after_it(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    times = []
    for value in (3, 4, 5):
        write(ledger, value)
        times.append(clock(ledger))
    back = shared_runtime.backtrack_db_cluster("ledger", times[1])
    assert back.backtrack_to == times[1]
    assert rows(ledger) == [1, 2, 3, 4]
    shared_runtime.rewind("ledger", times[0].isoformat())
    assert rows(ledger) == [1, 2, 3]
    restored = shared_runtime.restore_db_cluster_to_point_in_time(
        "of-then", "ledger", restore_to_time=times[0]
    )
    assert rows(restored) == [1, 2, 3]
    shared_runtime.delete_db_cluster("of-then")


def test_an_lsn_inside_a_batch_is_as_good_as_any(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    with ledger.connect() as conn:
        conn.execute("create table big as select generate_series(1, 20000) as x")
        conn.commit()
        row = conn.execute("select pg_catalog.pg_current_wal_insert_lsn()::text").fetchone()
        assert row is not None
        conn.execute("insert into big select generate_series(1, 20000)")
    shared_runtime.rewind("ledger", row[0])
    with ledger.connect() as conn:
        assert conn.execute("select count(*) from big").fetchone() == (20_000,)


def test_a_paused_cluster_is_rewound_and_stays_paused(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    shared_runtime.create_restore_point("ledger", "before")
    write(ledger, 3)
    shared_runtime.pause_db_cluster("ledger")
    shared_runtime.rewind("ledger", "before")
    assert ledger.describe().paused
    assert rows(ledger) == [1, 2]


def test_what_is_out_of_reach_is_refused_and_changes_nothing(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    long_ago, tomorrow = (datetime.now(UTC) + timedelta(days=days) for days in (-30, 1))
    for to in (long_ago.isoformat(), tomorrow.isoformat(), "0/10", "FF/10", "no-such"):
        with pytest.raises(InvalidRestoreError):
            shared_runtime.rewind("ledger", to)
    with pytest.raises(InvalidRestoreError, match="out of reach: it can be had from"):
        shared_runtime.backtrack_db_cluster("ledger", long_ago)
    # The second is said where a backup has been made by now.
    with pytest.raises(
        InvalidRestoreError, match=r"out of reach|can be restored as it was between"
    ):
        shared_runtime.restore_db_cluster_to_point_in_time(
            "never", "ledger", restore_to_time=long_ago
        )
    with pytest.raises(InvalidRestoreError, match="nothing to take back"):
        shared_runtime.undo_rewind("ledger")
    with pytest.raises(InvalidParameterError, match="must begin with a letter"):
        shared_runtime.create_restore_point("ledger", "2026-11-29")
    with pytest.raises(InvalidRestoreError, match="no restore point 'none'"):
        shared_runtime.delete_restore_point("ledger", "none")
    shared_runtime.create_restore_point("ledger", "one")
    with pytest.raises(
        InvalidRestoreError,
        match=r"'one' already; choose another name; describe_restore_points\('ledger'\) shows",
    ):
        shared_runtime.create_restore_point("ledger", "one")
    assert rows(ledger) == [1, 2]


def test_the_earliest_time_stands_in_where_that_is_said(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    write(ledger, 3)
    back = shared_runtime.backtrack_db_cluster(
        "ledger",
        datetime.now(UTC) - timedelta(days=2),
        use_earliest_time_on_point_in_time_unavailable=True,
    )
    assert back.backtrack_to > datetime.now(UTC) - timedelta(minutes=10)
    with ledger.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)


def test_without_a_window_there_is_no_past_and_marks_expire_visibly(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    shared_runtime.create_restore_point("ledger", "soon-gone")
    shared_runtime.rewind("ledger", "soon-gone")
    shared_runtime.modify_db_cluster("ledger", backtrack_window=0)
    assert ledger.describe().backtrack_window == 0
    with pytest.raises(InvalidRestoreError, match="the backtrack window is 0"):
        shared_runtime.create_restore_point("ledger", "another")
    write(ledger, 3)
    assert wait_until(lambda: shared_runtime.describe_restore_points("ledger") == [])
    wait_until(
        lambda: any(
            "soon-gone" in each.message and "backtrack window" in each.message
            for each in shared_runtime.describe_events("ledger")
        )
    )

    def nothing_to_undo() -> bool:
        said = [each.message for each in shared_runtime.describe_events("ledger")]
        return "What was before the last rewind fell out of the backtrack window" in said

    wait_until(nothing_to_undo)
    with pytest.raises(InvalidRestoreError, match="nothing to take back"):
        shared_runtime.undo_rewind("ledger")


def test_a_restore_point_is_made_at_once(shared_runtime: Runtime, ledger: ClusterHandle) -> None:
    took = []
    for number in range(5):
        began = time.perf_counter()
        shared_runtime.create_restore_point("ledger", f"point-{number}")
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05
    holders = shared_runtime.describe_volume("ledger").holders
    assert {each.name for each in holders if each.kind == "restore-point"} == {
        f"point-{number}" for number in range(5)
    }
    assert ledger.describe().earliest_backtrack_time is not None


@pytest.mark.usefixtures("impolite_coalescing")
def test_after_a_rewind_there_is_an_image_so_that_the_next_one_replays_little(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    with ledger.connect(autocommit=True) as conn:
        conn.execute("create table wide as select repeat('x', 900) from generate_series(1, 6000)")
    shared_runtime.create_restore_point("ledger", "wide")
    write(ledger, 3)
    before = shared_runtime.describe_volume("ledger")
    assert before.coalescing.images == 0
    assert 4 << 20 < before.log_bytes_since_image < before.coalescing.log_bound_bytes
    shared_runtime.rewind("ledger", "wide")
    assert rows(ledger) == [1, 2]
    wait_until(lambda: shared_runtime.describe_volume("ledger").coalescing.images == 1)
    assert shared_runtime.describe_volume("ledger").log_bytes_since_image < 1 << 20
    shared_runtime.undo_rewind("ledger")
    assert rows(ledger) == [1, 2, 3]


def test_what_was_before_the_state_before_is_removed(
    shared_runtime: Runtime, ledger: ClusterHandle
) -> None:
    directory = directory_of(shared_runtime, ledger)
    for number in range(2):
        shared_runtime.create_restore_point("ledger", f"point-{number}")
        write(ledger, 10 + number)
        shared_runtime.rewind("ledger", f"point-{number}")
    wait_until(lambda: not list(directory.glob("*.gone-*")))
    shared_runtime.pause_db_cluster("ledger")
    shared_runtime.rewind("ledger", "point-0")
    assert not list(directory.glob("*.gone-*"))
    assert ledger.describe().paused
    assert rows(ledger) == [1, 2]
    folders = (each for each in directory.iterdir() if each.is_dir() and not each.is_symlink())
    kept = {"data", "data.undone", "volume", "volume.undone"}
    assert {each.name for each in folders} == kept
