"""Old import paths work for one release, with a warning, and the changelog lists them."""

import ast
import importlib
import pkgutil
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

import cluster_runtime.moved
import mcp_server.moved
import memory.moved

ROOT = Path(__file__).parent.parent
MOVED = cluster_runtime.moved.MOVED | memory.moved.MOVED | mcp_server.moved.MOVED
# Names that something else has now: what the module of that name held, and where it is.
TAKEN = {
    "cluster_runtime.gateway.relay": "cluster_runtime.gateway.relay.relay",
    "cluster_runtime.storage.disk": "cluster_runtime.storage.disk.device",
    "cluster_runtime.storage.volume": "cluster_runtime.storage.core.durability",
    "mcp_server.cli": "mcp_server.cli.commands",
    "mcp_server.nl2sql.linking": "mcp_server.nl2sql.linking.linking",
    "memory.checkpoints": "memory.checkpoints.rows",
    "memory.documents": "memory.documents.table",
    "memory.store": "memory.store.store",
}
# Names of the release before by their modules of now, and what they are called.
RENAMED = {
    "cluster_runtime.control.cluster": ("Context", "OpenRuntime"),
    "cluster_runtime.control.instance": ("Compute", "HostedInstance"),
    "cluster_runtime.storage.live.volume_file": ("VolumeFacts", "VolumeMetadata"),
    "cluster_runtime.storage.streaming.replication": ("SystemFacts", "SystemIdentification"),
    "cluster_runtime.storage.streaming.wal_protocol": ("LogFacts", "ServedLog"),
    "mcp_server.nl2sql.database.catalog": ("Facts", "KnownRelations"),
}


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_imports_the_module_itself_with_a_warning(
    old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(DeprecationWarning, match=f"{old} has moved to {MOVED[old]}") as caught:
        module = importlib.import_module(old)
    assert module is importlib.import_module(MOVED[old])
    assert module.__name__ == MOVED[old]
    assert {Path(warning.filename).name for warning in caught} <= {"test_moved.py", "__init__.py"}


@pytest.mark.parametrize("old", TAKEN)
def test_what_a_module_held_whose_name_is_taken_is_still_found(old: str) -> None:
    package, home = importlib.import_module(old), importlib.import_module(TAKEN[old])
    modules = {found.name for found in pkgutil.iter_modules(getattr(package, "__path__", ()))}
    names = [
        name
        for name, value in vars(home).items()
        if getattr(value, "__module__", None) == TAKEN[old] and not hasattr(ModuleType, name)
    ]
    assert names
    for name in names:
        if name not in modules:
            with pytest.warns(DeprecationWarning, match=f"{old}.{name} has moved to"):
                assert getattr(package, name) is getattr(home, name)


@pytest.mark.parametrize("path", RENAMED)
def test_an_old_name_gives_what_is_called_otherwise_now_with_a_warning(path: str) -> None:
    module, (old, new) = importlib.import_module(path), RENAMED[path]
    with pytest.warns(DeprecationWarning, match=f"{path}.{old} is called {new}") as caught:
        assert getattr(module, old) is getattr(module, new)
    assert {Path(warning.filename).name for warning in caught} == {"test_moved.py"}
    line = f"| `{path}` | `{old}` | `{new}` |"
    assert line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("old", TAKEN | RENAMED)
def test_a_name_that_nobody_has_is_refused_as_ever(old: str) -> None:
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        importlib.import_module(old).nothing_of_that_name  # noqa: B018


def test_modules_of_a_folder_go_before_what_the_old_module_held() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from memory.checkpoints import reading, saver

    assert saver.__name__ == "memory.checkpoints.saver"
    assert reading.__name__ == "memory.checkpoints.reading"


def test_a_path_that_never_was_is_refused_as_ever() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"memory\.nowhere"):
        importlib.import_module("memory.nowhere")


def test_nothing_of_ours_uses_an_old_path() -> None:
    used = set[tuple[str, str]]()
    for folder in ("cluster_runtime", "memory", "mcp_server", "tests", "bench", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Import():
                        names = {alias.name for alias in node.names}
                    case ast.ImportFrom(level=0, module=str(module)):
                        names = {module} | {f"{module}.{alias.name}" for alias in node.names}
                    case _:
                        continue
                used |= {(str(path.relative_to(ROOT)), name) for name in names & MOVED.keys()}
    assert not used


def test_both_copies_of_the_mechanism_are_the_same() -> None:
    """`memory` and `cluster_runtime` cannot share it: neither imports the other."""

    def code(package: str) -> str:
        return (ROOT / package / "moved.py").read_text(encoding="utf-8").partition("\n\nclass ")[2]

    assert code("memory") == code("cluster_runtime") != ""


@pytest.mark.parametrize("old", MOVED | TAKEN)
def test_the_changelog_lists_it(old: str) -> None:
    new = (MOVED | TAKEN)[old]
    (folder, _, name), was = new.rpartition("."), old.rpartition(".")[2]
    entry = f"`{was}`" if was == name else f"`{was}` (now `{name}`)"
    rows = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    where = f"| `{old.rpartition('.')[0]}` | `{folder}` |"
    assert any(row.startswith(where) and entry in row for row in rows), f"{where} ... {entry}"
