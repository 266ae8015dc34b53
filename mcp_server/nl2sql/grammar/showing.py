"""What is shown: columns, aggregates, counts, shares, arithmetic; and whose they are."""

from collections.abc import Sequence

from mcp_server.nl2sql.grammar.alphabet.kinds import BUT, LISTING
from mcp_server.nl2sql.grammar.columns import generic, only_measure, truth_values
from mcp_server.nl2sql.grammar.draft import Draft
from mcp_server.nl2sql.grammar.nodes import (
    Called,
    Count,
    Difference,
    Entity,
    Group,
    InBoth,
    Lasting,
    Node,
    Product,
    Share,
    Show,
    Weighted,
)
from mcp_server.nl2sql.grammar.phrases.matching import listing
from mcp_server.nl2sql.schema.derived import duration
from mcp_server.nl2sql.schema.display import full_name, shown
from mcp_server.nl2sql.schema.model import Column, Kind, Made, Table
from mcp_server.nl2sql.sql.logical import (
    Arithmetic,
    Compare,
    Output,
    Query,
    ShareOf,
)


def owner_of(draft: Draft, number: int, nodes: Sequence[Node]) -> Table | None:
    """The table that the words around say a column is of: `names of dogs`, `dog names`."""
    for later in nodes[number + 1 :]:
        if isinstance(later, Entity) and later.owner:
            return draft.entities.get(later.at)
        if isinstance(later, Group) and not isinstance(nodes[number], Count):
            return draft.entities.get(later.at)
        if not (isinstance(later, Show | Count) or listing(later)):
            break
    before = nodes[number - 1] if number else None
    if isinstance(before, Entity):
        return draft.entities.get(before.at)
    return draft.focus if number and draft.query.select else None


def add_show(draft: Draft, node: Show, owner: Table | None) -> None:
    """A column to show, or a measure of it."""
    numeric = node.aggregate in ("sum", "avg") or (
        node.aggregate is not None and not draft.symbols[node.at].ref.columns  # type: ignore[union-attr]
    )
    column = draft.around.column(draft.symbols[node.at], owner, numeric=numeric)
    if column is None:
        draft.lost.append(node.at)
        return
    numbered = column.primary or column.foreign or column.tells_when
    if node.aggregate in ("sum", "avg") and (numbered or not column.counts):
        ref = draft.symbols[node.at].ref
        only = only_measure(ref.tables[0][0]) if ref is not None and ref.tables else None
        if only is None:
            draft.lost.append(node.at)
        column = only or column
    if node.aggregate in ("max", "min") and column.kind is Kind.TEXT and not column.counts:
        draft.lost.append(node.at)  # the longest title is not the last of the alphabet
    distinct = node.distinct and node.aggregate is not None
    if node.distinct and node.aggregate is None:
        draft.query.distinct = True
    for each in _all_parts(draft, node, column):
        output = Output(each, node.aggregate, distinct)
        draft.query.select.append(output)
        draft.shows.append((node.at, output))


def _all_parts(draft: Draft, node: Show, column: Column) -> list[Column]:
    """First and last name, where a question asks for names and a table has both."""
    called = full_name(column.table)
    asked = generic(draft.symbols[node.at], column.table) is not None and not node.aggregate
    return called if asked and column in called else [column]


def add_count(draft: Draft, node: Count, owner: Table | None) -> None:
    """A number of rows."""
    if node.at is None:
        draft.query.select.append(Output(None, "count", table=draft.around.subject))
        return
    symbol = draft.symbols[node.at]
    table = draft.entities.get(node.at)
    ref = symbol.ref
    by_rows = table is not None and counts_rows(draft, node.at)
    column = None if by_rows else draft.around.column(symbol, owner)
    if column is not None and column.table is table and ref and ref.best_table >= 0.9:
        column = None
    truth = truth_values(column) if column is not None and not node.distinct else None
    if column is not None and truth is not None:  # how many are active
        draft.query.select.append(Output(None, "count", table=column.table))
        draft.add(Compare(column, "=", truth[0]))
        return
    if column is not None and not (column.primary and column.table is draft.around.subject):
        measured = column.adds_up and not node.distinct
        varied = column.distinct * 2 > column.table.rows
        if measured and varied:
            listed = any(not output.aggregate for output in draft.query.select)
            plain = draft.around.choices.between(True) != listed
            draft.query.select.append(Output(column, None if plain else "sum"))
        elif measured and draft.around.choices.between(True):
            draft.query.select.append(Output(column, "sum"))
        else:
            draft.query.select.append(Output(column, "count", distinct=True))
        return
    if table is not None:
        draft.focus = table
        key = table.key if node.distinct else None
        draft.query.select.append(
            Output(key, "count", distinct=key is not None, table=None if key else table)
        )
    elif column is not None:
        draft.query.select.append(Output(None, "count", table=column.table))


def add_called(draft: Draft, node: Called) -> None:
    """The names of something."""
    table, subject = draft.entities.get(node.at), draft.around.subject
    if table is None or subject is None:
        draft.lost.append(node.at)
        return
    if not draft.query.select:
        draft.query.select += [Output(column) for column in shown(subject)]
    if table is not subject:
        draft.query.select += [Output(column) for column in shown(table)]


def counts_rows(draft: Draft, at: int) -> bool:
    """Whether a place means rows to count, not a column to sum."""
    ref = draft.symbols[at].ref
    if ref is None or not ref.tables:
        return ref is not None and not ref.columns and bool(ref.values)
    best = [column for column, score in ref.columns if score >= ref.best_column]
    if best and all(column.kind is Kind.DATE for column in best):
        return True  # orders, where they were `ordered_on` a day
    return ref.best_table >= ref.best_column - 0.05


def add_in_both(draft: Draft, node: InBoth) -> None:
    """What is in two sets at once."""
    query = draft.query
    tables = [draft.around.table(draft.symbols[at]) for at in (node.one, node.other)]
    sides: list[list[Output]] = []
    for table in tables:
        shown_there = []
        for at, _ in draft.shows:
            column = draft.around.column(draft.symbols[at], table)
            if column is not None and column.table is table:
                shown_there.append(Output(column))
        sides.append(shown_there)
    if not sides[0] or len(sides[0]) != len(sides[1]):
        draft.lost += [node.one, node.other]
        return
    query.select[:] = sides[0]
    draft.around.subject = tables[0]
    query.combine = (node.how, Query(subject=tables[1], select=sides[1]))


def add_share(draft: Draft, node: Share) -> None:
    """A share of the whole."""
    whole, part = (draft.column(at, numeric=True) for at in (node.of, node.part))
    for at, column in ((node.of, whole), (node.part, part)):
        if at is not None and (column is None or not column.adds_up):
            draft.lost.append(at)
            return
    if whole is not None and whole is part:
        draft.lost.append(node.at)
        return
    draft.query.computed.append(ShareOf(whole, part))


def add_arithmetic(draft: Draft, node: Difference, owner: Table | None) -> None:
    """A sum, difference, product or quotient of two columns."""
    sides = []
    for side in (node.left, node.right):
        column = draft.around.column(draft.symbols[side.at], owner, numeric=True)
        if column is None:
            draft.lost.append(side.at)
            return
        sides.append(Output(column, side.aggregate))
    draft.query.computed.append(Arithmetic(node.operator, *sides))


def add_computed(draft: Draft, node: Lasting | Product, owner: Table | None) -> None:
    """A number that is computed of two columns, or a measure of it."""
    places = (node.start, node.end) if isinstance(node, Lasting) else (node.left, node.right)
    found = [
        draft.around.column(draft.symbols[at], owner, numeric=isinstance(node, Product))
        for at in places
    ]
    one, other = found
    fits = (
        one is not None
        and other is not None
        and one is not other
        and all(
            c.kind is Kind.DATE if isinstance(node, Lasting) else c.counts for c in (one, other)
        )
    )
    if not fits or one is None or other is None:
        draft.lost += places
        return
    made = (
        duration(one, other, node.unit)
        if isinstance(node, Lasting)
        else _together(node.operator, one, other)
    )
    draft.query.select.append(Output(made, node.aggregate))


def add_weighted(draft: Draft, node: Weighted, owner: Table | None) -> None:
    """The sum of a column times its weight, for the sum of all weights."""
    found = [
        draft.around.column(draft.symbols[at], owner, numeric=True) for at in (node.at, node.weight)
    ]
    one, weight = found
    if one is None or weight is None or one is weight or not (one.counts and weight.adds_up):
        draft.lost += [node.at, node.weight]
        return
    whole = Output(_together("*", one, weight), "sum")
    draft.query.computed.append(Arithmetic("/", whole, Output(weight, "sum")))


def _together(operator: str, one: Column, other: Column) -> Column:
    made = Made(operator, (one, other))
    name = f"{one.name} {operator} {other.name}"
    return Column(
        one.table, name, "numeric", Kind.NUMBER, words=(*one.words, *other.words), made=made
    )


def speak_of(draft: Draft, node: Entity) -> None:
    """Note that a table was spoken of."""
    table = draft.entities.get(node.at)
    if table is None:
        draft.lost.append(node.at)
        return
    if draft.joint in LISTING | BUT and table is draft.around.subject:
        draft.close_absence()
    draft.focus = table
    if draft.negating and table is not draft.around.subject:
        draft.negating = False
        draft.absent = (table, [])
        return
    if draft.beyond is None:
        draft.existing.append(table)
