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
        normal = unicodedata.normalize("NFKC", text).casefold()
        vector = [0.0] * self.dims
        words = _WORD.findall(normal)
        words += [sign for sign in normal if unicodedata.category(sign) == "So"]
        if not words:
            words = [sign for sign in normal if not sign.isspace()]
        for word, count in Counter(words).items():
            # Square roots are rounded alike everywhere, which logarithms are not.
            weight = math.sqrt(count)
            for feature, share in _features(word):
                slot = feature % self.dims
                sign = 1.0 if feature >> 31 else -1.0
                vector[slot] += sign * share * weight
        length = math.sqrt(math.fsum(value * value for value in vector))
        return [value / length for value in vector] if length else vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents`, in a thread."""
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query`, which takes less time than a thread would."""
        return self.embed_query(text)


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
