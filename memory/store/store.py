"""`BorealisStore`: LangGraph's long-term memory in PostgreSQL."""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

import psycopg
import structlog
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

from memory.database.connections import ConnectionSource
from memory.database.driver import DEFAULT_DEADLINE_SECONDS, Driver, DriverOwner
from memory.database.schema import DEFAULT_SCHEMA, install
from memory.database.scope import Scope
from memory.database.steps import Embed, Plan, Steps, attempt
from memory.embeddings import check_vectors
from memory.encoding.codec import Codec
from memory.encoding.serde import BorealisSerializer
from memory.errors import AgentMemoryError, ConfigurationError
from memory.store.index import BorealisIndexConfig, Index, install_vectors
from memory.store.items import (
    get_items,
    list_namespaces,
    prepare_puts,
    put_items,
    sweep_items,
)
from memory.store.searching import Search
from memory.store.tables import ITEMS_COMPONENT

log = structlog.get_logger(__name__)

SWEEP_BATCH = 1000
DEFAULT_SWEEP_MINUTES = 5.0


class BorealisStore(DriverOwner, BaseStore):
    """A LangGraph store on PostgreSQL 15 or newer. Call `setup()` once for each database.

    source: a cluster (anything with `dsn()`), a DSN, or a psycopg pool or autocommit connection.
    index: makes `search(query=...)` work; see `BorealisIndexConfig`. `{}` takes every default.
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
        **pool: Any,
    ) -> None:
        super().__init__()
        self._driver = Driver(source, tenant=tenant, deadline=deadline, **pool)
        self._scope = Scope(schema, tenant)
        self._codec = Codec(BorealisSerializer())
        self._index = None if index is None else Index.of(index)
        self.ttl_config = ttl
        self._sweeper: threading.Thread | None = None
        self._stop = threading.Event()

    def setup(self) -> None:
        """Create the tables or bring them up to date; safe from many processes at once."""
        self._driver.run(self._setup())

    async def asetup(self) -> None:
        """`setup`, asynchronously."""
        await self._driver.arun(self._setup())

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations together; results are in their order."""
        return self._driver.run(self._batch(list(ops)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """`batch`, asynchronously."""
        return await self._driver.arun(self._batch(list(ops)))

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
        if self._sweeper is not None and self._sweeper.is_alive():
            raise ConfigurationError("the sweeper is running; call stop_ttl_sweeper() first")
        configured = (self.ttl_config or {}).get("sweep_interval_minutes")
        minutes = sweep_interval_minutes or configured or DEFAULT_SWEEP_MINUTES
        self._stop.clear()
        future: Future[None] = Future()
        future.add_done_callback(lambda _: self._stop.set())
        self._sweeper = threading.Thread(
            target=self._sweep_until_stopped, args=(minutes * 60, future), daemon=True
        )
        self._sweeper.name = "borealis-memory-sweeper"
        self._sweeper.start()
        return future

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Stop the background thread; whether it ended within `timeout` seconds."""
        if self._sweeper is None:
            return True
        self._stop.set()
        self._sweeper.join(timeout)
        return not self._sweeper.is_alive()

    def close(self) -> None:
        """Stop the sweeper and close the connections of our own pool."""
        self.stop_ttl_sweeper()
        super().close()

    async def aclose(self) -> None:
        """`close`, for this event loop's connections too."""
        self._stop.set()
        await super().aclose()

    # -- plans

    def _setup(self) -> Plan[None]:
        def steps() -> Steps[None]:
            yield from install(self._scope.schema, ITEMS_COMPONENT)
            if self._index is not None:
                yield from install_vectors(self._scope.schema, self._index)

        yield from attempt(steps, transaction=True)

    def _batch(self, ops: Sequence[Op]) -> Plan[list[Result]]:
        for op in ops:
            validate_op_namespace(op)
        puts = [op for op in ops if isinstance(op, PutOp)]
        stores, deletions = prepare_puts(self._codec, puts, self._index)
        vectors: dict[str, Sequence[float]] = {}
        queries: dict[str, Sequence[float]] = {}
        if self._index is not None:
            texts = list(dict.fromkeys(text for put in stores for _, _, text in put.vectors))
            vectors = yield from self._embed(texts, as_queries=False)
            asked = [op.query for op in ops if isinstance(op, SearchOp) and op.query]
            queries = yield from self._embed(list(dict.fromkeys(asked)), as_queries=True)

        def steps() -> Steps[list[Result]]:
            results = yield from self._read(ops, queries)
            yield from put_items(self._scope, self._index, stores, deletions, vectors)
            return results

        return (yield from attempt(steps, transaction=bool(puts or queries)))

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
        for position, op in enumerate(ops):
            match op:
                case GetOp():
                    gets.setdefault(op.namespace, []).append((position, op))
                case SearchOp():
                    vector = queries.get(op.query) if op.query else None
                    search = Search(self._scope, self._codec, op, self._index, vector)
                    results[position] = yield from search.steps()
                case ListNamespacesOp():
                    results[position] = yield from list_namespaces(self._scope, op)
                case PutOp():
                    pass
        for namespace, asked in gets.items():
            items = yield from get_items(
                self._scope, self._codec, namespace, [op for _, op in asked]
            )
            for position, op in asked:
                results[position] = items.get(op.key)
        return results

    def _sweep(self) -> Plan[int]:
        total, swept = 0, SWEEP_BATCH
        while swept == SWEEP_BATCH:
            swept = yield from attempt(lambda: sweep_items(self._scope, SWEEP_BATCH))
            total += swept
        return total

    def _sweep_until_stopped(self, interval: float, future: Future[None]) -> None:
        while not self._stop.wait(interval):
            try:
                removed = self.sweep_ttl()
            except (AgentMemoryError, psycopg.Error) as error:
                log.warning("memory.sweep_failed", error=str(error))
            else:
                log.debug("memory.swept", items=removed)
        if not future.done():
            future.set_result(None)
