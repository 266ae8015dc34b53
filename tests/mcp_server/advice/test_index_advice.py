"""`diagnose` looks for the indexes that slow statements lack, through the real client."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from cluster_runtime import ClusterHandle, Runtime
from mcp_server import sessions
from mcp_server.advice.findings import worth_an_index
from mcp_server.advice.indexing import catalog, trying
from mcp_server.advice.indexing.candidates import Candidate
from mcp_server.databases import connections
from mcp_server.databases.existing import Databases, ExistingDatabase
from mcp_server.server import build_database_server, build_server
from mcp_server.toolkit.toolsets import chosen
from mcp_server.tools import ServerScope
from mcp_server.tools import advice as advice_tools
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
    assert re.search(r"tried on a branch, [1-9][\d.]* [kM]", finding["says"])
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


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The indexes that are built on branches, by their places."""
    places: list[str] = []
    create = catalog.create

    def noted(candidate: Candidate, index: str) -> str:
        places.append(candidate.place)
        return create(candidate, index)

    monkeypatch.setattr(catalog, "create", noted)
    return places


async def test_an_index_that_is_there_is_not_tried_again(
    advising: Tools, slow: ClusterHandle, built: list[str]
) -> None:
    query = "select sum(customer) from events where kind = 'k1' and at > '2026-01-02'"
    used(slow, query)
    await advice(advising)
    assert "public.events (kind, at)" in built
    built.clear()
    with slow.connect(autocommit=True) as connection:
        connection.execute("create index there on events (kind, at)")
    try:
        used(slow, query)
        found, told = await advice(advising)
    finally:
        with slow.connect(autocommit=True) as connection:
            connection.execute("drop index there")
    assert "public.events (kind, at)" not in [*built, *found], told


TURNS = """
create table seldom (id int, state text, size int, filler text);
insert into seldom
    select n, case when n % 1000 = 0 then 'rare' else 'often' end, n, repeat('x', 200)
    from generate_series(1, 6000) n;
create index seldom_state on seldom (state);
create function wanted() returns text stable cost 0.0001 language sql as $$
    select case when count(*) > 1 then 'rare' else 'often' end
    from pg_catalog.pg_index where indrelid = 'public.seldom'::regclass $$;
analyze seldom;
"""


async def test_an_index_is_not_credited_with_what_another_one_does(
    advising: Tools, slow: ClusterHandle, built: list[str]
) -> None:
    """A plan may turn to an index that was there, while a candidate is beside it."""
    with slow.connect(autocommit=True) as connection:
        connection.execute(TURNS)
    used(
        slow,
        "select max(filler) from seldom where state = wanted()",
        "select count(md5(filler || a.oid)) from seldom, pg_catalog.pg_am a where size > 100",
    )
    found, told = await advice(advising)
    assert "public.seldom (size)" in built, told
    assert not [each for each in found.values() if "wanted()" in each["says"]]
    assert any("in its plan" in said for said in told["no_index_helps"].values()), told


FUSSY = """
create function fussy() returns boolean stable language plpgsql as $$ begin
    if (select count(*) from pg_catalog.pg_index where indrelid = 'public.events'::regclass) > 1
    then raise exception 'not with that index'; end if; return true; end $$;
create function stubborn() returns int stable language plpgsql as $$ begin
    if session_user = 'borealis_reader' then loop
        begin
            perform count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b;
        exception when query_canceled then null; end;
    end loop; end if; return 1; end $$;
create function stay() returns int stable language plpgsql as $$ begin
    if session_user = 'borealis_reader' then
        perform count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b;
    end if; return 1; end $$;
"""


@pytest.fixture(scope="module")
def fussy(slow: ClusterHandle) -> ClusterHandle:
    with slow.connect(autocommit=True) as connection:
        connection.execute(FUSSY)
    return slow


async def test_a_statement_that_fails_does_not_end_the_trial_for_others(
    advising: Tools, fussy: ClusterHandle
) -> None:
    failing = "select count(payload) from events where customer = 5 and fussy()"
    used(fussy, failing, failing, failing, "select count(kind) from events where customer = 4")
    found, told = await advice(advising)
    assert "public.events (customer)" in found, told
    assert "fussy" not in found["public.events (customer)"]["says"]
    (failed,) = told["not_tried"].items()
    assert "with an index on public.events (customer)" in failed[0]
    assert "not with that index" in failed[1]


async def test_a_statement_that_does_not_heed_its_end_does_not_end_the_trial_for_others(
    advising: Tools, fussy: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "RUN_SECONDS", 1.0)
    monkeypatch.setattr(connections, "CANCEL_SECONDS", 0.2)
    heedless = "select stubborn(), payload from events where customer = 5"
    used(fussy, heedless, heedless, "select count(payload) from events where customer = 4")
    found, told = await advice(advising)
    assert "public.events (customer)" in found, told
    assert any("more than 1000.0 ms" in said for said in told["no_index_helps"].values())


async def test_a_statement_stops_when_the_time_of_its_check_is_over(
    advising: Tools, fussy: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "ALL_SECONDS", 3.0)
    used(fussy, "select stay(), payload from events where customer = 5")
    _, told = await advice(advising)
    assert ["were over" in said for said in told["not_tried"].values()] == [True]
    assert "no_index_helps" not in told


async def test_a_query_is_measured_once_with_each_set_of_values(
    advising: Tools, slow: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: Counter[str] = Counter()
    fetched = trying.fetched

    async def counted(connection: Any, sql: str, limits: Any) -> Any:
        ran[sql] += 1
        return await fetched(connection, sql, limits)

    monkeypatch.setattr(trying, "fetched", counted)
    used(slow, "select count(*) from events where kind <> 'k1'")
    await advice(advising)
    measured = [times for sql, times in ran.items() if sql.startswith("explain (analyze")]
    assert len(measured) == trying.VALUES
    assert max(measured) <= 2


async def test_the_cluster_is_looked_up_and_entered_once(
    advising: Tools, slow: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[tuple[str, str | None]] = []
    opened = sessions.opened

    async def noted(cluster: Any, *arguments: Any, **options: Any) -> Any:
        entered.append((cluster.identifier, options["user"]))
        return await opened(cluster, *arguments, **options)

    monkeypatch.setattr(sessions, "opened", noted)
    used(slow, "select * from events where customer = 5")
    await advice(advising)
    assert entered.count(("slowly", None)) == 1


HOSTILE = """
create table caught (what text);
grant all on caught to public;
create function steal() returns int stable language plpgsql security definer as
    $$ begin return public.slip(); end $$;
create function slip() returns int volatile language plpgsql as
    $$ begin insert into public.caught values ('slipped'); return 1; end $$;
create table "x'; drop table caught; --" ("a""b" int, c text);
insert into "x'; drop table caught; --" select n % 5000, '''; drop table caught; --'
    from generate_series(1, 200000) n;
analyze;
"""


async def test_hostile_texts_do_nothing(
    advising: Tools, runtime: Runtime, fussy: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = fussy
    monkeypatch.setattr(trying, "RUN_SECONDS", 1.0)
    caught: list[int] = []
    original = advice_tools.throwaway

    @asynccontextmanager
    async def looked_at(*arguments: Any) -> AsyncIterator[Any]:
        """The statements run on the branch: there is what they do, until it is deleted."""
        async with original(*arguments) as branch:
            yield branch
            with runtime.cluster(branch.identifier).connect(autocommit=True) as connection:
                row = connection.execute("select count(*) from caught").fetchone() or (None,)
                caught.append(row[0])

    monkeypatch.setattr(advice_tools, "throwaway", looked_at)
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
        "select stay(), payload from events where customer = 500",
    )
    with slow.connect(autocommit=True) as connection:
        connection.execute("truncate caught")
        connection.execute("set statement_timeout = '300ms'")
        for _ in range(2):
            connection.execute(
                "select count(*) from events a, events b where a.customer = 4 and b.id < 90"
            )
    found, told = await advice(advising)
    refused = " ".join(told["not_tried"].values())
    assert "slip" in refused
    assert "steal" in refused
    assert {f'public.{trap} ("a""b", c)', f'public.{trap} ("a""b")'} & {*found}, told
    assert "public.events (customer)" in found
    assert any("more than 1000.0 ms" in said for said in told["no_index_helps"].values())
    assert caught == [0]
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
