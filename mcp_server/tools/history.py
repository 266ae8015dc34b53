"""Tools that bring a cluster back to what it was, and the marks for that."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from cluster_runtime.control.plane import Cluster
from cluster_runtime.control.records.recovery.backups import DBClusterSnapshot
from cluster_runtime.control.records.recovery.rewinds import RestorePoint, RewindDescription
from mcp_server.answers.pages import Answer
from mcp_server.databases.written import WRITTEN
from mcp_server.errors import ArgumentsError
from mcp_server.rendering import Json
from mcp_server.toolkit.arguments import ClusterName
from mcp_server.toolkit.confirming import confirmed
from mcp_server.toolkit.definition import Effect, Reach, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset
from mcp_server.toolkit.undoing import SET_BY_TOOLS
from mcp_server.toolkit.uris import cluster_uri, tables_uri


@tool(title="Set or list restore points", toolset=Toolset.HISTORY, effect=Effect.ADDS)
async def restore_point(
    call: Call,
    cluster: ClusterName,
    action: Annotated[Literal["create", "list"], Field(description="What to do")] = "create",
    name: Annotated[
        str | None, Field(description="Of the new one; letters, digits, hyphens")
    ] = None,
) -> Answer:
    """Name this moment, to rewind to it: before something risky.

    One is set by itself before SQL that destroys.
    """
    if action == "list":
        points = await call.off_loop(lambda: call.plane.describe_restore_points(cluster))
        return Answer(
            [[each.name, each.created.isoformat(), each.lsn] for each in points],
            lambda items, _: {"columns": ["name", "created", "lsn"], "rows": list(items)},
        )
    if name is None:
        raise ArgumentsError("the action create needs the argument 'name'")
    made = await call.off_loop(lambda: call.plane.create_restore_point(cluster, name))
    return Answer.whole({"name": made.name, "created": made.created.isoformat(), "lsn": made.lsn})


@tool(title="Rewind a cluster", toolset=Toolset.HISTORY, effect=Effect.DESTROYS)
async def rewind(
    call: Call,
    cluster: ClusterName,
    to: Annotated[str, Field(description="Restore point, time with zone, or LSN")],
    dry_run: Annotated[bool, Field(description="Only tell whose transactions would go")] = False,
) -> Answer:
    """Bring a whole cluster back to what it was, in place. undo_rewind takes that back.

    It tells first how many transactions go, those of others too.
    """
    handle = await call.cluster(cluster)
    preview = await call.off_loop(lambda: call.plane.rewind(cluster, to, dry_run=True))
    offer = await _one_table_instead(call, handle, to)
    if dry_run:
        return Answer.whole(_told(preview, to), notes=(offer,))
    what = f"{_what_goes(preview, to)} undo_rewind takes it back. {offer}"
    await confirmed(call, what, handle.id)
    async with call.progress.during(f"rewinding {cluster}"):
        done = await call.off_loop(lambda: call.plane.rewind(cluster, to))
    await _has_changed(call, handle)
    return Answer.whole(_told(done, to), notes=("undo_rewind takes this back.",))


@tool(
    title="Undo a rewind",
    toolset=Toolset.HISTORY,
    effect=Effect.DESTROYS,
    undoable=True,
)
async def undo_rewind(call: Call, cluster: ClusterName) -> Answer:
    """Take back the last rewind, or the last reset of a branch; a second call swaps again."""
    handle = await call.cluster(cluster)
    async with call.progress.during(f"undoing the rewind of {cluster}"):
        facts = await call.off_loop(lambda: call.plane.undo_rewind(cluster))
    await _has_changed(call, handle)
    return Answer.whole(
        {"cluster": facts.db_cluster_identifier, "status": facts.status.value},
        notes=("What was written since the rewind is kept: a second undo_rewind brings it back.",),
    )


@tool(
    title="Work with snapshots", toolset=Toolset.HISTORY, effect=Effect.DESTROYS, reach=Reach.SERVER
)
async def snapshot(
    call: Call,
    action: Annotated[
        Literal["create", "list", "restore", "delete"],
        Field(description="restore makes a new cluster of one"),
    ],
    snapshot: Annotated[str | None, Field(description="Its name; for all but list")] = None,
    cluster: Annotated[
        str | None, Field(description="Whose (create, list); the new one (restore)")
    ] = None,
) -> Answer:
    """Keep what a cluster is now until the snapshot is deleted, even if the cluster is."""
    if action == "list":
        found = await call.off_loop(lambda: call.plane.describe_db_cluster_snapshots(cluster))
        return Answer(
            [[each.db_cluster_snapshot_identifier, *_of(each)] for each in found],
            lambda items, _: {
                "columns": ["snapshot", "cluster", "created", "status"],
                "rows": list(items),
            },
        )
    if snapshot is None:
        raise ArgumentsError(f"the action {action} needs the argument 'snapshot'")
    if action == "delete":
        (facts,) = await call.off_loop(
            lambda: call.plane.describe_db_cluster_snapshots(
                db_cluster_snapshot_identifier=snapshot
            )
        )
        await confirmed(
            call,
            f"This deletes snapshot {snapshot!r} of cluster {facts.db_cluster_identifier!r}, of "
            f"{facts.snapshot_create_time:%Y-%m-%d %H:%M} UTC. It cannot be undone.",
        )
        await call.off_loop(lambda: call.plane.delete_db_cluster_snapshot(snapshot))
        return Answer.whole({"deleted": snapshot})
    if cluster is None:
        raise ArgumentsError(f"the action {action} needs the argument 'cluster'")
    if action == "create":
        async with call.progress.during(f"taking snapshot {snapshot}"):
            made = await call.off_loop(
                lambda: call.plane.create_db_cluster_snapshot(snapshot, cluster)
            )
        of, created, status = _of(made)
        return Answer.whole(
            {"snapshot": snapshot, "cluster": of, "created": created, "status": status}
        )
    async with call.progress.during(f"restoring {cluster} from {snapshot}"):
        restored = await call.off_loop(
            lambda: call.plane.restore_db_cluster_from_snapshot(cluster, snapshot)
        )
    return await _is_there(call, restored)


@tool(title="Restore to a time", toolset=Toolset.HISTORY, effect=Effect.ADDS, reach=Reach.SERVER)
async def restore_to_time(
    call: Call,
    cluster: ClusterName,
    new_cluster: Annotated[str, Field(description="Name of the cluster that is made")],
    time: Annotated[datetime, Field(description="With its zone; each commit not after it")],
) -> Answer:
    """Make a new cluster of what one was at a time, a deleted one too; it stays as it is.

    To bring back one table: read it there, or compare with branch.
    """
    async with call.progress.during(f"restoring {new_cluster} from {cluster}"):
        restored = await call.off_loop(
            lambda: call.plane.restore_db_cluster_to_point_in_time(
                new_cluster, cluster, restore_to_time=time
            )
        )
    return await _is_there(call, restored)


async def _is_there(call: Call, made: Cluster) -> Answer:
    facts = await call.off_loop(made.describe)
    await call.platform.changes.of_clusters()
    return Answer.whole({"cluster": facts.db_cluster_identifier, "status": facts.status.value})


async def _has_changed(call: Call, cluster: Cluster) -> None:
    """A cluster is what it was: no reader need show what was written since."""
    WRITTEN.note(cluster.id, None)
    name = cluster.identifier
    await call.platform.changes.of(cluster_uri(name), tables_uri(name))


async def _one_table_instead(call: Call, cluster: Cluster, to: str) -> str:
    """How to bring back less than a whole cluster."""
    points: tuple[RestorePoint, ...] = tuple(
        await call.off_loop(lambda: call.plane.describe_restore_points(cluster.identifier))
    )
    time = next((each.created.isoformat() for each in points if each.name == to), to)
    restore = f"restore_to_time (new_cluster, time={time!r})"
    if call.scope.cluster is not None:
        restore = f"a person with borealis restore NEW {cluster.identifier} --to {time}"
    return (
        f"To bring back one table and keep what others wrote: {restore} makes a cluster of that "
        "moment, from which the table's rows can be copied."
    )


def _what_goes(preview: RewindDescription, to: str) -> str:
    whose = f"This brings cluster {preview.db_cluster_identifier!r} back to {to}: "
    if not preview.commits:
        return whose + "no transaction goes, but connections end."
    others = preview.commits - (1 if to.startswith(SET_BY_TOOLS) else 0)
    first, last = preview.first_commit, preview.last_commit
    said = (
        f"{preview.commits} transactions go, from {first:%H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"
    )
    if others != preview.commits:
        said += f", {others} of them not of the call that this restore point was set before"
    return f"{whose}{said}. Connected now: {', '.join(preview.sessions) or 'nobody'}."


def _told(found: RewindDescription, to: str) -> dict[str, Json]:
    times = {
        "first_commit": found.first_commit,
        "last_commit": found.last_commit,
        "can_be_undone_until": found.can_be_undone,
    }
    others = found.commits - (1 if to.startswith(SET_BY_TOOLS) and found.commits else 0)
    return {
        "cluster": found.db_cluster_identifier,
        "dry_run": found.dry_run,
        "transactions_that_go": found.commits,
        **({"of_others": others} if to.startswith(SET_BY_TOOLS) else {}),
        **{name: time.isoformat() for name, time in times.items() if time is not None},
        "sessions": list(found.sessions),
    }


def _of(found: DBClusterSnapshot) -> tuple[str, str, str]:
    return found.db_cluster_identifier, found.snapshot_create_time.isoformat(), found.status


TOOLS = (restore_point, rewind, undo_rewind, snapshot, restore_to_time)
