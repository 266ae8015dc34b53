"""The vector store's operations as plans: what to embed, and which steps to attempt."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from memory.database.steps import Embed, Plan, Steps, attempt
from memory.documents.rows import new_documents, remove, store
from memory.documents.searching import Hit, by_ids, hybrid, nearest
from memory.documents.table import Layout, Opened, create_table, open_table
from memory.embeddings import check_vectors, dimensions_of


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
        self._layout, self._hybrid, self._language = layout, hybrid, language
        self._opened: Opened | None = None

    def _table(self) -> Plan[Opened]:
        if self._opened is None:
            self._opened = yield from attempt(lambda: open_table(self._layout))
        return self._opened

    def setup(
        self,
        dims: int | None,
        vector_type: str,
        id_type: str,
        metadata_types: Mapping[str, str],
        ann: bool,
    ) -> Plan[None]:
        """Make the table if there is none. Raises ConfigurationError for unknown types."""
        length = dimensions_of(self.embeddings, dims)
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
        yield from attempt(lambda: remove(table, ids, filter))
        return True

    def by_ids(self, ids: Sequence[str]) -> Plan[list[Document]]:
        """Documents in the order of their ids; missing ones are left out."""
        table = yield from self._table()
        return (yield from attempt(lambda: by_ids(table, ids)))

    def search(self, query: str, k: int, filter: Mapping[str, Any] | None) -> Plan[list[Hit]]:
        """The k best by the question's vector, and by its words where hybrid."""
        vector = (yield Embed(self.embeddings, [query], as_queries=True))[0]
        if not self._hybrid:
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

        return (yield from attempt(steps, transaction=True))

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

        return (yield from attempt(steps, transaction=table.ann))

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
        if not hits:
            return []
        chosen = maximal_marginal_relevance(
            np.array(vector, dtype=np.float32),
            [list(hit.embedding) for hit in hits],
            lambda_mult=lambda_mult,
            k=k,
        )
        return [hits[position].document for position in chosen]
