"""Finding documents: by id, by vector, and by both words and vector."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.documents import Document
from psycopg import sql

from memory.database.steps import FetchOne, Row, Steps, fetch_all
from memory.database.vectors import (
    ITERATIVE,
    OPERATORS,
    RRF_CANDIDATES,
    RRF_K,
    RRF_SCALE,
    from_binary,
    parameter,
)
from memory.documents.filters import Condition
from memory.documents.rows import possible
from memory.documents.table import Opened
from memory.encoding.jsonsafe import unescaped
from memory.words import AUTO, HIT, MOST_CHARACTERS, SIMPLE, parameters_of, words_of

EXACT_UP_TO = 10_000


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found.

    distance: smaller is nearer; in hybrid searches a score from 0 to 1, where more is better.
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
    if extra and "\\u001a" in extra:
        metadata = unescaped(metadata)
    for name, value in zip(table.layout.metadata_columns, values, strict=True):
        if value is not None:
            metadata[name] = unescaped(value)
    if distance != distance:
        distance = 1.0  # of a vector of zeros, which is like nothing
    vector = from_binary(embedding, table.vector_type) if embedding else ()
    return Hit(Document(id=identifier, page_content=content, metadata=metadata), distance, vector)


def by_ids(table: Opened, ids: Iterable[str]) -> Steps[list[Document]]:
    """Documents in the order of their ids; missing ones are left out."""
    wanted = possible(ids)
    statement = sql.SQL("select {}, 0.0 from {} d where d.{}::text = any(%s::text[])").format(
        _columns_to_read(table, embedding=False), table.layout.name, sql.Identifier(table.layout.id)
    )
    rows = yield from fetch_all(statement, (wanted,))
    found = {row[0]: _hit(table, row).document for row in rows}
    return [found[key] for key in dict.fromkeys(wanted) if key in found]


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
        # An expression that no index knows, so that the planner cannot use one: not even one that
        # was made since the table was looked at, which would end a scan early.
        plus=sql.SQL(" + 0" if exact else ""),
    )
    asked = parameter(vector, table.vector_type)
    rows = yield from fetch_all(statement, (asked, *where[1], asked, k))
    hits = [_hit(table, row) for row in rows]
    return hits if exact else sorted(hits, key=lambda hit: hit.distance)


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
    """Ranks by vector and by words, fused by reciprocal rank; scores are 0 to 1, 1 is best."""
    where, extra = table.fields.condition(filter) if filter else (sql.SQL("true"), [])
    layout = table.layout
    column: sql.Composable = sql.SQL("d.{}").format(sql.Identifier(table.tsv or layout.content))
    if table.tsv is None:
        own = SIMPLE if language == AUTO else language
        if not table.words_index:
            column = sql.SQL("left({}, {})").format(column, sql.Literal(MOST_CHARACTERS))
        column = sql.SQL("to_tsvector({}::regconfig, {})").format(sql.Literal(own), column)
    counted = None if table.tsv is None else sql.Identifier(table.tsv)
    words = yield from words_of(query, language, layout.name, counted)
    pool = max(RRF_CANDIDATES, 4 * k)
    if table.ann:
        yield FetchOne(ITERATIVE, (str(min(1000, max(100, pool))),))
    statement = sql.SQL(
        """with dense as (
            select id, row_number() over (order by distance, id) as rank from (
                select d.{id} as id, {measure} as distance from {name} d where {where}
                order by {measure}{plus} limit %s) n
        ), words as (
            select id, row_number() over (order by hit desc, id) as rank from (
                select d.{id} as id, {hit} as hit from {name} d
                where {where} and {column} @@ %s::tsquery order by hit desc, id limit %s) w
        ), fused as (
            select id, (coalesce(1.0 / (%s + dense.rank), 0)
                + coalesce(1.0 / (%s + words.rank), 0))::float8 * %s as score
            from dense full join words using (id) order by score desc, id limit %s
        )
        select {columns}, f.score from fused f join {name} d on d.{id} = f.id
        order by f.score desc, f.id"""
    ).format(
        id=sql.Identifier(layout.id),
        measure=_distance(table, distance),
        plus=sql.SQL("" if table.ann else " + 0"),
        name=layout.name,
        where=where,
        hit=HIT.format(column=column),
        column=column,
        columns=_columns_to_read(table, embedding=False),
    )
    asked = parameter(vector, table.vector_type)
    parameters = (asked, *extra, asked, pool, *parameters_of(words), *extra, words.any, pool)
    rows = yield from fetch_all(statement, (*parameters, RRF_K, RRF_K, RRF_SCALE, k))
    return [_hit(table, row) for row in rows]
