"""An instance of a cluster on the event loop: started, paused and asked about its roles.

A transition at a time: callers that come while one is under way wait for its end.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster_runtime.control.instances import Instance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.engine.home import SOCKET_NAME
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.roles import SUPERUSER
from cluster_runtime.errors import EngineError
from cluster_runtime.gateway import LOGIN_QUERY, Login
from cluster_runtime.logs import get_logger

_log = get_logger(__name__)

ADMIN_TIMEOUT_S = 15.0
LOGIN_ATTEMPTS = 4
COMMIT_WAITS = "select 1 from pg_stat_activity where pid = %s and wait_event = 'SyncRep'"
ALL_LOGINS = "select rolname from pg_roles where rolcanlogin and not rolsuper"


class Compute:
    """An instance, and the runtime's own connection to it."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._transition = asyncio.Lock()
        self._admin: psycopg.AsyncConnection[TupleRow] | None = None
        self._admin_lock = asyncio.Lock()
        self._logins_while_paused: dict[str, Login] = {}
        self._on_start: Callable[[], None] = _nothing

    def on_start(self, call: Callable[[], None]) -> None:
        """Have `call` called, on the event loop, after each start."""
        self._on_start = call

    @property
    def socket(self) -> Path | None:
        """The socket file that PostgreSQL listens at; None while no process runs."""
        if not self._instance.running:
            return None
        return self._instance.socket_directory / SOCKET_NAME

    @property
    def knows_logins(self) -> bool:
        """Whether it is paused and remembers who may wake it."""
        return self.socket is None and bool(self._logins_while_paused)

    async def ensure_running(self) -> Path:
        """Start PostgreSQL where it does not run; return its socket file.

        Raises EngineError, StorageError.
        """
        async with self._transition:
            if self.socket is not None and self._instance.outdated:
                _log.warning("restarted: /etc/passwd was replaced", socket=str(self.socket))
                await self._stop(Shutdown.FAST)
            if self.socket is None:
                await self._close_admin()
                await in_thread(self._instance.start)
                self._logins_while_paused.clear()
                self._on_start()
            return self._instance.socket_directory / SOCKET_NAME

    async def pause(self, only_if: Callable[[], bool] = lambda: True) -> bool:
        """Stop PostgreSQL cleanly, and keep in mind who may log in, so that only they wake it.

        only_if: asked at the last moment, when no connect can come between. Returns whether it
        was stopped.
        """
        async with self._transition:
            if self.socket is None:
                return False
            try:
                self._logins_while_paused = await self._all_logins()
            except psycopg.Error as error:
                _log.warning("roles could not be read before a pause", error=str(error))
            if not only_if():
                return False
            await self._stop(Shutdown.FAST)
            return True

    async def stop(self, mode: Shutdown = Shutdown.FAST) -> None:
        async with self._transition:
            self._logins_while_paused.clear()
            await self._stop(mode)

    async def lose(self, destroy: Callable[[], None]) -> None:
        """Have `destroy`, which blocks, end the instance in a way that nobody asked for."""
        async with self._transition:
            await self._close_admin()
            self._logins_while_paused.clear()
            await in_thread(destroy)

    async def login(self, user: str) -> Login | None:
        """What credential a role may use; wakes a paused writer only for a role it may have."""
        if self.knows_logins:
            return self._logins_while_paused.get(user)
        for _ in range(LOGIN_ATTEMPTS - 1):
            await self.ensure_running()
            with suppress(psycopg.OperationalError):
                return await self._login(user)
            # It stopped between the two: wait for that, and start it again.
        await self.ensure_running()
        return await self._login(user)

    async def _login(self, user: str) -> Login | None:
        rows = await self.admin_execute(LOGIN_QUERY, user)
        return Login(*rows[0]) if rows else None

    async def waits_for_the_volume(self, pid: int) -> bool:
        """Whether a server process waits for its commit to become durable."""
        return self.socket is not None and bool(await self.admin_execute(COMMIT_WAITS, pid))

    async def admin_execute(
        self, statement: LiteralString | sql.Composed, *values: object
    ) -> list[TupleRow]:
        """Run a statement as the bootstrap superuser, on a writer that runs; return its rows."""
        async with self._admin_lock:
            try:
                return await self._execute(statement, values)
            except psycopg.OperationalError:
                # The connection outlived a restart of the server: a new one tells whether it is up.
                await self._drop_admin()
                return await self._execute(statement, values)

    async def _execute(
        self, statement: LiteralString | sql.Composed, values: tuple[object, ...]
    ) -> list[TupleRow]:
        try:
            async with asyncio.timeout(ADMIN_TIMEOUT_S):
                conn = await self._admin_connection()
                cursor = await conn.execute(statement, values or None)
                return await cursor.fetchall() if cursor.description else []
        except TimeoutError as error:
            await self._drop_admin()
            raise EngineError(
                f"PostgreSQL at {self._instance.socket_directory} did not answer the runtime "
                f"within {ADMIN_TIMEOUT_S:g} s"
            ) from error

    async def _all_logins(self) -> dict[str, Login]:
        found = {}
        for (name,) in await self.admin_execute(ALL_LOGINS):
            for row in await self.admin_execute(LOGIN_QUERY, name):
                found[name] = Login(*row)
        return found

    async def _stop(self, mode: Shutdown) -> None:
        await self._close_admin()
        await in_thread(self._instance.stop, mode)

    async def _admin_connection(self) -> psycopg.AsyncConnection[TupleRow]:
        if self._admin is None:
            self._admin = await psycopg.AsyncConnection.connect(
                host=str(self._instance.socket_directory),
                user=SUPERUSER,
                dbname="postgres",
                autocommit=True,
            )
        return self._admin

    async def _close_admin(self) -> None:
        # Never under a statement: whoever waits for a closed socket waits for ever.
        async with self._admin_lock:
            await self._drop_admin()

    async def _drop_admin(self) -> None:
        if self._admin is not None:
            await self._admin.close()
            self._admin = None


def _nothing() -> None:
    """What happens at a start that nobody asked to hear of."""
