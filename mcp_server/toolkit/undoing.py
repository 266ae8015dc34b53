"""A way back before something is destroyed: a restore point, and how to return to it."""

import secrets

from cluster_runtime.control.plane import Cluster
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset

SET_BY_TOOLS = "before-"
"""What the restore points begin with that are set before a call: its commit comes first then."""


async def set_point(call: Call, cluster: Cluster) -> str | None:
    """The name of a restore point of this moment; None for a cluster that keeps no past."""
    if not await keeps_a_past(call, cluster):
        return None
    name = f"{SET_BY_TOOLS}{call.tool.replace('_', '-')}-{secrets.token_hex(4)}"
    await call.off_loop(lambda: call.plane.create_restore_point(cluster.identifier, name))
    return name


async def keeps_a_past(call: Call, cluster: Cluster) -> bool:
    """Whether a cluster can be rewound at all."""
    facts = await call.off_loop(cluster.describe)
    return facts.backtrack_window > 0


def promise(*, undoable: bool) -> str:
    """What a person is told, before, of the way back."""
    if undoable:
        return (
            "A restore point is set first, so that it can be undone; what anybody writes "
            "afterwards would go as well."
        )
    return "It cannot be undone: the cluster has a backtrack window of 0, so it keeps no past."


def way_back(call: Call, cluster: Cluster, point: str | None) -> str:
    """What the caller is told, afterwards."""
    if point is None:
        return "No restore point was set, for the cluster has a backtrack window of 0."
    how = f"rewind with to={point!r} undoes this"
    if Toolset.HISTORY not in call.scope.toolsets:
        how = f"a person can undo this: borealis rewind {cluster.identifier} {point}"
    return f"Restore point {point} was set before: {how}."
