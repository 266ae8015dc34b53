"""A conversation forked with its database: both as they were when a checkpoint was stored."""

import asyncio
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.base.id import uuid6
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from cluster_runtime import AsyncRuntime, ClusterHandle, Runtime
from cluster_runtime.errors import InvalidParameterError, InvalidRestoreError
from memory import BorealisSaver
from memory.errors import ConfigurationError, ThreadTransferError
from tests.memory.test_docs import EXAMPLES

THREAD: Any = {"configurable": {"thread_id": "t"}}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with Runtime.open(tmp_path_factory.mktemp("state"), warm_pool_size=0) as opened:
        yield opened


def tick(runtime: Runtime, cluster: ClusterHandle) -> None:
    """From here on it can be gone back to."""
    runtime.create_restore_point(cluster.id, "tick")
    runtime.delete_restore_point(cluster.id, "tick")


def made(runtime: Runtime, name: str) -> ClusterHandle:
    cluster = runtime.create_db_cluster(name, master_username="boss")
    with cluster.connect() as connection:
        connection.execute("create table orders (step int)")
    tick(runtime, cluster)
    return cluster


class State(TypedDict):
    n: int


def ordering(saver: BorealisSaver, cluster: ClusterHandle, steps: int) -> Any:
    """A graph of which every step writes into a table of the cluster."""

    def order(state: State) -> State:
        with cluster.connect() as connection:
            connection.execute("insert into orders values (%s)", (state["n"],))
        return {"n": state["n"] + 1}

    builder = StateGraph(State)
    builder.add_node("order", order)
    builder.add_edge(START, "order")
    builder.add_conditional_edges("order", lambda s: END if s["n"] >= steps else "order")
    return builder.compile(checkpointer=saver)


def orders(cluster: ClusterHandle) -> list[int]:
    with cluster.connect() as connection:
        return [n for (n,) in connection.execute("select step from orders order by step")]


def test_a_thread_is_forked_at_a_checkpoint_with_the_tables_of_that_moment(
    runtime: Runtime,
) -> None:
    shop = made(runtime, "shop")
    with BorealisSaver(shop, ttl=600) as saver:
        saver.setup()
        graph = ordering(saver, shop, 6)
        graph.invoke({"n": 0}, THREAD, durability="sync")
        history = list(graph.get_state_history(THREAD))
        assert orders(shop) == [0, 1, 2, 3, 4, 5]
        for at in (2, 5):
            (chosen,) = [each for each in history if each.values.get("n") == at]
            fork = saver.fork_thread(chosen.config, runtime, f"try-{at}")
            # What was ordered before the checkpoint was stored, and nothing that came after.
            assert orders(fork.cluster) == list(range(at))
            again = ordering(fork.saver, fork.cluster, 6)
            assert again.get_state(THREAD).config == chosen.config == fork.config
            assert [(each.config, each.values) for each in again.get_state_history(THREAD)] == [
                (each.config, each.values) for each in history if each.values.get("n", 0) <= at
            ]
            assert again.invoke(None, THREAD)["n"] == 6
            assert orders(fork.cluster) == [0, 1, 2, 3, 4, 5]
            assert fork.cluster.describe().branch_of == shop.id
            fork.saver.close()
        assert list(graph.get_state_history(THREAD)) == history
        latest = saver.fork_thread(THREAD, runtime, "now")
        assert latest.config == history[0].config
        latest.saver.close()


async def test_both_answers_to_a_question_are_tried_each_with_a_database_of_its_own(
    runtime: Runtime,
) -> None:
    """An interrupted step is undone with what it wrote before it asked, and runs again."""
    shop = made(runtime, "asking")

    def graph(saver: BorealisSaver, cluster: ClusterHandle) -> Any:
        def note(said: str) -> None:
            with cluster.connect() as connection:
                connection.execute("insert into said values (%s)", (said,))

        def ask(state: State) -> State:
            note("asked")
            note(interrupt("really?"))
            return {"n": 1}

        builder = StateGraph(State)
        builder.add_node("ask", ask)
        builder.add_edge(START, "ask")
        return builder.compile(checkpointer=saver)

    def said(cluster: ClusterHandle) -> list[str]:
        with cluster.connect() as connection:
            return [said for (said,) in connection.execute("select said from said")]

    with shop.connect() as connection:
        connection.execute("create table said (said text)")
    async with BorealisSaver(shop) as saver:
        await saver.asetup()
        await graph(saver, shop).ainvoke({"n": 0}, THREAD, durability="sync")
        for answer in ("yes", "no"):
            fork = await saver.afork_thread(THREAD, AsyncRuntime(runtime._home), answer)
            await graph(fork.saver, fork.cluster).ainvoke(Command(resume=answer), THREAD)
            assert said(fork.cluster) == ["asked", answer]
            await fork.saver.aclose()
    assert said(shop) == ["asked"]


def test_a_thread_whose_time_to_live_has_passed_since_then_lives_on_its_branch(
    runtime: Runtime,
) -> None:
    shop = made(runtime, "expiring")
    with BorealisSaver(shop, ttl=60) as saver:
        saver.setup()
        graph = ordering(saver, shop, 1)
        with shop.connect(autocommit=True) as connection:
            graph.invoke({"n": 0}, THREAD)
            at = "update borealis.memory_threads set expires_at = now() + interval '%s'"
            connection.execute((at % "1 second").encode())
            latest = saver.get_tuple(THREAD)
            assert latest is not None
            with BorealisSaver(shop) as plain:  # which renews nothing
                plain.put(THREAD, {**latest.checkpoint, "id": str(uuid6())}, {}, {})
            connection.execute("select pg_sleep(1.1)")
            connection.execute((at % "1 hour").encode())
        fork = saver.fork_thread(THREAD, runtime, "lives-on")
        found = fork.saver.get_tuple(THREAD)
        assert found is not None
        assert found.checkpoint["channel_values"]["n"] == 1
        fork.saver.close()


def test_the_example_of_the_documentation(runtime: Runtime, capsys: Any) -> None:
    (example,) = [each for each in EXAMPLES if "fork_thread" in each]
    shop = made(runtime, "documented")
    with BorealisSaver(shop) as saver:
        saver.setup()
        graph = ordering(saver, shop, 1)
        graph.invoke({"n": 0}, {"configurable": {"thread_id": "1"}}, durability="sync")
        names = {"graph": graph, "builder": graph.builder, "saver": saver, "runtime": runtime}
        exec(example, names)
    assert capsys.readouterr().out == "(0,)\n"
    assert orders(shop) == [0, 0]  # the node of this graph writes into the one that it knows


def test_what_cannot_be_forked_is_refused_and_leaves_no_branch(runtime: Runtime) -> None:
    shop = made(runtime, "refusing")
    with BorealisSaver(shop) as saver:
        saver.setup()
        ordering(saver, shop, 2).invoke({"n": 0}, THREAD)
        with pytest.raises(ThreadTransferError, match="thread 'nobody' has no checkpoint"):
            saver.fork_thread({"configurable": {"thread_id": "nobody"}}, runtime, "branch")
        missing: Any = {"configurable": {"thread_id": "t", "checkpoint_id": "nothing"}}
        with pytest.raises(ThreadTransferError, match="no checkpoint nothing"):
            saver.fork_thread(missing, runtime, "branch")
        with pytest.raises(ConfigurationError, match="made from a cluster"):
            BorealisSaver(shop.dsn()).fork_thread(THREAD, runtime, "branch")
        history = list(saver.list(THREAD))
        # Stored again by somebody when its children were there.
        found = history[-1]
        saver.put({"configurable": {"thread_id": "t"}}, found.checkpoint, found.metadata, {})
        with pytest.raises(ThreadTransferError, match="was stored together"):
            saver.fork_thread(found.config, runtime, "branch")
    assert [each.db_cluster_identifier for each in runtime.describe_db_clusters()].count(
        "branch"
    ) == 0


def test_a_cluster_goes_back_to_the_commit_of_a_transaction(runtime: Runtime) -> None:
    """Also of a subtransaction, and with either kind of number; never to one that is not there."""
    source = made(runtime, "numbers")
    ids: list[tuple[int, int]] = []
    with source.connect(autocommit=True) as connection:
        for number in range(30):
            with connection.transaction(), connection.transaction():
                connection.execute("insert into orders values (%s)", (number,))
            row = connection.execute(
                "select xmin::text::bigint from orders where step = %s", (number,)
            ).fetchone()
            assert row is not None
            ids.append((number, row[0]))
            if number % 7 == 0:
                tick(runtime, source)
        epoch = connection.execute("select pg_current_xact_id()::text::bigint").fetchone()
        assert epoch is not None
    for number, xid in (ids[3], ids[29]):
        name = f"back-{number}"
        back = runtime.restore_db_cluster_to_point_in_time(
            name, "numbers", restore_to_transaction=xid + (5 << 32)
        )
        assert orders(back) == list(range(number + 1))
        assert back.describe().branch_of == ""
    for wrong in (epoch[0] + 1000, 3):
        with pytest.raises(InvalidRestoreError, match="no commit of a transaction"):
            runtime.restore_db_cluster_to_point_in_time(
                "not", "numbers", restore_to_transaction=wrong
            )
    for given in (
        {"restore_to_transaction": 2},
        {"restore_to_transaction": 5, "use_latest_restorable_time": True},
        {"restore_to_transaction": 5, "backup_location": "/nowhere"},
    ):
        with pytest.raises(InvalidParameterError):
            runtime.restore_db_cluster_to_point_in_time("not", "numbers", **given)  # type: ignore[arg-type]


class OneDatabase:
    """A cluster, all of whose branches are one database."""

    id = "cluster-of-one-database"

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def dsn(self, endpoint: str = "writer") -> str:
        return self._dsn


class Branching:
    """A runtime that takes its time for a branch. deleted: what was deleted."""

    def __init__(self, cluster: OneDatabase) -> None:
        self._cluster = cluster
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.deleted: list[str] = []

    async def restore_db_cluster_to_point_in_time(self, *_: Any, **__: Any) -> OneDatabase:
        self.begun.set()
        await self.go_on.wait()
        return self._cluster

    async def delete_db_cluster(self, db_cluster_identifier: str) -> None:
        self.deleted.append(db_cluster_identifier)


async def test_a_fork_that_is_cancelled_again_and_again_leaves_no_branch(fresh_dsn: str) -> None:
    cluster = OneDatabase(fresh_dsn)
    saver = BorealisSaver(cluster)
    await saver.setup()
    builder: Any = StateGraph(MessagesState).add_node(
        "reply", lambda _: {"messages": [("ai", "yes")]}
    )
    graph = builder.add_edge(START, "reply").compile(checkpointer=saver)
    thread: Any = {"configurable": {"thread_id": "1"}}
    await graph.ainvoke({"messages": [("user", "really?")]}, thread)
    runtime = Branching(cluster)
    forking = asyncio.create_task(saver.afork_thread(thread, runtime, "branch"))
    await runtime.begun.wait()
    for _ in range(3):
        forking.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    runtime.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await forking
    assert runtime.deleted == ["branch"]
    await saver.aclose()
