"""Compares the databases of two clusters: who reads them, for how long, and in which thread.

Readers of a comparison go straight to PostgreSQL as the master user, and count as clients: their
clusters do not pause meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from typing import TypeVar

import psycopg

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.diff.data.reading import compare_rows
from cluster_runtime.diff.results import ComparedDatabase, DataDiff, Method, SchemaDiff
from cluster_runtime.diff.schema.comparing import compare, unified
from cluster_runtime.diff.schema.objects import KINDS
from cluster_runtime.diff.schema.reading import read_objects
from cluster_runtime.diff.session import DatabaseAddress, Reading, Sides, open_both
from cluster_runtime.errors import EngineError, InvalidParameterError, StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.live.log_source import changed_since_parted

_log = get_logger(__name__)

T = TypeVar("T")

CANCEL_AGAIN_SECONDS = 0.5
LOG_BYTES_MAX = 256 << 20
"""More log than that takes longer to read here than tables take to hash."""
_COMMIT = "select pg_catalog.pg_logical_emit_message(true, 'borealis diff', '')"
"""A commit returns when it is durable, and all the log before it."""
_OID = "select oid::int8 from pg_catalog.pg_database where datname = current_database()"
_DATABASE = """
select 1 from pg_catalog.pg_database
 where datname operator(pg_catalog.=) %s and datallowconn
"""


async def describe_schema_diff(
    source: HostedCluster, target: HostedCluster, databases: tuple[str | None, str | None]
) -> SchemaDiff:
    """What has to happen to the schema of the source. databases: of both, None for their own.

    Raises InvalidParameterError for a database that is not there, EngineError, StorageError.
    """
    ours, theirs = _compared(source, target, databases)

    def work(here: Reading, there: Reading) -> SchemaDiff:
        changes = compare(*Sides(here, there).both(read_objects), KINDS)
        text = unified(changes, _label(ours), _label(theirs))
        return SchemaDiff(ours, theirs, changes, text)

    return await _with_both((source, ours), (target, theirs), work)


async def describe_data_diff(
    source: HostedCluster,
    target: HostedCluster,
    databases: tuple[str | None, str | None],
    tables: tuple[str, ...],
    max_rows: int,
) -> DataDiff:
    """What has to happen to the rows of the source. Raises as `describe_schema_diff`.

    tables: only these, where some are named. max_rows: how many rows to show of each.
    """
    ours, theirs = _compared(source, target, databases)

    async def settle() -> None:
        # Whatever the two snapshots show has to be in the logs before those are read.
        if source is not target:
            for cluster in (source, target):
                await cluster.writer.execute(_COMMIT)

    def work(here: Reading, there: Reading) -> DataDiff:
        changed = None if source is target else _changed(source, target, here, there)
        found, sequences = compare_rows(here, there, tables, max_rows, changed)
        differ = tuple(each for each in found if each.differs)
        method: Method = "hash" if changed is None else "log"
        return DataDiff(ours, theirs, len(found), differ, tuple(sequences), method)

    return await _with_both((source, ours), (target, theirs), work, settle)


def _compared(
    source: HostedCluster, target: HostedCluster, databases: tuple[str | None, str | None]
) -> tuple[ComparedDatabase, ComparedDatabase]:
    ours, theirs = databases
    return (
        ComparedDatabase(source.identifier, ours or source.db_cluster.database_name),
        ComparedDatabase(target.identifier, theirs or ours or target.db_cluster.database_name),
    )


def _label(database: ComparedDatabase) -> str:
    return f"{database.db_cluster_identifier}/{database.database_name}"


def _changed(
    source: HostedCluster, target: HostedCluster, here: Reading, there: Reading
) -> dict[int, set[int]] | None:
    """Blocks of the database, by file, that one side has changed since both were one.

    None where they never were, or where the logs do not tell.
    """
    databases = [session.conn.execute(_OID).fetchone() for session in (here, there)]
    if databases[0] is None or databases[0] != databases[1]:
        return None
    try:
        with (
            source.instances.storage.used() as ours,
            target.instances.storage.used() as theirs,
        ):
            changed = changed_since_parted(ours.log, theirs.log, LOG_BYTES_MAX)
    except StorageError as error:
        _log.warning("rows are compared by hash: a log cannot be read", error=str(error))
        return None
    if changed is None:
        return None
    (oid,) = databases[0]
    return {file.number: blocks for file, blocks in changed.items() if file.database == oid}


async def _with_both(
    source: tuple[HostedCluster, ComparedDatabase],
    target: tuple[HostedCluster, ComparedDatabase],
    work: Callable[[Reading, Reading], T],
    settle: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """Have a thread work with a session on each side. Whoever is cancelled cancels the work.

    settle: awaited when both have their snapshots.
    """
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(_kept_awake(*source))
        theirs = await stack.enter_async_context(_kept_awake(*target))
        sessions = ExitStack()
        stack.push_async_callback(in_thread, sessions.close)
        try:
            here, there = await in_thread(open_both, sessions, ours, theirs)
            if settle is not None:
                await settle()
            return await _cancelled_with_us(partial(work, here, there), (here, there))
        except psycopg.Error as error:
            raise EngineError(
                f"{_label(source[1])} and {_label(target[1])} could not be compared: {error}"
            ) from error


async def _cancelled_with_us(work: Callable[[], T], sessions: tuple[Reading, ...]) -> T:
    running = asyncio.ensure_future(in_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        # A cancel ends one statement; what comes between two ends soon by itself.
        while not running.done():
            for session in sessions:
                await in_thread(session.cancel)
            await asyncio.wait({running}, timeout=CANCEL_AGAIN_SECONDS)
        running.exception()  # seen: whoever left does not want to know
        raise


@asynccontextmanager
async def _kept_awake(
    cluster: HostedCluster, database: ComparedDatabase
) -> AsyncIterator[DatabaseAddress]:
    """A database of a cluster that runs, and goes on running."""
    await cluster.settled()
    cluster.require_writer()
    watch = cluster.watch
    if watch is not None:
        watch.opened()
    try:
        socket = await cluster.writer.ensure_running()
        if not await cluster.writer.execute(_DATABASE, database.database_name):
            raise InvalidParameterError(
                f"cluster {cluster.identifier!r} has no database {database.database_name!r}"
            )
        yield DatabaseAddress(
            _label(database),
            socket.parent,
            cluster.writer.major,
            cluster.db_cluster.master_username,
            database.database_name,
        )
    finally:
        if watch is not None:
            watch.closed()
