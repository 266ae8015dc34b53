"""What tools stand on: the narrow port to the clusters, what a server may do, and one call."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from anyio import to_thread
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import principal_components
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context

from cluster_runtime.control.plane import Cluster, ControlPlane
from cluster_runtime.errors import ClusterNotFoundError, InvalidClusterStateError
from mcp_server.answers.pages import ANSWER_TOKENS, KeptAnswers
from mcp_server.databases.existing import Database, Databases
from mcp_server.databases.opening import asked_again
from mcp_server.memories.stores import KeptMemories
from mcp_server.questions import Questions
from mcp_server.safety.confirmations import Confirmations
from mcp_server.toolkit.changes import Changes
from mcp_server.toolkit.progress import Progress
from mcp_server.toolkit.toolsets import DEFAULT, Toolsets

T = TypeVar("T")
FOUND_SECONDS = 2.0
"""To look a cluster up takes as long as to read from it, where its host is another process."""
GONE = (ClusterNotFoundError, InvalidClusterStateError)
"""What a handle says whose cluster was deleted: the second while it goes."""


@dataclass(slots=True)
class Platform:
    """What the tools of one server share: its clusters or databases, and what it learnt of them.

    plane: None for a server of databases that are there already, whose tools need none.
    found: clusters by what they were called a moment ago, with when to look again.
    forgotten: how often that was given up. What was looked up before is of an earlier time.
    unfinished: what calls have left to be done after their answers.
    """

    plane: ControlPlane | None
    questions: Questions
    databases: Databases | None = None
    kept: KeptAnswers = field(default_factory=KeptAnswers)
    changes: Changes = field(default_factory=Changes)
    memories: KeptMemories = field(default_factory=KeptMemories)
    confirmations: Confirmations = field(default_factory=Confirmations)
    found: dict[str, tuple[Cluster, float]] = field(default_factory=dict)
    forgotten: int = 0
    unfinished: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def clusters(self) -> ControlPlane:
        """Where clusters are made."""
        if self.plane is None:
            raise AssertionError("a server of existing databases has nothing for clusters")
        return self.plane

    async def off_loop(self, work: Callable[[], T]) -> T:
        """Run blocking work in a thread. A caller that leaves does not wait for its end."""
        return await to_thread.run_sync(work, abandon_on_cancel=True)

    def afterwards(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin work that no call waits for, and that raises nothing; a server's end does wait."""
        task = asyncio.get_running_loop().create_task(work)
        self.unfinished.add(task)
        task.add_done_callback(self.unfinished.discard)

    async def settled(self) -> None:
        """Wait for the end of what calls have left to be done."""
        while self.unfinished:
            await asyncio.wait(self.unfinished)

    async def database(self, identifier: str) -> Database:
        """What to read by that name: a cluster, or a database that is there already.

        Raises ClusterNotFoundError, or ScopeError for a database.
        """
        if self.databases is not None:
            return self.databases.database(identifier)
        return await self.known(identifier)

    async def known(self, identifier: str) -> Cluster:
        """A cluster by name, as it was a moment ago. Raises ClusterNotFoundError."""
        found, until = self.found.get(identifier, (None, 0.0))
        if found is None or time.monotonic() > until:
            before = self.forgotten
            found = await self.off_loop(lambda: self.clusters.cluster(identifier))
            if before == self.forgotten:
                self.note(identifier, found)
        return found

    def note(self, identifier: str, cluster: Cluster) -> None:
        """Know a cluster by a name for a moment."""
        self.found[identifier] = cluster, time.monotonic() + FOUND_SECONDS

    def forget(self) -> None:
        """Look clusters up again: they may have been renamed, deleted or replaced."""
        self.found.clear()
        self.forgotten += 1

    async def asked_again(self, read: Callable[[], Awaitable[T]], named: str) -> T:
        """What a call returns that only reads: asked once more where its cluster has gone.

        Another may have the name by now, and where the host has gone, the next one is asked.
        named: the cluster that the call reads. What is known of others stays.
        """
        try:
            return await asked_again(read)
        except GONE:
            self.found.pop(named, None)
            return await asked_again(read)


@dataclass(frozen=True, slots=True)
class ServerScope:
    """What a server may do. cluster: the only one it works on, or None for all of them.

    databases: the names of those that it reads instead of clusters, where it does.
    toolsets: those whose tools it has. answer_tokens: most of one answer.
    memory_cluster: where memories are, whatever the others work on; made at the first one.
    allow_destructive: whether calls that destroy something need no confirmation.
    """

    cluster: str | None = None
    read_only: bool = False
    databases: tuple[str, ...] = ()
    toolsets: Toolsets = DEFAULT
    answer_tokens: int = ANSWER_TOKENS
    memory_cluster: str | None = None
    allow_destructive: bool = False

    @property
    def memory_home(self) -> str | None:
        """The one cluster that all memories of the server are in; None where calls name it."""
        return self.memory_cluster or self.cluster


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one tool. `off_loop` runs what blocks, so that other calls go on meanwhile.

    tool, arguments: what was called, without its confirmation, which is None where it has none.
    """

    platform: Platform
    scope: ServerScope
    progress: Progress
    context: Context[Any, Any]
    tool: str
    arguments: Mapping[str, Any]
    confirmation: str | None = None

    @property
    def plane(self) -> ControlPlane:
        """Where clusters are made."""
        return self.platform.clusters

    @property
    def owner(self) -> str:
        """Who calls: over HTTP the session and who showed a token; else the only client."""
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
    """Who sent a request: over HTTP its session and who showed a token; else the only client."""
    if request.request is None:
        return ""
    session = request.request.headers.get("mcp-session-id", "")
    user = request.request.scope.get("user")
    # Not the token itself, which a client renews while it goes on.
    shown = principal_components(user.access_token) if isinstance(user, AuthenticatedUser) else ()
    return "\n".join([session, *map(str, shown)])
