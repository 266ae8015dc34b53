"""Vector indexes of single namespaces: one of all vectors yields mostly those of others.

`decide` says which there should be; `tend` makes and removes them, each by itself and concurrently.
A worker that puts into such a namespace maintains two indexes, so there are few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString

from psycopg import sql

from memory.database.scope import Scope
from memory.database.steps import Execute, FetchAll, FetchOne, Plan, Steps, Stop, attempt
from memory.encoding.ids import original
from memory.errors import ConfigurationError
from memory.store.index import Index
from memory.store.planning import STILL_WORTH, WORTH, gain
from memory.store.vectors import (
    OWN_NAME,
    OWN_PREFIX,
    ann_index,
    forget_settings,
    keep_settings,
    kept_settings,
    require_own,
    require_settings,
)

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


def tend(scope: Scope, index: Index, deadline: float, stop: Stop | None = None) -> Plan[bool]:
    """Make the indexes that are worth it and remove those that are not; whether any was.

    deadline: seconds for each. stop: where nobody asked for it; then what another worker's
    configuration has made is an error, and not made otherwise. Raises ConfigurationError also for a
    role that does not own the tables, and where the index of all vectors is another.
    """

    def look() -> Steps[Decision]:
        owned = yield FetchOne(OWNED, (_vectors(scope),))
        if owned is not None and not owned[0]:
            raise ConfigurationError(
                f"indexes of schema {scope.schema!r} are made by the owner of its tables, and "
                "this role is not"
            )
        kept = yield from kept_settings(scope.schema)
        require_settings(scope.schema, kept, index)
        if stop is not None:
            require_own(kept, index)
        have = yield from _own(scope, index)
        rows = yield FetchAll(scope.render(VECTORS))
        most = {"most": index.own_indexes}
        if kept.get(OWN_NAME) != most:
            yield from keep_settings(scope.schema, OWN_NAME, most)
        return decide(dict(rows), have, index.own_indexes)

    decision = yield from attempt(look, stop=stop)
    for work, keys in (
        (partial(_drop, scope), decision.remove),
        (partial(_make, scope, index), decision.make),
    ):
        for key in keys:
            steps: Any = partial(work, key)
            yield from attempt(steps, alone=True, deadline=deadline, stop=stop)
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


def _own(scope: Scope, index: Index) -> Steps[dict[int, bool]]:
    """Namespaces that have an index, and whether it is of use, or will be: it is being made."""
    rows = yield FetchAll(INDEXES, (_vectors(scope),))
    kept = yield from kept_settings(scope.schema)
    found = {}
    for name, valid, _, being_made in rows:
        key = _key(name)
        if key is not None:
            found[key] = being_made or (valid and kept.get(name) == index.own_settings)
    return found


def _make(scope: Scope, index: Index, key: int) -> Steps[None]:
    have = yield from _own(scope, index)
    if have.get(key):
        return  # by another process meanwhile, or by an attempt whose answer was lost
    if key in have:
        yield from _drop(scope, key)
    name = f"{OWN_PREFIX}{key}"
    # Before it is there: one of which nothing is known is made again.
    yield from keep_settings(scope.schema, name, index.own_settings)
    yield Execute(ann_index(scope.identifier, index, name, concurrently=True, namespace=key))


def _drop(scope: Scope, key: int) -> Steps[None]:
    name = f"{OWN_PREFIX}{key}"
    statement = sql.SQL("drop index concurrently if exists {}")
    yield Execute(statement.format(sql.Identifier(scope.schema, name)))
    yield from forget_settings(scope.schema, name)


def _key(name: str) -> int | None:
    digits = name.removeprefix(OWN_PREFIX)
    return int(digits) if digits != name and digits.isdecimal() else None


def _vectors(scope: Scope) -> str:
    return sql.Identifier(scope.schema, "memory_vectors").as_string()
