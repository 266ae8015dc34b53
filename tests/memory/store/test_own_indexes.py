"""Big namespaces of much bigger tables have a vector index of their own."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.store.base import PutOp
from psycopg import sql

from memory import BorealisStore
from memory.errors import ConfigurationError
from memory.store import planning
from memory.store.own_indexes import decide
from memory.store.planning import COUNT_UP_TO, STILL_WORTH, WORTH, gain
from memory.store.searching import ITERATIVE_SETTINGS, SETTINGS
from memory.store.tending import THREAD_NAME
from tests.waiting import wait_until

DIMS = 4
SCANS = """select coalesce(sum(idx_scan), 0) from pg_stat_user_indexes
    where indexrelname like 'memory\\_vectors\\_of\\_%%'"""


def embed(texts: list[str]) -> list[list[float]]:
    return [[random.Random(f"{text} {n}").uniform(-1, 1) for n in range(DIMS)] for text in texts]


INDEX: Any = {"dims": DIMS, "embed": embed, "fields": ["text"], "exact_up_to": 50}


@pytest.fixture
def store(fresh_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[BorealisStore]:
    """One in which a namespace of a hundred is big. Its searches ask for no work by themselves."""
    monkeypatch.setattr("memory.store.own_indexes.WORTH", gain(100, 300))
    for module in ("planning", "own_indexes"):
        monkeypatch.setattr(f"memory.store.{module}.STILL_WORTH", gain(60, 300))
    with BorealisStore(fresh_dsn, index=INDEX) as store:
        store.setup()
        for name, number in (("big", 200), ("also", 100), ("small", 20)):
            fill(store, (name,), number)
        yield store


def fill(store: BorealisStore, namespace: tuple[str, ...], number: int) -> None:
    store.batch([PutOp(namespace, str(n), {"text": f"{namespace} {n}"}) for n in range(number)])


def own(store: BorealisStore) -> list[tuple[str, ...]]:
    return [each.namespace for each in store.indexes() if each.namespace is not None]


def keys(store: BorealisStore, namespace: tuple[str, ...]) -> list[str]:
    return [item.key for item in store.search(namespace, query="what", limit=10)]


def test_a_big_namespace_is_searched_through_an_index_of_its_own(
    fresh_dsn: str, store: BorealisStore
) -> None:
    before = {name: keys(store, (name,)) for name in ("big", "also", "small")}
    assert store.tend_indexes()
    assert own(store) == [("also",), ("big",)]
    assert all(each.ready and each.size_bytes for each in store.indexes())
    assert not store.tend_indexes()
    # So few vectors the planner would sort. Connections tell what they used when they end.
    with BorealisStore(f"{fresh_dsn} options='-c enable_sort=off'", index=INDEX) as other:
        assert {name: keys(other, (name,)) for name in before} == before
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        wait_until(lambda: conn.execute(SCANS).fetchone() == (2,))


def test_it_is_removed_when_its_namespace_shrinks_or_goes(store: BorealisStore) -> None:
    store.tend_indexes()
    store.batch([PutOp(("also",), str(n), None) for n in range(30)])
    assert not store.tend_indexes()  # not at once: it would come and go
    store.batch([PutOp(("also",), str(n), None) for n in range(30, 90)])
    assert store.tend_indexes()
    assert own(store) == [("big",)]
    store.batch([PutOp(("big",), str(n), None) for n in range(200)])
    store.sweep_ttl()
    assert own(store) == [()]
    store.tend_indexes()
    assert own(store) == []


def test_what_comes_below_its_namespace_later_is_found_too(store: BorealisStore) -> None:
    store.tend_indexes()
    assert len(keys(store, ("big",))) == 10
    store.put(("big", "inner"), "new", {"text": "what"})
    assert keys(store, ("big",))[0] == "new"


def test_one_that_was_cut_off_while_it_was_made_is_made_again(
    fresh_dsn: str, store: BorealisStore
) -> None:
    store.tend_indexes()
    name = next(each.name for each in store.indexes() if each.namespace == ("big",))
    table = "borealis.memory_vectors"
    make = f"create index concurrently {name} on {table} using hnsw (embedding vector_cosine_ops)"
    with (
        psycopg.connect(fresh_dsn, autocommit=True) as conn,
        psycopg.connect(fresh_dsn) as writer,
    ):
        conn.execute(f"drop index borealis.{name}".encode())
        writer.execute(f"lock table {table} in row exclusive mode".encode())
        conn.execute("set statement_timeout = '100ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            conn.execute(make.encode())  # which waits for writers
    assert [each.ready for each in store.indexes()].count(False) == 1
    assert len(keys(store, ("big",))) == 10
    assert store.tend_indexes()
    assert all(each.ready for each in store.indexes())


def test_a_search_that_notices_has_it_made_beside(
    store: BorealisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "WORTH", gain(100, 300))
    keys(store, ("small",))
    assert own(store) == []
    keys(store, ("big",))
    wait_until(lambda: own(store) == [("also",), ("big",)])


def test_another_metric_makes_them_again(fresh_dsn: str, store: BorealisStore) -> None:
    store.tend_indexes()
    with BorealisStore(fresh_dsn, index={**INDEX, "distance_type": "l2"}) as other:
        other.reindex()
        assert own(other) == []
        other.tend_indexes()
        assert own(other) == [("also",), ("big",)]
        assert len(keys(other, ("big",))) == 10


def test_close_cancels_what_is_made_beside(
    fresh_dsn: str, store: BorealisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "WORTH", gain(100, 300))
    under_way = "select count(*) from pg_stat_progress_create_index"
    with (
        psycopg.connect(fresh_dsn, autocommit=True) as conn,
        psycopg.connect(fresh_dsn) as writer,
        BorealisStore(fresh_dsn, index=INDEX) as other,
    ):
        writer.execute("lock table borealis.memory_vectors in row exclusive mode")
        keys(other, ("big",))  # which has an index made, which waits for writers
        wait_until(lambda: conn.execute(under_way).fetchone() == (1,))
        other.close()
        assert conn.execute(under_way).fetchone() == (0,)
        assert not any(each.name == THREAD_NAME for each in threading.enumerate())
    assert store.tend_indexes()
    assert all(each.ready for each in store.indexes())


async def test_aclose_does_too_and_the_loop_goes_on_meanwhile(
    fresh_dsn: str, store: BorealisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "WORTH", gain(100, 300))
    under_way = "select count(*) from pg_stat_progress_create_index"
    other = BorealisStore(fresh_dsn, index=INDEX)
    with (
        psycopg.connect(fresh_dsn, autocommit=True) as conn,
        psycopg.connect(fresh_dsn) as writer,
    ):
        writer.execute("lock table borealis.memory_vectors in row exclusive mode")
        await other.asearch(("big",), query="what")
        wait_until(lambda: conn.execute(under_way).fetchone() == (1,))
        await other.aclose()
        assert conn.execute(under_way).fetchone() == (0,)


def test_what_they_were_made_for_is_kept_and_another_configuration_is_told(
    fresh_dsn: str, store: BorealisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.tend_indexes()
    with BorealisStore(fresh_dsn, index=INDEX) as alike:
        alike.setup()
        assert not alike.tend_indexes()
    finer = {**INDEX, "ann_index_config": {"m": 8}}
    for other, said in (
        ({**INDEX, "own_indexes": 3}, "at most 16, not 3"),
        (finer, "m None, not 8, in memory_vectors_of_"),
    ):
        with BorealisStore(fresh_dsn, index=other) as differing:
            with pytest.raises(ConfigurationError, match=said):
                differing.setup()
            assert len(keys(differing, ("big",))) == 10
    with BorealisStore(fresh_dsn, index={**INDEX, "own_indexes": 0}) as leaving_them_alone:
        leaving_them_alone.setup()
    with BorealisStore(fresh_dsn, index=finer) as differing:
        assert differing.tend_indexes()
        differing.setup()
    definitions = "select indexdef from pg_indexes where indexname ~ '^memory_vectors_of_'"
    with psycopg.connect(fresh_dsn) as conn:
        assert all("m='8'" in definition for (definition,) in conn.execute(definitions))
    with pytest.raises(ConfigurationError, match="m 8, not None"):
        store.setup()


def test_a_worker_of_another_metric_makes_none_and_is_told(
    fresh_dsn: str, store: BorealisStore
) -> None:
    with BorealisStore(fresh_dsn, index={**INDEX, "distance_type": "l2"}) as other:
        other.reindex()
        with pytest.raises(ConfigurationError, match="distance_type 'l2', not 'cosine'"):
            store.tend_indexes()
        assert own(other) == []


def test_one_of_which_nothing_is_known_is_made_again(fresh_dsn: str, store: BorealisStore) -> None:
    store.tend_indexes()
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute("delete from borealis.memory_index_settings where name ~ '_of_'")
    assert store.tend_indexes()
    assert not store.tend_indexes()


def test_their_number_is_bounded_and_none_is_a_number(fresh_dsn: str, store: BorealisStore) -> None:
    for most, expected in ((1, [("big",)]), (0, [])):
        with BorealisStore(fresh_dsn, index={**INDEX, "own_indexes": most}) as other:
            other.tend_indexes()
            assert own(other) == expected
    with pytest.raises(ConfigurationError, match="own_indexes is -1"):
        BorealisStore(fresh_dsn, index={**INDEX, "own_indexes": -1})


def test_a_role_that_owns_nothing_searches_on_and_is_told(
    fresh_dsn: str, store: BorealisStore
) -> None:
    from memory.database.tenancy import grant

    role = f"worker_{random.getrandbits(64):x}"
    name = sql.Identifier(role)
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("create role {} login").format(name))
        try:
            grant(fresh_dsn, role)
            with BorealisStore(f"{fresh_dsn} user={role}", index=INDEX) as worker:
                assert len(keys(worker, ("big",))) == 10
                with pytest.raises(ConfigurationError, match="owner of its tables"):
                    worker.tend_indexes()
        finally:
            conn.execute(sql.SQL("grant {} to current_user").format(name))
            conn.execute(sql.SQL("drop owned by {}").format(name))
            conn.execute(sql.SQL("drop role {}").format(name))


def test_an_encrypted_or_halved_or_bitwise_index_may_be_a_namespaces_own(
    fresh_dsn: str, store: BorealisStore
) -> None:
    for kind in ("halfvec", "bit"):
        config = {**INDEX, "ann_index_config": {"vector_type": kind}}
        with BorealisStore(fresh_dsn, schema=kind, index=config) as other:
            other.setup()
            fill(other, ("big",), 200)
            fill(other, ("rest",), 100)
            before = keys(other, ("big",))
            other.tend_indexes()
            assert ("big",) in own(other)
            assert keys(other, ("big",)) == before


def test_a_share_of_a_much_bigger_table_is_worth_an_index_and_most_of_a_table_is_not() -> None:
    assert gain(20_000, 1_000_000) > WORTH
    assert gain(12_500, 20_000) < STILL_WORTH
    assert gain(500, 1_000_000) < STILL_WORTH


@given(
    st.dictionaries(st.integers(1, 30), st.integers(0, 2 * COUNT_UP_TO)),
    st.dictionaries(st.integers(1, 30), st.booleans()),
    st.integers(0, 8),
)
def test_there_are_never_too_many_and_what_was_decided_stays(
    vectors: dict[int, int], have: dict[int, bool], most: int
) -> None:
    decision = decide(vectors, have, most)
    left = (have.keys() - decision.remove) | set(decision.make)
    assert len(left) <= most
    after = decide(vectors, dict.fromkeys(left, True), most)
    assert not after.make
    assert not after.remove


def test_what_a_search_sets_in_its_statement_reaches_the_scan_of_the_index(
    fresh_dsn: str, store: BorealisStore
) -> None:
    """Or it would find 40 of 100, and be made again exactly."""
    scan = (
        "(select from borealis.memory_vectors v where s.ef_search is not null"
        " order by v.embedding <=> '[1,1,1,1]' limit 150) d"
    )
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute("set enable_sort = off")
        for settings, ef_search, found in (
            (SETTINGS, 150, 150),
            (SETTINGS, 40, 40),
            (ITERATIVE_SETTINGS, 40, 150),
        ):
            statement = f"select count(*) from {settings}{scan}"
            row = conn.execute(statement.encode(), (str(ef_search),)).fetchone()
            assert row == (found,)
        assert conn.execute("show hnsw.ef_search").fetchone() == ("40",)
