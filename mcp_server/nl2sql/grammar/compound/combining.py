"""Two queries that measure one thing each, as one query."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.sql.conditions import tables_of
from mcp_server.nl2sql.sql.logical import (
    Arithmetic,
    Compare,
    Condition,
    Filtered,
    Output,
    Query,
    Whole,
)


def combined(
    how: Literal["/", ","], left: Query, right: Query, *, alike: bool = False, rest: bool = False
) -> Query | None:
    """A query for the quotient of two measures, or for both; None where they are none.

    Measures of the same rows are taken in one pass; conditions that both have are the query's.
    alike: whether both have to measure the same. rest: whether the second is of the other rows.
    """
    if rest:
        opposite = _opposite(left.where)
        if opposite is None or right.where:
            return None
        right = replace(right, where=[opposite])
    one, other = _measure(left), _measure(right)
    if one is None or other is None or (alike and one != other):
        return None
    if not _of_the_same_rows(left, right):
        if how != "/" or _groups(left) or _groups(right):
            return None
        return Query(computed=[Arithmetic("/", Whole(left), Whole(right))])
    if _groups(left) and not _groups(right):
        grouped = left
    elif not _groups(left) or _groups(left) == _groups(right):
        grouped = right
    else:
        return None
    common = _common(left, right)
    if how == "," and left.where == right.where:
        return None  # two measures of the same rows are no comparison
    beyond = (_beyond(query.where, common) for query in (left, right))
    if how == "," and one != other and not all(beyond):
        return None  # the average age and the total pay of women: both are of women
    sides = [
        Filtered(measure, _beyond(query.where, common))
        for measure, query in ((one, left), (other, right))
    ]
    computed = [Arithmetic("/", *sides)] if how == "/" else sides
    plain = [output for output in grouped.select if not output.aggregate]
    return replace(grouped, select=plain, where=common, computed=[*computed])


def paired(left: Query, right: Query, graph: JoinGraph) -> Query:
    """Where a table between them says which goes with which, many with many, the first of two
    counts is of its rows: the number of courses *per student* is of what each has taken.
    """
    one, other = left.subject, right.subject
    if one is None or other is None or one is other or left.where or _groups(left):
        return left
    if [output.aggregate for output in left.select] != ["count"] or left.select[0].column:
        return left
    between = []
    for table in graph.tables:
        targets = [key.target.table for key in graph.keys_of(table)]
        if targets.count(one) == targets.count(other) == 1:
            between.append(table)
    if len(between) != 1 or graph.keys_between(one, other):
        return left
    return Query(subject=between[0], select=[Output(None, "count", table=between[0])])


def _opposite(where: Sequence[Condition]) -> Condition | None:
    """What holds of the other rows, where one condition divides them."""
    match where:
        case [Compare(column, "=", bool() as value)]:
            return Compare(column, "=", not value)
        case [Compare(column, "=", str() | int() | float() as value)]:
            return Compare(column, "<>", value)
        case _:
            return None


def _of_the_same_rows(left: Query, right: Query) -> bool:
    """Whether one pass has them: what one alone asks of another table would join it for both."""
    if left.subject is not right.subject or left.via != right.via:
        return False
    both = {left.subject}.union(*map(tables_of, _common(left, right)))
    return all(
        table in both
        for query in (left, right)
        for condition in _beyond(query.where, _common(left, right))
        for table in tables_of(condition)
    )


def _common(left: Query, right: Query) -> list[Condition]:
    return [condition for condition in left.where if condition in right.where]


def _measure(query: Query) -> Output | None:
    """The one thing that a query measures; None for any other query."""
    measures = [output for output in query.select if output.aggregate]
    plain = [output.column for output in query.select if not output.aggregate]
    ordered = query.order or query.limit is not None or query.having or query.per or query.each
    if len(measures) != 1 or ordered or query.computed or query.combine is not None:
        return None
    return measures[0] if not plain or _groups(query) else None


def _groups(query: Query) -> tuple[object, ...]:
    return (*query.group, *query.group_tables, *query.periods)


def _beyond(conditions: Sequence[Condition], common: Sequence[Condition]) -> tuple[Condition, ...]:
    return tuple(condition for condition in conditions if condition not in common)
