"""The cheapest ways to cover the symbols of a question with phrases."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AGGREGATE,
    AMOUNT,
    BETWEEN,
    BOTH,
    BUT,
    BY,
    COLUMN,
    COLUMN_OR_TABLE,
    COMMONEST,
    DIRECTION,
    DISTINCT,
    EACH,
    EMPTY,
    FOR,
    FULL_STOP,
    HAVE,
    HOW_MANY,
    HOW_OFTEN,
    IN,
    LEADING,
    LIKE,
    LISTING,
    MOST,
    NOT,
    NTH,
    OF,
    OR,
    OR_MORE,
    SAME,
    SHARE,
    SORTED,
    TABLE,
    THAN,
    THAT,
    TIMES,
    VAL,
    WHOSE,
    WORD,
)
from mcp_server.nl2sql.grammar.nodes import (
    Count,
    Difference,
    Entity,
    Group,
    Joint,
    Lasting,
    Limit,
    Node,
    Product,
    Share,
    Show,
    Weighted,
)
from mcp_server.nl2sql.grammar.phrases.matching import Edge, listing
from mcp_server.nl2sql.grammar.phrases.patterns import edges
from mcp_server.nl2sql.grammar.symbols import Symbol

KEPT = 8
"""Covers that are followed from each place on."""

JOINING = LISTING | BUT

SKIPPING = {
    letter: cost
    for kinds, cost in (
        (COLUMN | TABLE | COLUMN_OR_TABLE, 1.2),
        (VAL | AMOUNT, 2.0),
        (MOST | COMMONEST | NOT | THAN | NTH, 2.0),
        (HOW_MANY | HOW_OFTEN | AGGREGATE | SHARE | EACH | SORTED, 1.4),
        (LIKE | BETWEEN | TIMES, 1.4),
        (DISTINCT | EMPTY | DIRECTION | OR_MORE | SAME, 0.7),
        (THAT | BY | JOINING | FULL_STOP | BOTH, 0.06),
        (OR, 0.6),
        (OF | FOR | IN | HAVE | WHOSE, 0.1),
        (WORD, 0.4),
    )
    for letter in kinds.letters
}
"""What it costs to pass over a symbol, by the letter of its kind."""
RELATIVE = THAT | HAVE | WHOSE
"""What ends the list of what is shown."""
SAYS_LITTLE = LEADING | JOINING | FULL_STOP
"""What can be passed over without a loss."""

END_OF_SENTENCE = Joint(FULL_STOP.letter)
SHOWING = (Show, Count, Difference, Share, Lasting, Product, Weighted)
HEAD_NODES = (*SHOWING, Entity, Limit, Group)
LATE_SHOW = 1.3
LATE_SHOW_AFTER_AND = 0.5
SHOW_AFTER_COUNT = 1.0
"""`How many dogs`, and then a column without `and` between: seldom asked for."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Phrases from the beginning on, and the places that they leave out.

    head: whether what is shown is still being listed.
    """

    cost: float
    nodes: tuple[Node, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    """The symbols [start, end) that each of the nodes was read from."""
    skipped: tuple[int, ...] = ()
    head: bool = True
    shows: bool = False


def covers(symbols: Sequence[Symbol]) -> list[Cover]:
    """The cheapest covers, best first."""
    beginning: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges(symbols):
        beginning[edge.start].append(edge)
    reached: list[list[Cover]] = [[] for _ in range(len(symbols) + 1)]
    reached[0] = [Cover(0.0)]
    for place, symbol in enumerate(symbols):
        for cover in _best(reached[place]):
            reached[place + 1].append(_skip(cover, place, symbol))
            for edge in beginning[place]:
                reached[edge.end].append(_extend(cover, edge))
    return _best(reached[-1])


def _best(found: Sequence[Cover]) -> list[Cover]:
    different: dict[tuple[Node, ...], Cover] = {}
    for cover in found:
        known = different.get(cover.nodes)
        if known is None or cover.cost < known.cost:
            different[cover.nodes] = cover
    return nsmallest(KEPT, different.values(), key=lambda cover: cover.cost)


def _skip(cover: Cover, place: int, symbol: Symbol) -> Cover:
    return Cover(
        cover.cost + SKIPPING[symbol.kind],
        cover.nodes,
        cover.spans,
        (*cover.skipped, place) if symbol.kind not in SAYS_LITTLE else cover.skipped,
        cover.head and (symbol.kind not in RELATIVE or not cover.nodes),
        cover.shows,
    )


def _extend(cover: Cover, edge: Edge) -> Cover:
    cost = cover.cost + edge.cost
    first = edge.nodes[0]
    shows = isinstance(first, SHOWING)
    if shows and not cover.head:
        after_and = bool(cover.nodes) and listing(cover.nodes[-1])
        cost += LATE_SHOW_AFTER_AND if after_and else LATE_SHOW
    if isinstance(first, Show) and cover.nodes and isinstance(cover.nodes[-1], Count):
        cost += SHOW_AFTER_COUNT
    head = cover.head and all(isinstance(n, HEAD_NODES) or listing(n) for n in edge.nodes)
    if first == END_OF_SENTENCE:
        head = True
    return Cover(
        cost,
        (*cover.nodes, *edge.nodes),
        (*cover.spans, *[(edge.start, edge.end)] * len(edge.nodes)),
        cover.skipped,
        head,
        cover.shows or shows,
    )
