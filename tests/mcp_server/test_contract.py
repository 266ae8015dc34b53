"""What every tool must tell its callers. A new tool fails here until it is in the table."""

from typing import Any

import pytest
from mcp import Client

from mcp_server.tools import DEFINITIONS, ServerScope
from mcp_server.tools.definition import StrictTool, bind
from mcp_server.tools.platform import Platform

READS = (True, False, True)
ADDS = (False, False, False)
DESTROYS = (False, True, False)

CONTRACT = {  # tool: (read-only, destructive, idempotent), parameters
    "create_cluster": (
        ADDS,
        "cluster database min_capacity max_capacity seconds_until_auto_pause deletion_protection",
    ),
    "list_clusters": (READS, ""),
    "describe_cluster": (READS, "cluster include_connection_string"),
    "delete_cluster": (DESTROYS, "cluster"),
    "list_schemas": (READS, "cluster database"),
    "describe_tables": (READS, "cluster tables schema limit database"),
    "run_query": (READS, "cluster sql limit timeout_seconds database"),
    "execute_sql": (DESTROYS, "cluster sql parameters limit timeout_seconds database"),
    "ask": (READS, "cluster question evidence explain client_model limit timeout_seconds database"),
}
SCOPED_AWAY = {"create_cluster", "list_clusters", "delete_cluster"}
WRITING = {"create_cluster", "delete_cluster", "execute_sql"}

BOUND = {each.name: bind(each, Platform(None, None), ServerScope()) for each in DEFINITIONS}


def test_the_table_names_every_tool() -> None:
    assert set(BOUND) == set(CONTRACT)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_tool_has_a_title_hints_and_words(name: str) -> None:
    tool = BOUND[name]
    hints, _ = CONTRACT[name]
    said = tool.annotations
    assert (said.read_only_hint, said.destructive_hint, said.idempotent_hint) == hints
    assert said.open_world_hint is False
    assert tool.title
    assert said.title == tool.title
    assert len(tool.description) > 40


@pytest.mark.parametrize("name", CONTRACT)
def test_every_parameter_is_described_and_no_other_is_taken(name: str) -> None:
    tool: StrictTool = BOUND[name]
    parameters = tool.parameters.get("properties", {})
    assert list(parameters) == CONTRACT[name][1].split()
    assert [
        key for key, value in parameters.items() if len(value.get("description", "")) < 10
    ] == []
    assert tool.parameters["additionalProperties"] is False


@pytest.mark.parametrize("name", CONTRACT)
def test_every_field_of_the_answer_is_described(name: str) -> None:
    schema = BOUND[name].output_schema
    undescribed = [
        f"{holder.get('title')}.{key}"
        for holder in [schema, *schema.get("$defs", {}).values()]
        for key, value in holder.get("properties", {}).items()
        if len(value.get("description", "")) < 4
    ]
    assert undescribed == []
    assert schema["type"] == "object"


@pytest.mark.parametrize("name", CONTRACT)
def test_a_scope_takes_the_cluster_parameter_and_the_tools_beyond_one_cluster_away(
    name: str,
) -> None:
    scope = ServerScope(cluster="notes")
    definition = next(each for each in DEFINITIONS if each.name == name)
    assert definition.fits(scope) is (name not in SCOPED_AWAY)
    if definition.fits(scope):
        scoped = bind(definition, Platform(None, None), scope).parameters
        assert "cluster" not in scoped.get("properties", {})
        assert "cluster" not in scoped.get("required", [])


@pytest.mark.parametrize("name", CONTRACT)
def test_a_read_only_server_has_no_tool_that_writes(name: str) -> None:
    definition = next(each for each in DEFINITIONS if each.name == name)
    assert definition.fits(ServerScope(read_only=True)) is (name not in WRITING)


async def test_the_client_sees_the_same_tools(tools: Any) -> None:
    async with Client(tools.server) as client:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == set(CONTRACT)
        assert client.instructions.startswith("Real PostgreSQL")
        assert all(tool.output_schema for tool in listed)
