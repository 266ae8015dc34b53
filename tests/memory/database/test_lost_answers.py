"""What was done although its answer was lost is done once: each write ends as it would have."""

import itertools
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import psycopg
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.store.base import PutOp

from memory import BorealisChatMessageHistory, BorealisSaver, BorealisStore, BorealisVectorStore
from tests.memory.proxy import CuttingProxy

ROUTES = ("direct", "lossy")
TABLES = (
    *("memory_threads", "memory_checkpoints", "memory_chunks", "memory_writes"),
    *("memory_namespaces", "memory_items", "memory_vectors", "memory_messages", "texts"),
)
THREAD: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


class Memories:
    """All of them in one schema, with something in each."""

    def __init__(self, dsn: str, schema: str) -> None:
        self.saver = BorealisSaver(dsn, schema=schema, ttl=60)
        self.store = BorealisStore(dsn, schema=schema, index={"fields": ["text"]})
        self.history = BorealisChatMessageHistory(dsn, "s", schema=schema)
        self.documents = BorealisVectorStore(dsn, table_name="texts", schema_name=schema)
        self.saver.setup()
        self.store.setup()
        self.history.setup()
        self.documents.setup()
        self.ids = iter(f"1f0d0000-0000-6000-8000-{n:012}" for n in itertools.count())
        config = THREAD
        for step in range(3):
            config = self.put(config, step)
            self.saver.put_writes(config, [("messages", "x")], "task")
        self.latest = config
        self.store.put(("a",), "k", {"text": "green"})
        self.store.put(("a",), "gone", {"text": "gone"}, ttl=1e-9)
        self.history.add_messages([HumanMessage("hi", id="1")])
        self.documents.add_texts(["green"], ids=["1"])

    def put(self, config: Any, step: int) -> Any:
        messages = [AIMessage("x" * 3000, id=str(n)) for n in range(step + 1)]
        checkpoint: Any = {
            **empty_checkpoint(),
            "id": next(self.ids),
            "channel_values": {"messages": messages},
            "channel_versions": {"messages": step + 1},
        }
        metadata: Any = {"source": "loop", "step": step, "run_id": f"r{step}", "parents": {}}
        return self.saver.put(config, checkpoint, metadata, {"messages": step + 1})

    def moved(self) -> None:
        file = BytesIO()
        self.saver.export_thread("t", file)
        self.saver.delete_thread("t")
        file.seek(0)
        self.saver.import_thread(file)

    def close(self) -> None:
        for each in (self.saver, self.store, self.history, self.documents):
            each.close()


WRITES: dict[str, tuple[bytes, Callable[[Memories], Any]]] = {
    "put": (b"memory_step", lambda m: m.put(m.latest, 3)),
    "writes": (b"memory_step", lambda m: m.saver.put_writes(m.latest, [("y", 1)], "2")),
    "delete": (b"memory_delete(", lambda m: m.saver.delete_thread("t")),
    "empty": (b"memory_drain(", lambda m: m.saver.delete_thread("t")),
    "runs": (b"memory_remove(", lambda m: m.saver.delete_for_runs(["r0", "r1"])),
    "runs' chunks": (b"memory_collect(", lambda m: m.saver.delete_for_runs(["r2"])),
    "prune": (b"memory_remove(", lambda m: m.saver.prune(["t"])),
    "prune's chunks": (b"memory_collect(", lambda m: m.saver.prune(["t"])),
    "prune all": (b"memory_delete(", lambda m: m.saver.prune(["t"], strategy="delete")),
    "copy": (b"memory_copy(", lambda m: m.saver.copy_thread("t", "u")),
    "import": (b"COMMIT", lambda m: m.moved()),
    "item": (b"embedded_items(", lambda m: m.store.put(("b",), "k", {"text": "red"})),
    "item again": (
        b"embedded_items(",
        lambda m: m.store.put(("a",), "k", {"text": "red"}),
    ),
    "items": (
        b"COMMIT",
        lambda m: m.store.batch([PutOp((label,), "k", {"text": "red"}) for label in "ab"]),
    ),
    "no item": (b"delete from", lambda m: m.store.delete(("a",), "k")),
    "sweep items": (b"delete from", lambda m: m.store.sweep_ttl()),
    "message": (b"insert into", lambda m: m.history.add_messages([AIMessage("ho")])),
    "no messages": (b"delete from", lambda m: m.history.clear()),
    "document": (b"COMMIT", lambda m: m.documents.add_texts(["red", "blue"])),
    "no document": (b"delete from", lambda m: m.documents.delete(["1"])),
}


@pytest.fixture
def proxy(fresh_dsn: str) -> Iterator[CuttingProxy]:
    with CuttingProxy(fresh_dsn) as proxy:
        yield proxy


@pytest.mark.parametrize("what", WRITES)
def test_a_write_whose_answer_is_lost_ends_as_one_whose_answer_comes(
    fresh_dsn: str, proxy: CuttingProxy, what: str
) -> None:
    marker, write = WRITES[what]
    left = []
    for route in ROUTES:
        memories = Memories(proxy.dsn, route)
        accepted = proxy.accepted
        if route == "lossy":
            proxy.lose_answer(marker)
        write(memories)
        assert (proxy.accepted > accepted) == (route == "lossy"), f"no statement has {marker!r}"
        memories.close()
        with psycopg.connect(fresh_dsn) as conn:
            rows = (f"select count(*) from {route}.{table}" for table in TABLES)
            left.append([conn.execute(each.encode()).fetchone() for each in rows])
    assert left[0] == left[1]
