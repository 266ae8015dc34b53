"""Phrases for rows: the tables that they are of, rows that must not be, groups, words between."""

from collections.abc import Sequence

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AGGREGATE,
    AMOUNT,
    AND,
    BOTH,
    BUT,
    BY,
    COL,
    COLUMN_OR_TABLE,
    DISTINCT,
    EACH,
    END,
    FOR,
    FULL_STOP,
    HAVE,
    HOW_MANY,
    IN,
    LISTING,
    LISTING_OR,
    NAME,
    NOT,
    OF,
    OR,
    PREPOSITION,
    SHARE,
    TAB,
    THAT,
    VAL,
    WHOSE,
    WORD,
    either,
    not_before,
)
from mcp_server.nl2sql.grammar.columns import is_done
from mcp_server.nl2sql.grammar.nodes import (
    Absent,
    Called,
    Count,
    Entity,
    Equal,
    Group,
    Held,
    Joint,
    Node,
    Per,
    Show,
)
from mcp_server.nl2sql.grammar.phrases.matching import Found, is_another, phrase
from mcp_server.nl2sql.grammar.symbols import SURE
from mcp_server.nl2sql.schema.model import Kind
from mcp_server.nl2sql.words.spans import UNITS
from mcp_server.nl2sql.words.tokens import lemma

MEASURED = NAME
"""What stands before the `by` that makes groups."""
SPOKEN = 0.6
"""How well a participle names the day on which something was done."""
THEIRS = frozenset({"their", "its", "his", "her"})


@phrase((OF | FOR)("o").maybe + (IN | BY).maybe + DISTINCT.maybe + TAB("t"), 0.25)
def _entity(f: Found) -> Sequence[Node] | None:
    if f.says(BY) and _measured_before(f):
        return None  # `by` makes groups there
    return [Entity(f.place("t"), owner=f.has("o"))]


@phrase((OF | FOR)("o").maybe + TAB("t") + (LISTING | HAVE).some + TAB("u"), 0.25)
def _rows_and_theirs(f: Found) -> Sequence[Node] | None:
    """Members and their branches."""
    at = f.place("u")
    if not THEIRS & set(f.symbols[at].lead):
        return None
    return [Entity(f.place("t"), owner=f.has("o")), Called(at)]


@phrase(TAB("t") + AND + HOW_MANY + TAB("u") + (THAT | HAVE).any + END, 0.25)
def _rows_and_how_many(f: Found) -> Sequence[Node]:
    """Members and how many loans they have."""
    return [Group(f.place("t")), Count(f.place("u"))]


@phrase(
    (OF | FOR)("o").maybe + TAB("t") + (LISTING | HAVE).some
    + (COL + (LISTING.some + COL).any)("l") + END, 0.3,
)  # fmt: skip
def _rows_and_their_columns(f: Found) -> Sequence[Node] | None:
    """Members and their ages."""
    at = f.place("t")
    if (
        not THEIRS & set(f.symbols[f.place("l")].lead)
        or f.symbols[f.place("l")].kind in COLUMN_OR_TABLE
    ):
        return None
    shows = [Show(each) for each in f.places("l", COL)]
    return [Entity(at, owner=f.has("o")), Called(at), *shows]


@phrase((THAT | WHOSE).some + COL + (IN | BY).maybe + TAB("t"), 0.6)
def _verb(f: Found) -> Sequence[Node] | None:
    """That placed an order, where a column is named like the verb."""
    return [Entity(f.place("t"))] if f.match.start() else None


@phrase((OF | FOR | BY).maybe + (VAL + (LISTING_OR.any + VAL).any)("v") + TAB("t"), 0.3)
def _described(f: Found) -> Sequence[Node]:
    """Female members; French and German singers."""
    return [
        Entity(f.place("t"), owner=True),
        Equal(None, tuple(f.places("v", VAL)), joint=OR.letter),
    ]


@phrase(
    (THAT | HAVE | IN | OF | FOR).any + NOT("x") + (WORD | PREPOSITION | HAVE).any
    + (NAME + (WORD | PREPOSITION).any).maybe + TAB("t"), 0.35,
)  # fmt: skip
def _absent(f: Found) -> Sequence[Node] | None:
    return None if is_another(f, "x") else [Absent(f.place("t"))]


@phrase(
    (THAT | HAVE | IN | OF | FOR).any + NOT("x") + (WORD | PREPOSITION | HAVE).any + TAB("t"), 0.36
)
def _absent_alone(f: Found) -> Sequence[Node] | None:
    return None if is_another(f, "x") else [Absent(f.place("t"))]


@phrase((THAT | HAVE).any + HAVE + COL("c"), 0.5)
def _held(f: Found) -> Sequence[Node]:
    """Who have president votes."""
    return [Held(f.place("c"))]


@phrase(
    (THAT | HAVE | IN | OF | FOR).any + NOT + (WORD | PREPOSITION | HAVE).any + VAL("v")
    + TAB("t"), 0.35,
)  # fmt: skip
def _absent_of_kind(f: Found) -> Sequence[Node]:
    return [Absent(f.place("t")), Equal(None, (f.place("v"),))]


@phrase(PREPOSITION.any + EACH("g") + DISTINCT.maybe + (WORD + OF).maybe + NAME("x"), 0.25)
def _each(f: Found) -> Sequence[Node]:
    return [Group(f.place("x"), counted=f.symbols[f.place("g")].text == "per")]


@phrase(PREPOSITION.any + EACH + DISTINCT.maybe + TAB("e") + COL("x"), 0.3)
def _each_compound(f: Found) -> Sequence[Node]:
    return [Entity(f.place("e")), Group(f.place("x"))]


@phrase(PREPOSITION.any + EACH + DISTINCT.maybe + COL("x") + AND + EACH.maybe + COL("y"), 0.3)
def _each_pair(f: Found) -> Sequence[Node]:
    return [Group(f.place("x")), Group(f.place("y"))]


@phrase(BY + NAME("x"), 0.3)
def _by(f: Found) -> Sequence[Node]:
    """Members by branch."""
    return [Group(f.place("x"), counted=True)]


@phrase(BY + NAME("x") + (AND + COL("more")).maybe + not_before(AMOUNT), 0.15)
def _measured_by(f: Found) -> Sequence[Node] | None:
    """The average price by branch; but not what a verb did: the games won by members."""
    if not _measured_before(f):
        return None
    return [Group(f.place(group)) for group in ("x", "more") if f.has(group)]


@phrase(BY + COL("x") + (LISTING.some + COL).some("more") + not_before(AMOUNT), 0.3)
def _by_several(f: Found) -> Sequence[Node]:
    """Members by branch and age: how many there are of both."""
    return [Group(each, counted=True) for each in (f.place("x"), *f.places("more", COL))]


COUNTING = AGGREGATE | HOW_MANY | SHARE
"""What makes the measures that `by` groups."""


def _measured_before(f: Found) -> bool:
    before = f.symbols[: f.match.start()]
    return any(s.kind in COUNTING for s in before) and before[-1].kind in MEASURED


@phrase(
    (COL("c") + PREPOSITION.any).maybe + either(PREPOSITION.any + EACH, BY, THAT)
    + COL("d").maybe + WORD("u"), 0.2,
)  # fmt: skip
def _each_period(f: Found) -> Sequence[Node] | None:
    """Members joined per year; by joining month; which month."""
    return _per(f, f.at("d") if f.has("d") else f.at("c"))


@phrase(COL("c") + PREPOSITION.any + EACH + COL("u"), 0.2)
def _each_period_of(f: Found) -> Sequence[Node] | None:
    """Artworks acquired per year, where other columns are called year too."""
    ref = f.symbols[f.place("c")].ref
    heard = SPOKEN if is_done(f.symbols[f.place("c")]) else SURE
    dated = ref is not None and any(c.kind is Kind.DATE and s >= heard for c, s in ref.columns)
    return _per(f, f.place("c")) if dated else None


@phrase(PREPOSITION.any + (THAT | EACH) + COL("c") + COL("u"), 0.2)
def _which_period(f: Found) -> Sequence[Node] | None:
    """Which acquired year has the most."""
    return _each_period_of(f)


@phrase(either(PREPOSITION.any + EACH, BY) + COL("u"), 0.35)
def _each_period_called(f: Found) -> Sequence[Node] | None:
    """Payments by year, where a column of other things is called year."""
    return _per(f, None)


@phrase(BY + (COL | WORD)("u") + AND + NAME("x"), 0.2)
def _by_period_and_each(f: Found) -> Sequence[Node] | None:
    """Purchases by month and status."""
    period = _per(f, None)
    return None if period is None else [*period, Group(f.place("x"), counted=True)]


@phrase(BY + NAME("x") + AND + (COL | WORD)("u"), 0.3)
def _by_each_period(f: Found) -> Sequence[Node] | None:
    """Purchases by status and month."""
    period = _per(f, None)
    return None if period is None else [Group(f.place("x"), counted=True), *period]


@phrase(WORD("u"), 0.3)
def _periodical(f: Found) -> Sequence[Node] | None:
    """Monthly payments."""
    word = f.symbols[f.place("u")].text.lower()
    return _per(f, None) if word in UNITS and word not in UNITS.values() else None


def _per(f: Found, at: int | None) -> Sequence[Node] | None:
    unit = UNITS.get(lemma(f.symbols[f.place("u")].text))
    ref = f.symbols[at].ref if at is not None else None
    dated = ref is None or any(column.kind is Kind.DATE for column, _ in ref.columns)
    return None if unit is None or not dated else [Per(unit, at)]


@phrase((LISTING_OR | BUT | FULL_STOP | BOTH), 0.02)
def _between_phrases(f: Found) -> Sequence[Node]:
    return [Joint(f.match[0])]
