"""Rules for comparisons with what other rows hold: `larger than any country in Europe`."""

import re

from mcp_server.nl2sql import rules_filter, rules_value
from mcp_server.nl2sql.lexicon import COMPARATIVES
from mcp_server.nl2sql.logical import (
    Aggregate,
    Between,
    Compare,
    Condition,
    Having,
    Nested,
    Operator,
    Output,
)
from mcp_server.nl2sql.profile_model import Column
from mcp_server.nl2sql.question import DET, Question, col, letters, num, tab
from mcp_server.nl2sql.rules_group import OPERATOR, OPERATORS

AGGREGATES: dict[str, Aggregate] = {
    "average": "avg", "mean": "avg", "minimum": "min", "lowest": "min", "smallest": "min",
    "maximum": "max", "highest": "max", "largest": "max", "total": "sum", "sum of": "sum",
    "least": "min", "greatest": "max",
}  # fmt: skip
AGGREGATE = "|".join(AGGREGATES)
LARGER = r"(?:larger|greater|higher|more|bigger|longer|older|taller|heavier)"
SMALLER = r"(?:smaller|lower|less|fewer|shorter|younger|lighter)"
THAN = rf"(?:(?P<above>{LARGER})|(?P<below>{SMALLER}))"


def nested(question: Question) -> None:
    """All of them; conditions go to the query, what was understood is struck out."""
    while _group_average(question) or _between_counted(question):
        pass
    _than_others(question) or _than_extreme(question)


def _group_average(question: Question) -> bool:
    """`whose average age is above 30`, `with a total cost of more than 100`."""
    match = question.search(
        rf"(?:(?:with|whose|where|that|which|have|having|and|for) )*{DET}(?P<agg>{AGGREGATE}) "
        rf"{DET}{col('c')} (?:(?:be|that be|of|value) )*(?P<op>{OPERATOR}|longer than|shorter than|"
        rf"exceeding|exceed) {num('n')}"
    )
    if match is None:
        return False
    column = question.column(int(match["c"]), numeric=True)
    if column is None or not column.counts:
        return False
    operator = OPERATORS.get(match["op"]) or ("<" if match["op"] == "shorter than" else ">")
    value = question.number(match, "n")
    question.query.having.append(Having(operator, value, AGGREGATES[match["agg"]], column))
    question.strike(match)
    return True


def _between_counted(question: Question) -> bool:
    """`between 200 and 400 pages`, `with 1 to 2 paragraphs`: two bounds before what they limit."""
    match = question.search(
        rf"(?:(?:with|have|having|of|from|that|which|who) )*(?:between )?{num('a')} (?:and|to) "
        rf"{num('b')} (?:different )?(?P<x>@(?=[a-z]*[ct])[a-z]+(?P<i>\d+))"
    )
    if match is None:
        return False
    index = int(match["i"])
    low, high = question.number(match, "a"), question.number(match, "b")
    kinds = letters(question.items[index])
    ref = question.items[index].ref
    assert ref is not None
    table = question.table(index) if "t" in kinds else None
    if table is not None and ref.best_table >= ref.best_column:
        question.query.having += [Having(">=", low, table=table), Having("<=", high, table=table)]
    else:
        column = question.column(index, numeric=True)
        if column is None or not column.counts:
            return False
        question.query.where.append(Between(column, low, high))
    question.strike(match)
    return True


def _than_others(question: Question) -> bool:
    """`a population larger than that of any country in Asia`, `older than all students in ...`."""
    others = (
        rf"than (?:that of |those of |the one of |the )?(?P<which>any|all|every|some)(?: of)?"
        rf"(?: the| other)* (?:{tab('t')}|@[a-z]*v[a-z]*\d+)"
    )
    match = question.search(
        rf"(?:(?:with|whose|that|which|have|be|and|a|an|the|of|value) )*{THAN} {DET}{col('c')} "
        rf"{others}"
    ) or question.search(
        rf"(?:(?:with|whose|that|which|have|be|and|a|an|the|of|value) )*{col('c')} "
        rf"(?:(?:be|that be|that) )*{THAN} {others}"
    )
    column: Column | None = None
    if match is not None:
        column = question.column(int(match["c"]), numeric=True)
    else:
        words = "|".join(COMPARATIVES)
        match = question.search(rf"(?:(?:that|who|which|be) )*(?P<way>{words}) {others}")
        if match is None:
            return False
        hints, way = COMPARATIVES[match["way"]]
        column = question.adjective_column(hints, None)
    if column is None or not column.counts:
        return False
    found = match.groupdict()
    above = way == ">" if found.get("way") else found["above"] is not None
    every = match["which"] in ("all", "every")
    aggregate: Aggregate = "max" if above == every else "min"
    start = match.start("which")
    index = len(match.string[:start].split())
    if match["t"]:
        question.items[int(match["t"])].used = True
    where = _rest(question, index)
    _strike_to(question, match, start)
    operator: Operator = ">" if above else "<"
    question.query.where.append(Compare(column, operator, Nested(aggregate, column, where)))
    return True


def _than_extreme(question: Question) -> bool:
    """`more staff than the minimum staff of all shops opened after 2010`."""
    match = question.search(
        rf"(?:(?:with|whose|that|which|have|be|and|a|an|the|of) )*(?:{THAN} {DET}{col('c')}|"
        rf"{col('d')} (?:(?:be|that be|that) )*(?P<op>{OPERATOR})) (?:than )?(?:the )?"
        rf"(?P<agg>{AGGREGATE})(?: {DET}@[a-z]*c[a-z]*\d+)?(?P<of> (?:of|for|in|among|across) )?"
    )
    if match is None:
        return False
    column = question.column(int(match["c"] or match["d"]), numeric=True)
    if column is None or not column.counts:
        return False
    above: Operator = ">" if match["above"] else "<"
    operator = OPERATORS[match["op"]] if match["op"] else above
    where = _rest(question, len(match.string[: match.end()].split())) if match["of"] else ()
    question.strike(match)
    nested_value = Nested(AGGREGATES[match["agg"]], column, where)
    question.query.where.append(Compare(column, operator, nested_value))
    return True


def _strike_to(question: Question, match: re.Match[str], start: int) -> None:
    before = len(match.string[: match.start()].split())
    after = len(match.string[:start].split())
    for item in question.items[before : after + 1]:
        item.used = True


def _rest(question: Question, first: int) -> tuple[Condition, ...]:
    """The conditions that stand at or after an index belong to the other rows."""
    hidden = [item for item in question.items[:first] if not item.used]
    for item in hidden:
        item.used = True
    where = (*rules_filter.comparisons(question), *rules_value.values(question))
    for item in question.items[first:]:
        if item.ref is not None and "t" in letters(item):
            item.used = True
    for item in hidden:
        item.used = False
    return where


def counts_beside(question: Question) -> None:
    """`... with the most members, and how many does it have?` shows the count as well."""
    if not any(order.aggregate == "count" for order in question.query.order):
        return
    match = question.search(
        r"(?:and )?how many(?: @[a-z]+\d+)?(?: of them)? (?:do|be|use|have|there)(?: [a-z#]+){0,4}"
    ) or question.search(r"(?:and |with )?(?:the |its |their )?(?:number|count) of (?:them|time)")
    if match is not None:
        table = question.query.order[0].table
        question.query.select.append(Output(None, "count", table=table))
        question.strike(match)
