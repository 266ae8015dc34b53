"""Writes what offers the operations: `python -m cluster_runtime.control.operations.generate`.

With --check it writes nothing, and ends with status 1 where a file is not what it would write.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from cluster_runtime.control.operations import OPERATIONS
from cluster_runtime.control.operations.declaration import Declared
from cluster_runtime.control.operations.source import Style, module
from cluster_runtime.control.operations.table import reference

ROOT = Path(__file__).parent.parent.parent.parent
GENERATED = """
Generated from the declarations in `cluster_runtime/control/operations/` by
`python -m cluster_runtime.control.operations.generate`: change those, not this.
"""
HANDLE_MODULE = "cluster_runtime.control.handle"
STATE = '''    """{what}"""

    _home: Home'''
HANDLES = '''

    def cluster(self, identifier: str) -> ClusterHandle:
        """A handle on an existing cluster. Raises ClusterNotFoundError."""
        return self._home.handle(identifier)'''
DRIVEN = (("cluster_runtime.control.home", "Home"),)


def _called(returns: str) -> list[str]:
    return _performed("self._home.call(request)", returns)


def _awaited(returns: str) -> list[str]:
    return _performed("await self._home.acall(request)", returns)


def _performed(call: str, returns: str) -> list[str]:
    if returns == "None":
        return [call]
    return [f"result: {returns} = {call}", "return result"]


BLOCKING = Style(
    docstring=f"The operations of `Runtime`.\n{GENERATED}",
    head="class BlockingOperations:\n" + STATE.format(what="Each waits for its end."),
    imports=DRIVEN,
    body=_called,
)
AWAITED = Style(
    docstring=f"The operations of `AsyncRuntime`.\n{GENERATED}",
    head="class AwaitedOperations:\n" + STATE.format(what="Each is awaited.") + HANDLES,
    imports=(*DRIVEN, (HANDLE_MODULE, "ClusterHandle")),
    awaited=True,
    body=_awaited,
)
PLANE = Style(
    docstring=(
        "The control plane as its callers see it: one Protocol, shaped like the RDS API.\n\n"
        "`cluster_runtime.Runtime` is the local implementation. Code that creates and uses "
        "clusters\n(the MCP tools, the memory backends, the command line) depends on this "
        f"Protocol and on\n`Cluster` alone.\n{GENERATED}"
    ),
    head='''class ControlPlane(Protocol):
    """Operations on clusters; each named after its RDS API operation.

    A cluster is named by its DBClusterIdentifier or its DbClusterResourceId. Errors are those of
    `cluster_runtime.errors`.
    """

    def cluster(self, identifier: str) -> Cluster:
        """A handle on an existing cluster. Raises ClusterNotFoundError."""''',
    imports=(("typing", "Protocol"), (HANDLE_MODULE, "Cluster")),
    public=("Cluster", "ControlPlane"),
)


def _asked(returns: str) -> list[str]:
    return _performed("self._perform(request)", returns)


REMOTE = Style(
    docstring=f"The operations of `RdsControlPlane`.\n{GENERATED}",
    head='''class RemoteOperations:
    """Each asks an endpoint."""

    def _perform(self, request: Request) -> Any:
        raise NotImplementedError''',
    imports=(("typing", "Any"), ("cluster_runtime.control.operations.declaration", "Request")),
    body=_asked,
    promised=True,
)


def remote(operations: Iterable[Declared]) -> str:
    """The source of the operations behind an endpoint."""
    return module(REMOTE, operations)


def blocking(operations: Iterable[Declared]) -> str:
    """The source of the blocking operations."""
    return module(BLOCKING, operations)


def awaited(operations: Iterable[Declared]) -> str:
    """The source of the awaited operations."""
    return module(AWAITED, operations)


def plane(operations: Iterable[Declared]) -> str:
    """The source of the Protocol."""
    return module(PLANE, operations)


def files(operations: tuple[Declared, ...] = OPERATIONS) -> dict[Path, str]:
    """Every generated file, and what belongs in it."""
    return {
        ROOT / "cluster_runtime" / "_blocking.py": blocking(operations),
        ROOT / "cluster_runtime" / "_awaited.py": awaited(operations),
        ROOT / "cluster_runtime" / "control" / "plane.py": plane(operations),
        ROOT / "cluster_runtime" / "api" / "client" / "_asked.py": remote(operations),
        ROOT / "docs" / "operations.md": reference(operations),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or check them; the exit status."""
    check = arguments == ["--check"]
    stale = [
        path
        for path, text in files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is not what the declarations say; run {__spec__.name}")
        else:
            path.write_text(files()[path], encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
