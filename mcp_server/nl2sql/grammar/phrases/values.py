"""Phrases for values: what a column holds, contains, or lacks."""

from collections.abc import Sequence

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AND,
    BINDING,
    BOTH,
    BY,
    COL,
    COLUMN,
    COMMA,
    EMPTY,
    END,
    FOR,
    HAVE,
    HOW_MANY,
    IN,
    LEADING,
    LIKE,
    LISTING_OR,
    NAME,
    NOT,
    NOTHING,
    OF,
    OR,
    PREPOSITION,
    QUOTED,
    SAME,
    TAB,
    TEXT,
    THAN,
    THAT,
    VAL,
    VALUE_OR_COLUMN,
    WHOSE,
    WORD,
)
from mcp_server.nl2sql.grammar.columns import is_done
from mcp_server.nl2sql.grammar.nodes import (
    Columns,
    Count,
    Entity,
    Equal,
    Flag,
    Joint,
    Match,
    Missing,
    Node,
    SameAs,
    Show,
    Under,
)
from mcp_server.nl2sql.grammar.phrases.matching import Found, holds, is_another, phrase
from mcp_server.nl2sql.schema.model import Kind

_LIST = VAL + (LISTING_OR.some + PREPOSITION.maybe + VAL).any


def _equal(f: Found, at: int | None) -> Sequence[Node] | None:
    before = f.symbols[f.match.start() : f.place("v")]
    compared = {s.cue.operator for s in before if s.kind in THAN and s.cue is not None}
    if not compared <= {"=", "<>"}:
        return None  # no text is less than another
    if at is not None and f.symbols[at].kind in COLUMN | VALUE_OR_COLUMN:
        known = [f.symbols[v] for v in f.places("v", VAL) if f.symbols[v].kind not in QUOTED]
        if known and not any(holds(f.symbols[at], each) for each in known):
            return None  # the value is of another column
    joint = next((kind for kind in (OR, AND) if f.says(kind, "v")), COMMA)
    values = tuple(f.places("v", VAL))
    both = f.symbols[f.place("v") - 1].kind in BOTH if f.place("v") else False
    return [
        Equal(
            at,
            values,
            f.has("x") != ("<>" in compared),
            BOTH.letter if both else joint.letter if len(values) > 1 else "",
        )
    ]


@phrase(
    (LEADING | LIKE).any + COL("c") + (LEADING | SAME | WORD).any + NOT("x").maybe
    + (PREPOSITION | SAME | THAN).any + BOTH.maybe + _LIST("v"), 0.3,
)  # fmt: skip
def _column_is(f: Found) -> Sequence[Node] | None:
    gap = f.symbols[f.place("c") + 1 : f.place("v")]
    if not f.begins(THAT | HAVE | WHOSE | IN | LIKE) and any(symbol.kind in OF for symbol in gap):
        return None  # the names of X
    return _equal(f, f.place("c"))


@phrase(
    (LEADING | LIKE).any + TAB("e") + COL("c") + (LEADING | LIKE | SAME | WORD).any
    + NOT("x").maybe + (PREPOSITION | SAME | THAN).any + BOTH.maybe + _LIST("v"), 0.35,
)  # fmt: skip
def _compound_is(f: Found) -> Sequence[Node] | None:
    equal = _equal(f, f.place("c"))
    return None if equal is None else [Entity(f.place("e")), *equal]


@phrase((THAT | HAVE | WHOSE | IN).any + NOT("x").maybe + (IN | BY).any + COL("c") + END, 0.25)
def _is_flagged(f: Found) -> Sequence[Node] | None:
    """Which members are retired?"""
    return [Flag(f.place("c"), f.has("x"))] if f.match.start() else None


@phrase((THAT | HAVE | WHOSE | IN).any + NOT("x").maybe + (IN | BY).any + COL("c"), 0.5)
def _flag(f: Found) -> Sequence[Node]:
    """Who are retired; the acting heads."""
    return [Flag(f.place("c"), f.has("x"))]


@phrase((OF | FOR).maybe + NOT("x").maybe + COL("c") + TAB("t"), 0.25)
def _flagged(f: Found) -> Sequence[Node]:
    return [Entity(f.place("t"), owner=True), Flag(f.place("c"), f.has("x"))]


@phrase(HOW_MANY + NOT("x").maybe + COL("c") + TAB("t"), 0.35)
def _flagged_counted(f: Found) -> Sequence[Node]:
    return [Count(f.place("t")), Flag(f.place("c"), f.has("x"))]


@phrase(
    LEADING.any + NOT("x") + (PREPOSITION | HAVE | WORD).any + COL("c")
    + (THAT | PREPOSITION | HAVE | SAME).any + BOTH.maybe + _LIST("v"), 0.35,
)  # fmt: skip
def _not_of(f: Found) -> Sequence[Node] | None:
    """Not owned by X."""
    return _equal(f, f.at("c"))


@phrase(
    LEADING.any + NOT("x") + (PREPOSITION | HAVE | WORD).any + BOTH.maybe + _LIST("v")
    + COL("c").maybe, 0.35,
)  # fmt: skip
def _is_not(f: Found) -> Sequence[Node] | None:
    return _equal(f, f.at("c"))


@phrase((LEADING | AND).any + COL("c") + PREPOSITION.any + TAB("t").maybe + _LIST("v"), 0.3)
def _done_at(f: Found) -> Sequence[Node] | None:
    """Trips that ended at Weir, where a column of times is named like the verb."""
    verb = f.symbols[f.place("c")]
    dated = verb.ref is not None and all(c.kind is Kind.DATE for c, _ in verb.ref.columns)
    if not dated or not is_done(verb):
        return None
    entity: list[Node] = [Entity(f.place("t"))] if f.has("t") else []
    return [*entity, Equal(None, tuple(f.places("v", VAL)))]


@phrase((LEADING | LIKE).any + NOT("x").maybe + BOTH.maybe + _LIST("v"), 0.4)
def _value(f: Found) -> Sequence[Node] | None:
    return _equal(f, None)


@phrase((LEADING | LIKE).any + NOT("x").maybe + BOTH.maybe + _LIST("v") + COL("c"), 0.4)
def _value_of_column(f: Found) -> Sequence[Node] | None:
    """The Paris county; Kyle's age."""
    if f.begins(VAL) and not holds(f.symbols[f.place("c")], f.symbols[f.place("v")]):
        return [Show(f.place("c")), *(_equal(f, None) or ())]
    return _equal(f, f.at("c"))


@phrase(
    (THAT | HAVE | IN | OF | FOR).any + TAB("t") + (HAVE | IN | OF | SAME).any
    + NOT("x").maybe + IN.maybe + BOTH.maybe + _LIST("v"), 0.4,
)  # fmt: skip
def _row_called(f: Found) -> Sequence[Node]:
    """The product X: a value of that table."""
    equal = _equal(f, f.place("t")) or ()
    return [Entity(f.place("t"), owner=f.begins(OF | FOR)), *equal]


@phrase(LEADING.any + COL("c") + WHOSE + COL + LIKE("l") + TEXT("v") + NOTHING("more"), 0.3)
def _named_pattern(f: Found) -> Sequence[Node] | None:
    """A state whose name contains X."""
    return _pattern(f)


@phrase(
    LEADING.any + COL("c") + (BINDING | NOT).any + LIKE("l") + TEXT("v")
    + ((OR | AND).some + LIKE.maybe + VAL("w"))("more").maybe, 0.3,
)  # fmt: skip
def _pattern(f: Found) -> Sequence[Node]:
    negated = f.says(NOT)
    how = f.cue("l").how
    found: list[Node] = [Match(f.place("c"), how, f.place("v"), negated)]
    if f.has("more"):
        joint: list[Node] = [Joint(OR.letter)] if f.says(OR, "more") else []
        found += [*joint, Match(f.place("c"), how, f.place("w"), negated)]
    return found


@phrase((LEADING | NOT).any + LIKE("l") + TEXT("v") + (IN + COL("c")).maybe, 0.5)
def _pattern_alone(f: Found) -> Sequence[Node]:
    return [Match(f.at("c"), f.cue("l").how, f.place("v"), f.says(NOT))]


@phrase(LEADING.any + COL("c") + BINDING.any + NOT("x").maybe + SAME.any + EMPTY, 0.3)
def _missing(f: Found) -> Sequence[Node]:
    return [Missing(f.place("c"), f.has("x"))]


@phrase((THAT | HAVE | IN | OF | FOR).any + NOT("x") + COL("c"), 0.6)
def _without(f: Found) -> Sequence[Node] | None:
    return None if is_another(f, "x") else [Missing(f.place("c"))]


@phrase(LEADING.any + COL("c") + LEADING.any + NOT("x") + (THAT | PREPOSITION).any + COL("d"), 0.3)
def _another_than(f: Found) -> Sequence[Node] | None:
    """Sent to a town other than the billing town."""
    return [Columns(f.place("c"), "<>", f.place("d"))] if is_another(f, "x") else None


@phrase((THAT | HAVE | IN | OF | FOR).any + NOT + EMPTY + COL("c"), 0.4)
def _without_missing(f: Found) -> Sequence[Node]:
    return [Missing(f.place("c"), negated=True)]


@phrase(
    (THAT | HAVE | PREPOSITION).any + SAME + NAME("c") + (PREPOSITION | THAT).any + VAL("v"), 0.3
)
def _same_as(f: Found) -> Sequence[Node]:
    return [SameAs(f.place("c"), f.place("v"))]


@phrase(LEADING.any + COL("c") + (LEADING | SAME).any + VAL.some("v"), 0.25)
def _under(f: Found) -> Sequence[Node] | None:
    """Managed by X; whose parent is X."""
    gap = f.symbols[f.place("c") + 1 : f.place("v")]
    ref = f.symbols[f.place("c")].ref
    keys = ref is not None and any(column.within for column, _ in ref.columns)
    if not keys or any(symbol.kind in OF for symbol in gap):
        return None
    return [Under(f.place("c"), tuple(f.places("v", VAL)))]
