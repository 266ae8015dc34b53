"""A host that is killed at any step of a workflow: the next one finishes it, or takes it back."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_runtime import Runtime
from cluster_runtime.engine.system.processes import end_orphans
from tests.cluster_runtime.control.every_step import (
    BRANCH,
    ENDED,
    KEPT,
    MADE,
    NOT_REACHED,
    READER,
    SOURCE,
    WORKFLOWS,
    Steps,
    Workflow,
    half_made,
    prepare,
    steps_of,
)
from tests.numbers import rows, write
from tests.places import SpentFolders, reachable_folder
from tests.waiting import wait_until

QUICK = ("copy snapshot",)
"""What every run of the tests has; the others take minutes."""
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(spent_folders: SpentFolders) -> Iterator[Path]:
    made = reachable_folder()
    with Runtime.open(made / "state", warm_pool_size=0) as runtime:
        prepare(runtime)
    yield made
    end_orphans(made)
    spent_folders.append(made)


@pytest.fixture(scope="module")
def steps(folder: Path) -> Iterator[Steps]:
    with pytest.MonkeyPatch.context() as patch:
        found = Steps(folder)
        found.install(patch.setattr)
        yield found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=[] if each in QUICK else [pytest.mark.long])
        for each in WORKFLOWS
    ],
)  # fmt: skip
def test_a_host_that_is_killed_at_any_step(steps: Steps, folder: Path, name: str) -> None:
    workflow = WORKFLOWS[name]
    with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
        workflow.first(runtime, folder)
        found = steps_of(steps, lambda: workflow.do(runtime, folder), with_renames=True)
        workflow.undo(runtime, folder)
        at_rest(runtime, folder)
    reached = [step for step in found if is_killed(folder, name, step)]
    assert reached, f"no step of {name} was reached again: {found}"


def is_killed(folder: Path, name: str, step: str) -> bool:
    """Kill a host at a step; the next one must be whole. Whether the step was reached."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster_runtime.control.every_step",
         str(folder / "state"), name, step],
        capture_output=True, text=True, timeout=180, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode in (ENDED, NOT_REACHED), (step, done.stderr)
    end_orphans(folder)
    with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
        is_whole(runtime, WORKFLOWS[name], step)
        at_rest(runtime, folder)
    return done.returncode == ENDED


def is_whole(runtime: Runtime, workflow: Workflow, step: str) -> None:
    assert half_made(runtime) == [], step
    there = {each.db_cluster_identifier: each for each in runtime.describe_db_clusters()}
    for name in (SOURCE, BRANCH):
        possible = [[1, 2] if name == SOURCE else [1, 2, 3]]
        if name == workflow.changes:
            possible = [list(workflow.before), list(workflow.after)]
        assert rows(runtime.cluster(name)) in possible, step
    if MADE in there:
        assert rows_if_any(runtime, MADE) in ([], [1, 2]), step
    assert {each.status.value for each in there.values()} == {"available"}, step

    def serve() -> bool:
        found = [*runtime.describe_db_instances()]
        return all(each.db_instance_status.value == "available" for each in found)

    wait_until(serve)

    def settled() -> bool:
        found = runtime.describe_db_cluster_snapshots()
        return all(each.status == "available" for each in found)

    wait_until(settled)


def rows_if_any(runtime: Runtime, name: str) -> list[int]:
    """Of a cluster that may have no table yet."""
    with runtime.cluster(name).connect() as conn:
        if conn.execute("select to_regclass('t')").fetchone() == (None,):
            return []
    return rows(runtime.cluster(name))


def at_rest(runtime: Runtime, folder: Path) -> None:
    """What workflows begin with, wherever one was left."""
    if MADE in {each.db_cluster_identifier for each in runtime.describe_db_clusters()}:
        runtime.delete_db_cluster(MADE, delete_automated_backups=True)
    snapshots = runtime.describe_db_cluster_snapshots()
    names = {each.db_cluster_snapshot_identifier for each in snapshots}
    assert KEPT in names
    if MADE in names:
        runtime.delete_db_cluster_snapshot(MADE)
    instances = {each.db_instance_identifier for each in runtime.describe_db_instances()}
    if f"{READER}2" in instances:
        runtime.delete_db_instance(f"{READER}2")
    if READER not in instances:
        runtime.create_db_instance(READER, db_cluster_identifier=SOURCE)
    (folder / "made.snapshot").unlink(missing_ok=True)
    if rows(runtime.cluster(SOURCE)) == [1]:
        runtime.undo_rewind(SOURCE)
    if rows(runtime.cluster(BRANCH)) == [1, 2]:
        write(runtime.cluster(BRANCH), 3)
