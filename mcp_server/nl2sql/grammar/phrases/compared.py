"""Phrases for comparisons with numbers, dates, averages and other columns."""

from collections.abc import Sequence
from dataclasses import replace

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AGGREGATE,
    AMOUNT,
    AND,
    BETWEEN,
    BINDING,
    BOTH,
    COL,
    FIGURE,
    FOR,
    HAVE,
    IN,
    LEADING,
    LISTING_OR,
    NAME,
    NOT,
    NOTHING,
    NUMBER,
    OF,
    OR,
    OR_MORE,
    SAME,
    TAB,
    TABLE,
    THAN,
    THAT,
    TIMES,
    VAL,
    VALUE_OR_TABLE,
    WHOSE,
    WORD,
    not_before,
)
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
from mcp_server.nl2sql.grammar.phrases.matching import Found, phrase
from mcp_server.nl2sql.sql.logical import Operator

THEIRS = frozenset({"their", "its", "his", "her"})
OPPOSITE: dict[Operator, Operator] = {
    "=": "<>", ">": "<=", "<": ">=", ">=": "<", "<=": ">",
}  # fmt: skip
"""What `not` makes of a comparison."""
FROM_RIGHT: dict[Operator, Operator] = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
"""A comparison read from the other side."""


@phrase(
    LEADING.any + TAB("e") + COL("c") + (BINDING | OF).any + NOT("x").maybe + THAN("o")
    + (IN | OF | FOR).any + AMOUNT("n")
    + ((OR | AND).maybe + THAN + AMOUNT)("more").maybe, 0.35,
)  # fmt: skip
def _bounded_compound(f: Found) -> Sequence[Node] | None:
    bounded = _bounded(f)
    return None if bounded is None else [Entity(f.place("e")), *bounded]


@phrase(
    LEADING.any + COL("c") + (BINDING | OF).any + NOT("x").maybe + THAN("o")
    + (IN | OF | FOR).any + AMOUNT("n")
    + ((OR | AND).maybe + THAN + AMOUNT)("more").maybe
    + not_before(TABLE | VALUE_OR_TABLE), 0.3,
)  # fmt: skip
def _bounded(f: Found) -> Sequence[Node]:
    operator = f.operator("o")
    if f.has("x"):
        operator = OPPOSITE.get(operator, operator)
    return _and_another(f, Bound(f.place("c"), operator, f.place("n"), f.cue("o").hints))


def _and_another(f: Found, bound: Bound) -> Sequence[Node]:
    """A second bound of the same column, in the group `more`."""
    if not f.has("more"):
        return [bound]
    (word,), (value,) = f.places("more", THAN), f.places("more", AMOUNT)
    cue = f.symbols[word].cue
    assert cue is not None
    joint: list[Node] = [Joint(OR.letter)] if f.says(OR, "more") else []
    return [bound, *joint, replace(bound, operator=cue.operator or "=", value=value)]


@phrase(
    LEADING.any + COL("c") + THAN("o") + COL + AMOUNT("n") + NOTHING("more") + NOTHING("x"), 0.3
)
def _bounded_by_year(f: Found) -> Sequence[Node] | None:
    """Founded after the year 2008."""
    return _bounded(f)


@phrase(
    LEADING.any + AMOUNT("n") + THAN("o") + COL("c") + (THAN("p") + AMOUNT("m"))("more").maybe, 0.25
)
def _between_signs(f: Found) -> Sequence[Node] | None:
    """5 < age <= 20."""
    if f.cue("o").how != "sign":
        return None
    bound = Bound(f.place("c"), FROM_RIGHT.get(f.operator("o"), f.operator("o")), f.place("n"))
    if not f.has("more"):
        return [bound]
    return [bound, Bound(f.place("c"), f.operator("p"), f.place("m"))]


@phrase(LEADING.any + THAN("o") + COL("c") + (OF | IN).any + AMOUNT("n"), 0.3)
def _bound_before_column(f: Found) -> Sequence[Node]:
    return [Bound(f.place("c"), f.operator("o"), f.place("n"))]


@phrase(LEADING.any + THAN("o") + COL("c") + (IN | OF).any + NUMBER.maybe + THAN + AMOUNT("n"), 0.4)
def _more_than(f: Found) -> Sequence[Node]:
    """A larger area than 30."""
    return [Bound(f.place("c"), f.operator("o"), f.place("n"))]


@phrase(LEADING.any + NOT("x").maybe + THAN("o") + AMOUNT("n") + OF.maybe + COL("c"), 0.35)
def _bounded_before(f: Found) -> Sequence[Node]:
    """More than 4 cylinders."""
    return [Bound(f.place("c"), f.operator("o"), f.place("n"))]


@phrase(
    LEADING.any + NOT("x").maybe + THAN("o") + AMOUNT("n")
    + ((OR | AND) + THAN + AMOUNT)("more").maybe, 0.6,
)  # fmt: skip
def _bounded_alone(f: Found) -> Sequence[Node] | None:
    cue = f.cue("o")
    return _and_another(f, Bound(None, f.operator("o"), f.place("n"), cue.hints))


@phrase(LEADING.any + NUMBER("n") + OR_MORE("o") + COL("c").maybe, 0.35)
def _or_more(f: Found) -> Sequence[Node]:
    return [Bound(f.at("c"), f.operator("o"), f.place("n"), f.cue("o").hints)]


@phrase(LEADING.any + COL("c") + (BINDING | OF).any + NUMBER("n") + OR_MORE("o"), 0.3)
def _column_or_more(f: Found) -> Sequence[Node]:
    return [Bound(f.place("c"), f.operator("o"), f.place("n"))]


@phrase(
    LEADING.any + (COL("c") + (BINDING | OF).any).maybe + (BETWEEN | IN) + AMOUNT("a")
    + (AND | IN) + AMOUNT("b") + COL("d").maybe, 0.3,
)  # fmt: skip
def _between(f: Found) -> Sequence[Node]:
    return [Range(f.at("c") if f.has("c") else f.at("d"), f.place("a"), f.place("b"))]


@phrase(LEADING.any + NOTHING("c") + AMOUNT("a") + IN + AMOUNT("b") + COL("d").maybe, 0.4)
def _from_to(f: Found) -> Sequence[Node] | None:
    """100 to 200 pages."""
    return _between(f)


@phrase(
    LEADING.any + COL("c") + WORD.maybe + (THAT | WHOSE | HAVE | IN | OF | SAME).any
    + THAN("o").maybe + BOTH.maybe + AMOUNT("n")
    + (LISTING_OR.some + IN.maybe + AMOUNT).any("more"), 0.35,
)  # fmt: skip
def _equals_number(f: Found) -> Sequence[Node]:
    return _numbers(f, f.place("c"), f.operator("o") if f.has("o") else "=")


def _numbers(f: Found, at: int | None, operator: Operator = "=") -> Sequence[Node]:
    first = f.place("n")
    both = first > 0 and f.symbols[first - 1].kind in BOTH  # in *both* 2014 and 2015
    found: list[Node] = [Bound(at, operator, first)]
    for each in f.places("more", AMOUNT):
        found += [Joint(AND.letter if both else OR.letter), Bound(at, "=", each)]
    return found


@phrase(
    LEADING.any + COL("c") + (THAT | WHOSE | HAVE | IN | OF).any + NOT + IN.maybe
    + AMOUNT("n") + NOTHING("more"), 0.3,
)  # fmt: skip
def _not_number(f: Found) -> Sequence[Node]:
    return _numbers(f, f.place("c"), "<>")


@phrase(LEADING.any + NOT + IN.maybe + AMOUNT("n") + NOTHING("more"), 0.5)
def _not_number_alone(f: Found) -> Sequence[Node] | None:
    """Not 20 years old."""
    return _numbers(f, None, "<>")


@phrase(
    (HAVE | THAT | WHOSE | IN | OF | FOR).any + NUMBER("n") + IN.maybe + COL("c")
    + NOTHING("more"), 0.45,
)  # fmt: skip
def _number_before(f: Found) -> Sequence[Node]:
    return _numbers(f, f.place("c"))


@phrase(LEADING.any + AMOUNT("n") + (LISTING_OR.some + IN.maybe + AMOUNT).any("more"), 0.6)
def _number_alone(f: Found) -> Sequence[Node] | None:
    return _numbers(f, None)


@phrase(
    LEADING.any + COL("c").maybe + (BINDING | OF).any + NOT("x").maybe + THAN("o")
    + (NUMBER + TIMES)("k").maybe + (OF | IN).any + FIGURE("a") + (OF | FOR).maybe
    + COL("d").maybe, 0.35,
)  # fmt: skip
def _beyond(f: Found) -> Sequence[Node] | None:
    cue, other = f.cue("o"), f.cue("a")
    aggregate = other.aggregate or ("max" if other.descending else "min")
    if aggregate == "sum":
        return None
    of = f.at("d") if f.has("d") else f.at("c")
    at = f.at("c") if f.has("c") else of
    factor = float(f.symbols[f.place("k")].value or 1) if f.has("k") else 1.0
    return [Beyond(at, f.operator("o"), aggregate, of, cue.hints, factor=factor)]


@phrase(
    LEADING.any + COL("c").maybe + (BINDING | OF).any + THAN("o")
    + (NUMBER + TIMES)("k").maybe + (OF | IN).any + FIGURE("a")
    + TAB.maybe + OF.maybe + COL("d").maybe + (OF | FOR | IN).any + HAVE.maybe
    + SAME("s").maybe + NAME("g"), 0.3,
)  # fmt: skip
def _beyond_theirs(f: Found) -> Sequence[Node] | None:
    """More than the average of their department; longer than the average film of its own genre."""
    leads = (s.lead for s in f.symbols[f.place("a") : f.place("g") + 1])
    if not f.has("s") and not any(THEIRS & set(lead) for lead in leads):
        return None
    beyond = _beyond(f)
    if beyond is None or not isinstance(beyond[0], Beyond):
        return None
    return [replace(beyond[0], within=f.place("g"))]


@phrase(LEADING.any + COL("c").maybe + BINDING.any + THAN("o") + (OF | TAB).maybe + VAL("v"), 0.35)
def _beyond_row(f: Found) -> Sequence[Node] | None:
    """Older than Ann."""
    cue = f.cue("o")
    if cue.operator not in ("<", "<=", ">", ">=") or not (cue.hints or f.has("c")):
        return None
    return [BeyondRow(f.at("c"), cue.operator, f.place("v"), cue.hints)]


@phrase(
    LEADING.any + COL("c").maybe + BINDING.any + THAN("o") + COL("d").maybe + THAT.maybe
    + OF.maybe + TAB("t"), 0.45,
)  # fmt: skip
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


@phrase(LEADING.any + THAN("o") + TAB + AGGREGATE("a") + COL("c").maybe, 0.4)
def _larger_rows_than_average(f: Found) -> Sequence[Node] | None:
    """Smaller colleges than the average."""
    return _beyond_average(f)


@phrase(LEADING.any + THAN("o") + COL("c") + AGGREGATE("a"), 0.35)
def _more_than_average(f: Found) -> Sequence[Node] | None:
    """More staff than the average."""
    return _beyond_average(f)


@phrase(LEADING.any + THAN("o") + AGGREGATE("a") + COL("c"), 0.35)
def _beyond_average(f: Found) -> Sequence[Node] | None:
    """Above average salary."""
    cue, other = f.cue("o"), f.cue("a")
    if cue.operator is None or other.aggregate is None or other.aggregate == "sum":
        return None
    at = f.at("c") if f.has("c") else None
    return [Beyond(at, cue.operator, other.aggregate, at, cue.hints)]


@phrase(
    LEADING.any + COL("c") + (BINDING | OF).any + THAN("o") + COL("d") + not_before(AMOUNT), 0.45
)
def _columns(f: Found) -> Sequence[Node]:
    return [Columns(f.place("c"), f.operator("o"), f.place("d"))]


@phrase(LEADING.any + THAN("o") + COL("c") + COL("d") + not_before(AMOUNT), 0.35)
def _more_of_one(f: Found) -> Sequence[Node] | None:
    """With more home goals than away goals."""
    if "than" not in f.symbols[f.place("d")].lead:
        return None
    return [Columns(f.place("c"), f.operator("o"), f.place("d"))]
