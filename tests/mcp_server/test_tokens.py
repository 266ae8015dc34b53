"""What the tools say of themselves stands in every context from the start: it is counted here."""

from typing import Any

import pytest
from mcp import Client

from mcp_server.answers.pages import CHARACTERS_A_TOKEN
from mcp_server.server import build_server
from mcp_server.toolkit.toolsets import DEFAULT, EVERY, Toolsets
from mcp_server.tools import ServerScope

DEFAULT_TOKENS, ALL_TOKENS = 4_000, 9_000
TOOLS_MAX = 30
TOKENS_A_TOOL = 280
"""On average, so that there is room for as many tools as there may be."""


async def listed(runtime: Any, toolsets: Toolsets) -> tuple[int, dict[str, int]]:
    """Tokens of the answer to `tools/list`, output schemas included, and of each tool."""
    async with Client(build_server(runtime, ServerScope(toolsets=toolsets))) as client:
        answer = await client.list_tools()
    sizes = {
        each.name: len(each.model_dump_json(by_alias=True, exclude_none=True)) // CHARACTERS_A_TOKEN
        for each in answer.tools
    }
    whole = answer.model_dump_json(by_alias=True, exclude_none=True)
    return len(whole) // CHARACTERS_A_TOKEN, sizes


@pytest.mark.parametrize(
    ("toolsets", "most"), [(DEFAULT, DEFAULT_TOKENS), (EVERY, ALL_TOKENS)], ids=["default", "all"]
)
async def test_the_list_of_tools_is_short(runtime: Any, toolsets: Toolsets, most: int) -> None:
    tokens, sizes = await listed(runtime, toolsets)
    print(f"tools/list: {tokens} tokens of {most}, {len(sizes)} tools: {sizes}")
    assert tokens <= most
    assert len(sizes) <= TOOLS_MAX
    assert tokens / len(sizes) <= TOKENS_A_TOOL
