"""A workflow that a killed host left is finished or taken back, whatever step it was in."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster_runtime import Runtime
from cluster_runtime.control.records.catalog import Catalog, UnderWay
from cluster_runtime.control.workflows.branching.left_behind import WORKFLOWS
from cluster_runtime.control.workflows.branching.steps import left_to_do, percent
from cluster_runtime.control.workflows.branching.swap import put_in_place
from tests.numbers import branch, rows
from tests.waiting import wait_until

STEPS = ("cut", "stop", "swap", "start")


def steps_of(kind: str) -> list[str]:
    """As the code has them: the workflow of a cluster that does not run."""
    cluster = SimpleNamespace(
        directory=Path(),
        writer=SimpleNamespace(socket=None),
        instances=SimpleNamespace(storage=None),
    )
    return [each.name for each in WORKFLOWS[kind](cast(Any, None), cast(Any, cluster)).steps]


ALL_STEPS = [(kind, step) for kind in WORKFLOWS for step in steps_of(kind)]

KILLED = 9
HOST = """
import os, sys
from pathlib import Path
from cluster_runtime import Runtime
from cluster_runtime.control.records.catalog import Catalog
from tests.numbers import branch, write
from tests.waiting import wait_until

state, kind, step, moment = sys.argv[1:]
runtime = Runtime.open(state, warm_pool_size=0)
notes = runtime.create_db_cluster("notes")
write(notes, 1)
runtime.create_restore_point("notes", "before")
cluster = notes
if kind == "reset-branch":
    cluster = branch(runtime, "notes", "try")
write(cluster, 2)
if kind == "undo-rewind":
    runtime.rewind("notes", "before")
begin, rename = Catalog.begin_step, Path.rename


def begin_step(self, under_way):
    begin(self, under_way)
    if under_way.step == step and moment == "before":
        os._exit(9)
    if under_way.step == step and moment == "between":
        Path.rename = die_after_one


renamed = []


def die_after_one(self, target):
    found = rename(self, target)
    renamed.append(target)
    if len(renamed) == 2:
        os._exit(9)
    return found


def die(*arguments, **given):
    os._exit(9)


Catalog.begin_step = begin_step
if kind == "clone":
    from cluster_runtime.control.servers.postgres import Writer
    from cluster_runtime.storage.upkeep.branches import Branches

    where = {
        "cut": (Branches, "lay_out"),
        "start": (Writer, "start_laid_out"),
        "attach": (Writer, "_attach"),
        "enter": (Catalog, "add"),
    }
    setattr(*where[step], die)
    branch(runtime, "notes", "twig")
if kind == "warm":
    from cluster_runtime.control.servers.ahead import ReaderAhead
    from cluster_runtime.control.servers.postgres import Reader, Writer

    where = {
        "furnish": (Reader, "start"),
        "hold back": (ReaderAhead, "hold_back"),
        "give": (ReaderAhead, "give"),
        "promote": (Reader, "promote"),
        "take over": (Writer, "take_over"),
        "enter": (Catalog, "add"),
    }
    setattr(*where[step], die)
    runtime.modify_db_cluster("notes", warm_branch=True)
    wait_until(lambda: notes.describe().warm_branch_status == "ready")
    branch(runtime, "notes", "twig")
if kind == "rewind":
    runtime.rewind("notes", "before")
elif kind == "undo-rewind":
    runtime.undo_rewind("notes")
else:
    runtime.reset_branch("try")
os._exit(1)
"""


@pytest.mark.parametrize(
    ("reached", "left"),
    [
        ("cut", None),
        ("stop", None),
        ("swap", ("swap", "start")),
        ("start", ("start",)),
        ("x", None),
    ],
)
def test_from_one_step_on_it_is_finished_and_before_that_taken_back(
    reached: str, left: tuple[str, ...] | None
) -> None:
    found = left_to_do(STEPS, "swap", reached)
    assert (None if found is None else tuple(found)) == left


def test_progress_is_what_is_done() -> None:
    assert [percent(STEPS, step) for step in STEPS] == [0, 25, 50, 75]


def test_a_step_is_in_the_catalog_before_it_is_done(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.sqlite")
    for step in ("cut", "swap"):
        catalog.begin_step(UnderWay("cluster-A", "rewind", step))
    assert catalog.workflows() == {"cluster-A": UnderWay("cluster-A", "rewind", "swap")}
    catalog.end_workflow("cluster-A")
    assert catalog.workflows() == {}
    catalog.close()


@pytest.mark.parametrize("done", range(5))
def test_a_swap_may_be_cut_short_anywhere_and_is_done_again(tmp_path: Path, done: int) -> None:
    def make(name: str, content: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "what").write_text(content)

    for part in ("volume", "data"):
        make(part, "old")
        make(f"{part}.next", "new")
        make(f"{part}.undone", "older")
    if done >= 1:  # what an earlier try has done, in its order
        (tmp_path / "volume.undone" / "what").unlink()
        (tmp_path / "volume.undone").rmdir()
        (tmp_path / "volume").rename(tmp_path / "volume.undone")
    if done >= 2:
        (tmp_path / "volume.next").rename(tmp_path / "volume")
    if done >= 3:
        (tmp_path / "data.undone" / "what").unlink()
        (tmp_path / "data.undone").rmdir()
        (tmp_path / "data").rename(tmp_path / "data.undone")
    if done >= 4:
        (tmp_path / "data.next").rename(tmp_path / "data")
    for _ in range(2):
        put_in_place(tmp_path)
        for part in ("volume", "data"):
            assert (tmp_path / part / "what").read_text() == "new"
            assert (tmp_path / f"{part}.undone" / "what").read_text() == "old"
            assert not (tmp_path / f"{part}.next").exists()
    gone = {each.name.partition(".gone-")[0] for each in tmp_path.glob("*.gone-*")}
    assert gone == {part for at, part in ((1, "volume"), (3, "data")) if done < at}


def killed_in(kind: str, step: str, moment: str, folder: Path) -> Path:
    state = folder / "state"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", HOST, str(state), kind, step, moment],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == KILLED, done.stderr
    return state


def directory_of(state: Path, resource_id: str) -> Path:
    """Where a cluster lies, which PostgreSQL's user has to reach."""
    places = [state / "engine" / "clusters", *Path("/var/lib/borealis").glob("*/clusters")]
    return next(each / resource_id for each in places if (each / resource_id).exists())


def check(kind: str, step: str, moment: str, folder: Path) -> None:
    state = killed_in(kind, step, moment, folder)
    finished = step in ("swap", "start")
    name = "try" if kind == "reset-branch" else "notes"
    after = {"rewind": [1], "undo-rewind": [1, 2], "reset-branch": [1]}[kind]
    before = {"rewind": [1, 2], "undo-rewind": [1], "reset-branch": [1, 2]}[kind]
    with Runtime.open(state, warm_pool_size=0) as runtime:
        cluster = runtime.cluster(name)
        assert rows(cluster) == (after if finished else before)
        said = [each.message for each in runtime.describe_events(name)]
        outcome = "finished" if finished else "taken back"
        assert any(f"during {kind}: it was {outcome}" in message for message in said)
        assert not list(directory_of(state, cluster.id).glob("*.next"))
        assert rows(cluster) == (after if finished else before)


def test_every_workflow_is_known_to_the_start_of_a_host() -> None:
    assert set(WORKFLOWS) == {"rewind", "undo-rewind", "reset-branch"}
    assert {step for _, step in ALL_STEPS} == {"cut", "stop", "take", "swap", "start"}


def test_a_rewind_that_was_killed_between_two_renames_is_finished(engine_dir: Path) -> None:
    check("rewind", "swap", "between", engine_dir)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "step"), ALL_STEPS)
def test_a_host_that_is_killed_in_a_step(kind: str, step: str, engine_dir: Path) -> None:
    check(kind, step, "before", engine_dir)


@pytest.mark.long
@pytest.mark.parametrize("step", ["cut", "start", "attach", "enter"])
def test_a_host_that_is_killed_while_it_clones_leaves_nothing_of_the_clone(
    step: str, engine_dir: Path
) -> None:
    state = killed_in("clone", step, "", engine_dir)
    with Runtime.open(state, warm_pool_size=0) as runtime:
        assert [each.db_cluster_identifier for each in runtime.describe_db_clusters()] == ["notes"]
        notes = runtime.cluster("notes")
        assert rows(notes) == [1, 2]
        assert [each.name for each in directory_of(state, notes.id).parent.iterdir()] == [notes.id]


@pytest.mark.long
@pytest.mark.parametrize("step", ["furnish", "hold back", "give", "promote", "take over", "enter"])
def test_a_host_that_is_killed_while_it_uses_a_warm_branch_leaves_nothing_of_it(
    step: str, engine_dir: Path
) -> None:
    state = killed_in("warm", step, "", engine_dir)
    with Runtime.open(state, warm_pool_size=0) as runtime:
        assert [each.db_cluster_identifier for each in runtime.describe_db_clusters()] == ["notes"]
        notes = runtime.cluster("notes")
        assert notes.describe().warm_branch_status == "paused"
        assert [each.name for each in directory_of(state, notes.id).parent.iterdir()] == [notes.id]
        assert rows(notes) == [1, 2]
        wait_until(lambda: notes.describe().warm_branch_status == "ready")
        assert rows(branch(runtime, "notes", "twig")) == [1, 2]
