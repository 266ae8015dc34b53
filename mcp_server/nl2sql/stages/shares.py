"""The part of its rows that each thing has above what it says itself: *for each test with a limit,
what percentage of results is above that limit*.
"""

import re

from sqlglot import exp

from mcp_server.nl2sql.relations.asking import Related
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.model import Column, Table
from mcp_server.nl2sql.sql.joined import NoJoinError
from mcp_server.nl2sql.stages.parts import Measure, Parts
from mcp_server.nl2sql.stages.things import SIGN, SURE, compared, number_of
from mcp_server.nl2sql.words.tokens import lemma, tokenize

_EACH = r"(?:for|in|of) (?:each|every) (?P<things>[\w -]+?)"
_WITH = r"(?: (?:with|that has|which has|having|that have) (?:an? |the |its )?(?P<limit>[\w -]+?))?"
_PART = (
    r"what (?:percentage|percent|share) of (?:the |its |their |all )*(?P<rows>[\w -]+?) "
    r"(?:is|are|was|were|lies?|has|have|had)(?: an? (?P<value>[\w -]+?))? "
    rf"{SIGN} (?P<whose>that|the|its|their) (?P<named>[\w -]+?)"
)
_FIRST = re.compile(rf"^{_EACH}{_WITH},? {_PART}[?.! ]*$", re.IGNORECASE)
_LAST = re.compile(
    rf"^{_PART},? (?:(?:for|in) (?:each|every)|per|by) (?P<things>[\w -]+?){_WITH}[?.! ]*$",
    re.IGNORECASE,
)


def shared(question: str, parts: Parts) -> Related | None:
    """The query of such a question; None for any other."""
    text = " ".join(question.split())
    match = _FIRST.match(text) or _LAST.match(text)
    table = None if match is None else parts.table(match["things"])
    if match is None or table is None or table.key is None:
        return None
    limit = _limit(match["limit"], match["named"], match["whose"].lower(), table, parts)
    rows = None if limit is None else _rows(match["rows"], match["value"], table, parts)
    if limit is None or rows is None:
        return None
    measure, value, counted = rows
    if parts.by(measure, parts.of(table, table.key), "") is None:
        return None
    standing = measure.standing
    try:
        bound, own = standing.column(limit), standing.column(value)
        names = [standing.column(column) for column in shown(table)]
        key = standing.column(table.key)
    except NoJoinError:
        return None
    beyond = exp.Where(this=compared(match["sign"], own, bound))
    some = exp.Filter(this=exp.Count(this=exp.Star()), expression=beyond)
    of_all = exp.Count(this=own.copy() if counted else exp.Star())
    whole = exp.Nullif(this=of_all, expression=number_of("0"))
    hundred = exp.Mul(this=number_of("100.0"), expression=some)
    select = standing.select
    select.set("expressions", [*names, exp.Div(this=hundred, expression=whole, typed=True)])
    known = exp.Not(this=exp.Is(this=bound.copy(), expression=exp.Null()))
    query = select.where(known).group_by(*dict.fromkeys((key, *(each.copy() for each in names))))
    return Related(query, SURE * measure.sure, special=True)


def _limit(said: str | None, named: str, whose: str, table: Table, parts: Parts) -> Column | None:
    """The number of a thing that its rows are compared with: `that limit` is the one named before,
    `their limit` the one that is called so.
    """
    words = tuple(token.lemma for token in tokenize(said or named))
    again = [lemma(word) for word in named.split()]
    if said is None and whose == "that":
        return None
    if said is not None and again != list(words[-len(again) :]):
        return None
    found = [c for c, score in parts.linker.columns(words) if c.table is table and score >= NAMED]
    return found[0] if len(found) == 1 and found[0].counts and found[0].made is None else None


def _rows(
    said: str, value: str | None, things: Table, parts: Parts
) -> tuple[Measure, Column, bool] | None:
    """What is counted, what of it is compared, and whether the rows are called by that: readings,
    of which some may be missing yet.
    """
    named = [
        column
        for table in parts.graph.tables
        if table is not things and not table.view and parts.graph.keys_between(table, things)
        for column in table.columns
        if column.adds_up and lemma(said.split()[-1].lower()) in column.words
    ]
    whole = parts.rows(said) is not None or len(named) != 1
    if whole:
        measure = parts.measure(f"number of {said}")
    else:
        table = " ".join(named[0].table.words)
        of_them = [*said.split()[:-1], f"{table}s"]
        measure = parts.measure(f"number of {' '.join(of_them)}")
    if measure is None or measure.table is things:
        return None
    numbers = [column for column in measure.table.columns if column.adds_up]
    if value is not None:
        words = tuple(token.lemma for token in tokenize(value))
        numbers = [c for c, s in parts.linker.columns(words) if c in numbers and s >= NAMED]
    if not whole and value is None:
        numbers = named
    return (measure, numbers[0], not whole) if len(numbers) == 1 else None


NAMED = 0.85
