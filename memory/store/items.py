"""The store's operations as database steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, LiteralString

from langgraph.store.base import GetOp, Item, ListNamespacesOp, PutOp, SearchItem
from psycopg import sql

from memory.database.scope import Scope
from memory.database.steps import FetchAll, FetchOne, Steps
from memory.database.vectors import VECTORS_A_STATEMENT, array
from memory.encoding.codec import Codec
from memory.encoding.ids import original, storable
from memory.encoding.jsonsafe import to_jsonb
from memory.encoding.locating import placed
from memory.errors import ConfigurationError, NotSerializableError, TypeNotAllowedError
from memory.lifetimes import lifetime
from memory.store.index import Index
from memory.words import SIMPLE, cleaned, configurations

Namespace = tuple[str, ...]

LIVE: LiteralString = "(i.expires_at is null or i.expires_at > now())"
GET: LiteralString = (
    "select i.key, i.value, i.sealed, i.created_at, i.updated_at, i.ttl, i.item_key"
    " from {schema}.memory_items i where i.ns_key = (select ns_key from"
    " {schema}.memory_namespaces where tenant = %s and path = %s::text[])"
    " and i.key = any(%s::text[]) and {live}"
)
RENEW: LiteralString = (
    "update {schema}.memory_items set expires_at = now() + ttl"
    " where item_key = any(%b::bigint[]) and ttl is not null returning 1"
)
PUT: LiteralString = (
    "select {schema}.memory_put_worded_items(%s, %s::text[], %s::text[], %s::jsonb[], %s::bytea[],"
    " %s::interval[], %s::text[], %s::text[])"
)
PUT_FROM: LiteralString = (
    "select {schema}.memory_put_noted_items(%s, %s::text[], %s::text[], %s::jsonb[], %s::bytea[],"
    " %s::interval[], %s::text[], %s::text[], %s::jsonb)"
)
PUT_EMBEDDED = sql.SQL(
    "select {schema}.memory_put_embedded_items(%s, %s::text[], %s::text[], %s::jsonb[],"
    " %s::bytea[], %s::interval[], %s::text[], %s::text[], %s::jsonb, %s::integer[], %s::text[],"
    " {vectors})"
)
DELETE: LiteralString = (
    "delete from {schema}.memory_items where ns_key = (select ns_key from"
    " {schema}.memory_namespaces where tenant = %s and path = %s::text[])"
    " and key = any(%s::text[]) returning 1"
)
INSERT_VECTORS = sql.SQL(
    """insert into {schema}.memory_vectors (item_key, field, ns_key, embedding)
    select n.item_key, n.field, i.ns_key, n.embedding
    from unnest(%b::bigint[], %s::text[], {vectors}) as n (item_key, field, embedding)
    join {schema}.memory_items i using (item_key)
    on conflict (item_key, field) do update set embedding = excluded.embedding returning 1"""
)
SWEEP: LiteralString = (
    "with dead as (select item_key from {schema}.memory_items where expires_at <= now()"
    " order by expires_at limit %s for update skip locked)"
    " delete from {schema}.memory_items i using dead d where i.item_key = d.item_key returning 1"
)
SWEEP_NAMESPACES: LiteralString = (
    "with empty as (select n.ns_key from {schema}.memory_namespaces n where not exists"
    " (select from {schema}.memory_items i where i.ns_key = n.ns_key)"
    " limit %s for update skip locked)"
    " delete from {schema}.memory_namespaces n using empty e where n.ns_key = e.ns_key"
    " and not exists (select from {schema}.memory_items i where i.ns_key = n.ns_key) returning 1"
)


@dataclass(slots=True)
class PreparedPut:
    """Items of one namespace to be stored, and the texts to embed of them."""

    namespace: Namespace
    keys: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    sealed: list[bytes | None] = field(default_factory=list)
    ttls: list[timedelta | None] = field(default_factory=list)
    searches: list[str | None] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    vectors: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, codec: Codec, op: PutOp, index: Index | None) -> None:
        """Add an item. Raises TypeNotAllowedError for a value that the serializer refuses."""
        if not isinstance(op.value, Mapping):
            kind = type(op.value).__name__
            raise ConfigurationError(f"the value of item {op.key!r} is a {kind}; it must be a dict")
        value = dict(op.value)
        text, exact = to_jsonb(value)
        if codec.cipher is not None:
            text, exact = "{}", False
        self.keys.append(storable(op.key))
        self.values.append(text)
        self.sealed.append(None if exact else _sealed(codec, op.key, value))
        self.ttls.append(lifetime(op.ttl, f"the ttl of item {op.key!r}"))
        texts = []
        if index is not None and op.index is not False:
            texts = list(index.texts(value, op.index))
        self.vectors += [(len(self.keys) - 1, name, found) for name, found in texts]
        words = " ".join(found for _, found in texts) if index and index.hybrid else None
        self.searches.append(None if words is None else cleaned(words))
        self.languages.append(
            configurations(index.language, words)[-1] if index and words else SIMPLE
        )


def _sealed(codec: Codec, key: str, value: dict[str, Any]) -> bytes:
    try:
        return codec.seal(list(codec.serde.dumps_typed(value)))
    except (NotSerializableError, TypeNotAllowedError) as error:
        raise placed(error, f"item {key!r}", codec.serde.dumps_typed, value) from error


def prepare_puts(
    codec: Codec, ops: Sequence[PutOp], index: Index | None
) -> tuple[list[PreparedPut], dict[Namespace, list[str]]]:
    """Group the last operation on each key into stores and deletions by namespace."""
    last = {(op.namespace, op.key): op for op in ops}
    stores: dict[Namespace, PreparedPut] = {}
    deletions: dict[Namespace, list[str]] = {}
    for (namespace, key), op in sorted(last.items(), key=lambda item: item[0]):
        if op.value is None:
            deletions.setdefault(namespace, []).append(storable(key))
        else:
            stores.setdefault(namespace, PreparedPut(namespace)).add(codec, op, index)
    return list(stores.values()), deletions


def path_of(namespace: Namespace) -> list[str]:
    """A namespace as it is stored."""
    return [storable(label) for label in namespace]


def item_value(codec: Codec, value: Any, sealed: bytes | None) -> dict[str, Any]:
    """The value as it was put."""
    if sealed is None:
        return value  # type: ignore[no-any-return]
    kind, data = codec.open(sealed)
    return codec.serde.loads_typed((kind, data))  # type: ignore[no-any-return]


def get_items(
    scope: Scope,
    codec: Codec,
    namespace: Namespace,
    ops: Sequence[GetOp],
    renewing: list[int],
) -> Steps[dict[str, Item]]:
    """Items of one namespace by key. renewing: takes those whose TTL is to start again."""
    keys = [storable(op.key) for op in ops]
    statement = scope.render(GET.replace("{live}", LIVE))
    rows = yield FetchAll(statement, (scope.tenant, path_of(namespace), keys))
    asked = {storable(op.key) for op in ops if op.refresh_ttl}
    renewing += [row[6] for row in rows if row[5] is not None and row[0] in asked]
    return {
        original(key): Item(
            value=item_value(codec, value, sealed),
            key=original(key),
            namespace=namespace,
            created_at=created_at,
            updated_at=updated_at,
        )
        for key, value, sealed, created_at, updated_at, _, _ in rows
    }


def renew(scope: Scope, item_keys: list[int]) -> Steps[None]:
    """Start the TTL of items from its beginning again."""
    if item_keys:
        yield FetchAll(scope.render(RENEW), (sorted(item_keys),))


def put_items(
    scope: Scope,
    index: Index | None,
    stores: Sequence[PreparedPut],
    deletions: Mapping[Namespace, list[str]],
    vectors: Mapping[str, Sequence[float]],
    origin: str | None,
) -> Steps[None]:
    """Store and delete items with their vectors; to be run as one transaction.

    It is one anyhow where `by_one_statement`. origin: JSON of where they are from, if known.
    """
    for put in stores:
        yield from _store(scope, index, put, vectors, origin)
    for namespace, keys in deletions.items():
        yield FetchAll(scope.render(DELETE), (scope.tenant, path_of(namespace), keys))


def by_one_statement(
    stores: Sequence[PreparedPut], deletions: Mapping[Namespace, list[str]]
) -> bool:
    """Whether `put_items` needs one statement, or none."""
    few = all(len(put.vectors) <= VECTORS_A_STATEMENT for put in stores)
    return few and len(stores) + len(deletions) <= 1


def _store(
    scope: Scope,
    index: Index | None,
    put: PreparedPut,
    vectors: Mapping[str, Sequence[float]],
    origin: str | None,
) -> Steps[None]:
    """Store items of one namespace, with their vectors."""
    parameters = (
        scope.tenant,
        path_of(put.namespace),
        put.keys,
        put.values,
        put.sealed,
        put.ttls,
        put.searches,
        put.languages,
    )
    if index is None or not put.vectors:
        if origin is None:
            yield FetchOne(scope.render(PUT), parameters)
        else:
            yield FetchOne(scope.render(PUT_FROM), (*parameters, origin))
        return
    some = put.vectors[:VECTORS_A_STATEMENT]
    row = yield FetchOne(
        PUT_EMBEDDED.format(schema=scope.identifier, vectors=array(len(some), index.query_type)),
        (
            *(*parameters, origin),
            [position + 1 for position, _, _ in some],
            [storable(name) for _, name, _ in some],
            *(index.parameter(vectors[text]) for _, _, text in some),
        ),
    )
    item_keys: list[int] = row[0]
    for start in range(VECTORS_A_STATEMENT, len(put.vectors), VECTORS_A_STATEMENT):
        some = put.vectors[start : start + VECTORS_A_STATEMENT]
        yield FetchAll(
            INSERT_VECTORS.format(
                schema=scope.identifier, vectors=array(len(some), index.query_type)
            ),
            (
                [item_keys[position] for position, _, _ in some],
                [storable(name) for _, name, _ in some],
                *(index.parameter(vectors[text]) for _, _, text in some),
            ),
        )


def sweep_items(scope: Scope, batch: int) -> Steps[int]:
    """Remove at most `batch` expired items; how many there were."""
    rows = yield FetchAll(scope.render(SWEEP), (batch,))
    if len(rows) < batch:
        yield FetchAll(scope.render(SWEEP_NAMESPACES), (batch,))
    return len(rows)


def list_namespaces(scope: Scope, op: ListNamespacesOp) -> Steps[list[Namespace]]:
    """Namespaces that have items, cut to `max_depth`, in order."""
    conditions: list[sql.Composable] = [sql.SQL("n.tenant = %s")]
    parameters: list[Any] = [scope.tenant]
    for condition in op.match_conditions or ():
        conditions.append(sql.SQL("array_length(n.path, 1) >= %s"))
        parameters.append(len(condition.path))
        for position, label in enumerate(condition.path, start=1):
            if label == "*":
                continue
            if condition.match_type == "prefix":
                conditions.append(sql.SQL("n.path[%s] = %s"))
                parameters += [position, storable(label)]
            else:
                conditions.append(sql.SQL("n.path[array_length(n.path, 1) - %s] = %s"))
                parameters += [len(condition.path) - position, storable(label)]
    statement = sql.SQL(
        "select distinct n.path[:%s] as path from {schema}.memory_namespaces n where {conditions}"
        " and exists (select from {schema}.memory_items i where i.ns_key = n.ns_key and {live})"
        " order by path limit %s offset %s"
    ).format(
        schema=scope.identifier, conditions=sql.SQL(" and ").join(conditions), live=sql.SQL(LIVE)
    )
    depth = 2**31 - 1 if op.max_depth is None else op.max_depth
    rows = yield FetchAll(statement, (depth, *parameters, op.limit, op.offset))
    return [tuple(original(label) for label in path) for (path,) in rows]


def search_item(codec: Codec, row: Sequence[Any], score: float | None) -> SearchItem:
    """A row of a search as LangGraph gets it."""
    path, key, value, sealed, created_at, updated_at = row[:6]
    return SearchItem(
        namespace=tuple(original(label) for label in path),
        key=original(key),
        value=item_value(codec, value, sealed),
        created_at=created_at,
        updated_at=updated_at,
        score=score,
    )
