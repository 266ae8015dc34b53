"""BorealisVectorStore beyond the standard suite: filters, bulk loading, hybrid search, MMR."""

import json
import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from langchain_core.documents import Document

from memory import BorealisVectorStore, HashEmbeddings
from memory.errors import ConfigurationError, SetupRequiredError


@pytest.fixture
def store(fresh_dsn: str) -> Iterator[BorealisVectorStore]:
    store = BorealisVectorStore(fresh_dsn, metadata_columns=["year"], deadline=15)
    store.setup(metadata_types={"year": "integer"})
    yield store
    store.close()


BOOKS = [
    ("a red boat on the sea", {"year": 1999, "tag": "sea", "price": 5}),
    ("a green hill far away", {"year": 2005, "tag": "land", "price": 7.5}),
    ("a blue boat in a storm", {"year": 2020, "tag": "sea", "rare": True}),
    ("tea and toast", {"tag": None, "price": "free"}),
]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"year": 1999}, [0]),
        ({"year": {"$ne": 1999}}, [1, 2, 3]),
        ({"year": {"$gt": 1999, "$lte": 2020}}, [1, 2]),
        ({"year": {"$between": (2000, 2020)}}, [1, 2]),
        ({"year": {"$in": [1999, 2020]}}, [0, 2]),
        ({"year": {"$nin": [1999, 2020]}}, [1, 3]),
        ({"year": {"$exists": False}}, [3]),
        ({"tag": "sea"}, [0, 2]),
        ({"tag": {"$in": ["land", "sea"]}}, [0, 1, 2]),
        ({"tag": {"$like": "s%"}}, [0, 2]),
        ({"tag": None}, [3]),
        ({"price": {"$gt": 5}}, [1]),
        ({"price": {"$gte": 5}, "tag": "sea"}, [0]),
        ({"price": {"$gt": "a"}}, [3]),
        ({"rare": True}, [2]),
        ({"rare": {"$exists": True}}, [2]),
        ({"$or": [{"year": 1999}, {"tag": "land"}]}, [0, 1]),
        ({"$and": [{"tag": "sea"}, {"$not": {"year": 1999}}]}, [2]),
        ({"tag": {"$in": []}}, []),
    ],
)
def test_filters_compare_by_type(
    store: BorealisVectorStore, filter: dict[str, Any], expected: list[int]
) -> None:
    store.add_texts([text for text, _ in BOOKS], [m for _, m in BOOKS], ids=list("0123"))
    found = store.similarity_search("boat", k=10, filter=filter)
    assert sorted(int(d.id or "") for d in found) == expected
    store.delete(filter=filter)
    left = store.similarity_search("boat", k=10)
    assert sorted(int(d.id or "") for d in left) == sorted({0, 1, 2, 3} - set(expected))


def test_filters_that_make_no_sense_are_refused(store: BorealisVectorStore) -> None:
    bad: Any
    for bad in (
        {"$xor": []},
        {"year": {"$near": 1}},
        {"$and": {}},
        {"x": {"$gt": None}},
        {1: 2},
        {"year": {"$between": 3}},
        ["year"],
    ):
        with pytest.raises(ConfigurationError):
            store.similarity_search("boat", filter=bad)


def test_a_bulk_load_replaces_rows_of_the_same_id(store: BorealisVectorStore) -> None:
    numbers = range(200)
    ids = [f"id{n}" for n in numbers]
    metadatas: list[Any] = [{"year": n, "odd": n % 2, "note": "ü\\\t\n"} for n in numbers]
    assert store.add_texts([f"first {n}" for n in numbers], metadatas, ids=ids) == ids
    store.add_texts([f"second {n}" for n in numbers], metadatas, ids=ids)
    found = store.get_by_ids([*reversed(ids), "missing"])
    assert [d.id for d in found] == ids[::-1]
    assert found[0] == Document(id="id199", page_content="second 199", metadata=metadatas[199])
    assert store.add_texts(["x", "y"], ids=["same", "same"]) == ["same", "same"]
    assert store.get_by_ids(["same"])[0].page_content == "y"


@pytest.mark.parametrize("vector_type", ["vector", "halfvec"])
def test_a_selective_filter_gets_its_rows_from_a_large_indexed_table(
    fresh_dsn: str, vector_type: str
) -> None:
    store = BorealisVectorStore(fresh_dsn, lambda texts: [[0.0] * 8 for _ in texts])
    store.setup(dims=8, vector_type=vector_type)
    random.seed(3)
    vectors = [[random.gauss(0, 1) for _ in range(8)] for _ in range(1500)]
    store.add_embeddings([f"t{n}" for n in range(1500)], vectors, [{"n": n} for n in range(1500)])
    found = store.similarity_search_by_vector(vectors[0], k=10, filter={"n": {"$gte": 1490}})
    assert len(found) == 10
    scored = store.similarity_search_with_score_by_vector(vectors[7], k=3)
    assert scored[0][0].metadata == {"n": 7}
    assert scored[0][1] == pytest.approx(0, abs=1e-3)
    store.close()


def test_a_hybrid_search_finds_rare_words_and_mmr_avoids_repetition(fresh_dsn: str) -> None:
    store = BorealisVectorStore(fresh_dsn, hybrid=True)
    store.setup()
    store.add_texts(["boat one", "boat one", "boat two", "the zebra crossing"])
    found = store.similarity_search_with_score("zebra", k=4)
    assert found[0][0].page_content == "the zebra crossing"
    assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
    diverse = store.max_marginal_relevance_search("boat one", k=2, lambda_mult=0.1)
    assert len({d.page_content for d in diverse}) == 2
    store.close()


def test_mistakes_are_named(fresh_dsn: str, store: BorealisVectorStore) -> None:
    with pytest.raises(SetupRequiredError, match="no table"):
        BorealisVectorStore(fresh_dsn, table_name="missing").similarity_search("x")
    with pytest.raises(ConfigurationError, match="no column nope"):
        BorealisVectorStore(fresh_dsn, metadata_columns=["nope"]).similarity_search("x")
    with pytest.raises(ConfigurationError, match="text 1 contains a NUL"):
        store.add_texts(["fine", "a\0b"])
    with pytest.raises(ConfigurationError, match="not JSON"):
        store.add_texts(["x"], [{"n": float("nan")}])
    with pytest.raises(ConfigurationError, match="2 texts, but 1 metadatas"):
        store.add_texts(["x", "y"], [{}])
    assert store.similarity_search("x") == []


async def test_from_texts_makes_table_and_rows(fresh_dsn: str) -> None:
    from memory import HashEmbeddings

    store = await BorealisVectorStore.afrom_texts(
        ["a boat", "a hill"], HashEmbeddings(), source=fresh_dsn, table_name="made"
    )
    assert [d.page_content for d in await store.asimilarity_search("boats", k=1)] == ["a boat"]
    retriever = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.1}
    )
    assert [d.page_content for d in await retriever.ainvoke("boat")] == ["a boat"]
    await store.aclose()


def test_a_program_for_pgvector_is_told_what_is_called_otherwise(fresh_dsn: str) -> None:
    def made(**options: Any) -> BorealisVectorStore:
        return BorealisVectorStore.from_texts(
            ["a boat"], HashEmbeddings(16), connection=fresh_dsn, **options
        )

    for wrong, said in (
        ({"pre_delete_collection": True}, "no keyword 'pre_delete_collection'"),
        ({"tabel_name": "x"}, "did you mean 'table_name'"),
        ({"use_jsonb": False}, "use_jsonb: metadata is always jsonb"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            made(**wrong)
    with pytest.raises(ConfigurationError, match="'pool_sise' here; did you mean 'pool_size'"):
        BorealisVectorStore(fresh_dsn, pool_sise=2)  # type: ignore[call-arg]
    store = made(collection_name="boats", use_jsonb=True)
    assert [d.page_content for d in store.similarity_search("boat", k=1)] == ["a boat"]


@pytest.mark.parametrize("count", [1, 30], ids=["few", "by COPY"])
@pytest.mark.parametrize("vector_type", ["vector", "halfvec"])
def test_vectors_come_back_as_they_were(fresh_dsn: str, vector_type: str, count: int) -> None:
    store = BorealisVectorStore(fresh_dsn, HashEmbeddings(16))
    store.setup(vector_type=vector_type)
    vectors = [[n / 4 - 3.5 + i for i in range(16)] for n in range(count)]
    store.add_embeddings([f"t{n}" for n in range(count)], vectors)
    with psycopg.connect(fresh_dsn) as conn:
        rows = conn.execute("select content, embedding::text from borealis_documents").fetchall()
    assert {content: json.loads(text) for content, text in rows} == {
        f"t{n}": vector for n, vector in enumerate(vectors)
    }
    assert len(store.max_marginal_relevance_search_by_vector(vectors[0], k=count)) == count
    store.close()


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("count", [1, 30], ids=["few", "by COPY"])
@pytest.mark.parametrize(
    "bad",
    [[float("nan")] * 16, [float("inf")] * 16, [1e39] * 16, [], [1.0] * 15, [1.0] * 17],
    ids=["nan", "infinite", "too large", "empty", "short", "long"],
)
def test_a_vector_that_cannot_be_stored_is_refused_with_all_that_came_with_it(
    fresh_dsn: str, bad: list[float], count: int
) -> None:
    store = BorealisVectorStore(fresh_dsn, HashEmbeddings(16))
    store.setup()
    texts = [f"t{n}" for n in range(count)]
    with pytest.raises(psycopg.DataError):
        store.add_embeddings(texts, [*([[1.0] * 16] * (count - 1)), bad])
    with psycopg.connect(fresh_dsn) as conn:
        assert conn.execute("select count(*) from borealis_documents").fetchone() == (0,)
    store.add_embeddings(["fine"], [[1.0] * 16])
    with pytest.raises(psycopg.DataError):
        store.similarity_search_by_vector(bad)
    store.close()
