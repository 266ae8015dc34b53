"""`diagnose` and `explain_query` through the real client, over a database with ailments."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.databases.existing import Databases, ExistingDatabase
from mcp_server.server import build_database_server, build_server
from mcp_server.toolkit.toolsets import chosen
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools
from tests.waiting import wait_until

ADVICE = chosen("advice")
SHAPE = """
create extension pg_stat_statements;
create schema "My ""Schema";
create table customers (id int primary key, name text);
create table "My ""Schema"."Order" (
    id serial primary key, "customer Id" int references customers, state text, note text);
insert into customers select n, 'c' || n from generate_series(1, 1000) n;
insert into "My ""Schema"."Order" ("customer Id", state, note)
    select 1 + n % 1000, 's' || n % 5, repeat('x', 40) || n from generate_series(1, 60000) n;
create index unused on "My ""Schema"."Order" (state, note);
create index twice on customers (name);
create index "twice; drop" on customers (name, id);
create index on customers (lower(name));
create table parted (id int references customers) partition by range (id);
create table parted_1 partition of parted for values from (0) to (100);
select setval('"My ""Schema"."Order_id_seq"', 2000000000);
create table worn (x int, y text);
alter table worn set (autovacuum_enabled = false);
insert into worn select n, repeat('y', 200) from generate_series(1, 20000) n;
analyze;
delete from worn where x > 5000;
select count(*) from "My ""Schema"."Order" where id = 7;
"""
ORDER = '"My ""Schema"."Order"'


@pytest.fixture(scope="module")
def ailing(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("ailing")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(SHAPE)
        for _ in range(3):
            connection.execute("select pg_sleep(0.12) /* slow one */")
        connection.execute("select pg_stat_force_next_flush()")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("create unique index concurrently broken on worn (y)")
    return cluster


@pytest.fixture(scope="module", params=[False, True], ids=["all", "read-only"])
def advising(request: Any, runtime: Runtime, ailing: ClusterHandle) -> Tools:
    scope = ServerScope("ailing", read_only=request.param, toolsets=ADVICE)
    return Tools(build_server(runtime, scope))


def of_check(answer: dict[str, Any], check: str) -> dict[str, str]:
    return {each["of"]: each["mend"] for each in answer["findings"] if each["check"] == check}


def not_checked(answer: dict[str, Any]) -> dict[str, str]:
    """What was not; but for candidate indexes, which need a branch and pg_stat_statements."""
    told = answer.get("not_checked", {})
    return {check: why for check, why in told.items() if check != "index_advice"}


async def test_every_ailment_is_found_with_the_sql_that_mends_it(
    advising: Tools, ailing: ClusterHandle
) -> None:
    told = await advising("diagnose")
    assert not_checked(told) == {}
    assert of_check(told, "missing_indexes") == {
        f'{ORDER} ("customer Id")': f'create index concurrently on {ORDER} ("customer Id")',
        "public.parted (id)": "create index on public.parted (id)",
    }
    assert of_check(told, "duplicate_indexes") == {
        "public.twice": "drop index concurrently public.twice"
    }
    assert of_check(told, "invalid_indexes") == {
        "public.broken": "reindex index concurrently public.broken"
    }
    assert of_check(told, "unused_indexes") == {
        '"My ""Schema".unused': 'drop index concurrently "My ""Schema".unused'
    }
    sequence = '"My ""Schema"."Order_id_seq"'
    assert of_check(told, "sequences") == {
        sequence: f"alter sequence {sequence} as bigint; "
        f"alter table {ORDER} alter column id type bigint"
    }
    assert of_check(told, "bloat") == {"public.worn": "vacuum (analyze) public.worn"}
    slow = of_check(told, "slow_queries")
    assert any("explain (generic_plan) select pg_sleep($1)" in each for each in slow.values())
    assert {"locks", "wraparound"} <= set(told["fine"])
    assert "SQL to read before you run it" in told["notes"]


async def test_the_sql_that_mends_does_so(runtime: Runtime, ailing: ClusterHandle) -> None:
    tools = Tools(build_server(runtime, ServerScope("ailing", toolsets=ADVICE)))
    with ailing.connect(autocommit=True) as connection:
        connection.execute("create database mended template template0")
    with ailing.connect(dbname="mended", autocommit=True) as connection:
        connection.execute(SHAPE)
        connection.execute("select pg_stat_force_next_flush()")
        checks = [
            *("missing_indexes", "duplicate_indexes", "unused_indexes", "sequences", "bloat"),
            "slow_queries",
        ]
        told = await tools("diagnose", checks=checks, database="mended")
        assert {each["check"] for each in told["findings"]} >= set(checks[:5])
        for each in told["findings"]:
            for statement in each["mend"].split("; "):
                connection.execute(statement.encode())
        told = await tools("diagnose", checks=checks[:5], database="mended")
    assert told["findings"] == []
    assert set(told["fine"]) == set(checks[:5])


@contextmanager
def waiting(cluster: ClusterHandle) -> Iterator[tuple[int, int]]:
    """Two sessions of which one waits for the other; their processes."""
    with (
        cluster.connect() as holder,
        cluster.connect(autocommit=True) as waiter,
        cluster.connect(autocommit=True) as looker,
    ):
        holder.execute("lock table customers in access exclusive mode")
        pid = waiter.info.backend_pid

        def wait() -> None:
            waiter.execute("select count(*) from customers")

        thread = Thread(target=wait)
        thread.start()
        wait_until(
            lambda: (
                looker.execute(
                    "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s", [pid]
                ).fetchone()
                == (True,)
            )
        )
        try:
            yield holder.info.backend_pid, pid
        finally:
            holder.rollback()
            thread.join()


async def test_who_blocks_whom_is_told_while_a_table_is_locked(
    advising: Tools, ailing: ClusterHandle
) -> None:
    with waiting(ailing) as (holder, waiter):
        told = await advising("diagnose", long_seconds=0)
        locks = of_check(told, "locks")
        assert locks == {
            f"process {waiter} waits for {holder}": f"select pg_terminate_backend({holder})"
        }
        assert f"process {holder}" in of_check(told, "long_transactions")
        assert of_check(told, "missing_indexes")  # nothing waits for the lock
    told = await advising("diagnose", checks=["long_transactions", "locks"], long_seconds=3600)
    assert told["findings"] == []


async def test_a_check_that_fails_hides_no_other(
    advising: Tools, ailing: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcp_server.advice import examining, findings

    monkeypatch.setattr(examining, "CHECK_SECONDS", 0.5)
    broken = {
        "bloat": ("select 1 / 0", findings.bloat),
        "cache_ratio": ("select pg_catalog.pg_sleep(60)", findings.cache),
    }
    monkeypatch.setattr(examining, "OF_ROWS", examining.OF_ROWS | broken)
    told = await advising("diagnose")
    assert not_checked(told) == {
        "bloat": "division by zero (SQLSTATE 22012)",
        "cache_ratio": "it took more than 0.5 s",
    }
    assert of_check(told, "missing_indexes")
    assert of_check(told, "sequences")


TRAPS = """
create schema trap;
create table trap.caught (what text);
grant usage on schema trap to public; grant all on trap.caught to public;
create function trap.same(name, name) returns bool language plpgsql as
    $$ begin insert into trap.caught values ('operator'); return true; end $$;
create operator trap.= (leftarg = name, rightarg = name, function = trap.same);
create operator trap.<> (leftarg = name, rightarg = name, function = trap.same);
create function trap.age(xid) returns int language plpgsql as
    $$ begin raise exception 'caught by a function'; end $$;
create function trap.left(text, int) returns text language plpgsql as
    $$ begin raise exception 'caught by a function'; end $$;
create view trap.pg_stat_activity as select 1 as pid;
create view trap.pg_stat_statements as select 1 as queryid;
create function trap.boom(int) returns int immutable language plpgsql as
    $$ begin return $1; end $$;
create table trap.bait (x int);
insert into trap.bait values (1);
create index on trap.bait (trap.boom(x));
alter database trapped set search_path = trap, pg_catalog;
create or replace function trap.boom(int) returns int immutable language plpgsql as
    $$ begin raise exception 'caught by an index'; end $$;
alter database trapped set default_transaction_read_only = off;
"""


async def test_a_hostile_database_runs_nothing_of_its_own(
    advising: Tools, ailing: ClusterHandle
) -> None:
    with ailing.connect(autocommit=True) as connection:
        there = connection.execute("select from pg_database where datname = 'trapped'").fetchone()
        if there is None:
            connection.execute("create database trapped template template0")
            with ailing.connect(dbname="trapped", autocommit=True) as owner:
                owner.execute(TRAPS)
    told = await advising("diagnose", database="trapped", long_seconds=0)
    assert set(not_checked(told)) == {"slow_queries"}
    assert "create extension pg_stat_statements" in told["not_checked"]["slow_queries"]
    assert "caught" not in str(told["findings"])
    with ailing.connect(dbname="trapped", autocommit=True) as owner:
        assert owner.execute("select count(*) from trap.caught").fetchone() == (0,)


async def test_rows_that_were_never_analysed_are_counted_as_the_server_has_seen_them(
    runtime: Runtime, ailing: ClusterHandle
) -> None:
    with ailing.connect(autocommit=True) as connection:
        connection.execute("create database fresh")
    with ailing.connect(dbname="fresh", autocommit=True) as connection:
        connection.execute(
            "create table port (id int primary key);"
            "create table ship (port int references port) with (autovacuum_enabled = false);"
            "insert into port values (1); insert into ship select 1 from generate_series(1, 500);"
        )
        connection.execute("select pg_stat_force_next_flush()")
    scope = ServerScope("ailing", toolsets=ADVICE)
    told = await Tools(build_server(runtime, scope))("diagnose", database="fresh")
    said = [each["says"] for each in told["findings"] if each["check"] == "missing_indexes"]
    assert len(said) == 1
    assert "reads all 500 rows" in said[0]


async def test_with_a_connection_string_it_says_what_its_role_may_not_see(
    ailing: ClusterHandle,
) -> None:
    database = ExistingDatabase("mine", lambda: ailing.dsn("writer", user="borealis_reader"))
    tools = Tools(build_database_server(Databases([database]), toolsets=ADVICE))
    told = await tools("diagnose")
    assert set(not_checked(told)) == {"locks", "long_transactions", "slow_queries"}
    assert "GRANT pg_read_all_stats" in told["not_checked"]["locks"]
    assert of_check(told, "missing_indexes")
    assert (
        "Seq Scan on customers"
        in (await tools("explain_query", sql="select * from customers where name like '%9'"))[
            "text"
        ]
    )


async def test_a_plan_is_told_in_short_and_measured_if_asked(advising: Tools) -> None:
    sql = f"select * from {ORDER} where length(note) = 3"
    plain = (await advising("explain_query", sql=sql))["text"]
    assert "Seq Scan on Order" in plain
    assert "actual" not in plain
    measured = (await advising("explain_query", sql=sql + ";", analyze=True))["text"]
    assert "! Seq Scan on Order reads 60000 rows and keeps 0: an index" in measured
    assert "execution" in measured


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("explain select 1", "without EXPLAIN"),
        ("show work_mem", "without EXPLAIN"),
        ("delete from customers", "is not a query"),
        ("select 1; delete from customers", "more than one statement"),
        ("select pg_sleep(1)", "pg_sleep"),
        ("select * from custmers", "customers"),
        ("/* ) */ select pg_notify('x', 'y')", "pg_notify"),
    ],
)
async def test_what_is_not_a_query_that_reads_is_not_explained(
    advising: Tools, sql: str, said: str
) -> None:
    assert said in await advising.fails("explain_query", sql=sql, analyze=True)


async def test_a_check_that_there_is_not_is_refused(advising: Tools) -> None:
    assert "'checks' is wrong" in await advising.fails("diagnose", checks=["blot"])
