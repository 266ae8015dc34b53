"""Branches for one call, gone at its end whatever became of it, and what was changed on them alone.

A diff compares two clusters as they are now. So a write of somebody else's in the source, between
the branch and the diff, would be told as one of the call's. Where nobody has written there, source
and branch are compared; where somebody has, two branches are: one that nobody touches, and one of
that one.
"""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import anyio
import structlog

from cluster_runtime import Tag
from cluster_runtime.control.plane import Cluster
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.errors import BorealisError, ClusterNotFoundError
from mcp_server.databases.existing import Database
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import connected
from mcp_server.toolkit.platform import Call, Platform

T = TypeVar("T")
D = TypeVar("D")

PREFIX = "preview-"
TAG = "borealis:throwaway-until"
"""Of a branch that may go: after this time, in seconds of the epoch, nobody works on it."""
SPARE_SECONDS = 600.0
"""What a call may take beside its SQL."""
NOW = "select pg_catalog.pg_current_snapshot()::pg_catalog.text"

log = structlog.get_logger(__name__)


@asynccontextmanager
async def throwaway(call: Call, cluster: Database, seconds: float) -> AsyncIterator[Cluster]:
    """A branch of what a cluster is now; it keeps no backup and takes no snapshot.

    seconds: how long its SQL may take; a branch that a server left is removed some time after.
    Nobody waits until it is deleted. It is marked as one that may go before, so whatever ends
    meanwhile, the next server that starts removes it.
    """
    name = PREFIX + secrets.token_hex(6)
    platform = call.platform
    with anyio.CancelScope(shield=True):  # a caller that leaves meanwhile leaves no branch
        made = await call.off_loop(
            lambda: call.plane.restore_db_cluster_to_point_in_time(
                name,
                cluster.identifier,
                restore_type="copy-on-write",
                use_latest_restorable_time=True,
                deletion_protection=False,
                tags=(_until(time.time() + seconds + SPARE_SECONDS),),
            )
        )
    try:
        yield made
    finally:
        with anyio.CancelScope(shield=True):
            await _marked(platform, made)
        platform.afterwards(_removed(platform, name))


def _until(moment: float) -> Tag:
    return Tag(TAG, str(int(moment)))


async def _marked(platform: Platform, branch: Cluster) -> None:
    """Note in a branch that it may go now. What fails is logged: its time ends by itself."""

    def mark() -> None:
        arn = branch.describe().db_cluster_arn
        platform.clusters.add_tags_to_resource(arn, (_until(time.time()),))

    try:
        await platform.off_loop(mark)
    except BorealisError as error:
        log.warning("mcp.branch_not_marked", cluster=branch.id, error=str(error))


async def _removed(platform: Platform, name: str) -> None:
    """Delete a branch. What fails is logged, and the next server that starts tries again."""
    delete = partial(platform.clusters.delete_db_cluster, name, delete_automated_backups=True)
    try:
        await platform.off_loop(delete)
    except ClusterNotFoundError:
        return  # another server was faster
    except BorealisError as error:
        log.warning("mcp.branch_not_removed", cluster=name, error=str(error))


async def remove_left_behind(platform: Platform) -> None:
    """Delete the branches that servers which were killed have left.

    Nobody who starts a server asked for this: what fails is logged, and the next one tries again.
    """
    try:
        everyone = await platform.off_loop(platform.clusters.describe_db_clusters)
    except BorealisError as error:
        log.warning("mcp.branches_not_looked_for", error=str(error))
        return
    for name in [each.db_cluster_identifier for each in everyone if is_left_behind(each)]:
        log.warning("mcp.branch_left_behind", cluster=name)
        await _removed(platform, name)


def is_left_behind(cluster: DBCluster) -> bool:
    """Whether it is a throw-away branch whose time is over. What only looks like one is not."""
    until = {tag.key: tag.value for tag in cluster.tag_list}.get(TAG, "")
    named = cluster.db_cluster_identifier.startswith(PREFIX)
    return named and until.isascii() and until.isdigit() and int(until) <= time.time()


@dataclass(frozen=True, slots=True)
class Moment:
    """Which transactions a server knows of. next_xid: the next one that writes will have it.

    ran_out: whether none is under way that has written.
    """

    next_xid: int
    ran_out: bool

    @classmethod
    def of(cls, snapshot: str) -> "Moment":
        """As `pg_current_snapshot` writes it: the oldest under way, the next, all under way."""
        oldest, following, _ = snapshot.split(":")
        return cls(int(following), oldest == following)


async def _now(cluster: Cluster) -> Moment:
    """Over a connection of its own: who held one while work waits for another may never get it."""
    async with connected(cluster, None, limits_of_a_call()) as connection:
        (snapshot,) = await (await connection.execute(NOW)).fetchone() or ("0:0:",)
    return Moment.of(snapshot)


async def on_a_branch(
    call: Call,
    cluster: Cluster,
    work: Callable[[Cluster], Awaitable[T]],
    compare: Callable[[str, str], D],
    *,
    seconds: float,
    commits: int,
) -> tuple[T, D]:
    """What came of work on a throw-away branch, and what it has changed there.

    compare: of two clusters, by their names; blocks. seconds: how long the work may take in all.
    commits: how many transactions of its own a comparison makes in its source.
    """
    before = await _now(cluster)
    async with throwaway(call, cluster, seconds) as base:
        if before.ran_out and await _now(cluster) == before:
            done = await work(base)
            compared = await call.off_loop(lambda: compare(cluster.identifier, base.identifier))
            if (await _now(cluster)).next_xid - before.next_xid <= commits:
                return done, compared
        else:
            return await _beside(call, base, work, compare, seconds)
    async with throwaway(call, cluster, seconds) as base:
        return await _beside(call, base, work, compare, seconds)


async def _beside(
    call: Call,
    base: Cluster,
    work: Callable[[Cluster], Awaitable[T]],
    compare: Callable[[str, str], D],
    seconds: float,
) -> tuple[T, D]:
    async with throwaway(call, base, seconds) as branch:
        done = await work(branch)
        return done, await call.off_loop(lambda: compare(base.identifier, branch.identifier))
