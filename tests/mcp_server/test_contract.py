"""What every tool must tell its callers. A new tool fails here until it is in the table."""

from typing import Any

import pytest
from mcp import Client

from mcp_server.toolkit.definition import StrictTool, bind
from mcp_server.toolkit.platform import Platform
from mcp_server.toolkit.toolsets import DEFAULT, EVERY
from mcp_server.tools import DEFINITIONS, ServerScope

READS = (True, None)
ADDS = (False, False)
DESTROYS = (False, True)

CONTRACT = {  # tool: (read-only, destructive), parameters
    "create_cluster": (
        ADDS,
        "cluster database min_capacity max_capacity seconds_until_auto_pause deletion_protection",
    ),
    "list_clusters": (READS, ""),
    "describe_cluster": (READS, "cluster include_connection_string"),
    "delete_cluster": (DESTROYS, "cluster confirmation"),
    "branch": (DESTROYS, "action branch cluster tables database confirmation"),
    "restore_point": (ADDS, "cluster action name"),
    "rewind": (DESTROYS, "cluster to dry_run confirmation"),
    "undo_rewind": (DESTROYS, "cluster"),
    "snapshot": (DESTROYS, "action snapshot cluster confirmation"),
    "restore_to_time": (ADDS, "cluster new_cluster time"),
    "list_schemas": (READS, "cluster database"),
    "search_schema": (READS, "cluster query schema limit database"),
    "describe_tables": (READS, "cluster tables schema detail format limit database"),
    "run_query": (READS, "cluster sql limit timeout_seconds database"),
    "execute_sql": (DESTROYS, "cluster sql parameters limit timeout_seconds database confirmation"),
    "preview_write": (ADDS, "cluster sql timeout_seconds database"),
    "apply_migration": (DESTROYS, "cluster name sql timeout_seconds database confirmation"),
    "list_migrations": (READS, "cluster database"),
    "ask": (
        READS,
        "cluster question evidence after explain client_model limit timeout_seconds database",
    ),
    "semantics": (DESTROYS, "cluster action document handle question database confirmation"),
    "explain_query": (READS, "cluster sql analyze timeout_seconds database"),
    "diagnose": (READS, "cluster checks long_seconds database"),
    "remember": (ADDS, "cluster scope text id block ttl_minutes separate"),
    "recall": (READS, "cluster scopes query limit min_score"),
    "list_memories": (READS, "cluster scope limit"),
    "forget": (DESTROYS, "cluster scope ids query limit confirmation"),
    "read_more": (READS, "cursor"),
}
STRUCTURED = {"describe_cluster"}
SCOPED_AWAY = {
    *("create_cluster", "list_clusters", "delete_cluster", "branch", "snapshot"),
    "restore_to_time",
}
WRITING = {
    *("create_cluster", "delete_cluster", "execute_sql", "branch", "snapshot", "restore_to_time"),
    *("restore_point", "rewind", "undo_rewind", "preview_write", "apply_migration"),
    *("remember", "forget", "semantics"),
}
BY_DEFAULT = {each.name for each in DEFINITIONS if each.toolset is None or each.toolset in DEFAULT}

BOUND = {
    each.name: bind(each, Platform(None, None), ServerScope(toolsets=EVERY)) for each in DEFINITIONS
}


def test_the_table_names_every_tool() -> None:
    assert set(BOUND) == set(CONTRACT)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_tool_has_a_title_hints_and_words(name: str) -> None:
    tool = BOUND[name]
    hints, _ = CONTRACT[name]
    said = tool.annotations
    assert (said.read_only_hint, said.destructive_hint) == hints
    assert said.open_world_hint is False
    assert tool.title
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
def test_only_what_programs_read_has_a_schema_of_its_answer(name: str) -> None:
    schema = BOUND[name].output_schema
    assert (schema is not None) is (name in STRUCTURED)
    if schema is not None:
        assert schema["type"] == "object"
        assert "additionalProperties" not in schema  # what it does not name may still come


@pytest.mark.parametrize("name", CONTRACT)
def test_a_scope_takes_the_cluster_parameter_and_the_tools_beyond_one_cluster_away(
    name: str,
) -> None:
    scope = ServerScope(cluster="notes", toolsets=EVERY)
    definition = next(each for each in DEFINITIONS if each.name == name)
    assert definition.fits(scope) is (name not in SCOPED_AWAY)
    if definition.fits(scope):
        scoped = bind(definition, Platform(None, None), scope).parameters
        assert "cluster" not in scoped.get("properties", {})
        assert "cluster" not in scoped.get("required", [])


@pytest.mark.parametrize("name", CONTRACT)
def test_a_read_only_server_has_no_tool_that_writes(name: str) -> None:
    definition = next(each for each in DEFINITIONS if each.name == name)
    assert definition.fits(ServerScope(read_only=True, toolsets=EVERY)) is (name not in WRITING)


async def test_the_client_sees_the_same_tools(tools: Any) -> None:
    async with Client(tools.server) as client:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == BY_DEFAULT
        assert client.instructions.startswith("Real PostgreSQL")
