"""What conditions mean together: rows that are absent, two groups in common, the rows of a record.

Each takes a question whose rules have all run, and rewrites its query where reading the conditions
one by one would not be what the sentence says.
"""

from dataclasses import replace

from mcp_server.nl2sql.logical import AnyOf, Compare, Condition, Linked, Query, Top
from mcp_server.nl2sql.profile_model import Column, Table
from mcp_server.nl2sql.question import Question


def shown_table(query: Query) -> Table | None:
    """The table whose rows the query is about: that of what it shows first."""
    for output in query.select:
        table = output.column.table if output.column is not None else output.table
        if table is not None:
            return table
    return query.subject


def negated_values(question: Question) -> None:
    """`students who do not own a cat`: no row of the other table, rather than another row."""
    query = question.query
    subject = shown_table(query)
    if subject is None:
        return
    for condition in list(query.where):
        if not (isinstance(condition, Compare) and condition.operator == "<>"):
            continue
        if any(condition is said for said in question.as_said):
            continue
        table = condition.column.table
        if not isinstance(condition.value, str) or question.graph.single(subject, table):
            continue
        if question.graph.path(subject, table) is None:
            continue
        query.subject = subject
        query.where = [
            each
            for each in query.where
            if each is not condition and not (isinstance(each, Linked) and each.table is table)
        ]
        query.where.append(Linked(table, (replace(condition, operator="="),), negated=True))


def superlative_rows(question: Question) -> None:
    """`how many concerts in the largest stadium`: the aggregate is over rows of that stadium."""
    query = question.query
    if query.limit is None or not query.order or query.group or query.group_tables:
        return
    first = query.order[0]
    if first.column is None or first.aggregate is not None:
        return
    if not query.select or not all(output.aggregate for output in query.select):
        return
    query.where = [
        each
        for each in query.where
        if not (isinstance(each, Linked) and each.table is first.column.table and not each.where)
    ]
    query.where.append(Top(first.column, first.descending, query.limit))
    query.order, query.limit = [], None


def contradictions(question: Question) -> None:
    """`countries with singers above 40 and singers below 30`: what both groups have in common."""
    query = question.query
    if any(output.aggregate for output in query.select) or not query.select:
        return
    pair = _contradiction(query.where)
    if pair is None:
        return
    one, other = pair
    rest = [each for each in query.where if each is not one and each is not other]
    query.where = [*rest, one]
    query.combine = ("intersect", replace(query, where=[*rest, other], order=[], limit=None))


def _contradiction(conditions: list[Condition]) -> tuple[Condition, Condition] | None:
    compared = [each for each in conditions if isinstance(each, Compare)]
    for one in compared:
        for other in compared:
            if one.column is not other.column or one is other:
                continue
            if isinstance(one.value, str | int | float) and isinstance(
                other.value, str | int | float
            ):
                if one.operator == other.operator == "=" and one.value != other.value:
                    return one, other
                below = one.operator in ("<", "<=") and other.operator in (">", ">=")
                if below and _number(one.value) <= _number(other.value):
                    return one, other
    return None


def _number(value: str | int | float) -> float:
    try:
        return float(value)
    except ValueError:
        return float("inf")


def differing_values(question: Question) -> None:
    """`which countries have no ...`, asked of a column: values that no such row has."""
    query = question.query
    missing = [each for each in query.where if isinstance(each, Linked) and each.negated]
    if len(missing) != 1 or len(query.select) != 1 or "values differ" not in question.notes:
        return
    output = query.select[0]
    if output.aggregate or output.column is None or _names_rows(output.column):
        return
    if query.order or query.group or query.combine is not None:
        return
    (condition,) = missing
    rest = [each for each in query.where if each is not condition]
    query.where = rest
    query.combine = ("except", replace(query, where=[replace(condition, negated=False)]))


def _names_rows(column: Column) -> bool:
    return column.primary or column.unique or column.words[-1:] in (("name",), ("title",), ("id",))


def both_values(query: Query, condition: AnyOf) -> None:
    """Replace a condition that no single row can meet by the values that both rows share."""
    rest = [each for each in query.where if each is not condition]
    first, *others = condition.conditions
    query.where = [*rest, first]
    if others:
        query.combine = ("intersect", replace(query, where=[*rest, others[0]]))
