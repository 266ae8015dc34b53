"""The two runners: they do what the generators of `memory.database.steps` ask for, and try again.

Every write of this package is idempotent, so that an attempt whose answer was lost can be made
again: a failover, a pause and a cut connection show as latency, never as an error, as long as
the operation's deadline allows.
"""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any, Self, TypeVar, Unpack

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_exponential_jitter,
)

from memory.database.connections import (
    AsyncConnection,
    ConnectionSource,
    PoolOptions,
    Sources,
    SyncConnection,
    keywords_of,
    refuse_unknown,
)
from memory.database.dialing import called, first_row, takes_calls
from memory.database.failures import Failure, classify
from memory.database.finished import Finished
from memory.database.steps import (
    Attempt,
    Call,
    CopyIn,
    DatabaseStep,
    Embed,
    Execute,
    FetchAll,
    FetchEach,
    FetchOne,
    Pause,
    Plan,
    Request,
    Signal,
    Steps,
    Stop,
)
from memory.errors import ConfigurationError, OperationTimeoutError, SetupRequiredError

T = TypeVar("T")

DEFAULT_DEADLINE_SECONDS = 60.0
FIRST_WAIT_SECONDS = 0.02
LONGEST_WAIT_SECONDS = 1.0
CANCEL_SECONDS = 2.0
"""So long a server may take to hear that a statement is to end."""

SET_TENANT = sql.SQL("select set_config('borealis.tenant', %s, true)")

# Tables, schema, functions or columns that are not there: the answer is setup(), not the SQL.
NOT_SET_UP = frozenset({"42P01", "3F000", "42883", "42703"})


class Driver:
    """Runs plans on a connection source, synchronously and asynchronously.

    deadline: seconds that one attempt-with-retries may take in all.
    tenant: kept in the setting `borealis.tenant` for the time of each transaction; row-level
        security policies compare with it.
    owner: the class whose keyword arguments `pool` is the rest of.
    """

    def __init__(
        self,
        source: ConnectionSource,
        *,
        tenant: str = "",
        deadline: float = DEFAULT_DEADLINE_SECONDS,
        owner: type | None = None,
        **pool: Unpack[PoolOptions],
    ) -> None:
        if deadline <= 0:
            raise ConfigurationError(f"deadline is {deadline} s; it must be positive")
        if pool.keys() - PoolOptions.__annotations__.keys():
            refuse_unknown(pool, PoolOptions.__annotations__, near=keywords_of(owner or Driver))
        self.tenant, self.source = tenant, source
        self._deadline = deadline
        self._sources = Sources(source, **pool)
        self._wait = wait_exponential_jitter(
            multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS, jitter=FIRST_WAIT_SECONDS
        )

    @property
    def synchronous(self) -> bool:
        """Whether `run` works: not over an asynchronous pool or connection of the caller's."""
        return self._sources.sync is not None

    # -- synchronous

    def run(self, plan: Plan[T], *, as_one: bool = False) -> T:
        """Run a plan to its end and return its result. as_one: all of it has one deadline."""
        if not self.synchronous:
            raise ConfigurationError(
                "this object was made from an asynchronous pool or connection, so only its "
                "asynchronous methods work; make it from a cluster or a DSN to use both"
            )
        until = self._until(as_one)
        try:
            request = next(plan)
            while True:
                try:
                    answer = self._answer(request, until)
                except BaseException as error:  # noqa: BLE001 - handed to the plan, which owns it
                    request = plan.throw(error)
                else:
                    request = plan.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            plan.close()

    def _until(self, as_one: bool) -> float | None:
        return time.monotonic() + self._deadline if as_one else None

    def _seconds(self, own: float | None, until: float | None) -> float:
        """How long a request may take: as it says itself, or as its operation still may."""
        if own is not None:
            return own
        return self._deadline if until is None else max(0.0, until - time.monotonic())

    def _answer(self, request: Request, until: float | None) -> Any:
        match request:
            case Embed(embeddings, texts, as_queries=True):
                return [embeddings.embed_query(text) for text in texts]
            case Embed(embeddings, texts):
                return embeddings.embed_documents(list(texts)) if texts else []
            case Pause(signal, seconds):
                if _in_a_loop():
                    return signal.done()  # whoever gives it may need this very loop
                signal.wait(self._seconds(seconds, until))
                return self._passed(signal, seconds)
            case Attempt():
                return self._attempt(request, until)

    def _attempt(self, request: Attempt, until: float | None) -> Any:
        seconds = self._seconds(request.deadline, until)
        deadline = time.monotonic() + seconds
        try:
            return self._once(request, deadline)
        except (psycopg.Error, OSError) as error:
            self._after(error)
            first = error
        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=self._wait,
            stop=lambda state: _past(state, deadline),
            retry_error_callback=lambda state: _give_up(state, request.deadline or self._deadline),
            before_sleep=lambda state: self._after(_error_of(state)),
        )
        time.sleep(_short_wait(first))
        return retrying(self._once, request, deadline)

    def _passed(self, signal: Signal, seconds: float | None) -> bool:
        if seconds is None and not signal.done():
            raise OperationTimeoutError(
                f"another write to the same thread did not end within {self._deadline:g} s"
            )
        return signal.done()

    def _after(self, error: BaseException) -> None:
        """Raise what waiting cannot change; drop connections that lead to a dead server."""
        _raise_if_permanent(error)
        if classify(error) is Failure.CONNECTION_LOST and self._sources.sync is not None:
            self._sources.sync.forget_idle()

    def _once(self, request: Attempt, deadline: float) -> Any:
        source = self._sources.sync
        assert source is not None
        with source.connection(deadline) as connection, _stoppable(connection, request.stop):
            try:
                if _in_transaction(request, self.tenant, connection.autocommit):
                    with connection.transaction():
                        if self.tenant:
                            connection.execute(SET_TENANT, (self.tenant,))
                        return self._drive(connection, request.steps())
                return self._drive(connection, request.steps())
            except (psycopg.Error, OSError) as error:
                if classify(error) is Failure.CONNECTION_LOST:
                    connection.close()
                raise

    def _drive(self, connection: SyncConnection, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                step = steps.send(_execute(connection, step))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def run_or_start(self, plan: Plan[None]) -> Awaitable[None]:
        """Run a plan; what is returned may be awaited.

        It is done already, unless there are only asynchronous connections: then a task does it.
        """
        if not self.synchronous and _in_a_loop():
            return asyncio.ensure_future(self.arun(plan))
        self.run(plan)
        return Finished()

    # -- asynchronous

    async def arun(self, plan: Plan[T], *, as_one: bool = False) -> T:
        """`run`, without blocking the event loop."""
        until = self._until(as_one)
        try:
            request = next(plan)
            while True:
                try:
                    answer = await self._aanswer(request, until)
                except BaseException as error:  # noqa: BLE001 - handed to the plan, which owns it
                    request = plan.throw(error)
                else:
                    request = plan.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            plan.close()

    async def _aanswer(self, request: Request, until: float | None) -> Any:
        match request:
            case Embed(embeddings, texts, as_queries=True):
                return [await embeddings.aembed_query(text) for text in texts]
            case Embed(embeddings, texts):
                return await embeddings.aembed_documents(list(texts)) if texts else []
            case Pause(signal, seconds):
                await _given(signal, self._seconds(seconds, until))
                return self._passed(signal, seconds)
            case Attempt():
                if self._sources.asynchronous() is None:
                    return await asyncio.to_thread(self._attempt, request, until)
                return await self._aattempt(request, until)

    async def _aattempt(self, request: Attempt, until: float | None) -> Any:
        seconds = self._seconds(request.deadline, until)
        deadline = time.monotonic() + seconds
        try:
            return await self._aonce(request, deadline)
        except (psycopg.Error, OSError) as error:
            await self._aafter(error)
            first = error

        async def before_sleep(state: RetryCallState) -> None:
            await self._aafter(_error_of(state))

        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_pass),
            wait=self._wait,
            stop=lambda state: _past(state, deadline),
            retry_error_callback=lambda state: _give_up(state, request.deadline or self._deadline),
            before_sleep=before_sleep,
        )
        await asyncio.sleep(_short_wait(first))
        return await retrying(self._aonce, request, deadline)

    async def _aafter(self, error: BaseException) -> None:
        _raise_if_permanent(error)
        source = self._sources.asynchronous()
        if classify(error) is Failure.CONNECTION_LOST and source is not None:
            await source.forget_idle()

    async def _aonce(self, request: Attempt, deadline: float) -> Any:
        source = self._sources.asynchronous()
        assert source is not None
        try:
            async with (
                asyncio.timeout(max(0.0, deadline - time.monotonic())),
                source.connection(deadline) as connection,
            ):
                try:
                    if _in_transaction(request, self.tenant, connection.autocommit):
                        async with connection.transaction():
                            if self.tenant:
                                await connection.execute(SET_TENANT, (self.tenant,))
                            return await self._adrive(connection, request.steps())
                    return await self._adrive(connection, request.steps())
                except (psycopg.Error, OSError) as error:
                    if classify(error) is Failure.CONNECTION_LOST:
                        await connection.close()
                    raise
        except TimeoutError as error:
            if isinstance(error, OperationTimeoutError):
                raise
            raise psycopg.OperationalError(
                "the server did not answer before the deadline"
            ) from error

    async def _adrive(self, connection: AsyncConnection, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                step = steps.send(await _aexecute(connection, step))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the connections of our own pool."""
        self._sources.close()

    async def aclose(self) -> None:
        """`close`, which waits for nothing."""
        self._sources.close()


async def _given(signal: Signal, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(woken.set)

    signal.then(wake)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()


def _in_transaction(request: Attempt, tenant: str, autocommit: bool) -> bool:
    return not request.alone and (request.transaction or bool(tenant) or not autocommit)


def _stoppable(connection: SyncConnection, stop: Stop | None) -> AbstractContextManager[None]:
    return nullcontext() if stop is None else stop.over(partial(_cancel, connection))


def _cancel(connection: SyncConnection) -> None:
    with suppress(psycopg.Error, OSError):  # a server that is gone has ended it already
        connection.cancel_safe(timeout=CANCEL_SECONDS)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _execute(connection: SyncConnection, step: DatabaseStep) -> Any:
    match step:
        case Call(statement, values):
            if takes_calls(connection):
                with connection.lock:
                    return connection.wait(called(connection, statement, values))
            raw = psycopg.RawCursor(connection)
            raw.format = psycopg.pq.Format.BINARY
            raw.execute(statement.text, values).fetchone()
            return first_row(raw.pgresult) if raw.pgresult else None
        case FetchOne(statement, parameters):
            return (
                connection.cursor(binary=True, row_factory=tuple_row)
                .execute(statement, parameters)
                .fetchone()
            )
        case FetchAll(statement, parameters):
            return (
                connection.cursor(binary=True, row_factory=tuple_row)
                .execute(statement, parameters)
                .fetchall()
            )
        case FetchEach(queries):
            cursors = [connection.cursor(binary=True, row_factory=tuple_row) for _ in queries]
            with connection.pipeline():
                for cursor, query in zip(cursors, queries, strict=True):
                    cursor.execute(query.statement, query.parameters)
            return [cursor.fetchall() for cursor in cursors]
        case Execute(statement, parameters):
            return connection.execute(statement, parameters or None, prepare=False).rowcount
        case CopyIn(statement, data):
            with connection.cursor().copy(statement) as copy:
                copy.write(data)
            return None


async def _aexecute(connection: AsyncConnection, step: DatabaseStep) -> Any:
    match step:
        case Call(statement, values):
            if takes_calls(connection):
                async with connection.lock:
                    return await connection.wait(called(connection, statement, values))
            raw = psycopg.AsyncRawCursor(connection)
            raw.format = psycopg.pq.Format.BINARY
            await (await raw.execute(statement.text, values)).fetchone()
            return first_row(raw.pgresult) if raw.pgresult else None
        case FetchOne(statement, parameters):
            cursor = await connection.cursor(binary=True, row_factory=tuple_row).execute(
                statement, parameters
            )
            return await cursor.fetchone()
        case FetchAll(statement, parameters):
            cursor = await connection.cursor(binary=True, row_factory=tuple_row).execute(
                statement, parameters
            )
            return await cursor.fetchall()
        case FetchEach(queries):
            cursors = [connection.cursor(binary=True, row_factory=tuple_row) for _ in queries]
            async with connection.pipeline():
                for cursor, query in zip(cursors, queries, strict=True):
                    await cursor.execute(query.statement, query.parameters)
            return [await cursor.fetchall() for cursor in cursors]
        case Execute(statement, parameters):
            return (await connection.execute(statement, parameters or None, prepare=False)).rowcount
        case CopyIn(statement, data):
            async with connection.cursor().copy(statement) as copy:
                await copy.write(data)
            return None


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, (psycopg.Error, OSError)) and not isinstance(
        error, OperationTimeoutError
    )


def _raise_if_permanent(error: BaseException) -> None:
    if isinstance(error, OperationTimeoutError):
        raise error
    if classify(error) is Failure.PERMANENT:
        if isinstance(error, psycopg.errors.ProgramLimitExceeded) and "index row" in str(error):
            raise ConfigurationError(
                "an identifier is too long: thread, session and document ids, keys and namespaces "
                "may have about 2,700 bytes after compression"
            ) from error
        if isinstance(error, psycopg.Error) and error.sqlstate in NOT_SET_UP:
            raise SetupRequiredError(
                f"the database has no tables of this version ({error.sqlstate}); call setup() "
                "once, from any process"
            ) from error
        raise error


def _short_wait(error: BaseException) -> float:
    """A deadlock or a stale pooled connection needs no wait; only a dead server does."""
    return 0.0 if classify(error) is Failure.CONNECTION_LOST else FIRST_WAIT_SECONDS


def _past(state: RetryCallState, deadline: float) -> bool:
    return time.monotonic() + state.upcoming_sleep > deadline


def _error_of(state: RetryCallState) -> BaseException:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert error is not None
    return error


def _give_up(state: RetryCallState, seconds: float) -> Any:
    error = _error_of(state)
    _raise_if_permanent(error)
    raise OperationTimeoutError(
        f"the database could not be used for {seconds:g} s, through {state.attempt_number + 1} "
        f"attempts; the last one failed with: {str(error).strip() or type(error).__name__}"
    ) from error


class DriverOwner:
    """What works over a driver: closed by hand, or by `with` and `async with`."""

    _driver: Driver

    def close(self) -> None:
        """Close the connections of our own pool; a pool that you passed stays open."""
        self._driver.close()

    async def aclose(self) -> None:
        """`close`, asynchronously."""
        await self._driver.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
