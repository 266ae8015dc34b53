"""`BorealisStore`: LangGraph's long-term memory in PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Self, Unpack

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.store.base import (
    BaseStore,
    GetOp,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)

from memory.database.connections import ConnectionSource, PoolOptions
from memory.database.driver import DEFAULT_DEADLINE_SECONDS, Driver, DriverOwner
from memory.database.schema import DEFAULT_SCHEMA, install
from memory.database.scope import Scope
from memory.database.steps import Embed, Plan, Steps, Stop, attempt, together
from memory.database.sweeper import Sweeper
from memory.embeddings import check_vectors, probed_dimensions
from memory.encoding.codec import Codec
from memory.encoding.serde import BorealisSerializer
from memory.errors import ConfigurationError
from memory.lifetimes import lifetime
from memory.store.index import BorealisIndexConfig, Index
from memory.store.items import (
    by_one_statement,
    get_items,
    list_namespaces,
    prepare_puts,
    put_items,
    renew,
    sweep_items,
)
from memory.store.origins import current_origin
from memory.store.own_indexes import VectorIndex, indexes, tend
from memory.store.planning import KnownSizes
from memory.store.reembedding import page, write
from memory.store.remembered import RememberedItem, remembered, with_scores
from memory.store.searching import Search
from memory.store.tables import ITEMS_COMPONENT
from memory.store.tending import Tending
from memory.store.vectors import install_vectors, reindex_vectors
from memory.words import require_language

SWEEP_BATCH = 1000
REEMBED_BATCH = 200
REINDEX_DEADLINE_SECONDS = 3600.0


class BorealisStore(DriverOwner, BaseStore):
    """A LangGraph store on PostgreSQL 15 or newer. Call `setup()` once for each database.

    source: a cluster (anything with `dsn()`), a DSN, or a psycopg pool or autocommit connection.
    index: makes `search(query=...)` work; see `BorealisIndexConfig`. `{}` takes every default.
    serde: a LangGraph serializer; with an `EncryptedSerializer` values are encrypted at rest (keys,
        namespaces, times and vectors are not).
    ttl: LangGraph's `TTLConfig`. What has expired is never returned; `sweep_ttl` removes it.
    schema, tenant, deadline, pool: as in `BorealisSaver`.

    Synchronous and asynchronous methods may be mixed. A batch sees the store as it was before it;
    its puts are one transaction. Values may hold anything that msgpack holds, NaN and NUL
    characters included; filters see what of it is JSON. Texts are embedded before a connection
    is taken.
    """

    supports_ttl = True

    def __init__(
        self,
        source: ConnectionSource,
        *,
        index: BorealisIndexConfig | dict[str, Any] | None = None,
        ttl: TTLConfig | None = None,
        schema: str = DEFAULT_SCHEMA,
        tenant: str = "",
        deadline: float = DEFAULT_DEADLINE_SECONDS,
        serde: SerializerProtocol | None = None,
        **pool: Unpack[PoolOptions],
    ) -> None:
        super().__init__()
        self._driver = Driver(source, tenant=tenant, deadline=deadline, owner=type(self), **pool)
        self._scope = Scope(schema, tenant)
        self._codec = Codec(serde if serde is not None else BorealisSerializer())
        self._index = None if index is None else Index.of(index)
        if self._codec.cipher is not None and self._index is not None and self._index.hybrid:
            raise ConfigurationError(
                "an encrypted store keeps no words to search by; leave `hybrid` out"
            )
        lifetime((ttl or {}).get("default_ttl"), "default_ttl")
        self.ttl_config = ttl
        self._sizes = KnownSizes()
        self._sweeper = Sweeper(self.sweep_ttl)
        self._tending = Tending(self._tend_beside)

    @classmethod
    def from_conn_string(cls, conn_string: str, **options: Any) -> Self:
        """As in LangGraph's stores: to be used with `with` or `async with`.

        options: of the constructor, and LangGraph's `pipeline` and `pool_config` (`max_size`).
        """
        options.pop("pipeline", None)
        pool = options.pop("pool_config", None) or {}
        if size := pool.get("max_size"):
            options.setdefault("pool_size", size)
        return cls(conn_string, **options)

    def setup(self) -> Awaitable[None]:
        """Create the tables or bring them up to date; safe from many processes at once.

        Raises ConfigurationError if the database has another index; see `reindex`. The work is done
        when it returns; `await store.setup()` is fine too.
        """
        return self._driver.run_or_start(self._setup())

    async def asetup(self) -> None:
        """`setup`, asynchronously."""
        await self._driver.arun(self._setup())

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations together; results are in their order."""
        return self._driver.run(self._batch(list(ops)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """`batch`, asynchronously."""
        return await self._driver.arun(self._batch(list(ops)))

    def reindex(self, *, deadline: float = REINDEX_DEADLINE_SECONDS) -> None:
        """Make the vector index as `index` says now, while the store is in use. deadline: seconds.

        For another kind, metric or HNSW parameters; vectors of another length need another schema.
        """
        self._driver.run(self._reindex(deadline))

    async def areindex(self, *, deadline: float = REINDEX_DEADLINE_SECONDS) -> None:
        """`reindex`, asynchronously."""
        await self._driver.arun(self._reindex(deadline))

    def indexes(self) -> list[VectorIndex]:
        """The vector indexes that there are: that of all vectors, and those of big namespaces."""
        return self._driver.run(attempt(partial(indexes, self._scope)))

    async def aindexes(self) -> list[VectorIndex]:
        """`indexes`, asynchronously."""
        return await self._driver.arun(attempt(partial(indexes, self._scope)))

    def tend_indexes(self, *, deadline: float = REINDEX_DEADLINE_SECONDS) -> bool:
        """Give big namespaces an index of their own where searches gain from it; whether any did.

        Also removes those that are not worth it any more. The store is in use meanwhile. A search
        that notices has it done in a background thread, unless there are only asynchronous
        connections. Only the owner of the tables may. deadline: seconds, for each index.
        """
        return self._driver.run(self._tend(deadline))

    async def atend_indexes(self, *, deadline: float = REINDEX_DEADLINE_SECONDS) -> bool:
        """`tend_indexes`, asynchronously."""
        return await self._driver.arun(self._tend(deadline))

    def reembed(self, *, everything: bool = False, batch: int = REEMBED_BATCH) -> int:
        """Embed items that have no vector, as from before there was an `index`; how many.

        In batches, each a transaction of its own, while the store is in use. everything: also those
        that have one, for another model of as many dimensions. Items that were put with
        `index=False` are embedded too.
        """
        return self._driver.run(self._reembed(everything, batch))

    async def areembed(self, *, everything: bool = False, batch: int = REEMBED_BATCH) -> int:
        """`reembed`, asynchronously."""
        return await self._driver.arun(self._reembed(everything, batch))

    def remembered(
        self, namespace_prefix: tuple[str, ...] = (), *, query: str | None = None, limit: int = 100
    ) -> list[RememberedItem]:
        """What is kept below a namespace, and why: where each item is from, and how long it stays.

        The latest first, or what fits a query best, which needs an `index`. Nothing is renewed by
        being looked at.
        """
        return self._driver.run(self._remembered(namespace_prefix, query, limit))

    async def aremembered(
        self, namespace_prefix: tuple[str, ...] = (), *, query: str | None = None, limit: int = 100
    ) -> list[RememberedItem]:
        """`remembered`, asynchronously."""
        return await self._driver.arun(self._remembered(namespace_prefix, query, limit))

    def sweep_ttl(self) -> int:
        """Remove what has expired, in bounded batches; how many items there were."""
        return self._driver.run(self._sweep())

    async def asweep_ttl(self) -> int:
        """`sweep_ttl`, asynchronously."""
        return await self._driver.arun(self._sweep())

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> Future[None]:
        """Sweep from a background thread; the future ends with it, cancelling stops it.

        Raises ConfigurationError if the sweeper runs already.
        """
        configured = (self.ttl_config or {}).get("sweep_interval_minutes")
        given = sweep_interval_minutes if sweep_interval_minutes is not None else configured
        return self._sweeper.start(given)

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Stop the background thread; whether it ended within `timeout` seconds."""
        return self._sweeper.stop(timeout)

    def close(self) -> None:
        """Stop what runs beside, and close the connections that no other object uses.

        It waits for a sweep, which is short. An index that is being made in the background is
        cancelled: what is there of it serves no search, and whoever tends the indexes next makes
        it again.
        """
        self._sweeper.stop(None)
        self._tending.stop()
        super().close()

    async def aclose(self) -> None:
        """`close`, which does not wait for a sweep that is under way."""
        self._sweeper.ask_to_stop()
        await asyncio.to_thread(self._tending.stop)
        await super().aclose()

    # -- plans

    def _setup(self) -> Plan[None]:
        yield from self._know_dimensions()

        def steps() -> Steps[None]:
            yield from install(self._scope.schema, ITEMS_COMPONENT)
            if self._index is not None:
                if self._index.hybrid:
                    yield from require_language(self._index.language)
                yield from install_vectors(self._scope.schema, self._index)

        yield from attempt(steps, transaction=True)

    def _know_dimensions(self) -> Plan[None]:
        if self._index is not None and not self._index.dims:
            dims = yield from probed_dimensions(self._index.embeddings, None)
            self._index = self._index.of_dimensions(dims)

    def _indexed(self) -> Index:
        if self._index is None:
            raise ConfigurationError("this store has no `index`")
        return self._index

    def _reindex(self, deadline: float) -> Plan[None]:
        self._indexed()
        yield from self._know_dimensions()
        steps = partial(reindex_vectors, self._scope.schema, self._indexed())
        try:
            yield from attempt(steps, alone=True, deadline=deadline)
        finally:
            self._sizes.forget()

    def _tend_beside(self, stop: Stop) -> bool:
        return self._driver.run(self._tend(REINDEX_DEADLINE_SECONDS, stop))

    def _tend(self, deadline: float, stop: Stop | None = None) -> Plan[bool]:
        self._indexed()
        yield from self._know_dimensions()
        try:
            return (yield from tend(self._scope, self._indexed(), deadline, stop))
        finally:
            self._sizes.forget()

    def _reembed(self, everything: bool, batch: int) -> Plan[int]:
        self._indexed()
        yield from self._know_dimensions()
        index, last, done = self._indexed(), 0, 0
        while True:
            find = partial(page, self._scope, self._codec, index, last, everything, batch)
            found = yield from attempt(find)
            if not found.seen:
                return done
            last = max(found.seen)
            vectors = yield from self._embed(found.distinct(), as_queries=False)
            put = partial(write, self._scope, index, found, vectors)
            done += yield from attempt(put, transaction=True)

    def _batch(self, ops: Sequence[Op]) -> Plan[list[Result]]:
        for op in ops:
            validate_op_namespace(op)
        yield from self._know_dimensions()
        puts = [op for op in ops if isinstance(op, PutOp)]
        stores, deletions = prepare_puts(self._codec, puts, self._index)
        origin = current_origin() if stores else None
        vectors: dict[str, Sequence[float]] = {}
        queries: dict[str, Sequence[float]] = {}
        if self._index is not None:
            texts = list(dict.fromkeys(text for put in stores for _, _, text in put.vectors))
            vectors = yield from self._embed(texts, as_queries=False)
            asked = [op.query for op in ops if isinstance(op, SearchOp) and op.query]
            queries = yield from self._embed(list(dict.fromkeys(asked)), as_queries=True)

        def steps() -> Steps[list[Result]]:
            results = yield from self._read(ops, queries)
            yield from put_items(self._scope, self._index, stores, deletions, vectors, origin)
            return results

        alone = len(puts) == len(ops) and by_one_statement(stores, deletions)
        results = yield from attempt(steps, transaction=bool(puts) and not alone)
        tends = self._index is not None and self._index.own_indexes and self._driver.synchronous
        if self._sizes.ill_tended() and tends:
            self._tending.ask()
        return results

    def _embed(self, texts: list[str], *, as_queries: bool) -> Plan[dict[str, Sequence[float]]]:
        assert self._index is not None
        if not texts:
            return {}
        found = yield Embed(self._index.embeddings, texts, as_queries)
        check_vectors(found, len(texts), self._index.dims)
        return dict(zip(texts, found, strict=True))

    def _read(self, ops: Sequence[Op], queries: dict[str, Sequence[float]]) -> Steps[list[Result]]:
        results: list[Result] = [None] * len(ops)
        gets: dict[tuple[str, ...], list[tuple[int, GetOp]]] = {}
        reads: dict[int, Steps[Any]] = {}
        renewing: list[int] = []
        for position, op in enumerate(ops):
            match op:
                case GetOp():
                    gets.setdefault(op.namespace, []).append((position, op))
                case SearchOp():
                    vector = queries.get(op.query) if op.query else None
                    search = Search(
                        self._scope, self._codec, op, self._index, vector, self._sizes, renewing
                    )
                    reads[position] = search.steps()
                case ListNamespacesOp():
                    reads[position] = list_namespaces(self._scope, op)
                case PutOp():
                    pass
        by_key = [
            get_items(self._scope, self._codec, namespace, [op for _, op in asked], renewing)
            for namespace, asked in gets.items()
        ]
        found = yield from together([*reads.values(), *by_key])
        for position, result in zip(reads, found, strict=False):
            results[position] = result
        for asked, items in zip(gets.values(), found[len(reads) :], strict=True):
            for position, op in asked:
                results[position] = items.get(op.key)
        yield from renew(self._scope, renewing)
        return results

    def _remembered(
        self, prefix: tuple[str, ...], query: str | None, limit: int
    ) -> Plan[list[RememberedItem]]:
        if query is None:
            find = partial(remembered, self._scope, self._codec, prefix, limit)
            return (yield from attempt(find))
        self._indexed()
        op = SearchOp(prefix, query=query, limit=limit, refresh_ttl=False)
        (found,) = yield from self._batch([op])
        hits: Any = found
        return (yield from attempt(partial(with_scores, self._scope, self._codec, hits)))

    def _sweep(self) -> Plan[int]:
        total, swept = 0, SWEEP_BATCH
        while swept == SWEEP_BATCH:
            swept = yield from attempt(lambda: sweep_items(self._scope, SWEEP_BATCH))
            total += swept
        return total
