"""run_query cannot write; execute_sql does, whole or not at all; both are bounded."""

import time
from collections.abc import Callable
from typing import Any

import anyio
import psycopg
import pytest
from mcp import Client

from mcp_server import sessions
from mcp_server.databases import connections
from mcp_server.toolkit import progress
from tests.mcp_server.conftest import told
from tests.waiting import wait_until


async def query(tools: Any, sql: str, **options: Any) -> dict[str, Any]:
    return await tools("run_query", cluster="shop", sql=sql, **options)


async def test_rows_come_with_their_columns(tools: Any, shop: Any) -> None:
    answer = await query(tools, "select name, balance from customers order by id")
    assert answer["columns"] == ["name", "balance"]
    assert answer["types"] == ["text", "numeric(12,2)"]
    assert answer["rows"] == [["Ada", 250.5], ["Bob", 0], ["Cleo", 99.9]]
    assert "notes" not in answer


async def test_columns_may_share_a_name(tools: Any, shop: Any) -> None:
    answer = await query(tools, "select 1 as a, 2 as a")
    assert answer["rows"] == [[1, 2]]


async def test_exactly_the_limit_is_the_whole_and_one_more_is_not(tools: Any, shop: Any) -> None:
    whole = await query(tools, "select id from sales.orders", limit=30)
    assert len(whole["rows"]) == 30
    assert "notes" not in whole
    part = await query(tools, "select id from sales.orders", limit=29)
    assert len(part["rows"]) == 29
    assert "first 29 rows" in part["notes"]


async def test_a_limit_that_cannot_be_raised_is_not_to_be_raised(tools: Any, shop: Any) -> None:
    sql = "select * from generate_series(1, 1001)"
    answer = await tools("run_query", cluster="shop", sql=sql, limit=1000)
    assert "only the first 1000 rows: narrow" in answer["notes"]
    answer = await tools("run_query", cluster="shop", sql=sql, limit=999)
    assert "only the first 999 rows: raise limit" in answer["notes"]


async def test_a_result_too_large_for_an_answer_is_cut_between_rows(tools: Any, shop: Any) -> None:
    answer = await query(tools, "select repeat('x', 30000) from generate_series(1, 50)")
    assert 0 < sum(len(row[0]) for row in answer["rows"]) <= 80_000
    assert all(len(row[0]) == 30_000 for row in answer["rows"])
    assert "fewer columns" in answer["notes"]
    assert "read_more" in answer["notes"]


async def test_a_value_too_large_for_an_answer_is_clipped(tools: Any, shop: Any) -> None:
    answer = await query(tools, "select repeat('x', 100000)")
    assert answer["rows"][0][0].endswith("x… [67232 more characters]")
    assert "substring" in answer["notes"]


async def test_a_large_table_is_not_read_to_its_end(tools: Any, shop: Any) -> None:
    answer = await query(
        tools,
        "select a from generate_series(1, 100000) a cross join generate_series(1, 100000) b",
        limit=5,
        timeout_seconds=20,
    )
    assert len(answer["rows"]) == 5
    assert "first 5 rows" in answer["notes"]


@pytest.mark.parametrize(
    "sql",
    [
        "delete from customers",
        "with gone as (delete from customers returning *) select * from gone",
        "select * into copy from customers",
        "create table t (x int)",
        "select 1; delete from customers",
        "commit",
        "set role postgres",
        "reset role",
        "set transaction read write",
        "select set_config('transaction_read_only', 'off', false)",
        "do $$ begin delete from customers; end $$",
        "copy customers to program 'id'",
        "select pg_read_file('/etc/passwd')",
        "select pg_sleep(5)",
        "select nextval('customers_id_seq')",
        "select * from customers for update",
        "explain analyze delete from customers",
        "",
        "-- nothing",
    ],
)
async def test_run_query_refuses_what_is_not_a_read(tools: Any, shop: Any, sql: str) -> None:
    before = await query(tools, "select count(*) from customers")
    assert await tools.fails("run_query", cluster="shop", sql=sql)
    assert (await query(tools, "select count(*) from customers"))["rows"] == before["rows"]


@pytest.mark.parametrize(
    "body",
    [
        "delete from guarded",
        "perform set_config('transaction_read_only', 'off', true); delete from guarded",
        "set local role postgres; delete from guarded",
    ],
)
async def test_a_function_that_lies_about_its_effects_changes_nothing(
    tools: Any, bench: Any, body: str
) -> None:
    await execute(
        tools,
        "create table if not exists guarded (x int); truncate guarded;"
        "insert into guarded values (1);"
        "create or replace function innocent() returns int language plpgsql stable "
        f"security definer as $$ begin {body}; return 1; end $$;"
        "grant execute on function innocent() to public",
    )
    assert await tools.fails("run_query", cluster="bench", sql="select innocent()")
    left = await tools("run_query", cluster="bench", sql="select count(*) from guarded")
    assert left["rows"] == [[1]]


async def test_run_query_is_another_role_in_a_read_only_transaction(tools: Any, shop: Any) -> None:
    answer = await query(
        tools,
        "select session_user, current_user, current_setting('transaction_read_only')",
    )
    assert answer["rows"] == [["borealis_reader", "borealis_reader", "on"]]


async def test_a_wrong_table_or_column_is_answered_with_the_nearest(tools: Any, shop: Any) -> None:
    assert "sales.orders" in await tools.fails(
        "run_query", cluster="shop", sql="select * from orders"
    )
    assert "balance" in await tools.fails(
        "run_query", cluster="shop", sql="select balanc from customers"
    )


async def test_a_slow_query_is_ended_by_its_timeout(tools: Any, shop: Any) -> None:
    started = time.monotonic()
    refusal = await tools.fails(
        "run_query",
        cluster="shop",
        sql="select count(*) from generate_series(1, 1000000) a, generate_series(1, 100) b",
        timeout_seconds=0.2,
    )
    assert "timeout" in refusal
    assert time.monotonic() - started < 10


ENDLESS = "select count(*) from generate_series(1, 100000000) a"


def running(cluster: Any) -> int:
    """Sessions of readers in a transaction: what they run, and whether, is shown to nobody."""
    with cluster.connect() as connection:
        return connection.execute(
            "select count(*) from pg_stat_activity join pg_locks using (pid) "
            "where application_name = 'borealis mcp' and usename = 'borealis_reader' "
            "and locktype = 'virtualxid'"
        ).fetchone()[0]


async def until(condition: Callable[[], bool]) -> None:
    await anyio.to_thread.run_sync(wait_until, condition)


@pytest.mark.parametrize("protocol", ["2026-07-28", "legacy"])
async def test_a_client_that_cancels_a_call_ends_its_query(
    tools: Any, shop: Any, protocol: str
) -> None:
    async with (
        Client(tools.server, mode=protocol) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(
            client.call_tool,
            "run_query",
            {"cluster": "shop", "sql": ENDLESS, "timeout_seconds": 60},
        )
        await until(lambda: running(shop) == 1)
        tasks.cancel_scope.cancel()
    await until(lambda: running(shop) == 0)


async def test_a_slow_query_holds_up_no_other_call(tools: Any, shop: Any) -> None:
    async with Client(tools.server) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(
            client.call_tool,
            "run_query",
            {"cluster": "shop", "sql": ENDLESS, "timeout_seconds": 60},
        )
        await until(lambda: running(shop) == 1)
        quick = await client.call_tool("run_query", {"cluster": "shop", "sql": "select 1"})
        assert told(quick)["rows"] == [[1]]
        assert await anyio.to_thread.run_sync(running, shop) == 1
        tasks.cancel_scope.cancel()


async def test_more_calls_at_once_than_a_cluster_takes_connections_wait_their_turn(
    tools: Any, shop: Any
) -> None:
    answers: list[Any] = []

    async def call(number: int) -> None:
        answer = await client.call_tool("run_query", {"cluster": "shop", "sql": f"select {number}"})
        answers.append(told(answer))

    async with Client(tools.server) as client, anyio.create_task_group() as tasks:
        for number in range(110):
            tasks.start_soon(call, number)
    assert sorted(answer["rows"][0][0] for answer in answers) == list(range(110))


async def test_a_long_call_reports_progress(
    tools: Any, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.1)
    heard: list[str] = []

    async def listen(done: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async with Client(tools.server) as client:
        await client.call_tool(
            "run_query",
            {"cluster": "shop", "sql": ENDLESS, "timeout_seconds": 0.9},
            progress_callback=listen,
        )
    assert heard[:3] == ["querying", "querying (1 s)", "querying (2 s)"]


async def execute(tools: Any, sql: str, **options: Any) -> dict[str, Any]:
    return await tools("execute_sql", cluster="bench", sql=sql, **options)


async def test_a_script_reports_every_statement(tools: Any, bench: Any) -> None:
    answer = await execute(
        tools,
        "create table script (id int, word text);"
        "insert into script values (1, 'one'), (2, 'two') returning id;"
        "do $$ begin raise notice 'hello'; end $$;"
        "update script set word = 'zwei' where id = 2",
    )
    assert [one["command"] for one in answer["statements"]] == [
        "CREATE TABLE",
        "INSERT 0 2",
        "DO",
        "UPDATE 1",
    ]
    assert [one.get("affected_rows") for one in answer["statements"]] == [None, 2, None, 1]
    assert answer["statements"][1]["rows"] == [[1], [2]]
    assert answer["notices"] == ["NOTICE: hello"]


async def test_a_script_that_fails_changes_nothing(tools: Any, bench: Any) -> None:
    refusal = await tools.fails(
        "execute_sql", cluster="bench", sql="create table half (x int); select 1/0"
    )
    assert "division by zero" in refusal
    assert "22012" in refusal
    answer = await execute(tools, "select to_regclass('half')")
    assert answer["statements"][0]["rows"] == [[None]]


async def test_parameters_are_values_and_never_sql(tools: Any, bench: Any) -> None:
    await execute(tools, "create table robert (name text, tags jsonb, ok bool, n numeric)")
    hostile = "x'); drop table robert; --"
    answer = await execute(
        tools,
        "insert into robert values ($1, $2, $3, $4) returning *",
        parameters=[hostile, {"a": [1]}, True, 1.5],
    )
    assert answer["statements"][0]["rows"] == [[hostile, {"a": [1]}, True, 1.5]]


WHOLE_OR_NOTHING = [
    "insert into whole values (1); commit; select 1/0",
    "begin; insert into whole values (1); commit; select 1/0",
    "insert into whole values (1); end; select 1/0",
    "insert into whole values (1); COMMIT WORK AND CHAIN; select 1/0",
    "insert into whole values (1); /* x */ commit /* ; */ ; select 1/0",
    "insert into whole values (1); rollback; insert into whole values (2)",
    "insert into whole values (1); savepoint a; select 1/0",
    "insert into whole values (1); savepoint a; delete from whole; rollback to a; select 1",
    "insert into whole values (1); release savepoint a",
    "insert into whole values (1); abort; select 1",
    "insert into whole values (1); start transaction; select 1",
    "insert into whole values (1); prepare transaction 'x'; select 1",
    "insert into whole values (1); commit prepared 'x'",
    "insert into whole values (1); call commits(); select 1",
    "call commits(); select 1",
    "insert into whole values (1); do $$ begin commit; end $$; select 1",
    "do $$ begin insert into whole values (1); commit; end $$; select 1/0",
    "insert into whole values (1); select ';'; select 1/0",
    "insert into whole values (1); vacuum whole",
    "insert into whole values (1); create database never",
    "insert into whole values (1); create index concurrently on whole (x)",
    "insert into whole values (1); select 'a\\'; commit; select 1/0; --'",
    "insert into whole values (1); insert into whole values (null)",
    "insert into whole values (1); insert into late values (5)",
    "begin; insert into whole values (1)",
    "begin; insert into whole values (1); rollback",
    "begin; insert into whole values (1); commit and chain",
    "begin; insert into whole values (1); select 1/0; commit",
    "begin",
    "commit",
    "rollback",
    "insert into whole values (1); select 1 as x\u00a0$t$; commit; select 1/0 as x\u00a0$t$",
]


async def test_several_statements_all_happen_or_none_does(tools: Any, bench: Any) -> None:
    await execute(
        tools,
        "create table whole (x int not null); create table late_to (x int primary key);"
        "create table late (y int references late_to (x) deferrable initially deferred);"
        "create procedure commits() language plpgsql as "
        "$$ begin insert into whole values (9); commit; end $$",
    )
    for sql in WHOLE_OR_NOTHING:
        assert await tools.fails("execute_sql", cluster="bench", sql=sql), sql
        left = await execute(tools, "select count(*) from whole")
        assert left["statements"][0]["rows"] == [[0]], sql


async def test_a_script_that_controls_its_transaction_is_told_so(tools: Any, bench: Any) -> None:
    refusal = await tools.fails(
        "execute_sql", cluster="bench", sql="create table gone (x int); commit; select 1"
    )
    assert "statement 2 of 3 is COMMIT" in refusal
    assert "Nothing was run" in refusal
    assert "left" not in await tools.fails("execute_sql", cluster="bench", sql="select * from gone")


@pytest.mark.parametrize(
    "sql",
    [
        "begin; create table w1 (x int); insert into w1 values (1); commit",
        "start transaction isolation level serializable; create table w2 (x int); end work;",
        "create function w3() returns int language sql begin atomic select 1; select 2; end; "
        "create table w3 (x int)",
        "create or replace procedure w4() begin atomic select case when true then 1 end; end;"
        "create table w4 (x int)",
        "create table w5 (x int); create rule r as on insert to w5 do also (select 1; select 2)",
        "set transaction isolation level serializable; create table w6 (x int)",
        'create table w7 ("commit" int); insert into w7 values (1) returning "commit" as begin',
        "create table w8 (x text); "
        "insert into w8 values ('; commit; '), ($$;rollback;$$), (U&'\\0061')",
        "prepare w9 as select 1; execute w9; deallocate w9",
    ],
)
async def test_what_only_looks_like_it_runs(tools: Any, bench: Any, sql: str) -> None:
    assert (await execute(tools, sql))["statements"]


@pytest.mark.parametrize("sql", ["vacuum alone", "call alone_commits()", "vacuum (analyze) alone;"])
async def test_one_statement_alone_needs_no_transaction(tools: Any, bench: Any, sql: str) -> None:
    await execute(
        tools,
        "create table if not exists alone (x int); create or replace procedure alone_commits() "
        "language plpgsql as $$ begin insert into alone values (9); commit; end $$",
    )
    assert (await execute(tools, sql))["statements"]


STUBBORN = (
    "do $$ begin loop begin perform pg_sleep(60); exception when query_canceled then null; end; "
    "end loop; end $$"
)


@pytest.mark.parametrize(
    "sql",
    [
        "set statement_timeout = 0; select pg_sleep(60)",
        "set local statement_timeout = 0; select pg_sleep(60)",
        "reset statement_timeout; select pg_sleep(60)",
        "select set_config('statement_timeout', '0', false); select pg_sleep(60)",
        "do $$ begin perform set_config('statement_timeout', '0', true); end $$; "
        "select pg_sleep(60)",
        "begin; set statement_timeout = 0; select pg_sleep(60); commit",
        "reset all; select pg_sleep(60)",
        "select pg_sleep(0.4); select pg_sleep(0.4); select pg_sleep(60)",
    ],
)
async def test_no_statement_stops_the_clock_of_its_call(tools: Any, bench: Any, sql: str) -> None:
    started = time.monotonic()
    refusal = await tools.fails("execute_sql", cluster="bench", sql=sql, timeout_seconds=0.6)
    assert "timeout" in refusal
    assert time.monotonic() - started < 15
    await until(lambda: sleeping(bench) == 0)
    after = await execute(tools, "show statement_timeout", timeout_seconds=7)
    assert after["statements"][0]["rows"] == [["7s"]]


async def test_a_session_that_will_not_be_cancelled_is_ended(
    tools: Any, bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CANCEL_SECONDS", 0.5)
    sql = f"set statement_timeout = 0; {STUBBORN}"
    refusal = await tools.fails("execute_sql", cluster="bench", sql=sql, timeout_seconds=0.5)
    assert "timeout" in refusal
    await until(lambda: sleeping(bench) == 0)


async def test_what_was_done_is_not_said_to_have_failed(
    tools: Any, bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its result is lost on the way back."""

    async def lost(*_: object) -> None:
        raise psycopg.OperationalError("the connection is lost")

    await execute(tools, "create table written (x int)")
    monkeypatch.setattr(sessions, "type_names", lost)
    sql = "begin; insert into written values (1); commit"
    assert "was done" in await tools.fails("execute_sql", cluster="bench", sql=sql)
    with bench.connect() as connection:
        assert connection.execute("select count(*) from written").fetchone() == (1,)


def sleeping(cluster: Any) -> int:
    with cluster.connect() as connection:
        return connection.execute(
            "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        ).fetchone()[0]


async def test_the_timeout_is_that_of_the_call_and_a_quick_one_never_meets_it(
    tools: Any, bench: Any
) -> None:
    answer = await execute(tools, "select 1; select 2; select 3", timeout_seconds=5)
    assert len(answer["statements"]) == 3


async def test_copy_from_the_client_is_refused_and_loses_nothing(tools: Any, bench: Any) -> None:
    await execute(tools, "create table copied (x int)")
    assert "INSERT" in await tools.fails(
        "execute_sql", cluster="bench", sql="copy copied from stdin"
    )


async def test_more_returned_rows_than_the_limit_still_happen(tools: Any, bench: Any) -> None:
    await execute(tools, "create table many (x int)")
    answer = await execute(
        tools, "insert into many select generate_series(1, 500) returning x", limit=3
    )
    (statement,) = answer["statements"]
    assert len(statement["rows"]) == 3
    assert statement["note"].startswith("all 500 rows were written, 3 of them came back: do not ")
    assert "read the others by a query" in statement["note"]
    both = await execute(
        tools, "update many set x = x where x < 3 returning x; select x from many", limit=3
    )
    updated, selected = both["statements"]
    assert updated.get("note") is None
    assert selected["note"].startswith("only the first 3 rows: raise limit")
    every = await execute(tools, ";".join(["select 1"] * 120))
    assert every["note"].endswith("more statements were executed, and are not listed")
    count = await execute(tools, "select count(*) from many")
    assert count["statements"][0]["rows"] == [[500]]


async def test_what_cannot_be_part_of_a_transaction_runs_alone(tools: Any, bench: Any) -> None:
    await execute(tools, "create database another")
    answer = await execute(tools, "select current_database()", database="another")
    assert answer["statements"][0]["rows"] == [["another"]]
    await execute(tools, "create table there as select 8 as x", database="another")
    read = await tools("run_query", cluster="bench", sql="select x from there", database="another")
    assert read["rows"] == [[8]]
    refusal = await tools.fails(
        "execute_sql", cluster="bench", sql="create table v (x int); vacuum v"
    )
    assert "send it alone" in refusal


async def test_tables_that_execute_sql_makes_are_readable_by_run_query(
    tools: Any, bench: Any
) -> None:
    await execute(
        tools,
        "create schema fresh; create table fresh.made (x int); insert into fresh.made values (7)",
    )
    answer = await tools("run_query", cluster="bench", sql="select x from fresh.made")
    assert answer["rows"] == [[7]]


async def test_tables_of_other_roles_need_a_grant_and_the_error_says_which(
    tools: Any, bench: Any
) -> None:
    await execute(
        tools,
        "create role clerk; grant clerk to current_user; create schema office authorization clerk;"
        "set role clerk; create table office.files as select 1 as x; reset role",
    )
    read = {"cluster": "bench", "sql": "select x from office.files"}
    refusal = await tools.fails("run_query", **read)
    assert "GRANT SELECT" in refusal
    await execute(
        tools,
        "set role clerk; grant usage on schema office to borealis_reader;"
        "grant select on office.files to borealis_reader",
    )
    assert (await tools("run_query", **read))["rows"] == [[1]]


@pytest.mark.parametrize(
    "sql",
    ["copy (select 1) to program 'id'", "select pg_read_file('/etc/passwd')", "set role rdsadmin"],
)
async def test_execute_sql_reaches_no_file_program_or_superuser(
    tools: Any, bench: Any, sql: str
) -> None:
    assert "permission denied" in await tools.fails("execute_sql", cluster="bench", sql=sql)


async def test_a_misspelt_argument_is_named(tools: Any, shop: Any) -> None:
    refusal = await tools.fails("run_query", cluster="shop", sql="select 1", limt=5)
    assert "'limt'" in refusal
    assert "'limit'" in refusal
    assert "'sql'" in await tools.fails("run_query", cluster="shop")
    assert "limit" in await tools.fails("run_query", cluster="shop", sql="select 1", limit=0)


async def test_an_error_never_shows_the_token(tools: Any, shop: Any) -> None:
    refusal = await tools.fails("run_query", cluster="shop", sql="select 1", database="nowhere")
    assert "X-Amz" not in refusal


def test_a_call_leaves_no_connection_behind(shop: Any) -> None:
    with shop.connect() as connection:
        left = connection.execute(
            "select count(*) from pg_stat_activity where application_name = 'borealis mcp'"
        ).fetchone()
    assert left == (0,)
