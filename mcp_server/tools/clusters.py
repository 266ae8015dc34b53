"""Tools that make, show and delete clusters."""

import secrets
from typing import Annotated

from pydantic import Field

from cluster_runtime.control.operations.clusters import CreateDBCluster, DeleteDBCluster
from cluster_runtime.control.plane import ControlPlane
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.engine.access.roles import READER
from mcp_server.results import ClusterDeleted, ClusterDescription, ClusterList, ClusterSummary
from mcp_server.toolkit.arguments import ClusterName
from mcp_server.toolkit.asking import Request, asking_for
from mcp_server.toolkit.confirming import confirmed
from mcp_server.toolkit.definition import Effect, Reach, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset
from mcp_server.toolkit.uris import cluster_uri, tables_uri

PROGRAMS_READ = (
    *("cluster", "status", "paused", "database", "master_username", "endpoints"),
    "connection_string",
)
"""Of what describe_cluster tells."""


@tool(title="Create a cluster", toolset=Toolset.CLUSTERS, effect=Effect.ADDS, reach=Reach.SERVER)
@asking_for(CreateDBCluster)
async def create_cluster(call: Call, request: Request) -> ClusterDescription:
    """Create a PostgreSQL 18 cluster with pgvector, ready for use when this returns.

    Takes well under a second. It pauses when idle, for nothing, and wakes on use. Make one per
    application or task; delete it afterwards.
    """
    cluster = request["db_cluster_identifier"]
    async with call.progress.during(f"creating cluster {cluster}"):
        created = await call.off_loop(lambda: call.plane.create_db_cluster(**request))
        facts = await call.off_loop(created.describe)
    await call.platform.changes.of_clusters()
    await call.progress.step(f"cluster {cluster} is {facts.status}")
    return ClusterDescription.of(facts)


@tool(title="List clusters", toolset=Toolset.CLUSTERS, effect=Effect.READS, reach=Reach.SERVER)
async def list_clusters(call: Call) -> ClusterList:
    """List all clusters with their status. A paused one counts as available and wakes on use."""
    facts = await call.off_loop(call.plane.describe_db_clusters)
    ordered = sorted(facts, key=lambda one: one.db_cluster_identifier)
    return ClusterList(clusters=[ClusterSummary.of(one) for one in ordered])


@tool(
    title="Describe a cluster",
    toolset=Toolset.CLUSTERS,
    effect=Effect.READS,
    structured=PROGRAMS_READ,
)
async def describe_cluster(
    call: Call,
    cluster: ClusterName,
    include_connection_string: Annotated[
        bool,
        Field(
            description="Also give a libpq URI with a 15-minute token, a secret: only for a "
            "program that connects by itself, in an environment variable"
        ),
    ] = False,
) -> ClusterDescription:
    """Show one cluster: status, endpoints, capacity, versions and settings.

    With a read-only server the connection string is that of the read-only role.
    """
    handle = await call.cluster(cluster)
    facts = await call.off_loop(handle.describe)
    connection_string = None
    if include_connection_string:
        user = READER if call.scope.read_only else None
        connection_string = await call.off_loop(lambda: handle.dsn("writer", user=user))
    return ClusterDescription.of(facts, connection_string)


@tool(
    title="Delete a cluster", toolset=Toolset.CLUSTERS, effect=Effect.DESTROYS, reach=Reach.SERVER
)
@asking_for(DeleteDBCluster)
async def delete_cluster(call: Call, request: Request) -> ClusterDeleted:
    """Delete a cluster with all its databases, after a final snapshot.

    Refused for a cluster with deletion protection.
    """
    handle = await call.cluster(request["db_cluster_identifier"])
    return await deleted(call, await call.off_loop(handle.describe))


async def deleted(call: Call, facts: DBCluster) -> ClusterDeleted:
    """Delete a cluster once that is confirmed, and keep a final snapshot of it."""
    cluster = facts.db_cluster_identifier
    if not facts.deletion_protection:  # else it is refused anyway
        await confirmed(
            call,
            f"This deletes cluster {cluster!r} with all its databases; connections to it end. A "
            "final snapshot is kept, from which it can be made again.",
            facts.db_cluster_resource_id,
        )
    final = f"final-{cluster[:46]}-{secrets.token_hex(4)}"
    async with call.progress.during(f"deleting cluster {cluster}"):
        gone = await call.off_loop(lambda: _delete(call.plane, cluster, final))
    await call.platform.changes.of_clusters()
    await call.platform.changes.of(cluster_uri(cluster), tables_uri(cluster))
    return ClusterDeleted(
        cluster=cluster, resource_id=gone.db_cluster_resource_id, final_snapshot=final
    )


def _delete(plane: ControlPlane, cluster: str, final: str) -> DBCluster:
    return plane.delete_db_cluster(
        cluster, skip_final_snapshot=False, final_db_snapshot_identifier=final
    )


TOOLS = (create_cluster, list_clusters, describe_cluster, delete_cluster)
