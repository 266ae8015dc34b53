"""Columns that are computed from others, as SQL."""

from collections.abc import Callable

from sqlglot import exp

from mcp_server.nl2sql.schema.model import METRIC, SCALED, Column, Made
from mcp_server.nl2sql.semantics.expressions import placed

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "year": 31557600}
SATURDAY, SUNDAY = 6, 7
TIMES = frozenset({"timestamp", "timestamptz"})
OPERATORS: dict[str, type[exp.Binary]] = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul}


def expression(made: Made, column: Callable[[Column], exp.Expr]) -> exp.Expr:
    """What a computed column is. column: gives the columns that it is made of."""
    if made.how == METRIC:
        by_name = {each.name: each for each in made.of}
        return placed(made.unit, lambda name: column(by_name[name]), aggregate=True)
    first, last = made.of[0], made.of[-1]
    match made.how:
        case "days":
            return exp.paren(exp.Sub(this=column(last), expression=column(first)))
        case "duration":
            passed = exp.Sub(this=column(last), expression=column(first))
            return _in_units(passed, made.unit) if made.unit else exp.paren(passed)
        case "weekend":
            days = [exp.Literal.number(day) for day in (SATURDAY, SUNDAY)]
            return exp.In(this=_extract("isodow", column(first)), expressions=days)
        case "weekday":
            return _extract("isodow", column(first))
        case "hour" | "month":
            return _extract(made.how, column(first))
        case "decade":
            return exp.paren(_times_ten(_extract("decade", column(first))))
        case "decade of years":
            ten = exp.Literal.number(10)
            return exp.paren(_times_ten(exp.Div(this=column(first), expression=ten, typed=True)))
        case "age":
            return _extract("year", exp.Anonymous(this="age", expressions=[column(first)]))
        case "late":
            due, done = at_one_grain(first, last, column)
            return exp.GT(this=done, expression=due)
        case "overdue":
            missing = exp.Is(this=column(last), expression=exp.Null())
            past = exp.LT(this=column(first), expression=exp.CurrentDate())
            return exp.and_(past, missing)
        case kind if kind == SCALED:
            return exp.Mul(this=exp.Literal.number(made.unit), expression=column(first))
        case "/":
            divisor = exp.Nullif(this=column(last), expression=exp.Literal.number(0))
            exact = exp.cast(column(first), "double precision", dialect="postgres")
            return exp.paren(exp.Div(this=exact, expression=divisor, typed=True))
        case operator:
            return exp.paren(OPERATORS[operator](this=column(first), expression=column(last)))


def at_one_grain(
    one: Column, other: Column, column: Callable[[Column], exp.Expr]
) -> tuple[exp.Expr, exp.Expr]:
    """Two columns as they are compared: what is due on a day is in time at any hour of it."""
    day, moment = {one.base, other.base} & {"date"}, {one.base, other.base} & TIMES
    return _at_day(one, column, day and moment), _at_day(other, column, day and moment)


def _at_day(of: Column, column: Callable[[Column], exp.Expr], cut: set[str]) -> exp.Expr:
    inner = column(of)
    return exp.cast(inner, "date", dialect="postgres") if cut and of.base != "date" else inner


def _times_ten(tens: exp.Expr) -> exp.Expr:
    return exp.Mul(this=tens, expression=exp.Literal.number(10))


def _extract(part: str, of: exp.Expr) -> exp.Expr:
    return exp.Extract(this=exp.var(part), expression=of)


def _in_units(passed: exp.Expr, unit: str) -> exp.Expr:
    seconds = _extract("epoch", exp.paren(passed))
    if unit == "second":
        return seconds
    return exp.paren(
        exp.Div(this=seconds, expression=exp.Literal.number(SECONDS[unit]), typed=True)
    )
