"""What a tool says when it fails: what happened, to what, and what to do next.

Whoever calls a tool (a language model, most often) sees the text of a ToolError and nothing else,
so each is a full sentence with the nearest right name where a name was wrong. Errors of the
runtime and of PostgreSQL (`mcp_server.sql_errors`) are anticipated and become ToolErrors as well;
anything else is a bug, which the SDK logs on the server and reports without its text.
"""

from cluster_runtime.errors import Audience, BorealisError


class McpServerError(BorealisError):
    """Base of the errors of this package."""


class SqlRefusedError(McpServerError):
    """SQL that a tool does not take, raised before or instead of running it."""


class ScopeError(McpServerError):
    """The server was started with options that cannot work together, or for a missing cluster."""

    seen_by = Audience.HOST
