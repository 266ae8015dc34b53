"""Modules by their paths of the release before: they import, with a DeprecationWarning.

Where something else has the name that a module had, it has `__getattr__ = names_of(...)` for what
that module held, and where a name changed, its module has `__getattr__ = renamed(...)` (hidden from
type checkers, which would allow any name then). All of this goes with the next release but one.

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
    "cluster_runtime.control.catalog": "cluster_runtime.control.records.catalog",
    "cluster_runtime.control.compute": "cluster_runtime.control.instance",
    "cluster_runtime.control.connections": "cluster_runtime.host_connection",
    "cluster_runtime.control.context": "cluster_runtime.control.cluster",
    "cluster_runtime.control.create": "cluster_runtime.control.workflows.create",
    "cluster_runtime.control.delete": "cluster_runtime.control.workflows.delete",
    "cluster_runtime.control.faults": "cluster_runtime.control.workflows.faults",
    "cluster_runtime.control.identifiers": "cluster_runtime.control.records.identifiers",
    "cluster_runtime.control.instances": "cluster_runtime.control.servers.postgres",
    "cluster_runtime.control.model": "cluster_runtime.control.records.model",
    "cluster_runtime.control.modify": "cluster_runtime.control.workflows.modify",
    "cluster_runtime.control.power": "cluster_runtime.control.workflows.power",
    "cluster_runtime.control.recover": "cluster_runtime.control.workflows.recover",
    "cluster_runtime.control.state_directory": "cluster_runtime.control.records.state_directory",
    "cluster_runtime.control.tokens": "cluster_runtime.control.records.tokens",
    "cluster_runtime.control.watch": "cluster_runtime.serverless.watch",
    "cluster_runtime.engine.files": "cluster_runtime.engine.system.files",
    "cluster_runtime.engine.locks": "cluster_runtime.engine.system.locks",
    "cluster_runtime.engine.os_user": "cluster_runtime.engine.sandbox.os_user",
    "cluster_runtime.engine.roles": "cluster_runtime.engine.access.roles",
    "cluster_runtime.gateway.handshake": "cluster_runtime.gateway.authentication.handshake",
    "cluster_runtime.gateway.iam": "cluster_runtime.gateway.authentication.iam",
    "cluster_runtime.gateway.protocol": "cluster_runtime.gateway.wire.protocol",
    "cluster_runtime.gateway.reactor": "cluster_runtime.gateway.relay.reactor",
    "cluster_runtime.gateway.scram": "cluster_runtime.gateway.authentication.scram",
    "cluster_runtime.gateway.stream": "cluster_runtime.gateway.relay.stream",
    "cluster_runtime.gateway.tls": "cluster_runtime.gateway.authentication.tls",
    "cluster_runtime.storage.batch": "cluster_runtime.storage.core.batch",
    "cluster_runtime.storage.coalescer": "cluster_runtime.storage.upkeep.images.coalescer",
    "cluster_runtime.storage.compute_directory": "cluster_runtime.storage.disk.data_directory",
    "cluster_runtime.storage.cursor": "cluster_runtime.storage.live.cursor",
    "cluster_runtime.storage.data_directories": "cluster_runtime.storage.upkeep.data_directories",
    "cluster_runtime.storage.facts": "cluster_runtime.storage.live.volume_file",
    "cluster_runtime.storage.fault_injection": "cluster_runtime.storage.upkeep.faults",
    "cluster_runtime.storage.faults": "cluster_runtime.storage.core.faults",
    "cluster_runtime.storage.file_preparation": "cluster_runtime.storage.upkeep.log_files",
    "cluster_runtime.storage.gossip": "cluster_runtime.storage.live.gossip",
    "cluster_runtime.storage.growth": "cluster_runtime.storage.core.policy.growth",
    "cluster_runtime.storage.host": "cluster_runtime.storage.volume",
    "cluster_runtime.storage.log_files": "cluster_runtime.storage.disk.log_files",
    "cluster_runtime.storage.mount": "cluster_runtime.storage.live.mount",
    "cluster_runtime.storage.node": "cluster_runtime.storage.live.node",
    "cluster_runtime.storage.opening": "cluster_runtime.storage.live.opening",
    "cluster_runtime.storage.page_images": "cluster_runtime.storage.disk.page_images",
    "cluster_runtime.storage.pages": "cluster_runtime.storage.upkeep.images.pages",
    "cluster_runtime.storage.quorum": "cluster_runtime.storage.core.quorum",
    "cluster_runtime.storage.repair": "cluster_runtime.storage.upkeep.repair",
    "cluster_runtime.storage.replacement": "cluster_runtime.storage.core.policy.replacement",
    "cluster_runtime.storage.replacing": "cluster_runtime.storage.upkeep.replacement",
    "cluster_runtime.storage.replication": "cluster_runtime.storage.streaming.replication",
    "cluster_runtime.storage.scrub": "cluster_runtime.storage.core.policy.scrub",
    "cluster_runtime.storage.scrubbing": "cluster_runtime.storage.upkeep.scrub",
    "cluster_runtime.storage.segment": "cluster_runtime.storage.core.segment",
    "cluster_runtime.storage.segment_store": "cluster_runtime.storage.disk.segment_store",
    "cluster_runtime.storage.staging": "cluster_runtime.storage.disk.ring",
    "cluster_runtime.storage.timelines": "cluster_runtime.storage.core.timelines",
    "cluster_runtime.storage.types": "cluster_runtime.storage.core.types",
    "cluster_runtime.storage.wal_protocol": "cluster_runtime.storage.streaming.wal_protocol",
    "cluster_runtime.storage.wal_records": "cluster_runtime.storage.core.wal_records",
    "cluster_runtime.storage.wal_service": "cluster_runtime.storage.streaming.wal_service",
    "cluster_runtime.storage.worker": "cluster_runtime.storage.upkeep.worker",
}


def renamed(module: str, **names: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module: what its names of the release before are called now."""

    def look_up(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn(f"{module}.{name} is called {names[name]}", DeprecationWarning, stacklevel=2)
        return getattr(sys.modules[module], names[name])

    return look_up


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
