"""Which tools a server has is chosen by toolset; a name that no toolset has is refused."""

import re
from typing import Any

import pytest
from mcp import Client

from mcp_server.cli.commands import main
from mcp_server.errors import ScopeError
from mcp_server.server import build_server
from mcp_server.toolkit.toolsets import DEFAULT, EVERY, Toolset, chosen, named
from mcp_server.tools import DEFINITIONS, ServerScope


@pytest.mark.parametrize(
    ("text", "toolsets"),
    [
        ("queries", {Toolset.QUERIES}),
        (" Schema , queries,", {Toolset.SCHEMA, Toolset.QUERIES}),
        ("all", EVERY),
        ("queries,all", EVERY),
    ],
)
def test_toolsets_are_chosen_by_name(text: str, toolsets: set[Toolset]) -> None:
    assert chosen(text) == toolsets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("querys", "did you mean 'queries'?"),
        ("schema,alll", "did you mean 'all'?"),
        ("all,brnches", "did you mean 'branches'?"),
        ("zzz", "There are clusters, branches"),
        (" , ", "--toolsets names none"),
    ],
)
def test_a_name_that_no_toolset_has_is_refused_with_the_nearest(text: str, said: str) -> None:
    with pytest.raises(ScopeError, match=said.replace("?", r"\?")):
        chosen(text)


def test_the_default_is_a_part_of_all() -> None:
    assert DEFAULT < EVERY
    assert named(EVERY).split(", ") == [each.value for each in Toolset]


async def names(server: Any) -> set[str]:
    async with Client(server) as client:
        return {each.name for each in (await client.list_tools()).tools}


async def test_a_server_has_the_tools_of_its_toolsets_and_no_others(
    runtime: Any, shop: Any
) -> None:
    for toolset in {each.toolset for each in DEFINITIONS if each.toolset is not None}:
        server = build_server(runtime, ServerScope(toolsets=frozenset({toolset})))
        expected = {each.name for each in DEFINITIONS if each.toolset in {toolset, None}}
        assert await names(server) == expected
    assert await names(build_server(runtime)) == {
        each.name for each in DEFINITIONS if each.toolset is None or each.toolset in DEFAULT
    }


async def test_toolsets_go_together_with_a_cluster_and_with_read_only(
    runtime: Any, shop: Any
) -> None:
    scope = ServerScope("shop", read_only=True, toolsets=chosen("queries,writes,clusters"))
    found = await names(build_server(runtime, scope))
    assert {"run_query", "describe_cluster"} < found
    assert not {"execute_sql", "list_clusters", "describe_tables"} & found


async def test_the_instructions_name_no_tool_that_a_server_lacks(runtime: Any, shop: Any) -> None:
    for scope in (
        ServerScope(),
        ServerScope("shop", read_only=True),
        ServerScope(toolsets=chosen("queries")),
        ServerScope(toolsets=chosen("clusters")),
    ):
        async with Client(build_server(runtime, scope)) as client:
            has = {each.name for each in (await client.list_tools()).tools}
            lacks = {each.name for each in DEFINITIONS} - has
            said = set(re.findall(r"\w+", client.instructions))
        assert said & lacks == set()
        assert said & has


def test_a_choice_that_leaves_no_tool_is_refused(runtime: Any) -> None:
    with pytest.raises(ScopeError, match="no tool is left"):
        build_server(runtime, ServerScope(read_only=True, toolsets=chosen("branches")))


def test_a_misspelt_toolset_ends_the_command_with_one_line(
    state_dir: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["mcp", "--state-dir", str(state_dir / "refused"), "--toolsets", "quries"])
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "'queries'" in said
