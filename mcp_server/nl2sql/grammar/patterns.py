# ruff: noqa: E501 -- a pattern reads best on one line
"""Phrases as regular expressions over the symbols of a question, each with what it says.

A phrase costs something, so that few long ones are preferred to many short ones; what no phrase
covers costs more. See `symbols` for the letters.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mcp_server.nl2sql.grammar.columns import truth_values
from mcp_server.nl2sql.grammar.nodes import (
    Absent,
    Beyond,
    Bound,
    Columns,
    Common,
    Count,
    Difference,
    Entity,
    Equal,
    Flag,
    Group,
    Held,
    HowMany,
    InBoth,
    Joint,
    Limit,
    Match,
    Missing,
    Node,
    Numbered,
    Range,
    Rank,
    SameAs,
    Share,
    Show,
    Sort,
    Total,
)
from mcp_server.nl2sql.grammar.symbols import NAMED_WELL, Symbol
from mcp_server.nl2sql.grammar.vocabulary import ANYONE, Cue
from mcp_server.nl2sql.logical import Aggregate

COL = "[cbwz]"
TAB = "[tbuz]"
VAL = "[vwuzq]"
NAME = "[ctbwuz]"
TEXT = "[vwuzqctb_]"
CLEAR = frozenset("vq")


@dataclass(frozen=True, slots=True)
class Edge:
    """A phrase that covers the symbols [start, end)."""

    start: int
    end: int
    nodes: tuple[Node, ...]
    cost: float


class Found:
    """A match, and what the symbols at its groups say."""

    def __init__(self, match: re.Match[str], symbols: Sequence[Symbol]) -> None:
        self.match = match
        self.symbols = symbols

    def at(self, group: str) -> int | None:
        place = self.match.start(group)
        return None if place < 0 else place

    def place(self, group: str) -> int:
        return self.match.start(group)

    def has(self, group: str) -> bool:
        return bool(self.match[group])

    def cue(self, group: str) -> Cue:
        found = self.symbols[self.match.start(group)].cue
        assert found is not None
        return found

    def places(self, group: str, kinds: str) -> list[int]:
        """Where in a group symbols of some kinds stand."""
        first, last = self.match.span(group)
        return [i for i in range(first, last) if re.match(kinds, self.symbols[i].kind)]

    def kinds(self, group: str) -> str:
        return self.match[group] or ""


Build = Callable[[Found], Sequence[Node] | None]
PATTERNS: list[tuple[re.Pattern[str], float, Build]] = []


def phrase(pattern: str, cost: float = 0.3) -> Callable[[Build], Build]:
    """Register what builds the nodes of a pattern."""

    def register(build: Build) -> Build:
        PATTERNS.append((re.compile(pattern), cost, build))
        return build

    return register


def edges(symbols: Sequence[Symbol]) -> Iterator[Edge]:
    """Every phrase of a question."""
    code = "".join(symbol.kind for symbol in symbols)
    for pattern, cost, build in PATTERNS:
        for start in range(len(code)):
            match = pattern.match(code, start)
            if match is None or match.end() == start:
                continue
            nodes = build(Found(match, symbols))
            if nodes:
                yield Edge(start, match.end(), tuple(nodes), cost + _doubt(nodes, symbols))


def _doubt(nodes: Sequence[Node], symbols: Sequence[Symbol]) -> float:
    """What it costs to read a symbol in the less likely of its ways."""
    cost = 0.0
    for node in nodes:
        match node:
            case Flag(at=at):
                ref = symbols[at].ref
                if ref is None or not any(truth_values(column) for column, _ in ref.columns):
                    return 5.0
            case Equal(values=values):
                cost += 0.25 * sum(symbols[v].kind not in CLEAR for v in values)
            case Show(at=at) | Group(at=at) | Sort(at=int(at)):
                ref = symbols[at].ref
                if ref is not None:
                    cost += 0.4 * max(0.0, ref.best_table - ref.best_column)
                    cost += 0.5 * (1 - ref.best_column)
            case Entity(at=at) | Absent(at=at):
                ref = symbols[at].ref
                if ref is not None:
                    cost += 0.5 * max(0.0, ref.best_column - ref.best_table)
                    cost += 0.5 * (1 - ref.best_table)
            case _:
                pass
    return cost


# what is shown ------------------------------------------------------------------------------------


@phrase(rf"(?P<d>D)?(?P<c>{COL})", 0.3)
def _column(f: Found) -> Sequence[Node]:
    return [Show(f.place("c"), distinct=f.has("d"))]


@phrase(rf"(?P<l>{COL}(?:[,&]+{COL})+)[of](?P<t>{TAB})", 0.5)
def _listed(f: Found) -> Sequence[Node]:
    """The name, age and city of the members."""
    shows = [Show(each) for each in f.places("l", COL)]
    return [*shows, Entity(f.place("t"), owner=True)]


@phrase(rf"(?P<d>D)?(?P<e>{TAB})(?P<c>{COL})", 0.32)
def _compound(f: Found) -> Sequence[Node]:
    """The room price: a column of a room."""
    return [Entity(f.place("e")), Show(f.place("c"), distinct=f.has("d"))]


@phrase(rf"(?P<a>A(?:[,&|]*[AS])*)[of]?(?P<d>D)?(?P<e>{TAB})(?P<c>{COL})", 0.32)
def _aggregated_compound(f: Found) -> Sequence[Node]:
    kinds = [_aggregate(f.symbols[each]) for each in f.places("a", "[AS]")]
    return [Entity(f.place("e")), *(Show(f.place("c"), kind, f.has("d")) for kind in kinds)]


@phrase(rf"(?P<a>A(?:[,&|]*[AS])*)[of_]?(?P<d>D)?(?P<c>{COL})(?P<more>(?:,?&?{COL})*)", 0.3)
def _aggregated(f: Found) -> Sequence[Node]:
    at = f.place("c")
    found: list[Node] = [
        Show(at, _aggregate(f.symbols[each]), f.has("d")) for each in f.places("a", "[AS]")
    ]
    if not f.has("more"):
        return found
    aggregate = found[-1].aggregate if isinstance(found[-1], Show) else None
    return [*found, *(Show(each, aggregate) for each in f.places("more", COL))]


@phrase(rf"(?P<a>A(?:[,&|]*[AS])*)[of]?(?P<c>{COL})", 0.32)
def _aggregated_alone(f: Found) -> Sequence[Node]:
    return [Show(f.place("c"), _aggregate(f.symbols[each])) for each in f.places("a", "[AS]")]


@phrase(rf"(?P<c>{COL})[,]?(?P<a>A(?:[,&|]*A)+)", 0.4)
def _aggregated_behind(f: Found) -> Sequence[Node]:
    return [Show(f.place("c"), _aggregate(f.symbols[each])) for each in f.places("a", "A")]


@phrase(rf"(?P<s>S(?:[,&|]*[SA])*)(?P<e>{TAB})?(?P<c>{COL})", 0.55)
def _extreme(f: Found) -> Sequence[Node]:
    """The highest price: a value."""
    entity: list[Node] = [Entity(f.place("e"))] if f.has("e") else []
    kinds = [_aggregate(f.symbols[each]) for each in f.places("s", "[SA]")]
    return [*entity, *(Show(f.place("c"), kind) for kind in kinds)]


def _aggregate(symbol: Symbol) -> Aggregate:
    """`average` and `highest` as functions."""
    cue = symbol.cue
    assert cue is not None
    return cue.aggregate or ("max" if cue.descending else "min")


@phrase(rf"(?P<a>A)(?P<t>{TAB})", 0.5)
def _total_rows(f: Found) -> Sequence[Node] | None:
    """The total purchases: how many. The average rating: of what rows measure."""
    aggregate = f.cue("a").aggregate
    return [Count(f.place("t"))] if aggregate == "sum" else [Show(f.place("t"), aggregate)]


@phrase(rf"(?P<c>{COL})o(?P<t>{TAB})&o?(?P<u>{TAB})", 0.45)
def _of_both(f: Found) -> Sequence[Node]:
    """The names of dogs and owners."""
    at = f.place("c")
    return [Show(at), Entity(f.place("t"), owner=True), Show(at), Entity(f.place("u"), owner=True)]


@phrase(r"m", 0.3)
def _times(f: Found) -> Sequence[Node]:
    return [Count(None)]


@phrase(r"[THWpofy]*(?P<o>O)?(?P<n>n)(?P<p>\+)?x", 0.3)
def _so_often(f: Found) -> Sequence[Node]:
    """More than three times."""
    operator = f.cue("o").operator if f.has("o") else f.cue("p").operator if f.has("p") else "="
    assert operator is not None
    return [HowMany(None, operator, f.place("n"))]


@phrase(rf"#D(?P<l>{COL}(?:[,&]+{COL})+)", 0.35)
def _counted_each(f: Found) -> Sequence[Node]:
    """How many different cities and countries."""
    return [Count(each, distinct=True) for each in f.places("l", COL)]


@phrase(rf"#(?P<d>D)?[_o]*(?P<e>{TAB})(?P<c>{COL})", 0.4)
def _counted_compound(f: Found) -> Sequence[Node] | None:
    """How many different product types."""
    ref = f.symbols[f.place("c")].ref
    if ref is None or ref.best_column < NAMED_WELL:
        return None
    return [Entity(f.place("e")), Count(f.place("c"), f.has("d"))]


@phrase(rf"#D?(?P<v>{VAL})", 0.4)
def _counted_kind(f: Found) -> Sequence[Node]:
    """How many dogs, where dogs are a value."""
    return [Count(f.place("v")), Equal(None, (f.place("v"),))]


@phrase(r"#[pHT]*(?=[.G]|$)", 0.5)
def _how_many(f: Found) -> Sequence[Node]:
    """... and how many?"""
    return [Count(None)]


@phrase(rf"2(?P<t>{TAB})&(?P<u>{TAB})", 0.35)
def _in_both(f: Found) -> Sequence[Node]:
    """Where both owners and guests live."""
    return [InBoth(f.place("t"), f.place("u"))]


@phrase(rf"[THWpofy]*2(?P<v>{VAL})(?P<t>{TAB})?&(?P<w>{VAL})(?P<u>{TAB})", 0.35)
def _both_kinds(f: Found) -> Sequence[Node]:
    """Both foreign students and local students."""
    return [Entity(f.place("u")), Equal(None, (f.place("v"), f.place("w")), joint="2")]


@phrase(rf"#(?P<d>D)?[_o]*(?P<v>(?:{VAL}[,&|]*)*)(?P<x>{NAME})", 0.3)
def _counted(f: Found) -> Sequence[Node]:
    found: list[Node] = [Count(f.place("x"), f.has("d"))]
    if f.has("v"):
        found.append(Equal(None, tuple(f.places("v", VAL))))
    return found


@phrase(rf"%(?P<v>(?:{VAL}[,&|]*)*)(?P<x>{TAB})", 0.3)
def _share(f: Found) -> Sequence[Node]:
    found: list[Node] = [Share(f.place("x"))]
    if f.has("v"):
        found.append(Equal(None, tuple(f.places("v", VAL))))
    return found


# whose rows ---------------------------------------------------------------------------------------


@phrase(rf"(?P<o>[of])?[py]?D?(?P<t>{TAB})", 0.25)
def _entity(f: Found) -> Sequence[Node]:
    return [Entity(f.place("t"), owner=f.has("o"))]


@phrase(rf"[of]?(?P<v>{VAL}(?:[,&|]*{VAL})*)(?P<t>{TAB})", 0.3)
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


@phrase(rf"[yofp]*G[D]?(?P<x>{NAME})", 0.25)
def _each(f: Found) -> Sequence[Node]:
    return [Group(f.place("x"))]


@phrase(rf"[yofp]*G[D]?(?P<e>{TAB})(?P<x>{COL})", 0.3)
def _each_compound(f: Found) -> Sequence[Node]:
    return [Entity(f.place("e")), Group(f.place("x"))]


@phrase(rf"[yofp]*G[D]?(?P<x>{COL})&G?(?P<y>{COL})", 0.3)
def _each_pair(f: Found) -> Sequence[Node]:
    return [Group(f.place("x")), Group(f.place("y"))]


@phrase(rf"y(?P<x>{NAME})", 0.45)
def _by(f: Found) -> Sequence[Node]:
    return [Group(f.place("x"))]


# comparisons --------------------------------------------------------------------------------------


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
def _bounded(f: Found) -> Sequence[Node] | None:
    operator = f.cue("o").operator
    assert operator is not None
    if f.has("x"):
        operator = {"=": "<>", ">": "<=", "<": ">=", ">=": "<", "<=": ">"}.get(operator, operator)  # type: ignore[assignment]
    found: list[Node] = [Bound(f.place("c"), operator, f.place("n"), f.cue("o").hints)]
    if f.has("more"):
        second = f.symbols[f.places("more", "O")[0]].cue
        assert second is not None and second.operator is not None
        joint = [Joint("|")] if "|" in f.kinds("more") else []
        found += [*joint, Bound(f.place("c"), second.operator, f.places("more", "[nd]")[0])]
    return found


@phrase(rf"[THWpofy]*(?P<c>{COL})(?P<o>O){COL}(?P<n>[nd])(?P<more>)(?P<x>)", 0.3)
def _bounded_by_year(f: Found) -> Sequence[Node] | None:
    """Founded after the year 2008."""
    return _bounded(f)


@phrase(rf"[THWpofy]*(?P<o>O)(?P<c>{COL})[op]*(?P<n>[nd])", 0.3)
def _bound_before_column(f: Found) -> Sequence[Node] | None:
    operator = f.cue("o").operator
    assert operator is not None
    return [Bound(f.place("c"), operator, f.place("n"))]


@phrase(rf"[THWpofy]*(?P<o>O)(?P<c>{COL})[po]*n?O(?P<n>[nd])", 0.4)
def _more_than(f: Found) -> Sequence[Node] | None:
    """A larger area than 30."""
    operator = f.cue("o").operator
    assert operator is not None
    return [Bound(f.place("c"), operator, f.place("n"))]


@phrase(rf"[THWpofy]*(?P<x>X)?(?P<o>O)(?P<n>[nd])o?(?P<c>{COL})", 0.35)
def _bounded_before(f: Found) -> Sequence[Node] | None:
    """More than 4 cylinders."""
    operator = f.cue("o").operator
    assert operator is not None
    return [Bound(f.place("c"), operator, f.place("n"))]


@phrase(r"[THWpofy]*(?P<x>X)?(?P<o>O)(?P<n>[nd])(?P<more>[|&]O[nd])?", 0.6)
def _bounded_alone(f: Found) -> Sequence[Node] | None:
    cue = f.cue("o")
    assert cue.operator is not None
    cost = [Bound(None, cue.operator, f.place("n"), cue.hints)]
    if f.has("more"):
        second = f.symbols[f.places("more", "O")[0]].cue
        assert second is not None and second.operator is not None
        joint: list[Node] = [Joint("|")] if "|" in f.kinds("more") else []
        return [*cost, *joint, Bound(None, second.operator, f.places("more", "[nd]")[0], cue.hints)]
    return cost


@phrase(rf"[THWpofy]*(?P<n>n)(?P<o>\+)(?P<c>{COL})?", 0.35)
def _or_more(f: Found) -> Sequence[Node] | None:
    operator = f.cue("o").operator
    assert operator is not None
    return [Bound(f.at("c"), operator, f.place("n"), f.cue("o").hints)]


@phrase(rf"[THWpofy]*(?P<c>{COL})[TWHpo_]*(?P<n>n)(?P<o>\+)", 0.3)
def _column_or_more(f: Found) -> Sequence[Node] | None:
    operator = f.cue("o").operator
    assert operator is not None
    return [Bound(f.place("c"), operator, f.place("n"))]


@phrase(rf"[THWpofy]*(?:(?P<c>{COL})[TWHpo_]*)?(?:K|p)(?P<a>[nd])[&p](?P<b>[nd])(?P<d>{COL})?", 0.3)
def _between(f: Found) -> Sequence[Node]:
    return [Range(f.at("c") if f.has("c") else f.at("d"), f.place("a"), f.place("b"))]


@phrase(
    rf"[THWpofy]*(?P<c>{COL})_?[TWHpo=]*(?P<o>O)?(?P<n>[nd])(?P<more>(?:[,&|]+[p]?[nd])*)", 0.35
)
def _equals_number(f: Found) -> Sequence[Node] | None:
    operator = f.cue("o").operator if f.has("o") else "="
    assert operator is not None
    return _numbers(f, f.place("c"), operator)


def _numbers(f: Found, at: int | None, operator: str = "=") -> Sequence[Node]:
    found: list[Node] = [Bound(at, operator, f.place("n"))]  # type: ignore[arg-type]
    for each in f.places("more", "[nd]"):
        found += [Joint("|"), Bound(at, "=", each)]
    return found


@phrase(rf"[THWpofy]*(?P<c>{COL})[TWHpo]*X[p]?(?P<n>[nd])(?P<more>)", 0.3)
def _not_number(f: Found) -> Sequence[Node] | None:
    return _numbers(f, f.place("c"), "<>")


@phrase(rf"[HTWpof]*(?P<n>n)[p]?(?P<c>{COL})(?P<more>)", 0.45)
def _number_before(f: Found) -> Sequence[Node] | None:
    return _numbers(f, f.place("c"))


@phrase(r"[HTWpofy]*(?P<n>[nd])(?P<more>(?:[|&,]+[p]?[nd])*)", 0.6)
def _number_alone(f: Found) -> Sequence[Node] | None:
    return _numbers(f, None)


@phrase(
    rf"[THWpofy]*(?P<c>{COL})?[TWHpo_]*(?P<x>X)?(?P<o>O)[op]*(?P<a>[AS])[of]?(?P<d>{COL})?", 0.35
)
def _beyond(f: Found) -> Sequence[Node] | None:
    cue, other = f.cue("o"), f.cue("a")
    assert cue.operator is not None
    aggregate = other.aggregate or ("max" if other.descending else "min")
    if aggregate == "sum":
        return None
    of = f.at("d") if f.has("d") else f.at("c")
    return [Beyond(f.at("c") if f.has("c") else of, cue.operator, aggregate, of, cue.hints)]


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
    if cue.operator is None or other.aggregate in (None, "sum"):
        return None
    at = f.at("c") if f.has("c") else None
    return [Beyond(at, cue.operator, other.aggregate, at, cue.hints)]  # type: ignore[arg-type]


@phrase(rf"[THWpofy]*(?P<c>{COL})[TWHp_]*(?P<o>O)(?P<d>{COL})(?![nd])", 0.45)
def _columns(f: Found) -> Sequence[Node] | None:
    operator = f.cue("o").operator
    assert operator is not None
    return [Columns(f.place("c"), operator, f.place("d"))]


# values -------------------------------------------------------------------------------------------

_LIST = rf"{VAL}(?:[,&|]+[pofy]?{VAL})*"


def _equal(f: Found, at: int | None) -> Sequence[Node] | None:
    text = f.kinds("v")
    if at is not None and f.symbols[at].kind in "cw":
        known = [f.symbols[v] for v in f.places("v", VAL) if f.symbols[v].kind != "q"]
        if known and not any(_holds(f.symbols[at], each) for each in known):
            return None  # the value is of another column
    joint = "|" if "|" in text else "&" if "&" in text else ","
    values = tuple(f.places("v", VAL))
    both = f.symbols[f.place("v") - 1].kind == "2" if f.place("v") else False
    return [Equal(at, values, f.has("x"), "2" if both else joint if len(values) > 1 else "")]


@phrase(rf"[THWpofyL]*(?P<c>{COL})[TWHpofyL=_]*(?P<x>X)?[pofy=O]*2?(?P<v>{_LIST})", 0.3)
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


@phrase(rf"[THWp]*(?P<x>X)?[py]*(?P<c>{COL})", 0.5)
def _flag(f: Found) -> Sequence[Node]:
    """Who are retired; the acting heads."""
    return [Flag(f.place("c"), f.has("x"))]


@phrase(rf"[of]?(?P<x>X)?(?P<c>{COL})(?P<t>{TAB})", 0.4)
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
    if f.match[0][0] in "vwuzq" and not _holds(f.symbols[f.place("c")], f.symbols[f.place("v")]):
        return [Show(f.place("c")), *(_equal(f, None) or ())]
    return _equal(f, f.at("c"))


def _holds(named: Symbol, value: Symbol) -> bool:
    """Whether a column that is named holds a value."""
    columns = {column for column, _ in named.ref.columns} if named.ref is not None else set()
    return value.ref is not None and any(column in columns for column, _ in value.ref.values)


@phrase(rf"[THpof]*(?P<t>{TAB})[Hpo=]*(?P<x>X)?[p]?2?(?P<v>{_LIST})", 0.4)
def _row_called(f: Found) -> Sequence[Node]:
    """The product X: a value of that table."""
    equal = _equal(f, f.place("t")) or ()
    return [Entity(f.place("t"), owner=f.match[0][0] in "of"), *equal]


@phrase(rf"[THWpofy]*(?P<c>{COL})W{COL}(?P<l>L)(?P<v>{TEXT})(?P<more>)", 0.3)
def _named_pattern(f: Found) -> Sequence[Node]:
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


@phrase(rf"[THpofy]*=(?P<c>{COL})[pofyT]*(?P<v>{VAL})", 0.3)
def _same_as(f: Found) -> Sequence[Node]:
    return [SameAs(f.place("c"), f.place("v"))]


# how many, and which first ------------------------------------------------------------------------


@phrase(rf"[THW]+{COL}(?P<o>O)(?P<n>n)[D_]?(?P<t>{TAB})", 0.6)
def _verb_at_least(f: Found) -> Sequence[Node] | None:
    """That advise more than 2 students, where a column is named like the verb."""
    return _at_least(f)


@phrase(rf"[THWpofy&]*#?(?P<x>X)?(?P<o>O)(?P<n>n)[D_]?(?P<t>{TAB})", 0.3)
def _at_least(f: Found) -> Sequence[Node] | None:
    operator = f.cue("o").operator
    assert operator is not None
    return [HowMany(f.place("t"), operator, f.place("n"))]


@phrase(rf"[THWpofy&]*(?P<n>n)(?P<o>\+)[D_]?(?P<t>{TAB})", 0.3)
def _n_or_more(f: Found) -> Sequence[Node] | None:
    operator = f.cue("o").operator
    assert operator is not None
    return [HowMany(f.place("t"), operator, f.place("n"))]


@phrase(rf"[THWpofy&]*(?:K|p)?(?P<a>n)[&p](?P<b>n)(?P<t>{TAB})", 0.35)
def _from_so_many(f: Found) -> Sequence[Node]:
    at = f.place("t")
    return [HowMany(at, ">=", f.place("a")), HowMany(at, "<=", f.place("b"))]


@phrase(r"[THWpofy&]*(?P<o>O)(?P<n>n)(?P<w>_)", 0.45)
def _so_many_of_them(f: Found) -> Sequence[Node] | None:
    """At least three people."""
    operator = f.cue("o").operator
    assert operator is not None
    if f.symbols[f.place("w")].text.lower() not in ANYONE:
        return None
    return [HowMany(None, operator, f.place("n"))]


@phrase(r"[THWpofy&]*(?P<k>n)?(?P<s>S)(?P<m>n)?#?(?P<w>[_m])", 0.4)
def _most_of_them(f: Found) -> Sequence[Node] | None:
    """With the most people; the greatest number of times."""
    cue, word = f.cue("s"), f.symbols[f.place("w")]
    if cue.hints or (word.kind == "_" and word.text.lower() not in ANYONE):
        return None
    return [Rank(cue.descending, None, _count(f), "count")]


@phrase(rf"[THpofy&]*[H_](?P<n>n)D?(?P<t>{TAB})", 0.45)
def _exactly(f: Found) -> Sequence[Node] | None:
    return [HowMany(f.place("t"), "=", f.place("n"))]


@phrase(rf"[THWpofy&]*#(?P<t>{TAB})[pofyTH_]*(?P<o>O)(?P<n>n)", 0.35)
def _number_of_is(f: Found) -> Sequence[Node] | None:
    operator = f.cue("o").operator
    assert operator is not None
    return [HowMany(f.place("t"), operator, f.place("n"))]


@phrase(rf"[THWpofy&]*(?P<a>A)(?P<c>{COL})[pofyTH_]*(?P<o>O)(?P<n>n)", 0.35)
def _total(f: Found) -> Sequence[Node] | None:
    operator, aggregate = f.cue("o").operator, f.cue("a").aggregate
    assert operator is not None and aggregate is not None
    return [Total(f.place("c"), aggregate, operator, f.place("n"))]


_COUNTED = r"(?P<k>n)?(?P<s>S)(?P<m>n)?"


def _count(f: Found) -> int | None:
    return f.at("k") if f.has("k") else f.at("m")


def _relative(f: Found) -> bool:
    return f.match[0][0] in "THWpo"


@phrase(rf"S(?P<n>n)(?P<t>{TAB})", 0.35)
def _top(f: Found) -> Sequence[Node] | None:
    """The top 3 countries (with the most people)."""
    if f.symbols[f.match.start()].cue.hints:  # type: ignore[union-attr]
        return None
    return [Entity(f.place("t"), owner=True), Limit(f.place("n"))]


@phrase(rf"(?P<o>[of])?[pyTH]*(?P<t>{TAB})(?P<n>n)(?![+xctbwz])", 0.5)
def _numbered(f: Found) -> Sequence[Node]:
    """Customer 10: the row with that number."""
    return [Entity(f.place("t"), owner=f.has("o")), Numbered(f.place("t"), f.place("n"))]


@phrase(rf"(?P<n>n)(?P<c>{COL})", 0.6)
def _so_many_values(f: Found) -> Sequence[Node]:
    """Which 3 cities (have the most members)?"""
    return [Show(f.place("c")), Limit(f.place("n"))]


@phrase(rf"[of]?(?P<n>n)(?P<t>{TAB})", 0.5)
def _so_many(f: Found) -> Sequence[Node]:
    """The 3 countries (with the most people)."""
    return [Entity(f.place("t"), owner=True), Limit(f.place("n"))]


@phrase(rf"[THWpofy&]*(?:S(?=n?S))?(?P<k>n)?(?P<s>S)(?P<m>n)?(?P<num>#)?[D_]?(?P<x>{NAME})", 0.35)
def _ranked(f: Found) -> Sequence[Node]:
    cue = f.cue("s")
    counted = f.has("num") or (not cue.hints and f.kinds("x") in "tu")
    return [
        Rank(
            cue.descending,
            f.place("x"),
            _count(f),
            "count" if counted else None,
            cue.hints,
            _relative(f),
        )
    ]


@phrase(rf"[THWpofy&]*(?P<k>n)?(?P<s>S)(?P<m>n)?#?(?P<v>{VAL})(?P<t>{TAB})", 0.35)
def _most_of_kind(f: Found) -> Sequence[Node] | None:
    """By the most female students."""
    cue = f.cue("s")
    if cue.hints:
        return None
    rank = Rank(cue.descending, f.place("t"), _count(f), "count", (), _relative(f))
    return [rank, Equal(None, (f.place("v"),))]


@phrase(rf"[THWpofy&]*(?P<k>n)?(?P<s>S)(?P<m>n)?(?P<a>A)[of]?(?P<c>{NAME})", 0.3)
def _ranked_by_aggregate(f: Found) -> Sequence[Node]:
    cue = f.cue("s")
    return [Rank(cue.descending, f.place("c"), _count(f), f.cue("a").aggregate, (), _relative(f))]


@phrase(rf"(?P<k>n)?(?P<s>S)(?P<m>n)?_?(?P<t>{TAB})(?P<c>{COL})", 0.5)
def _of_oldest(f: Found) -> Sequence[Node] | None:
    """How much did the latest ticket cost?"""
    nodes = _oldest(f)
    return None if nodes is None else [Show(f.place("c")), *nodes]


@phrase(rf"[o]?(?P<k>n)?(?P<s>S)(?P<m>n)?_?(?P<t>{TAB})", 0.3)
def _oldest(f: Found) -> Sequence[Node] | None:
    """The oldest member."""
    cue = f.cue("s")
    if not cue.hints:
        return None
    return [Entity(f.place("t"), owner=f.match[0][0] == "o"),
            Rank(cue.descending, None, _count(f), None, cue.hints)]  # fmt: skip


@phrase(rf"[o]?(?P<k>n)?(?P<s>S)(?P<m>n)?(?P<v>{VAL})(?P<t>{TAB})", 0.35)
def _oldest_of_kind(f: Found) -> Sequence[Node] | None:
    nodes = _oldest(f)
    return None if nodes is None else [*nodes, Equal(None, (f.place("v"),))]


@phrase(r"[THWpof]*(?P<k>n)?(?P<s>S)(?P<m>n)?", 0.6)
def _is_oldest(f: Found) -> Sequence[Node] | None:
    cue = f.cue("s")
    if not cue.hints:
        return None
    return [Rank(cue.descending, None, _count(f), None, cue.hints, relative=True)]


@phrase(rf"[THWpof]*(?P<c>{COL})[THp]*(?P<k>n)?(?P<s>[SA])(?P<m>n)?", 0.4)
def _column_is_largest(f: Found) -> Sequence[Node] | None:
    cue = f.cue("s")
    if cue.kind == "A":
        if cue.aggregate not in ("max", "min"):
            return None
        return [Rank(cue.aggregate == "max", f.place("c"), _count(f), relative=True)]
    return [Rank(cue.descending, f.place("c"), _count(f), relative=True)]


@phrase(rf"[THpo]+(?P<a>A)(?P<c>{COL})", 0.5)
def _with_maximum(f: Found) -> Sequence[Node] | None:
    """With the maximum score: a row."""
    aggregate = f.cue("a").aggregate
    if aggregate not in ("max", "min"):
        return None
    return [Rank(aggregate == "max", f.place("c"), relative=True)]


@phrase(rf"[THWpofy]*(?P<k>n)?(?P<m>M)(?:_o)?(?P<x>{NAME})?", 0.3)
def _common(f: Found) -> Sequence[Node]:
    return [Common(f.cue("m").descending, f.at("x"), f.at("k"))]


@phrase(rf"[THWpofy]*(?P<c>{COL})[TH_p]*(?P<m>M)", 0.4)
def _column_most_common(f: Found) -> Sequence[Node]:
    return [Common(f.cue("m").descending, f.place("c"))]


# order --------------------------------------------------------------------------------------------


@phrase(
    rf"[&,p]*(?P<z1>Z)?(?P<r>R)(?P<z2>Z)?[opyf]*(?P<n>#)?(?P<a>A)?(?P<x>{NAME})(?P<more>(?:[,&]+{COL})*)[p&,]*(?P<z>Z)?",
    0.25,
)
def _sorted(f: Found) -> Sequence[Node]:
    down = next((f.cue(g).descending for g in ("z", "z1", "z2") if f.has(g)), False)
    aggregate = "count" if f.has("n") else f.cue("a").aggregate if f.has("a") else None
    more = [Sort(each, down) for each in f.places("more", COL)]
    return [Sort(f.place("x"), down, aggregate), *more]


@phrase(rf"R(?P<e>{TAB})?(?P<c>{COL})(?:o{TAB})?y(?P<x>{NAME})(?P<z>Z)?", 0.3)
def _sort_names(f: Found) -> Sequence[Node]:
    """Sort the employee names by age."""
    entity: list[Node] = [Entity(f.place("e"))] if f.has("e") else []
    down = f.has("z") and f.cue("z").descending
    return [*entity, Show(f.place("c")), Sort(f.place("x"), down)]


@phrase(rf"R{TAB}y(?P<x>{NAME})(?P<z>Z)?", 0.3)
def _sort_rows(f: Found) -> Sequence[Node]:
    return [Entity(f.match.start() + 1), Sort(f.place("x"), f.has("z") and f.cue("z").descending)]


@phrase(rf"[&,p]*(?P<r>R)?(?P<z>Z)[opyf]*(?P<n>#)?(?P<a>A)?_?(?P<x>{NAME})?", 0.3)
def _directed(f: Found) -> Sequence[Node]:
    aggregate = "count" if f.has("n") else f.cue("a").aggregate if f.has("a") else None
    return [Sort(f.at("x"), f.cue("z").descending, aggregate)]


@phrase(r"[&,p]*R[&,p]*Z", 0.3)
def _sorted_somehow(f: Found) -> Sequence[Node]:
    last = f.symbols[f.match.end() - 1].cue
    return [Sort(None, last is not None and last.descending)]


# arithmetic ---------------------------------------------------------------------------------------


@phrase(rf"_[pKbo]*(?P<a>[AS])(?P<c>{COL})?&(?P<b>[AS])(?P<d>{COL})", 0.5)
def _difference_of_aggregates(f: Found) -> Sequence[Node] | None:
    if f.symbols[f.match.start()].text.lower() != "difference":
        return None
    at = f.place("d")
    sides = []
    for group in ("a", "b"):
        cue = f.cue(group)
        sides.append(Show(f.place("c") if group == "a" and f.has("c") else at,
                          cue.aggregate or ("max" if cue.descending else "min")))  # fmt: skip
    return [Difference("-", *sides)]


@phrase(rf"_[pKo]*(?P<c>{COL})&(?P<d>{COL})", 0.45)
def _arithmetic(f: Found) -> Sequence[Node] | None:
    """The difference between X and Y; the ratio of X to Y."""
    operator = {"difference": "-", "product": "*", "ratio": "/", "quotient": "/"}.get(
        f.symbols[f.match.start()].text.lower()
    )
    if operator is None:
        return None
    return [Difference(operator, Show(f.place("c")), Show(f.place("d")))]  # type: ignore[arg-type]


@phrase(rf"_o(?P<c>{COL})p(?P<d>{COL})", 0.45)
def _ratio(f: Found) -> Sequence[Node] | None:
    if f.symbols[f.match.start()].text.lower() != "ratio":
        return None
    return [Difference("/", Show(f.place("c")), Show(f.place("d")))]


# words between ------------------------------------------------------------------------------------


@phrase(r"[&|!,.2]", 0.02)
def _between_phrases(f: Found) -> Sequence[Node]:
    return [Joint(f.match[0])]
