"""BacktrackDBCluster, Rewind, UndoRewind, and the restore points that one goes back to."""

import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import describe_sessions
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.rewinding import BacktrackDBCluster, Rewind
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.records.recovery.rewinds import (
    DBClusterBacktrack,
    RestorePoint,
    RewindDescription,
)
from cluster_runtime.control.workflows.branching.clone import Target, cut_for
from cluster_runtime.control.workflows.branching.steps import Workflow, perform
from cluster_runtime.control.workflows.branching.swap import (
    NEXT,
    can_be_undone,
    replacement,
    return_to_before,
)
from cluster_runtime.errors import InvalidRestoreError
from cluster_runtime.storage.core.wal_records import format_lsn, parse_lsn
from cluster_runtime.storage.upkeep.past.past import OutOfWindowError
from cluster_runtime.storage.volume import StorageVolume
from cluster_runtime.wording import Hint, Operation

REWIND, UNDO = "rewind", "undo-rewind"
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", re.ASCII)


async def rewind(
    runtime: OpenRuntime, cluster: HostedCluster, request: Rewind
) -> RewindDescription:
    """Raises what `Rewind` declares; then the cluster is as it was."""
    target = _target(request.to)
    if request.dry_run:
        return await in_thread(lambda: _what_goes(cluster, _located(cluster, target), dry_run=True))
    return await _rewind(runtime, cluster, target)


async def backtrack(
    runtime: OpenRuntime, cluster: HostedCluster, request: BacktrackDBCluster
) -> DBClusterBacktrack:
    """Raises what `BacktrackDBCluster` declares; then the cluster is as it was."""
    began, to = datetime.now(UTC), request.backtrack_to.timestamp()
    reached = to

    def target(volume: StorageVolume) -> int:
        nonlocal reached
        earliest = volume.past.reach().earliest
        if request.use_earliest_time_on_point_in_time_unavailable and earliest is not None:
            reached = max(to, earliest)
        return volume.past.lsn_at(reached)

    await _rewind(runtime, cluster, target)
    return DBClusterBacktrack(
        cluster.identifier,
        str(uuid4()),
        backtrack_to=datetime.fromtimestamp(reached, UTC),
        backtracked_from=began,
        backtrack_request_creation_time=began,
    )


async def undo_rewind(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Raises what `UndoRewind` declares."""
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        if not await in_thread(can_be_undone, cluster.directory):
            raise InvalidRestoreError(
                f"cluster {cluster.identifier!r} was not rewound, or not within its backtrack "
                "window: there is nothing to take back"
            )
        await perform(runtime, cluster, undo_workflow(runtime, cluster))
    await runtime.record(cluster, "The last rewind was taken back", "backtrack")


async def create_restore_point(cluster: HostedCluster, name: str) -> RestorePoint:
    """Raises what `CreateRestorePoint` declares."""

    def create() -> RestorePoint:
        with cluster.instances.storage.used() as volume:
            try:
                made = volume.past.create_point(name)
            except FileExistsError as error:
                raise _of_points(cluster, error) from error
            except OutOfWindowError as error:
                raise InvalidRestoreError(f"cluster {cluster.identifier!r}: {error}") from error
        return RestorePoint(made.name, format_lsn(made.lsn), _moment(made.time))

    return await in_thread(create)


async def describe_restore_points(cluster: HostedCluster) -> list[RestorePoint]:
    """Those within the backtrack window."""

    def describe() -> list[RestorePoint]:
        with cluster.instances.storage.used() as volume:
            volume.past.expire()
            return [
                RestorePoint(each.name, format_lsn(each.lsn), _moment(each.time))
                for each in volume.past.points
            ]

    return await in_thread(describe)


async def delete_restore_point(cluster: HostedCluster, name: str) -> None:
    """Raises InvalidRestoreError where there is none of that name."""

    def delete() -> None:
        with cluster.instances.storage.used() as volume:
            try:
                volume.past.delete_point(name)
            except LookupError as error:
                raise _of_points(cluster, error) from error

    await in_thread(delete)


def _of_points(cluster: HostedCluster, error: Exception) -> InvalidRestoreError:
    shown = Operation("describe_restore_points", cluster.identifier)
    return InvalidRestoreError(
        f"cluster {cluster.identifier!r}: {error}", Hint("{} shows its restore points", shown)
    )


def workflow(
    runtime: OpenRuntime, cluster: HostedCluster, make: Callable[[], None] = lambda: None
) -> Workflow:
    """The steps of a rewind.

    make: what it is then, beside what it is; where it only has to be finished nobody asks.
    """
    return replacement(cluster, REWIND, make)


def undo_workflow(runtime: OpenRuntime, cluster: HostedCluster) -> Workflow:
    """The steps of taking one back."""
    return return_to_before(cluster, UNDO)


async def _rewind(
    runtime: OpenRuntime, cluster: HostedCluster, target: Target
) -> RewindDescription:
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE)
        lsn = await in_thread(_located, cluster, target)
        goes: Future[RewindDescription] = Future()

        def make() -> None:
            with ThreadPoolExecutor(1) as beside:
                # Commits are counted while pages are copied.
                counting = beside.submit(_what_goes, cluster, lsn, dry_run=False)
                cut_for(cluster, cluster, lambda _: lsn, suffix=NEXT)
            goes.set_result(counting.result())

        await perform(runtime, cluster, workflow(runtime, cluster, make))
    found = goes.result()
    await runtime.record(
        cluster, f"Rewound to LSN {found.lsn}; commits that went: {found.commits}", "backtrack"
    )
    return found


def _located(cluster: HostedCluster, target: Target) -> int:
    """The LSN that is meant. Raises InvalidRestoreError for what is out of reach."""
    with cluster.instances.storage.used() as volume:
        try:
            lsn = target(volume)
            volume.past.require(lsn)
        except OutOfWindowError as error:
            raise _of_points(cluster, error) from error
    return lsn


def _what_goes(cluster: HostedCluster, lsn: int, *, dry_run: bool) -> RewindDescription:
    """What a rewind to an LSN makes of a cluster."""
    window = timedelta(seconds=cluster.db_cluster.backtrack_window)
    count, first, last = 0, None, None
    with cluster.instances.storage.used() as volume:
        for commit in volume.past.commits_between(lsn, volume.past.end):
            if commit.upkeep:
                continue
            count, last = count + 1, commit.time
            first = commit.time if first is None else first
    sessions = tuple(
        f"{each.usename}@{each.datname} {each.application_name}".rstrip()
        for each in describe_sessions(cluster)
    )
    return RewindDescription(
        cluster.identifier,
        format_lsn(lsn),
        count,
        None if first is None else _moment(first),
        None if last is None else _moment(last),
        sessions,
        dry_run,
        None if dry_run else datetime.now(UTC) + window,
    )


def _target(to: str) -> Target:
    """A restore point, a time or an LSN, as somebody writes it."""

    def find(volume: StorageVolume) -> int:
        for point in volume.past.points:
            if point.name == to:
                return point.lsn
        if _LSN.fullmatch(to):
            return parse_lsn(to)
        try:
            moment = datetime.fromisoformat(to)
        except ValueError:
            known = ", ".join(each.name for each in volume.past.points) or "none"
            raise OutOfWindowError(
                f"{to!r} is no restore point, time or LSN; restore points: {known}"
            ) from None
        return volume.past.lsn_at(moment.astimezone().timestamp())

    return find


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)
