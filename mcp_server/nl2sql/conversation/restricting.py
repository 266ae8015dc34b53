"""Conditions that a follow-up adds to the last query, or puts in the place of others."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.conversation import phrases
from mcp_server.nl2sql.conversation.naming import Names
from mcp_server.nl2sql.conversation.standing import Standing
from mcp_server.nl2sql.grammar.parse import analyse
from mcp_server.nl2sql.schema.model import Column, Kind
from mcp_server.nl2sql.sql.conditions import condition_of
from mcp_server.nl2sql.sql.logical import Query
from mcp_server.nl2sql.words.dates import with_dates
from mcp_server.nl2sql.words.spans import MONTH
from mcp_server.nl2sql.words.tokens import Mark, tokenize

_YEAR = re.compile(r"^(?:in|for|of|during|from)?\s*(?:the year )?(?P<year>(?:1[5-9]|20)\d\d)$")
_MONTH = re.compile(rf"^(?:in |for |of |during |from )?(?P<month>{MONTH})$", re.IGNORECASE)
_SAID_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_BOUND = re.compile(
    r"^(?:in|at|from|for|with|those|built|born|made)? ?(?P<bound>(?:before|after|since|until|over|"
    r"under|above|below|between|(?:more|less|fewer|older|later|earlier) than|at (?:least|most)|"
    r"not (?:more|less) than)\b.*)$",
    re.IGNORECASE,
)
SMALL = frozenset(
    {"in", "at", "on", "from", "for", "of", "the", "a", "an", "to", "and", "or", "with", "by",
     "named", "called", "ones", "one", "be", "is"}
)  # fmt: skip
READINGS = 6
COMPARED = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


@dataclass(frozen=True, slots=True)
class Restricted:
    """The query with other conditions. unused: words of the follow-up that are in none of them."""

    tree: exp.Query
    unused: tuple[str, ...] = ()


def restricted(said: phrases.Said, names: Names, today: datetime.date) -> Restricted | None:
    """The query whose rows meet what the follow-up says; None where it says nothing of that."""
    text = phrases.ONES.sub("", phrases.THE_ONES.sub("", said.text)).strip()
    if not text:
        return None
    instead = bool({"about", "same", "no", "and"} & said.openers)
    year = _YEAR.match(text)
    if year is not None and (date := _dates(names.standing)):
        return _in_year(int(year["year"]), date[0], names.standing)
    month = _MONTH.match(text)
    if month is not None and (date := _dates(names.standing)):
        found = _in_month(month["month"], date[0], names, today)
        if found is not None:
            return found
    return _valued(text, names, instead=instead) or _read(text, names, today, instead=instead)


def _dates(standing: Standing) -> list[Column]:
    """The dates that say which rows the query is about."""
    where = standing.select.args.get("where")
    return [column for column in standing.columns(where) if column.kind is Kind.DATE]


def _in_year(year: int, date: Column, standing: Standing) -> Restricted:
    """The rows of another year than those before."""
    kept = [each for each in standing.conditions() if date not in standing.columns(each)]
    of = exp.Extract(this=exp.var("year"), expression=standing.column(date))
    standing.meet([*kept, exp.EQ(this=of, expression=exp.Literal.number(year))])
    return Restricted(standing.select)


def _in_month(month: str, date: Column, names: Names, today: datetime.date) -> Restricted | None:
    """The rows of another month of the one year that the query is about."""
    standing = names.standing
    about = [each for each in standing.conditions() if date in standing.columns(each)]
    bounds = [_SAID_YEAR.findall(each.sql()) for each in about if not isinstance(each, exp.LT)]
    years = {year for found in bounds for year in found}
    if len(years) != 1:
        return None
    return _read(f"in {month} {years.pop()}", names, today, instead=True)


def _valued(text: str, names: Names, *, instead: bool) -> Restricted | None:
    """A value alone, such as `in Paris`: of the column that was compared before, if it has it."""
    tokens = names.linker.prepare(tokenize(text))
    refs = [ref for ref in names.linker.refs(tokens) if ref.values]
    covered = {place for ref in refs for place in range(ref.start, ref.end)}
    left = [
        token.lemma
        for place, token in enumerate(tokens)
        if place not in covered and token.mark is not Mark.PUNCTUATION and token.lemma not in SMALL
    ]
    if not refs or left:
        return None
    standing = names.standing
    found: dict[Column, list[str]] = {}
    for ref in refs:
        place = _place(ref.values, standing)
        if place is None:
            return None
        found.setdefault(place[0], []).append(place[1])
    if len(found) > 1 and len(found) < len(refs):
        return None
    for column, values in found.items():
        _compare(column, values, standing, instead=instead)
    return Restricted(standing.select)


def _place(values: Sequence[tuple[Column, str]], standing: Standing) -> tuple[Column, str] | None:
    """Where a value is meant to be: in a column of a condition, of the query, or near it."""
    where = standing.columns(standing.select.args.get("where"))
    shown = [column for each in standing.select.expressions for column in standing.columns(each)]
    of_query = [column for table in standing.tables for column in table.columns]
    near = [column for column, _ in values if standing.reaches(column.table)]
    for wanted in (where, shown, of_query, near):
        places = [each for each in values if each[0] in wanted]
        if places:
            return places[0] if len({column for column, _ in places}) == 1 else None
    return None


def _compare(column: Column, values: Sequence[str], standing: Standing, *, instead: bool) -> None:
    numbers = column.kind is Kind.NUMBER
    literals = [exp.Literal(this=value, is_string=not numbers) for value in values]
    held = standing.conditions()
    same = [each for each in held if standing.columns(each) == [column] and not _denies(each)]
    spoken = standing.column(column)
    if same:
        spoken = next(iter(same[0].find_all(exp.Column))).copy()
    test: exp.Expr = exp.EQ(this=spoken, expression=literals[0])
    if len(literals) > 1:
        test = exp.In(this=spoken, expressions=literals)
    kept = [each for each in held if each not in same] if instead or same else held
    standing.meet([*kept, test])


def opposite(condition: exp.Expr) -> exp.Expr:
    """What rows must meet that do not meet a condition."""
    if isinstance(condition, exp.EQ):
        return exp.NEQ(this=condition.this.copy(), expression=condition.expression.copy())
    return exp.Not(this=exp.paren(condition.copy()))


def _denies(condition: exp.Expr) -> bool:
    return isinstance(condition, exp.Not | exp.NEQ)


def _read(text: str, names: Names, today: datetime.date, *, instead: bool) -> Restricted | None:
    """What the grammar makes of it, said of the table that the query is about."""
    standing = names.standing
    bound = _BOUND.match(text)
    compared = [
        column
        for each in standing.conditions()
        if each.find(*COMPARED) is not None
        for column in standing.columns(each)
    ]
    rows = " ".join(standing.main.words)
    ways = [f"{rows}s {text}", f"{rows}s with {text}", f"{rows}s that are {text}"]
    if bound is not None:
        about = [c for c in (*compared, *_dates(standing)) if c.table is standing.main]
        ways = [f"{rows}s with {' '.join(c.words)} {bound['bound']}" for c in about[:1]] + ways
    best: tuple[float, Query, tuple[str, ...]] | None = None
    for place, way in enumerate(ways):
        tokens = names.linker.prepare(tokenize(with_dates(way, today)))
        for meant in list(analyse(tokens, names.linker, standing.graph))[:READINGS]:
            if not meant.query.where or meant.query.having or meant.query.limit is not None:
                continue
            cost = meant.cost + 10 * len(meant.unused) + 0.01 * place
            if best is None or cost < best[0]:
                best = cost, meant.query, meant.unused
    if best is None:
        return None
    _, query, unused = best
    new = [condition_of(each, standing, query) for each in query.where]
    held = standing.conditions()
    kept = [
        each
        for each in held
        if not any(_takes_the_place(one, each, standing, instead=instead) for one in new)
    ]
    standing.meet([*kept, *new])
    return Restricted(standing.select, unused)


def _takes_the_place(new: exp.Expr, old: exp.Expr, standing: Standing, *, instead: bool) -> bool:
    """Whether a condition is about what another one was about."""
    mine, theirs = standing.columns(new), standing.columns(old)
    if not mine or mine != theirs:
        return False
    return instead or (isinstance(new, exp.EQ) and isinstance(old, exp.EQ))
