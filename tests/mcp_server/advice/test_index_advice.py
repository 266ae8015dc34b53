"""`diagnose` looks for the indexes that slow statements lack, through the real client."""

import re
from typing import Any

import anyio
import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from mcp_server import sessions
from mcp_server.advice.findings import worth_an_index
from mcp_server.advice.indexing import trying
from mcp_server.databases.existing import Databases, ExistingDatabase
from mcp_server.server import build_database_server, build_server
from mcp_server.toolkit.toolsets import chosen
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools

HANGS_SECONDS = 90.0

SHAPE = """
create extension pg_stat_statements;
create table customers (id int primary key, region text, email text);
insert into customers select n, 'r' || n % 7, 'c' || n || '@example.org'
    from generate_series(1, 20000) n;
create table events (
    id int primary key, customer int not null, kind text not null, at timestamptz not null,
    payload text);
insert into events
    select n, 1 + n * 7919 % 20000, 'k' || n % 40, '2026-01-01'::timestamptz + n * interval '1 min',
           repeat('x', 60)
    from generate_series(1, 200000) n;
create schema "My ""Schema";
create table "My ""Schema"."Order" ("customer Id" int, state text);
insert into "My ""Schema"."Order" select n % 30000, 's' || n % 3 from generate_series(1, 120000) n;
"""
LOST = '"My ""Schema"."Order"'


@pytest.fixture(scope="module")
def slow(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("slowly")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(SHAPE)
        connection.execute("vacuum analyze")
    return cluster


@pytest.fixture(scope="module")
def advising(runtime: Runtime, slow: ClusterHandle) -> Tools:
    return Tools(build_server(runtime, ServerScope("slowly", toolsets=chosen("advice"))))


def used(cluster: ClusterHandle, *statements: str, times: int = 3) -> None:
    """The statements, and no others, have been run by a program."""
    with cluster.connect(autocommit=True) as connection:
        connection.execute("select pg_stat_statements_reset()")
        for statement in statements:
            for _ in range(times):
                connection.execute(statement)


async def advice(advising: Tools) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    told = await advising("diagnose", checks=["index_advice"])
    return {each["of"]: each for each in told["findings"]}, told


def clusters(runtime: Runtime) -> set[str]:
    return {each.db_cluster_identifier for each in runtime.describe_db_clusters()}


async def test_a_slow_query_gets_the_index_that_was_measured_to_help(
    advising: Tools, runtime: Runtime, slow: ClusterHandle
) -> None:
    before = clusters(runtime)
    query = "select count(*) from events where kind = 'k7' and at > '2026-05-18'"
    used(slow, query)
    found, told = await advice(advising)
    assert "public.events (kind, at)" in found, told
    finding = found["public.events (kind, at)"]
    assert finding["mend"] == "create index concurrently on public.events (kind, at)"
    without, with_it = map(
        float, re.search(r"([\d.]+) ms without it, ([\d.]+) ms with it", finding["says"]).groups()
    )
    assert with_it < without / 2
    assert "select count(*) from events where kind = $1 and at > $2" in finding["says"]
    assert "not_checked" not in told
    assert clusters(runtime) == before
    with slow.connect() as connection:  # nothing has changed in the cluster itself
        indexes = "select count(*) from pg_indexes where tablename = 'events'"
        assert connection.execute(indexes).fetchone() == (1,)


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("select * from events order by at desc limit 5", "public.events (at)"),
        (
            "select * from events where kind = 'k3' order by customer desc, at limit 5",
            "public.events (kind, customer desc, at)",
        ),
        (
            "select e.payload from customers c join events e on e.customer = c.id "
            "where c.email = 'c9@example.org'",
            "public.events (customer)",
        ),
        ("update events set payload = 'y' where customer = 5", "public.events (customer)"),
        ("delete from events where customer in (4, 5)", "public.events (customer)"),
        (
            "with few as (select * from events where customer between 7 and 9) "
            "select kind, count(*) from few group by kind",
            "public.events (customer)",
        ),
        (
            "select id from events where at >= now() - interval '3 days' + interval '90 years'",
            "public.events (at)",
        ),
        (f'select * from {LOST} where "customer Id" = 12', f'{LOST} ("customer Id")'),
    ],
)
async def test_what_a_statement_compares_orders_and_joins_is_indexed(
    advising: Tools, slow: ClusterHandle, statement: str, place: str
) -> None:
    used(slow, statement)
    found, told = await advice(advising)
    assert place in found, told


async def test_one_index_is_enough_for_two_statements(advising: Tools, slow: ClusterHandle) -> None:
    used(
        slow,
        "select count(payload) from events where customer = 3 and kind = 'k1'",
        "select count(payload) from events where customer = 4",
    )
    found, _ = await advice(advising)
    assert len(found) == 1
    (finding,) = found.values()
    assert finding["says"].count("without it") == 2


async def test_a_query_that_no_index_helps_gets_none(advising: Tools, slow: ClusterHandle) -> None:
    used(
        slow,
        "select kind, count(*) from events group by kind",
        "select count(*) from events where kind <> 'k1'",
        "select sum(id) from events where at < '2100-01-01' or payload like '%y%'",
        "select max(length(payload)) from events where id = id",
    )
    found, told = await advice(advising)
    assert not found
    assert len(told["no_index_helps"]) == 4
    assert "not_tried" not in told


async def test_an_index_that_is_there_is_not_advised_again(
    advising: Tools, slow: ClusterHandle
) -> None:
    with slow.connect(autocommit=True) as connection:
        connection.execute("create index there on events (kind, at)")
    try:
        used(slow, "select sum(customer) from events where kind = 'k1' and at > '2026-01-02'")
        found, _ = await advice(advising)
        assert "public.events (kind, at)" not in found
    finally:
        with slow.connect(autocommit=True) as connection:
            connection.execute("drop index there")


HOSTILE = """
create table caught (what text);
grant all on caught to public;
create function steal() returns int stable language plpgsql security definer as
    $$ begin return public.slip(); end $$;
create function slip() returns int volatile language plpgsql as
    $$ begin insert into public.caught values ('slipped'); return 1; end $$;
create function stay() returns int stable language plpgsql as
    $$ begin perform set_config('statement_timeout', '0', true); perform pg_sleep(3600);
       return 1; end $$;
create table "x'; drop table caught; --" ("a""b" int, c text);
insert into "x'; drop table caught; --" select n % 5000, '''; drop table caught; --'
    from generate_series(1, 60000) n;
analyze;
"""


async def test_hostile_texts_do_nothing(
    advising: Tools, runtime: Runtime, slow: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "RUN_SECONDS", 1.0)
    before = clusters(runtime)
    with slow.connect(autocommit=True) as connection:
        connection.execute(HOSTILE)
    trap = '"x\'; drop table caught; --"'
    used(
        slow,
        "select slip() from events where payload = 'x1' or id = 7",
        "select steal() from events where payload = 'x2' or id = 8",
        f"select * from {trap} where \"a\"\"b\" = 7 and c = '''; drop table caught; --' /* $1 ' */",
        "select count(*) from events where customer = 3 /* $1 */ -- $2\n and payload <> '$3'",
    )
    with slow.connect(autocommit=True) as connection:
        connection.execute("truncate caught")
        connection.execute("set statement_timeout = '300ms'")
        for _ in range(2):
            connection.execute(
                "select count(*) from events a, events b where a.customer = 4 and b.id < 90"
            )
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select stay(), payload from events where customer = 500")
    found, told = await advice(advising)
    refused = " ".join(told["not_tried"].values())
    assert "slip" in refused
    assert "steal" in refused
    assert f'public.{trap} ("a""b", c)' in found or f'public.{trap} ("a""b")' in found
    assert "public.events (customer)" in found
    with slow.connect(autocommit=True) as connection:
        assert connection.execute("select count(*) from caught").fetchone() == (0,)
    assert clusters(runtime) == before


async def test_where_there_is_no_branch_it_says_so(runtime: Runtime, slow: ClusterHandle) -> None:
    scope = ServerScope("slowly", read_only=True, toolsets=chosen("advice"))
    for tools, reason in (
        (Tools(build_server(runtime, scope)), "this server only reads"),
        (
            Tools(
                build_database_server(
                    Databases([ExistingDatabase("mine", slow.dsn)]), toolsets=chosen("advice")
                )
            ),
            "this database has none",
        ),
    ):
        _, told = await advice(tools)
        assert reason in told["not_checked"]["index_advice"]


async def test_checks_at_once_do_not_wait_for_each_other(
    advising: Tools, slow: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each needs two connections, of which there are two."""
    monkeypatch.setattr(sessions, "CONNECTIONS", anyio.Semaphore(2))
    used(slow, "select * from events where customer = 5")
    told: list[dict[str, Any]] = []

    async def check() -> None:
        found, _ = await advice(advising)
        told.append(found)

    with anyio.fail_after(HANGS_SECONDS):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(check)
    assert len(told) == 3


def test_a_statement_whose_text_is_not_known_is_passed_over() -> None:
    """As where pg_stat_statements lost the file that has the texts."""
    row = {"mean_ms": 5000.0, "share": 0.9, "hidden": None, "calls": 9, "query": None}
    assert not worth_an_index(row)
    assert worth_an_index(row | {"hidden": False, "query": "select 1"})
