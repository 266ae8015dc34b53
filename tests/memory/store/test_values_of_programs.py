"""What programs put into values, filters and names is kept, found, or refused clearly."""

import datetime as dt
import decimal
import enum
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import HumanMessage

from memory import (
    BorealisChatMessageHistory,
    BorealisSaver,
    BorealisStore,
    BorealisVectorStore,
)
from memory.encoding.serde import BorealisSerializer
from memory.errors import ConfigurationError

N = ("a",)


class Kind(enum.StrEnum):
    NEWS = "news"


@pytest.fixture
def store(fresh_dsn: str) -> BorealisStore:
    store = BorealisStore(fresh_dsn, index={})
    store.setup()
    return store


@pytest.mark.parametrize(
    "value",
    [
        {"text": "a boat", "when": dt.date(2020, 1, 1), "more": {1, 2}},
        {"text": "a boat", "n": [np.float64(1.5), decimal.Decimal("1.0"), b"x"]},
        {"text": "a boat", 1: {(1, 2): 3}},
    ],
)
def test_what_json_does_not_know_is_stored_and_found_by_a_store_with_an_index(
    store: BorealisStore, value: dict[Any, Any]
) -> None:
    for fields in (None, ["text"], ["when", "more", "n[*]"]):
        store.put(N, "k", value, index=fields)
        (found,) = store.search(N, query="boat")
        assert found.value == value
    assert all(type(n) is np.float64 for n in found.value.get("n", [])[:1])


def test_labels_and_keys_that_are_enums_are_their_texts(store: BorealisStore) -> None:
    store.put((Kind.NEWS,), Kind.NEWS, {"a": 1})
    for label in ("news", Kind.NEWS):
        assert [item.key for item in store.search((label,))] == ["news"]
        assert store.get((label,), label) is not None
    assert store.list_namespaces() == [("news",)]


def test_filters_by_numbers_of_numpy_and_enums_find_what_equals_them(store: BorealisStore) -> None:
    store.put(N, "plain", {"n": 3, "f": 1.5, "kind": "news"})
    store.put(N, "sealed", {"n": np.int64(3), "f": np.float64(1.5), "kind": Kind.NEWS.value, 1: 2})
    filters: list[dict[str, Any]] = [
        {"n": np.int64(3)},
        {"n": {"$in": [np.int64(3)]}},
        {"n": {"$gte": np.int64(3)}},
        {"f": np.float64(1.5)},
        {"f": {"$lt": np.float64(1.6)}},
        {"kind": Kind.NEWS},
        {"kind": {"$in": [Kind.NEWS]}},
        {"kind": {"$gte": Kind.NEWS}},
    ]
    for filter in filters:
        assert {item.key for item in store.search(N, filter=filter)} == {"plain", "sealed"}, filter


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e30, "soon"])
def test_a_lifetime_that_is_none_is_refused_everywhere(store: BorealisStore, ttl: Any) -> None:
    with pytest.raises(ConfigurationError, match="ttl"):
        store.put(N, "k", {"a": 1}, ttl=ttl)
    with pytest.raises(ConfigurationError, match="ttl"):
        BorealisStore("dbname=none", ttl={"default_ttl": ttl})
    with pytest.raises(ConfigurationError, match="ttl"):
        BorealisSaver("dbname=none", ttl=ttl)


def test_values_and_messages_that_are_none_are_refused(
    store: BorealisStore, fresh_dsn: str
) -> None:
    for value in (5, "abc", [("a", 1)]):
        with pytest.raises(ConfigurationError, match="must be a dict"):
            store.put(N, "k", value)  # type: ignore[arg-type]
    history = BorealisChatMessageHistory(fresh_dsn, "s")
    history.setup()
    for message in ("abc", ("user", "abc")):
        with pytest.raises(ConfigurationError, match="no message"):
            history.add_messages([HumanMessage("x"), message])  # type: ignore[list-item]
    assert history.messages == []


@pytest.mark.parametrize("name", ["\ud800", "a\0"])
def test_schemas_and_tenants_that_postgresql_cannot_hold_are_refused(name: str) -> None:
    for keyword in ("schema", "tenant"):
        with pytest.raises(ConfigurationError, match=keyword):
            BorealisStore("dbname=none", **{keyword: name})  # type: ignore[arg-type]


def test_embeddings_may_make_arrays_of_numpy(fresh_dsn: str) -> None:
    arrays = BorealisStore(fresh_dsn, index={"embed": lambda texts: np.ones((len(texts), 3))})
    arrays.setup()
    arrays.put(N, "k", {"a": "b"})
    assert len(arrays.search(N, query="b")) == 1


def alike(texts: list[str]) -> list[list[float]]:
    """Embeddings that cost nothing, however long the texts."""
    return [[1.0, 0.0]] * len(texts)


def test_long_texts_are_kept_whole_and_found_by_what_they_begin_with(fresh_dsn: str) -> None:
    words = " ".join(f"w{number:x}é" for number in range(100_000))  # of more than 1 MB as lexemes
    store = BorealisStore(fresh_dsn, index={"hybrid": True, "embed": alike, "dims": 2})
    store.setup()
    store.put(N, "k", {"text": words})
    store.put(N, "j", {"text": "short"})
    assert store.get(N, "k").value == {"text": words}  # type: ignore[union-attr]
    assert store.search(N, query="w1é")[0].key == "k"
    documents = BorealisVectorStore(fresh_dsn, alike, hybrid=True)
    documents.setup()
    documents.add_texts([words], ids=["1"])
    documents.add_texts([words, *["short"] * 30], ids=[*map(str, range(2, 33))])
    assert documents.get_by_ids(["1"])[0].page_content == words
    assert {found.id for found in documents.similarity_search("w1é", 2)} == {"1", "2"}


def test_reembed_takes_any_number_of_fields_and_passes_over_what_cannot_be_read(
    fresh_dsn: str,
) -> None:
    before = BorealisStore(fresh_dsn, serde=BorealisSerializer(allow=[Kind]))
    before.setup()
    fields = [f"f{number}" for number in range(700)]
    for key in range(100):
        before.put(N, str(key), dict.fromkeys(fields, "a boat"))
    before.put(N, "unreadable", {"f0": "a boat", "kind": Kind.NEWS})
    flat = {"ann_index_config": {"kind": "flat"}}
    after = BorealisStore(fresh_dsn, index={"embed": "hash:8", "fields": fields, **flat})
    after.setup()
    assert after.reembed() == 100
    assert len(after.search(N, query="boat", limit=200)) == 100
