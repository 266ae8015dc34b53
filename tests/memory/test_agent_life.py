"""The memory of agents that come and go for long: nothing grows, nothing is lost."""

import asyncio
import ctypes
import gc
import itertools
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import empty_checkpoint

from cluster_runtime import ClusterHandle, Runtime
from memory import BorealisChatMessageHistory, BorealisSaver, BorealisStore
from memory.database.connections import ConnectionSource
from tests.waiting import wait_until

THREADS = 6
PATIENCE_S = 600
"""For all of many agents to get on: one that an operation's own deadline of 60 s ends fails."""
MOST_GROWTH = 1.10
MOST_CONNECTIONS = 24
"""Those that were cut off from the server are still seen for a moment beside their successors."""
TABLES = ("threads", "checkpoints", "chunks", "writes", "items", "messages")


class Life:
    """One agent's work: it knows what must be there, and counts its operations."""

    def __init__(self, source: ConnectionSource, number: int) -> None:
        self.source, self.number, self.operations = source, number, 0
        self._random = random.Random(number)
        self.saver = BorealisSaver(source, deadline=60, ttl=60)
        self.store = BorealisStore(source, deadline=60, index={"fields": ["text"]})

    def run(self, until: Callable[[int], bool]) -> None:
        """Turns of conversations, each thread of them deleted in the end."""
        turn = 0
        while not until(self.operations):
            self._conversation(f"{self.number}-{turn}")
            turn += 1

    async def arun(self, until: Callable[[int], bool]) -> None:
        """The same, in an event loop of its own."""
        turn = 0
        while not until(self.operations):
            await self._aconversation(f"{self.number}-a{turn}")
            turn += 1

    def close(self) -> None:
        self.saver.close()
        self.store.close()

    async def _aconversation(self, thread: str) -> None:
        config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        messages: list[Any] = []
        for version in range(1, self._random.randint(3, 6)):
            messages, checkpoint, metadata = step(messages, version)
            config = await self.saver.aput(config, checkpoint, metadata, {"messages": version})
            await self.saver.aput_writes(config, [("messages", messages[-1])], "task")
            found = await self.saver.aget_tuple(config)
            assert found is not None
            assert found.checkpoint["channel_values"]["messages"] == messages
            assert found.pending_writes == [("task", "messages", messages[-1])]
            self.operations += 3
        await self.saver.adelete_thread(thread)
        assert await self.saver.aget_tuple(config) is None
        self.operations += 2

    def _conversation(self, thread: str) -> None:
        config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        messages: list[Any] = []
        for version in range(1, self._random.randint(3, 8)):
            messages, checkpoint, metadata = step(messages, version)
            config = self.saver.put(config, checkpoint, metadata, {"messages": version})
            self.saver.put_writes(config, [("messages", messages[-1])], "task")
            found = self.saver.get_tuple(config)
            assert found is not None
            assert found.checkpoint["channel_values"]["messages"] == messages
            assert found.pending_writes == [("task", "messages", messages[-1])]
            self.operations += 3
        space = ("agents", str(self.number))
        self.store.put(space, thread, {"text": f"note {thread}"}, ttl=1)
        item = self.store.get(space, thread)
        assert item is not None
        assert item.value == {"text": f"note {thread}"}
        assert self.store.search(space, query=f"note {thread}", limit=1)
        self.store.delete(space, thread)
        history = BorealisChatMessageHistory(self.source, thread, deadline=60)
        history.add_messages(messages[:2])
        assert [m.content for m in history.messages] == [m.content for m in messages[:2]]
        history.clear()
        found = asyncio.run(self.saver.aget_tuple(config))
        assert found is not None
        self.saver.delete_thread(thread)
        assert self.saver.get_tuple(config) is None
        self.operations += 10


def step(messages: list[Any], version: int) -> tuple[list[Any], Any, Any]:
    messages = [*messages, HumanMessage("hi", id=str(version)), AIMessage("x" * 300)]
    checkpoint = {
        **empty_checkpoint(),
        "channel_values": {"messages": messages},
        "channel_versions": {"messages": version},
    }
    return messages, checkpoint, {"source": "loop", "step": version, "parents": {}}


def in_use(process: psutil.Process) -> int:
    """Bytes of memory, without what the allocator keeps of the arenas of a hundred threads."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return process.memory_info().rss


def set_up(source: ConnectionSource) -> None:
    for made in (BorealisSaver(source), BorealisStore(source, index={"fields": ["text"]})):
        made.setup()
        made.close()
    BorealisChatMessageHistory(source, "x").setup()


def left_in(connection: psycopg.Connection[Any]) -> list[Any]:
    return [
        connection.execute(f"select count(*) from borealis.memory_{table}".encode()).fetchone()
        for table in TABLES
    ]


def live(dsn: str, operations: int, *, harm_every: float | None) -> None:
    set_up(dsn)
    lives = [Life(dsn, number) for number in range(THREADS)]
    failures: list[BaseException] = []

    def work(life: Life) -> None:
        try:
            life.run(lambda done: done >= operations / THREADS or bool(failures))
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    workers = [threading.Thread(target=work, args=(life,)) for life in lives]
    process, warm, most_connections = psutil.Process(), 0, 0
    with psycopg.connect(dsn, autocommit=True, application_name="watcher") as watcher:
        for worker in workers:
            worker.start()
        harmed = time.monotonic()
        while any(worker.is_alive() for worker in workers):
            workers[0].join(0.5)
            row = watcher.execute(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and application_name = 'borealis-memory'"
            ).fetchone()
            assert row is not None
            most_connections = max(most_connections, row[0])
            if not warm and sum(life.operations for life in lives) > operations / 5:
                warm = in_use(process)
            if harm_every is not None and time.monotonic() - harmed > harm_every:
                watcher.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where"
                    " datname = current_database() and pid <> pg_backend_pid()"
                )
                harmed = time.monotonic()
        assert failures == []
        grown = in_use(process)
        left = left_in(watcher)
    assert most_connections <= (8 if harm_every is None else MOST_CONNECTIONS)
    assert left == [(0,)] * len(TABLES)
    if operations >= 100_000:
        assert grown <= warm * MOST_GROWTH, f"{warm} bytes became {grown}"
    for life in lives:
        life.close()


def test_agents_come_and_go_and_leave_nothing_behind(fresh_dsn: str) -> None:
    live(fresh_dsn, 400, harm_every=None)


@pytest.mark.long
def test_200_000_operations_with_lost_connections_lose_nothing_and_nothing_grows(
    fresh_dsn: str,
) -> None:
    live(fresh_dsn, 200_000, harm_every=10)


HARMS = ("failover_db_cluster", "pause_db_cluster", "lose_compute")


def live_on(runtime: Runtime, cluster: ClusterHandle, *, loops: int, seconds: float) -> None:
    """Agents in threads, and as many in event loops as said, on a cluster that is harmed.

    Each harm comes once, and again and again until so many seconds have passed; the next one when
    every agent has got on since the last.
    """
    set_up(cluster)
    lives = [Life(cluster, number) for number in range(THREADS + loops)]
    failures: list[BaseException] = []
    over = threading.Event()

    def until(_: int) -> bool:
        return over.is_set() or bool(failures)

    def work(life: Life) -> None:
        try:
            if life.number < THREADS:
                life.run(until)
            else:
                asyncio.run(life.arun(until))
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    def got_on(since: list[int]) -> bool:
        return bool(failures) or all(
            life.operations > before for life, before in zip(lives, since, strict=True)
        )

    workers = [threading.Thread(target=work, args=(life,)) for life in lives]
    process, warm = psutil.Process(), 0
    for worker in workers:
        worker.start()
    begun = time.monotonic()
    for rounds, harm in enumerate(itertools.cycle(HARMS)):
        before = [life.operations for life in lives]
        wait_until(lambda since=before: got_on(since), PATIENCE_S)  # type: ignore[misc]
        if failures or (rounds >= len(HARMS) and time.monotonic() - begun > seconds):
            break
        if not warm and time.monotonic() - begun > seconds / 2:
            # For minutes the arenas of a hundred threads fill up, each to what it once needed.
            warm = in_use(process)
        getattr(runtime, harm)(cluster.id)
        with cluster.connect() as watcher:
            row = watcher.execute(
                "select count(*) from pg_stat_activity where application_name = 'borealis-memory'"
            ).fetchone()
        assert row is not None
        assert row[0] <= MOST_CONNECTIONS
    over.set()
    for worker in workers:
        worker.join()
    assert failures == []
    grown = in_use(process)
    with cluster.connect() as watcher:
        assert left_in(watcher) == [(0,)] * len(TABLES)
    if seconds >= 300:
        assert grown <= warm * MOST_GROWTH, f"{warm} bytes became {grown}"
    for life in lives:
        life.close()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("loops", "seconds"), [(4, 0), pytest.param(50, 600, marks=pytest.mark.long)]
)
def test_agents_live_on_through_failovers_pauses_and_lost_writers_in_any_number_of_loops(
    engine_dir: Path, loops: int, seconds: float
) -> None:
    with Runtime.open(engine_dir / "state", warm_pool_size=0) as runtime:
        live_on(runtime, runtime.create_db_cluster("life"), loops=loops, seconds=seconds)
