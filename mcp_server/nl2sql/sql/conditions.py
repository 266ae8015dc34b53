"""Conditions as SQL, with the queries within them: what the rows of a SELECT must meet."""

from collections.abc import Iterable

from sqlglot import exp

from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.sql.derived import at_one_grain
from mcp_server.nl2sql.sql.expressions import OPERATORS, literal, order_of, output_of
from mcp_server.nl2sql.sql.joined import Joined, NoJoinError, identifier, named
from mcp_server.nl2sql.sql.logical import (
    Aged,
    AnyOf,
    Between,
    Compare,
    Condition,
    Frequent,
    Like,
    Linked,
    Nested,
    Null,
    Often,
    Order,
    Output,
    Query,
    Ranked,
    Referred,
    Scalar,
)

YEARS_KNOWN = (1000, 2999)
"""A number beyond these is no year that dates of a database are in."""
OTHER = "other"
"""The row that a row of the same table refers to."""


def condition_of(condition: Condition, joined: Joined, query: Query) -> exp.Expr:
    """A condition as PostgreSQL has it."""
    match condition:
        case Compare(column, operator, value):
            return _compare(column, operator, value, joined)
        case Between(column, low, high):
            _require_year(column, high)
            return exp.Between(
                this=_number(column, joined, low), low=literal(low), high=literal(high)
            )
        case Aged(column, operator, years):
            age = exp.Anonymous(this="age", expressions=[joined.moment(column)])
            passed = exp.Extract(this=exp.var("year"), expression=age)
            return OPERATORS[operator](this=passed, expression=literal(years))
        case Like(column, pattern, negated):
            like = exp.ILike(this=joined.column(column), expression=exp.Literal.string(pattern))
            return exp.Not(this=like) if negated else like
        case Null(column, negated):
            test = exp.Is(this=joined.column(column), expression=exp.Null())
            return exp.Not(this=test) if negated else test
        case AnyOf(conditions):
            parts = [condition_of(each, joined, query) for each in conditions]
            return exp.paren(exp.or_(*parts))
        case Linked():
            return _linked(condition, joined, query)
        case Ranked():
            return _ranked(condition, joined)
        case Frequent():
            return _frequent(condition, joined)
        case Often():
            return _often(condition, joined, query)


def tables_of(condition: Condition) -> Iterable[Table]:
    """The tables that a condition speaks of."""
    match condition:
        case AnyOf(conditions):
            for each in conditions:
                yield from tables_of(each)
        case Linked() | Often():
            return
        case Ranked(table):
            yield table
        case Compare(column, _, Column() as other):
            yield from column.tables
            yield from other.tables
        case _:
            yield from condition.column.tables


def _often(often: Often, joined: Joined, query: Query) -> exp.Expr:
    subject = query.subject or joined.tables[0]
    if subject.key is None or subject is often.table:
        raise NoJoinError(f"{subject.name} has no key to count {often.table.name} by")
    inner = Joined(joined.graph, [subject, often.table])
    key = inner.column(subject.key)
    counted: exp.Expr = exp.Star()
    if often.of is not None:
        counted = exp.Distinct(expressions=[inner.column(often.of)])
    count = OPERATORS[often.operator](this=exp.Count(this=counted), expression=literal(often.value))
    rows = inner.source().select(key).group_by(key.copy()).having(count)
    return exp.In(this=joined.column(subject.key), query=rows.subquery())


def _frequent(frequent: Frequent, joined: Joined) -> exp.Expr:
    column = frequent.column
    inner = Joined(joined.graph, [column.table])
    order = Order(frequent.descending, aggregate="count")
    rows = inner.source().select(inner.column(column)).group_by(inner.column(column))
    rows = rows.order_by(order_of(order, inner, Query())).limit(frequent.count)
    return exp.In(this=joined.column(column), query=rows.subquery())


def _ranked(ranked: Ranked, joined: Joined) -> exp.Expr:
    """Whether a row's key is among those of the first rows in an order."""
    key, order = ranked.table.key, ranked.order
    if key is None:
        raise NoJoinError(f"{ranked.table.name} has no key")
    other = order.column.table if order.column is not None else order.table
    inner = Joined(joined.graph, list(dict.fromkeys([ranked.table, other or ranked.table])))
    rows = inner.source().select(inner.column(key))
    if order.aggregate is not None:
        rows = rows.group_by(inner.column(key))
    rows = rows.order_by(order_of(order, inner, Query())).limit(ranked.count)
    return exp.In(this=joined.column(key), query=rows.subquery())


def _linked(linked: Linked, joined: Joined, query: Query) -> exp.Expr:
    subject = query.subject or joined.tables[0]
    path = joined.graph.path(subject, linked.table)
    if not path:
        raise NoJoinError(f"nothing joins {subject.name} and {linked.table.name}")
    first = path[0]
    outward = first.column.table is not subject
    there = first.column if outward else first.target
    ends = [pair[::-1] if outward else pair for pair in first.pairs]
    if linked.negated and not linked.where and not outward and len(path) == 1:
        return exp.Is(this=joined.column(first.column), expression=exp.Null())  # refers to none
    needed = [there.table]
    if linked.where or len(path) > 1:
        for condition in linked.where:
            needed += [t for t in tables_of(condition) if t is not subject]
        if not (len(path) == 2 and not linked.where and path[1].column.table is there.table):
            needed.append(linked.table)
    inner = Joined(joined.graph, list(dict.fromkeys(needed)))
    rows = inner.source().select(*(inner.column(end) for _, end in ends))
    for condition in linked.where:
        rows = rows.where(condition_of(condition, inner, Query(subject=linked.table)))
    if linked.negated:
        for _, end in ends:
            rows = rows.where(exp.Not(this=exp.Is(this=inner.column(end), expression=exp.Null())))
    own = [joined.column(here) for here, _ in ends]
    test = exp.In(
        this=own[0] if len(own) == 1 else exp.Tuple(expressions=own), query=rows.subquery()
    )
    return exp.Not(this=test) if linked.negated else test


def _compare(
    column: Column, operator: str, value: "Scalar | Column | Nested | Referred", joined: Joined
) -> exp.Expr:
    kind = OPERATORS[operator]
    match value:
        case bool() if column.made is not None:
            test = exp.paren(joined.column(column))
            return test if value == (operator == "=") else exp.Not(this=test)
        case Nested(within=Column() as within):
            return _compare_within(column, kind, value, within, joined)
        case Nested(aggregate, other, where, factor=factor):
            needed = [other.table, *(t for each in where for t in tables_of(each))]
            inner = Joined(joined.graph, list(dict.fromkeys(needed)))
            subquery = inner.source().select(output_of(Output(other, aggregate), inner, Query()))
            for each in where:
                subquery = subquery.where(condition_of(each, inner, Query(subject=other.table)))
            if aggregate is None:
                return exp.In(this=joined.column(column), query=subquery.subquery())
            left = joined.column(column)
            if column.cast:
                left = exp.cast(left, column.cast, dialect="postgres")
            return kind(this=left, expression=times(factor, subquery.subquery()))
        case Column():
            left, right = at_one_grain(column, value, joined.moment)
            return kind(this=left, expression=right)
        case Referred():
            return _compare_referred(column, kind, value, joined)
        case str() if column.kind is Kind.NUMBER:
            return kind(
                this=exp.cast(joined.column(column), "text", dialect="postgres"),
                expression=exp.Literal.string(value),
            )
        case str():
            return kind(this=joined.column(column), expression=exp.Literal.string(value))
        case _:
            if column.kind is Kind.TEXT and operator in ("=", "<>") and not column.numeric_text:
                return kind(this=joined.column(column), expression=exp.Literal.string(str(value)))
            return kind(this=_number(column, joined, value), expression=literal(value))


def _compare_within(
    column: Column, kind: type[exp.Binary], nested: Nested, within: Column, joined: Joined
) -> exp.Expr:
    """A comparison with those rows of the same table that have the same in a column."""
    table = column.table
    if nested.where or nested.column.made or column.made or nested.aggregate is None:
        raise NoJoinError(f"{column} is compared with what is none of one group")
    outer = joined.alias(table) if len(joined.tables) > 1 else table.name
    inner = OTHER if outer != OTHER else f"{OTHER}_{OTHER}"
    single = Joined(joined.graph, [table])
    measure = output_of(Output(nested.column, nested.aggregate), single, Query())
    for each in measure.find_all(exp.Column):
        each.set("table", identifier(inner))
    same = (exp.column(identifier(within.name), table=identifier(of)) for of in (inner, outer))
    there = exp.select(measure).from_(exp.alias_(named(table), inner, table=True))
    there = there.where(exp.EQ(this=next(same), expression=next(same)))
    left = exp.column(identifier(column.name), table=identifier(outer))
    return kind(this=left, expression=times(nested.factor, there.subquery()))


def times(factor: float, of: exp.Expr) -> exp.Expr:
    """So many times an expression; itself where that is once."""
    if factor == 1:
        return of
    whole = int(factor) if factor == int(factor) else factor
    return exp.Mul(this=literal(whole), expression=of)


def _compare_referred(
    column: Column, kind: type[exp.Binary], referred: Referred, joined: Joined
) -> exp.Expr:
    """A comparison with the row of the same table that a column refers to."""
    table, by = column.table, referred.by
    if by.within is None:
        raise NoJoinError(f"{by} refers to no row of {table}")
    outer = joined.alias(table) if len(joined.tables) > 1 else table.name
    inner = OTHER if outer != OTHER else f"{OTHER}_{OTHER}"

    def at(of: str, what: Column) -> exp.Column:
        return exp.column(identifier(what.name), table=identifier(of))

    source = exp.alias_(named(table), inner, table=True)
    there = exp.select(at(inner, referred.column)).from_(source)
    there = there.where(exp.EQ(this=at(inner, by.within), expression=at(outer, by)))
    return kind(this=at(outer, column), expression=there.subquery())


def _number(column: Column, joined: Joined, value: Scalar) -> exp.Expr:
    """A column as it is compared with a number: text cast, a date by its year."""
    inner = joined.column(column)
    if isinstance(value, str):
        return inner
    _require_year(column, value)
    if column.kind is Kind.DATE:
        return exp.Extract(this=exp.var("year"), expression=joined.moment(column))
    if column.kind is Kind.TEXT or column.cast:
        return exp.cast(inner, column.cast or "double precision", dialect="postgres")
    return inner


def may_be_year(value: Scalar) -> bool:
    """Whether the year of a date may be compared with a value: with any but a small number."""
    return isinstance(value, str) or YEARS_KNOWN[0] <= value <= YEARS_KNOWN[1]


def _require_year(column: Column, value: Scalar) -> None:
    if column.kind is Kind.DATE and not may_be_year(value):
        raise NoJoinError(f"{value} is no year that {column.name} could be in")
