"""A host that is killed at any step of a restore, a snapshot or a delete: the next start finishes
it, or takes it back.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_runtime import Runtime
from cluster_runtime.engine.system.processes import end_orphans
from tests.places import SpentFolders, reachable_folder
from tests.waiting import wait_until

LONG = pytest.mark.long
KILLED = 9
"""What the child ends with where it was killed at the step, and not before or after."""

CHILD = """
import importlib, os, sys
from pathlib import Path
state, module, path, when, operation, *arguments = sys.argv[1:]
target = importlib.import_module(module)
*owners, name = path.split(".")
for owner in owners:
    target = getattr(target, owner)
whole = getattr(target, name)

def killed(*args, **kwargs):
    if when == "after":
        whole(*args, **kwargs)
    os._exit(9)

async def killed_later(*args, **kwargs):
    if when == "after":
        await whole(*args, **kwargs)
    os._exit(9)

import inspect
setattr(target, name, killed_later if inspect.iscoroutinefunction(whole) else killed)
from cluster_runtime import Runtime
from cluster_runtime.backup.core import pacing
pacing.FIRST_AFTER_S = 3600.0
with Runtime.open(Path(state), warm_pool_size=0) as runtime:
    keywords = dict(each.split("=", 1) for each in arguments if "=" in each)
    keywords = {key: value == "True" if value in ("True", "False") else value
                for key, value in keywords.items()}
    getattr(runtime, operation)(*(each for each in arguments if "=" not in each), **keywords)
"""
WORKFLOWS = "cluster_runtime.control.workflows"
STORAGE = "cluster_runtime.control.servers.storage"
MAKING = f"{WORKFLOWS}.making"
RESTORE = f"{WORKFLOWS}.backups.restore"
SNAPSHOTS = f"{WORKFLOWS}.backups.snapshots"
AUTOMATED = f"{WORKFLOWS}.backups.automated"
CATALOG = "cluster_runtime.control.records.recovery.backup_catalog"
VAULT = "cluster_runtime.backup.vault.vault"


def killed_at(state: Path, module: str, path: str, when: str, *call: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(state), module, path, when, *call],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == KILLED, done.stderr
    end_orphans(state)


@pytest.fixture(scope="module")
def state(spent_folders: SpentFolders) -> Iterator[Path]:
    folder = reachable_folder()
    with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("source")
        with cluster.connect() as conn:
            conn.execute("create table t as select 7 as v")
        runtime.create_db_cluster_snapshot("kept", "source")
    yield folder / "state"
    end_orphans(folder)
    spent_folders.append(folder)


def on_disk(runtime: Runtime) -> set[str]:
    home = runtime._home.service._runtime.home  # type: ignore[attr-defined]
    return {path.name for folder in (home.clusters, home.bases) for path in folder.iterdir()}


def names(runtime: Runtime) -> list[str]:
    return [each.db_cluster_identifier for each in runtime.describe_db_clusters()]


@pytest.mark.parametrize(
    ("module", "path", "when"),
    [
        pytest.param(MAKING, "begin", "after", marks=LONG),
        pytest.param(RESTORE, "fetch", "before", marks=LONG),
        pytest.param(RESTORE, "fetch", "after", marks=LONG),
        (RESTORE, "recover", "after"),
        pytest.param(RESTORE, "give_to_host", "after", marks=LONG),
        pytest.param(
            "cluster_runtime.control.servers.postgres",
            "ClusterStorage.create_over",
            "after",
            marks=LONG,
        ),
        pytest.param(MAKING, "enter", "before", marks=LONG),
    ],
)
def test_a_restore_that_is_cut_short_leaves_nothing(
    state: Path, module: str, path: str, when: str
) -> None:
    killed_at(state, module, path, when, "restore_db_cluster_from_snapshot", "made", "kept")
    with Runtime.open(state, warm_pool_size=0) as runtime:
        assert names(runtime) == ["source"]
        assert on_disk(runtime) == {runtime.cluster("source").id}


@LONG
def test_a_restore_that_has_its_row_is_there_after_a_kill(state: Path) -> None:
    killed_at(state, MAKING, "enter", "after", "restore_db_cluster_from_snapshot", "made", "kept")
    with Runtime.open(state, warm_pool_size=0) as runtime:
        assert names(runtime) == ["made", "source"]
        with runtime.cluster("made").connect() as conn:
            assert conn.execute("select v from t").fetchone() == (7,)
        runtime.delete_db_cluster("made", delete_automated_backups=True)
        assert on_disk(runtime) == {runtime.cluster("source").id}


@pytest.mark.parametrize(
    ("module", "path", "when", "stays"),
    [
        pytest.param(CATALOG, "BackupCatalog.put_snapshot", "after", False, marks=LONG),
        pytest.param(SNAPSHOTS, "_take", "before", False, marks=LONG),
        pytest.param(
            "cluster_runtime.backup.keeping.keeper",
            "BackupKeeper.flush",
            "after",
            False,
            marks=LONG,
        ),
        (SNAPSHOTS, "origins.plan_of", "after", False),
        (SNAPSHOTS, "_take", "after", True),
    ],
)
def test_a_snapshot_that_is_cut_short_is_there_or_not_at_all(
    state: Path, module: str, path: str, when: str, stays: bool
) -> None:
    killed_at(state, module, path, when, "create_db_cluster_snapshot", "half", "source")
    with Runtime.open(state, warm_pool_size=0) as runtime:

        def settled() -> bool:
            return all(
                each.status == "available" for each in runtime.describe_db_cluster_snapshots()
            )

        wait_until(settled)
        found = {
            each.db_cluster_snapshot_identifier for each in runtime.describe_db_cluster_snapshots()
        }
        assert found == ({"half", "kept"} if stays else {"kept"})
        if stays:
            runtime.delete_db_cluster_snapshot("half")
        runtime.create_db_cluster_snapshot("half", "source")
        runtime.delete_db_cluster_snapshot("half")


@pytest.mark.parametrize(
    ("module", "path", "when"),
    [
        pytest.param(SNAPSHOTS, "_delete", "before", marks=LONG),
        (VAULT, "Vault.delete", "after"),
        pytest.param(CATALOG, "BackupCatalog.remove_snapshot", "before", marks=LONG),
    ],
)
def test_a_snapshot_whose_delete_was_cut_short_goes(
    state: Path, module: str, path: str, when: str
) -> None:
    with Runtime.open(state, warm_pool_size=0) as runtime:
        runtime.copy_db_cluster_snapshot("kept", "going")
    killed_at(state, module, path, when, "delete_db_cluster_snapshot", "going")
    with Runtime.open(state, warm_pool_size=0) as runtime:
        wait_until(lambda: len(runtime.describe_db_cluster_snapshots()) == 1)
        assert runtime.describe_db_cluster_snapshots()[0].db_cluster_snapshot_identifier == "kept"


@pytest.mark.parametrize(
    ("module", "path", "when", "gone"),
    [
        pytest.param(f"{WORKFLOWS}.delete", "take_snapshot", "after", False, marks=LONG),
        pytest.param(f"{WORKFLOWS}.delete", "note_retention", "before", False, marks=LONG),
        pytest.param(f"{WORKFLOWS}.delete", "note_retention", "after", False, marks=LONG),
        ("cluster_runtime.control.cluster", "OpenRuntime.remove", "before", True),
        pytest.param(
            "cluster_runtime.control.records.catalog", "Catalog.remove", "before", True, marks=LONG
        ),
        pytest.param(AUTOMATED, "_collect", "before", True, marks=LONG),
    ],
)
def test_a_delete_that_is_cut_short_is_finished_or_has_not_begun(
    state: Path, module: str, path: str, when: str, gone: bool
) -> None:
    with Runtime.open(state, warm_pool_size=0) as runtime:
        made = runtime.restore_db_cluster_from_snapshot("going", "kept").id
    final = f"final-{when}-{path.rpartition('.')[2].strip('_').replace('_', '-')}"
    killed_at(
        state,
        module,
        path,
        when,
        "delete_db_cluster",
        "going",
        f"final_db_snapshot_identifier={final}",
        "delete_automated_backups=True",
    )
    with Runtime.open(state, warm_pool_size=0) as runtime:
        assert ("going" in names(runtime)) is not gone
        backups = runtime.describe_db_cluster_automated_backups
        if not gone:
            assert [each.status for each in backups(made)] == ["active"]
            runtime.delete_db_cluster("going", delete_automated_backups=True)
        wait_until(lambda: not backups(made))
        # The final snapshot was taken before anything else, and is enough.
        back = runtime.restore_db_cluster_from_snapshot("back", final)
        with back.connect() as conn:
            assert conn.execute("select v from t").fetchone() == (7,)
        runtime.delete_db_cluster("back", delete_automated_backups=True)
        runtime.delete_db_cluster_snapshot(final)
        source = runtime.cluster("source").id
        assert on_disk(runtime) == {source}
        bucket = Path(runtime.describe_backup_store().location) / "clusters"
        wait_until(lambda: {each.name for each in bucket.iterdir()} == {source})
