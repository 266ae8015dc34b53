"""Running the checks of `diagnose`: each bounded in time, and none hides what the others find.

They are statements of our own in one READ ONLY transaction, with `pg_catalog` searched alone. One
that fails, for rights or for time, is rolled back to where it began and told as not possible.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable, QueryCanceled
from psycopg.rows import dict_row

from mcp_server.advice import findings, queries
from mcp_server.advice.findings import Finding, Index, Row
from mcp_server.advice.indexing.statements import TEXT_CHARACTERS
from mcp_server.databases.connections import Connection
from mcp_server.sql_errors import connection_lost

Check = Literal[
    "slow_queries",
    "index_advice",
    "unused_indexes",
    "duplicate_indexes",
    "invalid_indexes",
    "missing_indexes",
    "bloat",
    "locks",
    "long_transactions",
    "sequences",
    "wraparound",
    "cache_ratio",
]
CHECKS: tuple[Check, ...] = (
    "locks",
    "long_transactions",
    "wraparound",
    "sequences",
    "slow_queries",
    "index_advice",
    "missing_indexes",
    "invalid_indexes",
    "duplicate_indexes",
    "unused_indexes",
    "bloat",
    "cache_ratio",
)
"""The most pressing first."""
INDEX_ADVICE: Check = "index_advice"
"""Which is not asked of the database itself (`mcp_server/advice/indexing`)."""
SHOW_STATEMENTS: frozenset[Check] = frozenset({"locks", "long_transactions", "slow_queries"})
"""Of others, to whom the server does not show them."""

TOLD_CHARACTERS = 2000
CHECK_SECONDS = 5.0
LOCK_SECONDS = 1.0

_BOUNDS = (
    "select set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true),"
    " set_config('jit', 'off', true)"
)


class NotPossibleError(Exception):
    """A check that this database does not allow. Its text says why, and what would."""


@dataclass(slots=True)
class Diagnosis:
    """What was found; which checks found nothing; which were not possible, or in part, and why."""

    found: list[Finding] = field(default_factory=list)
    fine: list[str] = field(default_factory=list)
    not_checked: dict[str, str] = field(default_factory=dict)


async def diagnose(
    connection: Connection, checks: Sequence[Check], *, long_seconds: float
) -> Diagnosis:
    """Run checks on a connection inside a READ ONLY transaction whose names are PostgreSQL's.

    long_seconds: from what age on an open transaction is one that is open for long.
    Raises psycopg.Error when the connection is lost.
    """
    diagnosis = Diagnosis()
    await _bound(connection)
    (sees_all, role) = await (await connection.execute(queries.SEES_ALL)).fetchone() or (False, "")
    for check in CHECKS:
        if check not in checks or check == INDEX_ADVICE:
            continue
        await connection.execute("savepoint one_check")
        try:
            found = await _run(connection, check, long_seconds)
        except NotPossibleError as error:
            diagnosis.not_checked[check] = str(error)
            continue
        except psycopg.Error as error:
            if connection_lost(error):
                raise
            await connection.execute("rollback to savepoint one_check")
            diagnosis.not_checked[check] = why(error)
            continue
        diagnosis.found += found
        if not sees_all and check in SHOW_STATEMENTS:
            diagnosis.not_checked[check] = (
                f"in part: role {role} is shown no statements of other roles; "
                "GRANT pg_read_all_stats to it"
            )
        elif not found:
            diagnosis.fine.append(check)
    return diagnosis


async def _run(connection: Connection, check: Check, long_seconds: float) -> list[Finding]:
    rows = partial(_rows, connection)
    match check:
        case "slow_queries":
            return list(findings.slow(await rows(await _slow(connection, TOLD_CHARACTERS))))
        case "long_transactions":
            given = {"seconds": long_seconds}
            return [
                *findings.transactions(await rows(queries.TRANSACTIONS, given)),
                *findings.prepared(await rows(queries.PREPARED, given)),
            ]
        case "unused_indexes" | "duplicate_indexes" | "invalid_indexes":
            indexes = [Index(**row) for row in await rows(queries.INDEXES)]
            return list(OF_INDEXES[check](indexes))[: queries.ROWS_MAX]
        case _:
            statement, meaning = OF_ROWS[check]
            return list(meaning(await rows(statement)))


async def worth_an_index(connection: Connection, diagnosis: Diagnosis) -> list[Row]:
    """The statements that an index is looked for, those that take most time first.

    On a connection after `diagnose`, to whose findings goes that there are none, or why not.
    Raises psycopg.Error when the connection is lost.
    """
    try:
        rows = await _rows(connection, await _slow(connection, TEXT_CHARACTERS + 1))
    except NotPossibleError as error:
        diagnosis.not_checked[INDEX_ADVICE] = str(error)
        return []
    except psycopg.Error as error:
        if connection_lost(error):
            raise
        diagnosis.not_checked[INDEX_ADVICE] = why(error)
        return []
    worth = [row for row in rows if findings.worth_an_index(row)]
    if not worth:
        diagnosis.fine.append(INDEX_ADVICE)
    return worth


OF_INDEXES: dict[Check, Callable[[Iterable[Index]], Iterator[Finding]]] = {
    "unused_indexes": findings.unused,
    "duplicate_indexes": findings.duplicates,
    "invalid_indexes": findings.invalid,
}
OF_ROWS: dict[Check, tuple[LiteralString, Callable[[Iterable[Row]], Iterator[Finding]]]] = {
    "missing_indexes": (queries.FOREIGN_KEYS, findings.missing),
    "bloat": (queries.BLOAT, findings.bloat),
    "locks": (queries.LOCKS, findings.locks),
    "sequences": (queries.SEQUENCES, findings.sequences),
    "wraparound": (queries.WRAPAROUND, findings.wraparound),
    "cache_ratio": (queries.CACHE, findings.cache),
}


async def _bound(connection: Connection) -> None:
    bounds = [f"{int(each * 1000)}" for each in (CHECK_SECONDS, LOCK_SECONDS)]
    await connection.execute(_BOUNDS, bounds)


async def _rows(
    connection: Connection,
    statement: LiteralString | sql.Composed,
    given: dict[str, Any] | None = None,
) -> list[Row]:
    cursor = connection.cursor(row_factory=dict_row)
    return [*await (await cursor.execute(statement, given)).fetchall()]


async def _slow(connection: Connection, length: int) -> sql.Composed:
    """The statement about slow queries; of their texts, so many characters.

    Raises NotPossibleError without the extension.
    """
    place = await (await connection.execute(queries.STATEMENTS_PLACE)).fetchone()
    if place is None:
        raise NotPossibleError(
            "pg_stat_statements is not here: create extension pg_stat_statements (the server must "
            "have it in shared_preload_libraries)"
        )
    view = sql.Identifier(place[0], "pg_stat_statements")
    return queries.SLOW.format(view=view, limit=queries.ROWS_MAX, length=length)


def why(error: psycopg.Error) -> str:
    """Why a check was not possible."""
    match error:
        case LockNotAvailable():
            return f"something is locked, and stayed so for {LOCK_SECONDS:g} s"
        case QueryCanceled():
            return f"it took more than {CHECK_SECONDS:g} s"
        case _:
            said = error.diag.message_primary or (str(error).splitlines() or [""])[0]
            return f"{said} (SQLSTATE {error.sqlstate})"
