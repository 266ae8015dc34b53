"""The disk is full at each step of each workflow: a clear error, nothing half-made, and it works
once there is space again.
"""

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster_runtime import Runtime
from cluster_runtime.backup.core import pacing
from cluster_runtime.errors import BorealisError, InsufficientStorageError
from tests.cluster_runtime.control.every_step import (
    BRANCH,
    SOURCE,
    WORKFLOWS,
    FullDisk,
    Steps,
    Workflow,
    half_made,
    prepare,
    steps_of,
)
from tests.numbers import rows, write
from tests.places import SpentFolders, reachable_folder
from tests.waiting import wait_until

STEPS_MIN = 1
QUICK = ("create reader", "copy snapshot")
"""What every run of the tests has; the others take minutes."""


@pytest.fixture(scope="module")
def folder(spent_folders: SpentFolders) -> Iterator[Path]:
    made = reachable_folder()
    yield made
    spent_folders.append(made)


@pytest.fixture(scope="module")
def steps(folder: Path) -> Steps:
    found = Steps(folder)
    with pytest.MonkeyPatch.context() as patch:
        found.install(patch.setattr)
        yield found


@pytest.fixture(scope="module")
def host(folder: Path) -> Iterator[Runtime]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pacing, "FIRST_AFTER_S", 0.0)
        with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
            prepare(runtime)
            yield runtime


def state_of(runtime: Runtime) -> dict[str, Any]:
    """What there is: a workflow that failed has changed nothing of it."""
    of_host = runtime._home.service._runtime  # type: ignore[attr-defined]
    clusters = runtime.describe_db_clusters()
    return {
        "clusters": {each.db_cluster_identifier: each.status.value for each in clusters},
        "instances": {
            each.db_instance_identifier: each.db_instance_status.value
            for each in runtime.describe_db_instances()
        },
        "snapshots": {
            each.db_cluster_snapshot_identifier: each.status
            for each in runtime.describe_db_cluster_snapshots()
        },
        "directories": sorted(
            path.name for where in (of_host.home.clusters, of_host.home.bases)
            for path in where.iterdir()
        ),
        "half-made": half_made(runtime),
    }  # fmt: skip


def settled(runtime: Runtime) -> dict[str, Any]:
    """The same once every instance serves: one that was disturbed comes back by itself."""

    def all_serve() -> bool:
        found = runtime.describe_db_instances()
        return all(each.db_instance_status.value == "available" for each in found)

    wait_until(all_serve, 60)
    return state_of(runtime)


def rows_of(runtime: Runtime, workflow: Workflow) -> dict[str, list[int]]:
    return {name: rows(runtime.cluster(name)) for name in (SOURCE, BRANCH)}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=[] if each in QUICK else [pytest.mark.long])
        for each in WORKFLOWS
    ],
)  # fmt: skip
def test_a_disk_that_is_full_at_any_step(
    host: Runtime, steps: Steps, folder: Path, name: str
) -> None:
    workflow = WORKFLOWS[name]
    workflow.first(host, folder)
    found = steps_of(steps, lambda: workflow.do(host, folder))
    assert len(found) >= STEPS_MIN
    workflow.undo(host, folder)
    told = {step: outcome(host, steps, folder, workflow, step) for step in found}
    refused = [step for step, error in told.items() if error is not None]
    assert refused, f"no step of {name} needs space: {found}"


def outcome(
    host: Runtime, steps: Steps, folder: Path, workflow: Workflow, step: str
) -> BorealisError | None:
    """Do it with a disk that is full from a step on, then with space; the error that was told."""
    workflow.first(host, folder)
    before, held = settled(host), rows_of(host, workflow)
    told: BorealisError | None = None
    with steps.told(FullDisk(step)):
        try:
            workflow.do(host, folder)
        except InsufficientStorageError as error:
            told = error
    if told is None:  # it had no need of what could not be written
        workflow.undo(host, folder)
        return None
    assert "free some" in str(told), step
    now = rows_of(host, workflow)
    if workflow.changes and now != held:  # it was past where it is taken back
        assert now[workflow.changes] == list(workflow.after), step
    else:
        assert now == held, step
        assert settled(host) == before, step
    workflow.first(host, folder)
    workflow.do(host, folder)
    workflow.undo(host, folder)
    assert settled(host)["half-made"] == [], step
    return told


def test_an_upload_goes_on_once_there_is_space_again(
    host: Runtime, steps: Steps, folder: Path
) -> None:
    def said() -> list[str]:
        return [each.message for each in host.describe_events(SOURCE)]

    with steps.told(FullDisk(None, only="object")):  # which may be on another disk
        write(host.cluster(SOURCE), 7)  # commits wait for no backup
        told = wait_until(
            lambda: [each for each in said() if "does not get on: no space to keep" in each], 30
        )
    assert "free some" in told[0]
    wait_until(lambda: any("Continuous backup goes on" in each for each in said()), 60)
    since = time.time()
    wait_until(
        lambda: (
            (at := host.cluster(SOURCE).describe().latest_restorable_time)
            and at.timestamp() > since
        )
    )
    host.create_db_cluster_snapshot("after-all", SOURCE)
    assert rows(host.restore_db_cluster_from_snapshot("after", "after-all")) == rows(
        host.cluster(SOURCE)
    )
    host.delete_db_cluster("after", delete_automated_backups=True)
    host.delete_db_cluster_snapshot("after-all")
    with host.cluster(SOURCE).connect() as conn:
        conn.execute("delete from t where x = 7")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, a few hundred MiB small."""
    folder = reachable_folder()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=768m,mode=0711", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root of a Linux mounts a file system")
    done = subprocess.run(mounted, capture_output=True, text=True)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


def fill(ballast: Path, free: int) -> None:
    """Leave about that many bytes; others write meanwhile."""
    with ballast.open("wb") as file:
        while (left := shutil.disk_usage(ballast.parent).free - free) > 0:
            try:
                file.write(bytes(min(left, 1 << 20)))
                file.flush()
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - it is what is wanted
                break


@pytest.mark.timeout(300)
def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with Runtime.open(small_disk / "state", warm_pool_size=0) as runtime:
        prepare(runtime)
        held, refused = rows(runtime.cluster(SOURCE)), dict[str, str]()
        for free in (0, 1 << 20, 12 << 20):
            for name in ("create reader", "clone", "restore snapshot", "export snapshot"):
                workflow = WORKFLOWS[name]
                before = settled(runtime)
                fill(ballast, free)
                try:
                    workflow.do(runtime, small_disk)
                except InsufficientStorageError as error:
                    refused[name] = str(error)
                    ballast.unlink()
                    assert settled(runtime) == before
                else:
                    ballast.unlink()
                    workflow.undo(runtime, small_disk)
                assert rows(runtime.cluster(SOURCE)) == held
        assert set(refused) == {"create reader", "clone", "restore snapshot", "export snapshot"}
        assert all("free some" in each for each in refused.values())
        for name in refused:
            WORKFLOWS[name].do(runtime, small_disk)
            WORKFLOWS[name].undo(runtime, small_disk)
