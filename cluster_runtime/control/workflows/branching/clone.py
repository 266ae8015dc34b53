"""RestoreDBClusterToPointInTime: a cluster whose volume is a cut of another one's."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import uuid4

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.recovery.restoring import RestoreDBClusterToPointInTime
from cluster_runtime.control.records.catalog import CLUSTER_FORMAT
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.servers.storage import BASE_IMAGE, DATA, VOLUME
from cluster_runtime.control.workflows import making
from cluster_runtime.control.workflows.create import reserved
from cluster_runtime.engine.system.copies import CopiesAhead
from cluster_runtime.engine.system.files import is_no_space
from cluster_runtime.errors import (
    InsufficientStorageError,
    InvalidClusterStateError,
    InvalidRestoreError,
    StorageError,
)
from cluster_runtime.storage.upkeep.past.past import OutOfWindowError
from cluster_runtime.storage.volume import StorageVolume

Target = Callable[[StorageVolume], int]
"""Which LSN of a volume is meant. Raises OutOfWindowError."""


async def restore_from_volume(
    runtime: OpenRuntime, request: RestoreDBClusterToPointInTime
) -> HostedCluster:
    """Make the cluster; raises what the operation declares, and then nothing of it remains."""
    source = runtime.find(request.source_db_cluster_identifier or "")
    require_something_to_cut(source)
    identifier = check_identifier(request.db_cluster_identifier)
    with reserved(runtime, identifier):
        if source.format != CLUSTER_FORMAT:
            await source.writer.ensure_running()  # which brings it up to this release's format
        installation = await in_thread(runtime.installation, source.db_cluster.engine_version)
        described = making.described_as(runtime, source.db_cluster, identifier, request)
        made = await making.begin(runtime, described, installation)
        try:
            await _make(runtime, source, made, _target(request.restore_to_time))
        except BaseException as error:
            await making.discard(runtime, made)
            if isinstance(error, StorageError) and source.id not in runtime.clusters:
                raise InvalidClusterStateError(
                    f"cluster {source.identifier!r} was deleted while it was cloned"
                ) from error
            raise
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
    source: HostedCluster,
    made: HostedCluster,
    target: Target | None = None,
    copies: CopiesAhead | None = None,
    *,
    suffix: str = "",
) -> None:
    """Make the volume of a cluster, and the first data directory on it, from another cluster's.

    target: up to where; None: the present. copies: of what young volumes begin with. suffix: ends
    their names where they are not in their place yet.
    Raises InvalidRestoreError for one that is out of reach.
    """
    storage = made.instances.storage
    with source.instances.storage.used() as open_volume:
        branches = open_volume.branches
        try:
            lsn = None if target is None else target(open_volume)
            with branches.cutting(
                made.directory / f"{VOLUME}{suffix}", str(uuid4()), lsn, with_past=source is made
            ) as cut:
                with ThreadPoolExecutor(1) as beside:
                    # The new volume is opened while its data directory is laid out.
                    opening = (
                        beside.submit(storage.open_for, made.instances.writer_server)
                        if not suffix
                        else None
                    )
                    base = (source.directory / BASE_IMAGE).resolve()
                    ready = copies.take(base) if copies and cut.image is None else None
                    branches.lay_out(cut, made.directory / f"{DATA}{suffix}", storage.user, ready)
                if opening is not None:
                    opening.result()
        except (LookupError, OutOfWindowError) as error:
            raise InvalidRestoreError(
                f"cluster {source.identifier!r} cannot be had as it was there: {error}"
            ) from error
        except OSError as error:
            if not is_no_space(error):
                raise
            raise InsufficientStorageError(
                f"no space for what is made of cluster {source.identifier!r}; nothing of it was "
                "kept: free some space and try again"
            ) from error


async def _make(
    runtime: OpenRuntime, source: HostedCluster, made: HostedCluster, target: Target | None
) -> None:
    base_image = source.directory / BASE_IMAGE
    await in_thread((made.directory / BASE_IMAGE).symlink_to, base_image.resolve())
    await in_thread(cut_for, source, made, target, runtime.copies)
    await making.complete(runtime, made)
    runtime.copies.prepare(base_image.resolve())


def _target(to: datetime | None) -> Target | None:
    if to is None:
        return None
    moment = to.timestamp()
    return lambda volume: volume.past.lsn_at(moment)
