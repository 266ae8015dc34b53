"""`BorealisSaver`: LangGraph checkpoints in PostgreSQL, for sync and async graphs alike."""

import random
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import timedelta
from typing import Any, Self, Unpack

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol, maybe_add_typed_methods

from memory.checkpoints import maintenance, reading
from memory.checkpoints.forking import Forking
from memory.checkpoints.moving.moving import Moving
from memory.checkpoints.overview import ThreadSummary, threads
from memory.checkpoints.removing import Removing
from memory.checkpoints.rows import Key, indexed, key_of
from memory.checkpoints.schemas import have_classes_named
from memory.checkpoints.tables import CHECKPOINTS
from memory.checkpoints.writing import Writing
from memory.database.connections import ConnectionSource, PoolOptions
from memory.database.driver import DEFAULT_DEADLINE_SECONDS, Driver
from memory.database.schema import DEFAULT_SCHEMA
from memory.database.scope import Scope
from memory.database.setup import setup_plan
from memory.database.steps import Plan, attempt
from memory.database.sweeper import Sweeper
from memory.encoding.classes import Aliases, TypeKey
from memory.encoding.codec import Codec
from memory.encoding.serde import BorealisSerializer
from memory.errors import ConfigurationError
from memory.lifetimes import lifetime


class BorealisSaver(Removing, Moving, Forking, BaseCheckpointSaver[Any]):
    """A LangGraph checkpointer on PostgreSQL 15 or newer. Call `setup()` once for each database.

    source: a cluster (anything with `dsn()`), a DSN, or a psycopg pool or autocommit connection.
    serde: a LangGraph serializer; by default `BorealisSerializer`, strict and exact. With an
        `EncryptedSerializer` everything but ids, source, step and run_id is encrypted at rest.
    allow: classes, or whole state schemas, that no graph names: LangGraph names those of a graph's
        state when it is compiled. aliases: `{"module.Old": New}` for classes renamed since.
    recover: read what cannot be built as `memory.Unreadable`, with its type's name and its plain
        value; written again it is unchanged. Lists and histories always show it so.
    schema: where the tables are; a schema for each tenant keeps tenants apart.
    tenant: rows of other tenants are invisible (see `memory.database.tenancy` for the role to use).
    ttl: a thread expires this long after its last write (timedelta, or minutes).
    deadline: seconds for one operation, retries included.
    pool_size, max_idle, prepare: of our own pool; see `memory.database.connections`.

    Synchronous and asynchronous methods may be mixed, from any thread and event loop. Raises the
    errors of `memory.errors`, and psycopg's for what no retry can help.
    """

    def __init__(
        self,
        source: ConnectionSource,
        *,
        serde: SerializerProtocol | None = None,
        allow: Iterable[type | TypeKey] = (),
        schema: str = DEFAULT_SCHEMA,
        tenant: str = "",
        ttl: timedelta | float | None = None,
        deadline: float = DEFAULT_DEADLINE_SECONDS,
        aliases: Aliases | None = None,
        recover: bool = False,
        **pool: Unpack[PoolOptions],
    ) -> None:
        allow = tuple(allow)
        if serde is not None and (allow or aliases or recover):
            raise ConfigurationError(
                "pass `allow`, `aliases` and `recover` to your own serializer, or leave serde out"
            )
        if serde is None:
            serde = BorealisSerializer(allow=allow, aliases=aliases, recover=recover)
        super().__init__(serde=serde)
        have_classes_named()
        self._driver = Driver(source, tenant=tenant, deadline=deadline, owner=type(self), **pool)
        self._scope = Scope(schema, tenant)
        self._codec = Codec(self.serde)
        self._ttl = lifetime(ttl, "ttl")
        self._settings: dict[str, Any] = {
            "schema": schema,
            "tenant": tenant,
            "ttl": ttl,
            "deadline": deadline,
            **pool,
        }
        self._writing = Writing(self._scope, self._ttl)
        self._sweeper = Sweeper(self.sweep)

    @classmethod
    def from_conn_string(cls, conn_string: str, *, pipeline: bool = False, **options: Any) -> Self:
        """As in LangGraph's savers: to be used with `with` or `async with`.

        pipeline: accepted; a call is one round trip anyway. options: of the constructor.
        """
        return cls(conn_string, **options)

    def setup(self, *, partitions: int = 0) -> Awaitable[None]:
        """Create the tables or bring them up to date; safe from many processes at once.

        partitions: on the first call, hash-partition the big tables by thread into so many.
        The work is done when it returns; `await saver.setup()` is fine too.
        """
        return self._driver.run_or_start(
            setup_plan(self._scope.schema, CHECKPOINTS, partitions=partitions)
        )

    async def asetup(self, *, partitions: int = 0) -> None:
        """`setup`, asynchronously."""
        await self._driver.arun(setup_plan(self._scope.schema, CHECKPOINTS, partitions=partitions))

    # -- reading

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that `config` names, or its thread's latest; None if there is none."""
        return self._driver.run(self._get(key_of(config)), as_one=True)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """`get_tuple`, asynchronously."""
        return await self._driver.arun(self._get(key_of(config)), as_one=True)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first, a page at a time: no connection is held between pages.

        filter: metadata that must be contained (as PostgreSQL's `@>`).
        """
        listing = reading.Listing(self._scope, config, filter, before, limit)
        while not listing.done:
            yield from self._driver.run(self._page(listing), as_one=True)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """`list`, asynchronously."""
        listing = reading.Listing(self._scope, config, filter, before, limit)
        while not listing.done:
            for found in await self._driver.arun(self._page(listing), as_one=True):
                yield found

    def threads(self, *, after: str = "", limit: int = 1000) -> Sequence[ThreadSummary]:
        """The threads that are there, in order of their ids. after: begin behind this one."""
        return self._driver.run(self._threads(after, limit), as_one=True)

    async def athreads(self, *, after: str = "", limit: int = 1000) -> Sequence[ThreadSummary]:
        """`threads`, asynchronously."""
        return await self._driver.arun(self._threads(after, limit), as_one=True)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What each channel was written since its last stored value, along the parents."""
        return self._driver.run(self._history(key_of(config), list(channels)), as_one=True)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """`get_delta_channel_history`, asynchronously."""
        return await self._driver.arun(self._history(key_of(config), list(channels)), as_one=True)

    # -- writing

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, in one round trip; storing it again changes nothing."""
        return self._driver.run(self._put(config, checkpoint, metadata, new_versions), as_one=True)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """`put`, asynchronously."""
        return await self._driver.arun(
            self._put(config, checkpoint, metadata, new_versions), as_one=True
        )

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store a task's writes, in one round trip; storing them again changes nothing."""
        self._driver.run(self._put_writes(config, indexed(writes), task_id, task_path), as_one=True)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """`put_writes`, asynchronously."""
        await self._driver.arun(
            self._put_writes(config, indexed(writes), task_id, task_path), as_one=True
        )

    def import_writes(
        self,
        config: RunnableConfig,
        writes: Mapping[int, tuple[str, Any]],
        task_id: str,
        task_path: str,
    ) -> None:
        """Store writes under the indexes that another saver gave them."""
        self._driver.run(self._put_writes(config, writes, task_id, task_path), as_one=True)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy every checkpoint and write of a thread, inside the database."""
        self._driver.run(self._copy(source_thread_id, target_thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """`copy_thread`, asynchronously."""
        await self._driver.arun(self._copy(source_thread_id, target_thread_id))

    # -- the rest of the protocol

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Integers: checkpoints name their values themselves, so versions need not be unique.

        Threads that came from `PostgresSaver` keep its string versions, which must still grow.
        """
        if not isinstance(current, str):
            return 1 if current is None else current + 1
        return f"{int(current.partition('.')[0]) + 1:032}.{random.random():016}"

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> Self:
        """The same saver with more classes allowed; LangGraph calls it when it compiles a graph."""
        if isinstance(self._codec.serde, BorealisSerializer):
            self._codec.serde.with_msgpack_allowlist(extra_allowlist)
            return self
        clone = super().with_allowlist(extra_allowlist)
        assert isinstance(clone, type(self))
        if clone is not self:
            clone._codec = Codec(maybe_add_typed_methods(clone.serde))
            clone._codec.address_key = self._codec.address_key
        return clone

    # -- plans

    def _get(self, key: Key) -> Plan[CheckpointTuple | None]:
        yield from self._ready()
        yield from self._writing.settled(key.thread_id, key.ns)
        found = yield from attempt(lambda: reading.get(self._scope, self._codec, key))
        if found is None:
            return None
        self._writing.saw(found.key, found.recipes)
        return found.tuple

    def _page(self, listing: reading.Listing) -> Plan[Sequence[CheckpointTuple]]:
        yield from self._ready()
        yield from self._writing.settled(listing.thread_id)
        return (yield from attempt(lambda: listing.page(self._codec)))

    def _threads(self, after: str, limit: int) -> Plan[Sequence[ThreadSummary]]:
        yield from self._writing.settled(None)
        return (yield from attempt(lambda: threads(self._scope, after, limit)))

    def _history(self, key: Key, channels: Sequence[str]) -> Plan[dict[str, DeltaChannelHistory]]:
        yield from self._ready()
        yield from self._writing.settled(key.thread_id)
        return (
            yield from attempt(
                lambda: reading.delta_history(self._scope, self._codec, key, channels)
            )
        )

    def _copy(self, source: str, target: str) -> Plan[None]:
        for thread_id in (source, target):
            yield from self._writing.settled(str(thread_id))
        yield from maintenance.copy(self._scope, source, target)

    def _put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Plan[RunnableConfig]:
        yield from self._ready()
        put = self._writing.put(self._codec, config, checkpoint, metadata, new_versions)
        return (yield from put)

    def _put_writes(
        self,
        config: RunnableConfig,
        writes: Mapping[int, tuple[str, Any]],
        task_id: str,
        path: str,
    ) -> Plan[None]:
        yield from self._ready()
        yield from self._writing.put_writes(self._codec, config, writes, task_id, path)
