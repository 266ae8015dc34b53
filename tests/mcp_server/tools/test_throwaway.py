"""Throw-away branches: what they tell is what the call did, and none stays behind."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from mcp import Client

from cluster_runtime import ClusterHandle, Runtime, Tag
from cluster_runtime.api.client.transport import EndpointUnreachableError
from mcp_server import sessions
from mcp_server.server import build_server
from mcp_server.toolkit import throwaway
from mcp_server.toolkit.throwaway import PREFIX, TAG, Moment, is_left_behind
from mcp_server.tools import changes
from tests.mcp_server.conftest import Tools
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def busy(runtime: Runtime) -> Iterator[ClusterHandle]:
    cluster = runtime.create_db_cluster("busy")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(
            "create table t (id int primary key, n int); create table other (id int);"
            "insert into t select n, 0 from generate_series(1, 10) n"
        )
    yield cluster
    runtime.delete_db_cluster("busy")


@pytest.fixture
def branches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources of the branches that calls make."""
    made: list[str] = []
    original = throwaway.throwaway

    def counted(call: Any, cluster: Any, seconds: float) -> Any:
        made.append(cluster.identifier)
        return original(call, cluster, seconds)

    monkeypatch.setattr(throwaway, "throwaway", counted)
    return made


WRITE = "update t set n = n + 1 where id = 1"
ROW = ["changed", ["1", "0"], ["1", "1"]]


async def test_a_quiet_cluster_is_branched_once(
    careful: Tools, busy: ClusterHandle, branches: list[str]
) -> None:
    seen = await careful("preview_write", cluster="busy", sql=WRITE)
    assert [each["name"] for each in seen["tables"]] == ["public.t"]
    assert seen["tables"][0]["rows"] == [ROW]
    assert branches == ["busy"]


HANGS_SECONDS = 90
"""A call that waits for itself never ends; a slow one does."""


@pytest.mark.parametrize("tool", ["preview_write", "apply_migration"])
async def test_a_call_never_waits_for_a_place_while_it_has_one(
    careful: Tools, busy: ClusterHandle, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    monkeypatch.setattr(sessions, "CONNECTIONS", anyio.Semaphore(1))
    named = {"name": "alone"} if tool == "apply_migration" else {}
    with anyio.fail_after(HANGS_SECONDS):
        await careful(tool, cluster="busy", sql=WRITE, **named)
    with busy.connect(autocommit=True) as connection:
        connection.execute("update t set n = 0")


@pytest.mark.parametrize("when", ["before the write", "before the diff"])
async def test_what_others_write_meanwhile_is_not_told_as_the_calls_own(
    careful: Tools,
    busy: ClusterHandle,
    branches: list[str],
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    run = changes._run
    left = ["once"]

    def others_write() -> None:
        if left:
            left.pop()
            with busy.connect(autocommit=True) as connection:
                connection.execute(
                    "update t set n = n where id = 1; update t set n = 7 where id = 9;"
                    "insert into other values (1); create table theirs ()"
                )

    async def disturbed(branch: Any, *arguments: Any) -> Any:
        if when == "before the write":
            others_write()
        done = await run(branch, *arguments)
        others_write()
        return done

    monkeypatch.setattr(changes, "_run", disturbed)
    try:
        seen = await careful("preview_write", cluster="busy", sql=WRITE)
    finally:
        with busy.connect(autocommit=True) as connection:
            connection.execute("update t set n = 0; truncate other; drop table theirs")
    assert [each["name"] for each in seen["tables"]] == ["public.t"]
    assert seen["tables"][0]["rows"] == [ROW]
    assert seen["rows_touched"] == [1]
    assert branches[:2] == ["busy", "busy"]
    assert branches[2].startswith(PREFIX)


async def test_a_migration_tells_its_own_changes_while_a_transaction_is_open(
    careful: Tools, busy: ClusterHandle
) -> None:
    with busy.connect() as connection:
        connection.execute("create table unfinished ()")
        done = await careful(
            "apply_migration", cluster="busy", name="1", sql="create table mine (x int)"
        )
        connection.commit()
    assert "mine" in done["text"]
    assert "unfinished" not in done["text"]


class Hindered:
    """A control plane whose deletions wait, or fail as where their host has just ended."""

    def __init__(self, plane: Runtime) -> None:
        self.may, self.fails = threading.Event(), False
        self._plane = plane

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plane, name)

    def delete_db_cluster(self, identifier: str, **options: Any) -> Any:
        if self.fails:
            raise EndpointUnreachableError("no answer; is its host running?", sent=True)
        self.may.wait()
        return self._plane.delete_db_cluster(identifier, **options)


def left_of(runtime: Runtime) -> list[str]:
    """The throw-away branches that there are."""
    names = [each.db_cluster_identifier for each in runtime.describe_db_clusters()]
    return [each for each in names if each.startswith(PREFIX)]


async def test_no_answer_waits_until_its_branch_is_deleted(
    runtime: Runtime, busy: ClusterHandle
) -> None:
    plane: Any = Hindered(runtime)
    with anyio.fail_after(HANGS_SECONDS):
        async with Client(build_server(plane)) as client:
            try:
                call = {"cluster": "busy", "sql": WRITE}
                answer = await client.call_tool("preview_write", call)
                assert not answer.is_error, answer.content
                assert len(left_of(runtime)) == 1
            finally:
                plane.may.set()
    assert not left_of(runtime)  # the end of a server waits for it


async def test_a_branch_whose_deletion_failed_is_removed_by_the_next_server(
    runtime: Runtime, busy: ClusterHandle
) -> None:
    plane: Any = Hindered(runtime)
    plane.fails = True
    seen = await Tools(build_server(plane))("preview_write", cluster="busy", sql=WRITE)
    assert seen["rows_touched"] == [1]
    assert len(left_of(runtime)) == 1
    async with Client(build_server(runtime)) as client:
        await client.list_tools()
        await anyio.to_thread.run_sync(wait_until, lambda: not left_of(runtime))


async def test_what_a_killed_server_left_is_removed_by_the_next_one(
    careful: Tools, runtime: Runtime, busy: ClusterHandle
) -> None:
    def left(name: str, until: float, key: str = TAG) -> str:
        runtime.restore_db_cluster_to_point_in_time(
            name,
            "busy",
            restore_type="copy-on-write",
            use_latest_restorable_time=True,
            tags=(Tag(key, str(int(until))),),
        )
        return name

    now = time.time()
    gone = left(f"{PREFIX}gone", now - 5)
    kept = {
        left(f"{PREFIX}used", now + 3600),
        left("mine-alone", now - 5),
        left(f"{PREFIX}other", now - 5, "team"),
    }

    def names() -> set[str]:
        return {each.db_cluster_identifier for each in runtime.describe_db_clusters()}

    async with Client(careful.server) as client:
        await client.list_tools()
        await anyio.to_thread.run_sync(wait_until, lambda: gone not in names())
    assert kept <= names()
    for each in kept:
        runtime.delete_db_cluster(each)


@pytest.mark.parametrize(
    ("name", "until", "left"),
    [
        ("preview-1", "5", True),
        ("preview-1", "99999999999", False),
        ("preview-1", "", False),
        ("preview-1", "soon", False),
        ("preview-1", "-5", False),
        ("preview-1", "\u00b2", False),  # a digit to Python, and no number
        ("mine", "5", False),
    ],
)
def test_only_a_branch_whose_time_is_over_is_left_behind(name: str, until: str, left: bool) -> None:
    cluster: Any = SimpleNamespace(db_cluster_identifier=name, tag_list=(Tag(TAG, until),))
    assert is_left_behind(cluster) is left


def test_whether_anybody_has_written_is_read_from_a_snapshot() -> None:
    assert Moment.of("750:750:") == Moment(750, ran_out=True)
    assert Moment.of("748:750:748,749") == Moment(750, ran_out=False)
