"""What the schema tools show of a database."""

import re
import time
from typing import Any

import pytest
from mcp import Client

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.server import build_server
from mcp_server.toolkit.toolsets import EVERY
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools, told

ODD = """
create schema "My Schema";
create table "My Schema"."Order" ("Id" int primary key, "select" text);
create table p (x int primary key, at date);
create table parted (id int, day date, primary key (id, day)) partition by range (day);
create table parted_2025 partition of parted for values from ('2025-01-01') to ('2026-01-01');
create table parted_2026 partition of parted for values from ('2026-01-01') to ('2027-01-01');
insert into parted select n, '2025-06-01' from generate_series(1, 5000) n;
create table refers (id int, day date, foreign key (id, day) references parted);
create materialized view tally as select count(*) as n from parted;
create type mood as enum ('sad', 'ok', 'happy');
create table people (id int primary key, feels mood, feelings mood[]);
comment on table people is 'one line
# Table: not.there';
create function half(n int) returns int language sql immutable as 'select n / 2';
comment on function half is 'divides by two';
create table talkative (id int primary key);
"""


@pytest.fixture(scope="module")
def odd(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("odd")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(ODD)
        connection.execute(
            f"comment on table talkative is '{'x' * 3_000_000}';"
            f"comment on column talkative.id is '{'y' * 3_000_000}'"
        )
    return cluster


async def described(tools: Any, *tables: str, **options: Any) -> str:
    return (await tools("describe_tables", cluster="odd", tables=list(tables), **options))["text"]


async def test_schemas_are_listed_with_their_tables_and_extensions(tools: Any, shop: Any) -> None:
    answer = await tools("list_schemas", cluster="shop")
    schemas = {one["name"]: one for one in answer["schemas"]}
    assert set(schemas) == {"public", "sales"}
    assert (schemas["public"]["tables"], schemas["public"]["views"]) == (1, 1)
    assert schemas["sales"]["size_bytes"] > 0
    assert answer["database"] in answer["databases"]
    assert [name.split()[0] for name in answer["extensions"]] == ["vector"]


async def test_tables_are_m_schema_with_what_a_query_needs(tools: Any, shop: Any) -> None:
    answer = await tools("describe_tables", cluster="shop")
    assert answer["text"].splitlines() == [
        "【DB_ID】 postgres",
        "【Schema】",
        "# Table: public.big_spenders (view)",
        "[",
        "(name:text),",
        "]",
        "# Table: public.customers, people who buy",
        "[",
        "(id:integer, Primary Key, generated as identity),",
        "(name:text),",
        "(email:text),",
        "(balance:numeric(12,2), euros we owe them),",
        "]",
        "# Table: sales.orders",
        "[",
        "(id:integer, Primary Key),",
        "(customer_id:integer),",
        "(state:sales.state, Values: [new, paid, sent]),",
        "(placed:timestamp with time zone),",
        "]",
        "【Foreign keys】",
        "sales.orders.customer_id=public.customers.id",
    ]


async def test_in_full_there_are_defaults_constraints_indexes_and_sizes(
    tools: Any, shop: Any
) -> None:
    text = (await tools("describe_tables", cluster="shop", detail="full"))["text"]
    assert "(balance:numeric(12,2), not null, default 0, euros we owe them)," in text
    assert "CHECK ((balance >= (0)::numeric))" in text
    assert "UNIQUE (email)" in text
    assert "USING btree (placed)" in text
    assert re.search(r"about 30 rows, \d+ bytes", text)
    assert "as SELECT customers.name FROM customers" in text.replace("as  ", "as ") or (
        "as SELECT name FROM customers" in text
    )


async def test_names_alone_are_a_line_each(tools: Any, shop: Any) -> None:
    text = (await tools("describe_tables", cluster="shop", detail="names"))["text"]
    assert text.splitlines() == ["public.big_spenders (view)", "public.customers", "sales.orders"]


async def test_json_has_lists_of_fields_and_no_nulls(tools: Any, shop: Any) -> None:
    answer = await tools("describe_tables", cluster="shop", schema="sales", format="json")
    assert answer["column_fields"][:3] == ["name", "type", "not_null"]
    (orders,) = answer["tables"]
    assert orders["columns"][0] == ["id", "integer", True]
    assert orders["columns"][2] == [
        *("state", "sales.state", True, None, None, ["new", "paid", "sent"])
    ]
    assert orders["foreign_keys"] == [
        {
            "columns": ["customer_id"],
            "references": "public.customers",
            "referenced_columns": ["id"],
        }
    ]
    assert "comment" not in orders


async def test_more_tables_than_the_limit_are_announced(tools: Any, shop: Any) -> None:
    some = await tools("describe_tables", cluster="shop", limit=1)
    assert some["text"].count("# Table:") == 1
    assert "more than 1 tables" in some["notes"]
    assert "notes" not in await tools("describe_tables", cluster="shop", limit=3)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ('"My Schema"."Order"', '"My Schema"."Order"'),
        ("My Schema.Order", '"My Schema"."Order"'),
        ('"Order"', '"My Schema"."Order"'),
        ("Order", '"My Schema"."Order"'),
        ("PUBLIC.P", "public.p"),
        ("P", "public.p"),
        (' public . "p" ', "public.p"),
        ("postgres.public.p", "public.p"),
        ("parted_2025", "public.parted_2025"),
        ("public.parted_2025", "public.parted_2025"),
        ("tally", "public.tally"),
    ],
)
async def test_a_table_is_found_by_each_way_to_write_its_name(
    tools: Any, odd: Any, name: str, label: str
) -> None:
    text = await described(tools, name)
    assert [line for line in text.splitlines() if line.startswith("# Table:")] == [
        next(line for line in text.splitlines() if f"# Table: {label}" in line)
    ]


async def test_names_in_the_answer_are_as_sql_must_write_them(tools: Any, odd: Any) -> None:
    text = await described(tools, '"My Schema"."Order"')
    assert '("Id":integer, Primary Key),' in text
    assert '("select":text),' in text


async def test_partitions_are_one_table_with_the_size_of_all(tools: Any, odd: Any) -> None:
    names = await described(tools, detail="names")
    assert "public.parted (partitioned table)" in names
    assert "parted_2025" not in names
    text = await described(tools, "parted", "refers", detail="full")
    assert "partition by RANGE (day); 2 partitions" in text
    assert int(re.search(r"(\d+) bytes", text)[1]) > 100_000
    keys = text.partition("【Foreign keys】\n")[2]
    assert keys == "public.refers.id=public.parted.id and public.refers.day=public.parted.day"
    part = await described(tools, "parted_2026")
    assert "partition of public.parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')" in part


async def test_enums_show_their_labels_those_of_arrays_too(tools: Any, odd: Any) -> None:
    text = await described(tools, "people")
    assert "(feels:mood, Values: [sad, ok, happy])," in text
    assert "(feelings:mood[], Values: [sad, ok, happy])," in text


async def test_a_comment_cannot_look_like_a_table(tools: Any, odd: Any) -> None:
    lines = (await described(tools, "people")).splitlines()
    assert sum(line.startswith("# Table:") for line in lines) == 1


async def test_a_comment_of_3_mb_does_not_pass(tools: Any, odd: Any) -> None:
    for options in ({}, {"detail": "full"}, {"detail": "full", "format": "json"}):
        answer = await tools("describe_tables", cluster="odd", tables=["talkative"], **options)
        assert len(str(answer)) < 3000
    assert len((await tools("search_schema", cluster="odd", query="talkative"))["text"]) < 1000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"tables": ["peopel"]}, "nearest: people"),
        ({"tables": ["My Schema.Ordr"]}, 'nearest: "My Schema"."Order"'),
        ({"tables": ["nope.people"]}, "did you mean 'public.people'"),
        ({"schema": "nope"}, "there is no schema 'nope'"),
        ({"schema": "my schema"}, 'nearest: "My Schema"'),
        ({"tables": ["people"], "schema": "nope"}, "there is no schema 'nope'"),
        ({"tables": ["people"], "schema": "My Schema"}, "there is no table"),
    ],
)
async def test_what_is_not_there_is_met_with_the_nearest_as_it_must_be_written(
    tools: Any, odd: Any, arguments: dict[str, Any], said: str
) -> None:
    assert said in await tools.fails("describe_tables", cluster="odd", **arguments)


async def test_a_missing_schema_is_named_by_search_too(tools: Any, odd: Any) -> None:
    refusal = await tools.fails("search_schema", cluster="odd", query="x", schema="pubic")
    assert "nearest: public" in refusal


async def test_a_missing_database_is_named(tools: Any, shop: Any) -> None:
    refusal = await tools.fails("list_schemas", cluster="shop", database="nowhere")
    assert "nowhere" in refusal
    assert "list_schemas" in refusal


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("orders", 'table "My Schema"."Order"'),
        ("people", "table public.people"),
        ("feelings", "table public.people ~"),
        ("happy", "enum public.mood: sad, ok, happy"),
        ("divides by two", "function public.half(n integer) returns integer -- divides by two"),
        ("vector", "extension vector "),
        ("tally", "materialized view public.tally"),
        ("parted", "partitioned table public.parted"),
    ],
)
async def test_a_search_finds_all_kinds_of_things(
    tools: Any, odd: Any, query: str, first: str
) -> None:
    lines = (await tools("search_schema", cluster="odd", query=query))["text"].splitlines()
    assert lines[0].startswith(first.removesuffix(" ~")), lines


async def test_a_search_shows_the_columns_that_fit(tools: Any, shop: Any) -> None:
    text = (await tools("search_schema", cluster="shop", query="customer balance"))["text"]
    assert text.splitlines()[0] == (
        "table public.customers ~3 rows: balance numeric(12,2) -- people who buy"
    )
    by_comment = (await tools("search_schema", cluster="shop", query="euros"))["text"]
    assert "public.customers ~3 rows: balance numeric(12,2)" in by_comment


async def test_a_search_that_finds_nothing_names_what_is_near(tools: Any, odd: Any) -> None:
    text = (await tools("search_schema", cluster="odd", query="peeple"))["text"]
    assert text == "nothing; nearest: people"
    refusal = await tools.fails("search_schema", cluster="odd", query="%_%")
    assert "has no word in it" in refusal


COLUMNS = "id int, name text, made_at timestamptz, note text, amount numeric, state text, part int"
TABLES, WIDE_TABLES, WIDE_COLUMNS = 3000, 40, 1500
SEARCHES = 12
PAGES_MAX = 8_000
"""Of 8 kB that one search looks at, in a catalog of TABLES tables."""
PAGES = """
select sum(shared_blks_hit + shared_blks_read)::int8 from pg_stat_statements
where userid = 'borealis_reader'::regrole
"""


@pytest.fixture(scope="module")
def large(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("large")
    with cluster.connect(autocommit=True) as connection:
        for begin in range(0, TABLES, 250):
            connection.execute(
                ";".join(
                    f"create table part_{n % 50}_number_{n} ({COLUMNS}, total_{n} int)"
                    for n in range(begin, begin + 250)
                )
            )
        connection.execute("analyze pg_class, pg_attribute")
    return cluster


@pytest.fixture(scope="module")
def wide(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("wide")
    columns = ", ".join(f"column_{n} int" for n in range(WIDE_COLUMNS))
    with cluster.connect(autocommit=True) as connection:
        for n in range(WIDE_TABLES):
            connection.execute(f"create table t{n} ({columns})")
    return cluster


@pytest.mark.slow
async def test_a_search_of_3000_tables_looks_at_few_pages(tools: Any, large: ClusterHandle) -> None:
    """What it takes in milliseconds, `bench/mcp.py` bounds: a test cannot see what else runs."""
    with large.connect(autocommit=True) as counting:
        counting.execute("create extension if not exists pg_stat_statements")
        counting.execute("select pg_stat_statements_reset()")
        async with Client(tools.server) as client:
            for n in range(SEARCHES):
                query = {"cluster": "large", "query": f"number {n * 200} total"}
                answer = told(await client.call_tool("search_schema", query))
                assert f"_number_{n * 200}:" in answer["text"].splitlines()[0]
        (pages,) = counting.execute(PAGES).fetchone() or (None,)
    print(f"search_schema, {TABLES} tables: {pages / SEARCHES:.0f} pages")
    assert 0 < pages / SEARCHES <= PAGES_MAX


@pytest.mark.slow
async def test_forty_tables_of_1500_columns_are_described_page_by_page(
    tools: Any, wide: Any
) -> None:
    async with Client(tools.server) as client:
        began = time.perf_counter()
        result = await client.call_tool("describe_tables", {"cluster": "wide"})
        print(f"{WIDE_TABLES} x {WIDE_COLUMNS} columns: {time.perf_counter() - began:.1f} s")
        lines, pages = 0, 0
        while True:
            answer = told(result)
            lines += len(answer["text"].splitlines())
            pages += 1
            assert sum(len(each.text) for each in result.content) <= 80_000
            cursor = re.search(r'read_more\(cursor="([^"]+)"\)', answer.get("notes", ""))
            if cursor is None:
                break
            result = await client.call_tool("read_more", {"cursor": cursor[1]})
            assert not result.is_error
    assert pages > 5
    assert lines == 2 + WIDE_TABLES * (WIDE_COLUMNS + 3)


async def test_the_bound_is_the_servers_to_set(runtime: Any, shop: Any) -> None:
    small = Tools(build_server(runtime, ServerScope(cluster="shop", answer_tokens=500)))
    answer = await small(
        "run_query", sql="select n, repeat('x', 50) from generate_series(1, 900) n", limit=1000
    )
    assert len(str(answer)) <= 2000
    assert "read_more" in answer["notes"]


async def test_what_the_server_keeps_in_a_database_is_no_table_of_the_users(
    runtime: Runtime,
) -> None:
    runtime.create_db_cluster("kept")
    tools = Tools(build_server(runtime, ServerScope(toolsets=EVERY)))
    await tools("apply_migration", cluster="kept", name="1", sql="create table goat (id int)")
    await tools("remember", cluster="kept", scope="user:ada", text="Ada likes goats")
    await tools("execute_sql", cluster="kept", sql="create extension pg_stat_statements")
    tables = await tools("ask", cluster="kept", question="what tables are there?")
    assert [row[0] for row in tables["result"]["rows"]] == ["goat"]
    told = (await tools("describe_tables", cluster="kept", detail="names"))["text"]
    assert "goat" in told
    assert "borealis_" not in told
    own = await tools("describe_tables", cluster="kept", schema="borealis_migrations")
    assert "borealis_migrations.applied" in own["text"]
