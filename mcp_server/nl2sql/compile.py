"""From the logical form to SQL: joins, grouping, subqueries; a sqlglot tree in the end."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from mcp_server.nl2sql.display import shown
from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.logical import (
    Aged,
    AnyOf,
    Arithmetic,
    Between,
    Compare,
    Condition,
    Frequent,
    Having,
    Like,
    Linked,
    Nested,
    Null,
    Often,
    Order,
    Output,
    Period,
    Query,
    Ranked,
    Referred,
    Scalar,
)
from mcp_server.nl2sql.profile_model import Column, ForeignKey, Kind, Table

RESERVED = frozenset(
    "all analyse analyze and any array as asc asymmetric both case cast check collate column "  # noqa: SIM905
    "constraint create current_catalog current_date current_role current_time current_timestamp "
    "current_user default deferrable desc distinct do else end except false fetch for foreign from "
    "grant group having in initially intersect into lateral leading limit localtime localtimestamp "
    "not null offset on only or order placing primary references returning select session_user "
    "some symmetric system_user table then to trailing true union unique user using variadic when "
    "where window with".split()
)
"""PostgreSQL's reserved words (manual, "SQL Key Words")."""


OTHER = "other"
"""The row that a row of the same table refers to."""
PLACE = "place"
"""The place of a row in its group."""


class NoJoinError(ValueError):
    """Two tables of the question have no key between them."""


_OPERATORS: dict[str, type[exp.Binary]] = {
    "=": exp.EQ,
    "<>": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}


@dataclass(slots=True)
class Scope:
    """The tables of one SELECT and their aliases; alone, a table needs none."""

    graph: JoinGraph
    tables: list[Table]
    via: Sequence[Table] = ()
    keys: list[ForeignKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = self.graph.tree(self.tables, self.via)
        if keys is None:
            raise NoJoinError(f"nothing joins {' and '.join(t.name for t in self.tables)}")
        self.keys = keys
        for key in keys:
            for table in (key.column.table, key.target.table):
                if table not in self.tables:
                    self.tables.append(table)

    def column(self, column: Column) -> exp.Expr:
        """A column, qualified where there is more than one table."""
        return exp.column(
            _identifier(column.name),
            table=self.alias(column.table) if len(self.tables) > 1 else None,
        )

    def alias(self, table: Table) -> str:
        """The short name of a table."""
        return f"t{self.tables.index(table) + 1}"

    def source(self) -> exp.Select:
        """The FROM with its joins."""
        query = exp.Select().from_(self._table(self.tables[0]))
        placed = [self.tables[0]]
        waiting = list(self.keys)
        while waiting:
            key = next(
                key
                for key in waiting
                if (key.column.table in placed) or (key.target.table in placed)
            )
            waiting.remove(key)
            one, other = key.column.table, key.target.table
            condition = exp.EQ(this=self.column(key.column), expression=self.column(key.target))
            if one in placed and other in placed:
                query = query.where(condition)
                continue
            new = other if one in placed else one
            placed.append(new)
            query = query.join(self._table(new), on=condition, join_type="INNER")
        return query

    def _table(self, table: Table) -> exp.Expr:
        named = _named(table)
        return exp.alias_(named, self.alias(table), table=True) if len(self.tables) > 1 else named


def _named(table: Table) -> exp.Table:
    return exp.Table(
        this=_identifier(table.name),
        db=_identifier(table.schema) if table.schema != "public" else None,
    )


def _identifier(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=_quote(name))


def _quote(name: str) -> bool:
    """Whether PostgreSQL needs the name in quotes: upper case, odd characters, a keyword."""
    return re.fullmatch(r"[a-z_][a-z0-9_]*", name) is None or name in RESERVED


def compile_query(query: Query, graph: JoinGraph) -> exp.Query:
    """The query for a logical form. Raises NoJoinError."""
    select = _select(query, graph)
    if query.combine is None:
        return select
    how, other = query.combine
    kinds = {"intersect": exp.Intersect, "except": exp.Except, "union": exp.Union}
    return kinds[how](this=select, expression=_select(other, graph), distinct=True)


def _select(query: Query, graph: JoinGraph) -> exp.Select:
    tables = _tables(query)
    if not tables:
        raise NoJoinError("the question names no table")
    scope = Scope(graph, tables, query.via)
    select = scope.source()
    group = _group(query, scope)
    grouped = bool(group or query.periods)
    periods = [_period(period, scope) for period in query.periods]
    outputs = [
        exp.alias_(each, period.unit) for each, period in zip(periods, query.periods, strict=True)
    ]
    outputs += [_output(output, scope, query) for output in query.select]
    conditions = [_condition(condition, scope, query) for condition in query.where]
    for each in query.computed:
        if isinstance(each, Arithmetic):
            outputs.append(_arithmetic(each, scope, query))
        else:
            outputs.append(_share(conditions))
            conditions = []
    select = select.select(*outputs)
    for condition in conditions:
        select = select.where(condition)
    if query.per and query.order and query.limit is not None:
        return _first_of_each(select, query, scope)
    if grouped:
        select = select.group_by(*periods, *(scope.column(column) for column in group))
    for having in query.having:
        select = select.having(_having(having, scope, query))
    for order in query.order:
        select = select.order_by(_order(order, scope, query))
    if periods and not query.order:
        select = select.order_by(*periods)
    if query.limit is not None:
        select = select.limit(query.limit)
    if not grouped and (query.distinct or _multiplies(query, scope)):
        if query.order and not all(
            any(output.column is order.column for output in query.select) for order in query.order
        ):
            return select
        select = select.distinct()
    return select


def _first_of_each(select: exp.Select, query: Query, scope: Scope) -> exp.Select:
    """The first rows of each group: those whose place in it is at most the limit."""
    names: list[str] = []
    for number, output in enumerate(query.select, start=1):
        name = output.column.name if output.column is not None else f"column{number}"
        if name in (*names, PLACE) and output.column is not None:
            name = f"{output.column.table.name}_{name}"
        names.append(name)
    place = exp.Window(
        this=exp.Rank(),
        partition_by=[scope.column(column) for column in query.per],
        order=exp.Order(expressions=[_order(order, scope, query) for order in query.order]),
    )
    inner = select.copy()
    inner.set(
        "expressions",
        [
            exp.alias_(each, name, quoted=_quote(name))
            for each, name in zip(select.expressions, names, strict=True)
        ],
    )
    inner = inner.select(exp.alias_(place, PLACE))
    shown = [exp.column(_identifier(name)) for name in names]
    return (
        exp.select(*shown)
        .from_(inner.subquery("ranked"))
        .where(exp.LTE(this=exp.column(PLACE), expression=exp.Literal.number(query.limit)))
    )


def _period(period: Period, scope: Scope) -> exp.Expr:
    """A year as a number; any other period as its first day."""
    unit, column = exp.var(period.unit), scope.column(period.column)
    if period.unit == "year":
        return exp.Extract(this=unit, expression=column)
    first = exp.TimestampTrunc(this=column, unit=unit)
    return exp.cast(first, "date", dialect="postgres")


def _arithmetic(each: Arithmetic, scope: Scope, query: Query) -> exp.Expr:
    left, right = (_output(side, scope, query) for side in (each.left, each.right))
    if each.operator == "/":
        exact = exp.cast(left, "double precision", dialect="postgres")
        return exp.Div(this=exact, expression=_unless_zero(right), typed=True)
    kinds: dict[str, type[exp.Binary]] = {"-": exp.Sub, "+": exp.Add, "*": exp.Mul}
    return kinds[each.operator](this=left, expression=right)


def _share(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """How many of a hundred rows meet all conditions."""
    every: exp.Expr = exp.Count(this=exp.Star())
    if not conditions:
        raise NoJoinError("a share of everything")
    some = exp.Filter(this=every.copy(), expression=exp.Where(this=exp.and_(*conditions)))
    hundred = exp.Mul(this=exp.Literal.number("100.0"), expression=some)
    return exp.Div(this=hundred, expression=_unless_zero(every), typed=True)


def _unless_zero(divisor: exp.Expr) -> exp.Expr:
    return exp.Nullif(this=divisor, expression=exp.Literal.number(0))


def _tables(query: Query) -> list[Table]:
    found: list[Table] = []

    def add(table: Table | None) -> None:
        if table is not None and table not in found:
            found.append(table)

    for output in query.select:
        add(output.column.table if output.column is not None else output.table)
    for each in query.computed:
        if isinstance(each, Arithmetic):
            add(each.left.column.table if each.left.column is not None else None)
            add(each.right.column.table if each.right.column is not None else None)
    for table in query.group_tables:
        add(table)
    for column in query.per:
        add(column.table)
    for period in query.periods:
        add(period.column.table)
    add(query.subject)
    for column in query.group:
        add(column.table)
    for condition in query.where:
        for table in _condition_tables(condition):
            add(table)
    for having in query.having:
        add(having.column.table if having.column is not None else having.table)
    for order in query.order:
        add(order.column.table if order.column is not None else order.table)
    return [*found[:1], *(table for table in query.via if table not in found[:1]), *found[1:]]


def _condition_tables(condition: Condition) -> Iterable[Table]:
    match condition:
        case AnyOf(conditions):
            for each in conditions:
                yield from _condition_tables(each)
        case Linked() | Often():
            return
        case Ranked(table):
            yield table
        case Compare(column, _, Column() as other):
            yield column.table
            yield other.table
        case _:
            yield condition.column.table


def _group(query: Query, scope: Scope) -> list[Column]:
    plain = [each.column for each in query.select if each.aggregate is None and each.column]
    aggregated = any(each.aggregate for each in query.select)
    wanted = list(query.group)
    for table in query.group_tables:
        if table.key is not None:
            wanted.append(table.key)
    ordered = any(each.aggregate for each in query.order)
    if wanted or query.having or ordered or (aggregated and plain):
        if not wanted and not aggregated and (query.having or ordered):
            main = plain[0].table if plain else query.subject
            if main is not None and main.key is not None and _identifies(plain, main, query):
                wanted.append(main.key)
        for column in plain:
            if column not in wanted:
                wanted.append(column)
        return list(dict.fromkeys(wanted))
    return []


def _identifies(plain: Sequence[Column], main: Table, query: Query) -> bool:
    """Whether the rows of a table are what is grouped, and not the values of a column of it."""
    if not any(each.primary or each.unique or each in shown(main) for each in plain):
        return False
    counted = {each.table for each in query.having} | {each.table for each in query.order}
    return main not in counted and counted != {None}


def _multiplies(query: Query, scope: Scope) -> bool:
    """Whether the joins repeat rows of what is shown."""
    if any(each.aggregate for each in query.select) or query.limit is not None:
        return False
    shown = {each.column.table for each in query.select if each.column is not None}
    return any(key.target.table in shown and key.column.table not in shown for key in scope.keys)


def _output(output: Output, scope: Scope, query: Query) -> exp.Expr:
    if output.aggregate == "count":
        if output.column is not None:
            inner: exp.Expr = scope.column(output.column)
            if output.distinct:
                inner = exp.Distinct(expressions=[inner])
            return exp.Count(this=inner)
        return _count_of(output.table, scope, query)
    if output.column is None:
        return exp.Star()
    column = scope.column(output.column)
    if output.aggregate is None:
        return column
    ordinal = output.aggregate in ("min", "max") and output.column.sorts_as_text
    if output.column.numeric_text and not ordinal:
        column = exp.cast(column, "double precision", dialect="postgres")
    return {"sum": exp.Sum, "avg": exp.Avg, "min": exp.Min, "max": exp.Max}[output.aggregate](
        this=column
    )


def _count_of(table: Table | None, scope: Scope, query: Query) -> exp.Expr:
    """count(*), or the count of a table's keys where a join repeats its rows."""
    grouped = (
        query.group
        or query.group_tables
        or query.periods
        or any(not o.aggregate for o in query.select)
    )
    if table is not None and not grouped and table.key is not None:
        repeated = any(
            key.target.table is table
            or (key.target.table is not table and key.column.table is not table)
            for key in scope.keys
        )
        if repeated:
            return exp.Count(this=exp.Distinct(expressions=[scope.column(table.key)]))
    return exp.Count(this=exp.Star())


def _having(having: Having, scope: Scope, query: Query) -> exp.Expr:
    if having.column is not None:
        left = _output(Output(having.column, having.aggregate), scope, query)
    else:
        left = exp.Count(this=exp.Star())
    return _OPERATORS[having.operator](this=left, expression=_literal(having.value))


def _order(order: Order, scope: Scope, query: Query) -> exp.Expr:
    if order.aggregate == "count":
        key: exp.Expr = exp.Count(this=exp.Star())
    elif order.column is not None:
        key = _output(Output(order.column, order.aggregate), scope, query)
        if order.aggregate is None and order.column.numeric_text and not order.column.sorts_as_text:
            key = exp.cast(key, "double precision", dialect="postgres")
    else:
        key = _output(query.select[0], scope, query)
    return exp.Ordered(this=key, desc=order.descending, nulls_first=False)


def _condition(condition: Condition, scope: Scope, query: Query) -> exp.Expr:
    match condition:
        case Compare(column, operator, value):
            return _compare(column, operator, value, scope)
        case Between(column, low, high):
            return exp.Between(
                this=_number(column, scope, low), low=_literal(low), high=_literal(high)
            )
        case Aged(column, operator, years):
            age = exp.Anonymous(this="age", expressions=[scope.column(column)])
            passed = exp.Extract(this=exp.var("year"), expression=age)
            return _OPERATORS[operator](this=passed, expression=_literal(years))
        case Like(column, pattern, negated):
            like = exp.ILike(this=scope.column(column), expression=exp.Literal.string(pattern))
            return exp.Not(this=like) if negated else like
        case Null(column, negated):
            test = exp.Is(this=scope.column(column), expression=exp.Null())
            return exp.Not(this=test) if negated else test
        case AnyOf(conditions):
            parts = [_condition(each, scope, query) for each in conditions]
            return exp.paren(exp.or_(*parts))
        case Linked():
            return _linked(condition, scope, query)
        case Ranked():
            return _ranked(condition, scope)
        case Frequent():
            return _frequent(condition, scope)
        case Often():
            return _often(condition, scope, query)


def _often(often: Often, scope: Scope, query: Query) -> exp.Expr:
    subject = query.subject or scope.tables[0]
    if subject.key is None or subject is often.table:
        raise NoJoinError(f"{subject.name} has no key to count {often.table.name} by")
    inner = Scope(scope.graph, [subject, often.table])
    key = inner.column(subject.key)
    count = _OPERATORS[often.operator](
        this=exp.Count(this=exp.Star()), expression=_literal(often.value)
    )
    rows = inner.source().select(key).group_by(key.copy()).having(count)
    return exp.In(this=scope.column(subject.key), query=rows.subquery())


def _frequent(frequent: Frequent, scope: Scope) -> exp.Expr:
    column = frequent.column
    inner = Scope(scope.graph, [column.table])
    order = Order(frequent.descending, aggregate="count")
    rows = inner.source().select(inner.column(column)).group_by(inner.column(column))
    rows = rows.order_by(_order(order, inner, Query())).limit(frequent.count)
    return exp.In(this=scope.column(column), query=rows.subquery())


def _ranked(ranked: Ranked, scope: Scope) -> exp.Expr:
    """Whether a row's key is among those of the first rows in an order."""
    key, order = ranked.table.key, ranked.order
    if key is None:
        raise NoJoinError(f"{ranked.table.name} has no key")
    other = order.column.table if order.column is not None else order.table
    inner = Scope(scope.graph, list(dict.fromkeys([ranked.table, other or ranked.table])))
    rows = inner.source().select(inner.column(key))
    if order.aggregate is not None:
        rows = rows.group_by(inner.column(key))
    rows = rows.order_by(_order(order, inner, Query())).limit(ranked.count)
    return exp.In(this=scope.column(key), query=rows.subquery())


def _compare(
    column: Column, operator: str, value: "Scalar | Column | Nested | Referred", scope: Scope
) -> exp.Expr:
    kind = _OPERATORS[operator]
    match value:
        case Nested(aggregate, other, where):
            needed = [other.table, *(t for each in where for t in _condition_tables(each))]
            inner = Scope(scope.graph, list(dict.fromkeys(needed)))
            subquery = inner.source().select(_output(Output(other, aggregate), inner, Query()))
            for each in where:
                subquery = subquery.where(_condition(each, inner, Query(subject=other.table)))
            if aggregate is None:
                return exp.In(this=scope.column(column), query=subquery.subquery())
            left = scope.column(column)
            if column.numeric_text:
                left = exp.cast(left, "double precision", dialect="postgres")
            return kind(this=left, expression=subquery.subquery())
        case Column():
            return kind(this=scope.column(column), expression=scope.column(value))
        case Referred():
            return _compare_referred(column, kind, value, scope)
        case str() if column.kind is Kind.NUMBER:
            return kind(
                this=exp.cast(scope.column(column), "text", dialect="postgres"),
                expression=exp.Literal.string(value),
            )
        case str():
            return kind(this=scope.column(column), expression=exp.Literal.string(value))
        case _:
            if column.kind is Kind.TEXT and operator in ("=", "<>") and not column.numeric_text:
                return kind(this=scope.column(column), expression=exp.Literal.string(str(value)))
            return kind(this=_number(column, scope, value), expression=_literal(value))


def _compare_referred(
    column: Column, kind: type[exp.Binary], referred: Referred, scope: Scope
) -> exp.Expr:
    """A comparison with the row of the same table that a column refers to."""
    table, by = column.table, referred.by
    if by.within is None:
        raise NoJoinError(f"{by} refers to no row of {table}")
    outer = scope.alias(table) if len(scope.tables) > 1 else table.name
    inner = OTHER if outer != OTHER else f"{OTHER}_{OTHER}"

    def at(of: str, what: Column) -> exp.Column:
        return exp.column(_identifier(what.name), table=_identifier(of))

    source = exp.alias_(_named(table), inner, table=True)
    there = exp.select(at(inner, referred.column)).from_(source)
    there = there.where(exp.EQ(this=at(inner, by.within), expression=at(outer, by)))
    return kind(this=at(outer, column), expression=there.subquery())


def _number(column: Column, scope: Scope, value: Scalar) -> exp.Expr:
    """A column as it is compared with a number: text cast, a date by its year."""
    inner = scope.column(column)
    if isinstance(value, str):
        return inner
    if column.kind is Kind.DATE:
        return exp.Extract(this=exp.var("year"), expression=inner)
    if column.kind is Kind.TEXT:
        return exp.cast(inner, "double precision", dialect="postgres")
    return inner


def _linked(linked: Linked, scope: Scope, query: Query) -> exp.Expr:
    subject = query.subject or scope.tables[0]
    path = scope.graph.path(subject, linked.table)
    if not path:
        raise NoJoinError(f"nothing joins {subject.name} and {linked.table.name}")
    first = path[0]
    outward = first.column.table is not subject
    here, there = (first.target, first.column) if outward else (first.column, first.target)
    if linked.negated and not linked.where and not outward and len(path) == 1:
        return exp.Is(this=scope.column(here), expression=exp.Null())  # it refers to none
    needed = [there.table]
    if linked.where or len(path) > 1:
        for condition in linked.where:
            needed += [t for t in _condition_tables(condition) if t is not subject]
        if not (len(path) == 2 and not linked.where and path[1].column.table is there.table):
            needed.append(linked.table)
    inner = Scope(scope.graph, list(dict.fromkeys(needed)))
    rows = inner.source().select(inner.column(there))
    for condition in linked.where:
        rows = rows.where(_condition(condition, inner, Query(subject=linked.table)))
    if linked.negated:
        rows = rows.where(exp.Not(this=exp.Is(this=inner.column(there), expression=exp.Null())))
    test = exp.In(this=scope.column(here), query=rows.subquery())
    return exp.Not(this=test) if linked.negated else test


def _literal(value: Scalar) -> exp.Expr:
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, str):
        return exp.Literal.string(value)
    return exp.Literal.number(value)
