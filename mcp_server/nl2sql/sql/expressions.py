"""What a SELECT shows, and by what it is grouped, filtered and sorted: expressions of one level."""

from collections.abc import Sequence

from sqlglot import exp

from mcp_server.nl2sql.schema.model import Table
from mcp_server.nl2sql.sql.joined import Joined, NoJoinError
from mcp_server.nl2sql.sql.logical import (
    Having,
    Order,
    Output,
    Period,
    Query,
    Scalar,
    ShareOf,
)

OPERATORS: dict[str, type[exp.Binary]] = {
    "=": exp.EQ,
    "<>": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}


AGGREGATES: dict[str, type[exp.AggFunc]] = {
    "sum": exp.Sum,
    "avg": exp.Avg,
    "min": exp.Min,
    "max": exp.Max,
    "stddev": exp.Stddev,
    "variance": exp.Variance,
}


def output_of(output: Output, joined: Joined, query: Query) -> exp.Expr:
    """What one output of a query shows."""
    if output.aggregate == "count":
        if output.column is not None:
            inner: exp.Expr = joined.column(output.column)
            if output.distinct:
                inner = exp.Distinct(expressions=[inner])
            return exp.Count(this=inner)
        return _count_of(output.table, joined, query)
    if output.column is None:
        return exp.Star()
    column = joined.column(output.column)
    if output.aggregate is None or output.aggregate == "metric":
        return column
    ordinal = output.aggregate in ("min", "max") and output.column.sorts_as_text
    if output.column.cast and not ordinal:
        column = exp.cast(column, output.column.cast, dialect="postgres")
    if output.aggregate == "median":
        middle = exp.PercentileCont(this=exp.Literal.number("0.5"))
        within = exp.Order(expressions=[exp.Ordered(this=column, nulls_first=False)])
        return exp.WithinGroup(this=middle, expression=within)
    return AGGREGATES[output.aggregate](this=column)


def _count_of(table: Table | None, joined: Joined, query: Query) -> exp.Expr:
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
            for key in joined.keys
        )
        if repeated:
            return exp.Count(this=exp.Distinct(expressions=[joined.column(table.key)]))
    return exp.Count(this=exp.Star())


def period_of(period: Period, joined: Joined) -> exp.Expr:
    """A year as a number; any other period as its first day."""
    unit, column = exp.var(period.unit), joined.moment(period.column)
    if period.unit == "year":
        return exp.Extract(this=unit, expression=column)
    first = exp.TimestampTrunc(this=column, unit=unit)
    return exp.cast(first, "date", dialect="postgres")


def arithmetic_of(operator: str, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """A computation on two values; no division by zero."""
    if operator == "/":
        exact = exp.cast(left, "double precision", dialect="postgres")
        return exp.Div(this=exact, expression=_unless_zero(right), typed=True)
    kinds: dict[str, type[exp.Binary]] = {"-": exp.Sub, "+": exp.Add, "*": exp.Mul}
    return kinds[operator](this=left, expression=right)


def filtered_by(measure: exp.Expr, conditions: Sequence[exp.Expr]) -> exp.Expr:
    """A measure of the rows that meet all conditions."""
    if not conditions:
        return measure
    return exp.Filter(this=measure, expression=exp.Where(this=exp.and_(*conditions)))


def share_of(
    share: ShareOf, conditions: Sequence[exp.Expr], joined: Joined, *, grouped: bool
) -> exp.Expr:
    """How much of a hundred meets all conditions, or without any is of a group."""
    every: exp.Expr = exp.Count(this=exp.Star())
    if share.whole is not None:
        every = exp.Sum(this=joined.column(share.whole))
    whole = every.copy()
    if share.part is not None:
        some: exp.Expr = exp.Sum(this=joined.column(share.part))
    elif conditions:
        some = filtered_by(every.copy(), conditions)
    elif grouped:
        some, whole = every.copy(), exp.Window(this=exp.Sum(this=every))
    else:
        raise NoJoinError("a share of everything")
    hundred = exp.Mul(this=exp.Literal.number("100.0"), expression=some)
    return exp.Div(this=hundred, expression=_unless_zero(whole), typed=True)


def _unless_zero(divisor: exp.Expr) -> exp.Expr:
    return exp.Nullif(this=divisor, expression=exp.Literal.number(0))


def having_of(having: Having, joined: Joined, query: Query) -> exp.Expr:
    """A condition on groups."""
    if having.column is not None:
        output = Output(having.column, having.aggregate, having.distinct)
        left = output_of(output, joined, query)
    else:
        left = exp.Count(this=exp.Star())
    return OPERATORS[having.operator](this=left, expression=literal(having.value))


def order_of(order: Order, joined: Joined, query: Query) -> exp.Expr:
    """What rows are ordered by."""
    if order.aggregate == "count":
        key: exp.Expr = exp.Count(this=exp.Star())
    elif order.column is not None:
        key = output_of(Output(order.column, order.aggregate), joined, query)
        if order.aggregate is None and order.column.numeric_text and not order.column.sorts_as_text:
            key = exp.cast(key, "double precision", dialect="postgres")
    else:
        key = output_of(query.select[0], joined, query)
    return exp.Ordered(this=key, desc=order.descending, nulls_first=False)


def literal(value: Scalar) -> exp.Expr:
    """A constant."""
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, str):
        return exp.Literal.string(value)
    return exp.Literal.number(value)
