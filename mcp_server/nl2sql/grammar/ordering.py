"""Groups, ranks and orders: which rows come first, and of which groups."""

from collections.abc import Sequence
from dataclasses import replace

from mcp_server.nl2sql.grammar.columns import truth_values
from mcp_server.nl2sql.grammar.draft import Draft
from mcp_server.nl2sql.grammar.nodes import (
    Common,
    Entity,
    Group,
    HowMany,
    Node,
    Per,
    Rank,
    Sort,
)
from mcp_server.nl2sql.grammar.symbols import SURE, Symbol
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.sql.logical import (
    Compare,
    Frequent,
    Having,
    Order,
    Output,
    Period,
    Ranked,
)
from mcp_server.nl2sql.words.lexicon import BIRTH, MADE
from mcp_server.nl2sql.words.tokens import stem


def add_group(draft: Draft, node: Group, owner: Table | None) -> None:
    """One row for each of something."""
    symbol, query = draft.symbols[node.at], draft.query
    table, ref = draft.entities.get(node.at), symbol.ref
    column = draft.around.column(symbol, owner or draft.focus)
    if ref is None:
        return
    if table is not None and (column is None or ref.best_table >= ref.best_column - 0.05):
        own = column is not None and column.table is draft.around.subject
        own = own and ref.best_column > ref.best_table - 0.15
        foreign = column is not None and column.foreign
        own = own and (not foreign or draft.around.choices.between(True))
        if not own:
            draft.focus = table
            query.group_tables.append(table)
            return
    if column is not None:
        query.group.append(column)


def add_per(draft: Draft, node: Per) -> None:
    """One row for each stretch of time."""
    column = draft.column(node.at)
    if column is None or column.kind is not Kind.DATE:
        column = draft.around.day(draft.focus or draft.around.subject)
    if column is not None:
        draft.query.periods.append(Period(column, node.unit))


def add_rank(draft: Draft, node: Rank, number: int, nodes: Sequence[Node]) -> None:
    """The first few by an order."""
    count = node.count if node.count is not None else draft.limit
    draft.limit = None if count is draft.limit else draft.limit
    limit = int(draft.value(count)) if count is not None else 1
    order = order_of(draft, node)
    if order is None:
        if node.at is not None:
            draft.lost.append(node.at)
        return
    several = order.aggregate is None and node.count is not None and order.column is not None
    if several and order.column is not None and _of_several(draft, order.column):
        order = replace(order, aggregate="sum")
    query, subject = draft.query, draft.around.subject
    ref = draft.symbols[node.at].ref if node.at is not None else None
    if order.column is not None and order.aggregate == "count" and ref and ref.best_column >= SURE:
        truth = truth_values(order.column)
        if truth is not None:  # the most late shipments
            draft.add(Compare(order.column, "=", truth[0]))
    target = draft.focus
    before = nodes[number - 1] if number else None
    if isinstance(before, Entity) and before.at in draft.entities:
        target = draft.entities[before.at]
    inner = (
        target is not None
        and target is not subject
        and target is not order.table
        and all(
            output.column is None or output.column.table is not target for output in query.select
        )
        and target not in query.group_tables
    )
    of_target = order.aggregate or (order.column is not None and order.column.table is target)
    if inner and target is not None and of_target:
        draft.add(Ranked(target, order, limit))
        return
    if query.order:
        return
    query.order.append(order)
    query.limit = limit


def _of_several(draft: Draft, column: Column) -> bool:
    """Whether a row that is ranked has several values of a column, which add up: the top products
    by *quantity*, of order lines.
    """
    subject = draft.around.subject
    if subject is None or column.table is subject or not column.adds_up:
        return False
    single = draft.graph.single
    return single(column.table, subject) and not single(subject, column.table)


def order_of(draft: Draft, node: Rank) -> Order | None:
    """What a ranking phrase orders by; None where nothing fits."""
    around = draft.around
    local = draft.focus or around.subject
    if node.at is None and node.aggregate == "count":
        return Order(node.descending, aggregate="count")
    if node.at is None:
        return hinted_order(draft, node.hints, node.descending, local)
    symbol = draft.symbols[node.at]
    table = draft.entities.get(node.at)
    column = around.column(symbol, local, numeric=True)
    ref = symbol.ref
    if node.aggregate in ("avg", "sum") and column is not None and column.table is local:
        column = _of_many(draft, symbol, column)
    dated = column is not None and column.kind is Kind.DATE and not node.counting
    lasting = column is not None and column.made is not None and column.made.how == "duration"
    measure = column is not None and (column.counts or dated or lasting)
    keyed = column is not None and (column.foreign or column.primary)
    if node.aggregate == "count":
        if table is not None and ref and (ref.best_table >= ref.best_column - 0.3 or keyed):
            return Order(node.descending, aggregate="count", table=table)
        if column is not None and (column.adds_up or dated):
            return Order(node.descending, column=column)
        if table is not None:
            return Order(node.descending, aggregate="count", table=table)
        if column is not None:
            return Order(node.descending, column=column, aggregate="count")
        return None
    if column is not None and measure and not keyed:
        down = node.descending
        if node.hints and set(column.words) & BIRTH:
            down = not down
        return Order(down, column=column, aggregate=node.aggregate)
    if table is not None:
        if node.hints:
            return hinted_order(draft, node.hints, node.descending, table)
        return Order(node.descending, aggregate="count", table=table)
    if column is not None:
        return Order(node.descending, column=column, aggregate="count")
    return None


def _of_many(draft: Draft, symbol: Symbol, own: Column) -> Column:
    """What is averaged of each thing: not what it has one of, where others are called so."""
    scores = dict(symbol.ref.columns) if symbol.ref is not None else {}
    better = [
        column
        for column, score in scores.items()
        if score >= SURE
        and score > scores.get(own, 1.0)
        and column.counts
        and draft.graph.single(column.table, own.table)
    ]
    return better[0] if len(better) == 1 else own


def hinted_order(
    draft: Draft, hints: Sequence[str], descending: bool, local: Table | None
) -> Order | None:
    """An order by the column that an adjective hints at."""
    column = draft.around.hinted(hints, local)
    if column is None:
        return None
    down = descending
    many = local is not None and not draft.graph.single(local, column.table)
    if "rating" in hints and many:
        return Order(descending, column=column, aggregate="avg")
    young = "age" in hints
    born = column.words[-1:] != ("age",) and bool(set(column.words) & {*BIRTH, *MADE})
    if young and (born or column.kind is Kind.DATE or column.year_like):
        down = not down  # who is born first is oldest
    return Order(down, column=column)


def skip_to_nth(draft: Draft) -> None:
    """Leave out those before the place that is asked for; all that share the first are shown."""
    query = draft.query
    first = query.limit == 1 and bool(query.order) and not query.per
    if draft.nth is None:
        query.ties = first and not any(s.value == 1 for s in draft.symbols)
    elif first:
        query.offset = int(draft.value(draft.nth)) - 1
        query.distinct = all(o.column is query.order[0].column for o in query.select)
    else:
        draft.lost.append(draft.nth)


def add_common(draft: Draft, node: Common) -> None:
    """Ordered by how often, as `most common` says."""
    query = draft.query
    if query.order:
        return
    limit = int(draft.value(node.count)) if node.count is not None else 1
    table = None
    if node.at is not None:
        symbol = draft.symbols[node.at]
        table = draft.entities.get(node.at)
        column = draft.around.column(symbol, draft.focus)
        ref = symbol.ref
        if (
            column is not None
            and ref
            and (table is None or ref.best_column >= ref.best_table - 0.05)
        ):
            others = [o for o in query.select if o.column is not column and o.aggregate != "count"]
            if others and node.count is None:
                draft.add(Frequent(column, node.descending, limit))
                return
            query.group.append(column)
            query.order.append(Order(node.descending, aggregate="count"))
            query.limit = limit
            if not query.select:
                query.select.append(Output(column))
            return
    table = table or draft.around.subject
    if table is None:
        return
    if draft.around.subject is None:
        draft.around.subject = table
    referring = referring_table(draft, table)
    if referring is None and not query.select:
        return  # nothing says what is counted
    query.order.append(Order(node.descending, aggregate="count", table=referring))
    query.limit = limit


def referring_table(draft: Draft, table: Table) -> Table | None:
    """The table whose rows speak of another's: loans of books."""
    found = [
        other
        for other in draft.around.spoken_of
        if other is not table
        and any(k.target.table is table for k in draft.graph.keys_between(table, other))
    ]
    if found:
        return found[0]
    near = [
        other
        for other in draft.graph.tables
        if other is not table
        and any(k.target.table is table for k in draft.graph.keys_between(table, other))
    ]
    said = {stem(token.text) for token in draft.tokens}
    heard = [other for other in near if said & {stem(word) for word in other.words}]
    near = heard or near
    return near[0] if len(near) == 1 else None


def add_sort(draft: Draft, node: Sort) -> None:
    """An order that the question spells out."""
    query = draft.query
    if query.order and query.limit is not None:
        return
    local = draft.focus or draft.around.subject
    hinted = hinted_order(draft, node.hints, node.descending, local) if node.at is None else None
    if hinted is not None:
        query.order.append(hinted)
        return
    if node.at is None:
        measured = next((o for o in query.select if o.aggregate and not node.hints), None)
        column, aggregate = (measured.column, measured.aggregate) if measured else (None, None)
        query.order.append(Order(node.descending, column, aggregate))
        return
    symbol = draft.symbols[node.at]
    table = draft.entities.get(node.at)
    if node.aggregate == "count" and table is not None:
        query.order.append(Order(node.descending, aggregate="count", table=table))
        return
    column = draft.around.column(symbol, draft.focus, numeric=node.aggregate in ("avg", "sum"))
    if column is None:
        if table is not None and shown(table):
            column = shown(table)[0]
        else:
            draft.lost.append(node.at)
            return
    aggregate = node.aggregate
    if draft.limit is not None:
        query.limit, draft.limit = int(draft.value(draft.limit)), None
    if aggregate is None:
        for at, output in draft.shows:
            if output.column is column and output.aggregate and at != node.at:
                aggregate = output.aggregate
    query.order.append(Order(node.descending, column=column, aggregate=aggregate))


def add_how_many(draft: Draft, node: HowMany) -> None:
    """A condition on how many there are."""
    value = 1 if node.value is None else draft.value(node.value)
    if node.at is None:
        draft.query.having.append(Having(node.operator, value))
        return
    table = draft.entities.get(node.at)
    symbol = draft.symbols[node.at]
    column = draft.around.column(symbol, draft.focus, numeric=True)
    ref = symbol.ref
    if node.distinct:
        _add_how_many_kinds(draft, node, table)
        return
    measured = column is not None and column.counts and not (column.foreign or column.primary)
    better = ref is not None and (table is None or ref.best_column > ref.best_table)
    if column is not None and measured and better:  # `more than 4 cylinders`
        draft.add(Compare(column, node.operator, value))
        return
    if table is None:
        draft.lost.append(node.at)
        return
    if draft.absent is not None:
        draft.close_absence()
    draft.query.having.append(
        Having(node.operator, value, table=None if table is draft.around.subject else table)
    )


def _add_how_many_kinds(draft: Draft, node: HowMany, table: Table | None) -> None:
    """A condition on how many different values of a column there are, or rows of another table."""
    assert node.at is not None
    ref, subject = draft.symbols[node.at].ref, draft.around.subject
    column = draft.around.column(draft.symbols[node.at], draft.focus)
    if table is not None and ref is not None and ref.best_table >= ref.best_column - 0.05:
        column = table.key if table is not subject else None
    if column is None or column.table is subject:
        draft.lost.append(node.at)
        return
    value = 1 if node.value is None else draft.value(node.value)
    draft.query.having.append(Having(node.operator, value, "count", column, distinct=True))
