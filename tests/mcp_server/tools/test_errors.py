"""What went wrong is said so that whoever called can mend it: code, place, nearest names."""

from typing import Any

import pytest

from mcp_server.nl2sql.database.identifiers import needs_quotes, read, written
from mcp_server.rendering import as_text


@pytest.fixture(scope="module")
def named(runtime: Any) -> Any:
    cluster = runtime.create_db_cluster("named")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(
            'create schema "My Schema"; create table "My Schema"."Order" ("Id" int, "user" int);'
            "create table people (id int, name text)"
        )
    return cluster


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "select * from order",
            ['syntax error at or near "order"', "SQLSTATE 42601", "character 15"],
        ),
        ("explain  select * fro people", ["SQLSTATE 42601", "character 19"]),
        ("  select nme from people", ["nearest: people.name", "SQLSTATE 42703", "character 10"]),
        ("select * from peeple", ["nearest: people", "SQLSTATE 42P01", "character 15"]),
        ('select * from "Order"', ["""did you mean '"My Schema"."Order"'"""]),
        ('select * from "My Schema"."Ordr"', ['nearest: "My Schema"."Order"']),
        ('select id from "My Schema"."Order"', ['nearest: "My Schema"."Order"."Id"']),
        ('select "usr" from "My Schema"."Order"', ['"My Schema"."Order"."user"']),
        ("select 1/0", ["division by zero", "SQLSTATE 22012"]),
        ("delete from people", ["EXPLAIN", "SHOW"]),
        ("vacuum", ["EXPLAIN of a query", "SHOW of one setting"]),
        ("select lenght(name) from people", ["nearest: length", "SQLSTATE 42883"]),
    ],
)
async def test_run_query_says_what_is_wrong_and_where(
    tools: Any, named: Any, sql: str, said: list[str]
) -> None:
    refusal = await tools.fails("run_query", cluster="named", sql=sql)
    assert [each for each in said if each not in refusal] == [], refusal


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select * from order", ["syntax error", "42601"]),
        ("insert into peeple values (1)", ["nearest: people", "42P01", "character 13"]),
        ('update "My Schema"."Order" set id = 1', ['"Id"', "42703"]),
        ("select 1; select nme from people", ["people.name", "42703"]),
    ],
)
async def test_execute_sql_says_what_is_wrong_and_where(
    tools: Any, named: Any, sql: str, said: list[str]
) -> None:
    refusal = await tools.fails("execute_sql", cluster="named", sql=sql)
    assert [each for each in said if each not in refusal] == [], refusal


@pytest.mark.parametrize("tool", ["run_query", "execute_sql"])
async def test_a_timeout_names_the_argument_that_gives_more_time(
    tools: Any, named: Any, tool: str
) -> None:
    slow = "select count(*) from generate_series(1, 1000000000) a"
    refusal = await tools.fails(tool, cluster="named", sql=slow, timeout_seconds=0.3)
    assert "timeout_seconds" in refusal


async def test_what_sql_raises_itself_is_bounded(tools: Any, named: Any) -> None:
    raising = "do $$ begin raise exception '%', repeat('x', 3000000); end $$"
    assert len(await tools.fails("execute_sql", cluster="named", sql=raising)) < 5000
    noticing = "do $$ begin raise notice '%', repeat('x', 3000000); end $$"
    assert len(str(await tools("execute_sql", cluster="named", sql=noticing))) < 2000


@pytest.mark.parametrize(
    ("sql", "parameters", "row"),
    [
        ("select 2 = any($1)", [[1, 2]], True),
        ("select $1::int[]", [[1, None, 3]], [1, None, 3]),
        ("select $1::text[]", [["a,b", 'c"d', "e\\f", "NULL", "", None, "{}"]], None),
        ("select $1::int[]", [[[1, 2], [3, 4]]], [[1, 2], [3, 4]]),
        ("select $1::text[]", [[]], []),
        ("select $1::bool[]", [[True, False]], [True, False]),
        ("select $1::jsonb", [[1, {"a": [2]}]], [1, {"a": [2]}]),
        ("select $1::jsonb[]", [[{"a": 1}, [2], "x", None]], [{"a": 1}, [2], "x", None]),
        ("select $1::vector", [[1, 2.5]], "[1,2.5]"),
        ("select $2::int[]", ["unused", [5]], [5]),
        ("select array_length($1::int[], 1) + $2", [[7, 8], 1], 3),
    ],
)
async def test_a_list_is_an_array_where_the_sql_takes_one(
    tools: Any, named: Any, sql: str, parameters: list[Any], row: Any
) -> None:
    if "unused" in parameters:
        sql = sql.replace("select", "select $1::text is not null,").replace("select", "select")
    answer = await tools("execute_sql", cluster="named", sql=sql, parameters=parameters)
    expected = parameters[0] if row is None else row
    assert answer["statements"][0]["rows"][0][-1] == expected


async def test_a_list_in_sql_that_is_wrong_is_reported_as_the_sql(tools: Any, named: Any) -> None:
    wrong = {"sql": "select * from peeple where id = any($1)", "parameters": [[1]]}
    assert "people" in await tools.fails("execute_sql", cluster="named", **wrong)
    uneven = {"sql": "select $1::int[]", "parameters": [[[1], [2, 3]]]}
    assert "22P02" in await tools.fails("execute_sql", cluster="named", **uneven)


async def test_an_error_quotes_no_more_of_a_name_than_helps(tools: Any, named: Any) -> None:
    said = await tools.fails("describe_tables", cluster="named", tables=["x" * 100_000])
    assert len(said) < 5000


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("People", ("people",)),
        ('"My Schema"."Order"', ("My Schema", "Order")),
        ('a."b""c" . D', ("a", 'b"c', "d")),
        ("ÄRGER", ("Ärger".replace("rger", "rger"),)),
        ("my schema.x", None),
        ("1x", None),
        ("a.", None),
        ("", None),
        ('"open', None),
    ],
)
def test_a_name_is_read_as_sql_reads_it(text: str, parts: tuple[str, ...] | None) -> None:
    assert read(text) == parts


@pytest.mark.parametrize(
    "name", ["people", "Order", "order", "left", "a b", 'q"q', "ä", "1st", "_x1"]
)
def test_a_name_that_is_written_reads_as_itself(name: str) -> None:
    assert read(written(name, name)) == (name, name)
    assert needs_quotes(name) is (name not in ("people", "_x1"))


def test_only_a_wanted_array_is_written_as_one() -> None:
    assert as_text([1, [2]], array=False) == "[1, [2]]"
    assert as_text([1, [2]], array=True) == '{"1",{"2"}}'
    assert as_text(None, array=True) is None
