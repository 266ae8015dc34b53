"""Which databases a command is about that are there already: `--dsn`, or a cluster of Amazon's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from mcp_server.cli import console
from mcp_server.databases.existing import (
    VARIABLE,
    Databases,
    ExistingDatabase,
    given,
    has_password,
    parse,
)
from mcp_server.errors import McpServerError, ScopeError
from mcp_server.sql_errors import sql_error_text
from mcp_server.wording import EXISTING_DATABASE


def to_serve(
    dsns: Sequence[str],
    cluster: str | None,
    region: str | None,
    user: str | None,
    database: str | None,
    ca_bundle: Path | None,
) -> Databases | None:
    """The databases of `borealis mcp`; None where it serves clusters of a state directory.

    Raises ScopeError.
    """
    if cluster is not None:
        if dsns:
            raise ScopeError("--dsn names a database, --cluster a cluster: give one of them")
        found = _amazons(cluster, region, user, database, ca_bundle)
        return None if found is None else Databases([found])
    if region is not None:
        raise ScopeError("--region needs --cluster: an identifier or ARN of Amazon Aurora")
    strings = given(dsns)
    if not strings:
        return None
    _warn(dsns)
    return Databases([parse(each) for each in strings])


def to_ask(
    name: str,
    question: str | None,
    dsn: str | None,
    region: str | None,
    user: str | None,
    database: str | None,
    ca_bundle: Path | None,
) -> tuple[ExistingDatabase, str] | None:
    """What `borealis ask` asks, and the question; None for a cluster of a state directory.

    One argument alone is a question for a connection string. Raises ScopeError.
    """
    if dsn is not None or question is None:
        strings = given([dsn] if dsn else [])
        if not strings:
            return None
        if question is not None:
            raise ScopeError("--dsn names the database: a question alone follows, and no cluster")
        if len(strings) > 1:
            raise ScopeError(f"{VARIABLE} names {len(strings)} databases; choose one with --dsn")
        _warn([dsn] if dsn else [])
        return parse(strings[0]), name
    found = _amazons(name, region, user, database, ca_bundle)
    return None if found is None else (found, question)


@contextmanager
def told() -> Iterator[None]:
    """Errors of PostgreSQL become McpServerErrors, in words for whoever has no cluster here."""
    try:
        yield
    except psycopg.Error as error:
        raise McpServerError(sql_error_text(error, EXISTING_DATABASE)) from error


def _amazons(
    cluster: str,
    region: str | None,
    user: str | None,
    database: str | None,
    ca_bundle: Path | None,
) -> ExistingDatabase | None:
    if region is None and not cluster.startswith("arn:"):
        return None
    from mcp_server.databases.amazon import aurora_cluster  # loads botocore

    return aurora_cluster(cluster, region, user=user, dbname=database, ca_bundle=ca_bundle)


def _warn(arguments: Sequence[str]) -> None:
    if any(map(has_password, arguments)):
        console.note(
            "a password in arguments can be read by every user of this machine: better put the "
            f"connection string into {VARIABLE}, or the password into ~/.pgpass"
        )
