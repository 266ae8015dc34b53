"""How well words of a question fit the words of a name."""

import re
from collections.abc import Sequence
from functools import lru_cache

from mcp_server.nl2sql.words.abbreviations import abbreviates, skeleton
from mcp_server.nl2sql.words.lexicon import HOW, MEASURED, related, synonyms
from mcp_server.nl2sql.words.tokens import identifier_words, stem

RELATED_SCORE = 0.62
DONE_BY = 0.5
"""Of who does something and when it was done: the *publisher*, and the year *published*."""
WHO_DOES = ("er", "or")
BOUNDS = frozenset({"over", "under", "above", "below", "after", "before", "with", "than", "more"})
"""Words that are no beginning of others: nothing *over* 500 is overdue."""
ABBREVIATED = 0.9
INITIALS = {"family": "l", "sur": "l", "given": "f", "christian": "f"}
"""Names of people by an initial are those of `first` and `last`: no `family name` is an fname."""
_EXPLAINS = re.compile(
    r"[,;:.(\n]|\s[-–—=]\s|\s(?:that|which|who|where|when|such as|given|made|used|one row)\b",
    re.IGNORECASE,
)
"""Where a comment begins to explain: *Hull length, in metres*; *Skippers who sail for us*."""
_SAYS_WHEN = (("true",), ("whether",), ("if",), ("yes",), ("set",), ("false",))
"""How comments begin that name nothing: *true for a boat in the water*."""
INNER = frozenset({"of", "the", "in", "by", "a", "an", "and", "for", "to", "on"})


@lru_cache(maxsize=10_000)
def head_words(comment: str) -> tuple[str, ...]:
    """What a comment calls its column or table, before it goes on to explain it."""
    words = identifier_words(_EXPLAINS.split(comment.strip(), maxsplit=1)[0])
    return () if words[:1] in _SAYS_WHEN else words


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
        does = asked.endswith(WHO_DOES) and stem(asked) != asked  # an order does nothing
        return DONE_BY if does and named.endswith("ed") else 0.92
    if abbreviates(named, asked):
        return 0.92 if len(named) > 2 else ABBREVIATED
    if 2 <= len(named) <= 4 and len(asked) > len(named) and skeleton(asked).startswith(named):
        return 0.75
    shorter, longer = sorted((asked, named), key=len)
    begins = len(shorter) >= 4 and longer.startswith(shorter) and shorter not in BOUNDS
    if begins and len(shorter) >= 0.55 * len(longer):
        return 0.8
    if named in related(asked):
        return RELATED_SCORE
    if len(named) >= 3 and named == asked[: len(named)] and len(asked) - len(named) >= 3:
        return 0.6
    return 0.0


@lru_cache(maxsize=100_000)
def name_match(span: tuple[str, ...], name: tuple[str, ...]) -> float:
    """How well a span fits a name, as words: 1 for the same words, less for a part of them."""
    asked = [word for word in span if word not in INNER] or list(span)
    named = [word for word in name if word not in INNER] or list(name)
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
    if len(asked) > 1 and name == INITIALS.get(asked[0], asked[0][0]) + "".join(asked[1:]):
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
