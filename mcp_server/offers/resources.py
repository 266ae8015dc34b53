"""Resources: a cluster, and a table of its default database, by their URIs."""

from collections.abc import Awaitable
from dataclasses import dataclass

import psycopg
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import Resource

from cluster_runtime.errors import BorealisError, ClusterNotFoundError
from cluster_runtime.wording import Words
from mcp_server.answers.pages import CHARACTERS_A_TOKEN, NOTE_CHARACTERS, Answer, blocks, page
from mcp_server.catalog import queries, showing
from mcp_server.catalog.tables import described, schema_of, tables_named, tables_of
from mcp_server.databases.existing import Database
from mcp_server.errors import ScopeError, SqlRefusedError
from mcp_server.nl2sql.database.identifiers import written
from mcp_server.results import ClusterDescription
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import describing
from mcp_server.sql_errors import sql_error_text
from mcp_server.toolkit.platform import Platform, ServerScope
from mcp_server.toolkit.uris import cluster_uri
from mcp_server.tools.schemas import overview

LIMITS = limits_of_a_call()
TABLES_COMPLETED = 5000


@dataclass(frozen=True, slots=True)
class Resources:
    """What the resources of one server say, and the names that complete their arguments."""

    platform: Platform
    scope: ServerScope
    words: Words

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
        ]

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
        return await self._told(self._cluster(id))

    async def table(self, id: str, schema: str, table: str) -> str:
        """A table in full, as M-Schema."""
        return await self._told(self._table(id, schema, table))

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

    async def _told(self, asked: Awaitable[Answer]) -> str:
        """The text of a resource. Raises ResourceError, which clients get as it is."""
        try:
            answer = await asked
        except (ClusterNotFoundError, ScopeError, SqlRefusedError) as error:
            raise ResourceNotFoundError(error.told(self.words)) from error
        except BorealisError as error:
            raise ResourceError(error.told(self.words)) from error
        except psycopg.Error as error:
            raise ResourceError(sql_error_text(error, self.words)) from error
        part = page(answer, 0, self.scope.answer_tokens * CHARACTERS_A_TOKEN - NOTE_CHARACTERS)
        notes = (f"{part.left} more lines are left out.",) if part.left else ()
        return "\n".join(blocks(part.text, notes, fenced=answer.fenced))

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
