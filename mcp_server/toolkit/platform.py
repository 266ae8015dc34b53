"""What tools stand on: the narrow port to the clusters, what a server may do, and one call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from anyio import to_thread
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context

from cluster_runtime.control.plane import Cluster, ControlPlane
from mcp_server.answers.pages import ANSWER_TOKENS, KeptAnswers
from mcp_server.databases.existing import Database, Databases
from mcp_server.questions import Questions
from mcp_server.toolkit.changes import Changes
from mcp_server.toolkit.progress import Progress
from mcp_server.toolkit.toolsets import DEFAULT, Toolsets

T = TypeVar("T")


@dataclass(slots=True)
class Platform:
    """What the tools of one server share: its clusters or databases, and what it learnt of them.

    plane: None for a server of databases that are there already, whose tools need none.
    """

    plane: ControlPlane | None
    questions: Questions
    databases: Databases | None = None
    kept: KeptAnswers = field(default_factory=KeptAnswers)
    changes: Changes = field(default_factory=Changes)

    @property
    def clusters(self) -> ControlPlane:
        """Where clusters are made."""
        if self.plane is None:
            raise AssertionError("a server of existing databases has nothing for clusters")
        return self.plane

    async def off_loop(self, work: Callable[[], T]) -> T:
        """Run blocking work in a thread. A caller that leaves does not wait for its end."""
        return await to_thread.run_sync(work, abandon_on_cancel=True)

    async def database(self, identifier: str) -> Database:
        """What to read by that name: a cluster, or a database that is there already.

        Raises ClusterNotFoundError, or ScopeError for a database.
        """
        if self.databases is not None:
            return self.databases.database(identifier)
        return await self.off_loop(lambda: self.clusters.cluster(identifier))


@dataclass(frozen=True, slots=True)
class ServerScope:
    """What a server may do. cluster: the only one it works on, or None for all of them.

    databases: the names of those that it reads instead of clusters, where it does.
    toolsets: those whose tools it has. answer_tokens: most of one answer.
    """

    cluster: str | None = None
    read_only: bool = False
    databases: tuple[str, ...] = ()
    toolsets: Toolsets = DEFAULT
    answer_tokens: int = ANSWER_TOKENS


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one tool. `off_loop` runs what blocks, so that other calls go on meanwhile."""

    platform: Platform
    scope: ServerScope
    progress: Progress
    context: Context[Any, Any]

    @property
    def plane(self) -> ControlPlane:
        """Where clusters are made."""
        return self.platform.clusters

    @property
    def owner(self) -> str:
        """Who calls: over HTTP the session and what it shows; else the one client that there is."""
        return owner_of(self.context.request_context)

    async def off_loop(self, work: Callable[[], T]) -> T:
        """Run blocking work in a thread. A caller that leaves does not wait for its end."""
        return await self.platform.off_loop(work)

    async def cluster(self, identifier: str) -> Cluster:
        """A cluster by name. Raises ClusterNotFoundError."""
        return await self.off_loop(lambda: self.plane.cluster(identifier))

    async def database(self, identifier: str) -> Database:
        """What to read by that name: a cluster, or a database that is there already."""
        return await self.platform.database(identifier)


def owner_of(request: ServerRequestContext[Any, Any]) -> str:
    """Who sent a request: over HTTP its session and what it shows; else the only client."""
    headers = getattr(request.request, "headers", None) or {}
    return "\n".join(headers.get(name, "") for name in ("mcp-session-id", "authorization"))
