"""Phrases for rows: the tables that they are of, rows that must not be, groups, words between."""

from collections.abc import Sequence

from mcp_server.nl2sql.grammar.nodes import (
    Absent,
    Called,
    Entity,
    Equal,
    Group,
    Held,
    Joint,
    Node,
    Per,
    Show,
)
from mcp_server.nl2sql.grammar.phrases.matching import COL, NAME, TAB, VAL, Found, phrase
from mcp_server.nl2sql.schema.model import Kind
from mcp_server.nl2sql.sql.logical import Unit
from mcp_server.nl2sql.words.tokens import lemma

MEASURED = frozenset("ctbwuz")
"""What stands before the `by` that makes groups."""
THEIRS = frozenset({"their", "its", "his", "her"})
UNITS: dict[str, Unit] = {
    "year": "year", "quarter": "quarter", "month": "month", "week": "week", "day": "day",
    "yearly": "year", "annual": "year", "annually": "year", "quarterly": "quarter",
    "monthly": "month", "weekly": "week", "daily": "day",
}  # fmt: skip


@phrase(rf"(?P<o>[of])?[py]?D?(?P<t>{TAB})", 0.25)
def _entity(f: Found) -> Sequence[Node] | None:
    if "y" in f.match[0] and _measured_before(f):
        return None  # `by` makes groups there
    return [Entity(f.place("t"), owner=f.has("o"))]


@phrase(rf"(?P<o>[of])?(?P<t>{TAB})[,&H]+(?P<u>{TAB})", 0.25)
def _rows_and_theirs(f: Found) -> Sequence[Node] | None:
    """Members and their branches."""
    at = f.place("u")
    if not THEIRS & set(f.symbols[at].lead):
        return None
    return [Entity(f.place("t"), owner=f.has("o")), Called(at)]


@phrase(rf"(?P<o>[of])?(?P<t>{TAB})[,&H]+(?P<l>{COL}(?:[,&]+{COL})*)(?=\.|$)", 0.3)
def _rows_and_their_columns(f: Found) -> Sequence[Node] | None:
    """Members and their ages."""
    at = f.place("t")
    if not THEIRS & set(f.symbols[f.place("l")].lead) or f.symbols[f.place("l")].kind == "b":
        return None
    shows = [Show(each) for each in f.places("l", COL)]
    return [Entity(at, owner=f.has("o")), Called(at), *shows]


@phrase(rf"[TW]+{COL}[py]?(?P<t>{TAB})", 0.6)
def _verb(f: Found) -> Sequence[Node] | None:
    """That placed an order, where a column is named like the verb."""
    return [Entity(f.place("t"))] if f.match.start() else None


@phrase(rf"[ofy]?(?P<v>{VAL}(?:[,&|]*{VAL})*)(?P<t>{TAB})", 0.3)
def _described(f: Found) -> Sequence[Node]:
    """Female members; French and German singers."""
    return [Entity(f.place("t"), owner=True), Equal(None, tuple(f.places("v", VAL)), joint="|")]


@phrase(rf"[THpof]*X[_pHyof]*(?:{NAME}[_pyof]*)?(?P<t>{TAB})", 0.35)
def _absent(f: Found) -> Sequence[Node]:
    return [Absent(f.place("t"))]


@phrase(rf"[THpof]*X[_pHyof]*(?P<t>{TAB})", 0.36)
def _absent_alone(f: Found) -> Sequence[Node]:
    return [Absent(f.place("t"))]


@phrase(rf"[TH]*H(?P<c>{COL})", 0.5)
def _held(f: Found) -> Sequence[Node]:
    """Who have president votes."""
    return [Held(f.place("c"))]


@phrase(rf"[THpof]*X[_pHyof]*(?P<v>{VAL})(?P<t>{TAB})", 0.35)
def _absent_of_kind(f: Found) -> Sequence[Node]:
    return [Absent(f.place("t")), Equal(None, (f.place("v"),))]


@phrase(rf"[yofp]*(?P<g>G)[D]?(?:_o)?(?P<x>{NAME})", 0.25)
def _each(f: Found) -> Sequence[Node]:
    return [Group(f.place("x"), counted=f.symbols[f.place("g")].text == "per")]


@phrase(rf"[yofp]*G[D]?(?P<e>{TAB})(?P<x>{COL})", 0.3)
def _each_compound(f: Found) -> Sequence[Node]:
    return [Entity(f.place("e")), Group(f.place("x"))]


@phrase(rf"[yofp]*G[D]?(?P<x>{COL})&G?(?P<y>{COL})", 0.3)
def _each_pair(f: Found) -> Sequence[Node]:
    return [Group(f.place("x")), Group(f.place("y"))]


@phrase(rf"y(?P<x>{NAME})", 0.3)
def _by(f: Found) -> Sequence[Node]:
    """Members by branch."""
    return [Group(f.place("x"), counted=True)]


@phrase(rf"y(?P<x>{NAME})(?:&(?P<more>{COL}))?(?![nd])", 0.15)
def _measured_by(f: Found) -> Sequence[Node] | None:
    """The average price by branch; but not what a verb did: the games won by members."""
    if not _measured_before(f):
        return None
    return [Group(f.place(group)) for group in ("x", "more") if f.has(group)]


def _measured_before(f: Found) -> bool:
    before = f.symbols[: f.match.start()]
    return any(s.kind in "A#%" for s in before) and before[-1].kind in MEASURED


@phrase(rf"(?:(?P<c>{COL})[pyof]*)?(?:[pyof]*G|y|T)(?P<d>{COL})?(?P<u>_)", 0.2)
def _each_period(f: Found) -> Sequence[Node] | None:
    """Members joined per year; by joining month; which month."""
    return _per(f, f.at("d") if f.has("d") else f.at("c"))


@phrase(r"(?P<u>_)", 0.3)
def _periodical(f: Found) -> Sequence[Node] | None:
    """Monthly payments."""
    word = f.symbols[f.place("u")].text.lower()
    return _per(f, None) if word in UNITS and word not in UNITS.values() else None


def _per(f: Found, at: int | None) -> Sequence[Node] | None:
    unit = UNITS.get(lemma(f.symbols[f.place("u")].text))
    ref = f.symbols[at].ref if at is not None else None
    dated = ref is None or any(column.kind is Kind.DATE for column, _ in ref.columns)
    return None if unit is None or not dated else [Per(unit, at)]


@phrase(r"[&|!,.2]", 0.02)
def _between_phrases(f: Found) -> Sequence[Node]:
    return [Joint(f.match[0])]
