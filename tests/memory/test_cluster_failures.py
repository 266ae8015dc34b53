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


@pytest.fixture
def runtime(engine_dir: Path) -> Iterator[Runtime]:
    with Runtime.open(engine_dir / "state", warm_pool_size=0) as runtime:
        yield runtime


@pytest.fixture
def cluster(runtime: Runtime) -> ClusterHandle:
    return runtime.create_db_cluster("memory")


HARMS = {0.2: "failover_db_cluster", 0.45: "pause_db_cluster", 0.7: "lose_compute"}
"""After which part of the steps."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("steps", [300, pytest.param(1000, marks=pytest.mark.long)])
def test_many_steps_survive_failover_pause_and_a_rebuilt_writer(
    runtime: Runtime, cluster: ClusterHandle, steps: int
) -> None:
    """Writers are lost while statements run; a cluster pauses between two of them."""
    config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": steps + 5}
    harm_at = {int(part * steps): harm for part, harm in HARMS.items()}
    harms: list[Future[object]] = []
    with ThreadPoolExecutor(1) as executor, BorealisSaver(cluster) as saver:

        def at_step(step: int) -> None:
            if (harm := harm_at.get(step)) is not None:
                harms.append(executor.submit(getattr(runtime, harm), "memory"))
                if harm == "pause_db_cluster":
                    harms[-1].result(timeout=30)

        saver.setup()
        graph = counting_graph(steps, at_step).compile(checkpointer=saver)
        result = graph.invoke({"n": 0, "seen": []}, config, durability="sync")
        assert result["n"] == steps
        assert [done.exception(timeout=30) for done in harms] == [None] * len(HARMS)
        check_no_step_lost_or_doubled(saver, config, steps)


async def test_the_store_wakes_a_paused_cluster(runtime: Runtime, cluster: ClusterHandle) -> None:
    async with BorealisStore(cluster) as store:
        await store.asetup()
        await store.aput(("a",), "k", {"n": 1})
        await asyncio.to_thread(runtime.pause_db_cluster, "memory")
        assert cluster.describe().paused
        item = await store.aget(("a",), "k")
        assert item is not None
        assert item.value == {"n": 1}
