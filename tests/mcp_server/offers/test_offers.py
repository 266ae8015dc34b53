"""Resources, their changes, prompts and completions, as a client meets them in both protocols."""

import re
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from mcp_server.server import build_server
from mcp_server.toolkit.toolsets import chosen
from mcp_server.toolkit.uris import CLUSTER_URI, TABLE_URI
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools

PROTOCOLS = pytest.mark.parametrize("protocol", ["2026-07-28", "legacy"])


@PROTOCOLS
async def test_clusters_and_tables_are_resources(tools: Any, shop: Any, protocol: str) -> None:
    async with Client(tools.server, mode=protocol) as client:
        listed = (await client.list_resources()).resources
        assert "cluster://shop" in {each.uri for each in listed}
        templates = (await client.list_resource_templates()).resource_templates
        assert {each.uri_template for each in templates} == {CLUSTER_URI, TABLE_URI}
        (cluster,) = (await client.read_resource("cluster://shop")).contents
        assert '"cluster":"shop"' in cluster.text
        (table,) = (await client.read_resource("schema://shop/sales/orders")).contents
        assert "(customer_id:integer, not null)," in table.text
        assert re.match(r"<untrusted-data-\w+>\n", table.text)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("cluster://shopp", "'shop'"),
        ("schema://shop/sale/orders", "nearest: sales"),
        ("schema://shop/sales/order", "nearest: sales.orders"),
        ("schema://shop/sales/..", "there is no table"),
        ("nothing://shop", "nothing://shop"),
    ],
)
async def test_a_resource_that_is_not_there_is_an_error_with_the_nearest(
    tools: Any, shop: Any, uri: str, said: str
) -> None:
    async with Client(tools.server) as client:
        with pytest.raises(MCPError) as raised:
            await client.read_resource(uri)
    assert said in raised.value.message
    assert raised.value.code == -32602


async def test_names_in_a_uri_may_be_any(tools: Any, bench: Any) -> None:
    with bench.connect(autocommit=True) as connection:
        connection.execute('create schema "a/b c"; create table "a/b c"."Ü %20" (x int)')
    async with Client(tools.server) as client:
        uri = "schema://bench/a%2Fb%20c/%C3%9C%20%2520"
        (table,) = (await client.read_resource(uri)).contents
    assert '# Table: "a/b c"."Ü %20"' in table.text


async def test_a_server_of_one_cluster_has_no_other(runtime: Any, shop: Any, bench: Any) -> None:
    async with Client(build_server(runtime, ServerScope(cluster="shop"))) as client:
        assert [each.uri for each in (await client.list_resources()).resources] == [
            "cluster://shop"
        ]
        for uri in ("cluster://bench", "schema://bench/public/x"):
            with pytest.raises(MCPError, match="'shop' alone"):
                await client.read_resource(uri)


async def test_a_listening_client_hears_of_tables_and_clusters(tools: Any, bench: Any) -> None:
    uri = "schema://bench/public/watched"
    async with (
        Client(tools.server) as client,
        client.listen(resource_subscriptions=[uri], resources_list_changed=True) as heard,
    ):
        await tools("execute_sql", cluster="bench", sql="create table watched (x int)")
        with anyio.fail_after(20):
            assert (await anext(aiter(heard))).uri == uri
        await tools("execute_sql", cluster="bench", sql="insert into watched values (1)")
        await tools("create_cluster", cluster="heard-of")
        with anyio.fail_after(20):
            assert "ListChanged" in type(await anext(aiter(heard))).__name__
        await tools("delete_cluster", cluster="heard-of")


async def test_a_client_of_an_earlier_protocol_is_told_what_it_subscribed_to(
    tools: Any, bench: Any
) -> None:
    uri = "schema://bench/public/seen"
    told: list[Any] = []
    arrived = anyio.Event()

    async def hear(message: Any) -> None:
        if "resources/updated" in str(getattr(message, "method", "")):
            told.append(str(message.params.uri))
            arrived.set()

    async with Client(tools.server, mode="legacy", message_handler=hear) as client:
        await client.subscribe_resource(uri)
        result = await client.call_tool(
            "execute_sql", {"cluster": "bench", "sql": "create table seen (x int)"}
        )
        assert not result.is_error
        with anyio.fail_after(20):
            await arrived.wait()
        await client.unsubscribe_resource(uri)
        await client.call_tool("execute_sql", {"cluster": "bench", "sql": "drop table seen"})
        await client.list_tools()
    assert told == [uri]


PROMPTS = {
    "explore_database": {"cluster": "shop"},
    "data_question": {"cluster": "shop", "question": "who owes {us} most?"},
    "slow_query": {"cluster": "shop", "sql": "select 1"},
    "safe_migration": {"cluster": "shop", "change": "a column for notes"},
}


async def test_every_prompt_names_tools_that_the_server_has(tools: Any, shop: Any) -> None:
    async with Client(tools.server) as client:
        names = {each.name for each in (await client.list_tools()).tools}
        listed = (await client.list_prompts()).prompts
        assert {each.name for each in listed} == set(PROMPTS)
        for name, arguments in PROMPTS.items():
            (message,) = (await client.get_prompt(name, arguments)).messages
            text = message.content.text
            assert "'shop'" in text
            assert [each for each in arguments.values() if each not in text] == []
            mentioned = set(re.findall(r"\b[a-z]+_[a-z]+\b", text))
            assert mentioned & {"run_query", "describe_tables"}
            assert {each for each in mentioned if each.split("_")[0] in VERBS} <= names


VERBS = {"run", "describe", "execute", "search", "list", "create", "delete", "read"}


async def test_a_scope_takes_prompts_and_arguments_away(runtime: Any, shop: Any) -> None:
    scope = ServerScope("shop", read_only=True)
    async with Client(build_server(runtime, scope)) as client:
        listed = {each.name: each.arguments for each in (await client.list_prompts()).prompts}
        assert set(listed) == set(PROMPTS) - {"safe_migration"}
        assert [each.name for each in listed["data_question"]] == ["question"]
        (message,) = (await client.get_prompt("explore_database")).messages
        assert "the database" in message.content.text
    queries = ServerScope(toolsets=chosen("queries"))
    async with Client(build_server(runtime, queries)) as client:
        assert (await client.list_prompts()).prompts == []


@PROTOCOLS
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("explore_databse", {}, "did you mean 'explore_database'"),
        ("zzz", {}, "there are: explore_database"),
        ("slow_query", {"cluster": "shop"}, "needs the arguments: sql"),
        ("slow_query", {"cluster": "shop", "sql": "x", "sq": "y"}, "no argument 'sq'"),
    ],
)
async def test_a_prompt_that_is_not_there_is_a_protocol_error(
    tools: Any, shop: Any, protocol: str, name: str, arguments: dict[str, str], said: str
) -> None:
    async with Client(tools.server, mode=protocol) as client:
        with pytest.raises(MCPError) as raised:
            await client.get_prompt(name, arguments)
    assert raised.value.code == -32602
    assert said in raised.value.message


async def completed(client: Client, ref: Any, name: str, value: str, **given: str) -> list[str]:
    argument = {"name": name, "value": value}
    answer = await client.complete(ref, argument, context_arguments=given or None)
    return answer.completion.values


@PROTOCOLS
async def test_clusters_schemas_and_tables_are_completed(
    tools: Any, shop: Any, protocol: str
) -> None:
    table = ResourceTemplateReference(uri=TABLE_URI)
    prompt = PromptReference(name="slow_query")
    async with Client(tools.server, mode=protocol) as client:
        assert "shop" in await completed(client, table, "id", "sho")
        assert "shop" in await completed(client, prompt, "cluster", "SHO")
        assert await completed(client, table, "id", "shop-of-nobody") == []
        assert await completed(client, table, "schema", "s") == [], "of several, none is woken"
        assert await completed(client, table, "schema", "s", id="shop") == ["sales"]
        assert await completed(client, table, "table", "", id="shop", schema="sales") == ["orders"]
        assert await completed(client, table, "table", "x", id="shop", schema="sales") == []
        assert await completed(client, table, "schema", "", id="nowhere") == []
        assert await completed(client, prompt, "sql", "sel") == []


async def test_what_a_database_has_is_offered_where_no_cluster_is(runtime: Any, shop: Any) -> None:
    from mcp_server.databases.existing import Databases, ExistingDatabase
    from mcp_server.server import build_database_server

    database = ExistingDatabase("mine", lambda: shop.dsn("writer", user="borealis_reader"))
    tools = Tools(build_database_server(Databases([database])))
    async with Client(tools.server) as client:
        assert [each.uri for each in (await client.list_resources()).resources] == [
            "cluster://mine"
        ]
        (facts,) = (await client.read_resource("cluster://mine")).contents
        assert '"name":"sales"' in facts.text
        (table,) = (await client.read_resource("schema://mine/sales/orders")).contents
        assert "# Table: sales.orders" in table.text
        ref = ResourceTemplateReference(uri=TABLE_URI)
        assert await completed(client, ref, "schema", "sa", id="mine") == ["sales"]
        assert {each.name for each in (await client.list_prompts()).prompts} == set(PROMPTS) - {
            "safe_migration"
        }
