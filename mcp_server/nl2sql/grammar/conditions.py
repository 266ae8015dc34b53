"""Conditions: comparisons with numbers, dates, averages and other columns."""

import datetime
from collections.abc import Sequence

from mcp_server.nl2sql.grammar.alphabet.kinds import OR
from mcp_server.nl2sql.grammar.columns import truth_values, when_done
from mcp_server.nl2sql.grammar.draft import Draft, measures
from mcp_server.nl2sql.grammar.nodes import (
    Beyond,
    BeyondRow,
    Bound,
    Columns,
    Equal,
    Flag,
    Held,
    Match,
    Missing,
    Node,
    Numbered,
    Range,
    SameAs,
    Under,
)
from mcp_server.nl2sql.grammar.values import add_equal, add_match
from mcp_server.nl2sql.schema.model import NUMBERED, Column, Kind, Table
from mcp_server.nl2sql.sql.conditions import may_be_year
from mcp_server.nl2sql.sql.logical import (
    Aged,
    Aggregate,
    AnyOf,
    Between,
    Compare,
    Having,
    Linked,
    Nested,
    Null,
    Operator,
    Referred,
    Scalar,
)
from mcp_server.nl2sql.words.lexicon import BIRTH
from mcp_server.nl2sql.words.tokens import normal_text

AGE_MAX = 130
"""Years; a larger number is a year itself."""
COUNT_MAX = 1000
"""A number that is said without a unit counts rows only below this."""


def add_condition(draft: Draft, node: Node) -> None:
    """What a phrase demands of rows, into the draft."""
    around, local = draft.around, draft.focus or draft.around.subject
    match node:
        case Bound(at, operator, value, hints):
            add_bound(draft, at, operator, value, hints)
        case Numbered(at, value):
            table = draft.entities.get(at) or around.table(draft.symbols[at])
            key = table.key if table is not None else None
            if key is None or not key.counts:
                draft.lost.append(value)
            else:
                draft.add(Compare(key, "=", draft.value(value)))
        case Range(at, low, high):
            first, last = draft.value(low), draft.value(high)
            column = draft.column(at, numeric=True) or around.dated(first, local)
            if column is None or not measures(column):
                column = around.dated(first, local) or around.fitting(first, local)
            if column is None:
                draft.lost += [low, high]
            else:
                add_range(draft, column, first, last)
        case Equal():
            add_equal(draft, node)
        case Match(at, how, text, negated):
            add_match(draft, at, how, text, negated)
        case Missing(at, negated):
            column = draft.column(at)
            if column is not None:
                truth = truth_values(column)
                if truth is not None:
                    draft.add(Compare(column, "=", truth[0 if negated else 1]))
                elif column.full and not negated and column.table is not around.subject:
                    # no row lacks it: crops that were never delivered have no delivery
                    draft.add(Linked(column.table, negated=True))
                else:
                    draft.add(Null(column, negated))
        case Held(at):
            add_held(draft, at)
        case Flag(at, negated):
            column = around.flag(draft.symbols[at], local)
            truth = truth_values(column) if column is not None else None
            if column is not None and truth is not None:
                draft.add(Compare(column, "=", truth[1 if negated else 0]))
            elif (done := when_done(draft.symbols[at])) is not None:
                draft.add(Null(done, negated=not negated))
        case Beyond(at, operator, aggregate, of, hints, within, factor):
            column = draft.column(of, numeric=True) if of is not None else None
            if column is None or not column.counts:
                column = around.hinted(hints, local) if hints else column
            if column is None or not measures(column):
                draft.lost += [at] if at is not None else [0]
                return
            left = draft.column(at, numeric=True) if at is not None else column
            if left is None or not measures(left):
                left = column
            if within is not None:
                group = _group_within(draft, within, column.table)
                if group is None or left.table is not column.table:
                    draft.lost.append(within)
                    return
                draft.add(Compare(left, operator, Nested(aggregate, column, (), group, factor)))
                return
            draft.add(Compare(left, operator, Nested(aggregate, column, factor=factor)))
            draft.beyond = draft.last_compare()
        case BeyondRow(at, operator, value, hints):
            held = around.holder(draft.symbols[value], (), local)
            column = draft.column(at, numeric=True) if at is not None else None
            if column is None and hints and held is not None:
                column = around.hinted(hints, held[0].table)
            if held is None or column is None or not measures(column):
                draft.lost.append(value)
            else:
                farthest: Aggregate = "max" if operator.startswith(">") else "min"
                named = Compare(held[0], "=", held[1])
                draft.add(Compare(column, operator, Nested(farthest, column, (named,))))
        case Columns(at, operator, other):
            one = draft.column(at, numeric=operator not in ("=", "<>"))
            two = draft.column(other, numeric=operator not in ("=", "<>"))
            ordered = operator not in ("=", "<>")
            if ordered and one is not None and measures(one) and two is not None and two.within:
                draft.add(Compare(one, operator, Referred(one, two)))
                return
            numbered = ordered and two is not None and (two.primary or two.foreign)
            unlike = one is not None and two is not None and one.kind is not two.kind
            if (
                one is None
                or two is None
                or one is two
                or unlike
                or numbered
                or (ordered and not measures(one))
            ):
                draft.lost.append(other)
            else:
                draft.add(Compare(one, operator, two))
        case Under(at, values):
            add_under(draft, at, values)
        case SameAs(at, value):
            column = draft.column(at) or _reference(draft, at)
            held = around.holder(draft.symbols[value], (), column.table if column else local)
            if column is None or held is None:
                draft.lost.append(value)
            else:
                inner = Compare(held[0], "=", held[1])
                draft.add(Compare(column, "=", Nested(None, column, (inner,))))
                draft.add(Compare(held[0], "<>", held[1]))


def _group_within(draft: Draft, at: int, table: Table) -> Column | None:
    """The column by which rows of a table are of one thing: the department, or its key there."""
    symbol = draft.symbols[at]
    ref, named = symbol.ref, draft.around.table(symbol)
    if named is not None and named is not table and ref and ref.best_table >= ref.best_column:
        keys = [k for k in draft.graph.keys_between(table, named) if k.column.table is table]
        return keys[0].column if len(keys) == 1 and not keys[0].beside else None
    column = draft.around.column(symbol, table)
    return column if column is not None and column.table is table else None


def add_under(draft: Draft, at: int, values: Sequence[int]) -> None:
    """Rows that refer to rows of the same table, as reports do to a manager."""
    ref = draft.symbols[at].ref
    columns = [column for column, _ in ref.columns if column.within] if ref is not None else []
    named = [c for column in columns[:1] for c in column.table.columns]
    held = [
        draft.around.holder(draft.symbols[value], named, columns[0].table if columns else None)
        for value in values
    ]
    found = [Compare(pair[0], "=", pair[1]) for pair in held if pair is not None]
    if not columns or len(found) < len(values) or any(c.column not in named for c in found):
        draft.lost += values
        return
    refers = columns[0]
    assert refers.within is not None
    draft.add(Compare(refers, "=", Nested(None, refers.within, tuple(found))))


def add_range(draft: Draft, column: Column, low: Scalar, high: Scalar) -> None:
    """From one value to another; a day is all of it where times are kept."""
    last = _day(high) if column.base.startswith("timestamp") else None
    if last is not None:
        after = last + datetime.timedelta(days=1)
        draft.add(Compare(column, ">=", low))
        draft.joint = ""
        draft.add(Compare(column, "<", after.isoformat()))
    elif low == high:
        draft.add(Compare(column, "=", low))
    else:
        draft.add(Between(column, low, high))


def _day(text: Scalar) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(str(text))
    except ValueError:
        return None  # a number, or a day with its time


def _reference(draft: Draft, at: int) -> Column | None:
    """The column of the subject that refers to a table which a symbol names."""
    table, subject = draft.around.table(draft.symbols[at]), draft.around.subject
    if table is None or subject is None:
        return None
    keys = draft.graph.keys_between(subject, table)
    return next((key.column for key in keys if key.column.table is subject), None)


def add_held(draft: Draft, at: int) -> None:
    """Rows that another table refers to by the column that is named."""
    column, subject = draft.column(at), draft.around.subject
    target = next(
        (
            key.target
            for key in (
                draft.graph.keys_between(column.table, subject) if column and subject else ()
            )
            if key.column is column and key.target.table is subject and not key.beside
        ),
        None,
    )
    if column is None or target is None:
        draft.lost.append(at)
        return
    draft.add(Compare(target, "=", Nested(None, column)))


def add_bound(
    draft: Draft, at: int | None, operator: Operator, value_at: int, hints: tuple[str, ...]
) -> None:
    """A comparison with a value, into the draft."""
    value = draft.value(value_at)
    if at is None and isinstance(value, int | float) and value < AGE_MAX:
        born = birth_of(draft, hints)
        if born is not None:
            draft.add(Aged(born, operator, value))
            return
    column = _bounded_column(draft, at, operator, value_at, hints)
    if column is not None and column.year_like and isinstance(value, int) and value < 1000:
        draft.lost.append(value_at)
        return
    if column is not None and column.kind is Kind.DATE and not may_be_year(value):
        draft.lost.append(value_at)
        return
    if column is not None and not measures(column):
        if operator in ("=", "<>"):
            text = draft.symbols[value_at].text
            if column.values and normal_text(text) not in column.values:
                draft.lost.append(value_at)
            draft.add(Compare(column, operator, text))
            return
        dated = draft.around.dated(value, draft.focus or draft.around.subject)
        if dated is not None:
            column = dated
        elif isinstance(value, int | float) and value >= COUNT_MAX:
            draft.lost.append(value_at)
            return
        else:
            counted = column.table
            key_table = draft.entities.get(at) if at is not None else None
            draft.query.having.append(Having(operator, value, table=key_table or counted))
            return
    if column is None:
        draft.lost.append(value_at)
        return
    if operator == "=" and isinstance(value, str) and column.kind is Kind.DATE:
        add_range(draft, column, value, value)
    else:
        draft.add(Compare(column, operator, value))


def birth_of(draft: Draft, hints: tuple[str, ...]) -> Column | None:
    """The date of birth that an age is counted from, where there is no age."""
    local = draft.focus or draft.around.subject
    if "age" not in hints or draft.around.hinted(("age",), local) is not None or local is None:
        return None
    dates = [column for column in local.columns if column.kind is Kind.DATE]
    return next((column for column in dates if BIRTH & set(column.words)), None)


def _bounded_column(
    draft: Draft, at: int | None, operator: Operator, value_at: int, hints: tuple[str, ...]
) -> Column | None:
    """The column that a number or a date is compared with."""
    around, value = draft.around, draft.value(value_at)
    local = draft.focus or around.subject
    column = draft.column(at, numeric=True) if at is not None else None
    ordered = operator not in ("=", "<>")
    if column is not None and (column.primary or column.foreign) and ordered:
        column = None if hints or not column.counts or _stands_for_rows(column) else column
    if column is not None and not ordered and _out_of_range(column, value):
        return around.dated(value, local) or column  # `faculties in 2002`
    if column is not None:
        return column
    near = draft.value_table or local
    found = around.hinted(hints, local) if hints else None
    if found is None and isinstance(value, int) and value >= COUNT_MAX:
        found = around.dated(value, near)
    if found is None and draft.joint in OR:
        found = _compared_before(draft)
    found = found or around.dated(value, near) or age_column(draft, value_at, near)
    return found or (around.fitting(value, local) if at is None else None)


def _stands_for_rows(column: Column) -> bool:
    """Whether a key is called as the rows are that it refers to: there are more than 3 *makers*,
    and no maker is more than 3.
    """
    return column.foreign and not column.year_like and column.words[-1:] not in NUMBERED


def _out_of_range(column: Column, value: Scalar) -> bool:
    if column.low is None or column.high is None or not isinstance(value, int):
        return False
    return not column.low <= value <= column.high


def _compared_before(draft: Draft) -> Column | None:
    """The column of the last comparison: `32 or 33`."""
    last = draft.query.where[-1] if draft.query.where else None
    first = last.conditions[0] if isinstance(last, AnyOf) else last
    return first.column if isinstance(first, Compare) else None


def age_column(draft: Draft, at: int, local: Table | None) -> Column | None:
    """The age, where the words beside a number say that it is one."""
    start = draft.symbols[at].start
    beside = {token.lemma for token in draft.tokens[max(0, start - 3) : start + 4]}
    if beside & {"old", "aged", "age", "older", "younger"}:
        return draft.around.hinted(("age",), local)
    return None
