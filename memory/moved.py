"""Modules by their paths of the release before: they import, with a DeprecationWarning.

Where something else has the name that a module had, it has `__getattr__ = names_of(...)` for what
that module held (hidden from type checkers, which would allow any name then). All of this goes with
the next release but one.

`memory` and `cluster_runtime` know nothing of each other, so each has a copy of this.
"""

# pylint: disable=duplicate-code
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any
from warnings import warn

MOVED = {
    "memory.arrays": "memory.database.arrays",
    "memory.codec": "memory.encoding.codec",
    "memory.connections": "memory.database.connections",
    "memory.document_filters": "memory.documents.filters",
    "memory.driver": "memory.database.driver",
    "memory.encryption": "memory.encoding.encryption",
    "memory.failures": "memory.database.failures",
    "memory.filters": "memory.store.filters",
    "memory.index": "memory.store.index",
    "memory.items": "memory.store.items",
    "memory.jsonsafe": "memory.encoding.jsonsafe",
    "memory.maintenance": "memory.checkpoints.maintenance",
    "memory.msgpack": "memory.encoding.msgpack",
    "memory.reading": "memory.checkpoints.reading",
    "memory.saver": "memory.checkpoints.saver",
    "memory.schema": "memory.database.schema",
    "memory.scope": "memory.database.scope",
    "memory.searching": "memory.store.searching",
    "memory.secrets": "memory.checkpoints.address_key",
    "memory.serde": "memory.encoding.serde",
    "memory.setup": "memory.database.setup",
    "memory.steps": "memory.database.steps",
    "memory.tenancy": "memory.database.tenancy",
    "memory.text": "memory.encoding.ids",
    "memory.vectorstore": "memory.documents.vectorstore",
}


class MovedModules(Loader):
    """A finder on `sys.meta_path`: an old name gives the module of the new one, the same object."""

    def __init__(self, new_names: Mapping[str, str]) -> None:
        self._new_names = new_names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of the protocol of finders."""
        return ModuleSpec(name, self) if name in self._new_names else None

    def exec_module(self, module: ModuleType) -> None:
        """Part of the protocol of loaders: what is in `sys.modules` afterwards is imported."""
        new = self._new_names[module.__name__]
        _warn(module.__name__, new)
        sys.modules[module.__name__] = import_module(new)


def names_of(package: str, module: str) -> Callable[[str], Any]:
    """The `__getattr__` of what has the name now that another module had, which is `module` now."""

    def look_up(name: str) -> Any:
        path = vars(sys.modules[package]).get("__path__", ())
        if name.startswith("__") or PathFinder.find_spec(f"{package}.{name}", path):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(module), name)
        _warn(f"{package}.{name}", f"{module}.{name}")
        return found

    return look_up


def _warn(old: str, new: str) -> None:
    # The frames of the import system in between are left out by `warnings` itself.
    warn(f"{old} has moved to {new}", DeprecationWarning, stacklevel=3)
