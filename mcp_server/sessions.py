"""Running SQL that a model wrote: bounded rows, bytes and time, and cancelled when the caller goes.

Reads connect as `borealis_reader`, a role of its own, inside a READ ONLY transaction, and send one
statement by the extended protocol, which takes no second one. So there is nothing to reset back
to: the session user itself may only read. Writes connect as the master user, and a script sent by
the simple protocol is one transaction unless it says otherwise.

Every call has a connection of its own and closes it. A kept one would hold session state from one
caller to the next, and keep its cluster from pausing.
"""

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import psycopg
from anyio import to_thread
from psycopg import capabilities, generators, pq
from psycopg.errors import InsufficientPrivilege, error_from_result
from psycopg.pq.abc import PGresult

from cluster_runtime.control.plane import Cluster
from cluster_runtime.engine.roles import READER
from mcp_server.errors import SqlRefusedError
from mcp_server.models import ExecutionResult, QueryResult, ResultColumn, StatementResult
from mcp_server.nl2sql import checks
from mcp_server.nl2sql.errors import ForbiddenError, NL2SQLError
from mcp_server.nl2sql.steps import arun
from mcp_server.rendering import Json, clip, render

T = TypeVar("T")
Connection = psycopg.AsyncConnection[Any]
Parameter = str | int | float | bool | None | list[Any] | dict[str, Any]

CELL_CHARACTERS = 32_768
"""A longer value is clipped. Below it, only whole rows are left out."""

RESULT_CHARACTERS = 262_144
"""All the values of one answer together; about what a model's context can take of one tool."""

GUARD_LIMITS = checks.Limits(cost=math.inf)
"""A statement that its caller wrote runs whatever it costs, for as long as its timeout allows."""

ROWS_AT_A_TIME = 64
STATEMENTS_LISTED = 100

CONNECTIONS = anyio.Semaphore(24)
"""Calls at a time; others wait, for a cluster takes 100 connections and programs need some."""

GRANT_ADVICE = (
    f"reading tools connect as {READER}, which sees what the master user creates; for objects of "
    f"other roles, GRANT SELECT ON ... TO {READER} and USAGE ON SCHEMA ..."
)
CONNECT_SECONDS = 30
CANCEL_SECONDS = 5.0

SESSION_SETTINGS = "set datestyle = 'ISO'; set bytea_output = 'hex'; set statement_timeout = {}"


@dataclass(frozen=True, slots=True)
class Limits:
    """rows: most rows of an answer. seconds: most time that a statement may run."""

    rows: int = 100
    seconds: float = 30.0


@dataclass(slots=True)
class Collected:
    """The rows of one statement within the limits; values as the text that the server sent."""

    limits: Limits
    fields: list[tuple[str, int, int]] = field(default_factory=list)  # name, type oid, modifier
    rows: list[list[str | None]] = field(default_factory=list)
    characters: int = 0
    truncated: bool = False
    clipped: bool = False

    def add(self, result: PGresult, encoding: str = "utf-8") -> None:
        """Take the rows of one result in, as far as the limits go."""
        if not self.fields and result.nfields:
            self.fields = [
                ((result.fname(i) or b"").decode(encoding), result.ftype(i), result.fmod(i))
                for i in range(result.nfields)
            ]
        for row in range(result.ntuples):
            if self.truncated or len(self.rows) >= self.limits.rows:
                self.truncated = True
                return
            values = [
                None if raw is None else bytes(raw).decode(encoding, "replace")
                for raw in (result.get_value(row, column) for column in range(result.nfields))
            ]
            size = sum(min(len(value), CELL_CHARACTERS) for value in values if value is not None)
            if self.rows and self.characters + size > RESULT_CHARACTERS:
                self.truncated = True
                return
            self.characters += size
            self.rows.append(values)

    def rendered(self, types: dict[tuple[int, int], tuple[str, int | None]]) -> list[list[Json]]:
        """The rows as JSON has them."""
        return [
            [
                None if value is None else self._render(value, oid, types[oid, modifier][1])
                for value, (_, oid, modifier) in zip(row, self.fields, strict=True)
            ]
            for row in self.rows
        ]

    def _render(self, value: str, oid: int, element: int | None) -> Json:
        if len(value) > CELL_CHARACTERS:
            self.clipped = True
            return clip(value, CELL_CHARACTERS)
        return render(value, oid, element)

    def columns(self, types: dict[tuple[int, int], tuple[str, int | None]]) -> list[ResultColumn]:
        """The columns with the names of their types."""
        return [
            ResultColumn(name=name, type=types[oid, modifier][0])
            for name, oid, modifier in self.fields
        ]

    @property
    def note(self) -> str | None:
        """What is missing from the answer, for whoever reads it."""
        notes = []
        if self.truncated and len(self.rows) >= self.limits.rows:
            notes.append(
                f"only the first {len(self.rows)} rows: raise limit, or narrow, aggregate or "
                "page the query"
            )
        elif self.truncated:
            notes.append(
                f"only the first {len(self.rows)} rows, for they are large: select fewer columns"
            )
        if self.clipped:
            notes.append(
                f"values over {CELL_CHARACTERS} characters are clipped: use substring() to see more"
            )
        return "; ".join(notes) or None


@asynccontextmanager
async def connected(
    cluster: Cluster, database: str | None, limits: Limits, *, user: str | None = None
) -> AsyncIterator[Connection]:
    """A connection of this call alone.

    Raises psycopg.OperationalError when the cluster cannot be reached.
    """
    # In a thread: making a token reads a file, and a control plane elsewhere may take a while.
    dsn = await to_thread.run_sync(lambda: cluster.dsn("writer", user=user, dbname=database))
    async with CONNECTIONS:
        connection: Connection = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="borealis mcp"
        )
        try:
            await connection.execute(
                SESSION_SETTINGS.format(int(limits.seconds * 1000)).encode(), prepare=False
            )
            yield connection
        finally:
            with anyio.CancelScope(shield=True):
                await connection.close()


@asynccontextmanager
async def reading(
    cluster: Cluster, database: str | None, limits: Limits
) -> AsyncIterator[Connection]:
    """A connection of the read-only role, inside a READ ONLY transaction."""
    async with connected(cluster, database, limits, user=READER) as connection:
        await arun(connection, checks.begin(checks.Limits(timeout=limits.seconds)))
        yield connection


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Await work on a connection; when the caller goes away, its statement is cancelled.

    The work is a task of its own, cancelled once. Inside the caller's cancel scope psycopg would
    be cancelled again while it tells the server to stop, and the server would go on for nobody.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: what became of it is of interest to nobody
        raise


async def query(connection: Connection, sql: str, limits: Limits) -> QueryResult:
    """Run one statement that passes the guard, on a connection from `reading`.

    Stops the server as soon as the limits are reached. Raises RefusedError for what the guard or
    PostgreSQL refuses, nearest names included, and psycopg.Error for a lost connection.
    """
    collected = Collected(limits)
    try:
        checked = await arun(connection, checks.check(sql, GUARD_LIMITS))
        started = time.perf_counter()
        await _collect(connection, checked.sql, collected)
    except ForbiddenError as refused:
        if isinstance(refused.__cause__, InsufficientPrivilege):
            raise SqlRefusedError(f"{refused}: {GRANT_ADVICE}") from refused
        raise
    except psycopg.Error as error:
        raise await with_nearest_names(connection, error) from error
    elapsed_ms = _milliseconds_since(started)
    await connection.execute("rollback")
    types = await type_names(connection, [(oid, modifier) for _, oid, modifier in collected.fields])
    rows = collected.rendered(types)
    return QueryResult(
        columns=collected.columns(types),
        rows=rows,
        row_count=len(rows),
        truncated=collected.truncated or collected.clipped,
        note=collected.note,
        elapsed_ms=elapsed_ms,
    )


async def _collect(connection: Connection, sql: str, collected: Collected) -> None:
    async with aclosing(_results(connection, sql, (), simple=False)) as results:
        async for result in results:
            collected.add(result)
            if collected.truncated:
                await connection.cancel_safe(timeout=CANCEL_SECONDS)
                await _to_the_end(connection)
                return


async def execute(
    connection: Connection, sql: str, parameters: Sequence[Parameter], limits: Limits
) -> ExecutionResult:
    """Run a script. Without parameters it may hold several statements, which are one transaction.

    Rows past the limits are read and dropped, for stopping the server would undo the work.
    Raises psycopg.Error; SqlRefusedError for COPY from the client and for a transaction left open.
    """
    notices: list[str] = []
    connection.add_notice_handler(
        lambda diagnostic: notices.append(f"{diagnostic.severity}: {diagnostic.message_primary}")
    )
    started = time.perf_counter()
    collected = Collected(limits)
    statements: list[tuple[str, int | None, Collected]] = []
    done: tuple[str, int | None] = ("", None)
    async for result in _results(connection, sql, parameters, simple=not parameters):
        if result.status in COPYING:
            raise SqlRefusedError(
                "COPY from or to the client has no channel here: use INSERT ... VALUES to load "
                "rows, and run_query to read them. Nothing was changed"
            )
        collected.add(result)
        if result.command_status:  # libpq gives it with the last rows or after them
            done = result.command_status.decode(), result.command_tuples
        if result.status not in PARTS:  # the statement's last result
            statements.append((*done, collected))
            collected = Collected(limits)
    elapsed_ms = _milliseconds_since(started)
    if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
        raise SqlRefusedError(
            "the script began a transaction and did not end it, so it was rolled back: add "
            "COMMIT, or leave BEGIN out (a script is one transaction by itself)"
        )
    listed = statements[:STATEMENTS_LISTED]
    types = await type_names(
        connection, [(oid, mod) for *_, found in listed for _, oid, mod in found.fields]
    )
    return ExecutionResult(
        statements=[
            StatementResult(
                command=tag,
                affected_rows=affected,
                columns=found.columns(types),
                rows=found.rendered(types),
                truncated=found.truncated or found.clipped,
            )
            for tag, affected, found in listed
        ],
        truncated=len(statements) > len(listed),
        notices=notices[:STATEMENTS_LISTED],
        elapsed_ms=elapsed_ms,
    )


async def with_nearest_names(connection: Connection, error: psycopg.Error) -> NL2SQLError:
    """What PostgreSQL said, with the tables or columns most like one that is missing.

    Raises the error itself when it is no judgement on the statement (a lost connection).
    """
    return await arun(connection, checks.refusal(error))


PARTS = frozenset({pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_CHUNK})
COPYING = frozenset({pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH})

TYPE_NAMES = """
select given.oid, given.modifier, format_type(given.oid, given.modifier),
       (select element.oid from pg_catalog.pg_type element where element.typarray = given.oid)
from unnest(%s::oid[], %s::int[]) as given (oid, modifier)
"""
# Asked of typarray and not of typelem, for oidvector has elements but is not written as an array.


async def type_names(
    connection: Connection, types: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], tuple[str, int | None]]:
    """(type oid, modifier) -> (name as PostgreSQL writes it, type oid of its elements)."""
    if not types:
        return {}
    distinct = sorted(set(types))
    cursor = await connection.execute(
        TYPE_NAMES, [[oid for oid, _ in distinct], [modifier for _, modifier in distinct]]
    )
    return {(oid, mod): (name, element) for oid, mod, name, element in await cursor.fetchall()}


async def _results(
    connection: Connection, sql: str, parameters: Sequence[Parameter], *, simple: bool
) -> AsyncGenerator[PGresult, None]:
    """Results as they come, some rows at a time: a large one is never in memory at once."""
    if "\x00" in sql:
        raise SqlRefusedError("the SQL holds a NUL character, which PostgreSQL does not take")
    statement = sql.encode()
    if simple:
        connection.pgconn.send_query(statement)
    else:
        connection.pgconn.send_query_params(statement, [_as_text(value) for value in parameters])
    if capabilities.has_stream_chunked():
        connection.pgconn.set_chunked_rows_mode(ROWS_AT_A_TIME)
    else:  # a psycopg that was built against libpq before 17
        connection.pgconn.set_single_row_mode()
    await connection.wait(generators.send(connection.pgconn))
    while (result := await connection.wait(generators.fetch(connection.pgconn))) is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            await _to_the_end(connection)
            raise error_from_result(result, encoding="utf-8")
        if result.status == pq.ExecStatus.EMPTY_QUERY:
            raise SqlRefusedError("the SQL is empty: there is nothing but comments or spaces in it")
        yield result


async def _to_the_end(connection: Connection) -> None:
    """Read what is left of a query that failed or was cancelled, so that another can be sent."""
    while await connection.wait(generators.fetch(connection.pgconn)) is not None:
        pass


def _as_text(value: Parameter) -> bytes | None:
    """A parameter as text of unknown type: the server infers its type from where it stands."""
    match value:
        case None:
            return None
        case bool():
            return b"true" if value else b"false"
        case list() | dict():
            return json.dumps(value).encode()
        case _:
            return str(value).encode()


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
