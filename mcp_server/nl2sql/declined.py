"""What is told with a declined question: its readings, and what unknown words may stand for."""

from collections.abc import Sequence
from dataclasses import replace

from mcp_server.nl2sql.choosing.declining import not_sure
from mcp_server.nl2sql.grammar.alphabet.vocabulary import ANYONE, CUES
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.linking.meaning import Nearest, unnamed
from mcp_server.nl2sql.translation import Translation
from mcp_server.nl2sql.words.tokens import lemma

SHOWN = 3
EQUAL = 0.5
"""The most confidence in one of several readings that are as good as each other."""
MEANT = 0.2
"""How sure a query is for which a word was taken for the name nearest in meaning: it is shown, and
never the answer.
"""
OF_QUERIES = ANYONE.union(*CUES)
"""Words that say something of a query, and so name nothing."""


def either(readings: Sequence[Translation]) -> Translation:
    """A question of several readings, as good as each other, is declined, and says which."""
    best = [each.candidates[0] for each in readings if each.candidates]
    if not best:
        return readings[0]
    shown = tuple(replace(each, confidence=min(EQUAL, each.confidence)) for each in best)
    shown = tuple({each.sql: each for each in shown}.values())
    unused = readings[0].unused
    reason = not_sure(unused, [(each.reading, EQUAL) for each in shown])
    return Translation(None, shown[0].confidence, reason=reason, candidates=shown, unused=unused)


def unexplained(found: Translation, question: str, linker: Linker) -> tuple[str, ...]:
    """The words for which a question was declined, where nothing says anything of them."""
    if found.unused and not found.candidates:
        return found.unused  # of another language: no word of it was read
    return tuple(
        word
        for word in unnamed(question, linker)
        if (not found.candidates or word in found.unused) and lemma(word) not in OF_QUERIES
    )


def with_meant(found: Translation, read: Translation, nearest: Nearest) -> Translation:
    """A declined question with what it reads as when a word is taken for the nearest name."""
    best = read.candidates[0] if read.candidates and not read.unused else None
    if best is None or best.sql in {each.sql for each in found.candidates}:
        return found
    note = f"{nearest.word!r} taken for {nearest.clearly!r}, the nearest in meaning"
    meant = replace(best, confidence=MEANT, note=note)
    others = found.candidates[: SHOWN - 1]
    ordered = sorted([*others, meant], key=lambda each: -each.confidence)
    return replace(found, candidates=tuple(ordered))
