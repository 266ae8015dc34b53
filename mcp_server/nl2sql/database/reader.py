"""The read-only door to a database: check one query, run it, bring back bounded rows."""

import datetime
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.abc import AdaptContext, Buffer
from psycopg.postgres import types
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader

from mcp_server.nl2sql.database.connecting import Dsn, aconnect_to_read, connect_to_read
from mcp_server.nl2sql.database.guard.checks import CheckedQuery, Limits, begin, check, fetch
from mcp_server.nl2sql.database.steps import Row, Script, Steps, arun, run
from mcp_server.nl2sql.database.wire import Field, TextRow
from mcp_server.nl2sql.errors import RefusedError
from mcp_server.rendering import Json, render_cell


@dataclass(frozen=True, slots=True)
class ResultSet:
    """Rows of one query. truncated: more rows exist than the limits let through.

    fields, texts: the columns' names, types and modifiers, and each value as the server wrote it.
    seconds: how long it took to run.
    """

    query: CheckedQuery
    fields: tuple[Field, ...]
    rows: list[Row]
    texts: list[TextRow]
    truncated: bool
    seconds: float

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(name for name, _, _ in self.fields)

    def rendered(self, most: int) -> tuple[tuple[Json, ...], ...]:
        """The first rows as JSON has them; arrays of types that are not PostgreSQL's own as text.

        most: how many rows.
        """
        oids = [oid for _, oid, _ in self.fields]
        return tuple(
            tuple(
                render_cell(value, oid, _element(oid)) for value, oid in zip(row, oids, strict=True)
            )
            for row in self.texts[:most]
        )


def _element(oid: int) -> int | None:
    """The type of the elements of an array type of PostgreSQL's own; None for any other type."""
    info = types.get(oid)
    return info.oid if info is not None and info.array_oid == oid else None


class Reader:
    """Runs checked queries on one database, each on a connection of its own.

    dsn: see `Dsn`. role: the role to read as; see `checks.begin`.
    system_catalogs: whether pg_catalog and information_schema may be read.
    A connection is not kept between queries, so that an idle cluster can pause.
    """

    def __init__(
        self,
        dsn: Dsn,
        *,
        limits: Limits | None = None,
        role: str | None = None,
        system_catalogs: bool = True,
    ) -> None:
        self.dsn = dsn
        self.limits = limits or Limits()
        self.role = role
        self.system_catalogs = system_catalogs

    def query(self, sql: str) -> ResultSet:
        """Check and run one query. Raises RefusedError; psycopg.OperationalError without server."""
        with self.connect() as conn:
            return run(conn, self.steps(sql))

    async def aquery(self, sql: str) -> ResultSet:
        """As `query`, from async code."""
        async with self.aconnect() as conn:
            return await arun(conn, self.steps(sql))

    def steps(self, sql: str) -> Steps[ResultSet]:
        """`query` as steps, for a connection in autocommit mode that the caller keeps."""
        try:
            yield from begin(self.limits, self.role)
            checked = yield from check(sql, self.limits, system_catalogs=self.system_catalogs)
            answer = yield from fetch(checked, self.limits, self.role)
        except (RefusedError, psycopg.Error) as error:
            if not isinstance(error, psycopg.OperationalError) or error.sqlstate is not None:
                yield from _end()
            raise
        yield from _end()
        return ResultSet(
            checked,
            answer.fields,
            answer.rows,
            answer.texts,
            answer.truncated,
            answer.seconds,
        )

    @contextmanager
    def connect(self) -> Iterator[Connection[Any]]:
        """A connection for one block. Raises psycopg's OperationalError."""
        with connect_to_read(self.dsn, client_encoding="utf8") as conn:
            read_any_date(conn)
            yield conn

    @asynccontextmanager
    async def aconnect(
        self, connection: AsyncConnection[Any] | None = None
    ) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection of its own, or the given one, which its owner closes."""
        if connection is not None:
            connection.prepare_threshold = None
            read_any_date(connection)
            yield connection
            return
        async with await aconnect_to_read(self.dsn, client_encoding="utf8") as conn:
            read_any_date(conn)
            yield conn


def _end() -> Steps[None]:
    yield Script("rollback; deallocate all")


class _AnyDate(DateLoader):
    """Dates that Python has no value for (infinity, years before 1 or after 9999) stay text."""

    def load(self, data: Buffer) -> datetime.date:
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()  # type: ignore[return-value]


class _AnyTimestamp(TimestampLoader):
    def load(self, data: Buffer) -> datetime.datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()  # type: ignore[return-value]


class _AnyTimestamptz(TimestamptzLoader):
    def load(self, data: Buffer) -> datetime.datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()  # type: ignore[return-value]


def read_any_date(context: AdaptContext) -> None:
    """Have dates that Python cannot hold read as text."""
    adapters = context.adapters
    if adapters is not None:
        adapters.register_loader("date", _AnyDate)
        adapters.register_loader("timestamp", _AnyTimestamp)
        adapters.register_loader("timestamptz", _AnyTimestamptz)
