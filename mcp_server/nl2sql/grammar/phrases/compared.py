"""Phrases for comparisons with numbers, dates, averages and other columns."""

from collections.abc import Sequence
from dataclasses import replace

from mcp_server.nl2sql.grammar.nodes import (
    Beyond,
    BeyondRow,
    Bound,
    Columns,
    Entity,
    Joint,
    Node,
    Range,
)
from mcp_server.nl2sql.grammar.phrases.matching import COL, TAB, VAL, Found, phrase
from mcp_server.nl2sql.sql.logical import Operator

OPPOSITE: dict[Operator, Operator] = {
    "=": "<>", ">": "<=", "<": ">=", ">=": "<", "<=": ">",
}  # fmt: skip
"""What `not` makes of a comparison."""


@phrase(
    rf"[THWpofy]*(?P<e>{TAB})(?P<c>{COL})[TWHpo_]*(?P<x>X)?(?P<o>O)[pof]*(?P<n>[nd])(?P<more>[|&]?O[nd])?",
    0.35,
)
def _bounded_compound(f: Found) -> Sequence[Node] | None:
    bounded = _bounded(f)
    return None if bounded is None else [Entity(f.place("e")), *bounded]


@phrase(
    rf"[THWpofy]*(?P<c>{COL})[TWHpo_]*(?P<x>X)?(?P<o>O)[pof]*(?P<n>[nd])(?P<more>[|&]?O[nd])?(?![tu])",
    0.3,
)
def _bounded(f: Found) -> Sequence[Node]:
    operator = f.operator("o")
    if f.has("x"):
        operator = OPPOSITE.get(operator, operator)
    return _and_another(f, Bound(f.place("c"), operator, f.place("n"), f.cue("o").hints))


def _and_another(f: Found, bound: Bound) -> Sequence[Node]:
    """A second bound of the same column, in the group `more`."""
    if not f.has("more"):
        return [bound]
    (word,), (value,) = f.places("more", "O"), f.places("more", "[nd]")
    cue = f.symbols[word].cue
    assert cue is not None
    joint: list[Node] = [Joint("|")] if "|" in f.kinds("more") else []
    return [bound, *joint, replace(bound, operator=cue.operator or "=", value=value)]


@phrase(rf"[THWpofy]*(?P<c>{COL})(?P<o>O){COL}(?P<n>[nd])(?P<more>)(?P<x>)", 0.3)
def _bounded_by_year(f: Found) -> Sequence[Node] | None:
    """Founded after the year 2008."""
    return _bounded(f)


@phrase(rf"[THWpofy]*(?P<o>O)(?P<c>{COL})[op]*(?P<n>[nd])", 0.3)
def _bound_before_column(f: Found) -> Sequence[Node]:
    return [Bound(f.place("c"), f.operator("o"), f.place("n"))]


@phrase(rf"[THWpofy]*(?P<o>O)(?P<c>{COL})[po]*n?O(?P<n>[nd])", 0.4)
def _more_than(f: Found) -> Sequence[Node]:
    """A larger area than 30."""
    return [Bound(f.place("c"), f.operator("o"), f.place("n"))]


@phrase(rf"[THWpofy]*(?P<x>X)?(?P<o>O)(?P<n>[nd])o?(?P<c>{COL})", 0.35)
def _bounded_before(f: Found) -> Sequence[Node]:
    """More than 4 cylinders."""
    return [Bound(f.place("c"), f.operator("o"), f.place("n"))]


@phrase(r"[THWpofy]*(?P<x>X)?(?P<o>O)(?P<n>[nd])(?P<more>[|&]O[nd])?", 0.6)
def _bounded_alone(f: Found) -> Sequence[Node] | None:
    cue = f.cue("o")
    return _and_another(f, Bound(None, f.operator("o"), f.place("n"), cue.hints))


@phrase(rf"[THWpofy]*(?P<n>n)(?P<o>\+)(?P<c>{COL})?", 0.35)
def _or_more(f: Found) -> Sequence[Node]:
    return [Bound(f.at("c"), f.operator("o"), f.place("n"), f.cue("o").hints)]


@phrase(rf"[THWpofy]*(?P<c>{COL})[TWHpo_]*(?P<n>n)(?P<o>\+)", 0.3)
def _column_or_more(f: Found) -> Sequence[Node]:
    return [Bound(f.place("c"), f.operator("o"), f.place("n"))]


@phrase(rf"[THWpofy]*(?:(?P<c>{COL})[TWHpo_]*)?(?:K|p)(?P<a>[nd])[&p](?P<b>[nd])(?P<d>{COL})?", 0.3)
def _between(f: Found) -> Sequence[Node]:
    return [Range(f.at("c") if f.has("c") else f.at("d"), f.place("a"), f.place("b"))]


@phrase(rf"[THWpofy]*(?P<c>)(?P<a>[nd])p(?P<b>[nd])(?P<d>{COL})?", 0.4)
def _from_to(f: Found) -> Sequence[Node] | None:
    """100 to 200 pages."""
    return _between(f)


@phrase(
    rf"[THWpofy]*(?P<c>{COL})_?[TWHpo=]*(?P<o>O)?(?P<n>[nd])(?P<more>(?:[,&|]+[p]?[nd])*)", 0.35
)
def _equals_number(f: Found) -> Sequence[Node]:
    return _numbers(f, f.place("c"), f.operator("o") if f.has("o") else "=")


def _numbers(f: Found, at: int | None, operator: Operator = "=") -> Sequence[Node]:
    found: list[Node] = [Bound(at, operator, f.place("n"))]
    for each in f.places("more", "[nd]"):
        found += [Joint("|"), Bound(at, "=", each)]
    return found


@phrase(rf"[THWpofy]*(?P<c>{COL})[TWHpo]*X[p]?(?P<n>[nd])(?P<more>)", 0.3)
def _not_number(f: Found) -> Sequence[Node]:
    return _numbers(f, f.place("c"), "<>")


@phrase(r"[THWpofy]*X[p]?(?P<n>[nd])(?P<more>)", 0.5)
def _not_number_alone(f: Found) -> Sequence[Node] | None:
    """Not 20 years old."""
    return _numbers(f, None, "<>")


@phrase(rf"[HTWpof]*(?P<n>n)[p]?(?P<c>{COL})(?P<more>)", 0.45)
def _number_before(f: Found) -> Sequence[Node]:
    return _numbers(f, f.place("c"))


@phrase(r"[HTWpofy]*(?P<n>[nd])(?P<more>(?:[|&,]+[p]?[nd])*)", 0.6)
def _number_alone(f: Found) -> Sequence[Node] | None:
    return _numbers(f, None)


@phrase(
    rf"[THWpofy]*(?P<c>{COL})?[TWHpo_]*(?P<x>X)?(?P<o>O)[op]*(?P<a>[AS])[of]?(?P<d>{COL})?", 0.35
)
def _beyond(f: Found) -> Sequence[Node] | None:
    cue, other = f.cue("o"), f.cue("a")
    aggregate = other.aggregate or ("max" if other.descending else "min")
    if aggregate == "sum":
        return None
    of = f.at("d") if f.has("d") else f.at("c")
    at = f.at("c") if f.has("c") else of
    return [Beyond(at, f.operator("o"), aggregate, of, cue.hints)]


@phrase(rf"[THWpofy]*(?P<c>{COL})?[TWHp_]*(?P<o>O)(?:o|{TAB})?(?P<v>{VAL})", 0.35)
def _beyond_row(f: Found) -> Sequence[Node] | None:
    """Older than Ann."""
    cue = f.cue("o")
    if cue.operator not in ("<", "<=", ">", ">=") or not (cue.hints or f.has("c")):
        return None
    return [BeyondRow(f.at("c"), cue.operator, f.place("v"), cue.hints)]


@phrase(rf"[THWpofy]*(?P<c>{COL})?[TWHp_]*(?P<o>O)(?P<d>{COL})?T?o?(?P<t>{TAB})", 0.45)
def _beyond_all(f: Found) -> Sequence[Node] | None:
    """Larger than that of all (the largest) or any (the smallest) of other rows."""
    first = f.place("o") + 1
    words = {word for s in f.symbols[first : f.match.end()] for word in (*s.lead, s.text)}
    cue = f.cue("o")
    if cue.operator not in ("<", "<=", ">", ">=") or not words & {"all", "any", "some"}:
        return None
    largest = ("all" in words) == cue.operator.startswith(">")
    at = f.at("c") if f.has("c") else f.at("d") if f.has("d") else None
    beyond = Beyond(at, cue.operator, "max" if largest else "min", at, cue.hints)
    return [beyond, Entity(f.place("t"))]


@phrase(rf"[THWpofy]*(?P<o>O)(?:{TAB})(?P<a>A)(?P<c>{COL})?", 0.4)
def _larger_rows_than_average(f: Found) -> Sequence[Node] | None:
    """Smaller colleges than the average."""
    return _beyond_average(f)


@phrase(rf"[THWpofy]*(?P<o>O)(?P<c>{COL})(?P<a>A)", 0.35)
def _more_than_average(f: Found) -> Sequence[Node] | None:
    """More staff than the average."""
    return _beyond_average(f)


@phrase(rf"[THWpofy]*(?P<o>O)(?P<a>A)(?P<c>{COL})", 0.35)
def _beyond_average(f: Found) -> Sequence[Node] | None:
    """Above average salary."""
    cue, other = f.cue("o"), f.cue("a")
    if cue.operator is None or other.aggregate is None or other.aggregate == "sum":
        return None
    at = f.at("c") if f.has("c") else None
    return [Beyond(at, cue.operator, other.aggregate, at, cue.hints)]


@phrase(rf"[THWpofy]*(?P<c>{COL})[TWHp_]*(?P<o>O)(?P<d>{COL})(?![nd])", 0.45)
def _columns(f: Found) -> Sequence[Node]:
    return [Columns(f.place("c"), f.operator("o"), f.place("d"))]
