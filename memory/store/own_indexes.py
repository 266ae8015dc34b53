"""Vector indexes of single namespaces: one of all vectors yields mostly those of others.

`decide` says which there should be; `tend` makes and removes them, each by itself and concurrently.
A worker that puts into such a namespace maintains two indexes, so there are few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import LiteralString

from psycopg import sql

from memory.database.scope import Scope
from memory.database.steps import Execute, FetchAll, FetchOne, Plan, Steps, attempt
from memory.encoding.ids import original
from memory.errors import ConfigurationError
from memory.store.index import Index
from memory.store.planning import STILL_WORTH, WORTH, gain
from memory.store.vectors import ann_index

OWN_PREFIX = "memory_vectors_of_"
"""Followed by the key of the namespace."""

VECTORS: LiteralString = (
    "select ns_key, count(*) from {schema}.memory_vectors group by ns_key order by ns_key"
)
INDEXES: LiteralString = """select c.relname, i.indisvalid, pg_relation_size(c.oid), exists (
        select from pg_stat_progress_create_index p
        where p.datname = current_database() and coalesce(p.index_relid, c.oid) = c.oid)
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
    where i.indrelid = to_regclass(%s) and m.amname = 'hnsw' order by c.relname"""
OWNED: LiteralString = """select pg_has_role(relowner, 'usage') from pg_class
    where oid = to_regclass(%s)"""
PATHS: LiteralString = "select ns_key, path from {schema}.memory_namespaces where ns_key = any(%s)"


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """An HNSW index of a store.

    namespace: whose it is; None for that of all vectors, and () once the namespace is gone.
    ready: whether searches use it; not while it is made, or where its making was cut off.
    """

    name: str
    namespace: tuple[str, ...] | None
    size_bytes: int
    ready: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """Keys of namespaces."""

    make: Sequence[int]
    remove: Sequence[int]


def decide(vectors: Mapping[int, int], have: Mapping[int, bool], most: int) -> Decision:
    """Which namespaces get an index of their own and which lose theirs, the best first.

    vectors: of each namespace. have: those with an index, and whether it is of use.
    """
    table = sum(vectors.values())
    gains = {key: gain(number, table) for key, number in vectors.items()}
    wanted = [
        key
        for key in sorted(gains, key=lambda key: (-gains[key], key))
        if gains[key] >= (STILL_WORTH if key in have else WORTH)
    ][:most]
    return Decision(
        make=[key for key in wanted if not have.get(key)],
        remove=[key for key in have if key not in wanted],
    )


def tend(scope: Scope, index: Index, deadline: float) -> Plan[bool]:
    """Make the indexes that are worth it and remove those that are not; whether any was.

    deadline: seconds for each. Raises ConfigurationError for a role that does not own the tables.
    """

    def look() -> Steps[Decision]:
        owned = yield FetchOne(OWNED, (_vectors(scope),))
        if owned is not None and not owned[0]:
            raise ConfigurationError(
                f"indexes of schema {scope.schema!r} are made by the owner of its tables, and "
                "this role is not"
            )
        have = yield from _own(scope)
        rows = yield FetchAll(scope.render(VECTORS))
        return decide(dict(rows), have, index.own_indexes)

    decision = yield from attempt(look)
    for key in decision.remove:
        yield from attempt(partial(_drop, scope, key), alone=True, deadline=deadline)
    for key in decision.make:
        yield from attempt(partial(_make, scope, index, key), alone=True, deadline=deadline)
    return bool(decision.make or decision.remove)


def indexes(scope: Scope) -> Steps[list[VectorIndex]]:
    """The HNSW indexes that there are, that of all vectors first."""
    rows = yield FetchAll(INDEXES, (_vectors(scope),))
    keys = [_key(name) for name, *_ in rows]
    found = yield FetchAll(scope.render(PATHS), ([key for key in keys if key is not None],))
    paths = {key: tuple(original(label) for label in path) for key, path in found}
    return sorted(
        (
            VectorIndex(name, None if key is None else paths.get(key, ()), size, valid)
            for key, (name, valid, size, _) in zip(keys, rows, strict=True)
        ),
        key=lambda each: (each.namespace is not None, each.namespace or ()),
    )


def _own(scope: Scope) -> Steps[dict[int, bool]]:
    """Namespaces that have an index, and whether it is of use, or will be: it is being made."""
    rows = yield FetchAll(INDEXES, (_vectors(scope),))
    keyed = ((_key(name), valid or being_made) for name, valid, _, being_made in rows)
    return {key: good for key, good in keyed if key is not None}


def _make(scope: Scope, index: Index, key: int) -> Steps[None]:
    have = yield from _own(scope)
    if have.get(key):
        return  # by another process meanwhile, or by an attempt whose answer was lost
    if key in have:
        yield from _drop(scope, key)
    name = f"{OWN_PREFIX}{key}"
    yield Execute(ann_index(scope.identifier, index, name, concurrently=True, namespace=key))


def _drop(scope: Scope, key: int) -> Steps[None]:
    name = sql.Identifier(scope.schema, f"{OWN_PREFIX}{key}")
    yield Execute(sql.SQL("drop index concurrently if exists {}").format(name))


def _key(name: str) -> int | None:
    digits = name.removeprefix(OWN_PREFIX)
    return int(digits) if digits != name and digits.isdecimal() else None


def _vectors(scope: Scope) -> str:
    return sql.Identifier(scope.schema, "memory_vectors").as_string()
