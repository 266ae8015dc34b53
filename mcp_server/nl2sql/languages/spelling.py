"""Words of a language as they are compared: without accents, umlauts or endings."""

import threading
import unicodedata
from functools import lru_cache

import snowballstemmer

STEMMERS = {"de": "german", "es": "spanish", "fr": "french", "it": "italian", "pt": "portuguese"}
_SPELT = str.maketrans({"ß": "ss", "œ": "oe", "æ": "ae", "ø": "o"})
_DIGRAPHS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


class _Stemmers(threading.local):
    """For each thread its own: a stemmer keeps the word that it works on."""

    def __init__(self) -> None:
        self.by_language: dict[str, object] = {}


_STEMMERS = _Stemmers()


@lru_cache(maxsize=20_000)
def plain(word: str) -> str:
    """A word in small letters without accents: `Städte` is `stadte`."""
    text = unicodedata.normalize("NFD", word.lower().translate(_SPELT))
    return "".join(c for c in text if not unicodedata.combining(c))


@lru_cache(maxsize=20_000)
def keys(word: str, language: str) -> tuple[str, ...]:
    """What two words have in common that are the same: `Städte`, `staedte` and `Stadt` in German.

    The word as it is, without accents, and the stems of each way to write it: the surest first.
    """
    low = word.lower()
    written = [low, plain(low), low.translate(_DIGRAPHS)]
    written += [each[:-1] for each in written if each.endswith("s")]
    stems = [_stem(plain(_stem(each, language)), language) for each in written]
    return tuple(dict.fromkeys([*written, *stems]))


def _stem(word: str, language: str) -> str:
    if language not in STEMMERS:
        return word
    known = _STEMMERS.by_language
    if language not in known:
        known[language] = snowballstemmer.stemmer(STEMMERS[language])
    stemmer = known[language]
    return str(stemmer.stemWord(word))  # type: ignore[attr-defined]
