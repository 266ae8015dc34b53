"""Tools that run SQL: one that can only read, one that writes."""

from typing import Annotated

from psycopg.errors import UndefinedColumn, UndefinedTable
from pydantic import Field

from mcp_server.databases.connections import interruptible
from mcp_server.results import ExecutionResult, QueryResult
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import (
    connected,
    execute,
    query,
    reading,
    with_nearest_names,
)
from mcp_server.sql_script import may_change_a_schema
from mcp_server.toolkit.arguments import (
    ClusterName,
    DatabaseName,
    Parameters,
    RowLimit,
    TimeoutSeconds,
)
from mcp_server.toolkit.confirming import confirmed
from mcp_server.toolkit.definition import Effect, Reach, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset
from mcp_server.toolkit.undoing import behind_a_point, judged_on, warning
from mcp_server.toolkit.uris import tables_uri


@tool(title="Run a query", toolset=Toolset.QUERIES, effect=Effect.READS, reach=Reach.DATABASE)
async def run_query(
    call: Call,
    cluster: ClusterName,
    sql: Annotated[
        str,
        Field(description="One statement that reads: SELECT, WITH, VALUES, TABLE, EXPLAIN or SHOW"),
    ],
    limit: RowLimit = 100,
    timeout_seconds: TimeoutSeconds = 30,
    database: DatabaseName = None,
) -> QueryResult:
    """Run one read-only SQL statement and return its rows.

    It runs in a READ ONLY transaction, behind a guard, so it can change nothing.
    """
    handle = await call.database(cluster)
    limits = limits_of_a_call(limit, timeout_seconds)
    async with reading(handle, database, limits) as connection, call.progress.during("querying"):
        return await interruptible(connection, query(connection, sql, limits), timeout_seconds)


@tool(title="Execute SQL", toolset=Toolset.WRITES, effect=Effect.DESTROYS)
async def execute_sql(
    call: Call,
    cluster: ClusterName,
    sql: Annotated[
        str,
        Field(
            description="Several statements are one transaction by themselves, without BEGIN and "
            "COMMIT. CREATE DATABASE, VACUUM and the like must be sent alone"
        ),
    ],
    parameters: Parameters = [],  # noqa: B006 - never changed
    limit: RowLimit = 100,
    timeout_seconds: TimeoutSeconds = 60,
    database: DatabaseName = None,
) -> ExecutionResult:
    """Run SQL that changes things, as the master user, who is no superuser.

    For reading use run_query. What destroys (DROP, DELETE of every row, ...) has to be confirmed,
    and can be undone.
    """
    handle = await call.cluster(cluster)
    limits = limits_of_a_call(limit, timeout_seconds)
    judged = await judged_on(handle, sql, database, limits)
    if judged.reasons:
        await confirmed(call, await warning(call, handle, judged), handle.id)

    async def run() -> ExecutionResult:
        async with (
            connected(handle, database, limits) as connection,
            call.progress.during("executing"),
        ):
            try:
                return await interruptible(
                    connection,
                    execute(connection, handle.id, sql, parameters, limits),
                    timeout_seconds,
                )
            except (UndefinedTable, UndefinedColumn) as error:
                raise await with_nearest_names(connection, error) from error

    done = await behind_a_point(call, handle, judged, run) if judged.reasons else await run()
    if any(may_change_a_schema(each.command) for each in done.statements):
        await call.platform.changes.of(tables_uri(handle.identifier))
    return done


TOOLS = (run_query, execute_sql)
