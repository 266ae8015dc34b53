"""Calls that gather and are stopped, refused, closed, forked or late: nobody waits in vain."""

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from psycopg_pool import AsyncConnectionPool

from memory import BorealisSaver
from memory.encoding.encryption import AesGcm
from memory.encoding.serde import BorealisSerializer
from memory.errors import (
    ConfigurationError,
    CorruptedCheckpointError,
    OperationTimeoutError,
    SetupRequiredError,
)
from tests.memory.checkpoints.test_turns import CONFIG, LONG, ORPHANS, answer, graph_of, one
from tests.waiting import wait_until

WAIT = 30.0
"""Less than LONG: who waits for company that never comes has not returned by then."""


@pytest.fixture
def patient(saver: BorealisSaver) -> BorealisSaver:
    saver._writing._gathering._linger = LONG
    return saver


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(4)
    yield pool
    pool.shutdown(wait=False)


def of_a_run(checkpoint: str | None = None, thread: str = "t") -> Any:
    return {
        "configurable": {
            "thread_id": thread,
            "checkpoint_ns": "",
            "checkpoint_id": checkpoint,
            "__pregel_runtime": object(),
        }
    }


def a_checkpoint(name: str | None = None) -> Any:
    found: Any = {**empty_checkpoint(), "updated_channels": ["branch:to:x"]}
    return found if name is None else {**found, "id": name}


INPUT: Any = {"source": "input", "step": -1, "run_id": "r"}
CHECKPOINTS = "select count(*) from borealis.memory_checkpoints"
WRITES = "select count(*) from borealis.memory_writes"


def putting(
    others: ThreadPoolExecutor, saver: BorealisSaver, thread: str = "t"
) -> tuple[str, "Future[Any]"]:
    """A put of a run that waits for company."""
    name = str(uuid6())
    call = others.submit(saver.put, of_a_run(thread=thread), a_checkpoint(name), INPUT, {})
    wait_until(lambda: saver._writing._gathering.handed_in(thread, None))
    return name, call


def refuse(dsn: str, condition: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(f"alter table borealis.memory_checkpoints add check ({condition})".encode())


def test_a_child_is_not_stored_when_its_parents_transaction_has_failed(
    fresh_dsn: str, patient: BorealisSaver, others: ThreadPoolExecutor
) -> None:
    refuse(fresh_dsn, "(metadata->>'step')::int <> -1")
    name, call = putting(others, patient)
    with pytest.raises(psycopg.errors.CheckViolation):
        patient.put_writes(of_a_run(name), [("__interrupt__", "stop")], "task")
    assert isinstance(call.exception(WAIT), psycopg.errors.CheckViolation | None)
    child: Any = {"source": "loop", "step": 0}
    with pytest.raises(psycopg.errors.CheckViolation):
        patient.put(of_a_run(name), {**a_checkpoint(), "updated_channels": []}, child, {})
    with pytest.raises(psycopg.errors.CheckViolation):
        patient.put_writes(of_a_run(name), [("x", 1)], "task")
    assert one(fresh_dsn, CHECKPOINTS) == one(fresh_dsn, WRITES) == one(fresh_dsn, ORPHANS) == 0


@pytest.mark.parametrize("durability", ["async", "sync"])
@pytest.mark.parametrize("refused", [1, 2])
def test_a_run_tells_of_writes_that_are_refused_whichever_call_stores_them(
    fresh_dsn: str, saver: BorealisSaver, durability: Any, refused: int
) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as admin:
        admin.execute(
            """create table seen (id bytea);
            create function refuse() returns trigger language plpgsql as $$ begin
                insert into seen select new.checkpoint_id
                where not exists (select from seen where id = new.checkpoint_id);
                if (select count(*) from seen) >= """
            + str(refused)
            + """ then raise check_violation; end if;
                return new; end $$;
            create trigger refuse before insert on borealis.memory_writes
            for each row execute function refuse()"""
        )
    graph = graph_of(saver, answer, answer)
    with pytest.raises(psycopg.errors.CheckViolation):
        graph.invoke({"messages": [("user", "x")]}, CONFIG, durability=durability)
    assert one(fresh_dsn, ORPHANS) == 0
    assert saver._writing._gathering.handed_in(None, None) == []
    result = {"source": "loop", "step": 2}
    assert result not in [t.metadata for t in saver.list(CONFIG)]


def test_a_checkpoint_that_was_stored_although_its_answer_was_lost_has_children(
    fresh_dsn: str, saver: BorealisSaver
) -> None:
    config = saver.put(of_a_run(), a_checkpoint(), {"source": "loop", "step": 0}, {})
    name = config["configurable"]["checkpoint_id"]
    key = saver._writing._gathering
    (lost,) = [k for k in saver._writing.recent._recipes if k.checkpoint_id == name]
    key._lost[lost] = OperationTimeoutError("no answer")
    saver.put_writes(of_a_run(name), [("__interrupt__", 1)], "task")
    saver.put(of_a_run(name), a_checkpoint(), {"source": "loop", "step": 1}, {})
    assert one(fresh_dsn, CHECKPOINTS) == 2
    assert one(fresh_dsn, ORPHANS) == 0


async def test_what_a_cancelled_call_was_to_send_for_another_is_sent(
    fresh_dsn: str, asaver: BorealisSaver
) -> None:
    asaver._writing._gathering._linger = LONG
    name = str(uuid6())
    put = asyncio.ensure_future(asaver.aput(of_a_run(), a_checkpoint(name), INPUT, {}))
    writes = asyncio.ensure_future(asaver.aput_writes(of_a_run(name), [("x", 1)], "task"))
    await asyncio.wait_for(put, WAIT)  # as its writes wait for both
    writes.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writes
    assert one(fresh_dsn, CHECKPOINTS) == 1
    assert asaver._writing._gathering.handed_in(None, None) == []


async def test_what_can_not_be_sent_any_more_fails_and_nothing_is_put_on_it(
    fresh_dsn: str, asaver: BorealisSaver
) -> None:
    """The loop is gone under a call, as in `asyncio.run` of a program that is interrupted twice."""
    asaver._writing._gathering._linger = LONG
    name = str(uuid6())
    put = asyncio.ensure_future(asaver.aput(of_a_run(), a_checkpoint(name), INPUT, {}))
    driven = asaver._put_writes(of_a_run(name), {0: ("x", 1)}, "task", "")
    next(driven)
    await asyncio.wait_for(put, WAIT)
    driven.close()
    assert asaver._writing._gathering.handed_in(None, None) == []
    with pytest.raises(OperationTimeoutError, match="was not stored"):
        await asaver.aput_writes(of_a_run(name), [("x", 1)], "task")
    assert one(fresh_dsn, CHECKPOINTS) == one(fresh_dsn, WRITES) == 0


@pytest.mark.parametrize("asynchronously", [False, True])
async def test_closing_stores_what_waits(
    fresh_dsn: str, patient: BorealisSaver, others: ThreadPoolExecutor, asynchronously: bool
) -> None:
    _, call = putting(others, patient)
    if asynchronously:
        await patient.aclose()
    else:
        await asyncio.to_thread(patient.close)
    call.result(WAIT)
    assert one(fresh_dsn, CHECKPOINTS) == 1


def deleted(saver: BorealisSaver, name: str) -> None:
    assert saver.get_tuple({"configurable": {"thread_id": "t"}}) is None


def only_the_latest(saver: BorealisSaver, name: str) -> None:
    (found,) = saver.list({"configurable": {"thread_id": "t"}})
    assert found.checkpoint["id"] == name


def copied(saver: BorealisSaver, name: str) -> None:
    found = saver.get_tuple({"configurable": {"thread_id": "copy"}})
    assert found is not None
    assert found.checkpoint["id"] == name


@pytest.mark.parametrize("prefix", ["", "a"])
@pytest.mark.parametrize(
    ("method", "arguments", "so"),
    [
        ("delete_thread", ["t"], deleted),
        ("prune", [["t"]], only_the_latest),
        ("delete_for_runs", [["r"]], deleted),
        ("copy_thread", ["t", "copy"], copied),
    ],
    ids=["delete", "prune", "runs", "copy"],
)
async def test_what_was_put_before_is_removed_or_copied_too_and_does_not_come_back(
    patient: BorealisSaver,
    others: ThreadPoolExecutor,
    prefix: str,
    method: str,
    arguments: list[Any],
    so: Callable[[BorealisSaver, str], None],
) -> None:
    await asyncio.to_thread(
        patient.put, {"configurable": {"thread_id": "t"}}, a_checkpoint(), INPUT, {}
    )
    name, call = putting(others, patient)
    work = getattr(patient, prefix + method)
    await (work(*arguments) if prefix else asyncio.to_thread(work, *arguments))
    call.result(WAIT)
    await asyncio.to_thread(so, patient, name)


FORKING = textwrap.dedent(
    """
    import os, sys, threading
    from langgraph.checkpoint.base import empty_checkpoint
    from memory import BorealisSaver
    from memory.database import connections

    saver = BorealisSaver(sys.argv[1])
    writing = saver._writing
    writing._gathering._linger = 60.0
    mine = {"configurable": {"thread_id": "t"}}
    of_a_run = {"configurable": {"thread_id": "t", "__pregel_runtime": object()}}
    waiting = {**empty_checkpoint(), "updated_channels": ["branch:to:x"]}
    call = (of_a_run, waiting, {"source": "input", "step": -1}, {})
    parent = threading.Thread(target=saver.put, args=call, daemon=True)
    parent.start()
    while not writing._gathering.handed_in(None, None):
        pass
    held = [writing._gathering._lock, writing.recent._lock, connections._shared_lock]
    for lock in held:
        lock.__enter__()
    child = os.fork()
    if not child:
        assert saver.get_tuple(mine) is None  # what waits in the parent is the parent's
        saver.put(mine, empty_checkpoint(), {"source": "loop", "step": 0}, {})
        BorealisSaver(sys.argv[1]).close()
        print("stored", flush=True)
        os._exit(0)
    for lock in held:
        lock.__exit__(None, None, None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    saver.close()
    parent.join()
    """
)


def test_a_process_that_is_forked_while_others_hold_locks_and_wait_works_on(
    fresh_dsn: str, saver: BorealisSaver
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING, fresh_dsn],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("stored\n", 0), done.stderr
    assert one(fresh_dsn, CHECKPOINTS) == 2


SLOW = """
    create function slow() returns trigger language plpgsql as $$ begin
        perform pg_sleep(1);
        if new.metadata->>'step' = '2' then raise check_violation; end if;
        return new;
    end $$;
    create trigger slow before insert on borealis.memory_checkpoints
    for each row execute function slow()
"""


def test_what_is_tried_again_after_a_refusal_keeps_the_deadline_of_its_call(
    fresh_dsn: str, others: ThreadPoolExecutor
) -> None:
    with BorealisSaver(fresh_dsn, deadline=4) as saver:
        saver.setup()
        saver._writing._gathering._linger = LONG
        with psycopg.connect(fresh_dsn, autocommit=True) as admin:
            admin.execute(SLOW)
        # Three seconds together, and then one for each by itself.
        for step in range(2):
            others.submit(saver.put, of_a_run(), a_checkpoint(), {**INPUT, "step": step}, {})
        wait_until(lambda: len(saver._writing._gathering.handed_in("t", None)) == 2)
        last: Any = {"source": "loop", "step": 2}
        with pytest.raises(OperationTimeoutError):
            saver.put(of_a_run(), {**a_checkpoint(), "updated_channels": []}, last, {})


def test_a_call_that_has_less_time_than_those_it_sends_for_fails_by_itself_alone(
    fresh_dsn: str, patient: BorealisSaver, others: ThreadPoolExecutor
) -> None:
    name = str(uuid6())
    patient.put({"configurable": {"thread_id": "t"}}, a_checkpoint(name), INPUT, {})
    call = others.submit(patient.put_writes, of_a_run(name), [("x", 1)], "has time")
    wait_until(lambda: patient._writing._gathering.handed_in("t", None))
    with psycopg.connect(fresh_dsn) as blocker:
        blocker.execute("lock table borealis.memory_writes in access exclusive mode")
        patient._driver._deadline = 0.5
        with pytest.raises(OperationTimeoutError):
            patient.put_writes(of_a_run(name), [("__interrupt__", 1)], "has none")
        assert not call.done()
    call.result(WAIT)
    found = patient.get_tuple({"configurable": {"thread_id": "t"}})
    assert found is not None
    assert ("has time", "x", 1) in (found.pending_writes or ())


def test_a_reader_that_has_no_time_left_fails_none_of_what_it_was_to_store_first(
    fresh_dsn: str, patient: BorealisSaver, others: ThreadPoolExecutor
) -> None:
    name, call = putting(others, patient)
    with psycopg.connect(fresh_dsn) as blocker:
        blocker.execute("lock table borealis.memory_checkpoints in access exclusive mode")
        patient._driver._deadline = 0.5
        with pytest.raises(OperationTimeoutError):
            patient.get_tuple({"configurable": {"thread_id": "t"}})
        assert not call.done()
    assert call.result(WAIT)["configurable"]["checkpoint_id"] == name
    assert one(fresh_dsn, CHECKPOINTS) == 1


def test_delta_channels_of_two_puts_at_once_are_both_known(
    patient: BorealisSaver, others: ThreadPoolExecutor
) -> None:
    class Meanwhile(dict[str, Any]):
        """Metadata that lets another call through just when its delta channels are looked at."""

        def get(self, name: str, default: Any = None) -> Any:
            if name == "counters_since_delta_snapshot":
                patient.put({"configurable": {"thread_id": "other"}}, a_checkpoint(), other, {})
            return super().get(name, default)

    other: Any = {**INPUT, "counters_since_delta_snapshot": {"theirs": [1, 1]}}
    ours = {**INPUT, "counters_since_delta_snapshot": {"ours": [1, 1]}}
    name = str(uuid6())
    config: Any = {"configurable": {"thread_id": "t"}}
    patient.put(config, a_checkpoint(name), Meanwhile(ours), {})  # type: ignore[arg-type]
    for channel in ("ours", "theirs"):  # LangGraph wants these stored before its next put
        writes = others.submit(patient.put_writes, of_a_run(name), [(channel, 1)], channel)
        writes.result(WAIT)


async def test_a_synchronous_call_over_an_asynchronous_pool_fails_by_itself_alone(
    fresh_dsn: str, saver: BorealisSaver
) -> None:
    async with AsyncConnectionPool(fresh_dsn, kwargs={"autocommit": True}, open=False) as pool:
        other = BorealisSaver(pool)
        other._writing._gathering._linger = LONG
        put = asyncio.ensure_future(other.aput(of_a_run(), a_checkpoint(), INPUT, {}))
        waits = partial(other._writing._gathering.handed_in, None, None)
        await asyncio.to_thread(wait_until, waits)
        with pytest.raises(ConfigurationError, match="only its asynchronous methods work"):
            other.get_tuple({"configurable": {"thread_id": "t"}})
        other.close()
        assert not put.done()
        await other.aclose()
        await put
    assert one(fresh_dsn, CHECKPOINTS) == 1


class Broken(AesGcm):
    """A cipher of somebody's, with errors of its own."""

    broken = False

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        if self.broken:
            raise KeyError(ciphername)
        return super().decrypt(ciphername, ciphertext)


def test_what_a_cipher_raises_is_an_error_of_this_package(fresh_dsn: str) -> None:
    cipher = Broken(bytes(32))
    serde = EncryptedSerializer(cipher, BorealisSerializer())
    with BorealisSaver(fresh_dsn, serde=serde) as saver:
        saver.setup()
        config: Any = {"configurable": {"thread_id": "t"}}
        saver.put(config, a_checkpoint(), INPUT, {})
        cipher.broken = True
        with pytest.raises(CorruptedCheckpointError, match="KeyError"):
            saver.get_tuple(config)
        assert list(saver.list(config)) == []


class Branching:
    """A cluster, and a runtime whose branches are of no use; it may be slow to make them."""

    id = "cluster-x"

    def __init__(self, dsn: str, branch: Any) -> None:
        self._dsn, self._branch = dsn, branch
        self.begun, self.go_on, self.made = (threading.Event() for _ in range(3))
        self.go_on.set()
        self.there: set[str] = set()

    def dsn(self) -> str:
        return self._dsn

    def restore_db_cluster_to_point_in_time(self, name: str, *_: Any, **__: Any) -> Any:
        self.begun.set()
        self.go_on.wait(WAIT)
        self.there.add(name)
        self.made.set()
        return self._branch

    def delete_db_cluster(self, name: str) -> None:
        self.there.remove(name)


@pytest.mark.parametrize("branch", [None, "elsewhere"], ids=["no source", "another database"])
async def test_a_fork_that_fails_half_way_leaves_no_branch(
    fresh_dsn: str, server_dsn: str, branch: str | None
) -> None:
    runtime = Branching(fresh_dsn, server_dsn if branch else None)
    config: Any = {"configurable": {"thread_id": "t"}}
    async with BorealisSaver(runtime) as saver:
        await saver.asetup()
        await saver.aput(config, a_checkpoint(), INPUT, {})
        for fork in (saver.afork_thread, lambda *a: asyncio.to_thread(saver.fork_thread, *a)):
            with pytest.raises((ConfigurationError, SetupRequiredError)):
                await fork(config, runtime, "branch")
            assert runtime.there == set()


@pytest.mark.parametrize("times", [1, 3])
async def test_a_fork_that_is_cancelled_while_its_branch_is_made_leaves_none(
    fresh_dsn: str, times: int
) -> None:
    runtime = Branching(fresh_dsn, None)
    runtime.go_on.clear()
    config: Any = {"configurable": {"thread_id": "t"}}
    async with BorealisSaver(runtime) as saver:
        await saver.asetup()
        await saver.aput(config, a_checkpoint(), INPUT, {})
        fork = asyncio.ensure_future(saver.afork_thread(config, runtime, "branch"))
        await asyncio.to_thread(runtime.begun.wait, WAIT)
        for _ in range(times):
            fork.cancel()
            await asyncio.sleep(0)
        runtime.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await fork
        await asyncio.to_thread(runtime.made.wait, WAIT)
    assert runtime.there == set()
