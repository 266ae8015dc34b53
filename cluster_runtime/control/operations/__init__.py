"""The operations of the control plane, each declared once; one module for each noun.

To add one: declare it here, give a class of `control.performing` the method of its name, and run
the modules `cluster_runtime.control.operations.generate` and `cluster_runtime.api.reference`.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cluster_runtime.control.operations.declaration import (
    Declared,
    Request,
    declared_in,
    operation,
)

__all__ = ["OPERATIONS", "Declared", "Request", "operation"]

NOUNS = (
    "clusters",
    "recovery.restoring",
    "recovery.rewinding",
    "recovery.snapshots",
    "recovery.backups",
    "instances",
    "events",
    "resources",
    "engines",
    "sessions",
    "measuring.metrics",
    "volumes",
    "billing.bills",
    "comparing.diffs",
)
"""The modules, in the order in which all of them are shown."""

if TYPE_CHECKING:
    OPERATIONS: tuple[Declared, ...]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a command that calls one operation does not wait for all others.
    if name != "OPERATIONS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _operations()


@cache
def _operations() -> tuple[Declared, ...]:
    return declared_in(import_module(f"{__name__}.{noun}") for noun in NOUNS)
