"""What PostgreSQL's errors say to whoever sent the SQL: its own words, and what to do in ours."""

import re
from collections.abc import Iterable

import psycopg
from psycopg import errors as pg

from cluster_runtime.wording import Hint, Operation, Parameter, Said, Words, tell
from mcp_server.wording import ANY_CLUSTER, EVERY_TOOL, LIST_DATABASES

MISSING_DATABASE = re.compile(r'database ".*" does not exist')
WHICH_DATABASES = Hint("{} names those that there are", LIST_DATABASES)
WHICH_STATUS = Hint(
    "{} tells whether the cluster is available", Operation("describe_db_clusters", ANY_CLUSTER)
)


GOING_AWAY = frozenset({"57P01", "57P02", "57P03"})
"""SQLSTATEs of a server that ends, or does not take connections yet."""


def connection_lost(error: psycopg.Error) -> bool:
    """Whether the server, or the host in front of it, has gone: no judgement on any statement."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    if error.sqlstate is None:
        return "FATAL:" not in str(error)  # libpq gives no code with a refused login
    return error.sqlstate in GOING_AWAY


def sql_error_text(error: psycopg.Error, words: Words = EVERY_TOOL) -> str:
    """PostgreSQL's message with its code, place, detail and hint, and what to do next."""
    said = error.diag
    if said.message_primary is None:  # made on this side: no connection, or a broken one
        missing = MISSING_DATABASE.search(str(error))
        advice = _alone([WHICH_DATABASES if missing else WHICH_STATUS], words)
        return f"{_first_line(error)} ({advice})" if advice else _sentence(_first_line(error))
    parts = [f"{said.message_primary} (SQLSTATE {said.sqlstate})"]
    if said.message_detail:
        parts.append(said.message_detail)
    if said.statement_position:
        parts.append(f"At character {said.statement_position} of the SQL.")
    if said.message_hint:
        parts.append(said.message_hint)
    if advice := _alone(_advice(error), words):
        parts.append(advice)
    return " ".join(_sentence(part) for part in parts)


def _advice(error: psycopg.Error) -> tuple[Said, ...]:
    match error:
        case pg.QueryCanceled():
            return (
                "Narrow the statement, add an index, or raise ",
                Parameter("timeout_seconds"),
            )
        case pg.InvalidCatalogName():
            return (WHICH_DATABASES,)
        case pg.ActiveSqlTransaction():
            return ("This statement cannot be part of a script: send it alone",)
        case _:
            return ()


def _alone(said: Iterable[Said], words: Words) -> str:
    """What follows on nothing: a hint joins what is before it."""
    return tell(said, words).removeprefix("; ")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _first_line(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
