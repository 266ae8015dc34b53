"""Vectors that were computed before need not be computed, or paid for, again."""

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from langchain_core.embeddings import Embeddings

from memory.errors import ConfigurationError
from memory.forked import FreshLock

DEFAULT_CACHE_BYTES = 32 << 20
"""About 10,000 vectors of 384 dimensions."""
BATCH = 256
"""Texts that the embeddings get at once."""
ENTRY_BYTES = 200
"""What an entry takes beside its numbers: key, array and place in the order."""

Key = bytes


class CachedEmbeddings(Embeddings):
    """Any embeddings, with the vectors of the texts seen last kept in memory, exactly.

    model: names what makes the vectors; it is part of a vector's key with the hash of its text.
    cache_bytes: what they may take. batch: texts that go to the embeddings in one call.
    Safe to use from any thread and event loop; `hits` and `misses` count texts.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        model: str,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        batch: int = BATCH,
    ) -> None:
        if cache_bytes <= 0 or batch < 1:
            raise ConfigurationError("cache_bytes must be positive, and batch at least 1")
        self.embeddings = embeddings
        self._model, self._most, self._batch = model, cache_bytes, batch
        self._lock = FreshLock()
        self._vectors: OrderedDict[Key, array[float]] = OrderedDict()
        self._bytes = 0
        self.hits = self.misses = 0
        dims = getattr(embeddings, "dims", None)
        if isinstance(dims, int):
            self.dims = dims

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text; each text that is not known is computed once."""
        found, missing = self._known(texts, b"d")
        for some in self._batches(missing):
            vectors = self.embeddings.embed_documents(some)
            found |= self._keep(some, vectors, b"d")
        return [list(found[text]) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text as a question, which may be another than as a document."""
        found, missing = self._known([text], b"q")
        if missing:
            found = self._keep(missing, [self.embeddings.embed_query(text)], b"q")
        return list(found[text])

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents`, asynchronously."""
        found, missing = self._known(texts, b"d")
        for some in self._batches(missing):
            vectors = await self.embeddings.aembed_documents(some)
            found |= self._keep(some, vectors, b"d")
        return [list(found[text]) for text in texts]

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query`, asynchronously."""
        found, missing = self._known([text], b"q")
        if missing:
            found = self._keep(missing, [await self.embeddings.aembed_query(text)], b"q")
        return list(found[text])

    def _batches(self, texts: list[str]) -> list[list[str]]:
        return [texts[at : at + self._batch] for at in range(0, len(texts), self._batch)]

    def _known(
        self, texts: Sequence[str], kind: bytes
    ) -> tuple[dict[str, Sequence[float]], list[str]]:
        """Vectors by text, and the texts without one."""
        found: dict[str, Sequence[float]] = {}
        missing = []
        distinct = {text: self._key(text, kind) for text in texts}
        with self._lock:
            for text, key in distinct.items():
                if (vector := self._vectors.get(key)) is None:
                    missing.append(text)
                else:
                    self._vectors.move_to_end(key)
                    found[text] = vector
            self.hits += len(found)
            self.misses += len(missing)
        return found, missing

    def _keep(
        self, texts: Sequence[str], vectors: Sequence[Sequence[float]], kind: bytes
    ) -> dict[str, Sequence[float]]:
        if len(vectors) != len(texts):
            raise ConfigurationError(
                f"the embeddings made {len(vectors)} vectors of {len(texts)} texts"
            )
        with self._lock:
            for text, vector in zip(texts, vectors, strict=True):
                key, exact = self._key(text, kind), array("d", vector)
                self._drop(key)
                self._vectors[key] = exact
                self._bytes += _size(exact)
            while self._bytes > self._most:
                self._drop(next(iter(self._vectors)))
        return dict(zip(texts, vectors, strict=True))

    def _drop(self, key: Key) -> None:
        gone = self._vectors.pop(key, None)
        if gone is not None:
            self._bytes -= _size(gone)

    def _key(self, text: str, kind: bytes) -> Key:
        name = self._model.encode()
        digest = blake2b(len(name).to_bytes(8, "big") + name + kind, digest_size=16)
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.digest()


def _size(vector: "array[float]") -> int:
    return len(vector) * vector.itemsize + ENTRY_BYTES
