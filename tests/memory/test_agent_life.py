"""The memory of agents that come and go for long: nothing grows, nothing is lost."""

import asyncio
import gc
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import psycopg
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import empty_checkpoint

from memory import BorealisChatMessageHistory, BorealisSaver, BorealisStore

THREADS = 6
MOST_GROWTH = 1.10


class Life:
    """One agent's work: it knows what must be there, and counts its operations."""

    def __init__(self, dsn: str, number: int) -> None:
        self.dsn, self.number, self.operations = dsn, number, 0
        self._random = random.Random(number)
        self.saver = BorealisSaver(dsn, deadline=60, ttl=60)
        self.store = BorealisStore(dsn, deadline=60, index={"fields": ["text"]})

    def run(self, until: Callable[[int], bool]) -> None:
        """Turns of conversations, each thread of them deleted in the end."""
        turn = 0
        while not until(self.operations):
            self._conversation(f"{self.number}-{turn}")
            turn += 1

    def _conversation(self, thread: str) -> None:
        config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        messages: list[Any] = []
        for version in range(1, self._random.randint(3, 8)):
            messages = [*messages, HumanMessage("hi", id=str(version)), AIMessage("x" * 300)]
            checkpoint: Any = {
                **empty_checkpoint(),
                "channel_values": {"messages": messages},
                "channel_versions": {"messages": version},
            }
            metadata: Any = {"source": "loop", "step": version, "parents": {}}
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
        history = BorealisChatMessageHistory(self.dsn, thread, deadline=60)
        history.add_messages(messages[:2])
        assert [m.content for m in history.messages] == [m.content for m in messages[:2]]
        history.clear()
        found = asyncio.run(self.saver.aget_tuple(config))
        assert found is not None
        self.saver.delete_thread(thread)
        assert self.saver.get_tuple(config) is None
        self.operations += 10


def live(dsn: str, operations: int, *, harm_every: float | None) -> None:
    for made in (BorealisSaver(dsn), BorealisStore(dsn, index={"fields": ["text"]})):
        made.setup()
        made.close()
    BorealisChatMessageHistory(dsn, "x").setup()
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
                gc.collect()
                warm = process.memory_info().rss
            if harm_every is not None and time.monotonic() - harmed > harm_every:
                watcher.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where"
                    " datname = current_database() and pid <> pg_backend_pid()"
                )
                harmed = time.monotonic()
        assert failures == []
        gc.collect()
        grown = process.memory_info().rss
        left = [
            watcher.execute(f"select count(*) from borealis.memory_{table}").fetchone()
            for table in ("threads", "checkpoints", "chunks", "writes", "items", "messages")
        ]
    # Those that were cut off from the server are still seen for a moment beside their successors.
    assert most_connections <= (8 if harm_every is None else 24)
    assert left == [(0,)] * 6
    if operations >= 100_000:
        assert grown <= warm * MOST_GROWTH, f"{warm} bytes became {grown}"
    for life in lives:
        life.saver.close()
        life.store.close()


def test_agents_come_and_go_and_leave_nothing_behind(fresh_dsn: str) -> None:
    live(fresh_dsn, 400, harm_every=None)


@pytest.mark.long
def test_200_000_operations_with_lost_connections_lose_nothing_and_nothing_grows(
    fresh_dsn: str,
) -> None:
    live(fresh_dsn, 200_000, harm_every=10)
