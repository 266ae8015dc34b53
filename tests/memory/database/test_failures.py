"""Lost backends and cut connections in the middle of a graph: latency, never an error."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import psycopg
import pytest
from langgraph.graph import END, START, StateGraph
from psycopg_pool import ConnectionPool

from memory import BorealisSaver, BorealisStore
from memory.errors import ConfigurationError, OperationTimeoutError
from tests.memory.proxy import CuttingProxy
from tests.waiting import wait_until

HARMS_MAX = 50
HARMS_MIN = 6
LONGER = 10
"""So many times more steps at most until there was enough harm."""
many_steps = pytest.mark.parametrize("steps", [400, pytest.param(1000, marks=pytest.mark.long)])


class Count(TypedDict):
    n: int
    seen: list[int]


def counting_graph(
    steps: int,
    at_step: Callable[[int], object] = lambda step: None,
    enough: Callable[[], bool] = lambda: True,
) -> StateGraph[Any]:
    """One node that runs `steps` times, or until it is enough, and notes each number it saw."""

    def add(state: Count) -> dict[str, Any]:
        at_step(state["n"])
        return {"n": state["n"] + 1, "seen": [*state["seen"][-20:], state["n"]]}

    builder = StateGraph(Count)
    builder.add_node("add", add)
    builder.add_edge(START, "add")
    builder.add_conditional_edges("add", lambda s: END if s["n"] >= steps and enough() else "add")
    return builder


class Troublemaker:
    """Does harm again and again, from a thread, until it is stopped.

    At most HARMS_MAX times: on a busy machine each harm takes longer to get over, and the next one
    would come before much is done.
    """

    def __init__(self, harm: Callable[[], int]) -> None:
        self.harm, self.done = harm, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        for _ in range(HARMS_MAX):
            if self._stop.wait(random.uniform(0.02, 0.12)):
                return
            self.done += self.harm()

    def did_enough(self) -> bool:
        """Whether a run that goes on has been harmed as often as it is to be."""
        return self.done >= HARMS_MIN

    def __enter__(self) -> "Troublemaker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def killer(fresh_dsn: str) -> Iterator[Callable[[], int]]:
    with psycopg.connect(fresh_dsn, autocommit=True) as admin:

        def kill() -> int:
            row = admin.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and application_name = 'borealis-memory'"
            ).fetchone()
            assert row is not None
            return int(row[0])

        yield kill


def check_no_step_lost_or_doubled(saver: BorealisSaver, config: Any, steps: int) -> None:
    found = list(saver.list(config))
    assert [t.metadata["step"] for t in found] == list(range(steps, -2, -1))
    counts = [t.checkpoint["channel_values"].get("n") for t in found][: steps + 1]
    assert counts == list(range(steps, -1, -1))
    for child, parent in itertools.pairwise(found):
        assert child.parent_config is not None
        parent_id = child.parent_config["configurable"]["checkpoint_id"]
        assert parent_id == parent.config["configurable"]["checkpoint_id"]
    writes = [len(t.pending_writes or ()) for t in found[1:-1]]
    assert len(set(writes[1:-1])) == 1


@pytest.mark.timeout(120)
@many_steps
def test_many_steps_survive_killed_backends(
    fresh_dsn: str, killer: Callable[[], int], steps: int
) -> None:
    config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": LONGER * steps}
    trouble = Troublemaker(killer)
    with BorealisSaver(fresh_dsn) as saver:
        saver.setup()
        graph = counting_graph(steps, enough=trouble.did_enough).compile(checkpointer=saver)
        with trouble:
            result = graph.invoke({"n": 0, "seen": []}, config, durability="sync")
        assert result["n"] >= steps
        assert trouble.done >= HARMS_MIN
        check_no_step_lost_or_doubled(saver, config, result["n"])


@pytest.mark.timeout(120)
@many_steps
async def test_many_asynchronous_steps_survive_cut_connections(fresh_dsn: str, steps: int) -> None:
    config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": LONGER * steps}
    with CuttingProxy(fresh_dsn) as proxy:
        trouble = Troublemaker(proxy.cut)
        async with BorealisSaver(proxy.dsn) as saver:
            await saver.asetup()
            graph = counting_graph(steps, enough=trouble.did_enough).compile(checkpointer=saver)
            with trouble:
                result = await graph.ainvoke({"n": 0, "seen": []}, config, durability="async")
            assert result["n"] >= steps
            assert trouble.done >= HARMS_MIN
            await asyncio.to_thread(check_no_step_lost_or_doubled, saver, config, result["n"])


def test_a_pool_of_the_callers_recovers_from_killed_backends(fresh_dsn: str) -> None:
    kwargs = {"autocommit": True, "application_name": "borealis-memory"}
    with (
        ConnectionPool(fresh_dsn, min_size=4, max_size=4, kwargs=kwargs, open=True) as pool,
        psycopg.connect(fresh_dsn, autocommit=True) as admin,
    ):
        pool.wait()
        store = BorealisStore(pool, deadline=30)
        store.setup()
        for number in range(5):
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'borealis-memory' and datname = current_database()"
            )
            store.put(("a",), "k", {"n": number})
        item = store.get(("a",), "k")
        assert item is not None
        assert item.value == {"n": 4}


def test_a_server_that_never_comes_back_is_an_error_at_the_deadline(fresh_dsn: str) -> None:
    with CuttingProxy(fresh_dsn) as proxy:
        saver = BorealisSaver(proxy.dsn, deadline=0.5)
        with BorealisSaver(proxy.dsn) as patient:
            patient.setup()
    began = time.monotonic()
    with pytest.raises(OperationTimeoutError, match=r"could not be used for 0\.5 s"):
        saver.get_tuple({"configurable": {"thread_id": "t"}})
    assert time.monotonic() - began < 30
    saver.close()


def test_a_server_that_stops_answering_is_an_error_at_the_deadline(fresh_dsn: str) -> None:
    with BorealisSaver(fresh_dsn) as patient:
        patient.setup()
    with BorealisSaver(fresh_dsn, deadline=1) as saver:
        with psycopg.connect(fresh_dsn) as blocker:
            blocker.execute("lock table borealis.memory_threads in access exclusive mode")
            with pytest.raises(OperationTimeoutError):
                saver.get_tuple({"configurable": {"thread_id": "t"}})
        assert saver.get_tuple({"configurable": {"thread_id": "t"}}) is None


async def test_the_deadline_holds_for_asynchronous_calls_too(fresh_dsn: str) -> None:
    async with BorealisSaver(fresh_dsn) as patient:
        await patient.asetup()
    async with BorealisSaver(fresh_dsn, deadline=1) as saver:
        async with await psycopg.AsyncConnection.connect(fresh_dsn) as blocker:
            await blocker.execute("lock table borealis.memory_threads in access exclusive mode")
            with pytest.raises(OperationTimeoutError):
                await saver.aget_tuple({"configurable": {"thread_id": "t"}})
        assert await saver.aget_tuple({"configurable": {"thread_id": "t"}}) is None


def test_what_waiting_cannot_change_is_an_error_at_once(fresh_dsn: str) -> None:
    from psycopg.conninfo import make_conninfo

    saver = BorealisSaver(make_conninfo(fresh_dsn, dbname="no_such_database"))
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="no_such_database"):
        saver.setup()
    assert time.monotonic() - began < 30
    with pytest.raises(ConfigurationError, match="autocommit"), psycopg.connect(fresh_dsn) as conn:
        BorealisSaver(conn)
    with pytest.raises(ConfigurationError, match="cannot connect through"):
        BorealisSaver(42)  # type: ignore[arg-type]


def test_idle_connections_are_closed_so_that_a_cluster_can_pause(fresh_dsn: str) -> None:
    class Cluster:
        asked = 0

        def dsn(self, endpoint: str = "writer") -> str:
            self.asked += 1
            return proxy.dsn

    cluster = Cluster()
    with CuttingProxy(fresh_dsn) as proxy, BorealisSaver(cluster, max_idle=0.2) as saver:
        saver.setup()
        threads = [
            threading.Thread(target=saver.get_tuple, args=({"configurable": {"thread_id": "t"}},))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert cluster.asked == proxy.accepted >= 1
        wait_until(lambda: proxy.connections == 0)
        assert saver.get_tuple({"configurable": {"thread_id": "t"}}) is None
        assert cluster.asked == proxy.accepted


def test_an_object_on_an_asynchronous_pool_says_what_its_synchronous_methods_need() -> None:
    from psycopg_pool import AsyncConnectionPool

    saver = BorealisSaver(AsyncConnectionPool("host=nowhere", open=False))
    with pytest.raises(ConfigurationError, match="asynchronous"):
        saver.get_tuple({"configurable": {"thread_id": "t"}})
