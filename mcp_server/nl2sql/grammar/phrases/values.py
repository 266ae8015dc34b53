"""Phrases for values: what a column holds, contains, or lacks."""

from collections.abc import Sequence

from mcp_server.nl2sql.grammar.nodes import (
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
from mcp_server.nl2sql.grammar.phrases.matching import (
    COL,
    NAME,
    TAB,
    TEXT,
    VAL,
    Found,
    holds,
    phrase,
)

_LIST = rf"{VAL}(?:[,&|]+[pofy]?{VAL})*"


def _equal(f: Found, at: int | None) -> Sequence[Node] | None:
    text = f.kinds("v")
    if at is not None and f.symbols[at].kind in "cw":
        known = [f.symbols[v] for v in f.places("v", VAL) if f.symbols[v].kind != "q"]
        if known and not any(holds(f.symbols[at], each) for each in known):
            return None  # the value is of another column
    joint = "|" if "|" in text else "&" if "&" in text else ","
    values = tuple(f.places("v", VAL))
    both = f.symbols[f.place("v") - 1].kind == "2" if f.place("v") else False
    return [Equal(at, values, f.has("x"), "2" if both else joint if len(values) > 1 else "")]


@phrase(rf"[THWpofyL]*(?P<c>{COL})[TWHpofy=_]*(?P<x>X)?[pofy=O]*2?(?P<v>{_LIST})", 0.3)
def _column_is(f: Found) -> Sequence[Node] | None:
    gap = f.symbols[f.place("c") + 1 : f.place("v")]
    if f.match[0][0] not in "THWpL" and any(symbol.kind == "o" for symbol in gap):
        return None  # the names of X
    return _equal(f, f.place("c"))


@phrase(
    rf"[THWpofyL]*(?P<e>{TAB})(?P<c>{COL})[TWHpofyL=_]*(?P<x>X)?[pofy=O]*2?(?P<v>{_LIST})", 0.35
)
def _compound_is(f: Found) -> Sequence[Node] | None:
    equal = _equal(f, f.place("c"))
    return None if equal is None else [Entity(f.place("e")), *equal]


@phrase(rf"[THWp]*(?P<x>X)?[py]*(?P<c>{COL})(?=\.|$)", 0.25)
def _is_flagged(f: Found) -> Sequence[Node] | None:
    """Which members are retired?"""
    return [Flag(f.place("c"), f.has("x"))] if f.match.start() else None


@phrase(rf"[THWp]*(?P<x>X)?[py]*(?P<c>{COL})", 0.5)
def _flag(f: Found) -> Sequence[Node]:
    """Who are retired; the acting heads."""
    return [Flag(f.place("c"), f.has("x"))]


@phrase(rf"[of]?(?P<x>X)?(?P<c>{COL})(?P<t>{TAB})", 0.25)
def _flagged(f: Found) -> Sequence[Node]:
    return [Entity(f.place("t"), owner=True), Flag(f.place("c"), f.has("x"))]


@phrase(rf"#(?P<x>X)?(?P<c>{COL})(?P<t>{TAB})", 0.35)
def _flagged_counted(f: Found) -> Sequence[Node]:
    return [Count(f.place("t")), Flag(f.place("c"), f.has("x"))]


@phrase(rf"[THWpofy]*(?P<x>X)[pofyH_]*(?P<c>{COL})[TpofyH=]*2?(?P<v>{_LIST})", 0.35)
def _not_of(f: Found) -> Sequence[Node] | None:
    """Not owned by X."""
    return _equal(f, f.at("c"))


@phrase(rf"[THWpofy]*(?P<x>X)[pofyH_]*2?(?P<v>{_LIST})(?P<c>{COL})?", 0.35)
def _is_not(f: Found) -> Sequence[Node] | None:
    return _equal(f, f.at("c"))


@phrase(rf"[THWpofyL]*(?P<x>X)?2?(?P<v>{_LIST})", 0.4)
def _value(f: Found) -> Sequence[Node] | None:
    return _equal(f, None)


@phrase(rf"[THWpofyL]*(?P<x>X)?2?(?P<v>{_LIST})(?P<c>{COL})", 0.4)
def _value_of_column(f: Found) -> Sequence[Node] | None:
    """The Paris county; Kyle's age."""
    if f.match[0][0] in "vwuzq" and not holds(f.symbols[f.place("c")], f.symbols[f.place("v")]):
        return [Show(f.place("c")), *(_equal(f, None) or ())]
    return _equal(f, f.at("c"))


@phrase(rf"[THpof]*(?P<t>{TAB})[Hpo=]*(?P<x>X)?[p]?2?(?P<v>{_LIST})", 0.4)
def _row_called(f: Found) -> Sequence[Node]:
    """The product X: a value of that table."""
    equal = _equal(f, f.place("t")) or ()
    return [Entity(f.place("t"), owner=f.match[0][0] in "of"), *equal]


@phrase(rf"[THWpofy]*(?P<c>{COL})W{COL}(?P<l>L)(?P<v>{TEXT})(?P<more>)", 0.3)
def _named_pattern(f: Found) -> Sequence[Node] | None:
    """A state whose name contains X."""
    return _pattern(f)


@phrase(rf"[THWpofy]*(?P<c>{COL})[THWpX_]*(?P<l>L)(?P<v>{TEXT})(?P<more>[|&]+L?(?P<w>{VAL}))?", 0.3)
def _pattern(f: Found) -> Sequence[Node]:
    negated = "X" in f.match[0]
    how = f.cue("l").how
    found: list[Node] = [Match(f.place("c"), how, f.place("v"), negated)]
    if f.has("more"):
        joint: list[Node] = [Joint("|")] if "|" in f.kinds("more") else []
        found += [*joint, Match(f.place("c"), how, f.place("w"), negated)]
    return found


@phrase(rf"[THWpofyX]*(?P<l>L)(?P<v>{TEXT})(?:p(?P<c>{COL}))?", 0.5)
def _pattern_alone(f: Found) -> Sequence[Node]:
    return [Match(f.at("c"), f.cue("l").how, f.place("v"), "X" in f.match[0])]


@phrase(rf"[THWpofy]*(?P<c>{COL})[TWHp_]*(?P<x>X)?[=]*N", 0.3)
def _missing(f: Found) -> Sequence[Node]:
    return [Missing(f.place("c"), f.has("x"))]


@phrase(rf"[THpof]*X(?P<c>{COL})", 0.6)
def _without(f: Found) -> Sequence[Node]:
    return [Missing(f.place("c"))]


@phrase(rf"[THpof]*XN(?P<c>{COL})", 0.4)
def _without_missing(f: Found) -> Sequence[Node]:
    return [Missing(f.place("c"), negated=True)]


@phrase(rf"[THpofy]*=(?P<c>{NAME})[pofyT]*(?P<v>{VAL})", 0.3)
def _same_as(f: Found) -> Sequence[Node]:
    return [SameAs(f.place("c"), f.place("v"))]


@phrase(rf"[THWpofy]*(?P<c>{COL})[TWHpofy=]*(?P<v>{VAL}+)", 0.25)
def _under(f: Found) -> Sequence[Node] | None:
    """Managed by X; whose parent is X."""
    gap = f.symbols[f.place("c") + 1 : f.place("v")]
    ref = f.symbols[f.place("c")].ref
    keys = ref is not None and any(column.within for column, _ in ref.columns)
    if not keys or any(symbol.kind == "o" for symbol in gap):
        return None
    return [Under(f.place("c"), tuple(f.places("v", VAL)))]
