"""Running SQL that a model wrote: bounded rows, bytes and time, and cancelled when the caller goes.

Reads connect as `borealis_reader`, a role of its own, inside a READ ONLY transaction, and send one
statement by the extended protocol, which takes no second one. So there is nothing to reset back
to: the session user itself may only read. Writes connect as the master user, and a script of
several statements is one transaction.

The server counts the seconds of each statement, but SQL can stop its clock. So they are counted
here too, for the whole call: then it is cancelled, and its session ended if it does not listen.

A call has its connection alone. Those that only read are wiped when it has ended, and kept for a
moment (`databases/kept.py`); those of the master user are closed.

A database that is not ours (`mcp_server.databases`) is read with what a plain PostgreSQL permits:
as the role of its connection string, in the same transaction, behind the same guard.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import psycopg
from anyio import to_thread
from psycopg import generators, pq
from psycopg.errors import InsufficientPrivilege, error_from_result
from psycopg.pq.abc import PGresult

from cluster_runtime.engine.access.roles import READER
from mcp_server import sql_script
from mcp_server.databases.connections import CONNECTING, Connection
from mcp_server.databases.existing import Database, ExistingDatabase
from mcp_server.databases.kept import kept_here
from mcp_server.databases.opening import LOCAL, LOGIN, limit, opened, shows
from mcp_server.databases.parameters import Parameter, as_texts
from mcp_server.databases.written import NOTHING, WRITTEN
from mcp_server.errors import RESULT_LOST, ResultLostError, SqlRefusedError, StatementLostError
from mcp_server.nl2sql.database import wire
from mcp_server.nl2sql.database.connecting import aconnect_to_read
from mcp_server.nl2sql.database.guard import checks
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.database.guard.references import FIRST_USER_OID
from mcp_server.nl2sql.database.own_names import own_names, pinned_names
from mcp_server.nl2sql.database.refusals import refusal
from mcp_server.nl2sql.database.steps import Fetched, arun
from mcp_server.nl2sql.errors import ForbiddenError, NL2SQLError, QueryTimeoutError
from mcp_server.rendering import clip
from mcp_server.results import ExecutionResult, QueryResult, StatementResult
from mcp_server.rows import Collected, TypeNames, result_of, type_names
from mcp_server.sql_errors import connection_lost

STATEMENTS_LISTED = 100
NOTICE_CHARACTERS = 1000
TYPES_KNOWN = 1000

CONNECTIONS = anyio.Semaphore(24)
"""Calls at a time; others wait, for a cluster takes 100 connections and programs need some."""

GRANT_ADVICE_ELSEWHERE = (
    "this server reads as the role {} of its connection string; whoever owns the object can GRANT "
    "SELECT ON ... TO it, and USAGE ON SCHEMA ..."
)
WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE")
WRITTEN_TO = (
    "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')"
    f"::pg_catalog.int8, {LOGIN}"
)
WRITTEN_ELSEWHERE = f"select {NOTHING}, {LOGIN}"


@asynccontextmanager
async def connected(
    cluster: Database, database: str | None, limits: Limits, *, user: str | None = None
) -> AsyncIterator[Connection]:
    """A connection of this call alone.

    Raises psycopg.OperationalError when the cluster cannot be reached.
    """
    if isinstance(cluster, ExistingDatabase):
        async with _connected_elsewhere(cluster) as connection:
            yield connection
        return

    async def to(endpoint: str) -> Connection:
        found = await opened(cluster, endpoint, limits.timeout, user=user, dbname=database)
        WRITTEN.began(cluster.id, found.login, on_reader=found.on_reader)
        return found

    async with CONNECTIONS:
        must_show, login = WRITTEN.of(cluster.id), WRITTEN.login(cluster.id)
        reads = user == READER and must_show is not None
        key = cluster.id, "reader" if reads else "writer"
        # DROP DATABASE, of another than the default one, minds every session that is there.
        kept = kept_here() if user == READER and database is None else None
        taken = kept.take(key, login) if kept is not None else None
        connection = taken or await to(key[1])
        if kept is not None and connection.known_types is None:
            connection.known_types = {}
        try:
            await limit(connection, limits.timeout)
            if connection.on_reader and not await _up_to_date(connection, cluster.id, must_show):
                await connection.close()
                connection, kept = await to("writer"), None
            yield connection
        except BaseException:
            kept = None
            raise
        finally:
            if kept is not None and not connection.closed:
                kept.give(key, connection)
            else:
                with anyio.CancelScope(shield=True):
                    await connection.close()


async def _up_to_date(connection: Connection, cluster: str, must_show: int | None) -> bool:
    """Whether a session at a reader is one that has begun, and reads, behind what was written."""
    shown = await shows(connection, must_show or NOTHING)
    return shown and connection.login == WRITTEN.login(cluster)


@asynccontextmanager
async def _connected_elsewhere(database: ExistingDatabase) -> AsyncIterator[Connection]:
    """A connection to a database that is not ours. Nothing is SET in its session.

    Behind a pooler the session is somebody else's a moment later; what a read needs to be set is
    set for its transaction (`checks.begin`).
    """
    dsn = await to_thread.run_sync(database.dsn)
    async with CONNECTIONS:
        connection: Connection = await aconnect_to_read(dsn, Connection, **CONNECTING)
        connection.dsn = dsn
        connection.server_pid = await _pid_if_it_stays(connection)
        connection.grant_advice = GRANT_ADVICE_ELSEWHERE.format(connection.info.user)
        try:
            yield connection
        finally:
            with anyio.CancelScope(shield=True):
                await connection.close()


async def _pid_if_it_stays(connection: Connection) -> int:
    """The process that serves a connection; 0 behind a pooler, where the next one may be another's.

    A session is only ended by force when it is surely our own.
    """
    cursor = await connection.execute("select pg_catalog.pg_backend_pid()")
    (pid,) = await cursor.fetchone() or (0,)
    return int(pid) if pid == connection.info.backend_pid else 0


@asynccontextmanager
async def reading(
    cluster: Database, database: str | None, limits: Limits
) -> AsyncIterator[Connection]:
    """A connection of the read-only role, for `fetched`, which begins a READ ONLY transaction."""
    async with connected(cluster, database, limits, user=READER) as connection:
        yield connection


@asynccontextmanager
async def describing(
    cluster: Database, database: str | None, limits: Limits
) -> AsyncIterator[Connection]:
    """One inside a READ ONLY transaction, for statements of our own about the catalog."""
    async with reading(cluster, database, limits) as connection:
        await arun(connection, own_names(checks.beginning(limits)))
        yield connection


@asynccontextmanager
async def examining(
    cluster: Database, database: str | None, limits: Limits
) -> AsyncIterator[Connection]:
    """As `describing`, of the writer and as the master user, whom the statistics are shown to.

    No name is looked for outside of pg_catalog, whatever there is.
    """
    async with connected(cluster, database, limits) as connection:
        await arun(connection, pinned_names(checks.beginning(limits)))
        yield connection


async def query(connection: Connection, sql: str, limits: Limits) -> QueryResult:
    """Run one statement that passes the guard, on a connection from `reading`.

    Stops the server as soon as the limits are reached. Raises RefusedError for what the guard or
    PostgreSQL refuses, nearest names included, and psycopg.Error for a lost connection.
    """
    answer = await fetched(connection, sql, limits)
    collected = Collected(limits, list(answer.fields), truncated=answer.truncated)
    types = await _types_of(connection, {(oid, modifier) for _, oid, modifier in answer.fields})
    return await result_of(connection, collected, answer.texts, answer.seconds, types)


async def _types_of(connection: Connection, wanted: set[tuple[int, int]]) -> TypeNames:
    """The names of some types. Those of PostgreSQL's own stay with a connection that is kept."""
    known = connection.known_types
    if known is not None and wanted <= known.keys():
        return known
    await connection.execute("rollback; deallocate all")
    found = await type_names(connection, list(wanted))
    if known is not None and len(known) < TYPES_KNOWN:
        known |= {key: name for key, name in found.items() if key[0] < FIRST_USER_OID}
    return found


async def fetched(connection: Connection, sql: str, limits: Limits) -> Fetched:
    """The rows of one statement that passes the guard, as text; its transaction stays open.

    Raises as `query` does.
    """
    try:
        checked = await arun(connection, checks.check(sql, limits, begins=True))
        return await arun(connection, checks.fetch(checked, limits, values=False))
    except ForbiddenError as refused:
        if isinstance(refused.__cause__, InsufficientPrivilege):
            raise SqlRefusedError(f"{refused}: {connection.grant_advice}") from refused
        raise
    except QueryTimeoutError as late:
        raise QueryTimeoutError(f"{late}, or raise timeout_seconds") from late


BeforeCommit = Callable[[Connection], Awaitable[None]]


async def execute(
    connection: Connection,
    cluster: str,
    sql: str,
    parameters: Sequence[Parameter],
    limits: Limits,
    before_commit: BeforeCommit | None = None,
) -> ExecutionResult:
    """Run a script. Without parameters it may hold several statements, which are one transaction.

    cluster: the resource id of the one that it runs on. before_commit: what else is done in its
    transaction, which one statement alone gets then too.
    Rows past the limits are read and dropped, for stopping the server would undo the work.
    Raises psycopg.Error; SqlRefusedError for COPY from the client, and for a script that begins,
    ends or divides its transaction; StatementLostError where the connection ended meanwhile.
    """
    try:
        result = await _execute(connection, sql, parameters, limits, before_commit)
    except psycopg.OperationalError as error:
        WRITTEN.note(cluster, None)
        if not connection_lost(error):
            raise
        raise StatementLostError(
            "the connection to the cluster ended while the SQL ran, so it may be done or not: look "
            "at the data before you send it again"
        ) from error
    await _note_written(connection, cluster)
    return result


async def _note_written(connection: Connection, cluster: str) -> None:
    """What a session has written, later reads of this server show."""
    asked = WRITTEN_TO if connection.info.host.endswith(LOCAL) else WRITTEN_ELSEWHERE
    lsn = login = None
    with suppress(psycopg.Error):  # then reads ask the writer
        lsn, login = await (await connection.execute(asked)).fetchone() or (None, None)
    WRITTEN.note(cluster, lsn, login)


async def _execute(
    connection: Connection,
    sql: str,
    parameters: Sequence[Parameter],
    limits: Limits,
    before_commit: BeforeCommit | None,
) -> ExecutionResult:
    whole = await to_thread.run_sync(sql_script.read, sql)
    if before_commit is not None and whole.own_transaction:
        raise SqlRefusedError("this is one transaction by itself: leave BEGIN and COMMIT out")
    in_transaction = whole.needs_a_transaction or before_commit is not None
    notices: list[str] = []
    connection.add_notice_handler(
        lambda diagnostic: notices.append(f"{diagnostic.severity}: {diagnostic.message_primary}")
    )
    started = time.perf_counter()
    if in_transaction:
        await connection.execute("begin")
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
    if before_commit is not None:
        await before_commit(connection)
    listed = statements[:STATEMENTS_LISTED]
    fields = [(oid, mod) for *_, found in listed for _, oid, mod in found.fields]
    try:
        types = await type_names(connection, fields)
    except psycopg.Error as error:
        if in_transaction:
            raise
        raise ResultLostError(RESULT_LOST) from error
    if in_transaction:
        await connection.execute("commit")
    more = len(statements) - len(listed)
    return ExecutionResult(
        statements=[_told(*each, types) for each in listed],
        note=f"{more} more statements were executed, and are not listed" if more else None,
        notices=[clip(each, NOTICE_CHARACTERS) for each in notices[:STATEMENTS_LISTED]],
        elapsed_ms=_milliseconds_since(started),
    )


def _told(tag: str, affected: int | None, found: Collected, types: TypeNames) -> StatementResult:
    rows = found.rendered(types)
    wrote = affected is not None and tag.partition(" ")[0] in WRITES
    return StatementResult(
        command=tag,
        affected_rows=affected,
        columns=found.columns,
        types=found.types(types),
        rows=rows,
        note=found.note_of_a_write(affected or 0) if wrote else found.note,
    )


async def with_nearest_names(connection: Connection, error: psycopg.Error) -> NL2SQLError:
    """What PostgreSQL said, with the tables or columns most like one that is missing.

    Raises the error itself when it is no judgement on the statement (a lost connection).
    """
    return await arun(connection, refusal(error))


PARTS = frozenset({pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_CHUNK})
COPYING = frozenset({pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH})


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
        texts = await as_texts(connection, statement, parameters)
        connection.pgconn.send_query_params(statement, texts)
    wire.some_rows_at_a_time(connection.pgconn)
    await connection.wait(generators.send(connection.pgconn))
    while (result := await connection.wait(generators.fetch(connection.pgconn))) is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            await connection.wait(wire.drain(connection.pgconn))
            raise error_from_result(result, encoding="utf-8")
        if result.status == pq.ExecStatus.EMPTY_QUERY:
            raise SqlRefusedError("the SQL is empty: there is nothing but comments or spaces in it")
        yield result


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
