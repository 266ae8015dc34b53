"""The stores behind the memory tools: a schema of its own in a cluster's default database.

Memories are items of `memory.BorealisStore`, in namespaces by scope, found by words and vectors.
The embedding is the store's default, `memory.HashEmbeddings`. Reads connect as `borealis_reader`,
writes as the master user. A store is kept for its connections, which close when they are idle, so
that a cluster can pause.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

import anyio

from cluster_runtime.control.plane import Cluster
from cluster_runtime.engine.access.roles import READER
from mcp_server.memories.rules import (
    ROOT,
    ForeignMemoriesError,
    Memory,
    MemoryScope,
    NoMemoryError,
    id_of,
    id_of_block,
    say_the_same,
)
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import connected

if TYPE_CHECKING:
    from langgraph.store.base import ListNamespacesOp, SearchOp

    from memory import BorealisStore

SCHEMA = "borealis_memories"
STORES_MAX = 16
SWEEP_SECONDS = 300.0
SCOPES_MAX = 1000
BLOCKS_MAX = 200
LIKELY = 5
"""The nearest memories that are asked whether they say the same."""
APPLICATION = "borealis mcp memory"
MAKE = f"create schema if not exists {SCHEMA}"
TRUSTED = f"""
select pg_catalog.pg_has_role(n.nspowner, d.datdba, 'member')
    or pg_catalog.pg_get_userbyid(n.nspowner) operator(pg_catalog.=) current_user
from pg_catalog.pg_namespace n, pg_catalog.pg_database d
where n.nspname operator(pg_catalog.=) '{SCHEMA}'
  and d.datname operator(pg_catalog.=) pg_catalog.current_database()
"""
"""Whether the schema's owner has the rights of the database's: he could run anything with any."""


@dataclass(frozen=True, slots=True)
class DatabaseAs:
    """A cluster's default database, as the memory package asks for connections of one role."""

    cluster: Cluster
    user: str | None

    def dsn(self, endpoint: Any = "writer") -> str:
        """A connection string of the writer, which alone has what was written a moment ago."""
        return self.cluster.dsn("writer", user=self.user)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What became of a text. replaced: what it took the place of; similarity: how alike they are"""

    id: str
    done: Literal["added", "updated"]
    replaced: str | None = None
    similarity: float | None = None


@dataclass(slots=True)
class Memories:
    """The memories in one cluster, for one role.

    store: words and vectors, for searches. vectors: the same rows by vectors alone, whose scores
    are similarities.
    """

    source: DatabaseAs
    store: "BorealisStore"
    vectors: "BorealisStore"
    _writing: anyio.Lock = field(default_factory=anyio.Lock)
    _is_trusted: bool = False
    _is_set_up: bool = False
    _swept: float = 0.0

    @classmethod
    def of(cls, cluster: Cluster, user: str | None) -> "Memories":
        """Those in a cluster, without a connection yet."""
        from memory import BorealisStore

        source = DatabaseAs(cluster, user)
        index = {"fields": ["text"]}
        options: dict[str, Any] = {"schema": SCHEMA, "application_name": APPLICATION}
        return cls(
            source,
            BorealisStore(source, index={**index, "hybrid": True}, **options),
            BorealisStore(source, index=index, **options),
        )

    async def remember(
        self,
        scope: MemoryScope,
        text: str,
        *,
        id: str | None = None,
        block: str | None = None,
        ttl_minutes: float | None = None,
        separate: bool = False,
    ) -> Remembered:
        """Keep a text: as a core block, in place of a memory, or of one that says the same.

        ttl_minutes: from now; None forgets never. separate: beside one that says nearly the same,
        where only the very same text is one memory. Raises NoMemoryError for a wrong id.
        """
        async with self._writing:
            await self._ready_to_write()
            if block is not None:
                place = await self._at(scope, id_of_block(block))
                kept = Remembered(id_of_block(block), "updated" if place else "added", place)
            elif id is not None:
                place = await self._at(scope, id)
                if place is None:
                    raise NoMemoryError(
                        f"{scope} has no memory {id!r}: leave id out to add one, or take the id "
                        "of one that was recalled or listed"
                    )
                kept = Remembered(id, "updated", place)
            else:
                kept = await self._place_of(scope, text, separate=separate)
            await self._put(scope, kept.id, text, ttl_minutes)
            await self._sweep()
        return kept

    async def recall(
        self, scopes: Sequence[MemoryScope], query: str | None, limit: int
    ) -> list[Memory]:
        """Memories of some scopes, best first with scores; without a query the latest first."""
        from langgraph.store.base import SearchOp

        several = len(scopes) > 1
        op = SearchOp(
            namespace_prefix=(ROOT,) if several else scopes[0].namespace,
            filter={"scope": {"$in": [str(each) for each in scopes]}} if several else None,
            limit=limit,
            query=query,
            refresh_ttl=False,
        )
        return [Memory.of(item) for item in await self._found(op)]

    async def scopes(self) -> list[str]:
        """The scopes that have memories."""
        from langgraph.store.base import ListNamespacesOp, MatchCondition

        op = ListNamespacesOp(
            match_conditions=(MatchCondition("prefix", (ROOT, "*", "*")),), limit=SCOPES_MAX
        )
        return [str(MemoryScope.at(each)) for each in await self._found(op)]

    async def blocks(self, scope: MemoryScope | None = None) -> list[Memory]:
        """The core blocks of a scope, or of all, by scope and name."""
        from langgraph.store.base import SearchOp

        op = SearchOp(
            namespace_prefix=(ROOT,) if scope is None else scope.namespace,
            filter={"block": True},
            limit=BLOCKS_MAX,
            refresh_ttl=False,
        )
        found = map(Memory.of, await self._found(op))
        return sorted(found, key=lambda each: (each.scope, each.id))

    async def forget(self, scope: MemoryScope, ids: Sequence[str]) -> list[Memory]:
        """Remove memories by id; those that were there, as they were."""
        from langgraph.store.base import GetOp, PutOp

        async with self._writing:
            await self._ready_to_write()
            wanted = list(dict.fromkeys(ids))
            gets = [GetOp(scope.namespace, each, refresh_ttl=False) for each in wanted]
            puts = [PutOp(scope.namespace, each, None) for each in wanted]
            found = (await self.store.abatch([*gets, *puts]))[: len(gets)]
        return [Memory.of(item) for item in found if item is not None]

    async def _ready_to_write(self) -> None:
        if not self._is_set_up:
            await self._is_there(make=True)
            await self.store.asetup()
            self._is_set_up = True

    async def _is_there(self, *, make: bool = False) -> bool:
        """Whether there is a schema of memories. make: make it where there is none.

        What another role made there would run with the rights of this one, so that such a schema
        is not entered. One that was made by this role nobody else can put another in place of.
        Raises ForeignMemoriesError.
        """
        if not self._is_trusted:
            async with connected(
                self.source.cluster, None, limits_of_a_call(), user=self.source.user
            ) as connection:
                if make:
                    await connection.execute(MAKE)
                found = await (await connection.execute(TRUSTED)).fetchone()
            if found is None:
                return False
            if found != (True,):
                raise ForeignMemoriesError(
                    f"the schema {SCHEMA} of this cluster is another role's, so nothing there is "
                    "read or written: whoever owns it drops it, or gives it to the master user"
                )
            self._is_trusted = True
        return True

    async def _found(self, op: "SearchOp | ListNamespacesOp") -> list[Any]:
        """What a search finds; nothing where nothing was ever remembered."""
        from memory.errors import SetupRequiredError

        if not await self._is_there():
            return []
        try:
            (found,) = await self.store.abatch([op])
        except SetupRequiredError:
            return []
        return cast(list[Any], found)

    async def _at(self, scope: MemoryScope, id: str) -> str | None:
        from langgraph.store.base import GetOp

        (item,) = await self.store.abatch([GetOp(scope.namespace, id, refresh_ttl=False)])
        return None if item is None else Memory.of(item).text

    async def _place_of(self, scope: MemoryScope, text: str, *, separate: bool) -> Remembered:
        """Where a new text goes."""
        from langgraph.store.base import GetOp, SearchOp

        at = GetOp(scope.namespace, id := id_of(text), refresh_ttl=False)
        near = SearchOp(
            scope.namespace,
            filter={"block": False},
            limit=0 if separate else LIKELY,
            query=text,
            refresh_ttl=False,
        )
        taken, nearest = cast(tuple[Any, list[Any]], await self.vectors.abatch([at, near]))
        if taken is not None and say_the_same(Memory.of(taken).text, text, None):
            return Remembered(id, "updated", similarity=1.0)
        for found in map(Memory.of, nearest):
            if say_the_same(found.text, text, found.score):
                return Remembered(found.id, "updated", found.text, found.score)
        # The id of a text that a later one has taken the place of stays with that one.
        return Remembered(id if taken is None else secrets.token_hex(6), "added")

    async def _put(self, scope: MemoryScope, id: str, text: str, ttl_minutes: float | None) -> None:
        from langgraph.store.base import PutOp

        value: dict[str, Any] = {
            "text": text,
            "scope": str(scope),
            "block": id.startswith(id_of_block("")),
        }
        if ttl_minutes is not None:
            until = datetime.now(UTC) + timedelta(minutes=ttl_minutes)
            value["expires"] = until.isoformat(timespec="seconds")
        await self.store.abatch([PutOp(scope.namespace, id, value, ttl=ttl_minutes)])

    async def _sweep(self) -> None:
        """Remove what has expired, now and then: it is never told anyhow."""
        if (now := time.monotonic()) - self._swept > SWEEP_SECONDS:
            self._swept = now
            await self.store.asweep_ttl()


class KeptMemories:
    """The memories that a server has been asked for, by cluster and role; the oldest go."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str | None], Memories] = OrderedDict()
        self.blocks_seen: dict[str, list[str]] = {}
        """Scopes that have core blocks, as they were when a cluster was last asked, by its id."""

    def of(self, cluster: Cluster, *, writes: bool) -> Memories:
        """The memories in a cluster."""
        user = None if writes else READER
        key = (cluster.id, user)
        if key not in self._kept:
            self._kept[key] = Memories.of(cluster, user)
        self._kept.move_to_end(key)
        while len(self._kept) > STORES_MAX:
            self._kept.popitem(last=False)  # not closed: a call may still use it
        return self._kept[key]
