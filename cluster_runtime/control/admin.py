"""The runtime's own connection to an instance, kept open, one statement at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster_runtime.engine.access.admin_session import ADMIN_DATABASE, admin_conninfo
from cluster_runtime.engine.access.names import read_any_name
from cluster_runtime.engine.access.private_socket import SETTLED
from cluster_runtime.errors import EngineError

ADMIN_TIMEOUT_S = 15.0
INSIDE_TIMEOUT = "set statement_timeout = '60s'"

Statement = LiteralString | sql.Composed


class AdminConnection:
    """A session of the bootstrap superuser in `rdsadmin` (`engine.access.admin_session`).

    database: another one only while a cluster of an older release lacks `rdsadmin`.
    """

    def __init__(self, socket_directory: Path, major: int) -> None:
        self.database = ADMIN_DATABASE
        self._socket_directory = socket_directory
        self._major = major
        self._conn: psycopg.AsyncConnection[TupleRow] | None = None
        self._lock = asyncio.Lock()

    async def execute(self, statement: Statement, *values: object) -> list[TupleRow]:
        """Run a statement on a server that runs; return its rows.

        Raises psycopg.Error, and EngineError where the server does not answer in time.
        """
        async with self._lock:
            try:
                return await self._execute(statement, values)
            except psycopg.OperationalError:
                if self._conn is not None and not self._conn.closed:
                    raise
                # The connection outlived a restart of the server: a new one tells whether it is up.
                await self._drop()
                return await self._execute(statement, values)

    async def use(self, database: str) -> None:
        """Let the next statements run in another database."""
        async with self._lock:
            await self._drop()
            self.database = database

    @asynccontextmanager
    async def inside(self, database: str) -> AsyncIterator[psycopg.AsyncConnection[TupleRow]]:
        """A session inside a tenant's database, with nothing of the tenant's within its reach."""
        async with asyncio.timeout(ADMIN_TIMEOUT_S):
            conn = await self._connect(database)
            # Whatever was put in the place of what it calls there ends some time.
            await conn.execute(INSIDE_TIMEOUT)
        try:
            yield conn
        finally:
            await conn.close()

    async def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        # Never under a statement: whoever waits for a closed socket waits forever.
        async with self._lock:
            await self._drop()

    async def _execute(self, statement: Statement, values: tuple[object, ...]) -> list[TupleRow]:
        try:
            async with asyncio.timeout(ADMIN_TIMEOUT_S):
                if self._conn is None:
                    self._conn = await self._connect(self.database)
                cursor = await self._conn.execute(statement, values or None)
                return await cursor.fetchall() if cursor.description else []
        except TimeoutError as error:
            await self._drop()
            raise EngineError(
                f"PostgreSQL at {self._socket_directory} did not answer the runtime "
                f"within {ADMIN_TIMEOUT_S:g} s"
            ) from error

    async def _connect(self, database: str) -> psycopg.AsyncConnection[TupleRow]:
        found = await psycopg.AsyncConnection.connect(
            admin_conninfo(self._socket_directory, self._major, database), autocommit=True
        )
        read_any_name(found)
        await found.execute(SETTLED)
        return found

    async def _drop(self) -> None:
        if self._conn is not None:
            await self._conn.close()
            self._conn = None
