"""Reading checkpoints: one by primary key, a page of many, and a channel's history."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    get_checkpoint_id,
)
from psycopg import sql

from memory.checkpoints.rows import (
    Head,
    Key,
    Recipes,
    assemble,
    key_of,
    open_chunks,
    open_head,
    open_writes,
)
from memory.database.arrays import BYTEA_OID, TEXT_OID, bytea_elements, int4_elements
from memory.database.scope import THREAD_KEY, Scope
from memory.database.steps import Call, FetchAll, FetchOne, Steps, Typed
from memory.encoding.codec import ADDRESS_BYTES, Address, Codec
from memory.encoding.ids import original, pack_id, storable, unpack_id
from memory.encoding.jsonsafe import contains, to_jsonb
from memory.errors import AgentMemoryError, ConfigurationError, CorruptedCheckpointError

log = structlog.get_logger(__name__)

PAGE = 100
HISTORY_PAGE = 256
JSONB_VERSION_BYTES = 1

GET: LiteralString = "select * from {schema}.memory_get($1, $2, $3, $4)"
GET_TYPES = (TEXT_OID, TEXT_OID, TEXT_OID, BYTEA_OID)

RECIPES: LiteralString = (
    "select head, refs, metadata from {schema}.memory_checkpoints"
    " where thread_key = {thread} and ns = %s and checkpoint_id = %b"
)
CHUNKS: LiteralString = (
    "select b.address, b.data from unnest(%s::bigint[], %b::bytea[]) as n (thread_key, address)"
    " join {schema}.memory_chunks b using (thread_key, address)"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint that was read, and what its child can take over."""

    key: Key
    recipes: Recipes
    tuple: CheckpointTuple


def get(scope: Scope, codec: Codec, key: Key) -> Steps[Found | None]:
    """One checkpoint with its values and pending writes, in one round trip."""
    statement = Typed(scope.render(GET), GET_TYPES)
    row = yield Call(statement, (scope.tenant, *key.stored()))
    if row is None:
        return None
    checkpoint_id, parent_id, frame, metadata, refs, frames, tasks, indexes, writes = row
    exact = Key(key.thread_id, key.ns, unpack_id(checkpoint_id))
    head = open_head(codec, frame, refs, json.loads(metadata[JSONB_VERSION_BYTES:]))
    chunks = open_chunks(codec, split(refs), bytea_elements(frames))
    pending = []
    if tasks is not None:
        each = (bytea_elements(tasks), int4_elements(indexes), bytea_elements(writes))
        pending = open_writes(codec, *each)
    found = assemble(codec, exact, parent_id, head, chunks, pending)
    return Found(exact, head.recipes, found)


def recipes(scope: Scope, codec: Codec, key: Key) -> Steps[Recipes | None]:
    """What a child of this checkpoint can take over; None if there is no such checkpoint."""
    thread, ns, checkpoint_id = key.stored()
    row = yield FetchOne(scope.render(RECIPES), (scope.tenant, thread, ns, checkpoint_id))
    return None if row is None else open_head(codec, row[0], row[1], row[2]).recipes


def split(refs: bytes) -> list[Address]:
    """The addresses in a row's `refs`."""
    return [Address(refs[at : at + ADDRESS_BYTES]) for at in range(0, len(refs), ADDRESS_BYTES)]


def fetch_chunks(
    scope: Scope, codec: Codec, wanted: Iterable[tuple[int, Address]], *, damaged: bool = False
) -> Steps[dict[Address, bytes]]:
    """Chunks by (thread key, address), as plain bytes. Missing ones are left out.

    damaged: leave out those that do not match their address too.
    """
    pairs = list(dict.fromkeys(wanted))
    if not pairs:
        return {}
    keys, addresses = [key for key, _ in pairs], [address for _, address in pairs]
    rows = yield FetchAll(scope.render(CHUNKS), (keys, addresses))
    found = {}
    for address, data in rows:
        try:
            found[Address(address)] = codec.open_chunk(Address(address), data)
        except CorruptedCheckpointError:
            if not damaged:
                raise
    return found


# -- listing


class Listing:
    """A list of checkpoints, newest first, that is read page by page.

    The position is kept here (keyset pagination), so no connection or snapshot outlives a page.
    """

    def __init__(
        self,
        scope: Scope,
        config: RunnableConfig | None,
        filter: Mapping[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> None:
        if filter is not None and not isinstance(filter, Mapping):
            raise ConfigurationError(f"a filter is a dict, not a {type(filter).__name__}")
        self._scope = scope
        self._filter = filter
        self._left = limit
        self._conditions: list[sql.Composable] = []
        self._parameters: list[Any] = []
        self._thread: tuple[Any, ...] | None = None
        self._position: tuple[bytes, int, str] | None = None
        self._chunks: dict[Address, bytes] = {}
        self.done = limit is not None and limit <= 0
        self.thread_id: str | None = None
        if config is not None and config.get("configurable"):
            self._narrow(config)
        if before is not None and (bound := get_checkpoint_id(before)):
            self._where(sql.SQL("c.checkpoint_id < %b"), pack_id(str(bound)))
        if filter:
            text, exact = to_jsonb(filter)
            if exact:
                self._where(sql.SQL("(c.metadata @> %s::jsonb or not c.exact)"), text)

    def _where(self, condition: sql.Composable, *parameters: Any) -> None:
        self._conditions.append(condition)
        self._parameters.extend(parameters)

    def _narrow(self, config: RunnableConfig) -> None:
        key = key_of(config)
        self.thread_id = key.thread_id
        thread, ns, checkpoint_id = key.stored()
        thread_key = THREAD_KEY.format(schema=self._scope.identifier)
        self._where(sql.SQL("c.thread_key = {}").format(thread_key), self._scope.tenant, thread)
        if config["configurable"].get("checkpoint_ns") is not None:
            self._where(sql.SQL("c.ns = %s"), ns)
        if checkpoint_id is not None:
            self._where(sql.SQL("c.checkpoint_id = %b"), checkpoint_id)

    def page(self, codec: Codec) -> Steps[list[CheckpointTuple]]:
        """The next page; sets `done` after the last one."""
        size = PAGE if self._left is None else min(PAGE, self._left)
        rows = yield FetchAll(*self._statement(size))
        codec = codec.lenient()
        opened = [(row, head) for row in rows if (head := _head_of(codec, row)) is not None]
        matching = [(row, head) for row, head in opened if self._matches(row, head)]
        wanted = {(row[0], address) for row, head in matching for address in head.addresses()}
        addresses = {address for _, address in wanted}
        held = {a: piece for a, piece in self._chunks.items() if a in addresses}
        missing = (pair for pair in wanted if pair[1] not in held)
        self._chunks = held | (yield from fetch_chunks(self._scope, codec, missing, damaged=True))
        result = []
        for row, head in matching[: self._left]:
            key = Key(original(row[1]), original(row[2]), unpack_id(row[3]))
            try:
                writes = open_writes(codec, row[9] or (), row[10] or (), row[11] or ())
            except AgentMemoryError as error:
                _left_out("pending writes", row, error)
                writes = []
            result.append(assemble(codec, key, row[4], head, self._chunks, writes, unreadable=True))
        if rows:
            last = rows[-1]
            self._position = (last[3], last[0], last[2])
        if self._left is not None:
            self._left -= len(result)
        self.done = len(rows) < size or self._left == 0
        return result

    def _matches(self, row: Sequence[Any], head: Head) -> bool:
        """Whether a row that jsonb holds only in part has the wanted metadata."""
        return not self._filter or (row[8] and self._exact) or contains(head.metadata, self._filter)

    @property
    def _exact(self) -> bool:
        return to_jsonb(self._filter or {})[1]

    def _statement(self, size: int) -> tuple[sql.Composed, list[Any]]:
        conditions, parameters = list(self._conditions), list(self._parameters)
        if self._position is not None:
            conditions.append(
                sql.SQL(
                    "(c.checkpoint_id <= %b and"
                    " (c.checkpoint_id, c.thread_key, c.ns) < (%b, %s, %s))"
                )
            )
            parameters += [self._position[0], *self._position]
        statement = sql.SQL(
            """select c.*, w.tasks, w.indexes, w.writes from (
                select c.thread_key, t.thread_id, c.ns, c.checkpoint_id, c.parent_id, c.head,
                       c.refs, c.metadata, c.exact
                from {schema}.memory_checkpoints c join {schema}.memory_threads t using (thread_key)
                where t.tenant = %s and t.deleted_at is null
                  and (t.expires_at is null or t.expires_at > now()) and {conditions}
                order by c.checkpoint_id desc, c.thread_key desc, c.ns desc limit %s
            ) c left join lateral (
                select array_agg(w.task_id) as tasks, array_agg(w.idx) as indexes,
                       array_agg(w.data) as writes
                from {schema}.memory_writes w
                where w.thread_key = c.thread_key and w.ns = c.ns
                  and w.checkpoint_id = c.checkpoint_id
            ) w on true
            order by c.checkpoint_id desc, c.thread_key desc, c.ns desc"""
        ).format(
            schema=self._scope.identifier,
            conditions=sql.SQL(" and ").join(conditions or [sql.SQL("true")]),
        )
        return statement, [self._scope.tenant, *parameters, size]


def _head_of(codec: Codec, row: Sequence[Any]) -> Head | None:
    """A row's head; None where it cannot be read, so that one row never hides the others."""
    try:
        return open_head(codec, row[5], row[6], row[7])
    except AgentMemoryError as error:
        _left_out("checkpoint", row, error)
        return None


def _left_out(what: str, row: Sequence[Any], error: AgentMemoryError) -> None:
    log.warning(
        "memory.left_out",
        what=what,
        thread_id=original(row[1]),
        checkpoint_id=unpack_id(row[3]),
        error=str(error),
    )


# -- history of delta channels

ANCESTORS: LiteralString = """select thread_key, checkpoint_id, parent_id, head, refs, metadata
    from {schema}.memory_checkpoints
    where thread_key = {thread} and ns = %s and checkpoint_id <= %b
    order by checkpoint_id desc limit %s"""
LATEST: LiteralString = (
    "select checkpoint_id from {schema}.memory_checkpoints"
    " where thread_key = {thread} and ns = %s order by checkpoint_id desc limit 1"
)
WRITES_OF: LiteralString = """
    select checkpoint_id, array_agg(task_id), array_agg(idx), array_agg(data)
    from {schema}.memory_writes
    where thread_key = %s and ns = %s and checkpoint_id = any(%b)
    group by checkpoint_id"""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One checkpoint of a parent chain."""

    checkpoint_id: bytes
    parent_id: bytes | None
    head: Head


def walk(
    scope: Scope, codec: Codec, key: Key, wanted: set[str]
) -> Steps[tuple[int | None, list[Ancestor]]]:
    """A checkpoint and its ancestors, up to where every wanted channel has a stored value.

    Returns the thread key and the chain, the checkpoint itself first. Ids are as stored. Pages
    run from newer to older ids: a checkpoint's ancestors are older than itself (uuid6).
    """
    thread, ns, checkpoint_id = key.stored()
    if checkpoint_id is None:
        row = yield FetchOne(scope.render(LATEST), (scope.tenant, thread, ns))
        checkpoint_id = None if row is None else row[0]
    seen: dict[bytes, Ancestor] = {}
    chain: list[Ancestor] = []
    thread_key: int | None = None
    left = set(wanted)
    current, below = checkpoint_id, checkpoint_id
    while current is not None and left:
        if current not in seen:
            page = yield FetchAll(
                scope.render(ANCESTORS), (scope.tenant, thread, ns, below, HISTORY_PAGE)
            )
            new = [row for row in page if row[1] not in seen]
            for thread_key, found_id, parent_id, frame, refs, metadata in new:  # noqa: B007
                head = open_head(codec, frame, refs, metadata)
                seen[found_id] = Ancestor(found_id, parent_id, head)
                below = found_id
            if not new or (current not in seen and len(page) < HISTORY_PAGE):
                break
            continue
        ancestor = seen[current]
        if chain:
            left -= ancestor.head.recipes.keys()
        chain.append(ancestor)
        current = ancestor.parent_id
    return thread_key, chain


def delta_history(
    scope: Scope, codec: Codec, key: Key, channels: Sequence[str]
) -> Steps[dict[str, DeltaChannelHistory]]:
    """For each channel the writes since its last stored value, oldest first, and that value.

    The checkpoint itself is not part of its history: its own writes make its child.
    """
    result: dict[str, DeltaChannelHistory] = {channel: {"writes": []} for channel in channels}
    if not channels:
        return result
    thread_key, chain = yield from walk(scope, codec, key, set(channels))
    ancestors = chain[1:]
    if thread_key is None or not ancestors:
        return result
    ids = [ancestor.checkpoint_id for ancestor in ancestors]
    rows = yield FetchAll(scope.render(WRITES_OF), (thread_key, storable(key.ns), ids))
    writes = {
        checkpoint_id: open_writes(codec, tasks, indexes, frames)
        for checkpoint_id, tasks, indexes, frames in rows
    }
    seeds = {
        channel: next(
            (a.head.recipes[channel] for a in ancestors if channel in a.head.recipes), None
        )
        for channel in channels
    }
    wanted = {(thread_key, a) for seed in seeds.values() if seed for a in seed.addresses}
    chunks = yield from fetch_chunks(scope, codec, wanted)
    for channel in channels:
        collected: list[PendingWrite] = []
        for ancestor in ancestors:
            own = [w for w in writes.get(ancestor.checkpoint_id, ()) if w[1] == channel]
            collected = own + collected
            if channel in ancestor.head.recipes:
                break
        result[channel]["writes"] = collected
        if (seed := seeds[channel]) is not None:
            result[channel]["seed"] = codec.decode(seed, chunks)
    return result
