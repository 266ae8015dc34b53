"""How well words of a question fit the words of a name."""

import re
from collections.abc import Sequence
from functools import lru_cache

from mcp_server.nl2sql.words.lexicon import HOW, MEASURED, related, synonyms
from mcp_server.nl2sql.words.tokens import stem

RELATED_SCORE = 0.62
INNER = frozenset({"of", "the", "in", "by", "a", "an", "and", "for", "to", "on"})


@lru_cache(maxsize=100_000)
def word_match(asked: str, named: str) -> float:
    """How well one word of a question fits one word of a name."""
    if asked == named:
        return 1.0
    if named in synonyms(asked):
        return 0.85
    if asked.startswith(HOW) and named in MEASURED.get(asked.removeprefix(HOW), ()):
        return 0.9 - 0.01 * MEASURED[asked.removeprefix(HOW)].index(named)
    if len(asked) > 3 and len(named) > 3 and stem(asked) == stem(named):
        return 0.92
    if 2 <= len(named) <= 4 and len(asked) > len(named) and _skeleton(asked).startswith(named):
        return 0.75
    shorter, longer = sorted((asked, named), key=len)
    if len(shorter) >= 4 and longer.startswith(shorter) and len(shorter) >= 0.55 * len(longer):
        return 0.8
    if named in related(asked):
        return RELATED_SCORE
    if len(named) >= 3 and named == asked[: len(named)] and len(asked) - len(named) >= 3:
        return 0.6
    return 0.0


def _skeleton(word: str) -> str:
    """A word without the vowels behind its first letter: `department` is dprtmnt."""
    return word[0] + re.sub("[aeiou]", "", word[1:])


def name_match(asked: Sequence[str], named: Sequence[str]) -> float:
    """How well a span fits a name, as words: 1 for the same words, less for a part of them."""
    asked = [word for word in asked if word not in INNER] or list(asked)
    named = [word for word in named if word not in INNER] or list(named)
    if not asked or not named:
        return 0.0
    if "".join(asked) == "".join(named):
        return 1.0
    left = list(named)
    total = 0.0
    last_matched = False
    for word in asked:
        best = max(left, key=lambda each: word_match(word, each), default=None)
        score = word_match(word, best) if best is not None else 0.0
        if not score or best is None:
            return _compound_match(asked, named)
        total += score
        last_matched = last_matched or best == named[-1]
        left.remove(best)
    quality = total / len(asked)
    if not left:
        return quality
    coverage = len(asked) / len(named)
    partial = (0.55 if last_matched else 0.42) + 0.35 * coverage
    return max(quality * partial, _compound_match(asked, named))


def _compound_match(asked: Sequence[str], named: Sequence[str]) -> float:
    """A name written as one word (`sourceairport`) against the words of a span."""
    if len(named) != 1 or len(named[0]) < 5:
        return 0.0
    name, joined = named[0], "".join(asked)
    if len(asked) > 1 and name == asked[0][0] + "".join(asked[1:]):
        return 0.92  # fname, lname
    for other in synonyms(joined) if len(asked) == 1 else ():
        if len(other) >= 4 and other != joined and name.endswith(other):
            return 0.8 * (0.5 + 0.4 * len(other) / len(name))
    if len(joined) < 3 or not (name.startswith(joined) or name.endswith(joined)):
        rest = name
        for word in asked:
            if len(word) >= 3 and rest.startswith(word):
                rest = rest[len(word) :]
            elif len(word) >= 5 and rest.startswith(word[:4]):
                rest = rest[4:]
            else:
                return 0.0
        return 0.9 if not rest else 0.5
    coverage = len(joined) / len(name)
    return (0.5 if name.endswith(joined) else 0.4) + 0.4 * coverage
