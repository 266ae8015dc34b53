"""What a tool says when it fails: what happened, to what, and what to do next.

Whoever calls a tool (a language model, most often) sees the text of a ToolError and nothing else,
so each is a full sentence with the nearest right name where a name was wrong. Errors of the
runtime and of PostgreSQL (`mcp_server.sql_errors`) are anticipated and become ToolErrors as well;
anything else is a bug, which the SDK logs on the server and reports without its text.

What is installed on demand is an extra of the distribution: clusters, memory and most commands need
none. Whoever reaches for a part whose packages are not there, or too old (an environment with
`langchain-mcp-adapters` holds an mcp below 2), is told the name of the extra, instead of that of a
module that they never heard of.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from cluster_runtime.errors import Audience, BorealisError

DISTRIBUTION = "borealis-postgres"
MODULES = {
    "ask": frozenset({"snowballstemmer", "sqlglot", "yaml"}),
    "mcp": frozenset({"mcp", "mcp_types"}),
    "plots": frozenset({"matplotlib"}),
}
"""For each extra that this package uses, the modules that it brings."""

USES = {
    "ask": "questions in English",
    "mcp": "the MCP server and the demo",
    "plots": "a plot",
}


class McpServerError(BorealisError):
    """Base of the errors of this package."""


class SqlRefusedError(McpServerError):
    """SQL that a tool does not take, raised before or instead of running it."""


class ArgumentsError(McpServerError):
    """Arguments that do not go together, or lack one that the asked action needs."""


class StatementLostError(McpServerError):
    """The connection ended with SQL under way that may change something: done, or not done."""


class ResultLostError(StatementLostError):
    """SQL was done, and what it returned is lost."""


RESULT_LOST = "the SQL was done, but its result is lost: look at the data before you send it again"


class ScopeError(McpServerError):
    """The server was started with options that cannot work together, or for a missing cluster."""

    seen_by = Audience.HOST


class MissingExtraError(McpServerError, ImportError):
    """A part was used whose packages are not installed, or too old. Install the extra it names.

    Trying again helps once it is installed.
    """

    seen_by = Audience.HOST


def missing_extra(error: ImportError) -> MissingExtraError | None:
    """The error that names the extra whose absence an import ran into; None for any other."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in MODULES.items():
        if module in modules:
            return MissingExtraError(
                f"{USES[extra]} needs packages that are not installed here ({error}): "
                f"pip install '{DISTRIBUTION}[{extra}]'"
            )
    return None


@contextmanager
def needed() -> Iterator[None]:
    """Imports within the block. Raises MissingExtraError where an extra is not installed."""
    try:
        yield
    except ImportError as error:
        known = missing_extra(error)
        if known is None:
            raise
        raise known from error
