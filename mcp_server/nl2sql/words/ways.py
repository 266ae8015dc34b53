"""Ways from and to: "flights from Oslo" are about the column of where they leave."""

from collections.abc import Sequence
from functools import lru_cache

from mcp_server.nl2sql.words.lexicon import ARRIVING, LEAVING
from mcp_server.nl2sql.words.tokens import Token


def way_of(name: str, tokens: Sequence[Token]) -> int:
    """1 where a name speaks of the way (from, to) that the words do, -1 of the other, else 0."""
    leaving, arriving = _ways_in(name.lower())
    if leaving == arriving:
        return 0
    for token in reversed(tokens):
        if token.lemma in LEAVING[0]:
            return 1 if leaving else -1
        if token.lemma in ARRIVING[0]:
            return 1 if arriving else -1
    return 0


@lru_cache(maxsize=10_000)
def _ways_in(name: str) -> tuple[bool, bool]:
    """Whether a name speaks of leaving, and of arriving."""
    return any(part in name for part in LEAVING[1]), any(part in name for part in ARRIVING[1])
