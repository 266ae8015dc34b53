"""The tools of the MCP server, as definitions over the control plane."""

from mcp_server.toolkit.definition import ToolDefinition, bind
from mcp_server.toolkit.platform import Platform, ServerScope
from mcp_server.tools import clusters, queries, questions, rest, schemas

DEFINITIONS: tuple[ToolDefinition, ...] = (
    *clusters.TOOLS,
    *schemas.TOOLS,
    *queries.TOOLS,
    *questions.TOOLS,
    *rest.TOOLS,
)

__all__ = ["DEFINITIONS", "Platform", "ServerScope", "ToolDefinition", "bind"]
