"""The values that a database holds, by how they are written: alike, short, or made from a word."""

from collections.abc import Mapping

from mcp_server.nl2sql.schema.model import Column
from mcp_server.nl2sql.words.lexicon import EVERYDAY
from mcp_server.nl2sql.words.tokens import lemma
from mcp_server.nl2sql.words.trigrams import TrigramIndex, one_letter_off

FUZZY_VALUE_MIN = 0.55
FUZZY_LOOKED_AT_MIN = 0.4
FUZZY_OTHER_WORDS_MIN = 0.75
"""As FUZZY_VALUE_MIN, for a value of more or fewer words."""
MISSPELT_LENGTH_MIN = 6
"""A shorter word may well be another word."""
DERIVED_LENGTH_MIN = 6
DERIVED_SHARE = 0.7
"""How much of two words must be the same from the beginning for one to be made from the other."""


class HeldValues:
    """Values by the text of a question. index: their columns by the text as it is compared."""

    def __init__(self, index: Mapping[str, list[tuple[Column, str]]]) -> None:
        self._index = index
        self._trigrams: TrigramIndex | None = None
        self._by_beginning: dict[str, list[tuple[str, list[tuple[Column, str]]]]] | None = None
        self._by_initials: dict[str, list[tuple[Column, str]]] | None = None
        self._similar: dict[str, list[tuple[Column, str]]] = {}
        self._misspelt: dict[str, list[tuple[Column, str]]] = {}

    def _trigram_index(self) -> TrigramIndex:
        if self._trigrams is None:
            self._trigrams = TrigramIndex(self._index)
        return self._trigrams

    def by_initials(self, letters: str) -> list[tuple[Column, str]]:
        """Values of several words by their first letters: LA."""
        if self._by_initials is None:
            found: dict[str, list[tuple[Column, str]]] = {}
            for normal, held in self._index.items():
                words = normal.split()
                if 2 <= len(words) <= 4:
                    initials = "".join(word[0] for word in words)
                    found.setdefault(initials, []).extend(held)
            self._by_initials = found
        return self._by_initials.get(letters, [])

    def alike(self, text: str) -> list[tuple[Column, str]]:
        """Values that are written nearly so."""
        if text not in self._similar:
            index = self._index
            words = len(text.split())
            near = [
                (value, score)
                for value, score in self._trigram_index().similar(text, FUZZY_LOOKED_AT_MIN)
                if score >= FUZZY_OTHER_WORDS_MIN
                or (score >= FUZZY_VALUE_MIN and len(value.split()) == words)
                or one_letter_off(text.lower(), value)
            ]
            best = near[0][1] if near else 0.0
            self._similar[text] = [
                pair for value, score in near[:5] if score >= best for pair in index[value]
            ]
        return self._similar[text]

    def misspelt(self, word: str) -> list[tuple[Column, str]]:
        """The one value of one word that was typed so: a letter too few, or out of its place."""
        if len(word) < MISSPELT_LENGTH_MIN:
            return []
        if word not in self._misspelt:
            near = self._trigram_index().similar(word, FUZZY_LOOKED_AT_MIN)
            meant = [value for value, _ in near if mistyped(word, value)]
            self._misspelt[word] = self._index[meant[0]] if len(meant) == 1 else []
        return self._misspelt[word]

    def derived(self, word: str) -> list[tuple[Column, str]]:
        """Values that the word is made from, or that are made from it: cardiologists."""
        if len(word) < DERIVED_LENGTH_MIN or word in EVERYDAY or word.endswith(("ed", "ing")):
            return []
        return [
            pair
            for value, held in self._beginnings().get(word[:DERIVED_LENGTH_MIN], ())
            if _made_from(value, word)
            for pair in held
        ]

    def _beginnings(self) -> dict[str, list[tuple[str, list[tuple[Column, str]]]]]:
        """Values of one word by their first letters."""
        if self._by_beginning is None:
            found: dict[str, list[tuple[str, list[tuple[Column, str]]]]] = {}
            for normal, held in self._index.items():
                if " " not in normal:
                    found.setdefault(normal[:DERIVED_LENGTH_MIN], []).append((normal, held))
            self._by_beginning = found
        return self._by_beginning

    def containing(self, text: str) -> list[Column]:
        """The columns that hold longer texts with this one in them."""
        index = self._index
        values = self._trigram_index().containing(text)
        return list(dict.fromkeys(column for value in values for column, _ in index[value]))


def mistyped(word: str, meant: str) -> bool:
    """Whether a letter is missing or out of its place; a plural is no mistake."""
    if not one_letter_off(word, meant) or lemma(word) == lemma(meant):
        return False
    return len(word) < len(meant) or sorted(word) == sorted(meant)


def _made_from(one: str, other: str) -> bool:
    """Whether two words begin alike, but for an ending: cardiology, cardiologist."""
    shared = int(DERIVED_SHARE * max(len(one), len(other)))
    return one[:shared] == other[:shared]
