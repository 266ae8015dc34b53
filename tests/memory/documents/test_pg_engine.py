"""`pg_engine`: PGVectorStore's engine over a cluster: fresh tokens, wake, failover, idle ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langchain_core.documents import Document
from langchain_postgres import PGEngine, PGVectorStore
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool
from sqlalchemy.exc import OperationalError

from cluster_runtime import Runtime
from cluster_runtime.errors import InvalidClusterStateError
from memory import HashEmbeddings, pg_engine
from memory.errors import ConfigurationError, OperationTimeoutError
from tests.waiting import wait_until

NAME = "borealis-pgvectorstore"
BOAT, HILL = Document("a red boat"), Document("a green hill")


class Asked:
    """A cluster that counts how often it was asked for a DSN, and may refuse for a while."""

    def __init__(self, dsn: str) -> None:
        self.answer: str | Exception = dsn
        self.count = 0

    def dsn(self, endpoint: Any = "writer") -> str:
        self.count += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@contextmanager
def engine_of(source: Any, **options: Any) -> Iterator[PGEngine]:
    engine = pg_engine(source, **options)
    yield engine
    engine._run_as_sync(engine.close())


def filled(engine: PGEngine) -> PGVectorStore:
    engine.init_vectorstore_table("docs", 384)
    store = PGVectorStore.create_sync(engine, HashEmbeddings(), "docs")
    store.add_documents([BOAT, HILL])
    return store


def found(store: PGVectorStore) -> list[str]:
    return [document.page_content for document in store.similarity_search("boats", k=1)]


def connections(dsn: str) -> int:
    with psycopg.connect(dsn) as conn:
        row = conn.execute(
            "select count(*) from pg_stat_activity where application_name = %s"
            " and datname = current_database()",
            (NAME,),
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_each_new_connection_asks_for_a_dsn_and_none_stays_open_when_idle(fresh_dsn: str) -> None:
    source = Asked(fresh_dsn)
    with engine_of(source, max_idle=0.3) as engine:
        store = filled(engine)
        assert found(store) == ["a red boat"]
        asked = source.count
        assert asked >= 1
        wait_until(lambda: not connections(fresh_dsn))
        assert found(store) == ["a red boat"]
        assert source.count > asked


async def test_its_asynchronous_methods_share_the_connections(fresh_dsn: str) -> None:
    source = Asked(fresh_dsn)
    engine = pg_engine(source)
    await engine.ainit_vectorstore_table("docs", 384)
    store = await PGVectorStore.create(engine, HashEmbeddings(), "docs")
    await store.aadd_documents([BOAT, HILL])
    assert [d.page_content for d in await store.asimilarity_search("boats", k=1)] == ["a red boat"]
    assert source.count == 1
    await engine.close()


def test_a_connection_that_was_cut_between_operations_is_replaced(fresh_dsn: str) -> None:
    with engine_of(fresh_dsn) as engine:
        store = filled(engine)
        with psycopg.connect(fresh_dsn, autocommit=True) as conn:
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = %s",
                (NAME,),
            )
        assert found(store) == ["a red boat"]


def test_a_cluster_that_changes_its_state_is_waited_for(fresh_dsn: str) -> None:
    class Changing(Asked):
        def dsn(self, endpoint: Any = "writer") -> str:
            if self.count == 3:
                self.answer = fresh_dsn
            return super().dsn(endpoint)

    source = Changing(fresh_dsn)
    source.answer = InvalidClusterStateError("the cluster is failing over")
    with engine_of(source, deadline=20) as engine:
        assert found(filled(engine)) == ["a red boat"]
    assert source.count >= 4


def test_what_waiting_cannot_change_is_raised_at_once(fresh_dsn: str) -> None:
    started = time.monotonic()
    with (
        engine_of(make_conninfo(fresh_dsn, dbname="nowhere"), deadline=300) as engine,
        pytest.raises(OperationalError, match="does not exist"),
    ):
        engine.init_vectorstore_table("docs", 384)
    assert time.monotonic() - started < 60


def test_a_server_that_never_answers_ends_at_the_deadline() -> None:
    with (
        engine_of("host=127.0.0.1 port=1 dbname=x user=x", deadline=1) as engine,
        pytest.raises(OperationTimeoutError, match="could not be reached for 1 s"),
    ):
        engine.init_vectorstore_table("docs", 384)


def test_other_sources_are_refused(fresh_dsn: str) -> None:
    with (
        ConnectionPool(fresh_dsn, open=False) as pool,
        pytest.raises(ConfigurationError, match="a ConnectionPool; pass a cluster or a DSN"),
    ):
        pg_engine(pool)  # type: ignore[arg-type]


def test_over_a_cluster_it_outlives_a_failover_and_wakes_it_from_a_pause(engine_dir: Path) -> None:
    with Runtime.open(engine_dir / "state", warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("docs")
        with engine_of(cluster, max_idle=0.5) as engine:
            store = filled(engine)
            runtime.failover_db_cluster("docs")
            assert found(store) == ["a red boat"]
            runtime.lose_compute("docs")
            assert found(store) == ["a red boat"]
            runtime.pause_db_cluster("docs")
            assert cluster.describe().paused
            assert found(store) == ["a red boat"]
