import asyncio
from collections.abc import Callable

from cluster_runtime.serverless.watch import ConnectionWatch

IDLE_S = 0.01


class Cluster:
    """What a watch pauses: whether it may, and what each pause was told at its last moment."""

    def __init__(self) -> None:
        self.available = True
        self.paused: asyncio.Queue[bool] = asyncio.Queue()
        self.before_the_last_moment: Callable[[], None] = lambda: None

    async def pause(self, still_idle: Callable[[], bool]) -> None:
        self.before_the_last_moment()
        self.paused.put_nowait(still_idle())

    def watch(self, idle_seconds: float | None) -> ConnectionWatch:
        return ConnectionWatch(idle_seconds, available=lambda: self.available, pause=self.pause)


async def test_an_idle_cluster_is_paused() -> None:
    cluster = Cluster()
    watch = cluster.watch(IDLE_S)
    assert await cluster.paused.get()
    watch.close()


async def test_a_connect_while_the_pause_is_under_way_keeps_it_awake() -> None:
    cluster = Cluster()
    watch = cluster.watch(IDLE_S)
    cluster.before_the_last_moment = watch.opened
    assert not await cluster.paused.get()
    watch.close()


async def test_a_cluster_that_changes_is_left_alone_until_it_runs_again() -> None:
    cluster = Cluster()
    cluster.available = False
    watch = cluster.watch(IDLE_S)
    looked = asyncio.Event()
    asyncio.get_running_loop().call_later(2 * IDLE_S, looked.set)  # after the watch's own timer
    await looked.wait()
    assert cluster.paused.empty()
    cluster.available = True
    watch.started()
    assert await cluster.paused.get()
    watch.close()


async def test_one_that_never_pauses_does_so_once_it_is_configured_to() -> None:
    cluster = Cluster()
    watch = cluster.watch(None)
    watch.opened()
    watch.configured(IDLE_S)
    watch.closed()
    assert await cluster.paused.get()
    watch.close()
