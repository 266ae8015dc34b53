"""What a cluster does now, and that nobody is woken to tell it."""

import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.errors import ClusterNotFoundError
from tests.waiting import wait_until


def test_connections_and_commits_are_counted(runtime: Runtime, cluster: ClusterHandle) -> None:
    before = runtime.describe_activity("notes")
    assert (before.db_cluster_identifier, before.connections) == ("notes", 0)
    assert before.commits is not None
    assert before.replica_lag_bytes is None
    with cluster.connect(autocommit=True) as conn:
        for _ in range(20):
            conn.execute("select 1")
        assert runtime.describe_activity("notes").connections == 1
    # A session reports what it did when it ends, or has been idle for ten seconds.
    wait_until(lambda: (runtime.describe_activity("notes").commits or 0) >= before.commits + 20)


def test_a_paused_cluster_stays_paused(runtime: Runtime, cluster: ClusterHandle) -> None:
    runtime.pause_db_cluster("notes")
    assert runtime.describe_activity("notes").commits is None
    assert cluster.describe().paused


def test_a_reader_that_serves_tells_its_lag(runtime: Runtime, cluster: ClusterHandle) -> None:
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table t as select 1 as x")
    for target in ("az:a", "segment:b1"):
        runtime.inject_fault("notes", target, "crash")
    runtime.lose_compute("notes")
    with cluster.connect("reader") as conn:
        assert conn.execute("select x from t").fetchone() == (1,)
        activity = runtime.describe_activity("notes")
    assert activity.commits is None
    assert activity.replica_lag_bytes == 0


def test_a_cluster_that_is_not_there(runtime: Runtime) -> None:
    with pytest.raises(ClusterNotFoundError):
        runtime.describe_activity("nothing")
