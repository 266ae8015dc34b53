"""A disk that fills up costs the statement that fills it, and nobody else."""

import threading
from collections.abc import Iterator
from typing import NamedTuple

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.monitoring import disk_watch
from cluster_runtime.storage.core.policy.free_space import (
    ATTENTION_BYTES,
    FLOOR_BYTES,
    MIB,
    FreeSpace,
    Space,
    Writers,
)
from tests.waiting import wait_until

GIB = 1024 * MIB


class Usage(NamedTuple):
    free: int


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """What the disk is said to have free."""
    said = {"free": 100 * GIB}
    monkeypatch.setattr(disk_watch.shutil, "disk_usage", lambda path: Usage(said["free"]))
    monkeypatch.setattr(disk_watch, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(disk_watch, "LOOK_OFTEN_S", 0.05)
    return said


def test_free_space_is_plenty_tight_or_short() -> None:
    assert FreeSpace().seen(0, 50 * GIB) is Space.PLENTY
    assert FreeSpace().seen(0, ATTENTION_BYTES - 1) is Space.TIGHT
    assert FreeSpace().seen(0, FLOOR_BYTES - 1) is Space.SHORT


def test_a_disk_that_fills_fast_is_short_before_one_that_fills_slowly() -> None:
    fast, slow = FreeSpace(), FreeSpace()
    fast.seen(0, 4 * GIB)
    slow.seen(0, 4 * GIB)
    assert fast.seen(1, 3 * GIB) is Space.SHORT
    assert slow.seen(1, 4 * GIB - 10 * MIB) is Space.PLENTY


def test_space_that_comes_back_is_no_reason_to_stop_anybody() -> None:
    space = FreeSpace()
    space.seen(0, GIB // 2)
    assert space.seen(1, 20 * GIB) is Space.PLENTY


def test_the_biggest_writer_is_who_wrote_most_since_the_last_look() -> None:
    writers = Writers()
    writers.seen({("a", 1): 900 * MIB, ("b", 1): 10 * MIB})
    assert writers.biggest is None, "an old connection has written much, but when?"
    writers.seen({("a", 1): 901 * MIB, ("b", 1): 60 * MIB, ("b", 2): 500 * MIB})
    assert writers.biggest == ("b", 1)
    writers.seen({("a", 1): 901 * MIB, ("b", 1): 60 * MIB + 5})
    assert writers.biggest is None, "nobody writes: nobody is to blame"


BIG = "insert into big select repeat('x', 500) from generate_series(1, 2000000)"


def test_the_biggest_statement_fails_with_53100_and_all_others_go_on(
    free: dict[str, int], runtime: Runtime, cluster: ClusterHandle
) -> None:
    other = runtime.create_db_cluster("other")
    for each in (cluster, other):
        with each.connect(autocommit=True) as conn:
            conn.execute("create table big (filler text); create table small (x int)")
    errors: list[psycopg.Error] = []
    with cluster.connect(autocommit=True) as conn:

        def fill() -> None:
            try:
                conn.execute(BIG)
            except psycopg.Error as error:
                errors.append(error)

        filling = threading.Thread(target=fill)
        filling.start()
        with other.connect(autocommit=True) as beside, beside.transaction():
            beside.execute("insert into small values (1)")
            free["free"] = 100 * MIB
            filling.join(60)
            assert not filling.is_alive()
            beside.execute("insert into small values (2)")
        free["free"] = 100 * GIB
        (error,) = errors
        assert isinstance(error, psycopg.errors.DiskFull)
        assert "100 MiB are free" in str(error)
        assert error.diag.message_hint is not None
        assert conn.execute("select count(*) from big").fetchone() == (0,)
        conn.execute("insert into small values (1)")
    with other.connect() as conn:
        assert conn.execute("select count(*) from small").fetchone() == (2,)
    events = runtime.describe_events(cluster.id)
    wait_until(
        lambda: any(
            "low storage" in e.event_categories for e in runtime.describe_events(cluster.id)
        )
    )
    assert events is not None


def test_a_cancel_that_the_client_asked_for_stays_one(
    free: dict[str, int], cluster: ClusterHandle
) -> None:
    with cluster.connect(autocommit=True) as conn:
        threading.Timer(0.3, conn.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            conn.execute("select pg_sleep(30)")
