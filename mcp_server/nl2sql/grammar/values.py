"""Conditions on texts: values that columns hold, patterns, and values that must not be."""

import re
from collections.abc import Sequence
from dataclasses import replace

from mcp_server.nl2sql.grammar.alphabet.kinds import AND, BOTH, IN, OR, QUOTED, TAB, THAT, VAL
from mcp_server.nl2sql.grammar.columns import (
    columns_of,
)
from mcp_server.nl2sql.grammar.draft import Draft
from mcp_server.nl2sql.grammar.nodes import (
    Equal,
)
from mcp_server.nl2sql.grammar.symbols import Symbol
from mcp_server.nl2sql.schema.display import name_of
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Table
from mcp_server.nl2sql.sql.logical import (
    AnyOf,
    Compare,
    Condition,
    Like,
    Linked,
    Nested,
    Scalar,
)
from mcp_server.nl2sql.words.tokens import stem
from mcp_server.nl2sql.words.ways import way_of


def add_equal(draft: Draft, node: Equal) -> None:
    """A column that equals a value."""
    if any(_left_by(draft, place) for place in node.values):
        node = replace(node, at=None)
    local = draft.focus or draft.around.subject
    named = list(columns_of(draft.symbols[node.at])) if node.at is not None else []
    if node.at is not None and draft.symbols[node.at].ref is not None:
        ref = draft.symbols[node.at].ref
        if ref is not None and ref.tables and ref.best_table >= ref.best_column:
            local = draft.around.table(draft.symbols[node.at]) or local
    if draft.negating:
        node = replace(node, negated=True)
        draft.negating = False
    conditions: list[Condition] = []
    first: Column | None = None
    for place in node.values:
        held = held_value(draft, place, named if first is None else [first, *named], local, node.at)
        if held is None:
            draft.lost.append(place)
            continue
        if isinstance(held, Like):
            conditions.append(held)
            continue
        column, text = held
        first = column
        key = role_of(draft, column.table, place, node)
        if key is not None:
            named_so = Compare(column, "=", text)
            within = Nested(None, key.target, (named_so,))
            conditions.append(Compare(key.column, "<>" if node.negated else "=", within))
            continue
        if column.table is not draft.around.subject:
            draft.value_table = column.table
        conditions.append(Compare(column, "<>" if node.negated else "=", text))
    add_several(draft, node, conditions)


def role_of(draft: Draft, table: Table, place: int, node: Equal) -> ForeignKey | None:
    """The one of several keys to a table that the words before a value speak of.

    `Trips from Opera that ended at Weir` has a station where it starts, and one where it ends.
    """
    for referring in dict.fromkeys((draft.around.subject, *draft.around.spoken_of)):
        if referring is None or referring is table:
            continue
        keys = [
            key for key in draft.graph.keys_between(referring, table)
            if key.column.table is referring and not key.beside
        ]  # fmt: skip
        if len(keys) > 1 and (key := _heard_key(draft, keys, place, node)) is not None:
            return key
    return None


def _heard_key(
    draft: Draft, keys: Sequence[ForeignKey], place: int, node: Equal
) -> ForeignKey | None:
    start = draft.symbols[place].start
    others = [s.end for s in draft.symbols[:place] if s.kind in VAL and s.end <= start]
    words = draft.tokens[max([0, *others, start - ROLE_WORDS]) : start]
    if node.at is not None:
        words = [*words, *draft.tokens[draft.symbols[node.at].start : draft.symbols[node.at].end]]
    common = set.intersection(*({stem(w) for w in key.column.words} for key in keys))
    heard = {stem(token.lemma) for token in words}

    def said(key: ForeignKey) -> int:
        own = {stem(word) for word in key.column.words} - common
        alike = any(_alike(one, other) for one in own for other in heard)
        return 2 * alike + way_of(key.column.name, words)

    ranked = sorted(keys, key=said, reverse=True)
    best, second = said(ranked[0]), said(ranked[1])
    return ranked[0] if best > 0 and best > second else None


def _alike(one: str, other: str) -> bool:
    """Whether two stems are of one verb: send, sender."""
    shared = min(len(one), len(other))
    return one == other or (shared >= ROLE_LETTERS and one[:shared] == other[:shared])


ROLE_WORDS = 6
"""So many words before a value may say which role it has."""
ROLE_LETTERS = 4


def add_several(draft: Draft, node: Equal, conditions: list[Condition]) -> None:
    """One of several values, or all of them."""
    compared = [c for c in conditions if isinstance(c, Compare)]
    one_column = len({id(c.column) for c in compared}) <= 1
    between = draft.symbols[node.values[0] : node.values[-1]]
    either = len(conditions) > 1 and any(each.kind in OR for each in between)
    plain = all(not isinstance(each.value, Nested) for each in compared)
    if either and plain and not one_column and not node.negated:
        draft.add(AnyOf(tuple(conditions)))  # in Oslo or of the kind X
        return
    if len(conditions) < 2 or not one_column:
        for condition in conditions:
            draft.add(absent_rather(draft, condition))
        return
    if node.negated:
        for condition in conditions:
            draft.add(absent_rather(draft, condition))
    elif node.joint in BOTH or (node.joint in AND and draft.around.choices.between(True)):
        add_both(draft, compared)
    else:
        draft.add(AnyOf(tuple(conditions)))


def add_both(draft: Draft, conditions: Sequence[Compare]) -> None:
    """Each value holds, of other rows."""
    for condition in conditions:
        draft.query.each.append(condition)


def absent_rather(draft: Draft, condition: Condition) -> Condition:
    """Not to have a cat is not to have another pet."""
    if not isinstance(condition, Compare) or condition.operator != "<>":
        return condition
    subject, table = draft.around.subject, condition.column.table
    if subject is None or table is subject or draft.absent is not None:
        return condition
    if draft.graph.path(subject, table) and not draft.graph.single(subject, table):
        equal = Compare(condition.column, "=", condition.value)
        return Linked(table, (equal,), negated=True)
    return condition


def held_value(
    draft: Draft, place: int, named: Sequence[Column], local: Table | None, at: int | None
) -> "tuple[Column, Scalar] | Like | None":
    """A value with the column that holds it."""
    symbol = draft.symbols[place]
    others = {_asked_for(draft, symbol, at), _left_by(draft, place)}
    held = draft.around.holder(symbol, named, local, others)
    if held is not None:
        return held
    column = draft.column(at) if at is not None else None
    ref = symbol.ref
    if ref is not None and ref.partly:
        partly = [c for c in ref.partly if c in named] or ref.partly
        near = draft.around.tables(local)
        partly = sorted(partly, key=lambda c: near.index(c.table) if c.table in near else 99)
        return Like(partly[0], f"%{escaped(symbol.text)}%")
    if column is None and local is not None:
        column = name_of(local)
    return None if column is None or symbol.kind not in QUOTED else (column, symbol.text)


def _asked_for(draft: Draft, symbol: Symbol, at: int | None) -> Table | None:
    """The table whose rows are asked for, by their names or by how many there are: which states
    are at *Ohio*; None where a word says that they are called so, or that it is the row itself.
    """
    subject, before = draft.around.subject, draft.tokens[max(0, symbol.start - 2) : symbol.start]
    behind = {token.lemma for token in draft.tokens[symbol.end : symbol.end + 1]}
    said = CALLED & {token.lemma for token in before}
    itself = subject is not None and bool(behind & set(subject.words))
    plain = all(output.aggregate == "count" for output in draft.query.select)
    return None if said or itself or at is not None or not plain else subject


def _left_by(draft: Draft, place: int) -> Table | None:
    """The table that a clause with a value is about: states that the *Ohio* runs through, states
    does the *Ohio* run through.
    """
    row = [symbol for symbol in draft.symbols[:place] if symbol.kind not in IN]
    does = "do" in draft.symbols[place].lead
    if not does and row[-1:] and row[-1].kind in THAT:
        row, does = row[:-1], True
    ref = row[-1].ref if does and row and row[-1].kind in TAB else None
    return ref.tables[0][0] if ref is not None and ref.tables else None


CALLED = frozenset({"call", "called", "name", "named", "title", "titled", "entitled"})


def add_match(draft: Draft, at: int | None, how: str, text_at: int, negated: bool) -> None:
    """A column whose text begins with, ends with or contains something."""
    local = draft.focus or draft.around.subject
    column = draft.column(at) if at is not None else None
    if column is not None and column.kind is not Kind.TEXT:
        column = None
    if column is None and local is not None:
        column = name_of(local)
    if column is None:
        draft.lost.append(text_at)
        return
    symbol = draft.symbols[text_at]
    text = " ".join(token.text for token in draft.tokens[symbol.start : symbol.end])
    text = escaped(text)
    pattern = {"start": f"{text}%", "end": f"%{text}"}.get(how, f"%{text}%")
    draft.add(Like(column, pattern, negated))


def escaped(text: str) -> str:
    """A text with LIKE's own signs made plain."""
    return re.sub(r"([%_\\])", r"\\\1", text)
