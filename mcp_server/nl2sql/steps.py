"""Database work as generators: one body, driven over a sync or an async connection.

A body yields `Fetch` and gets the rows; an error of the database is raised at the yield.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import AsyncConnection, Connection

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    """Run one statement and give back its rows (empty for a statement that returns none).

    params=None sends the text as it is, without placeholders, through the extended protocol,
    in which PostgreSQL itself refuses more than one statement.
    """

    query: str
    params: Sequence[object] | Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows together with the names of their columns."""

    names: tuple[str, ...]
    rows: list[Row]


Steps: TypeAlias = Generator[Fetch, Columns, T]


def run(conn: Connection[Any], steps: Steps[T]) -> T:
    """Drive `steps` over a connection in autocommit mode. Raises what the steps raise."""
    _expect_autocommit(conn.autocommit)
    try:
        request = next(steps)
        while True:
            try:
                cursor = conn.cursor(row_factory=psycopg.rows.tuple_row)
                cursor.execute(
                    request.query.encode(), request.params, binary=request.params is None
                )
                answer = _columns(cursor, cursor.fetchall() if cursor.description else [])
            except psycopg.Error as error:
                request = steps.throw(error)
            else:
                request = steps.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def arun(conn: AsyncConnection[Any], steps: Steps[T]) -> T:
    """Drive `steps` over an async connection in autocommit mode. Raises what the steps raise."""
    _expect_autocommit(conn.autocommit)
    try:
        request = next(steps)
        while True:
            try:
                cursor = conn.cursor(row_factory=psycopg.rows.tuple_row)
                await cursor.execute(
                    request.query.encode(), request.params, binary=request.params is None
                )
                answer = _columns(cursor, await cursor.fetchall() if cursor.description else [])
            except psycopg.Error as error:
                request = steps.throw(error)
            else:
                request = steps.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _expect_autocommit(autocommit: bool) -> None:
    """Inside psycopg's own transaction a BEGIN READ ONLY would be no more than a warning."""
    if not autocommit:
        raise ValueError("steps open their own transactions: connect with autocommit=True")


def _columns(cursor: psycopg.Cursor[Row] | psycopg.AsyncCursor[Row], rows: list[Row]) -> Columns:
    names = tuple(column.name for column in cursor.description or ())
    return Columns(names, rows)
