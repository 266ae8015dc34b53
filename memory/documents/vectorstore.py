"""`BorealisVectorStore`: LangChain's vector store on PostgreSQL with pgvector."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from memory.database.connections import ConnectionSource
from memory.database.driver import DEFAULT_DEADLINE_SECONDS, Driver, DriverOwner
from memory.database.steps import Embed, Plan, Steps, attempt
from memory.documents.table import (
    Hit,
    Layout,
    Opened,
    by_ids,
    create_table,
    hybrid,
    nearest,
    new_documents,
    open_table,
    remove,
    store,
)
from memory.embeddings import check_vectors, dimensions_of, embeddings_from
from memory.errors import ConfigurationError
from memory.store.index import OPERATORS


class BorealisVectorStore(DriverOwner, VectorStore):
    """Documents in a table of langchain-postgres' layout: a `PGVectorStore` table opens unchanged.

    source: a cluster (anything with `dsn()`), a DSN, or a psycopg pool or autocommit connection.
    embedding: as `memory.embeddings.embeddings_from` takes it; hashed (lexical) if left out.
    table_name, schema_name, *_column, metadata_columns: the layout, named as in PGVectorStore.
    distance: "cosine", "l2" or "inner_product"; scores are distances, smaller is nearer.
    hybrid: rank by words too, fused by reciprocal rank; scores then are RRF scores.
    language: text search configuration of hybrid searches.

    `setup()` makes the table if there is none. Searches with a filter return as many rows as
    match, up to k. Synchronous and asynchronous methods may be mixed.
    """

    def __init__(
        self,
        source: ConnectionSource,
        embedding: Embeddings | str | Callable[..., Any] | None = None,
        *,
        table_name: str = "borealis_documents",
        schema_name: str = "public",
        id_column: str = "langchain_id",
        content_column: str = "content",
        embedding_column: str = "embedding",
        metadata_columns: Sequence[str] = (),
        metadata_json_column: str = "langchain_metadata",
        tsv_column: str | None = None,
        distance: str = "cosine",
        hybrid: bool = False,
        language: str = "english",
        tenant: str = "",
        deadline: float = DEFAULT_DEADLINE_SECONDS,
        **pool: Any,
    ) -> None:
        if distance not in OPERATORS:
            raise ConfigurationError(
                f"distance is {distance!r}; it must be one of {', '.join(OPERATORS)}"
            )
        self._driver = Driver(source, tenant=tenant, deadline=deadline, **pool)
        self._embeddings = embeddings_from(embedding)
        if tsv_column is None and hybrid:
            tsv_column = f"{content_column}_tsv"
        self._layout = Layout(
            table=table_name,
            schema=schema_name,
            id=id_column,
            content=content_column,
            embedding=embedding_column,
            metadata_columns=tuple(metadata_columns),
            json=metadata_json_column,
            tsv=tsv_column,
        )
        self._distance, self._hybrid, self._language = distance, hybrid, language
        self._opened: Opened | None = None

    @property
    def embeddings(self) -> Embeddings:
        return self._embeddings

    def setup(
        self,
        *,
        dims: int | None = None,
        vector_type: str = "vector",
        id_type: str = "text",
        metadata_types: Mapping[str, str] | None = None,
        ann: bool = True,
    ) -> None:
        """Create the table if there is none; safe from many processes at once.

        dims: length of the vectors, where the embeddings do not say. vector_type: "vector" or
            "halfvec". id_type: "text" or "uuid" (PGVectorStore's). metadata_types: types of the
            metadata columns, by default text. ann: make an HNSW index.
        """
        self._driver.run(self._setup(dims, vector_type, id_type, metadata_types or {}, ann))

    async def asetup(
        self,
        *,
        dims: int | None = None,
        vector_type: str = "vector",
        id_type: str = "text",
        metadata_types: Mapping[str, str] | None = None,
        ann: bool = True,
    ) -> None:
        """`setup`, asynchronously."""
        await self._driver.arun(self._setup(dims, vector_type, id_type, metadata_types or {}, ann))

    # -- adding and deleting

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed texts and store them, replacing those with the same id; their ids."""
        return self._driver.run(self._add(list(texts), None, metadatas, ids))

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_texts`, asynchronously."""
        return await self._driver.arun(self._add(list(texts), None, metadatas, ids))

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Embed documents and store them, replacing those with the same id; their ids."""
        ids = kwargs.get("ids") or [document.id for document in documents]
        texts = [document.page_content for document in documents]
        return self.add_texts(texts, [document.metadata for document in documents], ids=ids)

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """`add_documents`, asynchronously."""
        ids = kwargs.get("ids") or [document.id for document in documents]
        texts = [document.page_content for document in documents]
        return await self.aadd_texts(texts, [d.metadata for d in documents], ids=ids)

    def add_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Sequence[Sequence[float]],
        metadatas: list[dict[str, Any]] | None = None,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """Store texts with embeddings that are there already; their ids."""
        return self._driver.run(self._add(list(texts), embeddings, metadatas, ids))

    async def aadd_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Sequence[Sequence[float]],
        metadatas: list[dict[str, Any]] | None = None,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """`add_embeddings`, asynchronously."""
        return await self._driver.arun(self._add(list(texts), embeddings, metadatas, ids))

    def delete(
        self, ids: list[str] | None = None, filter: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> bool | None:
        """Delete by id, by filter, or what meets both; False if neither is given."""
        return self._driver.run(self._delete(ids, filter))

    async def adelete(
        self, ids: list[str] | None = None, filter: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> bool | None:
        """`delete`, asynchronously."""
        return await self._driver.arun(self._delete(ids, filter))

    # -- reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Documents by id, in that order; missing ones are left out."""
        return self._driver.run(self._by_ids(ids))

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """`get_by_ids`, asynchronously."""
        return await self._driver.arun(self._by_ids(ids))

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The k documents most like the query. filter: as in `memory.documents.filters`."""
        return _documents(self._driver.run(self._search(query, k, kwargs.get("filter"))))

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """`similarity_search`, asynchronously."""
        return _documents(await self._driver.arun(self._search(query, k, kwargs.get("filter"))))

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same, with distances."""
        return _scored(self._driver.run(self._search(query, k, kwargs.get("filter"))))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """`similarity_search_with_score`, asynchronously."""
        return _scored(await self._driver.arun(self._search(query, k, kwargs.get("filter"))))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The k documents nearest to a vector."""
        return _documents(self._driver.run(self._nearest(embedding, k, kwargs.get("filter"))))

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """`similarity_search_by_vector`, asynchronously."""
        return _documents(
            await self._driver.arun(self._nearest(embedding, k, kwargs.get("filter")))
        )

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same, with distances."""
        return _scored(self._driver.run(self._nearest(embedding, k, kwargs.get("filter"))))

    async def asimilarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """`similarity_search_with_score_by_vector`, asynchronously."""
        return _scored(await self._driver.arun(self._nearest(embedding, k, kwargs.get("filter"))))

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """k of the fetch_k most alike, chosen to differ: lambda_mult 1 is none, 0 is most."""
        return self._driver.run(self._diverse(query, k, fetch_k, lambda_mult, kwargs.get("filter")))

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`max_marginal_relevance_search`, asynchronously."""
        return await self._driver.arun(
            self._diverse(query, k, fetch_k, lambda_mult, kwargs.get("filter"))
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search` by a vector."""
        return self._driver.run(
            self._diverse(embedding, k, fetch_k, lambda_mult, kwargs.get("filter"))
        )

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector`, asynchronously."""
        return await self._driver.arun(
            self._diverse(embedding, k, fetch_k, lambda_mult, kwargs.get("filter"))
        )

    # -- making

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        source: ConnectionSource | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make the store on `source` (required), its table, and add texts."""
        made = cls._on(source, embedding, kwargs)
        made.setup(dims=len(made.embeddings.embed_query("")))
        made.add_texts(texts, metadatas, ids=ids)
        return made

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        source: ConnectionSource | None = None,
        **kwargs: Any,
    ) -> Self:
        """`from_texts`, asynchronously."""
        made = cls._on(source, embedding, kwargs)
        await made.asetup(dims=len(await made.embeddings.aembed_query("")))
        await made.aadd_texts(texts, metadatas, ids=ids)
        return made

    @classmethod
    def _on(
        cls, source: ConnectionSource | None, embedding: Embeddings, kwargs: dict[str, Any]
    ) -> Self:
        if source is None:
            raise ConfigurationError("pass source=: a cluster, a DSN, or a psycopg pool")
        return cls(source, embedding, **kwargs)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        match self._distance:
            case "cosine":
                return self._cosine_relevance_score_fn
            case "l2":
                return self._euclidean_relevance_score_fn
            case _:
                return self._max_inner_product_relevance_score_fn

    # -- plans

    def _table(self) -> Plan[Opened]:
        if self._opened is None:
            self._opened = yield from attempt(lambda: open_table(self._layout))
        return self._opened

    def _setup(
        self,
        dims: int | None,
        vector_type: str,
        id_type: str,
        metadata_types: Mapping[str, str],
        ann: bool,
    ) -> Plan[None]:
        length = dimensions_of(self._embeddings, dims)
        yield from attempt(
            lambda: create_table(
                self._layout,
                dims=length,
                vector_type=vector_type,
                distance=self._distance,
                id_type=id_type,
                metadata_types=metadata_types,
                ann=ann,
            ),
            transaction=True,
        )
        self._opened = None

    def _add(
        self,
        texts: list[str],
        embeddings: Sequence[Sequence[float]] | None,
        metadatas: Sequence[Mapping[str, Any]] | None,
        ids: Sequence[str | None] | None,
    ) -> Plan[list[str]]:
        if embeddings is None:
            embeddings = yield Embed(self._embeddings, texts)
            check_vectors(embeddings, len(texts), None)
        documents = new_documents(texts, embeddings, metadatas, ids)
        table = yield from self._table()
        yield from attempt(lambda: store(table, documents, self._language), transaction=True)
        return [document.id for document in documents]

    def _delete(self, ids: list[str] | None, filter: Mapping[str, Any] | None) -> Plan[bool]:
        if ids is None and not filter:
            return False
        table = yield from self._table()
        yield from attempt(lambda: remove(table, ids, filter))
        return True

    def _by_ids(self, ids: Sequence[str]) -> Plan[list[Document]]:
        table = yield from self._table()
        return (yield from attempt(lambda: by_ids(table, ids)))

    def _search(self, query: str, k: int, filter: Mapping[str, Any] | None) -> Plan[list[Hit]]:
        vector = (yield Embed(self._embeddings, [query], as_queries=True))[0]
        if not self._hybrid:
            return (yield from self._nearest(vector, k, filter))
        table = yield from self._table()

        def steps() -> Steps[list[Hit]]:
            return (
                yield from hybrid(
                    table,
                    vector,
                    query,
                    k=k,
                    filter=filter,
                    distance=self._distance,
                    language=self._language,
                )
            )

        return (yield from attempt(steps, transaction=True))

    def _nearest(
        self,
        vector: Sequence[float],
        k: int,
        filter: Mapping[str, Any] | None,
        *,
        embedding: bool = False,
    ) -> Plan[list[Hit]]:
        table = yield from self._table()

        def steps() -> Steps[list[Hit]]:
            return (
                yield from nearest(
                    table,
                    vector,
                    k=k,
                    filter=filter,
                    distance=self._distance,
                    embedding=embedding,
                )
            )

        return (yield from attempt(steps, transaction=table.ann))

    def _diverse(
        self,
        query: str | Sequence[float],
        k: int,
        fetch_k: int,
        lambda_mult: float,
        filter: Mapping[str, Any] | None,
    ) -> Plan[list[Document]]:
        vector: Sequence[float]
        if isinstance(query, str):
            vector = (yield Embed(self._embeddings, [query], as_queries=True))[0]
        else:
            vector = query
        hits = yield from self._nearest(vector, max(k, fetch_k), filter, embedding=True)
        if not hits:
            return []
        chosen = maximal_marginal_relevance(
            np.array(vector, dtype=np.float32),
            [list(hit.embedding) for hit in hits],
            lambda_mult=lambda_mult,
            k=k,
        )
        return [hits[position].document for position in chosen]


def _documents(hits: Sequence[Hit]) -> list[Document]:
    return [hit.document for hit in hits]


def _scored(hits: Sequence[Hit]) -> list[tuple[Document, float]]:
    return [(hit.document, hit.distance) for hit in hits]
