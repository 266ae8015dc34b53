"""A whole turn of a graph: in how many transactions it is stored, and what is there after it."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import zstandard
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph

from memory import BorealisSaver
from memory.checkpoints.gathering import MOST_CHECKPOINTS
from tests.waiting import wait_until

LONG = 60.0
"""Nobody waits so long in a test: what is stored earlier is stored because somebody came."""

CONFIG: Any = {"configurable": {"thread_id": "t"}}
TRANSACTIONS = """
    select count(distinct x) from (select xmin::text as x from borealis.memory_checkpoints
    union all select xmin::text from borealis.memory_writes) rows
"""
ORPHANS = """
    select count(*) from borealis.memory_checkpoints c
    where parent_id is not null and not exists (select from borealis.memory_checkpoints p
        where p.thread_key = c.thread_key and p.ns = c.ns and p.checkpoint_id = c.parent_id)
"""


@pytest.fixture
def patient(saver: BorealisSaver) -> BorealisSaver:
    """A saver whose calls wait for company until it comes."""
    saver._writing._gathering._linger = LONG
    return saver


def one(dsn: str, statement: str) -> Any:
    with psycopg.connect(dsn) as conn:
        row = conn.execute(statement).fetchone()  # type: ignore[call-overload]
    assert row is not None
    return row[0]


def graph_of(saver: BorealisSaver, *nodes: Callable[[Any], Any]) -> Any:
    builder = StateGraph(MessagesState)
    before = START
    for number, node in enumerate(nodes):
        builder.add_node(f"n{number}", node)
        builder.add_edge(before, f"n{number}")
        before = f"n{number}"
    return builder.compile(checkpointer=saver)


def answer(_: Any) -> dict[str, Any]:
    return {"messages": [AIMessage("yes")]}


def ask(graph: Any, **options: Any) -> Any:
    return graph.invoke({"messages": [HumanMessage("?")]}, CONFIG, **options)


def test_a_turn_of_quick_nodes_is_one_transaction(fresh_dsn: str, patient: BorealisSaver) -> None:
    graph = graph_of(patient, answer, answer)
    ask(graph)
    assert one(fresh_dsn, "select count(*) from borealis.memory_checkpoints") == 4
    assert one(fresh_dsn, TRANSACTIONS) == 1
    ask(graph)
    assert one(fresh_dsn, TRANSACTIONS) == 2
    assert [m.content for m in graph.get_state(CONFIG).values["messages"]] == [
        "?",
        "yes",
        "yes",
    ] * 2


def test_the_new_threads_of_each_run_make_no_new_contexts_of_compression(
    saver: BorealisSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = zstandard.ZstdCompressor

    def counted(**options: Any) -> zstandard.ZstdCompressor:
        made.append(options)
        return real(**options)

    monkeypatch.setattr(zstandard, "ZstdCompressor", counted)
    graph = graph_of(saver, answer)
    for _ in range(8):
        ask(graph)
    # No more than calls of one run that compress at the same time: three puts, and two of writes.
    assert len(made) <= 5


async def test_so_it_is_asynchronously(fresh_dsn: str, asaver: BorealisSaver) -> None:
    asaver._writing._gathering._linger = LONG
    graph = graph_of(asaver, answer, answer)
    await graph.ainvoke({"messages": [HumanMessage("?")]}, CONFIG)
    assert one(fresh_dsn, TRANSACTIONS) == 1
    assert len([state async for state in graph.aget_state_history(CONFIG)]) == 4


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_long_chain_of_quick_nodes_is_stored_as_it_goes(
    fresh_dsn: str, patient: BorealisSaver, asynchronous: bool
) -> None:
    steps, unstored = 60, []

    def step(state: MessagesState) -> dict[str, Any]:
        handed_in = len(state["messages"])
        stored = one(fresh_dsn, "select count(*) from borealis.memory_checkpoints")
        unstored.append(handed_in - stored)
        return answer(state)

    graph = graph_of(patient, *[step] * steps)
    if asynchronous:
        await graph.ainvoke({"messages": [HumanMessage("?")]}, CONFIG)
    else:
        ask(graph)
    # One transaction under way and one that gathers.
    assert max(unstored) <= 2 * MOST_CHECKPOINTS
    assert one(fresh_dsn, "select count(*) from borealis.memory_checkpoints") == steps + 2
    assert one(fresh_dsn, TRANSACTIONS) >= steps / MOST_CHECKPOINTS


def test_with_durability_sync_a_step_is_there_before_the_next_one_begins(
    fresh_dsn: str, patient: BorealisSaver
) -> None:
    seen = []

    def look(_: Any) -> dict[str, Any]:
        seen.append(one(fresh_dsn, "select count(*) from borealis.memory_checkpoints"))
        return answer(_)

    ask(graph_of(patient, answer, look), durability="sync")
    assert seen == [3]
    # Writes go with the next put, or after it where their thread was slower and nobody is left to
    # wait for: never more than a transaction for each of four puts and three writes.
    assert one(fresh_dsn, TRANSACTIONS) <= 7


def test_with_durability_exit_only_the_end_is_there(fresh_dsn: str, patient: BorealisSaver) -> None:
    ask(graph_of(patient, answer, answer), durability="exit")
    assert one(fresh_dsn, "select count(*) from borealis.memory_checkpoints") == 1


def test_while_a_node_works_its_input_is_stored(fresh_dsn: str, saver: BorealisSaver) -> None:
    seen = []

    def look(_: Any) -> dict[str, Any]:
        stored = "select count(*) from borealis.memory_checkpoints"
        seen.append(wait_until(lambda: one(fresh_dsn, stored)))
        return answer(_)

    ask(graph_of(saver, look))
    assert seen


class Watched:
    """What is handed in to a saver, in an order that a test may choose."""

    def __init__(self, saver: BorealisSaver, monkeypatch: pytest.MonkeyPatch) -> None:
        self._add, self._puts = saver._writing._gathering.add, 0
        self.put = [threading.Event() for _ in range(4)]
        """Of a turn of two nodes, by the number of the put."""
        self.before_writes: Callable[[], object] | None = None
        monkeypatch.setattr(saver._writing._gathering, "add", self._add_watched)

    def _add_watched(self, entry: Any) -> None:
        if not entry.is_put and self.before_writes is not None:
            self.before_writes()
        self._add(entry)
        if entry.is_put:
            self.put[self._puts].set()
            self._puts += 1


def test_a_node_sees_the_state_that_its_own_run_has_put(
    patient: BorealisSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, watched = [], Watched(patient, monkeypatch)

    def look(_: Any) -> dict[str, Any]:
        assert watched.put[2].wait(LONG)  # a thread of the run may be slow to hand it in
        seen.append(graph.get_state(CONFIG).values["messages"][-1].content)
        return answer(_)

    graph = graph_of(patient, answer, look)
    ask(graph)
    assert seen == ["yes"]


def test_what_a_reader_has_stored_is_waited_for_by_nobody(
    patient: BorealisSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node's writes come after the put that follows; both stand on what the node has read."""
    watched = Watched(patient, monkeypatch)

    def look(_: Any) -> dict[str, Any]:
        assert watched.put[2].wait(LONG)
        found = patient.get_tuple(CONFIG)
        assert found is not None
        assert found.metadata["step"] == 1
        watched.before_writes = lambda: watched.put[3].wait(LONG)
        return answer(_)

    graph = graph_of(patient, answer, look)
    began = time.monotonic()
    ask(graph)
    assert time.monotonic() - began < LONG
    assert len(graph.get_state(CONFIG).values["messages"]) == 3


async def test_a_synchronous_call_in_a_loop_does_not_hold_up_what_the_loop_has_under_way(
    asaver: BorealisSaver,
) -> None:
    seen = []

    async def look(_: Any) -> dict[str, Any]:
        found = asaver.get_tuple(CONFIG)  # while tasks of this loop store the step before
        seen.append(found)
        return answer(_)

    await graph_of(asaver, answer, look).ainvoke({"messages": [HumanMessage("?")]}, CONFIG)
    assert len(seen) == 1


def test_an_error_of_a_node_and_what_came_before_it_are_there_when_the_run_ends(
    fresh_dsn: str, patient: BorealisSaver
) -> None:
    def fail(_: Any) -> dict[str, Any]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(graph_of(patient, answer, fail))
    found = patient.get_tuple(CONFIG)
    assert found is not None
    assert [channel for _, channel, _ in found.pending_writes or ()] == ["__error__"]
    assert one(fresh_dsn, ORPHANS) == 0


def test_what_the_database_refuses_is_an_error_of_the_run_and_nothing_comes_after_it(
    fresh_dsn: str, patient: BorealisSaver
) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as admin:
        admin.execute(
            "alter table borealis.memory_checkpoints"
            " add check (coalesce((metadata->>'step')::int, 0) <> 1)"
        )
    with pytest.raises(psycopg.errors.CheckViolation):
        ask(graph_of(patient, answer, answer))
    found = patient.get_tuple(CONFIG)
    assert found is not None
    assert found.metadata["step"] == 0  # as if each call had been made by itself
    assert found.pending_writes
    assert one(fresh_dsn, ORPHANS) == 0


def test_values_that_somebody_pruned_meanwhile_are_sent_again(
    fresh_dsn: str, patient: BorealisSaver
) -> None:
    graph = graph_of(patient, answer)
    graph.invoke({"messages": [HumanMessage("x" * 5000, id="1")]}, CONFIG)
    before = graph.get_state(CONFIG).values["messages"]

    def rob(_: Any) -> dict[str, Any]:
        with psycopg.connect(fresh_dsn, autocommit=True) as other:
            other.execute("delete from borealis.memory_chunks")
        return answer(_)

    graph_of(patient, rob).invoke({"messages": [HumanMessage("!")]}, CONFIG)
    after = graph.get_state(CONFIG).values["messages"]
    assert [m.content for m in after] == [*(m.content for m in before), "!", "yes"]


PROGRAM = textwrap.dedent(
    """
    import sys
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph
    from memory import BorealisSaver

    saver = BorealisSaver(sys.argv[1])
    builder = StateGraph(MessagesState)
    for number in range(3):
        builder.add_node(str(number), lambda _: {"messages": [AIMessage("x" * 300)]})
        builder.add_edge(str(number - 1) if number else START, str(number))
    graph = builder.compile(checkpointer=saver)
    turn = 0
    while True:
        graph.invoke({"messages": [("user", str(turn))]}, {"configurable": {"thread_id": "t"}})
        turn += 1
        print(turn, flush=True)
    """
)


@pytest.mark.parametrize("turns", [1, 4])
def test_a_process_killed_in_a_turn_leaves_what_it_was_told_is_there_and_no_orphans(
    fresh_dsn: str, saver: BorealisSaver, turns: int
) -> None:
    killed = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, fresh_dsn], stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    with killed.stdout:
        done = [killed.stdout.readline() for _ in range(turns)]
        killed.kill()
        done += killed.stdout.readlines()
    killed.wait()
    assert one(fresh_dsn, ORPHANS) == 0
    states = list(graph_of(saver, answer, answer, answer).get_state_history(CONFIG))
    # Each turn that ended is there with all its five checkpoints.
    whole = len(done)
    assert len([state for state in states if len(state.values.get("messages", ())) >= 1]) >= whole
    lengths = [len(state.values.get("messages", ())) for state in states]
    assert max(lengths) >= 4 * whole
    assert lengths == sorted(lengths, reverse=True)
    assert set(lengths) == set(range(max(lengths) + 1))
