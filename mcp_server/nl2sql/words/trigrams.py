"""An index of texts by their trigrams: which are like another text, and which contain it.

Trigrams are those of PostgreSQL's pg_trgm: of each word in lower case, two blanks before it and one
behind. Similarity is the share of trigrams in common (Jaccard), 0..1.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache

SIMILAR_MIN = 0.5
COMMON_MAX = 4_000
"""A trigram that more texts have than this tells too little to be looked at."""


@lru_cache(maxsize=50_000)
def trigrams(text: str) -> frozenset[str]:
    """The trigrams of a text."""
    found = set[str]()
    for word in re.findall(r"\w+", text.lower()):
        padded = f"  {word} "
        found.update(padded[at : at + 3] for at in range(len(padded) - 2))
    return frozenset(found)


def similarity(one: str, other: str) -> float:
    """How alike two texts are, 0..1."""
    left, right = trigrams(one), trigrams(other)
    return len(left & right) / (len(left | right) or 1)


def one_letter_off(one: str, other: str) -> bool:
    """Whether two words differ by one letter too many, wrong, or in each other's place."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    left, right = one[start:], other[start:]
    if len(left) == len(right):
        swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
        return left[1:] == right[1:] or (len(left) > 1 and swapped)
    return left[1:] == right or left == right[1:]


class TrigramIndex:
    """Texts in lower case, to be found by texts that are nearly the same."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = list(texts)
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, text in enumerate(self._texts):
            for trigram in trigrams(text):
                self._places[trigram].append(place)

    def similar(self, text: str, at_least: float = SIMILAR_MIN) -> list[tuple[str, float]]:
        """Texts that are alike, the likest first."""
        shared = Counter[int]()
        for trigram in trigrams(text):
            places = self._places.get(trigram, ())
            if len(places) <= COMMON_MAX:
                shared.update(places)
        wanted = len(trigrams(text))
        found = []
        for place, common in shared.items():
            if common >= at_least * wanted:
                score = similarity(text, self._texts[place])
                if score >= at_least:
                    found.append((self._texts[place], score))
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def containing(self, text: str) -> list[str]:
        """Texts that have this one in them, at the beginning of a word."""
        inner = text.lower().strip()
        known = [self._places.get(trigram) for trigram in trigrams(inner) if trigram[-1] != " "]
        if not known or None in known:
            return []
        rarest = min((places for places in known if places), key=len, default=[])
        return [self._texts[place] for place in rarest if inner in self._texts[place]]
