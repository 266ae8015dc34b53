"""The index of a table and its vectors change while objects live; what does not fit is an error."""

from typing import Any

import numpy as np
import psycopg
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from memory import BorealisVectorStore, HashEmbeddings
from memory.errors import ConfigurationError

DIMS = 16


def store_on(dsn: str, **options: Any) -> BorealisVectorStore:
    return BorealisVectorStore(dsn, HashEmbeddings(DIMS), deadline=30, **options)


def vectors(count: int, seed: int = 1) -> list[list[float]]:
    found: list[list[float]] = np.random.default_rng(seed).normal(size=(count, DIMS)).tolist()
    return found


def test_an_index_that_is_made_later_never_costs_a_living_store_rows(fresh_dsn: str) -> None:
    with store_on(fresh_dsn) as living, store_on(fresh_dsn) as other:
        living.setup(ann=False)
        metadatas = [{"rare": n % 50 == 0} for n in range(1500)]
        living.add_embeddings([f"d{n}" for n in range(1500)], vectors(1500), metadatas)
        asked = vectors(1, seed=2)[0]
        exact = living.similarity_search_by_vector(asked, 200)
        other.reindex()
        assert [d.id for d in living.similarity_search_by_vector(asked, 200)] == [
            d.id for d in exact
        ]
        assert len(living.similarity_search_by_vector(asked, 30, filter={"rare": True})) == 30
        assert len(other.similarity_search_by_vector(asked, 200)) == 200
        with pytest.raises(ConfigurationError, match=r"has an approximate .* reindex\(ann=False\)"):
            living.setup(ann=False)
        other.reindex(ann=False)
        with pytest.raises(ConfigurationError, match=r"no approximate .* reindex\(ann=True"):
            living.setup(ann=True)


def test_a_table_of_another_metric_or_type_is_an_error_and_reindex_changes_the_metric(
    fresh_dsn: str,
) -> None:
    with store_on(fresh_dsn) as cosine, store_on(fresh_dsn, distance="l2") as other:
        cosine.setup()
        cosine.setup()
        with pytest.raises(ConfigurationError, match=r"is for the distance 'cosine', this .* 'l2'"):
            other.setup()
        with pytest.raises(ConfigurationError, match=r"type vector\(16\), this .* makes halfvec"):
            cosine.setup(vector_type="halfvec")
        with pytest.raises(ConfigurationError, match=r"this store makes vector\(8\)"):
            BorealisVectorStore(fresh_dsn, HashEmbeddings(8)).setup()
        other.reindex()
        other.setup()
        with psycopg.connect(fresh_dsn) as conn:
            indexes = conn.execute(
                "select indexdef from pg_indexes where indexdef like '%hnsw%'"
            ).fetchall()
        assert len(indexes) == 1
        assert "vector_l2_ops" in indexes[0][0]


def test_reembed_gives_every_document_a_vector_of_the_new_model(fresh_dsn: str) -> None:
    with store_on(fresh_dsn) as store:
        store.setup()
        texts = [f"number {n}" for n in range(25)]
        store.add_embeddings(texts, vectors(25))
        assert store.reembed(batch=10) == 25
        for text in texts[:5]:
            found, distance = store.similarity_search_with_score(text, 1)[0]
            assert found.page_content == text
            assert distance == pytest.approx(0, abs=1e-5)


class Unknown(Embeddings):
    """Embeddings that do not say how long their vectors are, and refuse empty texts."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        if not text:
            raise ValueError("input cannot be an empty string")
        return HashEmbeddings(10).embed_query(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


async def test_setup_asks_the_embeddings_for_their_dimensions_and_never_embeds_nothing(
    fresh_dsn: str,
) -> None:
    made = BorealisVectorStore.from_texts(["a"], Unknown(), connection=fresh_dsn)
    assert [d.page_content for d in made.similarity_search("a")] == ["a"]
    url = (
        fresh_dsn if "://" in fresh_dsn else "postgresql+psycopg://?" + "&".join(fresh_dsn.split())
    )
    also = await BorealisVectorStore.afrom_texts(
        ["b"],
        Unknown(),
        connection=url,
        collection_name="other",
    )
    assert [d.page_content for d in await also.asimilarity_search("b")] == ["b"]
    documents = [Document("c", id="3")]
    made = await BorealisVectorStore.afrom_documents(documents, Unknown(), connection=fresh_dsn)
    assert made.get_by_ids(["3"])[0].page_content == "c"
    opened = await BorealisVectorStore.create(fresh_dsn, Unknown(), "other")
    assert [d.page_content for d in opened.similarity_search("b")] == ["b"]
    opened = BorealisVectorStore.create_sync(fresh_dsn, Unknown(), "other", distance_strategy="l2")
    assert [d.page_content for d in opened.similarity_search("b")] == ["b"]
    for store in (made, also, opened):
        store.close()
    with pytest.raises(ConfigurationError, match="pass source="):
        BorealisVectorStore.from_texts(["a"], Unknown())
