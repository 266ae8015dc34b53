"""What tools stand on: the narrow port to the clusters, and one call's view of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from anyio import to_thread

from cluster_runtime.control.plane import Cluster, ControlPlane
from mcp_server.progress import Progress

if TYPE_CHECKING:
    from mcp_server.tools.definition import Scope

T = TypeVar("T")


@dataclass(slots=True)
class Platform:
    """The control plane that a server's tools work on."""

    plane: ControlPlane


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one tool. `off_loop` runs what blocks, so that other calls go on meanwhile."""

    platform: Platform
    scope: "Scope"
    progress: Progress

    @property
    def plane(self) -> ControlPlane:
        return self.platform.plane

    async def off_loop(self, work: Callable[[], T]) -> T:
        """Run blocking work in a thread. A caller that leaves does not wait for its end."""
        return await to_thread.run_sync(work, abandon_on_cancel=True)

    async def cluster(self, identifier: str) -> Cluster:
        return await self.off_loop(lambda: self.plane.cluster(identifier))
