"""What programs put into metadata, filters and names comes back, is found, or is refused."""

import datetime as dt
import decimal
import enum
from typing import Any

import numpy as np
import psycopg
import pytest

from memory import BorealisStore, BorealisVectorStore
from memory.errors import ConfigurationError


class Kind(enum.StrEnum):
    NEWS = "news"


def with_columns(dsn: str) -> BorealisVectorStore:
    names = ["year", "tags", "who", "day", "price", "more"]
    store = BorealisVectorStore(dsn, table_name="columns", metadata_columns=names)
    store.setup(
        metadata_types={
            "year": "int",
            "tags": "text[]",
            "who": "varchar(5)",
            "day": "date",
            "price": "numeric(10,2)",
            "more": "jsonb",
        }
    )
    return store


def test_a_name_that_postgresql_would_cut_to_another_one_s_is_refused(fresh_dsn: str) -> None:
    for name in ("x" * 64, "é" * 32, "", "a\0", "\ud800"):
        for keyword in ("table_name", "schema_name", "content_column"):
            with pytest.raises(ConfigurationError, match="not a PostgreSQL identifier"):
                BorealisVectorStore(fresh_dsn, **{keyword: name})  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="not a PostgreSQL identifier"):
            BorealisVectorStore(fresh_dsn, metadata_columns=[name])


def test_setup_makes_the_schema_too(fresh_dsn: str) -> None:
    store = BorealisVectorStore(fresh_dsn, schema_name="of its own")
    store.setup()
    store.add_texts(["a"])
    assert len(store.similarity_search("a")) == 1


def test_a_value_that_is_too_long_for_its_column_is_refused_and_not_cut(fresh_dsn: str) -> None:
    store = with_columns(fresh_dsn)
    for count in (1, 50):
        with pytest.raises(psycopg.errors.StringDataRightTruncation):
            store.add_texts(["a"] * count, [{"who": "abcdefgh"}] * count)
    assert store.similarity_search("a") == []


def test_texts_that_postgresql_cannot_hold_come_back_from_columns_and_are_found(
    fresh_dsn: str,
) -> None:
    store = with_columns(fresh_dsn)
    metadata = {"tags": ["\0", "\ud800", '"\\{}', "\x1a"], "who": "\0", "more": {"\0": ["\ud800"]}}
    store.add_texts(["a"], [metadata], ids=["1"])
    assert store.get_by_ids(["1"])[0].metadata == metadata
    wanted: list[dict[str, Any]] = [
        {"who": "\0"},
        {"who": {"$in": ["\0", "x"]}},
        {"who": {"$lte": "\0"}},
        {"tags": {"$contains": "\ud800"}},
        {"tags": metadata["tags"]},
    ]
    for filter in wanted:
        assert len(store.similarity_search("a", filter=filter)) == 1, filter


@pytest.mark.parametrize(
    "filter",
    [
        {"year": {"$contains": 1}},
        {"year": True},
        {"year": [1]},
        {"year": {"a": 1}},
        {"year": {"$gt": "x"}},
        {"year": {"$in": [1999, "a"]}},
        {"who": 5},
        {"day": {"$gt": "no day"}},
        {"tags": {"$in": ["x"]}},
    ],
)
def test_a_filter_that_does_not_fit_a_column_says_so(
    fresh_dsn: str, filter: dict[str, Any]
) -> None:
    store = with_columns(fresh_dsn)
    store.add_texts(["a"], [{"year": 1999}])
    with pytest.raises(ConfigurationError, match="does not fit the types"):
        store.similarity_search("a", filter=filter)
    with pytest.raises(ConfigurationError, match="does not fit the types"):
        store.delete(filter=filter)


def test_enums_of_texts_and_numbers_of_numpy_are_found_as_what_they_are(fresh_dsn: str) -> None:
    store = BorealisVectorStore(fresh_dsn, metadata_columns=["section"])
    store.setup()
    store.add_texts(["a"], [{"kind": Kind.NEWS, "n": np.int64(3), "f": 1.5, "section": Kind.NEWS}])
    filters: list[dict[str, Any]] = [
        {"kind": Kind.NEWS},
        {"kind": {"$in": [Kind.NEWS]}},
        {"section": Kind.NEWS},
        {"section": {"$in": [Kind.NEWS]}},
        {"n": np.int64(3)},
        {"n": {"$in": [np.int64(3), np.int64(4)]}},
        {"n": {"$gt": np.int64(2)}},
        {"f": {"$lt": np.float64(1.6)}},
        {"f": np.float64(1.5)},
    ]
    for filter in filters:
        assert len(store.similarity_search("a", filter=filter)) == 1, filter
    assert store.similarity_search("a")[0].metadata["section"] == "news"


@pytest.mark.parametrize("value", [dt.date(2020, 1, 1), decimal.Decimal(1), [object()]])
def test_what_json_metadata_cannot_hold_is_no_filter_either(fresh_dsn: str, value: Any) -> None:
    store = BorealisVectorStore(fresh_dsn)
    store.setup()
    for filter in ({"a": value}, {"a": {"$in": [value]}}, {"a": {"$contains": value}}):
        with pytest.raises(ConfigurationError, match="JSON"):
            store.similarity_search("a", filter=filter)
    with pytest.raises(ConfigurationError, match=r"\$gt"):
        store.similarity_search("a", filter={"a": {"$gt": True}})


def test_any_k_and_documents_without_a_word_are_fine(fresh_dsn: str) -> None:
    store = BorealisVectorStore(fresh_dsn, hybrid=True)
    store.setup()
    store.add_texts(["a red boat", "", "a green hill"])
    for k in (0, -1):
        assert store.similarity_search("boat", k=k) == []
        assert store.max_marginal_relevance_search("boat", k=k) == []
    assert len(store.max_marginal_relevance_search("boat", k=3)) == 3
    assert len(store.max_marginal_relevance_search("", k=3)) == 3
    nothing = [0.0] * 384
    assert len(store.max_marginal_relevance_search_by_vector(nothing, k=2)) == 2


@pytest.mark.parametrize("distance", ["cosine", "l2", "inner_product"])
def test_relevance_falls_with_the_distance_and_is_from_0_to_1(
    fresh_dsn: str, distance: str
) -> None:
    store = BorealisVectorStore(
        fresh_dsn, lambda texts: [[1.0, 0.0]] * len(texts), distance=distance
    )
    store.setup()
    angles = np.linspace(0, np.pi, 20)
    vectors = [[float(np.cos(angle)), float(np.sin(angle))] for angle in angles]
    store.add_embeddings([str(number) for number in range(20)], vectors)
    found = store.similarity_search_with_relevance_scores("q", k=20)
    assert [document.page_content for document, _ in found] == [str(n) for n in range(20)]
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert (max(scores), min(scores)) == (pytest.approx(1), 0)


def test_a_language_that_the_database_does_not_know_is_named_by_setup(fresh_dsn: str) -> None:
    with pytest.raises(ConfigurationError, match=r"klingon.*english"):
        BorealisVectorStore(fresh_dsn, hybrid=True, language="klingon").setup()
    with pytest.raises(ConfigurationError, match=r"klingon.*english"):
        BorealisStore(fresh_dsn, index={"hybrid": True, "language": "klingon"}).setup()
