"""Words of general English that say something about a query, whatever the database is about.

They are those of the lexicon's files (`data/`, and what users add: see `files`).
"""

from collections.abc import Iterable

from mcp_server.nl2sql.words.files import lexicon
from mcp_server.nl2sql.words.related import RELATED

_FOUND = lexicon()


def _words(key: str) -> frozenset[str]:
    return frozenset(_FOUND.words[key])


SYNONYMS: tuple[frozenset[str], ...] = tuple(_FOUND.synonyms)

PEOPLE = _words("people")

BIRTH = _words("birth")

MADE = _FOUND.words["made"]
"""What says how old a thing is."""

SUPERLATIVES: dict[str, tuple[tuple[str, ...], bool]] = {
    # adjective: (what columns it may speak of, best first; whether the largest value is meant)
    word: meant
    for word, meant in _FOUND.superlatives.items()
    if " " not in word
}
PHRASE_SUPERLATIVES: dict[str, tuple[tuple[str, ...], bool]] = {
    phrase: meant for phrase, meant in _FOUND.superlatives.items() if " " in phrase
}

COMPARATIVES: dict[str, tuple[tuple[str, ...], str]] = {
    word: meant for word, meant in _FOUND.comparatives.items() if " " not in word
}
PHRASE_COMPARATIVES: dict[str, tuple[tuple[str, ...], str]] = {
    phrase: meant for phrase, meant in _FOUND.comparatives.items() if " " in phrase
}

# Where things come from and where they go: words of a question, and of a column's name.
LEAVING = _words("leaving"), _FOUND.words["leaving_names"]
ARRIVING = _words("arriving"), _FOUND.words["arriving_names"]

HOW = "how "
MEASURED: dict[str, tuple[str, ...]] = _FOUND.measured
"""Adjectives behind `how`: what columns they may speak of, best first."""

PHRASES: dict[str, tuple[str, ...]] = _FOUND.phrases
"""Phrases of several words, in lemmas, and the words that names have for them, best first."""

POLITE = _words("polite")

STOP = _words("stop")

NOUNS_IN_STOP = _words("nouns_in_stop")
"""Of these, those that may be the name of a table all the same."""

FILLER = _words("filler")

NOISE_IN_TABLE_NAMES = _words("noise_in_table_names")

LIMITING = _words("limiting") | {
    word for _, undone in _FOUND.states.values() for word in undone if word.startswith("un")
}
"""Words that say which rows, or what to compute: a query that does nothing with one is another."""

IDLE = _words("idle")
"""Words that limit nothing where they stand."""

RELATING = _words("relating")
"""Verbs that say no more of two things than that they belong together."""

SEXES: dict[str, tuple[tuple[str, ...]]] = {
    word: (others,) for word, others in _FOUND.said_otherwise.items()
}
"""How else columns say it."""

STATES = _FOUND.states
"""What says that something has happened, with its names first, and what says that it has not."""

TITLES = frozenset[str]().union(*(each.called for each in _FOUND.languages.values()))
"""What schemas in other languages call the names of things."""

EVERYDAY = frozenset(word for group in (*SYNONYMS, *RELATED) for word in group)
"""Words that are no misspelling of a name, however like it they look."""


def _by_word(groups: Iterable[frozenset[str]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for group in groups:
        for word in group:
            found[word] = found.get(word, frozenset()) | group
    return found


_SYNONYMS, _RELATED = _by_word(SYNONYMS), _by_word(RELATED)


def synonyms(word: str) -> frozenset[str]:
    """Every word that may stand for this one, itself included."""
    return _SYNONYMS.get(word, frozenset({word}))


def related(word: str) -> frozenset[str]:
    """Every word that may now and then stand for this one, itself included."""
    return _RELATED.get(word, frozenset({word}))
