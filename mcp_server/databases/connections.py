"""A connection of one call: made, and cancelled or ended when nobody waits for it."""

import asyncio
import math
import os
import socket
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import psycopg
import structlog

from cluster_runtime.engine.access.roles import READER
from mcp_server.errors import ResultLostError
from mcp_server.nl2sql.errors import QueryTimeoutError
from mcp_server.rows import TypeNames

T = TypeVar("T")

log = structlog.get_logger(__name__)

GRANT_ADVICE = (
    f"reading tools connect as {READER}, which sees what the master user creates; for objects of "
    f"other roles, GRANT SELECT ON ... TO {READER} and USAGE ON SCHEMA ..."
)
CONNECT_SECONDS = 30
CANCEL_SECONDS = 5.0
GRACE_SECONDS = 0.5
"""What the server's own clock has before that of the call strikes."""
LISTENS_SECONDS = 0.5
"""What a statement that nobody waits for has to heed its cancellation."""
TERMINATE = "select pg_catalog.pg_terminate_backend(%s)"
SERVER = "select pg_catalog.pg_postmaster_start_time()::pg_catalog.text"
SERVERS_MAX = 32
"""Twice as many as a reader endpoint leads to, which takes them in turn."""


class Connection(psycopg.AsyncConnection[Any]):
    """A connection of one call. dsn, server_pid: how its session can be ended from another; 0 where
    it cannot.

    on_reader: whether it is one to a reader. server: which of a cluster's servers it leads to.
    login: a digest of what its session began with. seconds: when its server stops a statement.
    grant_advice: what to do when its role may not read something. known_types: names of
    PostgreSQL's own types; None of a connection that is not kept.
    """

    dsn: str
    server_pid: int
    on_reader: bool = False
    server: str = ""
    login: int = 0
    seconds: float = math.inf
    grant_advice: str = GRANT_ADVICE
    known_types: TypeNames | None = None


CONNECTING: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "borealis mcp",
    "client_encoding": "utf8",
}


async def connect(dsn: str) -> Connection:
    """A connection that knows how it was made. Raises psycopg.OperationalError."""
    connection = await Connection.connect(
        dsn, autocommit=True, prepare_threshold=None, **CONNECTING
    )
    connection.dsn = dsn
    return connection


async def promptly(connection: Connection, work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Await short work of our own. A server that is silent for so long is hung up on.

    Raises psycopg.Error, also then.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        if not task.done():
            with anyio.CancelScope(shield=True):
                await _hung_up(connection, task)
            task.exception()  # seen, also where the caller has gone
    return task.result()


async def interruptible(
    connection: Connection, work: Coroutine[Any, Any, T], seconds: float = math.inf
) -> T:
    """Await work on a connection; when the caller goes away, its statement is cancelled.

    The work is a task of its own, cancelled once. Inside the caller's cancel scope psycopg would
    be cancelled again while it tells the server to stop, and the server would go on for nobody.
    seconds: when they are over the statement is cancelled too, and a session that goes on all the
    same is ended. Raises QueryTimeoutError then.
    """
    task = asyncio.ensure_future(work)
    try:
        patience = None if math.isinf(seconds) else seconds + GRACE_SECONDS
        done, _ = await asyncio.wait([task], timeout=patience)
        if not done:
            await _stop(connection, task)
            failed = task.exception()
            if failed is not None and not isinstance(failed, ResultLostError):
                raise QueryTimeoutError(
                    f"timeout: the call took more than {seconds:g} s, so it was cancelled and its "
                    "transaction rolled back; narrow the statement, or raise timeout_seconds"
                ) from failed
        return task.result()
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await _ended(connection, task)
        if not task.cancelled():
            task.exception()  # seen: what became of it is of interest to nobody
        raise


async def _ended(connection: Connection, task: "asyncio.Future[Any]") -> None:
    """Wait for the end of work that was cancelled; SQL that has caught that is ended by force."""
    done, _ = await asyncio.wait([task], timeout=LISTENS_SECONDS)
    if not done:
        await _forced(connection, task)


async def _stop(connection: Connection, task: "asyncio.Future[Any]") -> None:
    """Cancel what a connection runs; end its session where SQL has caught that and goes on."""
    try:
        await connection.cancel_safe(timeout=CANCEL_SECONDS)
    except psycopg.Error as error:
        log.warning("mcp.not_cancelled", error=type(error).__name__)
    done, _ = await asyncio.wait([task], timeout=CANCEL_SECONDS)
    if not done:
        await _forced(connection, task)


async def _forced(connection: Connection, task: "asyncio.Future[Any]") -> None:
    """End a session, where it is surely ours; a server that does not even do that is hung up on."""
    if connection.server_pid:
        try:
            await _terminate(connection)
        except psycopg.Error as error:
            log.warning("mcp.session_not_ended", error=type(error).__name__)
    done, _ = await asyncio.wait([task], timeout=CANCEL_SECONDS)
    if not done:
        await _hung_up(connection, task)


async def _hung_up(connection: Connection, task: "asyncio.Future[Any]") -> None:
    """Wait for the end of work for which the server seems to have gone.

    The socket is shut and not closed: whoever waits for it hears of the end, and nobody else gets
    its number meanwhile.
    """
    if not connection.closed:
        with (
            socket.socket(fileno=os.dup(connection.fileno())) as line,
            suppress(OSError),  # the other side was faster, and the end is there to be heard of
        ):
            line.shutdown(socket.SHUT_RDWR)
    await asyncio.wait([task])


async def _terminate(connection: Connection) -> None:
    """End a session from another one at the same server: its endpoint may lead to several."""
    for _ in range(SERVERS_MAX):
        async with await connect(connection.dsn) as another:
            (server,) = await (await another.execute(SERVER)).fetchone() or ("",)
            if server == connection.server:
                await another.execute(TERMINATE, [connection.server_pid])
                return
    await connection.close()
