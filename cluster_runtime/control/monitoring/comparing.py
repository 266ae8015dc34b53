"""Compares the databases of two clusters: who reads them, for how long, and in which thread.

Readers of a comparison go straight to PostgreSQL as the master user, and count as clients: their
clusters do not pause meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import psycopg

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.diff.data.reading import compare_rows
from cluster_runtime.diff.results import ComparedDatabase, DataDiff, SchemaDiff
from cluster_runtime.diff.schema.comparing import compare, unified
from cluster_runtime.diff.schema.objects import KINDS
from cluster_runtime.diff.schema.reading import read_objects
from cluster_runtime.diff.session import DatabaseAddress, Reading, reading
from cluster_runtime.errors import EngineError, InvalidParameterError

T = TypeVar("T")

CANCEL_AGAIN_SECONDS = 0.5
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
        changes = compare(read_objects(here), read_objects(there), KINDS)
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

    def work(here: Reading, there: Reading) -> DataDiff:
        found, sequences = compare_rows(here, there, tables, max_rows)
        differ = tuple(each for each in found if each.differs)
        return DataDiff(ours, theirs, "hash", len(found), differ, tuple(sequences))

    return await _with_both((source, ours), (target, theirs), work)


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


async def _with_both(
    source: tuple[HostedCluster, ComparedDatabase],
    target: tuple[HostedCluster, ComparedDatabase],
    work: Callable[[Reading, Reading], T],
) -> T:
    """Have a thread work with a session on each side. Whoever is cancelled cancels the work."""
    sessions: list[Reading] = []

    def run() -> T:
        try:
            with reading(ours) as here, reading(theirs) as there:
                sessions.extend((here, there))
                return work(here, there)
        except psycopg.Error as error:
            raise EngineError(
                f"{_label(source[1])} and {_label(target[1])} could not be compared: {error}"
            ) from error

    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(_kept_awake(*source))
        theirs = await stack.enter_async_context(_kept_awake(*target))
        running = asyncio.ensure_future(in_thread(run))
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
