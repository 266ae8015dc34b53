"""Tools that try a write before it counts: a preview, and migrations that are kept account of."""

import hashlib
from dataclasses import replace
from typing import Annotated

import psycopg
from pydantic import Field

from cluster_runtime.control.plane import Cluster
from mcp_server.advice.findings import HIDDEN, may_hold_a_secret
from mcp_server.answers.pages import Answer
from mcp_server.databases.connections import Connection, interruptible
from mcp_server.errors import SqlRefusedError
from mcp_server.nl2sql.database.guard import own_tables
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.errors import UnknownNameError
from mcp_server.rendering import Json
from mcp_server.results import ExecutionResult
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import (
    BeforeCommit,
    connected,
    execute,
    fetched,
    reading,
)
from mcp_server.sql_errors import sql_error_text
from mcp_server.sql_script import pieces
from mcp_server.toolkit.arguments import ClusterName, DatabaseName, TimeoutSeconds
from mcp_server.toolkit.confirming import confirmed
from mcp_server.toolkit.definition import Effect, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.throwaway import on_a_branch
from mcp_server.toolkit.toolsets import Toolset
from mcp_server.toolkit.undoing import behind_a_point, judged_on, warning
from mcp_server.toolkit.uris import tables_uri
from mcp_server.tools.branches import table_told

ROWS_SHOWN = 20
COMMITS_OF_A_DATA_DIFF = 1
"""In its source: a mark in the log, up to which everything is durable."""

LOCKS = """
select c.oid::pg_catalog.regclass::pg_catalog.text, l.mode
from pg_catalog.pg_locks l join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) l.relation
where l.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()
  and c.relkind operator(pg_catalog.=) any('{r,p,v,m,f}'::pg_catalog."char"[])
  and c.relnamespace operator(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace
order by 1, 2
"""
ACCOUNT = """
create schema if not exists borealis_migrations;
create table if not exists borealis_migrations.applied (
  name pg_catalog.text primary key,
  sql pg_catalog.text not null,
  digest pg_catalog.text not null,
  applied pg_catalog.timestamptz not null default pg_catalog.now()
)
"""
APPLIED_MAX = 100_000
KEPT_IN = "borealis_migrations", "applied"
ANOTHERS = (
    "borealis_migrations.applied, its schema, or something on it is another role's, so nothing was "
    "done: whoever owns it drops it or gives it to this role"
)
APPLIED = "insert into borealis_migrations.applied (name, sql, digest) values (%s, %s, %s)"
LIST = (
    "select name, applied::pg_catalog.text, digest from borealis_migrations.applied "
    "order by applied, name"
)
QUIET = "set local client_min_messages = error"

Change = Annotated[str, Field(description="One transaction by itself, without BEGIN and COMMIT")]


@tool(title="Preview a write", toolset=Toolset.WRITES, effect=Effect.ADDS)
async def preview_write(
    call: Call,
    cluster: ClusterName,
    sql: Change,
    timeout_seconds: TimeoutSeconds = 60,
    database: DatabaseName = None,
) -> Answer:
    """Run a write on a throw-away branch, and tell what it would change; the cluster is untouched.

    Rows before and after, locks taken, time, and tables that change without being named.
    """
    handle = await call.cluster(cluster)
    limits = limits_of_a_call(ROWS_SHOWN, timeout_seconds)
    locks: list[Json] = []

    async def look(connection: Connection) -> None:
        rows = await (await connection.execute(LOCKS)).fetchall()
        locks[:] = [list(row) for row in rows]

    async with call.progress.during("previewing"):
        done, found = await on_a_branch(
            call,
            handle,
            lambda branch: _run(branch, sql, database, limits, look),
            lambda source, branch: call.plane.describe_data_diff(
                source, branch, database_name=database, max_rows=ROWS_SHOWN
            ),
            seconds=timeout_seconds,
            commits=COMMITS_OF_A_DATA_DIFF,
        )
    words = {token.text for statement in pieces(sql) for token in statement}
    cascades = [each.name for each in found.tables if each.name.rpartition(".")[2] not in words]
    told: dict[str, Json] = {
        "rows_touched": [each.affected_rows for each in done.statements],
        "elapsed_ms": done.elapsed_ms,
        "locks": locks,
        **({"changes_without_being_named": cascades} if cascades else {}),
        "row_fields": ["change", "before", "after"],
    }
    return Answer(
        [table_told(each) for each in found.tables],
        lambda items, first: {**(told if first else {}), "tables": list(items)},
        fenced=True,
    )


@tool(title="Apply a migration", toolset=Toolset.WRITES, effect=Effect.DESTROYS)
async def apply_migration(
    call: Call,
    cluster: ClusterName,
    name: Annotated[str, Field(min_length=1, max_length=200, description="Of this change, new")],
    sql: Change,
    timeout_seconds: TimeoutSeconds = 60,
    database: DatabaseName = None,
) -> Answer:
    """Change a schema: on a branch first, then, if that went well, on the cluster, for the account.

    All of it happens, behind a restore point, or nothing.
    """
    handle = await call.cluster(cluster)
    limits = limits_of_a_call(ROWS_SHOWN, timeout_seconds)
    if any(known == name for known, *_ in await _applied(handle, database, limits)):
        raise SqlRefusedError(f"migration {name!r} was applied already; nothing was done")
    judged = await judged_on(handle, sql, database, limits)
    if judged.reasons:
        await confirmed(call, await warning(call, handle, judged), handle.id)
    digest = hashlib.sha256(sql.encode()).hexdigest()[:16]

    async def account(connection: Connection) -> None:
        await connection.execute(QUIET)
        await connection.execute(ACCOUNT, prepare=False)
        await connection.execute(own_tables.lock(*KEPT_IN), prepare=False)
        if not await (await connection.execute(own_tables.is_own(*KEPT_IN).encode())).fetchone():
            raise SqlRefusedError(ANOTHERS)
        # Readers of the database may read it, and so may who has a backup.
        kept = HIDDEN if may_hold_a_secret(sql) else sql
        await connection.execute(APPLIED, [name, kept, digest])

    async def tried(branch: Cluster) -> None:
        try:
            await _run(branch, sql, database, limits, account)
        except psycopg.Error as error:
            raise SqlRefusedError(
                f"on a branch it failed, so nothing was done: {sql_error_text(error)}"
            ) from error

    async with call.progress.during("trying it on a branch"):
        _, found = await on_a_branch(
            call,
            handle,
            tried,
            lambda source, branch: call.plane.describe_schema_diff(
                source, branch, database_name=database
            ),
            seconds=timeout_seconds,
            commits=0,
        )
    async with call.progress.during("applying it"):
        done = await behind_a_point(
            call, handle, judged, lambda: _run(handle, sql, database, limits, account)
        )
    await call.platform.changes.of(tables_uri(handle.identifier))
    lines = [
        f"{each.change} {each.kind} {each.name}"
        for each in found.changes
        if "borealis_migrations" not in each.name
    ]
    notes = () if done.undo is None else (done.undo,)
    return Answer.lines([f"applied {name}", *lines], notes=notes)


@tool(title="List migrations", toolset=Toolset.WRITES, effect=Effect.READS)
async def list_migrations(
    call: Call, cluster: ClusterName, database: DatabaseName = None
) -> Answer:
    """List what apply_migration did to a database, the oldest first."""
    handle = await call.cluster(cluster)
    rows = await _applied(handle, database, limits_of_a_call())
    return Answer(
        [list(row) for row in rows],
        lambda items, _: {"columns": ["name", "applied", "digest"], "rows": list(items)},
        fenced=True,
    )


async def _run(
    cluster: Cluster, sql: str, database: str | None, limits: Limits, last: BeforeCommit
) -> ExecutionResult:
    async with connected(cluster, database, limits) as connection:
        work = execute(connection, cluster.id, sql, (), limits, last)
        return await interruptible(connection, work, limits.timeout)


async def _applied(
    cluster: Cluster, database: str | None, limits: Limits
) -> list[tuple[str, str, str]]:
    """Read as any query is: somebody may have put a view in its place."""
    every = replace(limits, rows=APPLIED_MAX, bytes=64 << 20)
    async with reading(cluster, database, every) as connection:
        try:
            found = await fetched(connection, LIST, every)
        except UnknownNameError:
            return []
    return [(str(name), str(applied), str(digest)) for name, applied, digest in found.texts]


TOOLS = (preview_write, apply_migration, list_migrations)
