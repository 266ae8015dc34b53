"""Sessions of our clusters: how one begins, how far it shows the log, and how it is made as new.

What a session begins with (`ALTER ROLE ... SET` and its kin) it keeps for good. So it knows a
digest of that, and one that is kept is taken again only where a new one would begin with the same.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import psycopg
from anyio import to_thread
from psycopg.adapt import Transformer
from psycopg.conninfo import conninfo_to_dict

from cluster_runtime.engine.access.roles import READER
from mcp_server.databases.connections import Connection, connect, promptly
from mcp_server.databases.existing import Database
from mcp_server.databases.written import NOTHING
from mcp_server.nl2sql.database import wire
from mcp_server.sql_errors import connection_lost

T = TypeVar("T")

HOSTS_MAX = 4
"""Hosts that a call meets one after the other, before it gives up."""
LOCAL = ".localhost"
READER_SECONDS = 2.0
"""How long a reader may take to show what this server has written; then the writer is asked."""
READER_POLL_SECONDS = 0.003
ANSWERS_SECONDS = 5.0
"""What a server may take for a few settings before it counts as one that hangs."""
KEPT_SECONDS = 30.0
"""The time limit of statements that a kept session waits with: what most calls ask for."""

SETTINGS = "set datestyle = 'ISO'; set bytea_output = 'hex'; set standard_conforming_strings = on; "
TIME_LIMIT = "set statement_timeout = {}; "
AS_ITSELF = "set role none; "
WIPE = (
    "rollback; close all; set session authorization default; reset all; deallocate all; "
    "unlisten *; select pg_catalog.pg_advisory_unlock_all(); discard plans; discard temp; "
    "discard sequences; select pg_catalog.setseed(pg_catalog.hashtext("
    "pg_catalog.gen_random_uuid()::pg_catalog.text) operator(pg_catalog./) "
    "2147483648::pg_catalog.float8); "
)
"""What DISCARD ALL does, as its page in the manual has it, in one round trip; and another seed."""
LOGIN = f"""(
select pg_catalog.hashtextextended(pg_catalog.concat(
    (select pg_catalog.string_agg(s::pg_catalog.text, ' ' order by s.setdatabase, s.setrole)
     from pg_catalog.pg_db_role_setting s),
    (select pg_catalog.concat_ws(' ', r.rolcanlogin, r.rolvaliduntil) from pg_catalog.pg_roles r
     where r.rolname operator(pg_catalog.=) '{READER}'),
    (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', d.oid, d.datallowconn, d.datacl), ' '
                                  order by d.oid) from pg_catalog.pg_database d)), 0))"""
"""A digest of what decides whether a reader's session begins, and with which settings."""
FACTS = (
    "select pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(), "
    f"pg_catalog.pg_postmaster_start_time()::pg_catalog.text, {LOGIN}"
)
REPLAYED = (
    "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::pg_catalog.int8"
)


async def opened(
    cluster: Database, endpoint: str, seconds: float, *, user: str | None, dbname: str | None
) -> Connection:
    """A new session at an endpoint. seconds: what its statements may take.

    Nothing of the caller's was sent yet, so where the host has gone, the next one is asked.
    """
    first = AS_ITSELF if user == READER else ""
    settings = f"{first}{SETTINGS}{_time_limit(seconds)}{FACTS}"

    async def once() -> Connection:
        # In a thread: making a token reads a file, and a host elsewhere may take a while.
        dsn = await to_thread.run_sync(lambda: _dsn(cluster, endpoint, user=user, dbname=dbname))
        connection = await connect(dsn)
        try:
            facts = await _last_row(connection, settings)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await connection.close()
            raise
        (
            connection.server_pid,
            connection.on_reader,
            connection.server,
            connection.login,
        ) = facts
        connection.seconds = seconds
        return connection

    return await asked_again(once)


async def limit(connection: Connection, seconds: float) -> None:
    """Have the server stop statements of a session after so many seconds. Raises psycopg.Error."""
    if connection.seconds != seconds:
        text = _time_limit(seconds).encode()
        await promptly(connection, connection.execute(text, prepare=False), ANSWERS_SECONDS)
        connection.seconds = seconds


async def wiped(connection: Connection) -> bool:
    """Make a reader's session as it was when it began; False where a new one begins otherwise now.

    Raises psycopg.Error, also for a server that does not answer, which is hung up on.
    """
    text = f"{WIPE}{AS_ITSELF}{SETTINGS}{_time_limit(KEPT_SECONDS)}{FACTS}"
    *_, login = await promptly(connection, _last_row(connection, text), ANSWERS_SECONDS)
    connection.seconds = KEPT_SECONDS
    return bool(login == connection.login)


async def shows(connection: Connection, lsn: int) -> bool:
    """Wait until a reader shows the log up to an LSN; False where that takes too long."""
    deadline = time.monotonic() + READER_SECONDS
    while lsn > NOTHING:
        (replayed,) = await (await connection.execute(REPLAYED)).fetchone() or (0,)
        if replayed >= lsn:
            break
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(READER_POLL_SECONDS)
    return True


async def asked_again(read: Callable[[], Awaitable[T]]) -> T:
    """What a call returns that may be sent again: where the host has gone, the next one is asked.

    Raises what the call does.
    """
    for _ in range(HOSTS_MAX - 1):
        try:
            return await read()
        except psycopg.Error as error:
            if not connection_lost(error):
                raise
    return await read()


def _time_limit(seconds: float) -> str:
    return TIME_LIMIT.format(int(seconds * 1000))


async def _last_row(connection: Connection, statements: str) -> tuple[int, bool, str, int]:
    """What the last of several statements returns, in one round trip. Raises psycopg.Error."""
    adapter = Transformer(connection)
    rows = await connection.wait(wire.script(connection.pgconn, statements, adapter))
    (pid, on_reader, server, login) = rows[0] if rows else (0, False, "", 0)
    return pid, on_reader, server, login


def _dsn(cluster: Database, endpoint: str, *, user: str | None, dbname: str | None) -> str:
    """Of an endpoint; elsewhere than on this machine the writer's alone tells what it shows."""
    dsn = cluster.dsn(endpoint, user=user, dbname=dbname)
    if endpoint == "reader" and not str(conninfo_to_dict(dsn).get("host")).endswith(LOCAL):
        return cluster.dsn("writer", user=user, dbname=dbname)
    return dsn
