"""Metrics in a logical form: what aggregates by itself is a measure wherever it stands."""

from dataclasses import replace

from mcp_server.nl2sql.schema.model import Column, Table
from mcp_server.nl2sql.sql.joined import Joined, NoJoinError
from mcp_server.nl2sql.sql.logical import Aggregate, Compare, Having, Order, Output, Query

AS_IT_IS: tuple[Aggregate | None, ...] = (None, "sum", "metric")
"""What `revenue` and `total revenue` ask for; an average of it would be one over groups."""


def settled(query: Query) -> Query:
    """The form with metrics as measures, conditions on them as conditions on groups.

    Raises NoJoinError where a metric is asked for in a way that has no meaning.
    """
    if not _metrics(query):
        return query
    where, having = [], [_of_groups(each) for each in query.having]
    for condition in query.where:
        if isinstance(condition, Compare) and condition.column.measured:
            having.append(_on_groups(condition))
        else:
            where.append(condition)
    return replace(
        query,
        select=[_shown(each) for each in query.select],
        where=where,
        having=having,
        order=[_sorted(each) for each in query.order],
        distinct=False,
    )


def expect_whole(query: Query, joined: Joined) -> None:
    """Raises NoJoinError where a join repeats the rows that a metric is taken over."""
    for metric in _metrics(query):
        reached: list[Table] = [metric.table]
        for table in reached:
            reached += [
                key.target.table
                for key in joined.keys
                if key.column.table is table and key.target.table not in reached
            ]
        if any(table not in reached for table in joined.tables):
            raise NoJoinError(f"{metric} would count rows of {metric.table.name} more than once")


def _metrics(query: Query) -> list[Column]:
    columns = [each.column for each in query.select]
    columns += [each.column for each in query.having]
    columns += [each.column for each in query.order]
    columns += [each.column for each in query.where if isinstance(each, Compare)]
    return [column for column in columns if column is not None and column.measured]


def _shown(output: Output) -> Output:
    column = output.column
    if column is None or not column.measured:
        return output
    return replace(output, aggregate=_measure(column, output.aggregate), distinct=False)


def _measure(column: Column, aggregate: Aggregate | None) -> Aggregate:
    said = aggregate == "avg" and "average" in column.words
    if aggregate not in AS_IT_IS and not said:
        raise NoJoinError(f"{aggregate} of {column.name}, which is one already")
    return "metric"


def _of_groups(having: Having) -> Having:
    column = having.column
    if column is None or not column.measured:
        return having
    return replace(having, aggregate=_measure(column, having.aggregate), table=column.table)


def _on_groups(condition: Compare) -> Having:
    value = condition.value
    if not isinstance(value, str | int | float):
        raise NoJoinError(f"{condition.column.name} is compared with what is none")
    return Having(condition.operator, value, "metric", condition.column, condition.column.table)


def _sorted(order: Order) -> Order:
    """max and min say the direction, which is known."""
    if order.column is None or not order.column.measured:
        return order
    if order.aggregate in ("max", "min"):
        return replace(order, aggregate="metric", table=order.column.table)
    aggregate = _measure(order.column, order.aggregate)
    return replace(order, aggregate=aggregate, table=order.column.table)
