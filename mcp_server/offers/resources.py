"""Resources: a cluster, a table of its default database, core blocks of memory; by their URIs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import psycopg
import structlog
from mcp import MCPError
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import INTERNAL_ERROR, Resource

from cluster_runtime.control.plane import Cluster
from cluster_runtime.errors import BorealisError, ClusterNotFoundError
from cluster_runtime.wording import Words
from mcp_server.answers.pages import CHARACTERS_A_TOKEN, NOTE_CHARACTERS, Answer, blocks, page
from mcp_server.catalog import queries, showing
from mcp_server.catalog.tables import described, schema_of, tables_named, tables_of
from mcp_server.databases.existing import Database
from mcp_server.errors import ScopeError, SqlRefusedError
from mcp_server.memories.rules import MemoryScope, MemoryScopeError, NoMemoryError
from mcp_server.memories.stores import Memories
from mcp_server.nl2sql.database.identifiers import written
from mcp_server.offers.serving import Readable
from mcp_server.results import ClusterDescription
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import describing
from mcp_server.sql_errors import sql_error_text
from mcp_server.toolkit.changes import Changes
from mcp_server.toolkit.platform import Platform, ServerScope
from mcp_server.toolkit.toolsets import Toolset
from mcp_server.toolkit.uris import (
    CLUSTER_URI,
    MEMORY_OF_CLUSTER_URI,
    MEMORY_URI,
    TABLE_URI,
    cluster_uri,
    memory_uris,
)
from mcp_server.tools.schemas import overview

log = structlog.get_logger(__name__)

LIMITS = limits_of_a_call()
TABLES_COMPLETED = 5000
NOT_THERE = (
    ClusterNotFoundError,
    MemoryScopeError,
    NoMemoryError,
    ScopeError,
    SqlRefusedError,
)
"""Errors of what a URI names."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the resources of one server say, and the names that complete their arguments."""

    platform: Platform
    scope: ServerScope
    words: Words

    @property
    def changes(self) -> Changes:
        """Who is told when one changes."""
        return self.platform.changes

    def readable(self) -> list[Readable]:
        """Clusters, tables, and core blocks where the server has memories."""
        kinds = [
            Readable(
                CLUSTER_URI,
                "cluster",
                "Status, endpoints and settings of a cluster",
                self.cluster,
                "application/json",
            ),
            Readable(
                TABLE_URI,
                "table",
                "Columns, keys, constraints and indexes of a table, as M-Schema",
                self.table,
            ),
        ]
        if self.has_memories:
            home = self.scope.memory_home
            kinds.append(
                Readable(
                    MEMORY_OF_CLUSTER_URI if home is None else MEMORY_URI,
                    "memory",
                    "Core blocks of a scope (user:NAME, agent:NAME, run:NAME)",
                    self.memory_of if home is None else self.memory,
                )
            )
        return kinds

    async def names(self, argument: str, given: Mapping[str, str]) -> list[str]:
        """What an argument may be, after those given before it.

        Raises MCPError where that cannot be found out, which clients get as it is.
        """
        try:
            return await self._names(argument, given)
        except BorealisError as error:
            raise MCPError(INTERNAL_ERROR, error.told(self.words)) from error
        except psycopg.Error as error:
            raise MCPError(INTERNAL_ERROR, sql_error_text(error, self.words)) from error

    async def listed(self) -> list[Resource]:
        """The clusters or databases of the server."""
        return [
            Resource(
                uri=cluster_uri(name),
                name=name,
                description="What this database holds" if self.scope.databases else "A cluster",
                mime_type="application/json",
            )
            for name in await self.clusters()
        ] + [
            Resource(
                uri=memory_uris(None, scope)[0],
                name=scope,
                description="Core blocks of memory, to keep in the context",
                mime_type="text/plain",
            )
            for scope in await self._scopes_with_blocks()
        ]

    @property
    def has_memories(self) -> bool:
        """Whether core blocks of memory are among them."""
        return Toolset.MEMORY in self.scope.toolsets and not self.scope.databases

    async def clusters(self) -> list[str]:
        """The names that tools take for `cluster`."""
        if self.scope.databases:
            return list(self.scope.databases)
        if self.scope.cluster is not None:
            return [self.scope.cluster]
        facts = await self.platform.off_loop(self.platform.clusters.describe_db_clusters)
        return sorted(each.db_cluster_identifier for each in facts)

    async def cluster(self, id: str) -> str:
        """What is known of a cluster, or of a database that is there already."""
        return await self._told(lambda: self._cluster(id), id)

    async def table(self, id: str, schema: str, table: str) -> str:
        """A table in full, as M-Schema."""
        return await self._told(lambda: self._table(id, schema, table), id)

    async def memory(self, scope: str) -> str:
        """The core blocks of a scope, in the one cluster for memories."""
        home = self.scope.memory_home or ""
        return await self._told(lambda: self._blocks(home, scope), home)

    async def memory_of(self, id: str, scope: str) -> str:
        """The core blocks of a scope in a cluster."""
        return await self._told(lambda: self._blocks(id, scope), id)

    async def memory_scopes(self, cluster: str) -> list[str]:
        """The scopes that have memories in a cluster."""
        memories = await self._memories(cluster) if self.has_memories else None
        return [] if memories is None else await memories.scopes()

    async def schemas(self, cluster: str) -> list[str]:
        """The schemas of a cluster's default database."""
        async with describing(await self._database(cluster), None, LIMITS) as connection:
            rows = await (await connection.execute(queries.SCHEMA_NAMES)).fetchall()
            return [name for (name,) in rows]

    async def tables(self, cluster: str, schema: str | None) -> list[str]:
        """The tables of a schema; of all schemas with theirs before them."""
        async with describing(await self._database(cluster), None, LIMITS) as connection:
            found = await tables_of(connection, schema, TABLES_COMPLETED)
            return [each.name if schema is not None else each.label for each in found]

    async def _names(self, argument: str, given: Mapping[str, str]) -> list[str]:
        clusters = await self.clusters()
        if argument in ("cluster", "id"):
            return clusters
        if argument == "scope":
            home = self.scope.memory_home or given.get("id")
            return [] if home is None else await self.memory_scopes(home)
        # Of several, none is woken that nobody named.
        only = clusters[0] if len(clusters) == 1 else None
        cluster = given.get("id") or given.get("cluster") or only
        if cluster not in clusters:
            return []
        match argument:
            case "schema":
                return await self.schemas(cluster)
            case "table":
                return await self.tables(cluster, given.get("schema"))
            case _:
                return []

    async def _told(self, read: Callable[[], Awaitable[Answer]], cluster: str) -> str:
        """The text of a resource of a cluster. Raises ResourceError, which clients get as it is."""
        try:
            answer = await self.platform.asked_again(read, cluster)
        except NOT_THERE as error:
            raise ResourceNotFoundError(error.told(self.words)) from error
        except BorealisError as error:
            raise ResourceError(error.told(self.words)) from error
        except psycopg.Error as error:
            raise ResourceError(sql_error_text(error, self.words)) from error
        part = page(answer, 0, self.scope.answer_tokens * CHARACTERS_A_TOKEN - NOTE_CHARACTERS)
        notes = (f"{part.left} more lines are left out.",) if part.left else ()
        return "\n".join(blocks(part.text, notes, fenced=answer.fenced))

    async def _scopes_with_blocks(self) -> list[str]:
        """Those of a cluster that is paused as they were: a list is no reason to wake it."""
        home = self.scope.memory_home
        if home is None or not self.has_memories:
            return []
        seen = self.platform.memories.blocks_seen
        try:
            handle = await self._memory_cluster(home)
            if handle is None:
                return []
            if (await self.platform.off_loop(handle.describe)).paused:
                return seen.get(handle.id, [])
            blocks = await self.platform.memories.of(handle, writes=False).blocks()
        except (BorealisError, psycopg.Error) as error:
            # The clusters are told all the same, that of the memories too, which says why.
            log.warning("mcp.memories_not_listed", cluster=home, error=str(error))
            return []
        seen[handle.id] = list(dict.fromkeys(each.scope for each in blocks))
        return seen[handle.id]

    async def _memories(self, cluster: str) -> Memories | None:
        """The memories in a cluster; None where the one for memories is still to be made."""
        handle = await self._memory_cluster(cluster)
        return None if handle is None else self.platform.memories.of(handle, writes=False)

    async def _memory_cluster(self, cluster: str) -> Cluster | None:
        if self.scope.memory_home not in (None, cluster):
            raise ScopeError(f"the memories of this server are in {self.scope.memory_home!r} alone")
        try:
            return await self.platform.off_loop(lambda: self.platform.clusters.cluster(cluster))
        except ClusterNotFoundError:
            if cluster != self.scope.memory_cluster:
                raise
            return None

    async def _blocks(self, cluster: str, scope: str) -> Answer:
        owner = MemoryScope.of(scope)
        memories = await self._memories(cluster)
        blocks = [] if memories is None else await memories.blocks(owner)
        if not blocks:
            raise NoMemoryError(
                f"there is no core block in {owner}: remember with `block` makes one"
            )
        return Answer.lines([f"# {each.block}\n{each.text}\n" for each in blocks])

    async def _database(self, name: str) -> Database:
        if self.scope.cluster not in (None, name):
            raise ScopeError(f"this server works on cluster {self.scope.cluster!r} alone")
        return await self.platform.database(name)

    async def _cluster(self, name: str) -> Answer:
        database = await self._database(name)
        if not self.scope.databases:
            facts = await self.platform.off_loop(self.platform.clusters.cluster(name).describe)
            return ClusterDescription.of(facts).answer()
        async with describing(database, None, LIMITS) as connection:
            return (await overview(connection, name)).answer()

    async def _table(self, name: str, schema: str, table: str) -> Answer:
        async with describing(await self._database(name), None, LIMITS) as connection:
            schema = await schema_of(connection, schema)
            found = await tables_named(connection, [written(table)], schema)
            known = await described(connection, found, full=True)
            return Answer.lines(showing.text(connection.info.dbname, known, full=True))
