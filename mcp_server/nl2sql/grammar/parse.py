"""The third reading of a question: its symbols, their cheapest covers, and the queries of those."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AMOUNT,
    COMMONEST,
    MOST,
    NOT,
    QUOTED,
    SHARE,
    VALUE,
    WORD,
)
from mcp_server.nl2sql.grammar.cover import covers
from mcp_server.nl2sql.grammar.ground import grounded
from mcp_server.nl2sql.grammar.symbols import Symbol, symbols
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.sql.logical import Query
from mcp_server.nl2sql.words.tokens import Token

LOST = 1.5
"""What it costs that a phrase was of no use."""
VITAL = VALUE | QUOTED | AMOUNT | NOT | MOST | COMMONEST | SHARE


@dataclass(frozen=True, slots=True)
class Meant:
    """A query that a question may mean. cost: how far its phrases had to be stretched.

    understood: the share of the question's symbols that play a part in it, 0..1.
    values_lost: names, numbers and quoted texts that play none, or a `not`, a `most`, a share.
    """

    query: Query
    unused: tuple[str, ...]
    cost: float
    understood: float
    values_lost: int


def analyse(tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> Iterator[Meant]:
    """Queries that a question may mean, by their costs."""
    row = symbols(tokens, linker)
    found = []
    for cover in covers(row):
        for number, ground in enumerate(grounded(cover, row, tokens, graph)):
            lost = len(ground.lost) - len(cover.skipped)
            cost = cover.cost + LOST * lost + 0.3 * (number > 0)
            unused = tuple(row[place].text for place in sorted(set(ground.lost)))
            understood = 1 - len(unused) / max(1, len(row))
            values = sum(_is_vital(row[place]) for place in set(ground.lost))
            found.append(Meant(ground.query, unused, cost, understood, values))
    return iter(sorted(found, key=lambda meant: meant.cost))


def _is_vital(symbol: Symbol) -> bool:
    """Whether a query without the symbol cannot be meant: something that rows are to be compared
    with, or what looks so; what is not; what is most; a share.
    """
    return symbol.kind in VITAL or (
        symbol.kind in WORD and symbol.start > 0 and symbol.text[:1].isupper()
    )
