"""The tools of the MCP server, as definitions over the control plane."""

from mcp_server.tools import clusters, queries, questions, schemas
from mcp_server.tools.definition import ToolDefinition, bind
from mcp_server.tools.platform import Platform, ServerScope

DEFINITIONS: tuple[ToolDefinition, ...] = (
    *clusters.TOOLS,
    *schemas.TOOLS,
    *queries.TOOLS,
    *questions.TOOLS,
)

__all__ = ["DEFINITIONS", "Platform", "ServerScope", "ToolDefinition", "bind"]
