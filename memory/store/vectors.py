"""The table of vectors: making it, checking that it is what was asked for, its index made again."""

import json
from collections.abc import Mapping
from typing import Any

from psycopg import sql

from memory.database.steps import Execute, FetchAll, FetchOne, Steps
from memory.database.vectors import OPCLASSES
from memory.errors import ConfigurationError
from memory.store.index import Index

NAME, OWN_NAME, SETTINGS_VERSION = "vectors", "own_indexes", 1
"""Rows of `memory_index_settings`: of all vectors, and of what all workers' `own_indexes` is. That
of one namespace is under the name of its index."""
ANN_NAME = "memory_vectors_ann"
OWN_PREFIX = "memory_vectors_of_"
"""Of the index of a namespace; followed by its key."""

TABLE_TYPE = sql.SQL(
    "select format_type(a.atttypid, a.atttypmod) from pg_attribute a"
    " where a.attrelid = to_regclass(%s) and a.attname = 'embedding'"
)


def install_vectors(schema: str, index: Index) -> Steps[None]:
    """Create the vector table, or check that it fits; part of the setup transaction."""
    name = sql.Identifier(schema)
    row = yield FetchOne("select exists (select from pg_extension where extname = 'vector')")
    if not row[0]:
        yield Execute("create extension if not exists vector")
    row = yield FetchOne(TABLE_TYPE, (_vectors(schema),))
    wanted = index.column_type.as_string()
    if row is not None:
        if row[0].rpartition(".")[2] != wanted:
            raise ConfigurationError(
                f"schema {schema!r} has vectors of type {row[0]}, this index makes {wanted}; use "
                "another schema for another kind of embedding"
            )
        yield from _check_settings(schema, index)
        return
    yield Execute(
        sql.SQL(
            """create table {schema}.memory_vectors (
                item_key bigint not null references {schema}.memory_items on delete cascade,
                field text not null,
                ns_key bigint not null,
                embedding {type} not null,
                primary key (item_key, field)
            );
            create index memory_vectors_ns on {schema}.memory_vectors (ns_key);
            alter table {schema}.memory_vectors enable row level security;
            create policy memory_tenant on {schema}.memory_vectors using (exists (
                select from {schema}.memory_namespaces n where n.ns_key = memory_vectors.ns_key))
            """
        ).format(schema=name, type=index.column_type)
    )
    if index.ann:
        yield Execute(ann_index(name, index, ANN_NAME))
    yield from keep_settings(schema, NAME, index.settings)


ANN_INDEXES = """
select c.relname, o.opcname, i.indisvalid
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
join pg_opclass o on o.oid = any(i.indclass)
where i.indrelid = to_regclass(%s) and m.amname = 'hnsw' order by c.oid
"""
"""In the order in which they were begun."""


def _as_it_is(schema: str, dims: int) -> Steps[dict[str, Any]]:
    """The settings of an index that a release made which did not keep them."""
    row = yield FetchOne(TABLE_TYPE, (_vectors(schema),))
    column = row[0].partition("(")[0].rpartition(".")[2]
    found = {"dims": dims, "vector_type": column, "distance_type": None, "kind": "flat"}
    for _, opclass, valid in (yield FetchAll(ANN_INDEXES, (_vectors(schema),))):
        if not valid:
            continue
        kind, _, ops = opclass.partition("_")
        found["kind"] = "hnsw"
        if kind == "bit":
            found["vector_type"] = "bit"
        else:
            found["distance_type"] = next(d for d, name in OPCLASSES.items() if name == ops)
    return found


def kept_settings(schema: str) -> Steps[dict[str, dict[str, Any]]]:
    """What the indexes of the database were made for, by name; not of namespaces' that are gone."""
    statement = sql.SQL(
        "select name, settings from {}.memory_index_settings where not starts_with(name, %s)"
        " or to_regclass(%s::text || name || '\"') is not null"
    ).format(sql.Identifier(schema))
    quoted = sql.Identifier(schema, "").as_string().removesuffix('"')
    return dict((yield FetchAll(statement, (OWN_PREFIX, quoted))))


def require_own(kept: Mapping[str, Mapping[str, Any]], index: Index) -> None:
    """Raise ConfigurationError where namespaces' own indexes are for something else."""
    if not index.own_indexes:
        return  # a worker that leaves them alone
    most = kept.get(OWN_NAME, {}).get("most", index.own_indexes)
    found = [] if most == index.own_indexes else [f"at most {most}, not {index.own_indexes}"]
    wanted = index.own_settings
    for name, has in sorted(kept.items()):
        if name.startswith(OWN_PREFIX):
            found += [
                f"{each} {has.get(each)!r}, not {wanted.get(each)!r}, in {name}"
                for each in {**has, **wanted}
                if has.get(each) != wanted.get(each)
            ]
    if found:
        raise ConfigurationError(
            f"namespaces have indexes of their own: {'; '.join(found)}; configure it so "
            "(`own_indexes`, `ann_index_config`), or call tend_indexes() to make them so"
        )


def require_settings(schema: str, kept: Mapping[str, Mapping[str, Any]], index: Index) -> None:
    """Raise ConfigurationError where the index of all vectors is another than the one wanted."""
    has = kept.get(NAME, {})
    found = [
        f"{name} {has[name]!r}, not {wanted!r}"
        for name, wanted in index.settings.items()
        if has.get(name) is not None and has[name] != wanted
    ]
    if found:
        raise ConfigurationError(
            f"the index of schema {schema!r} has {', '.join(found)}; configure it so, or call "
            "reindex() to make it from scratch"
        )


def _check_settings(schema: str, index: Index) -> Steps[None]:
    kept = yield from kept_settings(schema)
    known = NAME in kept
    if not known:
        kept[NAME] = yield from _as_it_is(schema, index.dims)
    require_settings(schema, kept, index)
    require_own(kept, index)
    if not known:
        yield from keep_settings(schema, NAME, index.settings)


def keep_settings(schema: str, name: str, settings: Mapping[str, Any]) -> Steps[None]:
    """Write down what an index is made for."""
    statement = sql.SQL(
        "insert into {}.memory_index_settings (name, version, settings) values (%s, %s, %s::jsonb)"
        " on conflict (name) do update set version = excluded.version,"
        " settings = excluded.settings, changed_at = now()"
    ).format(sql.Identifier(schema))
    yield Execute(statement, (name, SETTINGS_VERSION, json.dumps(settings)))


def forget_settings(schema: str, name: str) -> Steps[None]:
    """An index is not there any more."""
    statement = sql.SQL("delete from {}.memory_index_settings where name = %s")
    yield Execute(statement.format(sql.Identifier(schema)), (name,))


def reindex_vectors(schema: str, index: Index) -> Steps[None]:
    """Make the index again while the store is in use; to be run alone.

    Of several at once the one whose index was begun last has its way. Raises ConfigurationError in
    the others, where they wanted another.
    """
    name = sql.Identifier(schema)
    if index.ann:
        yield Execute(ann_index(name, index, None, concurrently=True))
    # Looked at again after each, since another reindex may drop or rename what was seen.
    while older := (yield from _older(schema, index.ann)):
        statement = sql.SQL("drop index concurrently if exists {}")
        yield Execute(statement.format(sql.Identifier(schema, older[0])))
        yield from forget_settings(schema, older[0])
    rows = yield FetchAll(ANN_INDEXES, (_vectors(schema),))
    ready = [found for found, _, valid in rows if valid]
    if ready and ANN_NAME not in [found for found, _, _ in rows]:
        statement = sql.SQL("alter index if exists {} rename to {}")
        old, new = sql.Identifier(schema, ready[-1]), sql.Identifier(ANN_NAME)
        yield Execute(statement.format(old, new))
    there = yield from _as_it_is(schema, index.dims)
    if any(there[each] not in (None, wanted) for each, wanted in index.settings.items()):
        raise ConfigurationError(
            "another reindex() ran at the same time and took this one's index; call it again"
        )
    yield from keep_settings(schema, NAME, index.settings)


def _older(schema: str, ann: bool) -> Steps[list[str]]:
    """The indexes that are to go: begun before the last one that is ready, or a namespace's own."""
    rows = yield FetchAll(ANN_INDEXES, (_vectors(schema),))
    if not ann:
        return [name for name, _, _ in rows]
    own = [name for name, _, _ in rows if name.startswith(OWN_PREFIX)]
    of_all = [(name, valid) for name, _, valid in rows if name not in own]
    last = max((n for n, (_, valid) in enumerate(of_all) if valid), default=0)
    return [*own, *(name for name, _ in of_all[:last])]


def _vectors(schema: str) -> str:
    return sql.Identifier(schema, "memory_vectors").as_string()


def ann_index(
    schema: sql.Identifier,
    index: Index,
    name: str | None,
    *,
    concurrently: bool = False,
    namespace: int | None = None,
) -> sql.Composed:
    """The statement that makes an HNSW index: of all vectors, or of one namespace's.

    name: None for one that is free.
    """
    if index.vector_type == "bit":
        target: sql.Composable = sql.SQL(
            "(binary_quantize(embedding)::bit({})) bit_hamming_ops"
        ).format(sql.Literal(index.dims))
    else:
        opclass = f"{index.vector_type}_{OPCLASSES[index.distance]}"
        target = sql.SQL("embedding {}").format(sql.Identifier(opclass))
    options = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in index.parameters.items()
    )
    with_options = sql.SQL(" with ({})").format(options) if index.parameters else sql.SQL("")
    where = sql.SQL("") if namespace is None else sql.SQL(" where ns_key = {}").format(namespace)
    return sql.SQL("create index {}{} on {}.memory_vectors using hnsw ({}){}{}").format(
        sql.SQL("concurrently " if concurrently else ""),
        sql.SQL("") if name is None else sql.Identifier(name),
        schema,
        target,
        with_options,
        where,
    )
