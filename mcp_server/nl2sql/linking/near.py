"""Which names words may fit at all: most of a large schema is never compared with a question.

What `matching.name_match` finds alike begins with the same letter as the first word, is related to
it by the lexicon, or is a name written as one word that begins or ends as the words do.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from mcp_server.nl2sql.linking.matching import INNER, word_match
from mcp_server.nl2sql.words.lexicon import HOW, MEASURED, related, synonyms

T = TypeVar("T")
ENDING = 3
"""So many letters of an ending, or of a beginning, are looked up."""


class NearNames(Generic[T]):
    """Things by the words of their names. named: each, with all words that may be told of it."""

    def __init__(self, named: Iterable[tuple[T, Iterable[str]]]) -> None:
        self._things: list[T] = []
        self._of_word: dict[str, list[int]] = defaultdict(list)
        for place, (thing, words) in enumerate(named):
            self._things.append(thing)
            for word in set(words):
                self._of_word[word].append(place)
        self._beginning: dict[str, list[str]] = defaultdict(list)
        self._ending: dict[str, list[str]] = defaultdict(list)
        for word in self._of_word:
            self._beginning[word[:1]].append(word)
            self._ending[word[-ENDING:]].append(word)

    def __call__(self, words: Sequence[str]) -> list[T]:
        """What may be meant by words, in the order that it was given in."""
        asked = [word for word in words if word not in INNER] or list(words)
        if not asked:
            return []
        near = {*self._alike(asked), "".join(word[:1] for word in words)}  # mpg
        places = {at for word in near for at in self._of_word.get(word, ())}
        return [self._things[place] for place in sorted(places)]

    def _alike(self, asked: Sequence[str]) -> Iterator[str]:
        first, joined = asked[0], "".join(asked)
        alike = self._beginning.get(first[:1], ())
        yield from (word for word in alike if word_match(first, word))
        yield from related(first)
        yield from synonyms(first)
        yield from MEASURED.get(first.removeprefix(HOW), ())
        yield from (w for w in alike if w[:ENDING] == joined[:ENDING] or joined.startswith(w))
        for whole in (joined, "".join(asked[:-1])):  # fname; the airport name of an airport
            for ending in {whole, *synonyms(whole)}:
                yield from self._ending.get(ending[-ENDING:], ())
