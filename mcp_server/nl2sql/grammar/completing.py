"""The end of a reading: what phrases mean together, and what goes without saying."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mcp_server.nl2sql.grammar.alphabet.kinds import BETWEEN, TAB, THAN, VAL
from mcp_server.nl2sql.grammar.asking import (
    ask_for_people,
    displayed,
    drop_constants,
    drop_counts_of_one,
    show_referred,
    show_what_is_ranked,
)
from mcp_server.nl2sql.grammar.draft import Draft
from mcp_server.nl2sql.grammar.nodes import Group, Node
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.sql.logical import (
    AnyOf,
    Between,
    Compare,
    Linked,
    Nested,
    Null,
    Often,
    Order,
    Output,
    Query,
    Ranked,
)
from mcp_server.nl2sql.words.tokens import lemma

HEARD = 0.6
"""What names a date so well speaks of it."""
WAYS = frozenset({"from", "to", "into"})


def complete(draft: Draft, nodes: Sequence[Node]) -> None:
    """Make the query of a draft whole."""
    query = draft.query
    query.subject = draft.around.subject
    _show_as_listed(draft, query)
    _keep_to_one_date(draft, query)
    _drop_compared(draft, query)
    deny(draft, query)
    hold_of_each(draft, query)
    _sort_rows_rather(query)
    if any(isinstance(node, Group) and node.counted for node in nodes):
        _count_groups(query)
    measured = bool(query.computed) or any(output.aggregate for output in query.select)
    ranked = any(order.aggregate for order in query.order)
    if measured:
        _measure_all_rows(query)
        _group_by_order(query)
        _show_groups(draft, query)
    elif (query.group or query.group_tables) and not (
        query.having or ranked or _add_up(draft, query)
    ):
        _ungroup(draft, query)
    join_pairs(draft, query)
    count_things(draft, query)
    show_referred(draft, query)
    drop_constants(draft, query)
    show_what_is_ranked(draft, query, nodes)
    ask_for_people(draft, query)
    drop_counts_of_one(draft, query)
    if query.periods and not (measured or ranked):
        query.select.append(Output(None, "count", table=query.subject))
    if not (query.select or query.computed or query.periods) and query.subject is not None:
        query.select += [Output(column) for column in displayed(draft, query.subject)]
    require_rows(draft, query)


def _show_as_listed(draft: Draft, query: Query) -> None:
    """`How many were sold? Return the number of sales and their total`: what is listed is all."""
    before, listed = query.select[: draft.listed_from], query.select[draft.listed_from :]
    measured = any(output.aggregate for output in listed)
    if before and listed and (measured or not any(output.aggregate for output in before)):
        query.select = listed


def _keep_to_one_date(draft: Draft, query: Query) -> None:
    """How many were issued per month in 2025: in the year and in the month of one date, that which
    the question names.
    """
    heard = {
        column
        for symbol in draft.symbols
        if symbol.ref is not None
        for column, score in symbol.ref.columns
        if column.kind is Kind.DATE and score >= max(HEARD, symbol.ref.best_column)
    }
    for number, period in enumerate(query.periods):
        for place, condition in enumerate(query.where):
            if not isinstance(condition, Compare | Between) or condition.column is period.column:
                continue
            column = condition.column
            if column.kind is not Kind.DATE or column.table is not period.column.table:
                continue
            if isinstance(condition, Compare) and isinstance(condition.value, Column | Nested):
                continue
            if column not in heard:
                query.where[place] = replace(condition, column=period.column)
            elif period.column not in heard:
                period = query.periods[number] = replace(period, column=column)
        told = any(getattr(c, "column", None) is period.column for c in query.where)
        days = sum(column.kind is Kind.DATE for column in period.column.table.columns)
        if period.column in heard and days > 1 and not period.column.full and not told:
            query.where.append(Null(period.column, negated=True))  # what was not paid has no month


def _drop_compared(draft: Draft, query: Query) -> None:
    """Of *freezers capacity over 60* the capacity is what they are chosen by, and not shown."""
    bounded = {c.column for c in query.where if isinstance(c, Compare | Between)}
    for at, output in draft.shows:
        before, behind = (draft.symbols[n : n + 1] for n in (at - 1, at + 1))
        between = at and before and before[0].kind in TAB | VAL
        between = between and before[0].end == draft.symbols[at].start
        compared = behind and behind[0].kind in THAN | BETWEEN and not output.aggregate
        if between and compared and output.column in bounded and output in query.select:
            query.select.remove(output)


def _count_groups(query: Query) -> None:
    """Where nothing else is asked of groups, how many rows they have."""
    if not (query.select or query.computed or query.order or query.having):
        query.select.append(Output(None, "count", table=query.subject))


def _sort_rows_rather(query: Query) -> None:
    """`The total number of horses in ascending order`: of each row, for one sum has no order."""
    grouped = query.group or query.group_tables or query.periods or query.having
    if grouped or query.limit is not None or len(query.select) != 1 or not query.order:
        return
    output = query.select[0]
    same = all(o.column is output.column and o.aggregate == output.aggregate for o in query.order)
    if output.aggregate == "sum" and same:
        query.select = [Output(output.column)]
        query.order = [Order(order.descending, output.column) for order in query.order]


def _measure_all_rows(query: Query) -> None:
    """`The average number of pages per book`: each book has one, and it is measured of all."""
    averages = [output.column for output in query.select if output.aggregate == "avg"]
    tables = {column.table for column in averages if column is not None}
    only = len(averages) == len(query.select) and not (query.group or query.having)
    if only and tables == set(query.group_tables):
        query.group_tables = []


def _group_by_order(query: Query) -> None:
    """`The average price ordered by city` is one for each city."""
    known = query.group or query.group_tables or query.periods or query.limit is not None
    if known or any(not output.aggregate for output in query.select):
        return
    query.group += [order.column for order in query.order if order.column and not order.aggregate]


def _show_groups(draft: Draft, query: Query) -> None:
    """Beside what is measured of a group, the group."""
    plain = [output.column for output in query.select if output.column and not output.aggregate]
    told = {table for c in plain for table in (c.table, *draft.graph.referred(c))}
    for table in query.group_tables:
        if table not in told:
            query.select[:0] = [Output(column) for column in shown(table)]
    query.select[:0] = [Output(column) for column in query.group if column not in plain]


def _add_up(draft: Draft, query: Query) -> bool:
    """`Points per player`, where a player has several rows of points: what they add up to."""
    columns = [output.column for output in query.select]
    said = {token.lemma for token in draft.tokens if token.text.lower().endswith("s")}
    several = len(query.group_tables) == 1 and not query.group and len(columns) == 1
    column = columns[0] if several else None
    if column is None or query.order or not {"per", "by"} & {t.lemma for t in draft.tokens}:
        return False
    path = draft.graph.path(column.table, query.group_tables[0])
    one_each = not path or path[0].column.table is not column.table
    if one_each or not column.adds_up or not said & {lemma(word) for word in column.words}:
        return False
    query.select = [Output(column, "sum")]
    _show_groups(draft, query)
    return True


def _ungroup(draft: Draft, query: Query) -> None:
    """`Each` without anything that is measured: of rows, or of the first rows of each group."""
    if query.order and query.limit is not None:
        _first_of_each(draft, query)
    else:
        known = {output.column for output in query.select}
        groups = [c for c in query.group if not (query.select and c.primary)]
        query.select[:0] = [Output(column) for column in groups if column not in known]
        if query.select and all(o.column and o.column.made for o in query.select):
            # how long each trip took says little without the trip
            things = [*query.group_tables, *(c.table for c in query.group if c.primary)]
            query.select[:0] = [Output(c) for table in dict.fromkeys(things) for c in shown(table)]
        if query.group_tables and not query.select:
            query.subject = query.group_tables[-1]
    query.group, query.group_tables = [], []


def _first_of_each(draft: Draft, query: Query) -> None:
    """The oldest member of each branch: rows that come first in their group, with the group."""
    query.per = [*query.group, *(t.key for t in query.group_tables if t.key is not None)]
    if query.subject in query.group_tables:
        others = [table for table in draft.existing if table not in query.group_tables]
        ordered = [order.column.table for order in query.order if order.column is not None]
        query.subject = draft.around.subject = [query.subject, *ordered, *others][-1]
    if not query.select and query.subject is not None:
        by = [order.column for order in query.order if order.column is not None]
        nameless = shown(query.subject) == [query.subject.key]
        columns = by if by and nameless else displayed(draft, query.subject)
        query.select += [Output(column) for column in columns]
    known = {output.column for output in query.select}
    groups = [*query.group, *(column for table in query.group_tables for column in shown(table))]
    query.select[:0] = [Output(column) for column in groups if column not in known]


def deny(draft: Draft, query: Query) -> None:
    """Cities that have no branch opened after 2000: all of them but those that have one."""
    denied = query.where[draft.denied_from :]
    if not draft.negating or not denied or not query.select or query.combine is not None:
        return
    query.where = query.where[: draft.denied_from]
    left_out = Query(subject=query.subject, select=query.select, where=[*query.where, *denied])
    query.combine = ("except", left_out)


def join_pairs(draft: Draft, query: Query) -> None:
    """The friends of somebody: rows of one table that rows of another join in pairs."""
    known = [
        c for c in query.where
        if isinstance(c, Compare) and c.operator == "=" and isinstance(c.value, str)
    ]  # fmt: skip
    leads = bool(WAYS & {token.lemma for token in draft.tokens}) and draft.around.subject in (
        draft.graph.pairing
    )
    if len(known) != 1 or leads:
        return  # routes from Oslo are rows of their own
    subject = known[0].column.table
    for table in draft.existing:
        keys = draft.graph.keys_between(table, subject)
        pairs = [key for key in keys if key.column.table is table and not key.beside]
        if len(pairs) < 2:
            continue
        path = draft.graph.path(table, subject) or pairs
        other = next((key for key in pairs if key is not path[0]), None)
        if other is None:
            continue
        if query.subject is table:
            query.subject = draft.around.subject = subject
        query.where.remove(known[0])
        query.where.append(Compare(other.target, "=", Nested(None, other.column, (known[0],))))
        draft.existing = [each for each in draft.existing if each is not table]
        return


def count_things(draft: Draft, query: Query) -> None:
    """How many things have at least two of another: a count of things, not of their groups. Nor
    does one group hold rows of two other tables, each as often as it is there.
    """
    plain = [output for output in query.select if not output.aggregate]
    of_one = len({having.table for having in query.having if having.column is None}) < 2
    grouped = (of_one and plain) or query.group or query.group_tables
    if grouped or not query.select or not query.having:
        return
    for having in query.having:
        if having.aggregate == "count" and having.column is None and having.table is not None:
            query.where.append(Often(having.table, having.operator, having.value))
        elif having.distinct and having.column is not None:
            of = having.column
            query.where.append(Often(of.table, having.operator, having.value, of))
    query.having = [
        h for h in query.having if not h.distinct and (h.column is not None or h.table is None)
    ]


def split_contradictions(draft: Draft, query: Query) -> None:
    """Above 40 and below 30: of different rows."""
    bounds = [c for c in query.where if isinstance(c, Compare) and isinstance(c.value, int | float)]
    held = [
        c for c in query.where
        if isinstance(c, Compare) and c.operator == "=" and not isinstance(c.value, Nested)
    ]  # fmt: skip
    for one in held:
        for other in held:
            if one.column is other.column and one.value != other.value:
                query.where = [c for c in query.where if c is not one and c is not other]
                query.each = [one, other]
                return
    for low in bounds:
        for high in bounds:
            if (
                low.column is high.column
                and low.operator in (">", ">=")
                and high.operator in ("<", "<=")
                and low.value >= high.value  # type: ignore[operator]
            ):
                query.where = [c for c in query.where if c is not low and c is not high]
                query.each = [low, high]
                return


def hold_of_each(draft: Draft, query: Query) -> None:
    """Conditions that hold of several rows each: students with both a cat and a dog."""
    split_contradictions(draft, query)
    if not query.each:
        return
    subject = draft.around.subject
    owner = next((o.column.table for o in query.select if o.column and not o.aggregate), subject)
    tables = {condition.column.table for condition in query.each}
    if owner is None or owner in tables:
        if not query.select and subject is not None:
            query.select += [Output(column) for column in displayed(draft, subject)]
        base = list(query.where)
        first, *others = query.each
        query.where = [*base, first]
        query.combine = (
            "intersect",
            Query(subject=subject, select=query.select, where=[*base, *others[:1]]),
        )
    else:
        query.subject = draft.around.subject = owner
        query.where += [Linked(c.column.table, (c,)) for c in query.each]
    query.each = []


def require_rows(draft: Draft, query: Query) -> None:
    """Tables that are spoken of and have no part yet: their rows must exist."""
    subject = query.subject
    if subject is None or query.computed:
        return
    used = set(tables_of(query)) | {subject}
    for table in list(used):  # the rows on the way to another table exist
        for key in draft.graph.path(subject, table) or ():
            used |= {key.column.table, key.target.table}
    for table in draft.existing:
        if table in used or not (path := draft.graph.path(subject, table)):
            continue
        if any(_leads_through(draft, one, table, other) for one in used for other in used):
            query.via.append(table)
            continue
        used.add(table)
        if len(path) == 1 and path[0].target.table is table:
            continue  # a row that refers to another has one
        if len(path) <= 2:
            query.where.append(Linked(table))


def _leads_through(draft: Draft, one: Table, table: Table, other: Table) -> bool:
    """Whether a way from one table to another leads through a third, or hardly around it."""
    graph = draft.graph
    if one is other or table in (one, other) or graph.keys_between(one, other):
        return False
    around = graph.distance(one, table) + graph.distance(table, other)
    return around <= graph.distance(one, other) + 1


def tables_of(query: Query) -> Iterator[Table]:
    """The tables that a query shows, compares or orders by."""
    for output in query.select:
        if output.column is not None:
            yield output.column.table
        if output.table is not None:
            yield output.table
    for column in (*query.group, *(period.column for period in query.periods)):
        yield column.table
    yield from query.group_tables
    for condition in query.where:
        parts = condition.conditions if isinstance(condition, AnyOf) else (condition,)
        for part in parts:
            if isinstance(part, Linked | Ranked | Often):
                yield part.table
            else:
                yield part.column.table  # type: ignore[union-attr]
    for having in query.having:
        yield from (t for t in (having.column and having.column.table, having.table) if t)
    for order in query.order:
        yield from (t for t in (order.column and order.column.table, order.table) if t)
