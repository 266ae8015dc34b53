"""An instance of a cluster on the event loop: started, paused, promoted and asked about roles.

A transition at a time: callers that come while one is under way wait for its end.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg.rows import TupleRow

from cluster_runtime.control.admin import AdminConnection, Statement
from cluster_runtime.control.availability.health import Process
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.servers.places import Servers, ServersAhead
from cluster_runtime.control.servers.postgres import Instance, Reader, Writer
from cluster_runtime.engine.access.instance_facts import InstanceFacts
from cluster_runtime.engine.access.names import is_utf8
from cluster_runtime.engine.access.roles import IAM_ROLE
from cluster_runtime.engine.home import SOCKET_NAME
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.system.resources import says_no_space
from cluster_runtime.errors import BorealisError, EngineError, InsufficientStorageError
from cluster_runtime.gateway import LOGIN_QUERY, Login
from cluster_runtime.logs import get_logger
from cluster_runtime.moved import renamed
from cluster_runtime.serverless.metrics.measured import Transactions
from cluster_runtime.tracing import ON_POSTGRESQL, span

_log = get_logger(__name__)

RESOURCE_ID = "aws.rds.db_cluster_resource_id"
"""Attribute of the spans of a start, such as a wake, and of a pause."""
COMMIT_WAITS = """
select 1 from pg_catalog.pg_stat_activity
 where pid operator(pg_catalog.=) %s and wait_event operator(pg_catalog.=) 'SyncRep'
"""
PROMOTION_S = 30.0
"""How long a reader may take to show the end of the log, and to become a primary."""
PROMOTION_POLL_S = 0.003
REPLAYED = "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::int8"
IN_RECOVERY = "select pg_catalog.pg_is_in_recovery()"
OBSERVED = """
select coalesce(pg_catalog.sum(xact_commit), 0)::int8,
       coalesce(pg_catalog.sum(deadlocks), 0)::int8,
       coalesce(pg_catalog.sum(blks_hit), 0)::int8,
       coalesce(pg_catalog.sum(blks_read), 0)::int8,
       coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0'), 0)::int8,
       pg_catalog.pg_last_xact_replay_timestamp()
  from pg_catalog.pg_stat_database
 where datname operator(pg_catalog.<>) 'rdsadmin'
"""
"""All that is asked of a server once a second: that it answers counts for its health."""
ALL_LOGINS = "select rolname from pg_catalog.pg_roles where rolcanlogin and not rolsuper"

_OF_CLIENTS = """
select l.pid from pg_catalog.pg_locks l join pg_catalog.pg_stat_get_activity(null) a
    on a.pid operator(pg_catalog.=) l.pid
   and a.backend_type operator(pg_catalog.=) 'client backend'
 where l.granted"""
"""Without the view, which locks what others may have locked. A reader's own process, which holds
the locks of what it replays, is no client's."""

LOCKS_THE_ROLES = f"""{_OF_CLIENTS} and l.locktype operator(pg_catalog.=) 'relation'
   and l.database operator(pg_catalog.=) 0
   and l.mode operator(pg_catalog.=)
       any (array['ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'])
 group by l.pid
"""
"""Who locks a catalog that all databases share, as a member of pg_maintain may: nobody could log in
any more. pg_terminate_backend would wait for the same lock, so a signal ends it."""

HOLDS_MOST_LOCKS = f"""{_OF_CLIENTS}
   and l.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
 group by l.pid having pg_catalog.count(*) operator(pg_catalog.>) 100
 order by pg_catalog.count(*) desc limit 1
"""
"""Who fills the table of locks that all sessions share, as any role may with pg_advisory_lock: then
nobody could log in any more, for a login locks what all databases share."""

_ENDED: dict[type[psycopg.Error], tuple[LiteralString, str]] = {
    psycopg.errors.LockNotAvailable: (LOCKS_THE_ROLES, "locks what all databases share"),
    psycopg.errors.OutOfMemory: (HOLDS_MOST_LOCKS, "leaves no lock to others"),
}
"""Whose sessions are ended where a statement of the runtime's fails so, and why."""
ENDINGS_MAX = 20
ENDING_S = 0.05
"""How often, and how long a session that is ended has for it."""

Prepare = Callable[["HostedInstance"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Start:
    """A start that succeeded. resumed: out of a pause, or the first one since the host began.

    seconds: from the wish to the moment when clients are let in.
    """

    resumed: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What a server said of itself, and when by the loop's clock.

    replayed: the LSN up to which a reader shows the log. committed: the time of the last commit
    that it shows; None where there is none.
    """

    at: float
    transactions: Transactions
    replayed: int
    committed: datetime | None


if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, Compute="HostedInstance")


class HostedInstance:
    """An instance, and the runtime's own connection to it. It is a writer, or a reader.

    servers: what it can be. resource_id: of its cluster. major: of PostgreSQL's version. prepare:
    awaited after each start, before anybody is let in; it sets `runtime_roles`. Where it fails the
    instance is stopped again.
    """

    def __init__(
        self,
        servers: Servers | ServersAhead,
        resource_id: str,
        major: int,
        prepare: Prepare,
        *,
        as_reader: bool = False,
    ) -> None:
        self._resource_id = resource_id
        self.servers: Servers | ServersAhead = servers
        self._instance: Instance = servers.as_reader if as_reader else servers.as_writer
        instance = self._instance
        self._prepare = prepare
        self._ready = False
        self._barred = False
        self._transition = asyncio.Lock()
        self._logins_while_paused: dict[str, Login] = {}
        self._on_start: Callable[[Start], None] = _nothing
        self._on_failure: Callable[[BorealisError], None] = _nothing
        self._at_rest = True
        self._telling = asyncio.Lock()
        self.told: InstanceFacts | None = None
        """What it tells its clients since its last start; None: nothing yet."""
        self.observed: Observation | None = None
        """What it said last since its last start; None: nothing yet."""
        self.major = major
        self.admin = AdminConnection(instance.socket_directory, major)
        self._probe: AdminConnection | None = None
        self.runtime_roles: dict[str, int] = {}
        """Oids of the runtime's roles by the names they ought to have."""

    def on_start(
        self, call: Callable[[Start], None], failed: Callable[[BorealisError], None]
    ) -> None:
        """Have `call` called, on the event loop, after each start; `failed` where it is none.

        failed: of those alone that were to end a pause, or the first ones since the host began.
        """
        self._on_start, self._on_failure = call, failed

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
    def path(self) -> Path:
        """The socket file that its PostgreSQL listens at, whenever it runs."""
        return self._instance.socket_directory / SOCKET_NAME

    @property
    def is_reader(self) -> bool:
        """Whether it is a reader now."""
        return isinstance(self._instance, Reader)

    @property
    def server(self) -> Writer | Reader:
        """What runs at its place, in the role that it has now."""
        return self.servers.as_reader if self.is_reader else self.servers.as_writer

    @property
    def ready(self) -> bool:
        """Whether it serves: it runs, is prepared, and has caught up where it is a reader."""
        return self._ready and self._instance.running

    @property
    def pid(self) -> int | None:
        """The process id of its postmaster; None while it does not run."""
        return self._instance.pid

    @property
    def process(self) -> Process:
        """What the operating system says of its postmaster."""
        return self._instance.process

    @property
    def knows_logins(self) -> bool:
        """Whether it is paused and remembers who may wake it."""
        return self.socket is None and bool(self._logins_while_paused)

    async def ensure_running(self, start: Callable[[], None] | None = None) -> Path:
        """Start PostgreSQL where it does not run; return its socket file.

        start: what starts it, which blocks, in place of what usually does.
        Raises EngineError, StorageError; ConnectionError while another one takes its place.
        """
        async with self._transition:
            if self._barred:
                raise ConnectionError("another instance takes the place of this one")
            if self.socket is not None and self._instance.outdated:
                _log.warning("restarted: /etc/passwd was replaced", socket=str(self.socket))
                await self._stop(Shutdown.FAST)
            if self.socket is None:
                await self._start(start or self._instance.start)
            return self._instance.socket_directory / SOCKET_NAME

    async def _start(self, start: Callable[[], None]) -> None:
        self._ready = False
        self.told = self.observed = None
        began = time.monotonic()
        await self._disconnect()
        with span("instance.start", self._spans()):
            try:
                await in_thread(start)
                await self._prepared()
            except BorealisError as error:
                self._failed(error)
                raise
            except OSError as error:
                failed = not_started(error, str(self._instance.socket_directory))
                self._failed(failed)
                raise failed from error
        self._logins_while_paused.clear()
        resumed, self._at_rest = self._at_rest, False
        self._on_start(Start(resumed, time.monotonic() - began))

    def _failed(self, error: BorealisError) -> None:
        if self._at_rest:
            self._on_failure(error)

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
            with span("instance.pause", self._spans()):
                await self._stop(Shutdown.FAST)
            self._at_rest = True
            return True

    async def at_rest(self, work: Callable[[], bool]) -> bool:
        """Have blocking work done while it does not run: a start waits for the end of that.

        Returns what the work does; False where it runs, and nothing is done.
        """
        async with self._transition:
            return self.socket is None and await in_thread(work)

    async def stop(self, mode: Shutdown = Shutdown.FAST) -> None:
        """Stop every instance of the cluster; one that does not run stays so."""
        async with self._transition:
            self._logins_while_paused.clear()
            await self._stop(mode)

    async def lose(
        self, destroy: Callable[[], None], *, bar: bool = False, though_it_runs: bool = True
    ) -> bool:
        """Have `destroy`, which blocks, end the instance in a way that nobody asked for.

        bar: let nobody start it again before `become_reader` or `allow`. though_it_runs: otherwise
        one that runs, for somebody has started it again, is left alone. Returns whether it ended.
        """
        async with self._transition:
            if not though_it_runs and self.socket is not None:
                return False
            self._ready = False
            self._barred = bar
            self._logins_while_paused.clear()
            # First, for one that hangs: then no statement waits for its answer any more.
            await in_thread(destroy)
            await self._disconnect()
            return True

    async def promote(self, durable: int) -> None:
        """Make a reader that runs the writer of its volume, which was opened again for it.

        durable: the end of the log. After an error it is a reader that does not run. Raises
        EngineError, StorageError.
        """
        async with self._transition:
            reader, writer = self.servers.as_reader, self.servers.as_writer
            try:
                await self._shows(durable)
                await in_thread(reader.promote)
                await self._until(IN_RECOVERY, lambda row: not row[0], "became no primary")
                await in_thread(writer.take_over)
            except BaseException as error:
                self._ready = False
                await in_thread(reader.kill)
                await self._disconnect()
                if isinstance(error, psycopg.Error):
                    raise EngineError(f"a reader could not be promoted: {error}") from error
                raise
            self._instance = writer
            await in_thread(reader.hand_over)
            try:
                await self._prepared()
            except BaseException:
                self._instance = reader
                await in_thread(writer.retire)
                raise

    async def become_reader(self) -> None:
        """A writer that does not run any more is a reader from its next start on."""
        async with self._transition:
            self._on_start = self._on_failure = _nothing
            self._instance = self.servers.as_reader
            self._barred = False
            await in_thread(self.servers.as_writer.retire)

    def allow(self) -> None:
        """It may be started again."""
        self._barred = False

    async def observe(self) -> Observation:
        """What it says of itself; no answer where it hangs. Raises psycopg.Error, EngineError.

        Nobody's locks are broken for it: an error is an answer, too, and comes in time.
        """
        if self._probe is None:  # most clusters are paused: nobody asks theirs
            self._probe = AdminConnection(self._instance.socket_directory, self.major)
        ((commits, deadlocks, hit, read, replayed, committed),) = await self._probe.execute(
            OBSERVED
        )
        counted = Transactions(commits, deadlocks, hit, read)
        at = asyncio.get_running_loop().time()
        self.observed = Observation(at, counted, replayed, committed)
        return self.observed

    async def _shows(self, durable: int) -> None:
        await self._until(REPLAYED, lambda row: int(row[0] or 0) >= durable, "did not catch up")

    async def _until(
        self, query: LiteralString, reached: Callable[[TupleRow], bool], otherwise: str
    ) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PROMOTION_S
        while not reached((await self.admin.execute(query))[0]):
            if loop.time() > deadline:
                raise EngineError(
                    f"the reader at {self._instance.socket_directory} {otherwise} within "
                    f"{PROMOTION_S:g} s"
                )
            await asyncio.sleep(PROMOTION_POLL_S)

    async def login(self, user: str) -> Login | None:
        """What credential a role may use; wakes a paused writer only for a role it may have.

        Raises psycopg.OperationalError where it stops meanwhile.
        """
        if self.knows_logins:
            return self._logins_while_paused.get(user)
        await self.ensure_running()
        return await self._login(user)

    async def execute(self, statement: Statement, *values: object) -> list[TupleRow]:
        """Run a statement of the runtime's on a server that runs, whoever holds which locks.

        Raises psycopg.Error, and EngineError where the server does not answer in time.
        """
        for _ in range(ENDINGS_MAX):
            try:
                return await self.admin.execute(statement, *values)
            except tuple(_ENDED) as error:
                found, why = _ENDED[type(error)]
                holders = await self.admin.execute(found)
                if not holders:
                    break
                for (pid,) in holders:
                    _log.warning(f"ending a session that {why}", pid=pid)
                    self._instance.end_backend(pid)
                await asyncio.sleep(ENDING_S)
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
            self._ready = True
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
            # Nobody can say another one to the gateway.
            login = await self._login(name) if is_utf8(name) else None
            if login is not None:
                found[name] = login
        return found

    def _spans(self) -> dict[str, str]:
        return {**ON_POSTGRESQL, RESOURCE_ID: self._resource_id}

    async def _stop(self, mode: Shutdown) -> None:
        self._ready = False
        self.told = self.observed = None
        await self._disconnect()
        await in_thread(self._instance.stop, mode)

    async def _disconnect(self) -> None:
        await self.admin.close()
        if self._probe is not None:
            await self._probe.close()


def not_started(error: OSError, where: str) -> BorealisError:
    """An error of the system's that kept an instance from starting, as one that a caller knows.

    It is no lost connection, after which the gateway asks again at once. where: the instance.
    """
    if says_no_space(error):
        return InsufficientStorageError(
            f"no space to start PostgreSQL at {where}: {error}; free some on the host"
        )
    return EngineError(f"PostgreSQL at {where} could not be started: {error}")


def _nothing(_: object) -> None:
    """What happens at a start, or its failure, that nobody asked to hear of."""
