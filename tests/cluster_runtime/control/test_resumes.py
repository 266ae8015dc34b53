"""A resume that fails: the client hears 57P03 and what helps, the next connect tries again, and
the cluster's events say why. A data directory that is damaged is no reason to fail.
"""

import asyncio
import errno
import json
import os
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.servers.postgres import DAMAGED
from cluster_runtime.gateway import session
from cluster_runtime.storage.upkeep import data_directories
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("rows")


@pytest.fixture
def cluster(shared_runtime: Runtime, request: pytest.FixtureRequest) -> ClusterHandle:
    name = f"c{abs(hash(request.node.name)) % 10**9}"
    return shared_runtime.create_db_cluster(name)


@pytest.fixture
def rows(shared_runtime: Runtime, cluster: ClusterHandle) -> None:
    """A paused cluster with a row in it."""
    with cluster.connect() as conn:
        conn.execute("create table t as select 42 as x")
    shared_runtime.pause_db_cluster(cluster.id)


def row_of(cluster: ClusterHandle) -> Any:
    with cluster.connect() as conn:
        return conn.execute("select x from t").fetchone()


def refusal_of(cluster: ClusterHandle) -> asyncpg.PostgresError:
    """How a client is refused, which speaks TLS and tells a hint from a text."""
    facts = conninfo_to_dict(cluster.dsn())
    context = ssl.create_default_context(cafile=str(facts["sslrootcert"]))

    async def connect() -> None:
        connection = await asyncpg.connect(
            host="localhost",
            port=cluster.describe().port,
            user=facts["user"],
            password=facts["password"],
            database=facts["dbname"],
            ssl=context,
            server_settings={},
        )
        await connection.close()

    context.check_hostname = False  # it is certified for its own name
    with pytest.raises(asyncpg.PostgresError) as caught:
        asyncio.run(connect())
    return caught.value


def directory_of(runtime: Runtime, cluster: ClusterHandle) -> Path:
    return runtime._home.service.find(cluster.id).directory


def failures(runtime: Runtime, cluster: ClusterHandle) -> list[str]:
    return [
        each.message
        for each in runtime.describe_events(cluster.id)
        if each.event_categories == ("failure",)
    ]


def test_a_damaged_volume_is_said_and_healed_it_wakes_at_the_next_connect(
    shared_runtime: Runtime, cluster: ClusterHandle
) -> None:
    volume = directory_of(shared_runtime, cluster) / "volume"
    gone = [volume / "az-a" / "a1", volume / "az-a" / "a2", volume / "az-b" / "b1",
            volume / "az-b" / "b2"]  # fmt: skip
    for segment in gone:
        segment.rename(segment.with_suffix(".away"))
    for _ in range(3):
        refused = refusal_of(cluster)
        assert refused.sqlstate == "57P03"
        assert "too few segments" in refused.message
        assert "The next connect tries again." in (refused.hint or "")
        writer = shared_runtime._home.service.find(cluster.id).writer
        assert writer.socket is None, "the server that was started meanwhile is ended"
    told = wait_until(lambda: failures(shared_runtime, cluster))
    assert len(told) == 1, "tries that fail alike are one event"
    assert "could not be resumed" in told[0]
    for segment in gone:
        segment.with_suffix(".away").rename(segment)
    assert row_of(cluster) == (42,)
    messages = [each.message for each in shared_runtime.describe_events(cluster.id)]
    assert wait_until(
        lambda: (
            "The DB cluster is resumed."
            in [each.message for each in shared_runtime.describe_events(cluster.id)]
        )
    ), messages


@pytest.mark.parametrize("at_first", ["copying", "writing"])
def test_a_full_disk_is_said_and_with_space_it_wakes_at_the_next_connect(
    shared_runtime: Runtime,
    cluster: ClusterHandle,
    monkeypatch: pytest.MonkeyPatch,
    at_first: str,
) -> None:
    data = directory_of(shared_runtime, cluster) / "data"
    (data / "borealis.volume").unlink()  # so that it is made again

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        what = "copy_tree" if at_first == "copying" else "write_wal"
        patched.setattr(data_directories, what, full)
        refused = refusal_of(cluster)
        assert not data.exists(), "what is half made takes no space"
        assert shared_runtime._home.service.find(cluster.id).instances.storage.opened is None
    assert refused.sqlstate == "57P03"
    assert "disk of its host is full" in refused.message
    assert (refused.hint or "").startswith("Free space")
    assert any("space" in each for each in wait_until(lambda: failures(shared_runtime, cluster)))
    assert row_of(cluster) == (42,)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def removed(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("global/pg_control", cut_short),
        ("global/pg_control", garbage),
        ("global/pg_control", removed),
        ("global/pg_filenode.map", garbage),
        ("PG_VERSION", a_folder),
        ("postgresql.conf", garbage),
    ],
)
def test_a_damaged_data_directory_is_made_again_from_the_volume(
    shared_runtime: Runtime,
    cluster: ClusterHandle,
    file: str,
    damage: Callable[[Path], None],
) -> None:
    damage(directory_of(shared_runtime, cluster) / "data" / file)
    assert row_of(cluster) == (42,)
    assert wait_until(lambda: DAMAGED in failures(shared_runtime, cluster))
    shared_runtime.pause_db_cluster(cluster.id)
    assert row_of(cluster) == (42,)
    assert failures(shared_runtime, cluster).count(DAMAGED) == 1


def test_a_directory_that_its_volume_does_not_trust_is_made_again_without_a_word(
    shared_runtime: Runtime, cluster: ClusterHandle
) -> None:
    """A server is started over it while the volume is opened, which knows better."""
    claim = directory_of(shared_runtime, cluster) / "data" / "borealis.volume"
    said = json.loads(claim.read_text())
    assert said["stopped_at"] is not None
    claim.write_text(json.dumps({**said, "stopped_at": said["stopped_at"] - 8}))
    assert row_of(cluster) == (42,)
    assert failures(shared_runtime, cluster) == []
    with cluster.connect() as conn:
        conn.execute("insert into t values (43)")
    shared_runtime.pause_db_cluster(cluster.id)
    with cluster.connect() as conn:
        assert conn.execute("select sum(x) from t").fetchone() == (85,)


def test_many_who_connect_to_a_cluster_that_does_not_wake_hear_it_all(
    shared_runtime: Runtime, cluster: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    writer = shared_runtime._home.service.find(cluster.id).instances.writer_server

    def fails() -> None:
        tries.append(1)
        raise OSError(errno.EIO, "the disk is dead")

    dsn = cluster.dsn()

    async def all_at_once() -> list[BaseException | Any]:
        connects = (psycopg.AsyncConnection.connect(dsn) for _ in range(20))
        return await asyncio.gather(*connects, return_exceptions=True)

    with monkeypatch.context() as patched:
        patched.setattr(writer, "start", fails)
        answers = asyncio.run(all_at_once())
    assert all(isinstance(each, psycopg.OperationalError) for each in answers)
    assert all("could not be started" in str(each) for each in answers)
    assert 1 <= len(tries) <= 20
    assert row_of(cluster) == (42,)


def test_of_many_who_wait_for_a_resume_one_enters_the_database_first(
    cluster: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes the caches that PostgreSQL removes at a start, and the others find them."""
    seen: list[str] = []
    enter = session.open_server

    async def watched(*arguments: Any) -> Any:
        seen.append("enters")
        try:
            return await enter(*arguments)
        finally:
            seen.append("is through")

    monkeypatch.setattr(session, "open_server", watched)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: row_of(cluster), range(8))) == [(42,)] * 8
    assert seen[:2] == ["enters", "is through"]
    assert seen.count("enters") == 8
