"""From the logical form to SQL: tables, joins, groups; a sqlglot tree in the end."""

from collections.abc import Sequence

from sqlglot import exp

from mcp_server.nl2sql.database.identifiers import needs_quotes
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.sql.conditions import condition_of, tables_of
from mcp_server.nl2sql.sql.expressions import (
    arithmetic_of,
    filtered_by,
    having_of,
    order_of,
    output_of,
    period_of,
    share_of,
)
from mcp_server.nl2sql.sql.joined import Joined, NoJoinError, identifier
from mcp_server.nl2sql.sql.logical import (
    Arithmetic,
    Between,
    Compare,
    Condition,
    Filtered,
    Output,
    Query,
    ShareOf,
    Whole,
)
from mcp_server.nl2sql.sql.metrics import expect_whole, settled

PLACE = "place"
"""The place of a row in its group."""


def compile_query(query: Query, graph: JoinGraph) -> exp.Query:
    """The query for a logical form. Raises NoJoinError."""
    select = _select(query, graph)
    if query.combine is None:
        return select
    how, other = query.combine
    kinds = {"intersect": exp.Intersect, "except": exp.Except, "union": exp.Union}
    return kinds[how](this=select, expression=_select(other, graph), distinct=True)


def _computed(
    each: Arithmetic | Filtered | Output | Whole, joined: Joined, query: Query
) -> exp.Expr:
    """What is computed of rows, or of other queries."""
    match each:
        case Arithmetic(operator, left, right):
            sides = (_computed(side, joined, query) for side in (left, right))
            return arithmetic_of(operator, *sides)
        case Filtered(output, where):
            conditions = [condition_of(condition, joined, query) for condition in where]
            return filtered_by(output_of(output, joined, query), conditions)
        case Whole(other):
            return _select(other, joined.graph).subquery()
        case _:
            return output_of(each, joined, query)


def _select(query: Query, graph: JoinGraph) -> exp.Select:
    if _apart(query):
        nothing = Joined(graph, [])
        return exp.select(
            *(
                _computed(each, nothing, query)
                for each in query.computed
                if not isinstance(each, ShareOf)
            )
        )
    query = settled(query)
    tables = _tables(query)
    if not tables:
        raise NoJoinError("the question names no table")
    joined = Joined(graph, tables, query.via)
    expect_whole(query, joined)
    select = joined.source()
    group = _group(query, joined)
    grouped = bool(group or query.periods)
    periods = [period_of(period, joined) for period in query.periods]
    outputs = [
        exp.alias_(each, period.unit) for each, period in zip(periods, query.periods, strict=True)
    ]
    outputs += [output_of(output, joined, query) for output in query.select]
    conditions = [condition_of(condition, joined, query) for condition in query.where]
    all_, timely = conditions, [_is_of_time(condition) for condition in query.where]
    for each in query.computed:
        if isinstance(each, ShareOf):
            telling = all_
            if each.part is not None:
                telling = []
            elif not all(timely) or (each.whole is not None and grouped):
                telling = [made for made, of_time in zip(all_, timely, strict=True) if not of_time]
            outputs.append(share_of(each, telling, joined, grouped=grouped))
            conditions = [made for made in conditions if made not in telling]
        else:
            outputs.append(_computed(each, joined, query))
    select = select.select(*outputs)
    for condition in conditions:
        select = select.where(condition)
    if query.per and query.order and query.limit is not None:
        return _first_of_each(select, query, joined)
    if grouped:
        select = select.group_by(*periods, *(joined.column(column) for column in group))
    for having in query.having:
        select = select.having(having_of(having, joined, query))
    for order in query.order:
        select = select.order_by(order_of(order, joined, query))
    if periods and not query.order:
        select = select.order_by(*periods)
    if query.limit is not None and query.ties and (grouped or _each_once(query, joined)):
        ties = exp.LimitOptions(rows=True, with_ties=True)
        count = exp.Literal.number(query.limit)
        select.set("limit", exp.Fetch(direction="FIRST", count=count, limit_options=ties))
    elif query.limit is not None:
        select = select.limit(query.limit)
    if query.offset:
        select = select.offset(query.offset)
    if not grouped and (query.distinct or _multiplies(query, joined)):
        if query.order and not all(
            any(output.column is order.column for output in query.select) for order in query.order
        ):
            return select
        select = select.distinct()
    return select


def _is_of_time(condition: Condition) -> bool:
    """Whether it says when: of the orders in 2023, what share was cancelled."""
    if not isinstance(condition, Compare | Between):
        return False
    return condition.column.kind is Kind.DATE or condition.column.year_like


def _apart(query: Query) -> bool:
    """Whether a query computes with the results of others alone."""
    return bool(query.computed) and all(
        isinstance(each, Arithmetic) and isinstance(each.left, Whole) for each in query.computed
    )


def _first_of_each(select: exp.Select, query: Query, joined: Joined) -> exp.Select:
    """The first rows of each group: those whose place in it is at most the limit."""
    tables = {joined.alias(table): table.name for table in joined.tables}
    names: list[str] = []
    for number, each in enumerate(select.expressions, start=1):
        name = each.output_name or f"column{number}"
        if name in (*names, PLACE) and isinstance(each, exp.Column):
            name = f"{tables.get(each.table, PLACE)}_{name}"
        names.append(name if name not in names else f"column{number}")
    place = exp.Window(
        this=exp.Rank(),
        partition_by=[joined.column(column) for column in query.per],
        order=exp.Order(expressions=[order_of(order, joined, query) for order in query.order]),
    )
    inner = select.copy()
    inner.set(
        "expressions",
        [
            exp.alias_(each.unalias(), name, quoted=needs_quotes(name))
            for each, name in zip(select.expressions, names, strict=True)
        ],
    )
    inner = inner.select(exp.alias_(place, PLACE))
    shown = [exp.column(identifier(name)) for name in names]
    return (
        exp.select(*shown)
        .from_(inner.subquery("ranked"))
        .where(exp.LTE(this=exp.column(PLACE), expression=exp.Literal.number(query.limit)))
    )


def _tables(query: Query) -> list[Table]:
    found: list[Table] = []

    def add(table: Table | None) -> None:
        if table is not None and table not in found:
            found.append(table)

    for output in query.select:
        for table in output.column.tables if output.column is not None else (output.table,):
            add(table)
    for each in query.computed:
        sides = (each.left, each.right) if isinstance(each, Arithmetic) else (each,)
        for side in sides:
            shown = side.output if isinstance(side, Filtered) else side
            if isinstance(shown, ShareOf):
                for column in filter(None, (shown.whole, shown.part)):
                    add(column.table)
            if isinstance(shown, Output):
                add(shown.column.table if shown.column is not None else shown.table)
            if isinstance(side, Filtered):
                for condition in side.where:
                    for table in tables_of(condition):
                        add(table)
    for table in query.group_tables:
        add(table)
    for column in query.per:
        add(column.table)
    for period in query.periods:
        add(period.column.table)
    add(query.subject)
    for column in query.group:
        add(column.table)
    for condition in query.where:
        for table in tables_of(condition):
            add(table)
    for having in query.having:
        for table in having.column.tables if having.column is not None else (having.table,):
            add(table)
    for order in query.order:
        for table in order.column.tables if order.column is not None else (order.table,):
            add(table)
    return [*found[:1], *(table for table in query.via if table not in found[:1]), *found[1:]]


def _group(query: Query, joined: Joined) -> list[Column]:
    plain = [each.column for each in query.select if each.aggregate is None and each.column]
    aggregated = any(each.aggregate for each in query.select) or bool(query.computed)
    wanted = list(query.group)
    for table in query.group_tables:
        if table.key is not None:
            wanted.append(table.key)
    ordered = any(each.aggregate for each in query.order)
    if wanted or query.having or ordered or (aggregated and plain):
        if not wanted and not aggregated and (query.having or ordered):
            main = plain[0].table if plain else query.subject
            if main is not None and main.key is not None and _identifies(plain, main, query):
                wanted.append(main.key)
        for column in plain:
            if column not in wanted:
                wanted.append(column)
        return list(dict.fromkeys(wanted))
    return []


def _identifies(plain: Sequence[Column], main: Table, query: Query) -> bool:
    """Whether the rows of a table are what is grouped, and not the values of a column of it."""
    if not any(each.primary or each.unique or each in shown(main) for each in plain):
        return False
    counted = {each.table for each in query.having} | {each.table for each in query.order}
    return main not in counted and counted != {None}


def _multiplies(query: Query, joined: Joined) -> bool:
    """Whether the joins repeat rows of what is shown, and DISTINCT takes them together."""
    return query.limit is None and _repeats(query, joined)


def _each_once(query: Query, joined: Joined) -> bool:
    """Whether rows with the same place in the order are different rows of what is ordered; of the
    order's own column they have the same value.
    """
    if query.select and all(any(e.column is o.column for o in query.order) for e in query.select):
        return False
    ordered = {each.column.table for each in query.order if each.column is not None}
    return not _repeats(query, joined) or (bool(ordered) and not _repeated(ordered, joined))


def _repeats(query: Query, joined: Joined) -> bool:
    if any(each.aggregate for each in query.select):
        return False
    return _repeated({e.column.table for e in query.select if e.column is not None}, joined)


def _repeated(tables: set[Table], joined: Joined) -> bool:
    """Whether a join repeats rows of some tables: several of another refer to one."""
    return any(k.target.table in tables and k.column.table not in tables for k in joined.keys)
