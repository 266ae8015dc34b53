"""All phrases that a question has, whichever of them fit together in the end."""

from collections.abc import Iterator, Sequence

from mcp_server.nl2sql.grammar import (
    phrases_compared,
    phrases_ranked,
    phrases_rows,
    phrases_shown,
    phrases_values,
)
from mcp_server.nl2sql.grammar.matching import PATTERNS, Edge, Found, doubt
from mcp_server.nl2sql.grammar.symbols import Symbol

MODULES = (phrases_shown, phrases_rows, phrases_compared, phrases_values, phrases_ranked)
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
