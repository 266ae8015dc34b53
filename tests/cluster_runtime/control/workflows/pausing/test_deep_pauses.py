"""Deep pause: what a cluster gives back, and that it wakes as it was, wherever a host ended."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster_runtime import ClusterHandle, DBParameter, Runtime
from cluster_runtime.control.workflows.pausing.deep import MARK, steps
from cluster_runtime.engine.system.processes import end_orphans
from cluster_runtime.errors import ClusterClosedError, InvalidClusterStateError, StorageError
from cluster_runtime.storage.disk.page_images import images
from cluster_runtime.storage.disk.sparse import own_bytes
from tests.places import ON_DISK
from tests.waiting import wait_until

MB = 1_000_000
EMPTY_MAX = 7 * MB
STEPS = ("share", "sparse", "distrust", "remove", "coalescer", "mark")
KILLED = 9
pytestmark = pytest.mark.usefixtures("nothing_runs_on")
DAILY = (("share", "within"), ("distrust", "after"))
"""Of the ends of a host the one that is tried each day; the others take minutes."""


@pytest.fixture(scope="module")
def folders_in() -> Path:
    """Where the template is: its files are shared."""
    return ON_DISK


def hosted(runtime: Runtime, cluster: ClusterHandle) -> Path:
    return runtime._home.service.find(cluster.id).directory


def count(cluster: ClusterHandle) -> int:
    with cluster.connect() as conn:
        found = conn.execute("select count(*) from t").fetchone()
    assert found is not None
    return int(found[0])


def events(runtime: Runtime, name: str) -> list[str]:
    return [each.message for each in runtime.describe_events(name)]


def test_an_empty_cluster_takes_little_of_the_disk_and_wakes(shared_runtime: Runtime) -> None:
    cluster = shared_runtime.create_db_cluster("empty")
    directory = hosted(shared_runtime, cluster)
    shared_runtime.pause_db_cluster("empty")
    before = own_bytes(directory)
    found = shared_runtime.pause_db_cluster("empty", deep=True).deep_pause
    assert found is not None
    assert not (directory / "data").exists()
    assert found.bytes_used <= own_bytes(directory) + 8192 <= EMPTY_MAX < before
    assert cluster.describe().deep_pause == found
    assert cluster.describe().paused
    with cluster.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    assert cluster.describe().deep_pause is None
    told = wait_until(
        lambda: [one for one in events(shared_runtime, "empty") if "from deep" in one]
    )
    assert told[0].endswith(" s.")


def test_it_has_every_row_again_and_again(shared_runtime: Runtime) -> None:
    cluster = shared_runtime.create_db_cluster("rows")
    with cluster.connect() as conn:
        conn.execute("create table t as select generate_series(1, 1000) as x")
    for number in range(2):
        shared_runtime.pause_db_cluster("rows", deep=True)
        assert count(cluster) == 1000 + number
        with cluster.connect() as conn:
            conn.execute("insert into t values (0)")
    shared_runtime.pause_db_cluster("rows", deep=True)
    shared_runtime.pause_db_cluster("rows", deep=True)
    assert count(cluster) == 1002
    volume = shared_runtime.describe_volume("rows")
    assert {each.state.value for each in volume.segments} == {"healthy"}


def test_a_template_that_was_made_again_is_not_taken_for_the_one_it_began_with(
    shared_runtime: Runtime, tmp_path: Path
) -> None:
    cluster = shared_runtime.create_db_cluster("remade")
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    shared_runtime.pause_db_cluster("remade")
    directory = hosted(shared_runtime, cluster)
    base, other = directory / "base-image", tmp_path / "remade"
    there = base.readlink()
    shutil.copytree(base, other)
    (other / "PG_VERSION").write_text("17\n")
    base.unlink()
    base.symlink_to(other)
    with pytest.raises(StorageError):
        shared_runtime.pause_db_cluster("remade", deep=True)
    assert (directory / "data").is_dir()
    base.unlink()
    base.symlink_to(there)
    assert count(cluster) == 1


def test_what_has_logical_slots_is_not_put_into_it(shared_runtime: Runtime) -> None:
    shared_runtime.create_db_cluster_parameter_group("slots", "aurora-postgresql18", "for a test")
    shared_runtime.modify_db_cluster_parameter_group(
        "slots", [DBParameter("rds.logical_replication", "1", "pending-reboot")]
    )
    cluster = shared_runtime.create_db_cluster("slots", db_cluster_parameter_group_name="slots")
    with cluster.connect(autocommit=True) as conn:
        conn.execute("select rds_create_logical_replication_slot('s', 'test_decoding')")
    # Whether or not it still may have some.
    shared_runtime.modify_db_cluster_parameter_group(
        "slots", [DBParameter("rds.logical_replication", "0", "pending-reboot")]
    )
    shared_runtime.pause_db_cluster("slots")
    with pytest.raises(InvalidClusterStateError, match="slots of logical replication"):
        shared_runtime.pause_db_cluster("slots", deep=True)
    shared_runtime.modify_db_cluster_parameter_group(
        "slots", [DBParameter("rds.logical_replication", "1", "pending-reboot")]
    )
    with cluster.connect() as conn:
        found = conn.execute("select slot_name from pg_replication_slots where slot_type='logical'")
        assert found.fetchall() == [("s",)], "nor did the start beside the volume lose it"


def test_it_needs_no_template_any_more(shared_runtime: Runtime, tmp_path: Path) -> None:
    """Its images have names of their own for what they share with one."""
    cluster = shared_runtime.create_db_cluster("alone")
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    shared_runtime.pause_db_cluster("alone", deep=True)
    base = hosted(shared_runtime, cluster) / "base-image"
    base.unlink()
    base.symlink_to(tmp_path / "removed")
    assert count(cluster) == 1
    assert wait_until(lambda: shared_runtime.describe_volume("alone").scrub.damaged == 0)


def test_a_cluster_that_its_volume_could_not_make_again_keeps_its_data_directory(
    shared_runtime: Runtime, tmp_path: Path
) -> None:
    cluster = shared_runtime.create_db_cluster("kept")
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    shared_runtime.pause_db_cluster("kept")
    directory = hosted(shared_runtime, cluster)
    assert not any(images(each) for each in directory.glob("volume/az-*/*/pages"))
    base = directory / "base-image"
    there = base.readlink()
    base.unlink()
    base.symlink_to(tmp_path / "removed")
    with pytest.raises(StorageError, match="pages that the volume began with"):
        shared_runtime.pause_db_cluster("kept", deep=True)
    assert (directory / "data").is_dir()
    assert cluster.describe().deep_pause is None
    base.unlink()
    base.symlink_to(there)
    assert count(cluster) == 1


def test_one_that_is_in_use_or_stopped_is_not_put_into_it(shared_runtime: Runtime) -> None:
    cluster = shared_runtime.create_db_cluster("busy")
    shared_runtime.inject_fault("busy", "segment:a1", "slow:1")
    with pytest.raises(InvalidClusterStateError, match="in use"):
        shared_runtime.pause_db_cluster("busy", deep=True)
    assert (hosted(shared_runtime, cluster) / "data").is_dir()
    shared_runtime.heal_fault("busy")
    shared_runtime.stop_db_cluster("busy")
    with pytest.raises(ClusterClosedError):
        shared_runtime.pause_db_cluster("busy", deep=True)


def test_a_cluster_goes_into_it_by_itself_after_its_time(shared_runtime: Runtime) -> None:
    cluster = shared_runtime.create_db_cluster("sleepy")
    shared_runtime.modify_db_cluster("sleepy", seconds_until_deep_pause=0)
    shared_runtime.pause_db_cluster("sleepy")
    _look(shared_runtime)
    assert cluster.describe().deep_pause is None, "it never does"
    shared_runtime.modify_db_cluster("sleepy", seconds_until_deep_pause=86_400)
    _look(shared_runtime)
    assert cluster.describe().deep_pause is None, "not yet"
    shared_runtime.modify_db_cluster("sleepy", seconds_until_deep_pause=1)
    time.sleep(1.1)  # the claim's age is the clock that counts
    _look(shared_runtime)
    assert wait_until(lambda: cluster.describe().deep_pause, 30) is not None
    assert any("deep pause" in each for each in events(shared_runtime, "sleepy"))
    with cluster.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)


def _look(runtime: Runtime) -> None:
    """Have the host look at its paused clusters now, and not within a minute."""
    service = runtime._home.service
    pauses = next(each for each in service._runtime.watches if hasattr(each, "_not_before"))

    async def look() -> None:
        await pauses._look()

    runtime._home.thread.call(look())


CHILD = """
import os, sys
from pathlib import Path
from cluster_runtime import Runtime
from cluster_runtime.control.workflows.pausing import deep
state, wanted, when = sys.argv[1:]
whole = deep.steps

def steps(cluster):
    for name, work in whole(cluster):
        def killed(work=work):
            if when == "after":
                work()
            elif when == "within":
                half(cluster, work)
            os._exit(9)
        yield name, killed if name == wanted else work

def half(cluster, work):
    # Of what takes many files, some are done.
    done = 0
    def some(whole):
        def one(*arguments, **named):
            nonlocal done
            done += 1
            if done > 20:
                os._exit(9)
            return whole(*arguments, **named)
        return one
    for name in ("unlink", "link", "rename", "pread"):
        setattr(os, name, some(getattr(os, name)))
    work()

deep.steps = steps
from cluster_runtime.backup.core import pacing
pacing.FIRST_AFTER_S = 3600.0
with Runtime.open(Path(state), warm_pool_size=0) as runtime:
    runtime.pause_db_cluster("victim", deep=True)
"""


@pytest.mark.parametrize(
    ("step", "when"),
    [
        *(
            pytest.param(step, when, marks=pytest.mark.long)
            for step in STEPS
            for when in ("before", "within", "after")
            if (step, when) not in DAILY
        ),
        *DAILY,
    ],
)
def test_a_host_that_is_killed_at_any_step_leaves_a_cluster_that_wakes(
    engine_dir: Path, step: str, when: str
) -> None:
    state = engine_dir / "state"
    with Runtime.open(state, warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("victim")
        runtime.modify_db_cluster("victim", seconds_until_deep_pause=0)
        with cluster.connect() as conn:
            conn.execute("create table t as select generate_series(1, 500) as x")
        # What an earlier one left is not taken for this one's.
        runtime.pause_db_cluster("victim", deep=True)
        assert count(cluster) == 500
        assert tuple(name for name, _ in steps(runtime._home.service.find("victim"))) == STEPS
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(state), step, when],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == KILLED, done.stderr
    end_orphans(state)
    with Runtime.open(state, warm_pool_size=0) as runtime:
        cluster = runtime.cluster("victim")
        directory = hosted(runtime, cluster)
        finished = step == "mark" and when != "before"
        assert (cluster.describe().deep_pause is not None) is finished
        assert count(cluster) == 500
        runtime.pause_db_cluster("victim", deep=True)
        assert (directory / MARK).exists()
        assert own_bytes(directory) <= EMPTY_MAX
        assert count(cluster) == 500


def test_a_host_that_starts_again_knows_of_it(engine_dir: Path) -> None:
    state = engine_dir / "state"
    with Runtime.open(state, warm_pool_size=0) as runtime:
        runtime.create_db_cluster("notes")
        found = runtime.pause_db_cluster("notes", deep=True).deep_pause
    with Runtime.open(state, warm_pool_size=0) as runtime:
        cluster = runtime.cluster("notes")
        assert cluster.describe().deep_pause == found
        (hosted(runtime, cluster) / MARK).write_text("{")
    with Runtime.open(state, warm_pool_size=0) as runtime:
        cluster = runtime.cluster("notes")
        assert cluster.describe().deep_pause is None, "a mark that says nothing"
        with cluster.connect() as conn:
            assert conn.execute("select 1").fetchone() == (1,)
