"""What is installed on demand: the extras of the distribution, and what their absence says.

Clusters, memory and most commands need none. Whoever reaches for a part whose packages are not
there, or too old (an environment with `langchain-mcp-adapters` holds an mcp below 2), is told the
name of the extra, instead of that of a module that he never heard of.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mcp_server.errors import McpServerError

DISTRIBUTION = "borealis-postgres"
MODULES = {
    "ask": frozenset({"snowballstemmer", "sqlglot"}),
    "mcp": frozenset({"mcp", "mcp_types", "starlette", "uvicorn"}),
}
"""For each extra that this package uses, the modules that it brings."""

USES = {
    "ask": "questions in English",
    "mcp": "the MCP server and the demo",
}


class MissingExtraError(McpServerError, ImportError):
    """A part was used whose packages are not installed, or too old. Install the extra it names.

    extra: its name. Trying again helps once it is installed.
    """

    def __init__(self, extra: str, reason: str) -> None:
        super().__init__(
            f"{USES[extra]} needs packages that are not installed here ({reason}): "
            f"pip install '{DISTRIBUTION}[{extra}]'"
        )
        self.extra = extra


def missing_extra(error: ImportError) -> MissingExtraError | None:
    """The error that names the extra whose absence an import ran into; None for any other."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in MODULES.items():
        if module in modules:
            return MissingExtraError(extra, str(error))
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
