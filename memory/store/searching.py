"""Searching the store: by filter, by vector, and by both words and vector.

A search returns the rows that exist: exactly or through the index, whichever costs less
(`memory.store.planning`), and if the index ends early, exactly after all. Items without a vector
follow those that have one.
"""

import json
from collections.abc import Sequence
from typing import Any, LiteralString

import structlog
from langgraph.store.base import SearchItem, SearchOp
from psycopg import sql

from memory.database.scope import Scope
from memory.database.steps import FetchAll, FetchOne, Row, Steps, fetch_all
from memory.database.vectors import RRF_CANDIDATES, RRF_K, RRF_SCALE
from memory.encoding.codec import Codec
from memory.encoding.ids import original
from memory.errors import AgentMemoryError
from memory.store.filters import matches, to_sql
from memory.store.index import RERANK, Index
from memory.store.items import LIVE, item_value, path_of, search_item
from memory.store.planning import (
    COUNT_UP_TO,
    Approximate,
    Exact,
    KnownSizes,
    Sizes,
    candidates_for,
    choose,
)
from memory.store.vectors import OWN_PREFIX
from memory.words import HIT, parameters_of, words_of

log = structlog.get_logger(__name__)

WIDEN = 4

FILTERED = (
    "exists (select from {schema}.memory_items i join {schema}.memory_namespaces n using (ns_key)"
    " where i.item_key = v.item_key and {where})"
)

ONLY = sql.SQL(
    "v.ns_key = {key} and (select count(*) from (select from {schema}.memory_namespaces n"
    " where {bounds} limit 2) few) = 1"
)
"""A literal, since the planner has to see that it is the index's. Where other namespaces have come
below the prefix since it was counted, nothing is found, and the search is made exactly."""

_SETTING: LiteralString = "(select set_config('hnsw.ef_search', %s, true) as ef_search"
SETTINGS: LiteralString = f"{_SETTING} offset 0) s cross join lateral "
ITERATIVE_SETTINGS: LiteralString = (
    f"{_SETTING}, set_config('hnsw.iterative_scan', 'relaxed_order', true) offset 0)"
    " s cross join lateral "
)
"""What is set for a scan of the index, in the statement itself. pgvector looks when a scan begins,
which waits for this row. A statement before it would take half as long again."""

COLUMNS = sql.SQL("n.path, i.key, i.value, i.sealed, i.created_at, i.updated_at, i.ttl, i.item_key")


class Search:
    """One search operation: the rows it may return, and their order."""

    def __init__(
        self,
        scope: Scope,
        codec: Codec,
        op: SearchOp,
        index: Index | None,
        vector: Sequence[float] | None,
        sizes: KnownSizes,
        renewing: list[int],
    ) -> None:
        """renewing: takes the items whose TTL is to start again, if the operation asks for it."""
        self._sizes, self._renewing = sizes, renewing
        self._scope, self._codec, self._op = scope, codec, op
        # A vector of zeros is like nothing: the latest first, as without a query.
        self._index = index
        self._vector = vector if vector is not None and any(vector) else None
        self._where, self._parameters = self._scope_conditions()
        self._wanted = max(op.offset, 0) + max(op.limit, 0)

    def steps(self) -> Steps[list[SearchItem]]:
        """Run it."""
        if self._op.limit <= 0:
            return []
        rows = yield from self._ranked()
        found = rows[max(self._op.offset, 0) : self._wanted]
        if self._op.refresh_ttl:
            self._renewing += [row[7] for row, _ in found if row[6] is not None]
        items = (self._readable(row, score) for row, score in found)
        return [item for item in items if item is not None]

    def _readable(self, row: Row, score: float | None) -> SearchItem | None:
        """The item; None for one that cannot be read, so that it never hides the others."""
        try:
            return search_item(self._codec, row, score)
        except AgentMemoryError as error:
            log.warning("memory.left_out", what="item", key=original(row[1]), error=str(error))
            return None

    def _matches(self, row: Row) -> bool:
        """Whether a sealed value meets the filter; one that cannot be read does not."""
        try:
            return matches(item_value(self._codec, None, row[3]), self._op.filter or {})
        except AgentMemoryError as error:
            log.warning("memory.left_out", what="item", key=original(row[1]), error=str(error))
            return False

    def _ranked(self) -> Steps[list[tuple[Row, float | None]]]:
        if self._index is None or self._vector is None:
            rows = yield from self._filtered(self._recent, self._wanted)
            return [(row, None) for row in rows]
        scored: list[tuple[Row, float | None]]
        if self._index.hybrid:
            rows = yield from self._filtered(self._fused, self._wanted)
            scored = [(row, float(row[8])) for row in rows]
        else:
            rows = yield from self._filtered(self._nearest, self._wanted)
            scored = [(row, self._index.score(row[8])) for row in rows]
        if len(scored) >= self._wanted:
            return scored
        have = [row[7] for row, _ in scored]
        rest = yield from self._filtered(
            lambda limit: self._recent(limit, without=have), self._wanted - len(scored)
        )
        return [*scored, *((row, None) for row in rest)]

    def _filtered(self, fetch: Any, wanted: int) -> Steps[list[Row]]:
        """Enough rows that match the filter, though SQL cannot judge sealed values."""
        filter = self._op.filter
        limit = wanted
        while True:
            rows: list[Row] = yield from fetch(limit)
            if not filter:
                return rows
            matching = [row for row in rows if row[3] is None or self._matches(row)]
            if len(matching) >= wanted or len(rows) < limit:
                return matching[:wanted]
            limit *= WIDEN

    def _recent(self, limit: int, without: Sequence[int] = ()) -> Steps[list[Row]]:
        """Matching rows, the latest first."""
        condition, extra = sql.SQL("true"), list[Any]()
        if self._vector is not None:
            condition, extra = sql.SQL("not (i.item_key = any(%b::bigint[]))"), [list(without)]
        statement = sql.SQL(
            "select {columns}, null from {schema}.memory_items i"
            " join {schema}.memory_namespaces n using (ns_key)"
            " where {where} and {condition} order by i.updated_at desc, i.item_key desc limit %s"
        ).format(**self._common(), condition=condition)
        return (yield from fetch_all(statement, (*self._parameters, *extra, limit)))

    def _nearest(self, limit: int) -> Steps[list[Row]]:
        """The nearest matching items, each by its nearest vector."""
        assert self._index is not None
        way: Exact | Approximate = Exact()
        if self._index.ann:
            way = choose(
                (yield from self._counted()),
                limit,
                filtered=bool(self._op.filter),
                exact_up_to=self._index.exact_up_to,
                least=limit * RERANK if self._index.vector_type == "bit" else 0,
            )
        if isinstance(way, Approximate):
            rows, _ = yield from self._ranked_by(way, limit)
            if len(rows) >= limit:
                return rows
        if not self._op.filter:
            rows, complete = yield from self._ranked_by(None, limit)
            if complete:
                return rows
        return (yield from self._exact(limit))

    def _counted(self) -> Steps[Sizes]:
        assert self._index is not None
        prefix = tuple(self._op.namespace_prefix)
        sizes = self._sizes.get(prefix)
        if sizes is None:
            bounds, parameters = self._namespace_conditions()
            table = sql.Identifier(self._scope.schema, "memory_vectors").as_string()
            own = sql.Identifier(self._scope.schema, OWN_PREFIX).as_string().removesuffix('"')
            settings = json.dumps(self._index.own_settings)
            statement = sql.SQL(
                "select (select count(*) from (select from {schema}.memory_vectors v"
                " where {within} limit %s) few),"
                " (select reltuples::bigint from pg_class where oid = to_regclass(%s)),"
                " (select extversion from pg_extension where extname = 'vector'),"
                " single.ns_key, exists (select from pg_index where indisvalid"
                "  and indexrelid = to_regclass(%s::text || single.ns_key || '\"')"
                "  and exists (select from {schema}.memory_index_settings"
                "   where name = %s || single.ns_key::text and settings = %s::jsonb))"
                " from (select min(ns_key) as ns_key, count(*) as number from ("
                "  select n.ns_key from {schema}.memory_namespaces n where {bounds} limit 2) found"
                " ) few left join lateral (select few.ns_key where few.number = 1) single on true"
            ).format(schema=self._scope.identifier, within=self._within(bounds), bounds=bounds)
            asked = (COUNT_UP_TO, table, own, OWN_PREFIX, settings)
            row = yield FetchOne(statement, (*parameters, *asked, *parameters))
            version = tuple(int(part) for part in row[2].split(".") if part.isdigit())
            sizes = Sizes(int(row[0]), max(int(row[0]), int(row[1])), version, row[3], bool(row[4]))
            self._sizes.note(prefix, sizes)
        return sizes

    def _within(self, bounds: sql.Composable) -> sql.Composed:
        """Vectors of the namespaces, by the key that they carry themselves."""
        return sql.SQL(
            "v.ns_key = any(array("
            "select n.ns_key from {schema}.memory_namespaces n where {bounds}))"
        ).format(schema=self._scope.identifier, bounds=bounds)

    def _ranked_by(self, way: Approximate | None, limit: int) -> Steps[tuple[list[Row], bool]]:
        """The nearest items, vectors first and then what they belong to; exactly without a way.

        Returns whether these are all that there are, or as many as wanted.
        """
        assert self._index is not None
        assert self._vector is not None
        bounds, parameters = self._namespace_conditions()
        where, vector = self._within(bounds), self._index.parameter(self._vector)
        if way is not None and way.namespace is not None:
            where = ONLY.format(
                schema=self._scope.identifier, bounds=bounds, key=sql.Literal(way.namespace)
            )
        if self._op.filter:
            matching = sql.SQL(FILTERED).format(schema=self._scope.identifier, where=self._where)
            where = sql.SQL("{} and {}").format(where, matching)
            parameters = [*parameters, *self._parameters]
        candidates = candidates_for(limit) if way is None else way.candidates
        order, asked = self._order(way, vector)
        settings, set_up = ("", ()) if way is None else (SETTINGS, (str(way.ef_search),))
        if way is not None and way.iterative:
            settings = ITERATIVE_SETTINGS
        if way is not None:
            where = sql.SQL("s.ef_search is not null and {}").format(where)
        statement = sql.SQL(
            "select {columns}, d.distance, {live} from {settings}("
            "  select v.item_key, v.embedding {operator} %s::{type} as distance"
            "  from {schema}.memory_vectors v where {within} order by {order} limit %s"
            ") d join {schema}.memory_items i using (item_key)"
            " join {schema}.memory_namespaces n using (ns_key) order by d.distance, d.item_key"
        ).format(
            schema=self._scope.identifier,
            columns=COLUMNS,
            live=sql.SQL(LIVE),
            settings=sql.SQL(settings),
            operator=self._index.operator,
            type=self._index.query_type,
            within=where,
            order=order,
        )
        rows: list[Row] = yield FetchAll(
            statement, (*set_up, vector, *parameters, *asked, candidates)
        )
        nearest: dict[int, Row] = {}
        for row in rows:
            if row[9]:
                nearest.setdefault(row[7], row)
        found = list(nearest.values())[:limit]
        return found, len(found) >= limit or len(rows) < candidates

    def _order(
        self, way: Approximate | None, vector: Any
    ) -> tuple[sql.Composable, tuple[Any, ...]]:
        """What to order by, in words that the index knows or does not, and its parameters."""
        assert self._index is not None
        if way is None:
            # "+ 0": an expression the index does not know, so that the planner cannot use it.
            template = "(v.embedding {operator} %s::{type}) + 0, v.item_key"
        elif self._index.vector_type == "bit":
            template = "binary_quantize(v.embedding)::bit({dims}) <~> binary_quantize(%s::{type})"
        else:
            template = "v.embedding {operator} %s::{type}"
        order = sql.SQL(template).format(
            operator=self._index.operator,
            type=self._index.query_type,
            dims=sql.Literal(self._index.dims),
        )
        return order, (vector,)

    def _exact(self, limit: int) -> Steps[list[Row]]:
        """The nearest of what matches a filter, or whatever its items are."""
        assert self._index is not None
        assert self._vector is not None
        statement = sql.SQL(
            "select {columns}, d.distance from ("
            "  select v.item_key, min((v.embedding {operator} %s::{type}) + 0) as distance"
            "  from {schema}.memory_vectors v join {schema}.memory_items i using (item_key)"
            "  join {schema}.memory_namespaces n on n.ns_key = v.ns_key where {where}"
            "  group by v.item_key order by distance, v.item_key limit %s"
            ") d join {schema}.memory_items i using (item_key)"
            " join {schema}.memory_namespaces n using (ns_key) order by d.distance, d.item_key"
        ).format(**self._common(), operator=self._index.operator, type=self._index.query_type)
        parameters = (self._index.parameter(self._vector), *self._parameters, limit)
        return (yield from fetch_all(statement, parameters))

    def _fused(self, limit: int) -> Steps[list[Row]]:
        """Ranks by vector and by words, fused; scores from 0 to 1."""
        assert self._index is not None
        assert self._vector is not None
        table = sql.Identifier(self._scope.schema, "memory_items")
        words = yield from words_of(
            self._op.query or "", self._index.language, table, sql.Identifier("search")
        )
        pool = max(RRF_CANDIDATES, limit * 2)
        statement = sql.SQL(
            """with dense as (
                select item_key, row_number() over (order by distance, item_key) as rank from (
                    select v.item_key, min(v.embedding {operator} %s::{type}) as distance
                    from {schema}.memory_vectors v join {schema}.memory_items i using (item_key)
                    join {schema}.memory_namespaces n on n.ns_key = v.ns_key where {where}
                    group by v.item_key order by distance, v.item_key limit %s) d
            ), words as (
                select item_key, row_number() over (order by hit desc, item_key) as rank from (
                    select i.item_key, {hit} as hit
                    from {schema}.memory_items i
                    join {schema}.memory_namespaces n using (ns_key)
                    where {where} and i.search @@ %s::tsquery
                    order by hit desc, i.item_key limit %s) w
            ), fused as (
                select item_key, (coalesce(1.0 / (%s + dense.rank), 0)
                    + coalesce(1.0 / (%s + words.rank), 0))::float8 * %s as score
                from dense full join words using (item_key)
                order by score desc, item_key limit %s
            )
            select {columns}, f.score from fused f
            join {schema}.memory_items i using (item_key)
            join {schema}.memory_namespaces n using (ns_key)
            order by f.score desc, f.item_key"""
        ).format(
            **self._common(),
            operator=self._index.operator,
            type=self._index.query_type,
            hit=HIT.format(column=sql.SQL("i.search")),
        )
        parameters = (
            *(self._index.parameter(self._vector), *self._parameters, pool),
            *(*parameters_of(words), *self._parameters, words.any, pool),
            *(RRF_K, RRF_K, RRF_SCALE, limit),
        )
        return (yield from fetch_all(statement, parameters))

    def _common(self) -> dict[str, sql.Composable]:
        return {"schema": self._scope.identifier, "columns": COLUMNS, "where": self._where}

    def _scope_conditions(self) -> tuple[sql.Composable, list[Any]]:
        """What every row must meet: tenant, namespace prefix, expiry, filter."""
        condition, parameters = self._namespace_conditions()
        conditions: list[sql.Composable] = [condition, sql.SQL(LIVE)]
        if self._op.filter:
            filter_condition, filter_parameters = to_sql(self._op.filter)
            # A sealed value is judged after it was opened.
            conditions.append(sql.SQL("({} or i.sealed is not null)").format(filter_condition))
            parameters += filter_parameters
        return sql.SQL(" and ").join(conditions), parameters

    def _namespace_conditions(self) -> tuple[sql.Composable, list[Any]]:
        prefix = path_of(self._op.namespace_prefix)
        if not prefix:
            return sql.SQL("n.tenant = %s"), [self._scope.tenant]
        # Arrays compare element by element: this is the range of all paths with the prefix, and
        # the unique index on (tenant, path) finds it.
        after = [*prefix[:-1], prefix[-1] + "\x01"]
        return (
            sql.SQL("n.tenant = %s and n.path >= %s::text[] and n.path < %s::text[]"),
            [self._scope.tenant, prefix, after],
        )
