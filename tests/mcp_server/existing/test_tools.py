"""A server for connection strings: the tools that read, and what they say."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from mcp import Client

from mcp_server.databases.existing import Databases, parse
from mcp_server.errors import ScopeError
from mcp_server.nl2sql import Translator
from mcp_server.server import build_database_server
from tests.mcp_server.conftest import Tools
from tests.mcp_server.existing.conftest import SECRET, PlainServer

Reading = Callable[..., Tools]


async def listed(tools: Tools) -> dict[str, dict[str, Any]]:
    async with Client(tools.server) as client:
        return {each.name: each.input_schema for each in (await client.list_tools()).tools}


async def test_only_tools_that_read_are_listed_and_one_database_needs_no_name(
    plain: PlainServer, reading: Reading
) -> None:
    tools = await listed(reading(plain.dsn()))
    assert set(tools) == {
        *("search_schema", "list_schemas", "describe_tables", "run_query", "ask", "read_more")
    }
    assert set(tools["run_query"]["properties"]) == {"sql", "limit", "timeout_seconds"}


async def test_several_databases_are_told_apart_by_name(
    plain: PlainServer, reading: Reading
) -> None:
    tools = reading(f"shop={plain.dsn()}", f"other={plain.dsn(dbname='postgres')}")
    schema = (await listed(tools))["run_query"]["properties"]["cluster"]
    assert schema["enum"] == ["shop", "other"]
    sql = "select current_database()"
    assert (await tools("run_query", cluster="shop", sql=sql))["rows"] == [["shop"]]
    assert (await tools("run_query", cluster="other", sql=sql))["rows"] == [["postgres"]]
    assert "'shop' or 'other'" in await tools.fails("run_query", cluster="prod", sql=sql)


async def test_the_tools_read_a_database_that_is_not_ours(
    plain: PlainServer, reading: Reading
) -> None:
    tools = reading(f"shop={plain.dsn()}")
    schemas = await tools("list_schemas")
    assert (schemas["cluster"], schemas["database"]) == ("shop", "shop")
    assert "sales" in {each["name"] for each in schemas["schemas"]}
    described = await tools("describe_tables", tables=["sales.orders"], format="json")
    (orders,) = described["tables"]
    assert orders["foreign_keys"][0]["references"] == "public.customers"
    answer = await tools("run_query", sql="select name, balance from customers order by id")
    assert answer["rows"][0] == ["Ada", 250.5]
    asked = await tools("ask", question="how many customers are there?")
    assert asked["result"]["rows"] == [[3]]


def test_the_translator_alone_takes_a_connection_string(plain: PlainServer) -> None:
    translator = Translator(plain.dsn())
    found = translator.translate("how many customers are there?")
    translator.close()
    with psycopg.connect(plain.dsn()) as conn:
        assert conn.execute(found.sql).fetchone() == (3,)


@pytest.mark.parametrize(
    "sql",
    [
        "insert into customers (name) values ('x')",
        "with x as (delete from customers returning 1) select * from x",
        "select 1; drop table customers",
        "select pg_sleep(30)",
        "select set_config('transaction_read_only', 'off', true)",
        "select lo_create(0)",
        "commit",
    ],
)
async def test_what_writes_or_waits_is_refused(
    plain: PlainServer, reading: Reading, sql: str
) -> None:
    for user in ("clerk", "postgres"):
        assert await reading(plain.dsn(user)).fails("run_query", sql=sql)
    with plain.connect() as conn:
        assert conn.execute("select count(*) from customers").fetchone() == (3,)


async def test_a_role_without_rights_is_told_who_may_grant_them(
    plain: PlainServer, reading: Reading
) -> None:
    said = await reading(plain.dsn("outsider")).fails("run_query", sql="select * from sales.orders")
    assert "permission denied" in said
    assert "as the role outsider of its connection string" in said
    assert "borealis_reader" not in said


async def test_a_view_is_not_run_with_the_rights_of_a_superuser(
    plain: PlainServer, reading: Reading
) -> None:
    """Whoever may make a view waits for a superuser to read it. Profiling reads views by itself."""
    with plain.connect() as admin:
        admin.execute("create schema if not exists lure authorization clerk")
    with plain.connect("clerk") as clerk:
        clerk.execute(
            "create or replace view lure.bait as select current_user::text as name, "
            "pg_has_role('postgres', 'set') as caught"
        )
    answer = await reading(plain.dsn("postgres")).__call__(
        "run_query", sql="select name, caught from lure.bait"
    )
    assert answer["rows"] == [["pg_read_all_data", False]]
    translator = Translator(plain.dsn("postgres"))
    translator.translate("how many customers are there?")
    known = translator._known
    translator.close()
    (bait,) = (each for each in known[1].profile.tables if each.name == "bait")
    assert list(bait.column("name").values) == ["pg_read_all_data"]


async def test_a_server_that_is_away_says_no_secret_and_no_command(reading: Reading) -> None:
    said = await reading(f"postgresql://clerk:{SECRET}@127.0.0.1:1/shop").fails(
        "run_query", sql="select 1"
    )
    assert "127.0.0.1" in said
    assert SECRET not in said
    assert "borealis" not in said


def test_two_of_one_name_are_refused(plain: PlainServer) -> None:
    with pytest.raises(ScopeError, match="--dsn NAME=URI"):
        Databases([parse(plain.dsn()), parse(plain.dsn("quiet"))])


async def test_a_server_that_is_refused_by_password_says_so_without_it(
    plain: PlainServer, reading: Reading
) -> None:
    wrong = plain.dsn().replace(SECRET, "another-secret")
    said = await reading(wrong).fails("ask", question="how many customers are there?")
    assert "password authentication failed" in said
    assert "another-secret" not in said


def test_the_instructions_name_the_databases_and_no_tool_that_is_not_there(
    plain: PlainServer,
) -> None:
    server = build_database_server(Databases([parse(f"sales={plain.dsn()}")]))
    assert "(sales; no tool needs its name)" in server.instructions
    assert "create_cluster" not in server.instructions
