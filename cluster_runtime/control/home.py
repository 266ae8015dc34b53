"""What `Runtime` and `AsyncRuntime` stand on: clusters hosted here, or by another process."""

from typing import Any, Protocol

from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations.declaration import Request


class Home(Protocol):
    """Where operations are performed. Each has a blocking form, and one that is awaited."""

    def call(self, request: Request) -> Any:
        """Perform an operation; raises what it declares. An interrupt cancels it."""

    async def acall(self, request: Request) -> Any:
        """The same, awaited; cancellation cancels the operation."""

    def handle(self, identifier: str) -> ClusterHandle:
        """A handle on a cluster. Raises ClusterNotFoundError."""

    def warm(self) -> None:
        """Wait until the warm pool is full."""

    async def awarm(self) -> None:
        """The same, awaited."""

    def close(self) -> None:
        """Host no longer, or detach. Calling it twice is harmless."""

    async def aclose(self) -> None:
        """The same, awaited."""
