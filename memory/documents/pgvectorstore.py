"""`pg_engine`: langchain-postgres' engine over a cluster, for those who keep `PGVectorStore`.

What a URL cannot do: sign a token for each new connection, wait for a cluster that wakes or fails
over, and let an idle cluster pause, which a pool of open connections would keep awake.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
from tenacity import AsyncRetrying, retry_if_exception, wait_exponential_jitter

from memory.database.connections import DEFAULT_MAX_IDLE_SECONDS, DEFAULT_POOL_SIZE, Dialer, HasDsn
from memory.database.driver import (
    DEFAULT_DEADLINE_SECONDS,
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
)
from memory.database.failures import Failure, classify
from memory.errors import ConfigurationError, OperationTimeoutError
from memory.extras import needed

if TYPE_CHECKING:
    from langchain_postgres import PGEngine

URL = "postgresql+psycopg://"
"""The dialect alone: where to connect is asked for at each new connection."""


def pg_engine(
    source: HasDsn | str,
    *,
    pool_size: int = DEFAULT_POOL_SIZE,
    max_idle: float = DEFAULT_MAX_IDLE_SECONDS,
    deadline: float = DEFAULT_DEADLINE_SECONDS,
    **engine_options: Any,
) -> "PGEngine":
    """A `PGEngine` whose connections lead to a cluster, or to wherever a DSN says.

    source: a cluster (anything with `dsn()`) or a DSN. A cluster is asked for a DSN at each new
        connection, so tokens never expire; a paused one wakes; a failover shows as latency between
        operations. An operation whose connection is lost under it fails, as `PGVectorStore` does
        not repeat operations; `BorealisVectorStore` does.
    pool_size: connections at most. max_idle: seconds after the last use until all are closed, so
        that the cluster may pause. deadline: seconds that connecting may take, retries included.
    engine_options: passed to SQLAlchemy's `create_async_engine`.
    Raises MissingExtraError without the extra `pgvectorstore`, ConfigurationError for a source of
    another kind; connecting raises OperationTimeoutError after the deadline.
    """
    if not isinstance(source, (str, HasDsn)):
        raise ConfigurationError(
            f"cannot make an engine of a {type(source).__name__}; pass a cluster or a DSN"
        )
    with needed("pgvectorstore", "langchain-postgres' PGEngine"):
        from langchain_postgres import PGEngine
    dialer = Dialer(source, prepare=False, application_name="borealis-pgvectorstore")
    engine = PGEngine.from_connection_string(
        URL,
        async_creator=_creator(dialer, deadline),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        **engine_options,
    )
    _close_when_idle(engine, max_idle)
    return engine


def _creator(dialer: Dialer, seconds: float) -> Callable[[], Any]:
    """What opens one connection, however long the cluster takes to wake or fail over."""

    async def connect() -> psycopg.AsyncConnection[Any]:
        deadline = time.monotonic() + seconds
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: classify(error) is not Failure.PERMANENT),
            wait=wait_exponential_jitter(
                multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS, jitter=FIRST_WAIT_SECONDS
            ),
            stop=lambda state: time.monotonic() + state.upcoming_sleep > deadline,
            reraise=True,
        )
        try:
            return await retrying(once, deadline)
        except (psycopg.Error, OSError) as error:
            if classify(error) is Failure.PERMANENT:
                raise
            raise OperationTimeoutError(
                f"the database could not be reached for {seconds:g} s; the last attempt failed "
                f"with: {str(error).strip() or type(error).__name__}"
            ) from error

    async def once(deadline: float) -> psycopg.AsyncConnection[Any]:
        # The DSN of a cluster signs a token and may look up a control plane: off the loop.
        left = max(0.0, deadline - time.monotonic())
        conninfo = await asyncio.to_thread(dialer.conninfo, left)
        return await psycopg.AsyncConnection.connect(conninfo)  # transactions are SQLAlchemy's

    return connect


def _close_when_idle(engine: "PGEngine", max_idle: float) -> None:
    """Close every pooled connection once none was used for `max_idle` seconds."""
    from sqlalchemy import event

    pooled = engine._pool
    closing: set[asyncio.Task[None]] = set()
    timer: asyncio.TimerHandle | None = None

    def used(*_: Any) -> None:
        nonlocal timer
        if timer is not None:
            timer.cancel()
        timer = asyncio.get_running_loop().call_later(max_idle, close)

    def close() -> None:
        if pooled.pool.checkedout():  # type: ignore[attr-defined]
            return  # its return sets the timer again
        task = asyncio.get_running_loop().create_task(pooled.dispose())
        closing.add(task)
        task.add_done_callback(closing.discard)

    event.listen(pooled.sync_engine, "checkin", used)
