"""A window over the query of a plain question: one column more, or another in its place."""

from collections.abc import Callable, Sequence

from sqlglot import exp

from mcp_server.nl2sql.database.identifiers import needs_quotes
from mcp_server.nl2sql.windows.asking import (
    Change,
    MovingAverage,
    Percentile,
    Ranked,
    RunningTotal,
    Window,
    says_groups,
)


class _Order:
    """How the periods of one group follow each other."""

    def __init__(self, period: exp.Expr, groups: list[exp.Expr]) -> None:
        self._period = period
        self._groups = groups

    def over(self, function: exp.Expr, before: int | None = None) -> exp.Expr:
        """A function of each period and those before. before: at most so many of them."""
        spec = None
        if before is not None:
            spec = exp.WindowSpec(
                kind="ROWS",
                start=exp.Literal.number(before),
                start_side="PRECEDING",
                end="CURRENT ROW",
            )
        return exp.Window(
            this=function,
            partition_by=[each.copy() for each in self._groups],
            order=exp.Order(expressions=[self._period.copy()]),
            spec=spec,
        )


def applied(
    window: Window, tree: exp.Query, plain: str, part: exp.Expr | None = None
) -> exp.Select | None:
    """The query with the window; None where it has nothing to go along, or nothing to measure.

    plain: the question that the query is of. part: what rows are ranked within, as it has it.
    """
    groups = says_groups(plain)
    if not isinstance(tree, exp.Select):
        return None
    select = tree.copy()
    match window:
        case Percentile(share):
            return _at(share, select)
        case Ranked(first=first):
            return _ranked(select, part, first)
        case RunningTotal():
            return _along(select, _running, groups=groups)
        case MovingAverage(count):
            return _along(select, lambda m, along: _moving(m, along, count), groups=groups)
        case Change(percent):
            return _along(
                select, lambda m, along: _changed(m, along, percent=percent), groups=groups
            )


def _at(share: float, select: exp.Select) -> exp.Select | None:
    middles = list(select.find_all(exp.PercentileCont))
    for middle in middles:
        middle.set("this", exp.Literal.number(f"{share:g}"))
    return select if middles else None


def _ranked(select: exp.Select, part: exp.Expr | None, first: int | None) -> exp.Select | None:
    order = select.args.get("order")
    if order is None or select.args.get("distinct") or select.args.get("limit"):
        return None
    parts = [] if part is None else [part]
    keys = [key.copy() for key in order.expressions]
    there = {each.unalias().sql() for each in select.expressions}
    shown = [*parts, *(key.this for key in keys)]
    if select.args.get("group") is not None:
        select.group_by(*(each.copy() for each in parts), copy=False)
    select.select(
        *(_told(each.copy()) for each in shown if each.sql() not in there),
        exp.alias_(
            exp.Window(
                this=exp.Rank(),
                partition_by=[each.copy() for each in parts],
                order=exp.Order(expressions=keys),
            ),
            "rank",
        ),
        copy=False,
    )
    return select if first is None else _first(select, parts, first)


def _told(each: exp.Expr) -> exp.Expr:
    """A column as it is, a total of one by a name."""
    of = each.find(exp.Column)
    if isinstance(each, exp.Column) or of is None:
        return each
    return exp.alias_(each, f"total_{of.name}")


def _first(select: exp.Select, parts: Sequence[exp.Expr], first: int) -> exp.Select | None:
    """The rows at the first places, each group by itself."""
    names = [each.output_name for each in select.expressions]
    if "" in names or len(set(names)) < len(names):
        return None
    select.set("order", None)
    shown = [_named(name) for name in names[:-1]]  # not the place, which nobody asked for
    place = _named("rank")
    groups = [_named(each.output_name) for each in parts]
    found = exp.select(*shown).from_(select.subquery("ranked"))
    found = found.where(exp.LTE(this=place, expression=exp.Literal.number(first)))
    return found.order_by(*groups, place.copy())


def _named(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=needs_quotes(name)))


def _along(
    select: exp.Select, made: Callable[[exp.Expr, _Order], list[exp.Expr]], *, groups: bool
) -> exp.Select | None:
    """The measure of each period, with what `made` makes of it and of those before."""
    periods = [each for each in select.expressions if _is_period(each.unalias())]
    measures = [each for each in select.expressions if each.find(exp.AggFunc)]
    if len(periods) != 1 or len(measures) != 1 or select.args.get("limit"):
        return None
    period = periods[0].unalias()
    others = [
        each.unalias().copy() for each in select.expressions if each not in (*periods, *measures)
    ]
    if others and not groups:
        return None
    along = _Order(period, others)
    select.select(*made(measures[0].unalias(), along), copy=False)
    select.set("order", None)
    return select.order_by(*(each.copy() for each in others), period.copy())


def _is_period(output: exp.Expr) -> bool:
    """Whether an output is a year, a month, a day: what `period_of` writes."""
    if isinstance(output, exp.Cast):
        output = output.this
    return isinstance(output, exp.Extract | exp.TimestampTrunc | exp.DateTrunc)


def _running(measure: exp.Expr, along: _Order) -> list[exp.Expr]:
    total = along.over(exp.Sum(this=measure.copy()))
    return [exp.alias_(total, "running_total")]


def _moving(measure: exp.Expr, along: _Order, count: int) -> list[exp.Expr]:
    average = along.over(exp.Avg(this=measure.copy()), before=count - 1)
    return [exp.alias_(average, "moving_average")]


def _changed(measure: exp.Expr, along: _Order, *, percent: bool) -> list[exp.Expr]:
    before = along.over(exp.Lag(this=measure.copy()))
    change = exp.Sub(this=measure.copy(), expression=before)
    if not percent:
        return [exp.alias_(change, "change")]
    hundred = exp.Mul(this=exp.Literal.number("100.0"), expression=exp.paren(change))
    base = exp.Nullif(this=before.copy(), expression=exp.Literal.number(0))
    return [exp.alias_(exp.Div(this=hundred, expression=base, typed=True), "change_in_percent")]
