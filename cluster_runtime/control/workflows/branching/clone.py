"""RestoreDBClusterToPointInTime: a cluster whose volume is a cut of another one's."""

from asyncio import gather
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from uuid import uuid4

from cluster_runtime.control.cluster import BranchAhead, HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.restoring import RestoreDBClusterToPointInTime
from cluster_runtime.control.records.catalog import CLUSTER_FORMAT
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.servers.storage import BASE_IMAGE, DATA, VOLUME
from cluster_runtime.control.workflows import making
from cluster_runtime.control.workflows.create import discard_unnamed, reserved
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.system.files import is_no_space
from cluster_runtime.errors import (
    EngineError,
    InsufficientStorageError,
    InvalidClusterStateError,
    InvalidRestoreError,
    StorageError,
)
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.upkeep.branches import CutVolume
from cluster_runtime.storage.upkeep.past.past import OutOfWindowError
from cluster_runtime.storage.volume import StorageVolume

_log = get_logger(__name__)

Target = Callable[[StorageVolume], int]
"""Which LSN of a volume is meant. Raises OutOfWindowError."""


async def restore_from_volume(
    runtime: OpenRuntime, request: RestoreDBClusterToPointInTime
) -> HostedCluster:
    """Make the cluster; raises what the operation declares, and then nothing of it remains."""
    named = request.source_db_cluster_identifier or request.source_db_cluster_resource_id
    source = runtime.find(named or "")
    require_something_to_cut(source)
    identifier = check_identifier(request.db_cluster_identifier)
    with reserved(runtime, identifier):
        if source.format != CLUSTER_FORMAT:
            await source.writer.ensure_running()  # which brings it up to this release's format
        made = await _of_warm_branch(runtime, source, identifier, request)
        if made is None:
            made = await _laid_out(runtime, source, identifier, request)
    how = "a clone" if made.db_cluster.branch_of else "a restore"
    await runtime.record(made, f"DB cluster created as {how} of {source.identifier}", "creation")
    return made


def require_something_to_cut(source: HostedCluster) -> None:
    """Raise InvalidClusterStateError for a cluster that is not whole yet, or not any more."""
    if source.db_cluster.status in (ClusterStatus.CREATING, ClusterStatus.DELETING):
        raise InvalidClusterStateError(
            f"cluster {source.identifier!r} is {source.db_cluster.status.value}: nothing can be "
            "made from it now"
        )


def cut_for(
    source: HostedCluster, made: HostedCluster, target: Target | None = None, *, suffix: str
) -> None:
    """Make a volume for a cluster, and a data directory on it, beside what it has.

    target: up to where; None: the present. suffix: ends the names of both.
    Raises InvalidRestoreError for one that is out of reach.
    """
    with source.instances.storage.used() as volume, _saying_why_not(source):
        lsn = None if target is None else target(volume)
        stays = source is made
        directory = made.directory / f"{VOLUME}{suffix}"
        with (
            # Its images are made again after a rewind.
            volume.resting() if stays else nullcontext(),
            volume.branches.cutting(directory, str(uuid4()), lsn, with_past=stays) as cut,
        ):
            user = made.instances.storage.user
            volume.branches.lay_out(cut, made.directory / f"{DATA}{suffix}", user)


@contextmanager
def _saying_why_not(source: HostedCluster) -> Iterator[None]:
    """Tell what a volume could not be cut for as the operations do."""
    try:
        yield
    except (LookupError, OutOfWindowError) as error:
        raise InvalidRestoreError(f"cluster {source.identifier!r}: {error}") from error
    except OSError as error:
        if not is_no_space(error):
            raise
        raise InsufficientStorageError(
            f"no space for what is made of cluster {source.identifier!r}; nothing of it was "
            "kept: free some space and try again"
        ) from error


async def _of_warm_branch(
    runtime: OpenRuntime,
    source: HostedCluster,
    identifier: str,
    request: RestoreDBClusterToPointInTime,
) -> HostedCluster | None:
    """A cluster of the standby that was kept ready for it.

    None where there is none, or it is of no use: it shows the present, and runs with the parameters
    of its source. One that does not become a writer is no reason to make no branch: it is made in
    the other way then.
    """
    warm = source.instances.warm_branch
    # The range of its capacity sets some, too.
    other_parameters = (
        request.db_cluster_parameter_group_name is not None
        or request.serverless_v2_scaling_configuration is not None
    )
    past = _target(request) is not None
    if warm is None or past or other_parameters or not request.with_writer:
        return None
    ahead = warm.take()
    if ahead is None:
        return None
    try:
        described = making.described_as(
            runtime, source.db_cluster, identifier, request, ahead.resource_id
        )
    except BaseException:
        await discard_unnamed(runtime, ahead)
        raise
    made = HostedCluster(described, ahead.directory, ahead.instances)
    runtime.clusters[made.id] = made  # its writer is prepared as what it is
    try:
        await _cut_off(source, made, ahead)
        await making.complete(runtime, made)
    except BaseException as error:
        await making.discard(runtime, made)
        if isinstance(error, EngineError | StorageError) and source.id in runtime.clusters:
            _log.warning(
                "a warm branch could not be used", cluster=source.identifier, error=str(error)
            )
            return None
        raise
    return made


async def _laid_out(
    runtime: OpenRuntime,
    source: HostedCluster,
    identifier: str,
    request: RestoreDBClusterToPointInTime,
) -> HostedCluster:
    """A cluster whose first data directory is laid out for it."""
    installation = await in_thread(runtime.installation, source.db_cluster.engine_version)
    described = making.described_as(runtime, source.db_cluster, identifier, request)
    made = await making.begin(runtime, described, installation)
    try:
        await _make(runtime, source, made, _target(request))
    except BaseException as error:
        await making.discard(runtime, made)
        if isinstance(error, StorageError) and source.id not in runtime.clusters:
            raise InvalidClusterStateError(
                f"cluster {source.identifier!r} was deleted while it was cloned"
            ) from error
        raise
    return made


async def _make(
    runtime: OpenRuntime, source: HostedCluster, made: HostedCluster, target: Target | None
) -> None:
    base_image = (source.directory / BASE_IMAGE).resolve()

    def lay_out(volume: StorageVolume, cut: CutVolume) -> None:
        ready = runtime.copies.take(base_image) if cut.image is None else None
        user = made.instances.storage.user
        volume.branches.lay_out(cut, made.directory / DATA, user, ready)

    await in_thread((made.directory / BASE_IMAGE).symlink_to, base_image)
    runtime.clusters[made.id] = made  # its writer is prepared as what it is
    async with _being_cut(source, made, target, then=lay_out):
        await made.writer.ensure_running(made.instances.writer_server.start_laid_out)
    await making.complete(runtime, made)
    runtime.copies.prepare(base_image)


async def _cut_off(source: HostedCluster, made: HostedCluster, ahead: BranchAhead) -> None:
    """Make the volume of a cluster whose writer is a standby of another one, and that a writer.

    The standby holds back before the cut is made, so that it has nothing that lies behind it; then
    it takes the log up to there, and is promoted while the new volume is opened.
    """
    standby, writer = ahead.standby, made.writer
    async with _being_cut(source, made, None, standby.hold_back, then=standby.give) as cut:
        opening = in_thread(made.instances.storage.open_for, made.instances.writer_server)
        promoting = writer.promote(int(cut.end))
        for done in await gather(opening, promoting, return_exceptions=True):
            if isinstance(done, BaseException):
                raise done
        writer.servers = ahead.servers.of_branch


@asynccontextmanager
async def _being_cut(
    source: HostedCluster,
    made: HostedCluster,
    target: Target | None,
    before: Callable[[StorageVolume], None] = lambda _: None,
    *,
    then: Callable[[StorageVolume, CutVolume], None],
) -> AsyncIterator[CutVolume]:
    """Make the volume of a new cluster, as a cut of another one's; it is whole at the end of this.

    before, then: what blocks, before it is known where the cut is, and as soon as that is known.
    """
    entered = ExitStack()

    def cut() -> CutVolume:
        volume = entered.enter_context(source.instances.storage.used())
        entered.enter_context(_saying_why_not(source))
        before(volume)
        lsn = None if target is None else target(volume)
        found = entered.enter_context(
            volume.branches.cutting(made.directory / VOLUME, str(uuid4()), lsn)
        )
        made.instances.storage.comes_with(found.written)
        then(volume, found)
        return found

    try:
        yield await in_thread(cut)
    except BaseException as error:
        try:
            # It may be open by now, and written to: not while it is removed.
            await made.instances.stop(Shutdown.IMMEDIATE)
        finally:
            await in_thread(entered.__exit__, type(error), error, error.__traceback__)
        raise
    await in_thread(entered.close)  # what is shared of the pages is linked by then


def _target(request: RestoreDBClusterToPointInTime) -> Target | None:
    """Which LSN is asked for; None: the present."""
    transaction, to = request.restore_to_transaction, request.restore_to_time
    if transaction is not None:
        return lambda volume: volume.past.lsn_of(transaction)
    if to is None:
        return None
    moment = to.timestamp()
    return lambda volume: volume.past.lsn_at(moment)
