"""All phrases that a question has, whichever of them fit together in the end."""

from collections.abc import Iterator, Sequence

from mcp_server.nl2sql.grammar.phrases import compared, ranked, rows, shown, values
from mcp_server.nl2sql.grammar.phrases.matching import PATTERNS, Edge, Found, doubt
from mcp_server.nl2sql.grammar.symbols import Symbol

MODULES = (shown, rows, compared, values, ranked)
"""Each registers its phrases when it is imported."""


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
                yield Edge(start, match.end(), tuple(nodes), cost + doubt(nodes, symbols))
