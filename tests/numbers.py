"""Clusters with a table of numbers, and branches of them."""

from typing import Any

import psycopg

from cluster_runtime import ClusterHandle, Runtime


def branch(runtime: Runtime, source: str, name: str, **given: Any) -> ClusterHandle:
    return runtime.restore_db_cluster_to_point_in_time(
        name, source, restore_type="copy-on-write", use_latest_restorable_time=True, **given
    )


def write(cluster: ClusterHandle, *values: int) -> None:
    """A transaction for each."""
    with cluster.connect() as conn:
        conn.execute("create table if not exists t (x int)")
        for value in values:
            conn.execute("insert into t values (%s)", (value,))
            conn.commit()


def rows(cluster: ClusterHandle, endpoint: str = "writer") -> list[int]:
    with cluster.connect(endpoint) as conn:
        return [x for (x,) in conn.execute("select x from t order by x")]


def read_at(cluster: ClusterHandle, instance: str) -> list[int]:
    """What an instance shows; nothing while it starts."""
    try:
        return rows(cluster, instance)
    except psycopg.OperationalError:
        return []
