"""A table of documents in langchain-postgres' layout, and the steps on it."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.documents import Document
from psycopg import sql

from memory.document_filters import Condition, Fields
from memory.errors import ConfigurationError, SetupRequiredError
from memory.index import MOST_DIMENSIONS, OPCLASSES, OPERATORS
from memory.searching import ITERATIVE, RRF_CANDIDATES, RRF_K
from memory.steps import CopyIn, Execute, FetchAll, FetchOne, Row, Steps, fetch_all
from memory.vectors import array, binary, from_binary, parameter

COPY_FROM_ROWS = 24
EXACT_UP_TO = 10_000

DESCRIBE = """
select a.attname, format_type(a.atttypid, a.atttypmod)
from pg_attribute a where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped
"""
HAS_ANN = """
select exists (
    select from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
    where i.indrelid = to_regclass(%s) and a.attname = %s and m.amname in ('hnsw', 'ivfflat'))
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of a table's columns; the defaults are langchain-postgres'."""

    table: str
    schema: str = "public"
    id: str = "langchain_id"
    content: str = "content"
    embedding: str = "embedding"
    metadata_columns: tuple[str, ...] = ()
    json: str = "langchain_metadata"
    tsv: str | None = None

    @property
    def name(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.table)


@dataclass(frozen=True, slots=True)
class Opened:
    """A table as it is: its layout, the types of its columns, and whether an ANN index is there."""

    layout: Layout
    types: Mapping[str, str]
    ann: bool

    @property
    def vector_type(self) -> str:
        return self.types[self.layout.embedding].partition("(")[0].rpartition(".")[2]

    @property
    def json(self) -> str | None:
        return self.layout.json if self.layout.json in self.types else None

    @property
    def tsv(self) -> str | None:
        return self.layout.tsv if self.layout.tsv in self.types else None

    @property
    def fields(self) -> Fields:
        return Fields(frozenset(self.layout.metadata_columns), self.json)


def open_table(layout: Layout) -> Steps[Opened]:
    """Look at an existing table; raises if it does not have the columns of the layout."""
    regclass = layout.name.as_string()
    rows = yield FetchAll(DESCRIBE, (regclass,))
    if not rows:
        raise SetupRequiredError(
            f"there is no table {layout.schema}.{layout.table}; call setup() once, or check the "
            "name"
        )
    types: dict[str, str] = dict(rows)
    needed = (layout.id, layout.content, layout.embedding, *layout.metadata_columns)
    if missing := [name for name in needed if name not in types]:
        raise ConfigurationError(
            f"table {layout.schema}.{layout.table} has no column {', '.join(missing)}; it has "
            f"{', '.join(types)}"
        )
    row = yield FetchOne(HAS_ANN, (regclass, layout.embedding))
    opened = Opened(layout, types, row[0])
    if opened.vector_type not in ("vector", "halfvec"):
        raise ConfigurationError(
            f"column {layout.embedding} is of type {types[layout.embedding]}, not vector or halfvec"
        )
    return opened


def create_table(
    layout: Layout,
    *,
    dims: int,
    vector_type: str,
    distance: str,
    id_type: str,
    metadata_types: Mapping[str, str],
    ann: bool,
) -> Steps[None]:
    """Create the table and its indexes, if there is none; part of one transaction."""
    regclass = layout.name.as_string()
    yield FetchOne(
        "select pg_advisory_xact_lock(hashtextextended('borealis.documents:' || %s, 4715))",
        (regclass,),
    )
    row = yield FetchOne("select to_regclass(%s) is not null", (regclass,))
    if row[0]:
        return
    if vector_type not in ("vector", "halfvec"):
        raise ConfigurationError(f"vector_type is {vector_type!r}; it must be vector or halfvec")
    row = yield FetchOne("select exists (select from pg_extension where extname = 'vector')")
    if not row[0]:
        yield Execute("create extension if not exists vector")
    columns = [
        sql.SQL("{} {} primary key").format(sql.Identifier(layout.id), _type(id_type)),
        sql.SQL("{} text not null").format(sql.Identifier(layout.content)),
        sql.SQL("{} {}({}) not null").format(
            sql.Identifier(layout.embedding), _type(vector_type), sql.Literal(dims)
        ),
    ]
    if layout.tsv is not None:
        columns.append(sql.SQL("{} tsvector not null").format(sql.Identifier(layout.tsv)))
    columns += [
        sql.SQL("{} {}").format(sql.Identifier(name), _type(metadata_types.get(name, "text")))
        for name in layout.metadata_columns
    ]
    columns.append(sql.SQL("{} json").format(sql.Identifier(layout.json)))
    yield Execute(sql.SQL("create table {} ({})").format(layout.name, sql.SQL(", ").join(columns)))
    if ann and dims <= MOST_DIMENSIONS[vector_type]:
        opclass = sql.Identifier(f"{vector_type}_{OPCLASSES[distance]}")
        yield Execute(
            sql.SQL("create index on {} using hnsw ({} {})").format(
                layout.name, sql.Identifier(layout.embedding), opclass
            )
        )
    if layout.tsv is not None:
        yield Execute(
            sql.SQL("create index on {} using gin ({})").format(
                layout.name, sql.Identifier(layout.tsv)
            )
        )


def _type(name: str) -> sql.SQL:
    if not name.replace(" ", "").replace("_", "").isalnum():
        raise ConfigurationError(f"{name!r} is not the name of a type")
    return sql.SQL(name)


# -- adding


@dataclass(frozen=True, slots=True)
class NewDocument:
    """One row to be stored."""

    id: str
    content: str
    metadata: Mapping[str, Any]
    embedding: Sequence[float]


def new_documents(
    texts: Sequence[str],
    embeddings: Sequence[Sequence[float]],
    metadatas: Sequence[Mapping[str, Any]] | None,
    ids: Sequence[str | None] | None,
) -> list[NewDocument]:
    """Rows with ids made up where they are missing; of several with one id the last counts."""
    for what, values in (("embeddings", embeddings), ("metadatas", metadatas), ("ids", ids)):
        if values is not None and len(values) != len(texts):
            raise ConfigurationError(f"{len(texts)} texts, but {len(values)} {what}")
    for number, text in enumerate(texts):
        if "\0" in text:
            raise ConfigurationError(
                f"text {number} contains a NUL character, which PostgreSQL's text cannot hold"
            )
    return [
        NewDocument(
            str(uuid.uuid4()) if ids is None or ids[n] is None else str(ids[n]),
            text,
            metadatas[n] if metadatas else {},
            embeddings[n],
        )
        for n, text in enumerate(texts)
    ]


def store(table: Opened, documents: Sequence[NewDocument], language: str) -> Steps[None]:
    """Insert or replace rows: through a binary COPY if they are many; one transaction."""
    rows = [_columns(table, document) for document in {d.id: d for d in documents}.values()]
    if not rows:
        return
    vectors = [d.embedding for d in {d.id: d for d in documents}.values()]
    vector_type = sql.SQL("halfvec" if table.vector_type == "halfvec" else "vector")
    names = [sql.Identifier(f"c{n}") for n in range(len(rows[0]))]
    if len(rows) < COPY_FROM_ROWS:
        source: sql.Composable = sql.SQL("unnest({}, {}) as s ({}, embedding)").format(
            sql.SQL(", ").join([sql.SQL("%s::text[]")] * len(names)),
            array(len(vectors), vector_type),
            sql.SQL(", ").join(names),
        )
        parameters: list[Any] = [list(column) for column in zip(*rows, strict=True)]
        parameters += [parameter(vector, table.vector_type) for vector in vectors]
        yield Execute(_insert(table, names, source, vector_type, language), parameters)
        return
    yield Execute(
        sql.SQL(
            "create temporary table borealis_load ({}, embedding vector) on commit drop"
        ).format(sql.SQL(", ").join(sql.SQL("{} text").format(name) for name in names))
    )
    yield CopyIn(sql.SQL("copy borealis_load from stdin (format binary)"), _binary(rows, vectors))
    yield Execute(_insert(table, names, sql.SQL("borealis_load s"), vector_type, language))


def _columns(table: Opened, document: NewDocument) -> list[str | None]:
    """A row's values as text: id, content, metadata columns, JSON."""
    rest = dict(document.metadata)
    values: list[str | None] = [document.id, document.content]
    for name in table.layout.metadata_columns:
        value = rest.pop(name, None)
        if isinstance(value, (dict, list)):
            value = json.dumps(value)
        values.append(None if value is None else str(value))
    if table.json is not None:
        try:
            values.append(json.dumps(rest, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"the metadata of document {document.id} is not JSON: {error}"
            ) from error
    return values


def _insert(
    table: Opened,
    names: Sequence[sql.Identifier],
    source: sql.Composable,
    vector_type: sql.SQL,
    language: str,
) -> sql.Composed:
    layout = table.layout
    targets = [layout.id, layout.content, *layout.metadata_columns]
    targets += [] if table.json is None else [table.json]
    values: list[sql.Composable] = [
        sql.SQL("s.{}::{}").format(name, sql.SQL(table.types[target]))
        for name, target in zip(names, targets, strict=True)
    ]
    targets.append(layout.embedding)
    values.append(sql.SQL("s.embedding::{}").format(vector_type))
    if table.tsv is not None:
        targets.append(table.tsv)
        values.append(
            sql.SQL("to_tsvector({}::regconfig, s.{})").format(sql.Literal(language), names[1])
        )
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(target)) for target in targets[1:]
    )
    return sql.SQL(
        "insert into {} ({}) select {} from {} on conflict ({}) do update set {}"
    ).format(
        layout.name,
        sql.SQL(", ").join(map(sql.Identifier, targets)),
        sql.SQL(", ").join(values),
        source,
        sql.Identifier(layout.id),
        changes,
    )


def _binary(rows: Sequence[Sequence[str | None]], vectors: Sequence[Sequence[float]]) -> bytes:
    """Rows of text columns and a vector in PostgreSQL's binary COPY format.

    Source: PostgreSQL documentation, "COPY: Binary Format".
    """
    count = (len(rows[0]) + 1).to_bytes(2, "big")
    parts = [b"PGCOPY\n\xff\r\n\0", bytes(8)]
    for row, vector in zip(rows, vectors, strict=True):
        parts.append(count)
        for value in (*row, binary(vector)):
            if value is None:
                parts.append(b"\xff\xff\xff\xff")
            else:
                data = value.encode() if isinstance(value, str) else value
                parts += (len(data).to_bytes(4, "big"), data)
    parts.append(b"\xff\xff")
    return b"".join(parts)


# -- reading


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found.

    distance: smaller is nearer; in hybrid searches the RRF score, where more is better.
    """

    document: Document
    distance: float
    embedding: Sequence[float]


def _columns_to_read(table: Opened, *, embedding: bool) -> sql.Composable:
    layout = table.layout
    columns: list[sql.Composable] = [
        sql.SQL("d.{}::text").format(sql.Identifier(layout.id)),
        sql.SQL("d.{}").format(sql.Identifier(layout.content)),
        sql.SQL("d.{}::text").format(sql.Identifier(table.json))
        if table.json
        else sql.SQL("null::text"),
        sql.SQL("{}(d.{})").format(
            sql.SQL("halfvec_send" if table.vector_type == "halfvec" else "vector_send"),
            sql.Identifier(layout.embedding),
        )
        if embedding
        else sql.SQL("null::bytea"),
    ]
    columns += [sql.SQL("d.{}").format(sql.Identifier(n)) for n in layout.metadata_columns]
    return sql.SQL(", ").join(columns)


def _hit(table: Opened, row: Row) -> Hit:
    identifier, content, extra, embedding, *values, distance = row
    metadata = dict(json.loads(extra)) if extra else {}
    for name, value in zip(table.layout.metadata_columns, values, strict=True):
        if value is not None:
            metadata[name] = value
    vector = from_binary(embedding, table.vector_type) if embedding else ()
    return Hit(Document(id=identifier, page_content=content, metadata=metadata), distance, vector)


def by_ids(table: Opened, ids: Iterable[str]) -> Steps[list[Document]]:
    """Documents in the order of their ids; missing ones are left out."""
    wanted = list(ids)
    statement = sql.SQL("select {}, 0.0 from {} d where d.{}::text = any(%s::text[])").format(
        _columns_to_read(table, embedding=False), table.layout.name, sql.Identifier(table.layout.id)
    )
    rows = yield from fetch_all(statement, (wanted,))
    found = {row[0]: _hit(table, row).document for row in rows}
    return [found[key] for key in dict.fromkeys(wanted) if key in found]


def remove(
    table: Opened, ids: Sequence[str] | None, filter: Mapping[str, Any] | None
) -> Steps[None]:
    """Delete rows by id, by filter, or by both."""
    conditions: list[sql.Composable] = []
    parameters: list[Any] = []
    if ids is not None:
        conditions.append(
            sql.SQL("d.{}::text = any(%s::text[])").format(sql.Identifier(table.layout.id))
        )
        parameters.append([str(key) for key in ids])
    if filter:
        condition, extra = table.fields.condition(filter)
        conditions.append(condition)
        parameters += extra
    statement = sql.SQL("delete from {} d where {} returning 1").format(
        table.layout.name, sql.SQL(" and ").join(conditions)
    )
    yield FetchAll(statement, parameters)


def nearest(
    table: Opened,
    vector: Sequence[float],
    *,
    k: int,
    filter: Mapping[str, Any] | None,
    distance: str,
    embedding: bool = False,
) -> Steps[list[Hit]]:
    """The k nearest rows that match; always k of them, if so many rows match."""
    if k <= 0:
        return []
    where = table.fields.condition(filter) if filter else (sql.SQL("true"), [])
    if not table.ann:
        return (yield from _nearest(table, vector, k, where, distance, embedding, exact=True))
    if filter and (yield from _few(table, where)):
        return (yield from _nearest(table, vector, k, where, distance, embedding, exact=True))
    yield FetchOne(ITERATIVE, (str(min(1000, max(100, 4 * k))),))
    hits = yield from _nearest(table, vector, k, where, distance, embedding, exact=False)
    if len(hits) >= k:
        return hits
    return (yield from _nearest(table, vector, k, where, distance, embedding, exact=True))


def _few(table: Opened, where: Condition) -> Steps[bool]:
    statement = sql.SQL("select count(*) from (select from {} d where {} limit %s) few").format(
        table.layout.name, where[0]
    )
    row = yield FetchOne(statement, (*where[1], EXACT_UP_TO + 1))
    return bool(row[0] <= EXACT_UP_TO)


def _nearest(
    table: Opened,
    vector: Sequence[float],
    k: int,
    where: Condition,
    distance: str,
    embedding: bool,
    *,
    exact: bool,
) -> Steps[list[Hit]]:
    measure = _distance(table, distance)
    statement = sql.SQL(
        "select {columns}, {measure} as distance from {name} d where {where}"
        " order by {measure}{plus} limit %s"
    ).format(
        columns=_columns_to_read(table, embedding=embedding),
        measure=measure,
        name=table.layout.name,
        where=where[0],
        # An expression that no index knows, so that the planner cannot use one.
        plus=sql.SQL(" + 0" if exact and table.ann else ""),
    )
    asked = parameter(vector, table.vector_type)
    rows = yield from fetch_all(statement, (asked, *where[1], asked, k))
    return [_hit(table, row) for row in rows]


def _distance(table: Opened, distance: str) -> sql.Composed:
    return sql.SQL("(d.{} {} %s::{})").format(
        sql.Identifier(table.layout.embedding),
        sql.SQL(OPERATORS[distance]),
        sql.SQL("halfvec" if table.vector_type == "halfvec" else "vector"),
    )


def hybrid(
    table: Opened,
    vector: Sequence[float],
    query: str,
    *,
    k: int,
    filter: Mapping[str, Any] | None,
    distance: str,
    language: str,
) -> Steps[list[Hit]]:
    """Ranks by vector and by words in one statement, fused by reciprocal rank."""
    where, extra = table.fields.condition(filter) if filter else (sql.SQL("true"), [])
    layout = table.layout
    lang = sql.SQL("{}::regconfig").format(sql.Literal(language))
    words: sql.Composable = sql.SQL("to_tsvector({}, d.{})").format(
        lang, sql.Identifier(layout.content)
    )
    if table.tsv is not None:
        words = sql.SQL("d.{}").format(sql.Identifier(table.tsv))
    if table.ann:
        yield FetchOne(ITERATIVE, (str(max(100, 4 * k)),))
    statement = sql.SQL(
        """with dense as (
            select id, row_number() over (order by distance, id) as rank from (
                select d.{id} as id, {measure} as distance from {name} d where {where}
                order by {measure} limit %s) n
        ), words as (
            select id, row_number() over (order by hit desc, id) as rank from (
                select d.{id} as id, ts_rank_cd({words}, q) as hit
                from {name} d, websearch_to_tsquery({lang}, %s) q
                where {where} and {words} @@ q order by hit desc, id limit %s) w
        ), fused as (
            select id, coalesce(1.0 / (%s + dense.rank), 0)::float8
                + coalesce(1.0 / (%s + words.rank), 0)::float8 as score
            from dense full join words using (id) order by score desc, id limit %s
        )
        select {columns}, f.score from fused f join {name} d on d.{id} = f.id
        order by f.score desc, f.id"""
    ).format(
        id=sql.Identifier(layout.id),
        measure=_distance(table, distance),
        name=layout.name,
        where=where,
        words=words,
        lang=lang,
        columns=_columns_to_read(table, embedding=False),
    )
    asked, pool = parameter(vector, table.vector_type), max(RRF_CANDIDATES, 4 * k)
    parameters = (asked, *extra, asked, pool, query.replace("\0", " "), *extra, pool)
    rows = yield from fetch_all(statement, (*parameters, RRF_K, RRF_K, k))
    return [_hit(table, row) for row in rows]
