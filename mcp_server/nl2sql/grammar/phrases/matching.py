"""How phrases are written: patterns over symbols, and what each of them builds.

A phrase costs something, so that few long ones are preferred to many short ones; what no phrase
covers costs more.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcp_server.nl2sql.grammar.alphabet.kinds import LISTING, QUOTED, VALUE, Kinds, Pattern
from mcp_server.nl2sql.grammar.alphabet.vocabulary import Cue
from mcp_server.nl2sql.grammar.columns import is_done, truth_values, when_done
from mcp_server.nl2sql.grammar.nodes import (
    Absent,
    Count,
    Entity,
    Equal,
    Flag,
    Group,
    Joint,
    Node,
    Show,
    Sort,
)
from mcp_server.nl2sql.grammar.symbols import SURE, Symbol
from mcp_server.nl2sql.sql.logical import Aggregate, Operator

CLEAR = VALUE | QUOTED
"""What can be nothing but a value."""
DOING = frozenset("they he she we it i you is are was were be been have has had".split())  # noqa: SIM905
DONE_COUNTED = 0.8
"""What it costs to count the values of a column that is named like what was done: `paid`."""
VALUE_COUNTED = 0.6
"""What it costs to count those of a column that holds a value of that name elsewhere."""
DOER_SHOWN = 1.5
"""What it costs to show who did something, where the question names them: `referred by Ann`."""
VERB_SHOWN = 0.8
"""What it costs to show a column that is named like a verb."""


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
        """The place of a group; None where it took no part."""
        place = self.match.start(group)
        return None if place < 0 else place

    def place(self, group: str) -> int:
        """The place of a group that took part."""
        return self.match.start(group)

    def has(self, group: str) -> bool:
        """Whether a group took part."""
        return bool(self.match[group])

    def cue(self, group: str) -> Cue:
        """The cue at a group."""
        found = self.symbols[self.match.start(group)].cue
        assert found is not None
        return found

    def operator(self, group: str) -> Operator:
        """The comparison that the cue at a group says."""
        found = self.cue(group).operator
        assert found is not None, "a comparing phrase has an operator"
        return found

    def places(self, group: str, kinds: Kinds) -> list[int]:
        """Where in a group symbols of some kinds stand."""
        first, last = self.match.span(group)
        return [i for i in range(first, last) if self.symbols[i].kind in kinds]

    def begins(self, kinds: Kinds) -> bool:
        """Whether the first symbol is of some kinds."""
        return self.match[0][0] in kinds

    def says(self, kinds: Kinds, group: str | None = None) -> bool:
        """Whether a symbol of a group, or of all that was found, is of some kinds."""
        return any(kind in kinds for kind in self.match[group or 0] or "")


Build = Callable[[Found], Sequence[Node] | None]
PATTERNS: list[tuple[re.Pattern[str], float, Build]] = []


ANOTHER = frozenset({"other than", "besides", "apart from"})


def is_another(found: Found, group: str) -> bool:
    """Whether a `not` says that something is another, rather than not there: a town *other than*
    the home town.
    """
    return found.symbols[found.place(group)].text.lower() in ANOTHER


def phrase(pattern: Pattern, cost: float = 0.3) -> Callable[[Build], Build]:
    """Register what builds the nodes of a pattern."""

    def register(build: Build) -> Build:
        PATTERNS.append((re.compile(pattern.regex), cost, build))
        return build

    return register


def doubt(nodes: Sequence[Node], symbols: Sequence[Symbol]) -> float:
    """What it costs to read a symbol in the less likely of its ways."""
    cost = 0.0
    for node in nodes:
        match node:
            case Flag(at=at):
                ref = symbols[at].ref
                if ref is None or not any(truth_values(column) for column, _ in ref.columns):
                    return 5.0 if when_done(symbols[at]) is None else 0.0
            case Equal(values=values):
                cost += 0.25 * sum(symbols[v].kind not in CLEAR for v in values)
            case Group(at=at):
                ref = symbols[at].ref
                if ref is not None:
                    cost += 0.5 * (1 - max(ref.best_column, ref.best_table))
            case Count(at=int(at)):
                ref = symbols[at].ref
                if ref is not None and ref.best_column > ref.best_table:
                    cost += DONE_COUNTED * is_done(symbols[at])
                    cost += VALUE_COUNTED * (bool(ref.values) and ref.best_column < SURE)
            case Show(at=at) | Sort(at=int(at)):
                ref = symbols[at].ref
                if ref is not None:
                    cost += 0.4 * max(0.0, ref.best_table - ref.best_column)
                    cost += 0.5 * (1 - ref.best_column)
                if isinstance(node, Show) and symbols[at].text.lower().endswith(" by"):
                    cost += DOER_SHOWN
                if isinstance(node, Show) and _is_verb(symbols[at]):
                    cost += VERB_SHOWN
            case Entity(at=at) | Absent(at=at):
                ref = symbols[at].ref
                if ref is not None:
                    cost += 0.5 * max(0.0, ref.best_column - ref.best_table)
                    cost += 0.5 * (1 - ref.best_table)
                    alike = sum(score > ref.best_table - 0.01 for _, score in ref.tables)
                    cost += 0.2 * min(5, alike - 1)
            case _:
                pass
    return cost


def _is_verb(symbol: Symbol) -> bool:
    """Whether the words before it say that it is done: `they attended`, `are assigned to`."""
    done = symbol.text.lower().endswith(("ed", "en"))
    return done and bool(DOING & {word.lower() for word in symbol.lead[-2:]})


def aggregate_of(symbol: Symbol) -> Aggregate:
    """`average` and `highest` as functions."""
    cue = symbol.cue
    assert cue is not None
    return cue.aggregate or ("max" if cue.descending else "min")


def holds(named: Symbol, value: Symbol) -> bool:
    """Whether a column that is named holds a value."""
    columns = {column for column, _ in named.ref.columns} if named.ref is not None else set()
    return value.ref is not None and any(column in columns for column, _ in value.ref.values)


def listing(node: Node) -> bool:
    """Whether a node is what stands between the items of a list."""
    return isinstance(node, Joint) and node.kind in LISTING
