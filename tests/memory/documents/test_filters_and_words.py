"""Metadata that JSON cannot hold, filters of many values, and questions in words."""

import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import BorealisVectorStore, HashEmbeddings
from memory.encoding.jsonsafe import escaped, unescaped
from memory.errors import ConfigurationError
from memory.words import language_of, weighed
from tests.waiting import wait_until


@pytest.fixture
def store(fresh_dsn: str) -> Iterator[BorealisVectorStore]:
    with BorealisVectorStore(fresh_dsn, HashEmbeddings(64), deadline=20) as store:
        store.setup()
        store.add_texts(
            ["a red boat", "a green hill", "old"],
            [{"year": 1999, "tags": ["a", "b"]}, {"year": 2005, "a": {"b": 1}}, {}],
        )
        yield store


def found(store: BorealisVectorStore, filter: dict[str, Any]) -> set[str]:
    return {d.page_content for d in store.similarity_search("boat", 9, filter=filter)}


POISON = {"title": "a\0b\ud800", "k\0": ["\0"], "x": "\x1a0041"}


def test_nul_and_half_surrogate_pairs_in_metadata_are_stored_and_hurt_no_filter(
    store: BorealisVectorStore,
) -> None:
    store.add_texts(["pdf page"], [POISON], ids=["p"])
    assert store.get_by_ids(["p"])[0].metadata == POISON
    assert found(store, {"year": {"$lt": 2000}}) == {"a red boat"}
    assert found(store, {"title": "a\0b\ud800"}) == {"pdf page"}
    assert found(store, {"title": {"$in": ["a\0b\ud800", "z"]}}) == {"pdf page"}
    store.delete(filter={"k\0": ["\0"]})
    assert store.get_by_ids(["p"]) == []


@given(st.recursive(st.text(st.characters(exclude_categories=())), st.lists))
def test_escaped_texts_can_be_stored_and_come_back(value: Any) -> None:
    text = json.dumps(escaped(value), ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    assert unescaped(json.loads(text)) == value


@pytest.mark.parametrize("word", ["search", "delete", "heal"])
def test_a_table_that_has_a_poisoned_document_heals(
    store: BorealisVectorStore, fresh_dsn: str, word: str
) -> None:
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute(
            "update borealis_documents set langchain_metadata = %s::json where content = 'old'",
            [json.dumps({**POISON, "whole": "😀"})],
        )
    match word:
        case "search":
            assert found(store, {"year": {"$lt": 2000}}) == {"a red boat"}
        case "delete":
            store.delete(filter={"year": 2005})
            assert found(store, {}) == {"a red boat", "old"}
        case "heal":
            assert store.heal() == 1
            assert store.heal() == 0
    old = next(d for d in store.similarity_search("old", 9) if d.page_content == "old")
    assert old.metadata == {**POISON, "whole": "😀"}


def test_texts_that_postgresql_cannot_hold_are_refused_by_number(
    store: BorealisVectorStore,
) -> None:
    for text in ("a\0b", "a\ud800b"):
        for count in (1, 30):
            with pytest.raises(ConfigurationError, match="text 1 contains a NUL character or half"):
                store.add_texts(["ok", text] + ["x"] * count)


def test_an_id_that_postgresql_cannot_hold_is_refused_and_never_found(
    store: BorealisVectorStore,
) -> None:
    with pytest.raises(ConfigurationError, match=r"the id 'a.x00' contains a NUL"):
        store.add_texts(["ok"], ids=["a\0"])
    assert store.get_by_ids(["a\0", "\ud800"]) == []
    store.delete(["a\0"])


def test_a_filter_of_4000_values_is_one_look_up(store: BorealisVectorStore) -> None:
    few, many = {"year": {"$in": [1999]}}, {"year": {"$in": [None, *range(1990, 5990)]}}
    assert found(store, few) == {"a red boat"}
    started = time.process_time()
    assert found(store, many) == {"a red boat", "a green hill", "old"}
    assert time.process_time() - started < 0.5
    assert found(store, {"year": {"$nin": [1999, None]}}) == {"a green hill"}
    assert found(store, {"year": {"$in": []}}) == set()
    assert found(store, {"tags": {"$contains": "a"}}) == {"a red boat"}
    assert found(store, {"tags": {"$contains": ["a", "z"]}}) == set()
    assert found(store, {"year": {"$between": [2000, 2010]}}) == {"a green hill"}


def test_what_nobody_understands_is_refused_and_says_what_was_meant(
    store: BorealisVectorStore,
) -> None:
    with pytest.raises(ConfigurationError, match=r"no keyword 'filters' .* you mean 'filter'"):
        store.similarity_search("boat", filters={"year": 3000})
    with pytest.raises(ConfigurationError, match=r"'gte' without a \$; did you mean '\$gte'"):
        found(store, {"year": {"gte": 1990}})
    assert found(store, {"a": {"b": 1}}) == {"a green hill"}
    with pytest.raises(ConfigurationError, match=r"\$between takes a lower and an upper bound"):
        found(store, {"year": {"$between": [1]}})
    with pytest.raises(ConfigurationError, match="no keyword 'metadata'"):
        store.add_texts(["x"], metadata=[{}])
    with pytest.raises(ConfigurationError, match=r"no keyword 'pool_sizes' .* mean 'pool_size'"):
        BorealisVectorStore("host=x", HashEmbeddings(8), pool_sizes=3)  # type: ignore[call-arg]


def test_columns_of_any_type_hold_and_filter_their_values(fresh_dsn: str) -> None:
    types = {"name": "varchar(20)", "price": "numeric(10,2)", "tags": "text[]", "at": "timestamp"}
    with BorealisVectorStore(
        fresh_dsn, HashEmbeddings(16), table_name="typed", metadata_columns=list(types)
    ) as store:
        store.setup(metadata_types=types)
        tags = ['a"b', "c\\d", "e,f", "null"]
        values = {"name": "x", "price": 1.5, "tags": tags, "at": "2020-01-01"}
        store.add_texts(["one"], [values])
        store.add_texts([f"t{n}" for n in range(30)], [{"tags": [str(n)]} for n in range(30)])
        found = store.similarity_search("one", 9, filter={"tags": {"$contains": 'a"b'}})
        assert [d.metadata["tags"] for d in found] == [tags]
        assert len(store.similarity_search("one", 9, filter={"price": {"$in": [1.5, None]}})) == 9
    other = BorealisVectorStore(fresh_dsn, HashEmbeddings(16), table_name="o", metadata_columns="a")
    with pytest.raises(ConfigurationError, match="not the name of a type"):
        other.setup(metadata_types={"a": "text; drop table typed"})


DOCS = [
    "Ada's favourite colour is blue",
    "The invoice number is INV-20417",
    "Ada dislikes loud music",
    "Meeting moved to Thursday at noon",
    "Das Treffen wurde auf Donnerstag verschoben",
]
QUESTIONS = [
    ("What is the number of the invoice?", 1),
    ("when is the meeting", 3),
    ("which colours does Ada like", 0),
    ("INV-20417", 1),
    ("Wann ist das Treffen?", 4),
]


@pytest.mark.parametrize("language", ["auto", "simple", "english"])
@pytest.mark.parametrize(("question", "best"), QUESTIONS)
def test_a_question_finds_what_has_any_of_its_words_the_rare_ones_first(
    module_dsn: str, language: str, question: str, best: int
) -> None:
    with BorealisVectorStore(
        module_dsn, HashEmbeddings(64), hybrid=True, language=language, table_name=language
    ) as store:
        store.setup()
        store.add_texts(DOCS, ids=[str(n) for n in range(len(DOCS))])
        found = store.similarity_search_with_relevance_scores(question, 5)
        # Without a language there are no stems, and words that say nothing count too.
        if language != "simple" or question not in (QUESTIONS[1][0], QUESTIONS[2][0]):
            assert found[0][0].page_content == DOCS[best]
        scores = [score for _, score in found]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


def test_hybrid_searches_take_any_k_and_any_length_of_question(fresh_dsn: str) -> None:
    with BorealisVectorStore(fresh_dsn, HashEmbeddings(64), hybrid=True, deadline=30) as store:
        store.setup()
        # Ids of our own: of texts that match a question alike, the lower id comes first.
        store.add_texts(
            [f"boat number {n}" for n in range(400)], ids=[f"{n:03}" for n in range(400)]
        )
        for k in (200, 300, 400):
            assert len(store.similarity_search("boat", k)) == k
        for question in ("", "?", "it's \\ a 'quoted' | word & (x)", "word " * 20_000):
            assert len(store.similarity_search(question, 3)) == 3
        by_threshold = store.as_retriever(
            search_type="similarity_score_threshold",
            search_kwargs={"k": 4, "score_threshold": 0.9},
        )
        assert [d.page_content for d in by_threshold.invoke("boat number 7")] == ["boat number 7"]


def test_without_a_column_of_words_an_index_of_contents_is_used_or_their_beginning(
    fresh_dsn: str,
) -> None:
    """langchain-postgres makes such an index. Without one a content may be longer than it takes."""

    def alike(texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0]] * len(texts)

    index = (
        "create index of_words on borealis_documents using gin (to_tsvector('english', content))"
    )
    scans = "select idx_scan from pg_stat_user_indexes where indexrelname = 'of_words'"
    with BorealisVectorStore(fresh_dsn, alike) as plain:
        plain.setup(ann=False)
        plain.add_texts(["a boat", "a hill"], ids=["boat", "hill"])
        with psycopg.connect(fresh_dsn, autocommit=True) as conn:
            conn.execute(index)
            without_scans = f"{fresh_dsn} options='-c enable_seqscan=off'"
            with BorealisVectorStore(
                without_scans, alike, hybrid=True, language="english"
            ) as store:
                assert store.similarity_search("boats", 1)[0].id == "boat"
            wait_until(lambda: conn.execute(scans).fetchone() == (1,))
            conn.execute("drop index of_words")
        plain.add_texts([" ".join(f"w{number:x}é" for number in range(100_000))], ids=["long"])
    with BorealisVectorStore(fresh_dsn, alike, hybrid=True) as store:
        assert store.similarity_search("w1é", 1)[0].id == "long"


def test_a_vector_of_zeros_has_a_score_of_zero_and_not_nan(fresh_dsn: str) -> None:
    class Zeros(HashEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            return [0.0] * self.dims

    with BorealisVectorStore(fresh_dsn, Zeros(16)) as store:
        store.setup()
        store.add_texts(["a", "b"])
        assert [score for _, score in store.similarity_search_with_relevance_scores("?")] == [0, 0]


def test_the_language_of_a_text_is_told_by_its_common_words() -> None:
    assert language_of("what is the number of the invoice") == "english"
    assert language_of("was ist die Nummer der Rechnung") == "german"
    assert language_of("quel est le numéro de la facture") == "french"
    assert language_of("INV-20417") == "simple"


def test_the_rarer_word_is_worth_more_and_what_everything_has_is_left_out() -> None:
    words = weighed({"'the'": 20_000, "'boat'": 100, "'invoice'": 2}, 20_000)
    assert words.lexemes == ["'boat'", "'invoice'"]
    assert 0 < words.worth[0] < words.worth[1]
    assert weighed({"'the'": 20_000}, 20_000).lexemes == ["'the'"]
