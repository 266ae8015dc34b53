"""A branch against its parent: only what the two logs say was changed since they parted is read."""

import random
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.monitoring import comparing
from cluster_runtime.diff.results import DataDiff
from tests.numbers import branch

TABLES = """
create table item (id int primary key, v text, big text);
insert into item select n, 'item ' || n from generate_series(1, 20000) n;
create table bare (a int, b text);
insert into bare select n % 50, 'x' from generate_series(1, 5000) n;
create table part (id int primary key, v int) partition by range (id);
create table part_1 partition of part for values from (0) to (1000);
create table part_2 partition of part for values from (1000) to (2000);
insert into part select n, n from generate_series(1, 1999) n;
create type mood as enum ('low', 'high');
create table felt (id int primary key, m mood);
insert into felt select n, 'low' from generate_series(1, 3000) n;
create table emptied (id int primary key);
insert into emptied select generate_series(1, 500);
create unlogged table forgotten (id int primary key);
insert into forgotten select generate_series(1, 10);
"""


@pytest.fixture(scope="module")
def main(shared_runtime: Runtime) -> ClusterHandle:
    made = shared_runtime.create_db_cluster("main")
    with made.connect(autocommit=True) as conn:
        conn.execute(TABLES)
    return made


def run(cluster: ClusterHandle, *statements: str) -> None:
    with cluster.connect(autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)


def by_hash(runtime: Runtime, name: str, monkeypatch: pytest.MonkeyPatch) -> DataDiff:
    """The same comparison, by whoever reads everything."""
    with monkeypatch.context() as patched:
        patched.setattr(comparing, "LOG_BYTES_MAX", -1)
        found = runtime.describe_data_diff("main", name, max_rows=1000)
    assert found.method == "hash"
    return found


def told(found: DataDiff) -> DataDiff:
    """What is found, without how."""
    tables = (replace(one, method="hash", source_rows=0, target_rows=0) for one in found.tables)
    return replace(found, method="hash", tables=tuple(tables))


def test_what_a_branch_and_its_parent_changed_is_known_from_their_logs(
    shared_runtime: Runtime, main: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = branch(shared_runtime, "main", "try")
    found = shared_runtime.describe_data_diff("main", "try")
    assert found.method == "log"
    # An unlogged table is empty in a branch, and no log says so.
    assert [(one.name, one.removed, one.method) for one in found.tables] == [
        ("public.forgotten", 10, "hash")
    ]
    run(
        made,
        "update item set v = 'changed' where id in (3, 7000, 19999)",
        "update item set big = repeat(md5('x'), 500) where id = 5",
        "delete from item where id = 11",
        "insert into item values (30000, 'new')",
        "insert into bare values (1, 'x')",
        "delete from part where id = 1500",
        "update felt set m = 'high' where id = 9",
        "truncate emptied",
        "create table own as select 1 as a",
    )
    run(main, "update item set v = 'here' where id = 4", "delete from bare where a = 49")
    found = shared_runtime.describe_data_diff("main", "try", max_rows=1000)
    assert found.method == "log"
    counts = {one.name: (one.added, one.removed, one.changed, one.method) for one in found.tables}
    assert counts == {
        "public.item": (1, 1, 5, "log"),
        "public.bare": (101, 0, 0, "log"),
        "public.part": (0, 1, 0, "log"),
        "public.felt": (0, 0, 1, "log"),
        "public.emptied": (0, 500, 0, "hash"),
        "public.own": (1, 0, 0, "hash"),
        "public.forgotten": (0, 10, 0, "hash"),
    }
    assert told(found) == told(by_hash(shared_runtime, "try", monkeypatch))


def test_a_transaction_under_way_at_the_fork_is_seen_where_it_commits(
    shared_runtime: Runtime, main: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with main.connect() as conn:
        conn.execute("update item set v = 'late' where id between 100 and 103")
        run(main, "insert into bare values (1000, 'makes the log durable')")
        branch(shared_runtime, "main", "early")
        conn.commit()
    found = shared_runtime.describe_data_diff(
        "main", "early", max_rows=1000, tables=["public.item"]
    )
    assert found.method == "log"
    (item,) = found.tables
    assert (item.changed, item.method) == (4, "log")
    everything = shared_runtime.describe_data_diff("main", "early", max_rows=1000)
    assert told(everything) == told(by_hash(shared_runtime, "early", monkeypatch))


def test_a_meaning_that_changes_without_its_rows_is_seen(
    shared_runtime: Runtime, main: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = branch(shared_runtime, "main", "other-words")
    run(
        made,
        "alter type mood rename value 'low' to 'down'",
        "alter table part add w int default 5",
        "alter table bare drop b",
        "alter table bare add b text default 'y'",
    )
    found = shared_runtime.describe_data_diff("main", "other-words", max_rows=1000)
    counts = {one.name: (one.added + one.removed + one.changed, one.method) for one in found.tables}
    assert counts["public.felt"] == (3000, "hash")
    assert counts["public.bare"][0] > 9000
    assert counts["public.part"] == (0, "hash")
    assert told(found) == told(by_hash(shared_runtime, "other-words", monkeypatch))


def test_logs_that_a_failover_and_a_pause_went_through(
    shared_runtime: Runtime, main: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = branch(shared_runtime, "main", "restless")
    run(made, "update item set v = 'before' where id = 50")
    shared_runtime.failover_db_cluster("restless")
    run(made, "update item set v = 'after' where id = 60")
    shared_runtime.pause_db_cluster("main")
    run(main, "update item set v = 'woken' where id = 70")
    found = shared_runtime.describe_data_diff("main", "restless", max_rows=1000)
    assert found.method == "log"
    (item,) = [one for one in found.tables if one.name == "public.item"]
    assert [row.key for row in item.rows] == [("50",), ("60",), ("70",)]
    assert told(found) == told(by_hash(shared_runtime, "restless", monkeypatch))


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 20))]
)
def test_the_log_tells_what_the_hashes_tell(
    seed: int, shared_runtime: Runtime, main: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    made = branch(shared_runtime, "main", f"random-{seed}")

    def statement() -> str:
        some = chance.randrange(1, 20_000)
        return chance.choice(
            [
                f"update item set v = '{chance.random()}' where id % 997 = {some % 997}",
                f"delete from item where id = {some}",
                f"insert into item values ({some}, 'again') on conflict do nothing",
                f"delete from bare where ctid in (select ctid from bare limit {some % 7})",
                f"insert into bare select {some % 50}, 'x' from generate_series(1, {some % 5})",
                f"update part set id = id + 1 where id = 999 or id = {some}",
                f"update felt set m = 'high' where id = {some}",
                "vacuum item",
                "vacuum full bare",
                "checkpoint",
                f"begin; update item set v = 'x' where id < {some % 50}; rollback",
            ]
        )

    for cluster in (made, main):
        with cluster.connect(autocommit=True) as conn:
            for _ in range(25):
                for each in statement().split("; "):
                    with suppress(psycopg.errors.UniqueViolation):
                        conn.execute(each)
    found = shared_runtime.describe_data_diff("main", f"random-{seed}", max_rows=1000)
    assert found.method == "log"
    assert told(found) == told(by_hash(shared_runtime, f"random-{seed}", monkeypatch))


def test_clusters_that_were_never_one_are_hashed(
    shared_runtime: Runtime, main: ClusterHandle
) -> None:
    shared_runtime.create_db_cluster("stranger")
    assert shared_runtime.describe_data_diff("main", "stranger").method == "hash"


def test_a_branch_of_a_cluster_that_pauses(
    shared_runtime: Runtime, main: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both go on where the parent stood still: in the same epoch, from the same LSN."""
    shared_runtime.pause_db_cluster("main")
    made = branch(shared_runtime, "main", "of-paused")
    run(made, "update item set v = 'there' where id = 201", "insert into bare values (7, 'there')")
    run(main, "update item set v = 'here' where id = 202", "insert into bare values (7, 'here')")
    found = shared_runtime.describe_data_diff("main", "of-paused", max_rows=1000)
    assert [row.key for one in found.tables if one.key for row in one.rows] == [
        *((str(number),) for number in range(1, 11)),
        *(("201",), ("202",)),
    ]
    assert told(found) == told(by_hash(shared_runtime, "of-paused", monkeypatch))
