"""Every public part of the runtime is reached from what its users call: no room without a door.

A capability that nothing switches on passes every test of its own, and does not exist. So each
public class, function, method and property of `cluster_runtime` has to be named, directly or
through others, by code that runs when somebody uses `Runtime`, the command line, a tool or memory.
Names are followed, not types: what this finds unreached is so; two things of one name may hide one.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import cluster_runtime
from cluster_runtime.control.operations import OPERATIONS

ROOT = Path(__file__).parent.parent
PACKAGE = "cluster_runtime"
ENTRIES = (
    *("cluster_runtime/runtime.py", "cluster_runtime/_blocking.py", "cluster_runtime/_awaited.py"),
    *("mcp_server/", "memory/"),
)
"""`Runtime`, `AsyncRuntime` and the handles that they give out; the packages above this one."""

ENTRY_NAMES = {"main", *cluster_runtime.__all__}
"""What a module does when it is run by itself; what users import."""

OFFERED = {each.method for each in OPERATIONS}
"""What a host looks up by its name, for each operation that `Runtime` has a method for."""

NOT_OF_THE_PRODUCT = ("cluster_runtime/storage/simulation/",)
"""Has a command of its own, and is no part of a running cluster."""

EXPECTED = {
    "cluster_runtime/control/records/recovery/backups.py: "
    "DBClusterAutomatedBackup.db_cluster_automated_backups_arn": "the endpoint asks by RDS's name",
    "cluster_runtime/control/records/rules.py: check_password": "the type of a parameter holds it",
    "cluster_runtime/diff/schema/fragments.py: not_of_an_extension": "constants are made with it",
    "cluster_runtime/host/log_file.py: HostLogHandler.emit": "logging calls it",
    "cluster_runtime/moved.py: MovedModules.exec_module": "the import system calls it",
}
"""Public, and named by nothing of the product: why."""


@dataclass
class Definition:
    """A class, function or method; `names`: what its body refers to."""

    name: str
    where: str
    parent: "Definition | None"
    names: set[str] = field(default_factory=set)

    @property
    def is_public(self) -> bool:
        own = not self.name.startswith("_")
        return own and (self.parent is None or self.parent.is_public)


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in (PACKAGE, "mcp_server", "memory"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if not name.startswith(NOT_OF_THE_PRODUCT):
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def names_in(node: ast.AST) -> set[str]:
    """What a piece of code refers to: names, attributes, and names in quoted annotations."""
    found = set()
    for each in ast.walk(node):
        match each:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                found.add(name)
            case ast.Constant(value=str(text)) if text.isidentifier():
                found.add(text)
    return found


def definitions(where: str, tree: ast.Module) -> tuple[list[Definition], set[str]]:
    """The definitions of a module, and what its own statements refer to."""
    found: list[Definition] = []
    own: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.append(Definition(node.name, where, None, names_in(node)))
            case ast.ClassDef():
                made = Definition(node.name, f"{where}", None)
                found.append(made)
                for base in (*node.bases, *node.decorator_list):
                    made.names |= names_in(base)
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                        method = Definition(inner.name, where, made, names_in(inner))
                        if inner.name.startswith("__"):
                            made.names |= method.names
                        else:
                            found.append(method)
                    else:
                        made.names |= names_in(inner)
            case ast.Import() | ast.ImportFrom():
                continue  # an import alone uses nothing
            case _:
                own |= names_in(node)
    return found, own


def unreached(parsed: list[tuple[str, ast.Module]], entries: tuple[str, ...]) -> list[str]:
    by_name: dict[str, list[Definition]] = defaultdict(list)
    by_module: dict[str, set[str]] = {}
    everything: list[Definition] = []
    for where, tree in parsed:
        found, own = definitions(where, tree)
        by_module[where] = own
        everything += found
        for each in found:
            by_name[each.name].append(each)
    reached: set[int] = set()
    pending: dict[int, list[Definition]] = defaultdict(list)
    loaded: set[str] = set()
    waiting = [
        each
        for each in everything
        if each.where.startswith(entries) or (each.parent or each).name in ENTRY_NAMES
    ]

    def need(names: set[str]) -> None:
        for name in names:
            waiting.extend(by_name.get(name, ()))

    need(OFFERED)
    while waiting:
        each = waiting.pop()
        if id(each) in reached:
            continue
        if each.parent is not None and id(each.parent) not in reached:
            pending[id(each.parent)].append(each)  # until its class is reached itself
            continue
        reached.add(id(each))
        need(each.names)
        waiting.extend(pending.pop(id(each), ()))
        if each.where not in loaded:
            loaded.add(each.where)
            need(by_module[each.where])
    return sorted(
        f"{each.where}: {each.parent.name + '.' if each.parent else ''}{each.name}"
        for each in everything
        if each.where.startswith(PACKAGE) and each.is_public and id(each) not in reached
    )


def test_every_public_part_of_the_runtime_is_reached_from_it() -> None:
    found = unreached(list(modules()), ENTRIES)
    assert [each for each in found if each not in EXPECTED] == []
    assert set(EXPECTED) <= set(found), "these are reached by now"


LAMP = """
class Lamp:
    def shine(self): return self._glow()
    def _glow(self): return Glass().clear
    def blink(self): return broken()
class Glass:
    @property
    def clear(self): return TINT
    @property
    def dark(self): return TINT
def broken(): ...
def switched_on_by_a_module(): ...
TABLE = {"on": switched_on_by_a_module}
"""


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (
            "def main(): ...",
            "Glass Glass.clear Glass.dark Lamp Lamp.blink Lamp.shine broken "
            "switched_on_by_a_module",
        ),
        (
            "from lamp import Lamp\ndef main(): Lamp()",
            "Glass Glass.clear Glass.dark Lamp.blink Lamp.shine broken",
        ),
        ("def main(): Lamp().shine()", "Glass.dark Lamp.blink broken"),
        ("def main(): Lamp().blink()", "Glass Glass.clear Glass.dark Lamp.shine"),
        (
            "def main(): shine()",
            "Glass Glass.clear Glass.dark Lamp Lamp.blink Lamp.shine broken "
            "switched_on_by_a_module",
        ),
        (
            "from lamp import broken\ndef main(): ...",
            "Glass Glass.clear Glass.dark Lamp Lamp.blink "
            "Lamp.shine broken switched_on_by_a_module",
        ),
    ],
)
def test_what_nobody_names_is_found(entry: str, found: str) -> None:
    parsed = [("entry.py", ast.parse(entry)), (f"{PACKAGE}/lamp.py", ast.parse(LAMP))]
    names = [each.partition(": ")[2] for each in unreached(parsed, ("entry.py",))]
    assert names == found.split()
