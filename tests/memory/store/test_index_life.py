"""A store's index changes while stores live: what does not fit is an error."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.store.base import PutOp

from memory import (
    BorealisChatMessageHistory,
    BorealisStore,
    BorealisVectorStore,
    HashEmbeddings,
)
from memory.database.steps import DatabaseStep, Execute, FetchAll, FetchOne, Steps
from memory.documents.table import Layout, reindex_table
from memory.encoding.encryption import AesGcm
from memory.errors import ConfigurationError, CorruptedCheckpointError, NotSerializableError
from memory.store.filters import matches
from memory.store.index import Index
from memory.store.vectors import reindex_vectors

EMBED = HashEmbeddings(64)
M = ("m",)


def store_on(dsn: str, **index: Any) -> BorealisStore:
    return BorealisStore(dsn, index={"embed": EMBED, **index}, deadline=20)


def indexes(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as conn:
        rows = conn.execute(
            "select indexdef from pg_indexes where tablename = 'memory_vectors'"
            " and indexdef like '%hnsw%'"
        ).fetchall()
    return [row[0] for row in rows]


def test_another_kind_metric_or_type_is_an_error_until_reindex_makes_it(fresh_dsn: str) -> None:
    flat = store_on(fresh_dsn, ann_index_config={"kind": "flat"})
    flat.setup()
    flat.put(M, "k", {"text": "blue boat"})
    wanted: list[tuple[str, Any]] = [
        ("kind 'flat', not 'hnsw'", {}),
        ("distance_type 'cosine', not 'l2'", {"distance_type": "l2"}),
        ("vector_type 'vector', not 'bit'", {"ann_index_config": {"vector_type": "bit"}}),
    ]
    for said, index in wanted:
        other = store_on(fresh_dsn, **index)
        with pytest.raises(ConfigurationError, match=said):
            other.setup()
        other.reindex()
        other.setup()
        other.setup()
        assert len(indexes(fresh_dsn)) == 1
        assert other.search(M, query="boat", limit=1)[0].key == "k"
        store_on(fresh_dsn).reindex()
    with pytest.raises(ConfigurationError, match=r"type vector\(64\), .* makes vector\(8"):
        BorealisStore(fresh_dsn, index={"embed": HashEmbeddings(8)}).setup()


Interleaving = list[tuple[int, str | None]]


@pytest.mark.parametrize(
    "order",
    [
        # The second looks when the first has dropped the old index and not renamed its own.
        [(0, "rename"), (1, "pg_index"), (0, None), (1, None)],
        [(0, "drop index"), (1, "rename"), (0, None), (1, None)],
        [(0, "rename"), (1, "drop index"), (0, None), (1, None)],
        [(0, "drop index"), (1, "drop index"), (0, "rename"), (1, "rename"), (0, None), (1, None)],
    ],
)
def test_of_two_that_reindex_at_once_the_last_has_its_way_in_whatever_order_their_steps_come(
    fresh_dsn: str, order: Interleaving
) -> None:
    store_on(fresh_dsn).setup()
    wanted = [Index.of({"embed": EMBED, "distance_type": d}) for d in ("inner_product", "l2")]
    said = []
    with psycopg.connect(fresh_dsn, autocommit=True) as connection:
        runs = [ByHand(connection, reindex_vectors("borealis", each)) for each in wanted]
        for number, before in order:
            try:
                runs[number].go_on(before)
            except ConfigurationError as error:
                said.append((number, "at the same time" in str(error)))
    assert said in ([], [(0, True)])
    (made,) = indexes(fresh_dsn)
    assert "memory_vectors_ann " in made
    assert "vector_l2_ops" in made
    store_on(fresh_dsn, distance_type="l2").setup()


def test_of_two_that_reindex_documents_at_once_one_index_stays(fresh_dsn: str) -> None:
    BorealisVectorStore(fresh_dsn, EMBED).setup()
    layout = Layout("borealis_documents")
    with psycopg.connect(fresh_dsn, autocommit=True) as connection:
        runs = [ByHand(connection, reindex_table(layout, "l2", ann=True)) for _ in range(2)]
        for number, before in [(0, "create"), (1, "drop"), (0, "drop"), (1, None), (0, None)]:
            runs[number].go_on(before)
        rows = connection.execute(
            "select indexdef from pg_indexes where tablename = 'borealis_documents'"
            " and indexdef ~ 'hnsw'"
        ).fetchall()
    assert len(rows) == 1
    assert "l2" in rows[0][0]


class ByHand:
    """Steps that run as far as a test lets them."""

    def __init__(self, connection: psycopg.Connection[Any], steps: Steps[Any]) -> None:
        self._connection, self._steps = connection, steps
        self._step: DatabaseStep | None = next(steps)

    def go_on(self, before: str | None) -> None:
        """Until the next statement with these words has not run yet, or to the end."""
        while self._step is not None:
            assert isinstance(self._step, FetchAll | FetchOne | Execute)
            statement: Any = self._step.statement
            text = statement if isinstance(statement, str | bytes) else statement.as_string()
            if before is not None and before in (text if isinstance(text, str) else text.decode()):
                return
            cursor = self._connection.execute(statement, self._step.parameters or None)
            answer: Any = cursor.rowcount
            if not isinstance(self._step, Execute):
                rows = cursor.fetchall()
                answer = rows if isinstance(self._step, FetchAll) else rows[0]
            try:
                self._step = self._steps.send(answer)
            except StopIteration:
                self._step = None
            except BaseException:
                self._step = None
                raise


def test_a_database_of_the_last_release_says_what_its_index_is(fresh_dsn: str) -> None:
    store_on(fresh_dsn).setup()
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("drop table borealis.memory_index_settings")
        conn.execute("drop function borealis.memory_put_worded_items")
        conn.execute(
            "delete from borealis.memory_migrations where component = 'items' and version >= 4"
        )
        conn.execute("drop table borealis.memory_item_origins cascade")
        conn.execute("drop function borealis.memory_put_noted_items")
        conn.execute("drop function borealis.memory_put_embedded_items")
    store_on(fresh_dsn).setup()
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("delete from borealis.memory_index_settings")
    with pytest.raises(ConfigurationError, match="distance_type 'cosine', not 'l2'"):
        store_on(fresh_dsn, distance_type="l2").setup()
    store_on(fresh_dsn).setup()


def test_reembed_gives_items_from_before_the_index_their_vectors(fresh_dsn: str) -> None:
    plain = BorealisStore(fresh_dsn)
    plain.setup()
    plain.put(M, "k", {"text": "blue boat"})
    for n in range(12):
        plain.put(M, f"j{n}", {"text": f"green hill {n}"})
    store = store_on(fresh_dsn, fields=["text"], hybrid=True)
    store.setup()
    assert store.search(M, query="blue boat", limit=1)[0].score is None
    assert store.reembed(batch=5) == 13
    assert store.reembed() == 0
    found = store.search(M, query="a boat that is blue", limit=1)[0]
    assert found.key == "k"
    assert found.score == 1
    assert store.reembed(everything=True) == 13


def test_an_overwrite_by_a_worker_without_an_index_leaves_no_old_vector(fresh_dsn: str) -> None:
    store, plain = store_on(fresh_dsn, fields=["text"]), BorealisStore(fresh_dsn)
    store.setup()
    store.put(M, "z", {"text": "zebra"})
    plain.put(M, "z", {"text": "nothing"})
    found = store.search(M, query="zebra")[0]
    assert (found.value, found.score) == ({"text": "nothing"}, None)
    assert store.reembed() == 1


def test_a_worker_of_the_last_release_goes_on_beside_the_new_schema(fresh_dsn: str) -> None:
    store = store_on(fresh_dsn, fields=["text"])
    store.setup()
    store.put(M, "z", {"text": "zebra"})
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute(
            "select borealis.memory_put_items('', '{m}', '{z}',"
            ' array[\'{"text": "old"}\'::jsonb], array[null::bytea], array[null::interval],'
            " array['old'], 'simple')"
        )
    found = store.search(M, query="zebra")[0]
    assert (found.value, found.score) == ({"text": "old"}, None)


class Unknown:
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [HashEmbeddings(10).embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        assert text
        return HashEmbeddings(10).embed_query(text)


def test_setup_asks_for_the_dimensions_and_unknown_keys_are_refused(fresh_dsn: str) -> None:
    index = {"embed": Unknown().embed_documents, "fields": ["text"]}
    with BorealisStore.from_conn_string(fresh_dsn, index=index) as s:
        s.setup()
        s.put(M, "k", {"text": "a"})
        assert s.search(M, query="a")[0].score == pytest.approx(1, abs=1e-3)
    with pytest.raises(ConfigurationError, match="unknown key 'feilds'; did you mean 'fields'"):
        BorealisStore(fresh_dsn, index={"feilds": ["a"]})
    with pytest.raises(ConfigurationError, match="default_ttl is 0"):
        BorealisStore(fresh_dsn, ttl={"default_ttl": 0})


DOCS = {
    "boat": {"n": 1, "tags": ["a", "b"], "deep": {"at": {"x": 2}}},
    "hill": {"n": 2, "tags": []},
    "none": {"n": None},
    "sealed": {"n": 1, "tags": ("a",), "odd": "a\0"},
}
FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({"n": {"$in": [1, 3]}}, {"boat", "sealed"}),
    ({"n": {"$in": []}}, set()),
    ({"n": {"$nin": [1, None]}}, {"hill"}),
    ({"n": {"$in": [None]}}, {"none"}),
    ({"tags": {"$exists": True}}, {"boat", "hill", "sealed"}),
    ({"tags": {"$exists": False}}, {"none"}),
    ({"n": {"$exists": True}}, set(DOCS)),
    ({"tags": {"$contains": "a"}}, {"boat", "sealed"}),
    ({"tags": {"$contains": ["a", "b"]}}, {"boat"}),
    ({"deep": {"at": {"x": {"$gte": 2}}}}, {"boat"}),
    ({"$or": [{"n": 2}, {"tags": {"$contains": "b"}}]}, {"boat", "hill"}),
    ({"$not": {"n": {"$in": [1]}}}, {"hill", "none"}),
    ({"$and": [{"n": 1}, {"$not": [{"odd": {"$exists": True}}]}]}, {"boat"}),
]


@pytest.fixture(scope="module")
def documents(module_dsn: str) -> Iterator[BorealisStore]:
    with BorealisStore(module_dsn) as store:
        store.setup()
        store.batch(PutOp(M, key, value) for key, value in DOCS.items())
        yield store


@pytest.mark.parametrize(("filter", "keys"), FILTERS)
def test_filters_mean_the_same_in_sql_and_in_python(
    documents: BorealisStore, filter: dict[str, Any], keys: set[str]
) -> None:
    assert {item.key for item in documents.search(M, filter=filter)} == keys
    assert {key for key, value in DOCS.items() if matches(value, filter)} == keys


@pytest.mark.parametrize(
    ("filter", "said"),
    [
        ({"n": {"gte": 1}}, r"'gte' without a \$; did you mean '\$gte'"),
        ({"n": {"$inn": [1]}}, "unknown filter operator '\\$inn'"),
        ({"n": {"$in": "ab"}}, "takes a list"),
        ({"$or": []}, "takes a list of filters"),
        ({"$nor": [{}]}, "unknown filter operator"),
        (["n"], "a filter is a dict, not a list"),
        ({1: 2}, "names fields by strings, not by 1"),
    ],
)
def test_a_filter_that_is_none_is_refused(
    documents: BorealisStore, filter: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        documents.search(M, filter=filter)


@pytest.mark.parametrize("ttl", [0, -1])
def test_a_ttl_that_is_not_positive_is_refused(documents: BorealisStore, ttl: float) -> None:
    with pytest.raises(ConfigurationError, match="it must be positive"):
        documents.put(M, "z", {"v": 1}, ttl=ttl)


def test_a_value_that_would_not_come_back_is_refused_with_its_place(
    documents: BorealisStore,
) -> None:
    with pytest.raises(NotSerializableError, match=r"item 'z' at \['a'\]\[1\]: .*object"):
        documents.put(M, "z", {"a": [1, object()]})
    assert documents.get(M, "z") is None


def test_ids_that_no_index_holds_are_refused_with_their_limit(documents: BorealisStore) -> None:
    import random

    long = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=6000))
    for namespace, key in ((M, long), ((long,), "k")):
        with pytest.raises(ConfigurationError, match="an identifier is too long"):
            documents.put(namespace, key, {"a": 1})


def test_signs_and_scripts_without_spaces_are_found_by_the_default_embedding(
    fresh_dsn: str,
) -> None:
    with BorealisStore(fresh_dsn, index={}) as store:
        store.setup()
        texts = ["thumbs 👍", "👍", "hello world", "我最喜欢的颜色是蓝色", "今天天气很好", "?!"]
        store.batch(PutOp(M, text, {"text": text}) for text in texts)
        for question, best in (
            ("👍", "👍"),
            ("他喜欢什么颜色", "我最喜欢的颜色是蓝色"),
            ("今天的天气", "今天天气很好"),
            ("?!", "?!"),
        ):
            found = store.search(M, query=question, limit=6)
            assert found[0].key == best
            assert all(item.score == item.score for item in found if item.score is not None)
        assert [item.score for item in store.search(M, query="   ")] == [None] * 6


def test_encrypted_stores_and_histories_keep_no_value_in_the_clear(fresh_dsn: str) -> None:
    key = b"k" * 32
    serde = EncryptedSerializer(AesGcm(key))
    with BorealisStore(fresh_dsn, serde=serde) as store:
        store.setup()
        store.put(M, "k", {"secret": "zanzibar", "n": 1})
        store.put(M, "j", {"n": 2})
        assert store.get(M, "k").value == {"secret": "zanzibar", "n": 1}  # type: ignore[union-attr]
        assert [item.key for item in store.search(M, filter={"n": {"$gte": 2}})] == ["j"]
    with BorealisChatMessageHistory(fresh_dsn, "s", serde=serde) as history:
        history.setup()
        history.add_user_message("zanzibar")
        assert [message.content for message in history.messages] == ["zanzibar"]
    with psycopg.connect(fresh_dsn) as conn:
        rows = conn.execute(
            "select value::text, sealed from borealis.memory_items"
            " union all select '', data from borealis.memory_messages"
        ).fetchall()
    assert len(rows) == 3
    assert not any("zanzibar" in text or b"zanzibar" in sealed for text, sealed in rows)
    with (
        BorealisStore(fresh_dsn) as blind,
        pytest.raises(CorruptedCheckpointError, match="encrypt"),
    ):
        blind.get(M, "k")
    with pytest.raises(ConfigurationError, match="hybrid"):
        BorealisStore(fresh_dsn, serde=serde, index={"hybrid": True})


def test_an_item_that_cannot_be_read_hides_no_other(fresh_dsn: str) -> None:
    with BorealisStore(fresh_dsn) as store:
        store.setup()
        store.batch(PutOp(M, str(n), {"n": n, "odd": "a\0"}) for n in range(3))
        with psycopg.connect(fresh_dsn) as conn:
            conn.execute("update borealis.memory_items set sealed = 'x' where key = '1'")
        assert {item.key for item in store.search(M)} == {"0", "2"}
        assert {item.key for item in store.search(M, filter={"odd": "a\0"})} == {"0", "2"}
        with pytest.raises(CorruptedCheckpointError):
            store.get(M, "1")
