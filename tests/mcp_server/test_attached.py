"""The tests of the tools once more, over a runtime that another process hosts.

Everything below that begins with `test_` is that of the modules it comes from; only the runtime
under it is another one. The longer half is in `test_attached_at_length`.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.server import build_server
from mcp_server.tools import ServerScope
from tests.hosts import host_of
from tests.mcp_server.conftest import SHOP, Tools
from tests.mcp_server.tools.test_clusters import *  # noqa: F403


@pytest.fixture(scope="module")
def directory(state_dir: Path) -> Path:
    """One that no earlier visit of this worker to this file has used."""
    return state_dir / f"attached-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def runtime(directory: Path) -> Iterator[Runtime]:
    with Runtime.open(directory, host="daemon", warm_pool_size=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def shop(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("shop")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(SHOP)
    return cluster


@pytest.fixture(scope="module")
def bench(runtime: Runtime) -> ClusterHandle:
    return runtime.create_db_cluster("bench")


@pytest.fixture(scope="module")
def tools(runtime: Runtime) -> Tools:
    return Tools(build_server(runtime, ServerScope(allow_destructive=True)))


@pytest.fixture(scope="module")
def shop_reader(runtime: Runtime, shop: ClusterHandle) -> Tools:
    return Tools(build_server(runtime, ServerScope(cluster="shop", read_only=True)))


@pytest.mark.usefixtures("runtime")
def test_it_is_another_process_that_hosts(directory: Path) -> None:
    host = host_of(directory)
    assert host is not None
    assert "cluster_runtime.host" in host.cmdline()
