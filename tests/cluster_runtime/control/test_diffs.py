"""Schema diff and data diff between clusters, as `Runtime` has them."""

import asyncio
from typing import Any

import psycopg
import pytest

from cluster_runtime import AsyncRuntime, ClusterHandle, Runtime
from cluster_runtime.errors import ClusterNotFoundError, InvalidParameterError
from tests.waiting import wait_until

SHOP = """
create table item (id int primary key, name text not null, price numeric(8, 2));
insert into item select n, 'item ' || n, n from generate_series(1, 40) n;
"""


@pytest.fixture(scope="module")
def pair(shared_runtime: Runtime) -> tuple[ClusterHandle, ClusterHandle]:
    """Two clusters that have nothing to do with each other, with almost the same in them."""
    source = shared_runtime.create_db_cluster("shop")
    target = shared_runtime.create_db_cluster("copy", master_username="owner")
    for cluster in (source, target):
        with cluster.connect(autocommit=True) as conn:
            conn.execute(SHOP)
    with target.connect(autocommit=True) as conn:
        conn.execute("alter table item add note text")
        conn.execute("create index item_name on item (name)")
        conn.execute("update item set price = 0 where id in (7, 8)")
        conn.execute("delete from item where id = 9")
    return source, target


def test_schemas_differ_in_a_column_and_an_index(
    shared_runtime: Runtime, pair: tuple[ClusterHandle, ClusterHandle]
) -> None:
    found = shared_runtime.describe_schema_diff("shop", "copy")
    told = [(each.change, each.kind, each.name) for each in found.changes]
    assert told == [
        ("changed", "table", "public.item"),
        ("added", "index", "public.item_name"),
    ]
    assert "+    note text" in found.text
    assert found.text.startswith("--- shop/postgres: table public.item\n")
    assert shared_runtime.describe_schema_diff("copy", "copy").changes == ()


def test_rows_differ_by_key(
    shared_runtime: Runtime, pair: tuple[ClusterHandle, ClusterHandle]
) -> None:
    found = shared_runtime.describe_data_diff("shop", "copy", max_rows=2)
    (item,) = found.tables
    assert (item.name, item.key, item.added, item.removed, item.changed) == (
        *("public.item", ("id",)),
        *(0, 1, 2),
    )
    assert (item.source_rows, item.target_rows, len(item.rows)) == (40, 39, 2)
    assert item.not_compared == "columns: the target alone has note"
    again = shared_runtime.describe_data_diff("copy", "shop", tables=["public.item"])
    assert (again.tables[0].added, again.tables[0].removed) == (1, 0)


def test_two_databases_of_one_cluster(
    shared_runtime: Runtime, pair: tuple[ClusterHandle, ClusterHandle]
) -> None:
    with pair[0].connect(autocommit=True) as conn:
        conn.execute("create database other")
    with pair[0].connect(dbname="other", autocommit=True) as conn:
        conn.execute(SHOP + "insert into item values (41, 'new', 1)")
    found = shared_runtime.describe_data_diff("shop", "shop", target_database_name="other")
    assert [(each.name, each.added) for each in found.tables] == [("public.item", 1)]
    assert found.target.database_name == "other"


def test_a_paused_cluster_wakes_and_may_pause_again(
    shared_runtime: Runtime, pair: tuple[ClusterHandle, ClusterHandle]
) -> None:
    shared_runtime.pause_db_cluster("shop")
    assert shared_runtime.describe_schema_diff("shop", "copy").changes
    assert not pair[0].describe().paused
    shared_runtime.pause_db_cluster("shop")


def test_what_is_not_there_is_named(
    shared_runtime: Runtime, pair: tuple[ClusterHandle, ClusterHandle]
) -> None:
    with pytest.raises(ClusterNotFoundError, match="nothing"):
        shared_runtime.describe_schema_diff("shop", "nothing")
    for database in ("nothing", "template0"):
        with pytest.raises(InvalidParameterError, match=f"'copy' has no database '{database}'"):
            shared_runtime.describe_data_diff("shop", "copy", target_database_name=database)
    with pytest.raises(InvalidParameterError, match=r"public\.gone"):
        shared_runtime.describe_data_diff("shop", "copy", tables=["public.gone"])


def test_whoever_leaves_ends_the_work(
    shared_runtime: Runtime, pair: tuple[ClusterHandle, ClusterHandle]
) -> None:
    """A lock of somebody's would hold the comparison up for as long as its timeout."""
    runtime = AsyncRuntime(shared_runtime._home)
    with pair[0].connect(autocommit=True) as watcher, pair[0].connect() as locker:
        locker.execute("lock table item in access exclusive mode")

        async def leave() -> None:
            running = asyncio.ensure_future(runtime.describe_data_diff("shop", "copy"))
            await asyncio.to_thread(wait_until, lambda: waits(watcher) == {"Lock"})
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(leave())
        wait_until(lambda: waits(watcher) == set())


def waits(conn: psycopg.Connection[Any]) -> set[str | None]:
    """What the sessions of comparisons wait for."""
    found = conn.execute(
        "select wait_event_type from pg_stat_activity where application_name = 'borealis diff'"
    )
    return {kind for (kind,) in found}
