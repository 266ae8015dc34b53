"""The table of vectors: making it, checking that it is what was asked for, its index made again."""

import json
from typing import Any

from psycopg import sql

from memory.database.steps import Execute, FetchAll, FetchOne, Steps
from memory.database.vectors import OPCLASSES
from memory.errors import ConfigurationError
from memory.store.index import Index

NAME, SETTINGS_VERSION = "vectors", 1

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
        yield Execute(ann_index(name, index, "memory_vectors_ann"))
    yield from keep_settings(schema, index)


ANN_INDEXES = """
select c.relname, o.opcname, i.indisvalid
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
join pg_opclass o on o.oid = any(i.indclass)
where i.indrelid = to_regclass(%s) and m.amname = 'hnsw'
"""


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


def _check_settings(schema: str, index: Index) -> Steps[None]:
    """Raise ConfigurationError where the database has another index than the one asked for."""
    statement = sql.SQL("select settings from {}.memory_index_settings where name = %s")
    row = yield FetchOne(statement.format(sql.Identifier(schema)), (NAME,))
    has = row[0] if row is not None else (yield from _as_it_is(schema, index.dims))
    differing = [
        f"{name} {has[name]!r}, not {wanted!r}"
        for name, wanted in index.settings.items()
        if has.get(name) is not None and has[name] != wanted
    ]
    if differing:
        raise ConfigurationError(
            f"the index of schema {schema!r} has {', '.join(differing)}; configure it so, or call "
            "reindex() to make it from scratch"
        )
    if row is None:
        yield from keep_settings(schema, index)


def keep_settings(schema: str, index: Index) -> Steps[None]:
    """Write down what the index is made for."""
    statement = sql.SQL(
        "insert into {}.memory_index_settings (name, version, settings) values (%s, %s, %s::jsonb)"
        " on conflict (name) do update set version = excluded.version,"
        " settings = excluded.settings, changed_at = now()"
    ).format(sql.Identifier(schema))
    yield Execute(statement, (NAME, SETTINGS_VERSION, json.dumps(index.settings)))


NEW_INDEX = "memory_vectors_new"
"""While it is made."""


def reindex_vectors(schema: str, index: Index) -> Steps[None]:
    """Make the index again while the store is in use; to be run alone."""
    name = sql.Identifier(schema)
    old = yield FetchAll(ANN_INDEXES, (_vectors(schema),))
    if index.ann:
        yield Execute(
            sql.SQL("drop index concurrently if exists {}.memory_vectors_new").format(name)
        )
        yield Execute(ann_index(name, index, NEW_INDEX, concurrently=True))
    for index_name, _, _ in old:
        if index_name != NEW_INDEX:
            statement = sql.SQL("drop index concurrently if exists {}")
            yield Execute(statement.format(sql.Identifier(schema, index_name)))
    if index.ann:
        statement = sql.SQL("alter index {}.memory_vectors_new rename to memory_vectors_ann")
        yield Execute(statement.format(name))
    yield from keep_settings(schema, index)


def _vectors(schema: str) -> str:
    return sql.Identifier(schema, "memory_vectors").as_string()


def ann_index(
    schema: sql.Identifier,
    index: Index,
    name: str,
    *,
    concurrently: bool = False,
    namespace: int | None = None,
) -> sql.Composed:
    """The statement that makes an HNSW index: of all vectors, or of one namespace's."""
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
        sql.Identifier(name),
        schema,
        target,
        with_options,
        where,
    )
