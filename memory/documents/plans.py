"""The vector store's operations as plans: what to embed, and which steps to attempt."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import psycopg
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from memory.database.steps import Embed, Plan, Steps, attempt
from memory.documents.mending import contents, mend, replace_vectors, unfit
from memory.documents.rows import new_documents, remove, store
from memory.documents.searching import Hit, by_ids, hybrid, nearest
from memory.documents.table import Layout, Opened, create_table, open_table, reindex_table
from memory.embeddings import check_vectors, probed_dimensions
from memory.errors import ConfigurationError, SetupRequiredError
from memory.words import require_language

T = TypeVar("T")

LOOK_AGAIN_SECONDS = 60.0
UNFIT = frozenset({"42883", "42704", "42804", "22007", "22008", "22003", None})
"""No such operator or type, no such date, a number out of range; None is psycopg's own refusal."""


class DocumentPlans:
    """Operations on one table of documents; no connection, no thread."""

    def __init__(
        self,
        embeddings: Embeddings,
        layout: Layout,
        *,
        distance: str,
        hybrid: bool,
        language: str,
    ) -> None:
        self.embeddings, self.distance = embeddings, distance
        self._layout, self.hybrid, self._language = layout, hybrid, language
        self._opened: Opened | None = None
        self._looked = 0.0

    def _table(self) -> Plan[Opened]:
        """The table as it was at most LOOK_AGAIN_SECONDS ago: others may make an index."""
        now = time.monotonic()
        if self._opened is None or now - self._looked > LOOK_AGAIN_SECONDS:
            self._opened = yield from attempt(lambda: open_table(self._layout))
            self._looked = now
        return self._opened

    def _filtered(
        self, steps: Callable[[], Steps[T]], filter: Any, *, transaction: bool = False
    ) -> Plan[T]:
        """An attempt that casts JSON to jsonb; heals rows that earlier releases let in."""
        try:
            return (yield from attempt(steps, transaction=transaction))
        except psycopg.errors.UntranslatableCharacter:
            if not filter or not (yield from self.heal()):
                raise
        except psycopg.errors.InvalidTextRepresentation as error:
            if not filter:
                raise
            if not (yield from self.heal()):
                raise _unfit(filter, error) from error
        except (SetupRequiredError, psycopg.ProgrammingError, psycopg.DataError) as error:
            reason = error.__cause__ or error
            if not filter or getattr(reason, "sqlstate", None) not in UNFIT:
                raise
            raise _unfit(filter, reason) from error
        return (yield from attempt(steps, transaction=transaction))

    def setup(
        self,
        dims: int | None,
        vector_type: str | None,
        id_type: str,
        metadata_types: Mapping[str, str],
        ann: bool | None,
    ) -> Plan[None]:
        """Make the table if there is none. Raises ConfigurationError for unknown types."""
        length = yield from probed_dimensions(self.embeddings, dims)
        if self.hybrid:
            yield from attempt(partial(require_language, self._language))
        yield from attempt(
            lambda: create_table(
                self._layout,
                dims=length,
                vector_type=vector_type,
                distance=self.distance,
                id_type=id_type,
                metadata_types=metadata_types,
                ann=ann,
            ),
            transaction=True,
        )
        self._opened = None

    def heal(self) -> Plan[int]:
        """Rewrite metadata that jsonb cannot hold, in bounded batches; how many rows there were."""
        table = yield from self._table()
        healed, last = 0, ""
        while table.json is not None:
            found = yield from attempt(partial(unfit, table, last))
            if not found:
                break
            yield from attempt(partial(mend, table, found), transaction=True)
            healed, last = healed + len(found), found[-1][0]
        return healed

    def reindex(self, ann: bool, deadline: float) -> Plan[None]:
        """Make the index again, while the table is in use."""
        yield from attempt(
            lambda: reindex_table(self._layout, self.distance, ann), alone=True, deadline=deadline
        )
        self._opened = None

    def reembed(self, batch: int) -> Plan[int]:
        """Embed every document again, in bounded batches; how many there were."""
        table = yield from self._table()
        done, last = 0, ""
        while rows := (yield from attempt(partial(contents, table, last, batch))):
            vectors = yield Embed(self.embeddings, [content for _, content in rows])
            check_vectors(vectors, len(rows), None)
            yield from attempt(partial(replace_vectors, table, rows, vectors), transaction=True)
            done, last = done + len(rows), rows[-1][0]
        return done

    def add(
        self,
        texts: list[str],
        embeddings: Sequence[Sequence[float]] | None,
        metadatas: Sequence[Mapping[str, Any]] | None,
        ids: Sequence[str | None] | None,
    ) -> Plan[list[str]]:
        """Embed and store texts; their ids. Raises ConfigurationError for what cannot be stored."""
        if embeddings is None:
            embeddings = yield Embed(self.embeddings, texts)
            check_vectors(embeddings, len(texts), None)
        documents = new_documents(texts, embeddings, metadatas, ids)
        table = yield from self._table()
        yield from attempt(lambda: store(table, documents, self._language), transaction=True)
        return [document.id for document in documents]

    def delete(self, ids: list[str] | None, filter: Mapping[str, Any] | None) -> Plan[bool]:
        """Delete by id, by filter, or what meets both; False if neither is given."""
        if ids is None and not filter:
            return False
        table = yield from self._table()
        yield from self._filtered(lambda: remove(table, ids, filter), filter)
        return True

    def by_ids(self, ids: Sequence[str]) -> Plan[list[Document]]:
        """Documents in the order of their ids; missing ones are left out."""
        table = yield from self._table()
        return (yield from attempt(lambda: by_ids(table, ids)))

    def search(self, query: str, k: int, filter: Mapping[str, Any] | None) -> Plan[list[Hit]]:
        """The k best by the question's vector, and by its words where hybrid."""
        if k <= 0:
            return []
        vector = (yield Embed(self.embeddings, [query], as_queries=True))[0]
        if not self.hybrid:
            return (yield from self.nearest(vector, k, filter))
        table = yield from self._table()

        def steps() -> Steps[list[Hit]]:
            return (
                yield from hybrid(
                    table,
                    vector,
                    query,
                    k=k,
                    filter=filter,
                    distance=self.distance,
                    language=self._language,
                )
            )

        return (yield from self._filtered(steps, filter, transaction=True))

    def nearest(
        self,
        vector: Sequence[float],
        k: int,
        filter: Mapping[str, Any] | None,
        *,
        embedding: bool = False,
    ) -> Plan[list[Hit]]:
        """The k nearest to a vector."""
        table = yield from self._table()

        def steps() -> Steps[list[Hit]]:
            return (
                yield from nearest(
                    table,
                    vector,
                    k=k,
                    filter=filter,
                    distance=self.distance,
                    embedding=embedding,
                )
            )

        return (yield from self._filtered(steps, filter, transaction=table.ann))

    def diverse(
        self,
        query: str | Sequence[float],
        k: int,
        fetch_k: int,
        lambda_mult: float,
        filter: Mapping[str, Any] | None,
    ) -> Plan[list[Document]]:
        """The k most relevant of fetch_k that are unlike each other."""
        vector: Sequence[float]
        if isinstance(query, str):
            vector = (yield Embed(self.embeddings, [query], as_queries=True))[0]
        else:
            vector = query
        hits = yield from self.nearest(vector, max(k, fetch_k), filter, embedding=True)
        # A vector of zeros is like nothing, and has no cosine.
        full = [hit for hit in hits if np.any(hit.embedding)]
        if not full or not np.any(vector):
            return [hit.document for hit in hits[:k]]
        chosen = maximal_marginal_relevance(
            np.array(vector, dtype=np.float32),
            [list(hit.embedding) for hit in full],
            lambda_mult=lambda_mult,
            k=k,
        )
        empty = (hit for hit in hits if not np.any(hit.embedding))
        several = [*(full[position] for position in chosen), *empty]
        return [hit.document for hit in several[:k]]


def _unfit(filter: Mapping[str, Any], reason: BaseException) -> ConfigurationError:
    return ConfigurationError(
        f"the filter {filter!r} does not fit the types of the table's columns: {reason}"
    )
