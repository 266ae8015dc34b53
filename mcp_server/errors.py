"""What a tool says when it fails: what happened, to what, and what to do next.

Whoever calls a tool (a language model, most often) sees the text of a ToolError and nothing else,
so each is a full sentence with the nearest right name where a name was wrong. Errors of the
runtime and of PostgreSQL are anticipated and become ToolErrors here; anything else is a bug, which
the SDK logs on the server and reports without its text.
"""

import re

import psycopg
from psycopg import errors as pg


class McpServerError(Exception):
    """Base of the errors of this package."""


class SqlRefusedError(McpServerError):
    """SQL that a tool does not take, raised before or instead of running it."""


class ScopeError(McpServerError):
    """The server was started with options that cannot work together, or for a missing cluster."""


MISSING_DATABASE = re.compile(r'database ".*" does not exist')


def sql_error_text(error: psycopg.Error) -> str:
    """PostgreSQL's message with its code, place, detail and hint, and what to do in our terms."""
    said = error.diag
    if said.message_primary is None:  # made on this side: no connection, or a broken one
        return f"{_first_line(error)} ({_connection_advice(error)})"
    parts = [f"{said.message_primary} (SQLSTATE {said.sqlstate})"]
    if said.message_detail:
        parts.append(said.message_detail)
    if said.statement_position:
        parts.append(f"At character {said.statement_position} of the SQL.")
    if said.message_hint:
        parts.append(said.message_hint)
    if advice := _advice(error):
        parts.append(advice)
    return " ".join(_sentence(part) for part in parts)


def _advice(error: psycopg.Error) -> str | None:
    match error:
        case pg.QueryCanceled():
            return "Narrow the statement, add an index, or raise timeout_seconds"
        case pg.InvalidCatalogName():
            return "list_schemas names the databases of a cluster"
        case pg.ActiveSqlTransaction():
            return "This statement cannot be part of a script: send it alone"
        case _:
            return None


def _connection_advice(error: psycopg.Error) -> str:
    if MISSING_DATABASE.search(str(error)):
        return "list_schemas without a database names those that there are"
    return "describe_cluster tells whether the cluster is available"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _first_line(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
