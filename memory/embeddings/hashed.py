"""Lexical embeddings: hashed words and parts of words.

They find texts that share words or parts of words ("colour" finds "colours", not "hue"). It is
exact arithmetic on hashes, so every process and platform computes the same vector.
"""

import asyncio
import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from langchain_core.embeddings import Embeddings

from memory.errors import ConfigurationError

DEFAULT_DIMENSIONS = 384
_WORD = re.compile(r"\w+")
# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Chinese characters.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
)
_GRAMS = (3, 4)
_CHARACTERS_AT_ONCE = 2_000
"""Of texts that are embedded sooner than a thread would begin."""
_LAST_TEXTS, _LAST_CHARACTERS = 16, 10_000
_WORD_WEIGHT, _GRAM_WEIGHT = 1.0, 0.35


class HashEmbeddings(Embeddings):
    """Lexical embeddings: words and character n-grams, hashed with signs into unit vectors.

    dims: length of the vectors. Source: Weinberger et al., "Feature Hashing for Large Scale
    Multitask Learning" (ICML 2009); n-grams as in fastText (Bojanowski et al., TACL 2017).
    """

    def __init__(self, dims: int = DEFAULT_DIMENSIONS) -> None:
        if dims < 8:
            raise ConfigurationError(f"dims is {dims}; hashed embeddings need at least 8")
        self.dims = dims

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text."""
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text; all zeros where it is blank."""
        short = len(text) <= _LAST_CHARACTERS
        return list(_vector_of_last(text, self.dims) if short else _vector(text, self.dims))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents`, in a thread where it takes longer than that would."""
        if sum(map(len, texts)) <= _CHARACTERS_AT_ONCE:
            return self.embed_documents(texts)
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query`, which takes less time than a thread would."""
        return self.embed_query(text)


@lru_cache(maxsize=_LAST_TEXTS)
def _vector_of_last(text: str, dims: int) -> tuple[float, ...]:
    """The same; what is looked for and then stored, as a memory is, is embedded once."""
    return _vector(text, dims)


def _vector(text: str, dims: int) -> tuple[float, ...]:
    normal = unicodedata.normalize("NFKC", text).casefold()
    vector = [0.0] * dims
    words = _WORD.findall(normal)
    words += [sign for sign in normal if unicodedata.category(sign) == "So"]
    if not words:
        words = [sign for sign in normal if not sign.isspace()]
    for word, count in Counter(words).items():
        # Square roots are rounded alike everywhere, which logarithms are not.
        weight = math.sqrt(count)
        for feature, share in _features(word):
            slot = feature % dims
            sign = 1.0 if feature >> 31 else -1.0
            vector[slot] += sign * share * weight
    length = math.sqrt(math.fsum(value * value for value in vector))
    return tuple(value / length for value in vector) if length else tuple(vector)


@lru_cache(maxsize=65_536)
def _features(word: str) -> tuple[tuple[int, float], ...]:
    return tuple(_hash_features(word))


def _hash_features(word: str) -> Iterator[tuple[int, float]]:
    yield _hash(f"w:{word}"), _WORD_WEIGHT
    if _UNSPACED.search(word):
        # A run of such a script is a sentence: its signs and pairs of signs are the words.
        parts = list(word) + [word[i : i + 2] for i in range(len(word) - 1)]
        for part in parts:
            yield _hash(f"g:{part}"), _WORD_WEIGHT / math.sqrt(len(parts))
        return
    padded = f"<{word}>"
    grams = [padded[i : i + n] for n in _GRAMS for i in range(len(padded) - n + 1)]
    for gram in grams:
        yield _hash(f"g:{gram}"), _GRAM_WEIGHT / math.sqrt(len(grams))


def _hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))
