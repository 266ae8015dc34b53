"""A way back before something is destroyed: a restore point, and how to return to it."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

import psycopg
from anyio import to_thread

from cluster_runtime.control.plane import Cluster
from cluster_runtime.errors import BorealisError
from mcp_server.databases.opening import asked_again
from mcp_server.errors import StatementLostError
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.results import ExecutionResult
from mcp_server.safety import functions
from mcp_server.safety.destructive import Judged, judge
from mcp_server.sessions import connected
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset

SET_BY_TOOLS = "before-"
"""What the restore points begin with that are set before a call: its commit comes first then."""


async def judged_on(cluster: Cluster, sql: str, database: str | None, limits: Limits) -> Judged:
    """What SQL destroys, functions that it calls by name included."""
    judged = await to_thread.run_sync(judge, sql)
    if judged.reasons or not judged.calls:
        return judged

    async def look_up() -> tuple[str, ...]:
        async with connected(cluster, database, limits) as connection:
            return await functions.that_destroy(connection, judged.calls)

    return replace(judged, reasons=await asked_again(look_up))


async def warning(call: Call, cluster: Cluster, judged: Judged) -> str:
    """What a person is told before, of what goes and of the way back."""
    back = (
        "A restore point is set first, so that it can be undone; what anybody writes afterwards "
        "would go as well."
        if await _keeps_a_past(call, cluster)
        else "It cannot be undone: the cluster has a backtrack window of 0, so it keeps no past."
    )
    reasons = "; ".join(judged.reasons)
    return f"On cluster {cluster.identifier!r}, this SQL destroys: {reasons}. {back}"


async def behind_a_point(
    call: Call, cluster: Cluster, judged: Judged, run: Callable[[], Awaitable[ExecutionResult]]
) -> ExecutionResult:
    """Run SQL behind a restore point, and say how to return. Without effect it leaves none."""
    point = await _set_point(call, cluster)
    try:
        done = await run()
    except StatementLostError as error:
        if point is None:
            raise
        raise StatementLostError(f"{error}. {_way_back(call, cluster, point)}") from error
    except (psycopg.Error, BorealisError):
        if point is not None and not judged.in_parts:  # nothing was done
            name = point
            await call.off_loop(lambda: call.plane.delete_restore_point(cluster.identifier, name))
        raise
    return done.model_copy(update={"undo": _way_back(call, cluster, point)})


async def _set_point(call: Call, cluster: Cluster) -> str | None:
    """The name of a restore point of this moment; None for a cluster that keeps no past."""
    if not await _keeps_a_past(call, cluster):
        return None
    name = f"{SET_BY_TOOLS}{call.tool.replace('_', '-')}-{secrets.token_hex(4)}"
    await call.off_loop(lambda: call.plane.create_restore_point(cluster.identifier, name))
    return name


async def _keeps_a_past(call: Call, cluster: Cluster) -> bool:
    """Whether a cluster can be rewound at all."""
    facts = await call.off_loop(cluster.describe)
    return facts.backtrack_window > 0


def _way_back(call: Call, cluster: Cluster, point: str | None) -> str:
    """What the caller is told, afterwards."""
    if point is None:
        return "No restore point was set, for the cluster has a backtrack window of 0."
    how = f"rewind with to={point!r} undoes this"
    if Toolset.HISTORY not in call.scope.toolsets:
        how = f"a person can undo this: borealis rewind {cluster.identifier} {point}"
    return f"Restore point {point} was set before: {how}."
