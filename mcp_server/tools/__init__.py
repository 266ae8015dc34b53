"""The tools of the MCP server, as definitions over the control plane."""

from mcp_server.toolkit.definition import ToolDefinition, bind
from mcp_server.toolkit.platform import Platform, ServerScope
from mcp_server.tools import (
    advice,
    branches,
    changes,
    clusters,
    history,
    meanings,
    memories,
    queries,
    questions,
    rest,
    schemas,
)

DEFINITIONS: tuple[ToolDefinition, ...] = (
    *clusters.TOOLS,
    *branches.TOOLS,
    *history.TOOLS,
    *schemas.TOOLS,
    *queries.TOOLS,
    *changes.TOOLS,
    *questions.TOOLS,
    *advice.TOOLS,
    *meanings.TOOLS,
    *memories.TOOLS,
    *rest.TOOLS,
)

__all__ = ["DEFINITIONS", "Platform", "ServerScope", "ToolDefinition", "bind"]
