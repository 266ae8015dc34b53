"""An instance of a cluster on the event loop: started, paused and asked about its roles.

A transition at a time: callers that come while one is under way wait for its end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import TupleRow

from cluster_runtime.control.admin import AdminConnection, Statement
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.postgres import Instance
from cluster_runtime.engine.access.instance_facts import InstanceFacts
from cluster_runtime.engine.access.roles import IAM_ROLE
from cluster_runtime.engine.home import SOCKET_NAME
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.errors import EngineError
from cluster_runtime.gateway import LOGIN_QUERY, Login
from cluster_runtime.logs import get_logger
from cluster_runtime.moved import renamed
from cluster_runtime.tracing import ON_POSTGRESQL, span

_log = get_logger(__name__)

LOGIN_ATTEMPTS = 4
RESOURCE_ID = "aws.rds.db_cluster_resource_id"
"""Attribute of the spans of a start, such as a wake, and of a pause."""
COMMIT_WAITS = """
select 1 from pg_catalog.pg_stat_activity
 where pid operator(pg_catalog.=) %s and wait_event operator(pg_catalog.=) 'SyncRep'
"""
ALL_LOGINS = "select rolname from pg_catalog.pg_roles where rolcanlogin and not rolsuper"

LOCKS_THE_ROLES = """
select distinct pid from pg_catalog.pg_locks
 where granted and locktype operator(pg_catalog.=) 'relation'
   and database operator(pg_catalog.=) 0
   and mode operator(pg_catalog.=)
       any (array['ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'])
"""
"""Who locks a catalog that all databases share, as a member of pg_maintain may: nobody could log in
any more. pg_terminate_backend would wait for the same lock, so a signal ends it."""

Prepare = Callable[["HostedInstance"], Awaitable[None]]

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, Compute="HostedInstance")


class HostedInstance:
    """An instance, and the runtime's own connection to it.

    resource_id: of its cluster. major: of PostgreSQL's version. prepare: awaited after each start,
    before anybody is let in; it sets `runtime_roles`. Where it fails the instance is stopped again.
    """

    def __init__(self, instance: Instance, resource_id: str, major: int, prepare: Prepare) -> None:
        self._spans = {**ON_POSTGRESQL, RESOURCE_ID: resource_id}
        self._instance = instance
        self._prepare = prepare
        self._transition = asyncio.Lock()
        self._logins_while_paused: dict[str, Login] = {}
        self._on_start: Callable[[], None] = _nothing
        self._telling = asyncio.Lock()
        self.told: InstanceFacts | None = None
        """What it tells its clients since its last start; None: nothing yet."""
        self.major = major
        self.admin = AdminConnection(instance.socket_directory, major)
        self.runtime_roles: dict[str, int] = {}
        """Oids of the runtime's roles by the names they ought to have."""

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
    def extensions(self) -> tuple[str, ...]:
        """The extensions that its master user may create."""
        return self._instance.extensions

    async def tell(self, facts: InstanceFacts) -> None:
        """Have it tell its clients this of itself. One that ends meanwhile is not told."""
        async with self._telling:
            if self.socket is None:
                return
            try:
                await in_thread(self._instance.tell, facts)
            except FileNotFoundError:
                if self.socket is not None:
                    raise
            else:
                self.told = facts

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
                await self.admin.close()
                self.told = None
                with span("instance.start", self._spans):
                    await in_thread(self._instance.start)
                    await self._prepared()
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
            except (psycopg.Error, EngineError) as error:
                _log.warning("roles could not be read before a pause", error=str(error))
            if not only_if():
                return False
            with span("instance.pause", self._spans):
                await self._stop(Shutdown.FAST)
            return True

    async def stop(self, mode: Shutdown = Shutdown.FAST) -> None:
        """Stop every instance of the cluster; one that does not run stays so."""
        async with self._transition:
            self._logins_while_paused.clear()
            await self._stop(mode)

    async def lose(self, destroy: Callable[[], None]) -> None:
        """Have `destroy`, which blocks, end the instance in a way that nobody asked for."""
        async with self._transition:
            await self.admin.close()
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

    async def execute(self, statement: Statement, *values: object) -> list[TupleRow]:
        """Run a statement of the runtime's on a server that runs, whoever locks its catalogs.

        Raises psycopg.Error, and EngineError where the server does not answer in time.
        """
        try:
            return await self.admin.execute(statement, *values)
        except psycopg.errors.LockNotAvailable:
            for (pid,) in await self.admin.execute(LOCKS_THE_ROLES):
                _log.warning("ending a session that locks what all databases share", pid=pid)
                self._instance.end_backend(pid)
            return await self.admin.execute(statement, *values)

    async def _login(self, user: str) -> Login | None:
        rows = await self.execute(LOGIN_QUERY, user, self.runtime_roles[IAM_ROLE])
        return Login(*rows[0]) if rows else None

    async def waits_for_the_volume(self, pid: int) -> bool:
        """Whether a server process waits for its commit to become durable."""
        return self.socket is not None and bool(await self.execute(COMMIT_WAITS, pid))

    async def _prepared(self) -> None:
        try:
            await self._prepare(self)
        except BaseException as error:
            await self._stop(Shutdown.IMMEDIATE)
            if isinstance(error, psycopg.Error):
                raise EngineError(
                    f"the runtime could not prepare PostgreSQL at {self._instance.socket_directory}"
                    f" for its clients: {error}"
                ) from error
            raise

    async def _all_logins(self) -> dict[str, Login]:
        found = {}
        for (name,) in await self.execute(ALL_LOGINS):
            login = await self._login(name)
            if login is not None:
                found[name] = login
        return found

    async def _stop(self, mode: Shutdown) -> None:
        await self.admin.close()
        await in_thread(self._instance.stop, mode)


def _nothing() -> None:
    """What happens at a start that nobody asked to hear of."""
