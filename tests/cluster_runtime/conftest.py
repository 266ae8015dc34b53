"""Runtimes for tests: a state directory that PostgreSQL's user can reach, no warm pool."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.storage.core.policy.coalescing import Politeness
from cluster_runtime.storage.upkeep.images import pages
from tests.places import SpentFolders, reachable_folder


@pytest.fixture
def state_dir(engine_dir: Path) -> Path:
    return engine_dir / "state"


@pytest.fixture
def runtime(state_dir: Path) -> Iterator[Runtime]:
    with Runtime.open(state_dir, warm_pool_size=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_runtime(folders_in: Path, spent_folders: SpentFolders) -> Iterator[Runtime]:
    """One runtime for the tests of a module that only need clusters of their own."""
    folder = reachable_folder(folders_in)
    with Runtime.open(folder / "state", warm_pool_size=0) as opened:
        yield opened
    spent_folders.append(folder)


@pytest.fixture
def nothing_runs_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """The clusters that a test makes in its module's runtime go with it.

    One that is left awake is verified and coalesced under the tests that follow, and each of its
    processes takes its part of the machine from them.
    """
    if "shared_runtime" not in request.fixturenames:
        yield
        return
    runtime: Runtime = request.getfixturevalue("shared_runtime")

    def names() -> set[str]:
        return {each.db_cluster_identifier for each in runtime.describe_db_clusters()}

    before = names()
    yield
    for name in names() - before:
        runtime.delete_db_cluster(name)


@pytest.fixture
def impolite_coalescing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes its turn at once: tests that run beside others leave no idle time to it."""
    monkeypatch.setattr(pages, "politeness", lambda *_: Politeness.NONE)


@pytest.fixture
def cluster(runtime: Runtime) -> ClusterHandle:
    return runtime.create_db_cluster("notes")


def connect_with_password(
    cluster: ClusterHandle, user: str, password: str, dbname: str = "postgres"
) -> psycopg.Connection[Any]:
    """What a client does that knows the port and a password, and no token."""
    return psycopg.connect(
        host="127.0.0.1",
        port=cluster.describe().port,
        user=user,
        password=password,
        dbname=dbname,
        sslmode="require",
    )
