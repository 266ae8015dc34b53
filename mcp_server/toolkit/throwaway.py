"""A branch for one call, gone at its end whatever became of it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from cluster_runtime.control.plane import Cluster
from mcp_server.toolkit.platform import Call

PREFIX = "preview-"


@asynccontextmanager
async def throwaway(call: Call, cluster: Cluster) -> AsyncIterator[Cluster]:
    """A branch of what a cluster is now; it keeps no backup and takes no snapshot."""
    name = PREFIX + secrets.token_hex(6)
    with anyio.CancelScope(shield=True):  # a caller that leaves meanwhile leaves no branch
        made = await call.off_loop(
            lambda: call.plane.restore_db_cluster_to_point_in_time(
                name,
                cluster.identifier,
                restore_type="copy-on-write",
                use_latest_restorable_time=True,
                deletion_protection=False,
            )
        )
    try:
        yield made
    finally:
        with anyio.CancelScope(shield=True):
            await call.off_loop(
                lambda: call.plane.delete_db_cluster(name, delete_automated_backups=True)
            )
