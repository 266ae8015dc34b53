"""Database work as generators: one body, driven over a sync or an async connection.

A body yields `Fetch` and gets the rows; an error of the database is raised at the yield.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.adapt import Transformer
from psycopg.rows import tuple_row

from mcp_server.nl2sql.database import wire

T = TypeVar("T")
CANCEL_SECONDS = 5.0
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
class Script:
    """Run several statements at once, by the simple protocol: a single round trip.

    Gives back the rows of the last one that has any. No value is put in here.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Prepare:
    """Have one statement analysed under a name, without running it.

    before: statements that run first, in the same round trip; the first that fails ends it. Gives
    back the rows of the last of them that has any.
    """

    name: str
    query: str
    before: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """Run one statement, or a prepared one by its name, and give back rows up to both limits.

    The first row comes in any case. What is not taken is not computed either: the server is told
    to stop. The text of each value is kept beside what Python makes of it.
    """

    query: str
    prepared: bool
    rows: int
    bytes: int
    cell: int | None = None  # what is beyond in one value does not count
    values: bool = True  # whether Python values are wanted beside the texts


@dataclass(frozen=True, slots=True)
class Fetched:
    """Rows together with their columns.

    fields: name, type and modifier of each column. texts, truncated, seconds: for a Stream.
    trees: query trees that the server printed meanwhile. server_version: as a number (180006).
    """

    fields: tuple[wire.Field, ...]
    rows: list[Row]
    texts: list[wire.TextRow]
    truncated: bool
    seconds: float
    trees: tuple[str, ...]
    server_version: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(name for name, _, _ in self.fields)


Request: TypeAlias = Fetch | Script | Prepare | Stream
Steps: TypeAlias = Generator[Request, Fetched, T]


def run(conn: Connection[Any], steps: Steps[T]) -> T:
    """Drive `steps` over a connection in autocommit mode. Raises what the steps raise."""
    _expect_autocommit(conn.autocommit)
    with wire.printed_trees(conn) as trees:
        try:
            request = next(steps)
            while True:
                try:
                    answer = _answer(conn, request, trees)
                except psycopg.Error as error:
                    trees.take()
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result


async def arun(conn: AsyncConnection[Any], steps: Steps[T]) -> T:
    """Drive `steps` over an async connection in autocommit mode. Raises what the steps raise."""
    _expect_autocommit(conn.autocommit)
    with wire.printed_trees(conn) as trees:
        try:
            request = next(steps)
            while True:
                try:
                    answer = await _aanswer(conn, request, trees)
                except psycopg.Error as error:
                    trees.take()
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result


def _answer(conn: Connection[Any], request: Request, trees: wire.Trees) -> Fetched:
    match request:
        case Fetch(query, params):
            cursor = conn.cursor(row_factory=tuple_row)
            cursor.execute(query.encode(), params, binary=params is None)
            rows = cursor.fetchall() if cursor.description else []
            return _columns(conn, trees, _fields(cursor.description), rows)
        case Script(text):
            found = conn.wait(wire.script(conn.pgconn, text, Transformer(conn)))
            return _columns(conn, trees, (), found)
        case Prepare(name, query, ()):
            conn.wait(wire.prepare(conn.pgconn, name, query))
            return _columns(conn, trees)
        case Prepare(name, query, before):
            work = wire.prepare_after(conn.pgconn, before, name, query, Transformer(conn))
            return _columns(conn, trees, (), conn.wait(work))
        case Stream(query, prepared):
            taken = _to_take(conn, request)
            conn.wait(wire.stream(conn.pgconn, query, prepared, taken))
            if taken.truncated:
                conn.cancel_safe(timeout=CANCEL_SECONDS)
                conn.wait(wire.drain(conn.pgconn))
            return _taken(conn, trees, taken)


async def _aanswer(conn: AsyncConnection[Any], request: Request, trees: wire.Trees) -> Fetched:
    match request:
        case Fetch(query, params):
            cursor = conn.cursor(row_factory=tuple_row)
            await cursor.execute(query.encode(), params, binary=params is None)
            rows = await cursor.fetchall() if cursor.description else []
            return _columns(conn, trees, _fields(cursor.description), rows)
        case Script(text):
            found = await conn.wait(wire.script(conn.pgconn, text, Transformer(conn)))
            return _columns(conn, trees, (), found)
        case Prepare(name, query, ()):
            await conn.wait(wire.prepare(conn.pgconn, name, query))
            return _columns(conn, trees)
        case Prepare(name, query, before):
            work = wire.prepare_after(conn.pgconn, before, name, query, Transformer(conn))
            return _columns(conn, trees, (), await conn.wait(work))
        case Stream(query, prepared):
            taken = _to_take(conn, request)
            await conn.wait(wire.stream(conn.pgconn, query, prepared, taken))
            if taken.truncated:
                await conn.cancel_safe(timeout=CANCEL_SECONDS)
                await conn.wait(wire.drain(conn.pgconn))
            return _taken(conn, trees, taken)


def _expect_autocommit(autocommit: bool) -> None:
    """Inside psycopg's own transaction a BEGIN READ ONLY would be no more than a warning."""
    if not autocommit:
        raise ValueError("steps open their own transactions: connect with autocommit=True")


def _fields(description: Sequence[psycopg.Column] | None) -> tuple[wire.Field, ...]:
    return tuple((column.name, column.type_code, -1) for column in description or ())


def _columns(
    conn: psycopg.Connection[Any] | AsyncConnection[Any],
    trees: wire.Trees,
    fields: tuple[wire.Field, ...] = (),
    rows: Sequence[Row] = (),
) -> Fetched:
    return Fetched(fields, list(rows), [], False, 0.0, trees.take(), conn.info.server_version)


def _to_take(conn: psycopg.Connection[Any] | AsyncConnection[Any], request: Stream) -> wire.Taken:
    adapter = Transformer(conn) if request.values else None
    return wire.Taken(adapter, request.rows, request.bytes, request.cell)


def _taken(
    conn: psycopg.Connection[Any] | AsyncConnection[Any], trees: wire.Trees, taken: wire.Taken
) -> Fetched:
    return Fetched(
        taken.fields,
        taken.rows,
        taken.texts,
        taken.truncated,
        taken.seconds,
        trees.take(),
        conn.info.server_version,
    )
