"""Workflows at each of their steps, which are found while they run: no list of them can go stale.

A step is a place in the code where something is left that lasts: a file or folder made or renamed,
a row of the catalog, an object of a backup. A workflow is done once to see its steps; then again
for each of them, with a disk that is full from there on, or in a process that ends there:

    python -m tests.cluster_runtime.control.every_step STATE_DIRECTORY WORKFLOW STEP
"""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_runtime import Runtime
from cluster_runtime.backup.core import pacing
from cluster_runtime.backup.vault import bucket
from cluster_runtime.control.records import catalog
from tests.numbers import branch, rows, write

SOURCE, READER, BRANCH, KEPT, MADE = "source", "source-r", "try", "kept", "made"
ENDED, NOT_REACHED = 9, 7

_CODE = f"{Path(catalog.__file__).parents[2]}{os.sep}"
_BY_ITSELF = ("backup/keeping", "control/monitoring", "control/topology", "past/tick_file")
"""Where something is written that no workflow waits for."""
_NAMED_FRAMES = 3
_PATH_OF = {"open": 0, "os.mkdir": 0, "os.symlink": 1, "os.link": 1, "os.rename": 1}
"""Events of Python's audit, and which of their arguments is what is made."""


class Steps:
    """What is written below a folder, by the name of the place in the code that writes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}{os.sep}"
        self._act: Callable[[str, str, bool], None] | None = None
        self._inside = threading.local()

    def install(self, setattr: Callable[[object, str, object], None] = setattr) -> None:
        """For the rest of the process: audit hooks cannot be removed, and do nothing by themselves.

        setattr: puts something in the place of a function.
        """
        sys.addaudithook(self._audited)
        keep, require = catalog.Catalog._execute, bucket._require_space
        no_space = catalog._no_space

        def execute(of: catalog.Catalog, statement: str, *values: str | int) -> None:
            try:
                # What is removed finds its room in the file that SQLite writes first.
                self._reached("catalog", full=not statement.startswith("delete"))
            except OSError as error:
                raise no_space(of._path) from error
            keep(of, statement, *values)

        def require_space(directory: Path) -> None:
            self._reached("object")
            require(directory)

        setattr(catalog.Catalog, "_execute", execute)
        setattr(bucket, "_require_space", require_space)

    @contextmanager
    def told(self, act: Callable[[str, str, bool], None]) -> Iterator[None]:
        """Have `act` called at each step: with its name, its kind, and whether room is needed."""
        self._act = act
        try:
            yield
        finally:
            self._act = None

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._act is None or event not in _PATH_OF:
            return
        if event == "open" and not arguments[2] & os.O_CREAT:
            return
        path = arguments[_PATH_OF[event]]
        if isinstance(path, str | bytes | os.PathLike):
            name = os.fsdecode(path)
            if not name.startswith(self._folder) or name.endswith(".log"):
                return
            is_new = event in ("os.symlink", "os.link", "os.rename") or not os.path.lexists(name)
            if is_new or (event == "open" and arguments[2] & os.O_TRUNC):
                self._reached(event, full=event != "os.rename")

    def _reached(self, kind: str, *, full: bool = True) -> None:
        act = self._act
        if act is None or getattr(self._inside, "now", False):
            return
        self._inside.now = True
        try:
            act(_place(), kind, full)
        finally:
            self._inside.now = False


def _place() -> str:
    """The innermost functions of the product on the stack; empty where nobody waits for it."""
    found: list[str] = []
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_CODE):
            if any(each in code.co_filename for each in _BY_ITSELF):
                return ""
            if len(found) < _NAMED_FRAMES:
                found.append(code.co_qualname)
        frame = frame.f_back  # type: ignore[assignment]
    return " < ".join(found)


class FullDisk:
    """Full from a step on. step: None: from the beginning. only: what is on it, if not all."""

    def __init__(self, step: str | None, only: str | None = None) -> None:
        self._step, self._only = step, only
        self.full = step is None

    def __call__(self, step: str, kind: str, needs_room: bool) -> None:
        if step and step == self._step and needs_room:
            self.full = True
        if self.full and needs_room and self._only in (None, kind):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), step)


def steps_of(steps: Steps, do: Callable[[], object], *, with_renames: bool = False) -> list[str]:
    """Do something, and say at which steps it was."""
    found: dict[str, None] = {}

    def note(step: str, kind: str, needs_room: bool) -> None:
        if step and (needs_room or with_renames):
            found[step] = None

    with steps.told(note):
        do()
    return list(found)


@dataclass(frozen=True)
class Workflow:
    """do: the operation. undo: afterwards all is as it was. first: what has to be so before it.

    before, after: the rows of the cluster that it changes in place; others change none.
    """

    do: Callable[[Runtime, Path], object]
    undo: Callable[[Runtime, Path], object] = lambda runtime, folder: None
    first: Callable[[Runtime, Path], object] = lambda runtime, folder: None
    changes: str = ""
    before: tuple[int, ...] = (1, 2)
    after: tuple[int, ...] = (1, 2)


def prepare(runtime: Runtime) -> None:
    """The clusters and the snapshot that workflows begin with."""
    source = runtime.create_db_cluster(SOURCE)
    write(source, 1)
    runtime.create_restore_point(SOURCE, "before")
    branch(runtime, SOURCE, BRANCH)
    write(source, 2)
    write(runtime.cluster(BRANCH), 2)
    runtime.create_db_instance(READER, db_cluster_identifier=SOURCE)
    runtime.create_db_cluster_snapshot(KEPT, SOURCE)


def half_made(runtime: Runtime) -> list[str]:
    """What no cluster leaves in the folder of clusters: parts of something, or of nobody."""
    of_host = runtime._home.service._runtime  # type: ignore[attr-defined]
    home, known = of_host.home, set(of_host.clusters)
    places = {each.place for one in of_host.clusters.values() for each in one.records.values()}
    found = [
        path
        for name in ("*.next", "*.partial", "unnamed")
        for path in home.clusters.glob(f"*/{name}")
    ]
    found += [
        path
        for where in (home.clusters, home.bases)
        for path in where.iterdir()
        if path.name not in known
    ]
    found += [
        path for path in home.clusters.glob("*/db-*") if path.is_dir() and path.name not in places
    ]
    return sorted(map(str, found))


def _file(folder: Path) -> str:
    return str(folder / "made.snapshot")


def _export(runtime: Runtime, folder: Path) -> None:
    if not Path(_file(folder)).exists():
        runtime.export_db_cluster_snapshot(KEPT, _file(folder))


def _no_file(runtime: Runtime, folder: Path) -> None:
    Path(_file(folder)).unlink(missing_ok=True)


def _delete_made(runtime: Runtime, folder: Path) -> None:
    runtime.delete_db_cluster(MADE, delete_automated_backups=True)


def _delete_snapshot(runtime: Runtime, folder: Path) -> None:
    runtime.delete_db_cluster_snapshot(MADE)


def _create_reader(runtime: Runtime, folder: Path, name: str = READER) -> None:
    runtime.create_db_instance(name, db_cluster_identifier=SOURCE)


def _forward(runtime: Runtime, folder: Path) -> None:
    """A cluster that was rewound is what it was before."""
    if rows(runtime.cluster(SOURCE)) == [1]:
        runtime.undo_rewind(SOURCE)


def _back(runtime: Runtime, folder: Path) -> None:
    if rows(runtime.cluster(SOURCE)) == [1, 2]:
        runtime.rewind(SOURCE, "before")


def _unreset(runtime: Runtime, folder: Path) -> None:
    """A branch that is as its source has a row of its own again."""
    cluster = runtime.cluster(BRANCH)
    if rows(cluster) == [1, 2]:
        write(cluster, 3)


def _from_backup(runtime: Runtime, folder: Path) -> None:
    runtime.restore_db_cluster_to_point_in_time(
        MADE,
        SOURCE,
        use_latest_restorable_time=True,
        backup_location=runtime.describe_backup_store().location,
    )


WORKFLOWS: dict[str, Workflow] = {
    "create cluster": Workflow(lambda runtime, _: runtime.create_db_cluster(MADE), _delete_made),
    "delete cluster": Workflow(
        _delete_made, first=lambda runtime, _: runtime.create_db_cluster(MADE, if_not_exists=True)
    ),
    "create reader": Workflow(
        lambda runtime, folder: _create_reader(runtime, folder, f"{READER}2"),
        lambda runtime, _: runtime.delete_db_instance(f"{READER}2"),
    ),
    "delete reader": Workflow(
        lambda runtime, _: runtime.delete_db_instance(READER), _create_reader
    ),
    "failover": Workflow(lambda runtime, _: runtime.failover_db_cluster(SOURCE)),
    "snapshot": Workflow(
        lambda runtime, _: runtime.create_db_cluster_snapshot(MADE, SOURCE), _delete_snapshot
    ),
    "copy snapshot": Workflow(
        lambda runtime, _: runtime.copy_db_cluster_snapshot(KEPT, MADE), _delete_snapshot
    ),
    "export snapshot": Workflow(_export, _no_file),
    "import snapshot": Workflow(
        lambda runtime, folder: runtime.import_db_cluster_snapshot(MADE, _file(folder)),
        _delete_snapshot,
        first=_export,
    ),
    "restore snapshot": Workflow(
        lambda runtime, _: runtime.restore_db_cluster_from_snapshot(MADE, KEPT), _delete_made
    ),
    "restore to a time": Workflow(_from_backup, _delete_made),
    "clone": Workflow(lambda runtime, _: branch(runtime, SOURCE, MADE), _delete_made),
    "rewind": Workflow(
        lambda runtime, _: runtime.rewind(SOURCE, "before"), _forward, changes=SOURCE, after=(1,)
    ),
    "undo rewind": Workflow(
        lambda runtime, _: runtime.undo_rewind(SOURCE),
        first=_back,
        changes=SOURCE,
        before=(1,),
    ),
    "reset branch": Workflow(
        lambda runtime, _: runtime.reset_branch(BRANCH),
        first=_unreset,
        changes=BRANCH,
        before=(1, 2, 3),
    ),
}


def main() -> None:
    state, name, wanted = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    pacing.FIRST_AFTER_S = 3600.0
    steps = Steps(state.parent)
    steps.install()

    def end(step: str, kind: str, needs_room: bool) -> None:
        if step == wanted:
            os._exit(ENDED)

    with Runtime.open(state, warm_pool_size=0) as runtime:
        WORKFLOWS[name].first(runtime, state.parent)
        with steps.told(end):
            WORKFLOWS[name].do(runtime, state.parent)
    os._exit(NOT_REACHED)


if __name__ == "__main__":
    main()
