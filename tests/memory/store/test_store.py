"""langgraph's store behaviour, against an in-memory oracle with typed comparisons."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

from memory import BorealisStore, HashEmbeddings
from memory.errors import ConfigurationError
from tests.examples import examples
from tests.waiting import wait_until


@pytest.fixture
def store(fresh_dsn: str) -> Iterator[BorealisStore]:
    with BorealisStore(fresh_dsn, deadline=15) as store:
        store.setup()
        yield store


@pytest.fixture
async def astore(fresh_dsn: str) -> AsyncIterator[BorealisStore]:
    async with BorealisStore(fresh_dsn, deadline=15, index={"fields": ["text"]}) as store:
        await store.asetup()
        yield store


# -- the oracle


def kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def oracle_equal(left: Any, right: Any) -> bool:
    if kind(left) != kind(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(oracle_equal, left, right))
    return left == right


def oracle_matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and any(key.startswith("$") for key in wanted):
        return all(oracle_operator(value, name, operand) for name, operand in wanted.items())
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            oracle_matches(value.get(key), inner) for key, inner in wanted.items()
        )
    return oracle_equal(value, wanted)


def oracle_operator(value: Any, name: str, operand: Any) -> bool:
    if name == "$eq":
        return oracle_equal(value, operand)
    if name == "$ne":
        return not oracle_equal(value, operand)
    if kind(value) != kind(operand):
        return False
    return {
        "$gt": value > operand,
        "$gte": value >= operand,
        "$lt": value < operand,
        "$lte": value <= operand,
    }[name]


@dataclass
class Oracle:
    """What a store should hold; the latest put is last."""

    items: dict[tuple[tuple[str, ...], str], dict[str, Any]] = field(default_factory=dict)

    def put(self, namespace: tuple[str, ...], key: str, value: dict[str, Any] | None) -> None:
        self.items.pop((namespace, key), None)
        if value is not None:
            self.items[namespace, key] = value

    def search(self, prefix: tuple[str, ...], filter: dict[str, Any] | None) -> list[Any]:
        return [
            (namespace, key, value)
            for (namespace, key), value in reversed(self.items.items())
            if namespace[: len(prefix)] == prefix
            and all(oracle_matches(value.get(k), w) for k, w in (filter or {}).items())
        ]

    def namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        def fits(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
            size = len(condition.path)
            if len(namespace) < size:
                return False
            part = namespace[:size] if condition.match_type == "prefix" else namespace[-size:]
            return all(want in ("*", have) for want, have in zip(condition.path, part, strict=True))

        found = {
            namespace[: op.max_depth]
            for namespace, _ in self.items
            if all(fits(namespace, condition) for condition in op.match_conditions or ())
        }
        return sorted(found)[op.offset : op.offset + op.limit]


labels = st.sampled_from(["a", "b", "ab", "a_", "%", "ä", "a\x01"])
namespaces = st.lists(labels, min_size=1, max_size=3).map(tuple)
keys = st.sampled_from(["k", "l", "K", "k\0", "\ud800"])
numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2.5, -0.5, 1e300, 2**70])
plain = st.none() | st.booleans() | numbers | st.sampled_from(["", "1", "a", "b", "ä", "10", "2"])
odd = st.sampled_from([float("inf"), "x\0", "\udc00", b"raw", (1, 2)])
values = st.dictionaries(
    st.sampled_from(["n", "s", "o", "l"]),
    plain
    | odd
    | st.lists(plain, max_size=2)
    | st.dictionaries(st.sampled_from(["x", "y"]), plain, max_size=2),
    max_size=4,
)
ordered = numbers | st.sampled_from(["", "1", "a", "ä"])
conditions = (
    plain
    | st.builds(lambda op, v: {op: v}, st.sampled_from(["$eq", "$ne"]), plain)
    | st.builds(lambda op, v: {op: v}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ordered)
    | st.builds(lambda low, high: {"$gte": low, "$lt": high}, numbers, numbers)
    | st.dictionaries(st.sampled_from(["x", "y"]), plain, max_size=2)
    | st.lists(plain, max_size=2)
)
filters = st.none() | st.dictionaries(st.sampled_from(["n", "s", "o", "l"]), conditions, max_size=2)


def test_the_store_agrees_with_the_oracle(store: BorealisStore, fresh_dsn: str) -> None:
    class Machine(RuleBasedStateMachine):
        @initialize()
        def empty(self) -> None:
            with psycopg.connect(fresh_dsn, autocommit=True) as conn:
                conn.execute("truncate borealis.memory_namespaces cascade")
            self.oracle = Oracle()

        @rule(puts=st.lists(st.tuples(namespaces, keys, st.none() | values), max_size=4))
        def put(self, puts: list[tuple[tuple[str, ...], str, dict[str, Any] | None]]) -> None:
            last = {(namespace, key): value for namespace, key, value in puts}
            for (namespace, key), value in last.items():
                store.batch([PutOp(namespace, key, value)])
                self.oracle.put(namespace, key, value)

        @rule(namespace=namespaces, key=keys)
        def get(self, namespace: tuple[str, ...], key: str) -> None:
            item = store.get(namespace, key)
            expected = self.oracle.items.get((namespace, key))
            assert (None if item is None else item.value) == expected

        @rule(
            prefix=st.lists(labels, max_size=2).map(tuple),
            filter=filters,
            limit=st.integers(0, 5),
            offset=st.integers(0, 3),
        )
        def search(
            self, prefix: tuple[str, ...], filter: dict[str, Any] | None, limit: int, offset: int
        ) -> None:
            found = store.search(prefix, filter=filter, limit=limit, offset=offset)
            expected = self.oracle.search(prefix, filter)[offset : offset + limit]
            assert [(i.namespace, i.key, i.value) for i in found] == expected

        @rule(
            match=st.lists(
                st.builds(
                    MatchCondition,
                    st.sampled_from(["prefix", "suffix"]),
                    st.lists(labels | st.just("*"), min_size=1, max_size=2).map(tuple),
                ),
                max_size=2,
            ),
            depth=st.none() | st.integers(1, 3),
            limit=st.integers(1, 5),
            offset=st.integers(0, 2),
        )
        def list_namespaces(
            self, match: list[MatchCondition], depth: int | None, limit: int, offset: int
        ) -> None:
            op = ListNamespacesOp(tuple(match), depth, limit, offset)
            assert store.batch([op])[0] == self.oracle.namespaces(op)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples(25),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# -- langgraph's own cases, re-expressed


def test_a_batch_sees_the_store_as_it_was_and_its_last_put_wins(store: BorealisStore) -> None:
    store.put(("a",), "k", {"n": 1})
    results = store.batch(
        [
            PutOp(("a",), "k", {"n": 2}),
            GetOp(("a",), "k"),
            SearchOp(("a",), filter={"n": {"$gte": 2}}),
            PutOp(("a",), "k", {"n": 3}),
            PutOp(("b",), "x", {"n": 4}),
            ListNamespacesOp(),
            GetOp(("a",), "missing"),
        ]
    )
    assert results[0] is None
    assert results[1].value == {"n": 1}  # type: ignore[union-attr]
    assert results[2] == []
    assert results[5] == [("a",)]
    assert results[6] is None
    item = store.get(("a",), "k")
    assert item is not None
    assert item.value == {"n": 3}


def test_an_update_keeps_the_time_of_creation(store: BorealisStore) -> None:
    store.put(("a",), "k", {"n": 1})
    first = store.get(("a",), "k")
    store.put(("a",), "k", {"n": 2})
    second = store.get(("a",), "k")
    assert first is not None
    assert second is not None
    assert isinstance(second.created_at, datetime)
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


def test_bad_namespaces_and_operators_are_refused(store: BorealisStore) -> None:
    for bad in ((), ("",), ("a.b",), ("langgraph", "x"), ("a\0",)):
        with pytest.raises(InvalidNamespaceError):
            store.put(bad, "k", {})
    with pytest.raises(ConfigurationError, match=r"unknown filter operator '\$near'"):
        store.search(("a",), filter={"n": {"$near": 1}})
    with pytest.raises(ConfigurationError, match="compares numbers or strings"):
        store.search(("a",), filter={"n": {"$gt": True}})


def test_items_expire_are_renewed_by_reading_and_swept(fresh_dsn: str) -> None:
    with BorealisStore(fresh_dsn, ttl={"default_ttl": 60, "refresh_on_read": True}) as store:
        store.setup()
        store.put(("a",), "k", {"n": 1})
        store.put(("a",), "forever", {"n": 1}, ttl=None)
        with psycopg.connect(fresh_dsn, autocommit=True) as conn:

            def minutes_left() -> float:
                row = conn.execute(
                    "select extract(epoch from expires_at - now()) / 60 from"
                    " borealis.memory_items where key = 'k'"
                ).fetchone()
                assert row is not None
                return float(row[0])

            def age(minutes: int) -> None:
                conn.execute(
                    "update borealis.memory_items"
                    " set expires_at = expires_at - %s * interval '1 minute'",
                    (minutes,),
                )

            age(30)
            store.get(("a",), "k", refresh_ttl=False)
            assert minutes_left() < 31
            store.get(("a",), "k")
            assert minutes_left() > 59
            age(30)
            store.search(("a",), filter={"n": 1})
            assert minutes_left() > 59
            age(61)
            assert store.get(("a",), "k") is None
            assert [i.key for i in store.search(("a",))] == ["forever"]
            assert store.sweep_ttl() == 1
            assert store.sweep_ttl() == 0


def test_the_sweeper_runs_until_it_is_stopped(fresh_dsn: str) -> None:
    with BorealisStore(fresh_dsn, ttl={"default_ttl": 0.0001}) as store:
        store.setup()
        store.put(("a",), "k", {})
        future = store.start_ttl_sweeper(sweep_interval_minutes=0.0005)
        with psycopg.connect(fresh_dsn, autocommit=True) as conn:
            items = "select from borealis.memory_items"
            wait_until(lambda: conn.execute(items).fetchone() is None)
        assert store.stop_ttl_sweeper(timeout=10)
        assert future.done()


@pytest.mark.parametrize("vector_type", ["vector", "halfvec", "bit"])
@pytest.mark.parametrize("exact_up_to", [10_000, 0], ids=["exact", "index"])
def test_a_filtered_search_returns_the_rows_that_exist(
    fresh_dsn: str, vector_type: str, exact_up_to: int
) -> None:
    index: Any = {
        "fields": ["text"],
        "ann_index_config": {"vector_type": vector_type},
        "exact_up_to": exact_up_to,
    }
    with BorealisStore(fresh_dsn, index=index) as store:
        store.setup()
        words = ["boat", "hill", "tea", "rain", "lamp", "bird"]
        puts = [
            PutOp((f"ns{n % 50}",), f"k{n}", {"text": f"{words[n % 6]} {n}", "n": n})
            for n in range(600)
        ]
        store.batch(puts)
        found = store.search(("ns7",), query="tea 57", limit=10)
        assert len(found) == 10
        assert found[0].key == "k57"
        assert [i.score for i in found] == sorted((i.score for i in found), reverse=True)  # type: ignore[type-var]
        assert len(store.search(("ns7",), query="tea", limit=50)) == 12
        assert len(store.search((), query="tea", filter={"n": {"$gte": 590}}, limit=30)) == 10
        pages = [store.search(("ns7",), query="boat", limit=5, offset=o) for o in (0, 5, 10)]
        assert len({item.key for page in pages for item in page}) == 12


def test_items_without_vectors_follow_and_stale_vectors_go(fresh_dsn: str) -> None:
    with BorealisStore(fresh_dsn, index={"fields": ["text", "tags[*]"]}) as store:
        store.setup()
        store.put(("a",), "boat", {"text": "a red boat", "tags": ["sea", "sail"]})
        store.put(("a",), "hidden", {"text": "a blue boat"}, index=False)
        found = store.search(("a",), query="sail")
        assert [(i.key, i.score is None) for i in found] == [("boat", False), ("hidden", True)]
        store.put(("a",), "boat", {"text": "now a hill"}, index=False)
        assert [i.score for i in store.search(("a",), query="sail")] == [None, None]
        with (
            BorealisStore(fresh_dsn, index={"dims": 8, "embed": HashEmbeddings(8)}) as other,
            pytest.raises(ConfigurationError, match="vectors of type vector"),
        ):
            other.setup()


def test_a_hybrid_search_ranks_by_words_too(fresh_dsn: str) -> None:
    def same_vector(texts: Any) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]

    index: Any = {"dims": 2, "embed": same_vector, "fields": ["text"], "hybrid": True}
    with BorealisStore(fresh_dsn, index=index) as store:
        store.setup()
        for number in range(20):
            store.put(("a",), f"k{number}", {"text": f"document {number}"})
        store.put(("a",), "wanted", {"text": "the zebra crossing"})
        assert store.search(("a",), query="zebra", limit=1)[0].key == "wanted"
        assert len(store.search(("a",), query="zebra", limit=10)) == 10


async def test_asynchronous_operations_do_the_same(astore: BorealisStore) -> None:
    await astore.aput(("a",), "k", {"text": "a red boat", "n": 1})
    await astore.aput(("a",), "l", {"text": "a hill", "n": 2})
    item = await astore.aget(("a",), "k")
    assert item is not None
    assert item.value["n"] == 1
    assert [i.key for i in await astore.asearch(("a",), query="boats")] == ["k", "l"]
    await astore.adelete(("a",), "k")
    assert await astore.aget(("a",), "k") is None
    assert await astore.alist_namespaces() == [("a",)]


def test_no_connection_is_held_while_texts_are_embedded(fresh_dsn: str) -> None:
    busy: list[int] = []

    def watching(texts: Any) -> list[list[float]]:
        with psycopg.connect(fresh_dsn) as conn:
            row = conn.execute(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and application_name = 'borealis-memory' and state <> 'idle'"
            ).fetchone()
            assert row is not None
            busy.append(row[0])
        return [[1.0, 0.0] for _ in texts]

    with BorealisStore(fresh_dsn, index={"dims": 2, "embed": watching}) as store:
        store.setup()
        store.put(("a",), "k", {"text": "x"})
        store.search(("a",), query="x")
    assert busy == [0, 0]
