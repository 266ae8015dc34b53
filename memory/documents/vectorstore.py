"""`BorealisVectorStore`: LangChain's vector store on PostgreSQL with pgvector."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Unpack

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from memory.database.connections import ConnectionSource, PoolOptions, refuse_unknown
from memory.database.driver import DEFAULT_DEADLINE_SECONDS, Driver, DriverOwner
from memory.database.vectors import OPERATORS
from memory.documents.making import ADDING, SEARCHING, Filter, Making, checked
from memory.documents.plans import DocumentPlans
from memory.documents.searching import Hit
from memory.documents.table import Layout
from memory.documents.upkeep import Upkeep
from memory.embeddings import embeddings_from
from memory.errors import ConfigurationError
from memory.words import AUTO


class BorealisVectorStore(Upkeep, Making, DriverOwner, VectorStore):
    """Documents in a table of langchain-postgres' layout: a `PGVectorStore` table opens unchanged.

    source: a cluster (anything with `dsn()`), a DSN, or a psycopg pool or autocommit connection.
    embedding: as `memory.embeddings.embeddings_from` takes it; hashed (lexical) if left out.
    table_name, schema_name, *_column, metadata_columns: the layout, named as in PGVectorStore.
    distance: "cosine", "l2" or "inner_product"; scores are distances, smaller is nearer.
    hybrid: rank by words too, any of them and the rare ones first, fused by reciprocal rank; scores
        then are from 0 to 1, and more is better.
    language: text search configuration of hybrid searches; "auto" takes each text's own.

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
        language: str = AUTO,
        tenant: str = "",
        deadline: float = DEFAULT_DEADLINE_SECONDS,
        **pool: Unpack[PoolOptions],
    ) -> None:
        if distance not in OPERATORS:
            raise ConfigurationError(
                f"distance is {distance!r}; it must be one of {', '.join(OPERATORS)}"
            )
        self._driver = Driver(source, tenant=tenant, deadline=deadline, owner=type(self), **pool)
        if tsv_column is None and hybrid:
            tsv_column = f"{content_column}_tsv"
        layout = Layout(
            table=table_name,
            schema=schema_name,
            id=id_column,
            content=content_column,
            embedding=embedding_column,
            metadata_columns=tuple(metadata_columns),
            json=metadata_json_column,
            tsv=tsv_column,
        )
        self._plans = DocumentPlans(
            embeddings_from(embedding), layout, distance=distance, hybrid=hybrid, language=language
        )

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings of questions and documents."""
        return self._plans.embeddings

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
        refuse_unknown(kwargs, ADDING, near=SEARCHING)
        return self._driver.run(self._plans.add(list(texts), None, metadatas, ids))

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_texts`, asynchronously."""
        refuse_unknown(kwargs, ADDING, near=SEARCHING)
        return await self._driver.arun(self._plans.add(list(texts), None, metadatas, ids))

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Embed documents and store them, replacing those with the same id; their ids."""
        refuse_unknown(kwargs, (*ADDING, "ids"), near=SEARCHING)
        ids = kwargs.get("ids") or [document.id for document in documents]
        texts = [document.page_content for document in documents]
        return self.add_texts(texts, [document.metadata for document in documents], ids=ids)

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """`add_documents`, asynchronously."""
        refuse_unknown(kwargs, (*ADDING, "ids"), near=SEARCHING)
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
        return self._driver.run(self._plans.add(list(texts), embeddings, metadatas, ids))

    async def aadd_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Sequence[Sequence[float]],
        metadatas: list[dict[str, Any]] | None = None,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """`add_embeddings`, asynchronously."""
        return await self._driver.arun(self._plans.add(list(texts), embeddings, metadatas, ids))

    def delete(
        self, ids: list[str] | None = None, filter: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> bool | None:
        """Delete by id, by filter, or what meets both; False if neither is given."""
        refuse_unknown(kwargs, (), near=SEARCHING)
        return self._driver.run(self._plans.delete(ids, filter))

    async def adelete(
        self, ids: list[str] | None = None, filter: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> bool | None:
        """`delete`, asynchronously."""
        refuse_unknown(kwargs, (), near=SEARCHING)
        return await self._driver.arun(self._plans.delete(ids, filter))

    # -- reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Documents by id, in that order; missing ones are left out."""
        return self._driver.run(self._plans.by_ids(ids))

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """`get_by_ids`, asynchronously."""
        return await self._driver.arun(self._plans.by_ids(ids))

    def similarity_search(
        self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[Document]:
        """The k documents most like the query. filter: as in `memory.documents.filters`."""
        return _documents(self._driver.run(self._plans.search(query, k, checked(filter, kwargs))))

    async def asimilarity_search(
        self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[Document]:
        """`similarity_search`, asynchronously."""
        return _documents(
            await self._driver.arun(self._plans.search(query, k, checked(filter, kwargs)))
        )

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same, with distances."""
        return _scored(self._driver.run(self._plans.search(query, k, checked(filter, kwargs))))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """`similarity_search_with_score`, asynchronously."""
        return _scored(
            await self._driver.arun(self._plans.search(query, k, checked(filter, kwargs)))
        )

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[Document]:
        """The k documents nearest to a vector."""
        return _documents(
            self._driver.run(self._plans.nearest(embedding, k, checked(filter, kwargs)))
        )

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[Document]:
        """`similarity_search_by_vector`, asynchronously."""
        return _documents(
            await self._driver.arun(self._plans.nearest(embedding, k, checked(filter, kwargs)))
        )

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same, with distances."""
        return _scored(self._driver.run(self._plans.nearest(embedding, k, checked(filter, kwargs))))

    async def asimilarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """`similarity_search_with_score_by_vector`, asynchronously."""
        return _scored(
            await self._driver.arun(self._plans.nearest(embedding, k, checked(filter, kwargs)))
        )

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter = None,
        **kwargs: Any,
    ) -> list[Document]:
        """k of the fetch_k most alike, chosen to differ: lambda_mult 1 is none, 0 is most."""
        return self._driver.run(
            self._plans.diverse(query, k, fetch_k, lambda_mult, checked(filter, kwargs))
        )

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search`, asynchronously."""
        return await self._driver.arun(
            self._plans.diverse(query, k, fetch_k, lambda_mult, checked(filter, kwargs))
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search` by a vector."""
        return self._driver.run(
            self._plans.diverse(embedding, k, fetch_k, lambda_mult, checked(filter, kwargs))
        )

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector`, asynchronously."""
        return await self._driver.arun(
            self._plans.diverse(embedding, k, fetch_k, lambda_mult, checked(filter, kwargs))
        )

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        if self._plans.hybrid:
            return _within  # the score is one already
        score: Callable[[float], float]
        match self._plans.distance:
            case "cosine":
                score = self._cosine_relevance_score_fn
            case "l2":
                score = self._euclidean_relevance_score_fn
            case _:
                score = operator.neg  # LangChain's ranks what points away above all
        return lambda distance: _within(score(distance))


def _within(score: float) -> float:
    return min(1.0, max(0.0, score))


def _documents(hits: Sequence[Hit]) -> list[Document]:
    return [hit.document for hit in hits]


def _scored(hits: Sequence[Hit]) -> list[tuple[Document, float]]:
    return [(hit.document, hit.distance) for hit in hits]
