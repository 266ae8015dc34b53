"""A conversation and its database, taken up again from a checkpoint, on a branch of the cluster."""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Generic, LiteralString, Protocol, Self, TypeVar, runtime_checkable

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.base import SerializerProtocol

from memory.checkpoints.rows import Key, key_of
from memory.checkpoints.writing import Writing
from memory.database.dialing import HasDsn
from memory.database.driver import DriverOwner
from memory.database.scope import Scope
from memory.database.steps import FetchOne, Plan, Row, Steps, attempt
from memory.encoding.ids import storable, unpack_id
from memory.errors import ConfigurationError, ThreadTransferError

S = TypeVar("S")

MADE_BY: LiteralString = """select checkpoint_id, xmin::text::bigint
    from {schema}.memory_checkpoints
    where thread_key = {thread} and ns = %s and (checkpoint_id = %b or %b::bytea is null)
    order by checkpoint_id desc limit 1"""


RENEW: LiteralString = (
    "update {schema}.memory_threads set expires_at = now() + %b::interval"
    " where tenant = %s and thread_id = %s and deleted_at is null and expires_at is not null"
    " returning 1"
)


@runtime_checkable
class OfACluster(HasDsn, Protocol):
    """A cluster of a runtime, or a database of one."""

    @property
    def id(self) -> str:
        """The resource id of the cluster."""


@runtime_checkable
class InADatabase(Protocol):
    """A source that is a certain database of its cluster."""

    def over(self, cluster: Any) -> HasDsn:
        """The database of the same name in another cluster."""


class Branches(Protocol):
    """A runtime, as far as this package is concerned: `Runtime`, or `AsyncRuntime`."""

    def restore_db_cluster_to_point_in_time(
        self,
        db_cluster_identifier: str,
        source_db_cluster_identifier: str | None = None,
        *,
        restore_type: Any = ...,
        restore_to_transaction: int | None = ...,
    ) -> Any:
        """Make a cluster of what another one was when a transaction had committed."""

    def delete_db_cluster(self, db_cluster_identifier: str) -> Any:
        """Delete a cluster."""


@dataclass(frozen=True, slots=True)
class Fork(Generic[S]):
    """A conversation on a branch.

    saver: over the branch, with the settings of the saver that it came from. config: names the
    thread at the checkpoint. cluster: the branch; who deletes it deletes the fork.
    """

    saver: S
    config: RunnableConfig
    cluster: Any


class Forking(DriverOwner):
    """What forks a conversation with its database; a part of `BorealisSaver`."""

    serde: SerializerProtocol
    _scope: Scope
    _settings: dict[str, Any]
    _ttl: timedelta | None
    _writing: Writing

    def fork_thread(
        self, config: RunnableConfig, runtime: Branches, db_cluster_identifier: str
    ) -> Fork[Self]:
        """Make a branch of the cluster as it was when a checkpoint was stored.

        On the branch the thread ends with that checkpoint, and every table of the database is as it
        was then: with what had been committed before the checkpoint, and nothing that came after.
        The cluster itself goes on unchanged.

        config: names the thread, and the checkpoint; by default the latest one.
        runtime: the `Runtime` that has the cluster. db_cluster_identifier: of the branch.
        Raises ConfigurationError for a saver that was not made from a cluster, ThreadTransferError
        for a checkpoint that is not there, and what
        `Runtime.restore_db_cluster_to_point_in_time` raises: InvalidRestoreError for a checkpoint
        from before the backtrack window.
        """
        key, transaction = self._driver.run(self._made_by(key_of(config)))
        branch = self._branch(runtime, db_cluster_identifier, transaction)()
        saver: Self | None = None
        try:
            saver = self._over(branch)
            self._require_end(key, saver._driver.run(saver._renewed(key)))
        except BaseException:
            try:
                if saver is not None:
                    saver.close()
            finally:
                runtime.delete_db_cluster(db_cluster_identifier)
            raise
        return Fork(saver, key.config(), branch)

    async def afork_thread(
        self, config: RunnableConfig, runtime: Branches, db_cluster_identifier: str
    ) -> Fork[Self]:
        """`fork_thread`, asynchronously; `runtime` may be an `AsyncRuntime`."""
        key, transaction = await self._driver.arun(self._made_by(key_of(config)))
        branching = self._branch(runtime, db_cluster_identifier, transaction)
        making = asyncio.ensure_future(_awaited(branching))
        saver: Self | None = None
        try:
            branch = await asyncio.shield(making)
            saver = self._over(branch)
            self._require_end(key, await saver._driver.arun(saver._renewed(key)))
        except BaseException:
            delete = partial(runtime.delete_db_cluster, db_cluster_identifier)
            await _to_its_end(_undone(making, saver, delete))
            raise
        return Fork(saver, key.config(), branch)

    @property
    def _cluster(self) -> OfACluster:
        source = self._driver.source
        if not isinstance(source, OfACluster):
            raise ConfigurationError(
                "only a saver that was made from a cluster of a runtime can fork a thread: "
                "BorealisSaver(runtime.cluster(...))"
            )
        return source

    def _made_by(self, key: Key) -> Plan[tuple[Key, int]]:
        """A checkpoint, and the transaction that stored it."""
        self._cluster  # noqa: B018 - raises before anything is asked

        def steps() -> Steps[Row | None]:
            thread, ns, checkpoint_id = key.stored()
            parameters = (self._scope.tenant, thread, ns, checkpoint_id, checkpoint_id)
            row: Row | None = yield FetchOne(self._scope.render(MADE_BY), parameters)
            return row

        yield from self._writing.settled(key.thread_id)
        row = yield from attempt(steps)
        if row is None:
            named = "" if key.checkpoint_id is None else f" {key.checkpoint_id}"
            raise ThreadTransferError(f"thread {key.thread_id!r} has no checkpoint{named}")
        return Key(key.thread_id, key.ns, unpack_id(row[0])), row[1]

    def _renewed(self, key: Key) -> Plan[Key]:
        """The latest checkpoint of a thread whose TTL begins now: then was some time ago."""

        def steps() -> Steps[None]:
            thread = storable(key.thread_id)
            yield FetchOne(self._scope.render(RENEW), (self._ttl, self._scope.tenant, thread))

        yield from attempt(steps)
        latest, _ = yield from self._made_by(Key(key.thread_id, key.ns, None))
        return latest

    def _branch(self, runtime: Branches, identifier: str, transaction: int) -> partial[Any]:
        return partial(
            runtime.restore_db_cluster_to_point_in_time,
            identifier,
            self._cluster.id,
            restore_type="copy-on-write",
            restore_to_transaction=transaction,
        )

    def _over(self, branch: Any) -> Self:
        """A saver like this one, over a branch of its cluster."""
        source = self._driver.source
        place = source.over(branch) if isinstance(source, InADatabase) else branch
        make: Any = type(self)
        saver: Self = make(place, serde=self.serde, **self._settings)
        return saver

    def _require_end(self, key: Key, latest: Key) -> None:
        if latest != key:
            raise ThreadTransferError(
                f"checkpoint {key.checkpoint_id} of thread {key.thread_id!r} was stored together "
                f"with {latest.checkpoint_id}, or after it: name that one; a graph that runs with "
                "durability='sync' stores each by itself"
            )


async def _undone(making: asyncio.Future[Any], saver: Any, delete: Any) -> None:
    """Delete the branch of a fork that failed, or was stopped."""
    # Stopped meanwhile, the branch may still be made: a thread cannot be called back.
    await asyncio.wait([making])
    try:
        if saver is not None:
            await saver.aclose()
    finally:
        if not making.cancelled() and making.exception() is None:
            await _awaited(delete)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work however often the caller is cancelled meanwhile: nobody else would do it."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    task.result()


async def _awaited(call: Any) -> Any:
    """What a runtime returns, of either kind: an asynchronous one's is awaited."""
    if asyncio.iscoroutinefunction(call.func):
        return await call()
    result = await asyncio.to_thread(call)
    return await result if isinstance(result, Awaitable) else result
