"""Making a vector store as LangChain's programs do, and refusing what nobody understands."""

from collections.abc import Awaitable, Mapping
from typing import Any, Self, TypeAlias

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from memory.database.connections import ConnectionSource, keywords_of, refuse_unknown
from memory.errors import ConfigurationError

Filter: TypeAlias = Mapping[str, Any] | None
ADDING = ("batch_size",)
"""What LangChain's indexing passes to every store; ours makes batches by itself."""

SOURCES = ("source", "connection", "connection_string", "engine")
RENAMED = {
    "collection_name": "table_name",
    "embedding_service": "embedding",
    "distance_strategy": "distance",
}
# langchain-postgres' `DistanceStrategy`, by name or by its words.
DISTANCES = {
    "cosine_distance": "cosine",
    "euclidean": "l2",
    "cosine": "cosine",
    "l2": "l2",
    "inner_product": "inner_product",
    "inner": "inner_product",
}


SEARCHING = ("filter", "k", "ids", "fetch_k", "lambda_mult")


def checked(filter: Filter, kwargs: Mapping[str, Any]) -> Filter:
    """The filter of a search that has no other keyword."""
    refuse_unknown(kwargs, (), near=SEARCHING)
    return filter


class Making(VectorStore):
    """The class methods that make a store; a part of `BorealisVectorStore`."""

    def setup(self) -> Awaitable[None]:
        """Create the table if there is none."""
        raise NotImplementedError

    async def asetup(self) -> None:
        """`setup`, asynchronously."""
        raise NotImplementedError

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make the store, its table, and add texts.

        kwargs: of the constructor; `source` may be called `connection`, as in PGVector.
        """
        made = cls._on(embedding, kwargs)
        made.setup()
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
        **kwargs: Any,
    ) -> Self:
        """`from_texts`, asynchronously."""
        made = cls._on(embedding, kwargs)
        await made.asetup()
        await made.aadd_texts(texts, metadatas, ids=ids)
        return made

    @classmethod
    def create_sync(
        cls, engine: ConnectionSource, embedding_service: Embeddings, table_name: str, **kwargs: Any
    ) -> Self:
        """As `PGVectorStore.create_sync`: open a table that is there.

        engine: a cluster, a DSN, a SQLAlchemy URL, a psycopg pool or connection.
        kwargs: of the constructor, or PGVectorStore's names for them.
        """
        return cls._on(embedding_service, {"engine": engine, "table_name": table_name, **kwargs})

    @classmethod
    async def create(
        cls, engine: ConnectionSource, embedding_service: Embeddings, table_name: str, **kwargs: Any
    ) -> Self:
        """`create_sync`, which waits for nothing."""
        return cls.create_sync(engine, embedding_service, table_name, **kwargs)

    @classmethod
    def from_conn_string(
        cls, conn_string: str, embedding: Embeddings | None = None, **kwargs: Any
    ) -> Self:
        """To be used with `with` or `async with`."""
        return cls._on(embedding, {"source": conn_string, **kwargs})

    @classmethod
    def _on(cls, embedding: Embeddings | None, kwargs: Mapping[str, Any]) -> Self:
        options = {RENAMED.get(name, name): value for name, value in kwargs.items()}
        sources = [options.pop(name) for name in SOURCES if options.get(name) is not None]
        if len(sources) != 1:
            raise ConfigurationError(
                "pass source= (or connection=): a cluster, a DSN, a SQLAlchemy URL, a psycopg pool"
            )
        if "distance" in options:
            given = str(getattr(options["distance"], "name", options["distance"])).lower()
            options["distance"] = DISTANCES.get(given, given)
        if options.pop("use_jsonb", True) is not True:
            raise ConfigurationError("use_jsonb: metadata is always jsonb here; leave it out")
        embedding = options.pop("embedding", embedding)
        refuse_unknown(options, keywords_of(cls))
        return cls(sources[0], embedding, **options)  # type: ignore[call-arg]
