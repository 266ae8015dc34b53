"""Writes what offers the operations: `python -m cluster_runtime.control.operations.generate`.

With --check it writes nothing, and ends with status 1 where a file is not what it would write.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from cluster_runtime.control.operations import OPERATIONS
from cluster_runtime.control.operations.declaration import Declared
from cluster_runtime.control.operations.source import Style, brackets, module
from cluster_runtime.control.operations.table import reference

ROOT = Path(__file__).parent.parent.parent.parent
GENERATED = """
Generated from the declarations in `cluster_runtime/control/operations/` by
`python -m cluster_runtime.control.operations.generate`: change those, not this.
"""
HANDLE_MODULE = "cluster_runtime.control.handle"
STATE = '''    """{what}"""

    _thread: LoopThread
    _service: ControlService'''
HANDLES = '''

    def cluster(self, identifier: str) -> ClusterHandle:
        """A handle on an existing cluster. Raises ClusterNotFoundError."""
        return self._service.handle(identifier)'''
DRIVEN = (
    ("cluster_runtime.control.loop_thread", "LoopThread"),
    ("cluster_runtime.control.service", "ControlService"),
)


def _called(declared: Declared) -> list[str]:
    start = "" if declared.result is None else "return "
    return [f"{start}self._thread.call(self._service.{declared.method}(request))"]


def _awaited(declared: Declared) -> list[str]:
    start = "" if declared.result is None else "return "
    called = f"self._service.{declared.method}(request)"
    inside = " " * 8
    lines = brackets(f"{start}await self._thread.acall(", [called], ")", inside)
    return [line.removeprefix(inside) for line in lines]


BLOCKING = Style(
    docstring=f"The operations of `Runtime`.\n{GENERATED}",
    head="class BlockingOperations:\n" + STATE.format(what="Each waits for the runtime's loop."),
    imports=DRIVEN,
    body=_called,
)
AWAITED = Style(
    docstring=f"The operations of `AsyncRuntime`.\n{GENERATED}",
    head="class AwaitedOperations:\n"
    + STATE.format(what="Each awaits the runtime's loop.")
    + HANDLES,
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


def _asked(declared: Declared) -> list[str]:
    if declared.result is None:
        return ["self._perform(request)"]
    kind = declared.result.protocol_name or declared.result.name
    kind = f"Sequence[{kind}]" if declared.result.many else kind
    return [f"result: {kind} = self._perform(request)", "return result"]


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
