"""A state directory of the last release opens with all its rows; that release refuses it then."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_runtime import Runtime
from tests import previous_release
from tests.places import reachable_folder

MAKE = """
import sys
from cluster_runtime import Runtime

with Runtime.open(sys.argv[1], warm_pool_size=0) as runtime:
    for name in ("awake", "paused"):
        with runtime.create_db_cluster(name).connect(autocommit=True) as conn:
            conn.execute("create table book as select generate_series(1, 50000) as id")
    runtime.pause_db_cluster("paused")
"""

OPEN = """
import sys
from cluster_runtime import Runtime

Runtime.open(sys.argv[1], warm_pool_size=0)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = reachable_folder()
    yield made
    shutil.rmtree(made)


def test_what_the_last_release_left_opens_and_is_not_for_it_any_more(folder: Path) -> None:
    release = previous_release.checked_out(folder, previous_release.LAST_RELEASE)
    state = folder / "state"
    made = previous_release.run(release, MAKE, str(state))
    assert made.returncode == 0, made.stderr
    with Runtime.open(state, warm_pool_size=0) as runtime:
        for name in ("awake", "paused"):
            (instance,) = runtime.cluster(name).instances
            assert instance.db_instance_identifier == f"{name}-instance-1"
            runtime.cluster(name).connect(instance.db_instance_identifier).close()
            with runtime.cluster(name).connect() as conn:
                found = conn.execute("select count(*), sum(id) from book").fetchone()
                assert found == (50_000, 1_250_025_000)
                told = conn.execute("select server_id from pg_catalog.aurora_replica_status()")
                assert told.fetchall() == [(f"{name}-instance-1",)]
    refused = previous_release.run(release, OPEN, str(state))
    assert refused.returncode != 0
    assert "use the newer release" in refused.stderr
