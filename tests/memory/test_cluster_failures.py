"""The same promises on a cluster: failover, pause, and a writer rebuilt from the volume."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cluster_runtime import ClusterHandle, Runtime
from memory import BorealisSaver, BorealisStore
from tests.memory.database.test_failures import check_no_step_lost_or_doubled, counting_graph

STEPS = 1000


@pytest.fixture
def runtime(engine_dir: Path) -> Iterator[Runtime]:
    with Runtime.open(engine_dir / "state", warm_pool_size=0) as runtime:
        yield runtime


@pytest.fixture
def cluster(runtime: Runtime) -> ClusterHandle:
    return runtime.create_db_cluster("memory")


HARMS = {200: "failover_db_cluster", 450: "pause_db_cluster", 700: "lose_compute"}


@pytest.mark.timeout(120)
def test_a_thousand_steps_survive_failover_pause_and_a_rebuilt_writer(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    """Writers are lost while statements run; a cluster pauses between two of them."""
    config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": STEPS + 5}
    harms: list[Future[object]] = []
    with ThreadPoolExecutor(1) as executor, BorealisSaver(cluster) as saver:

        def at_step(step: int) -> None:
            if (harm := HARMS.get(step)) is not None:
                harms.append(executor.submit(getattr(runtime, harm), "memory"))
                if harm == "pause_db_cluster":
                    harms[-1].result(timeout=30)

        saver.setup()
        graph = counting_graph(STEPS, at_step).compile(checkpointer=saver)
        result = graph.invoke({"n": 0, "seen": []}, config, durability="sync")
        assert result["n"] == STEPS
        assert [done.exception(timeout=30) for done in harms] == [None] * len(HARMS)
        check_no_step_lost_or_doubled(saver, config, STEPS)


async def test_the_store_wakes_a_paused_cluster(runtime: Runtime, cluster: ClusterHandle) -> None:
    async with BorealisStore(cluster) as store:
        await store.asetup()
        await store.aput(("a",), "k", {"n": 1})
        await asyncio.to_thread(runtime.pause_db_cluster, "memory")
        assert cluster.describe().paused
        item = await store.aget(("a",), "k")
        assert item is not None
        assert item.value == {"n": 1}
