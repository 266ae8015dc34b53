"""A cluster gets another volume in place: its name, endpoints and settings stay.

volume, data          what it has
volume.next, data.next      made beside it, complete before anything else changes
volume.undone, data.undone  what it had before, kept for as long as it could be rewound
volume.gone-..., data.gone-...  what it had before that, removed once the cluster runs again

The data directory is that of the writer's place, which is another one than `data` after a failover.
Readers lay theirs out again at their next start.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.endpoints import disconnect
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.instances import FIRST_PLACE
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.servers.places import data_directory_at
from cluster_runtime.control.servers.storage import DATA, GONE, PARTS, UNDONE, VOLUME
from cluster_runtime.control.workflows.branching.steps import Step, Workflow
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.system.files import remove_tree

NEXT = ".next"

SWAP = "swap"


def replacement(cluster: HostedCluster, kind: str, make: Callable[[], None]) -> Workflow:
    """Give a cluster the volume that `make`, which blocks, makes beside its own.

    The writer runs again at the end where it ran before; else the next connect starts it.
    """
    directory = cluster.directory

    async def cut() -> None:
        await in_thread(_discard, directory, NEXT)
        await in_thread(make)

    steps = (Step("cut", cut), Step("stop", lambda: _stop(cluster)))
    return _swapping(cluster, kind, steps, lambda: _discard(directory, NEXT))


def return_to_before(cluster: HostedCluster, kind: str) -> Workflow:
    """Give a cluster back the volume that it had before the last replacement.

    What it has now is kept in turn: undoing twice changes nothing.
    """
    directory = cluster.directory
    steps = (
        Step("stop", lambda: _stop(cluster)),
        Step("take", lambda: in_thread(_rename, directory, UNDONE, NEXT)),
    )
    return _swapping(cluster, kind, steps, lambda: _rename(directory, NEXT, UNDONE))


def _swapping(
    cluster: HostedCluster, kind: str, steps: Sequence[Step], take_back: Callable[[], None]
) -> Workflow:
    """steps: after which the cluster is stopped, and what it gets lies beside its volume."""
    runs = cluster.writer.socket is not None

    storage = cluster.instances.storage

    async def start() -> None:
        if runs:
            await cluster.writer.ensure_running()
        else:
            await in_thread(storage.remove_gone)  # nobody has the volume open, who would do it

    async def started() -> None:
        await start()
        volume = storage.opened
        if volume is not None:
            volume.past.rewound = True

    async def back() -> None:
        await in_thread(take_back)
        await start()

    return Workflow(
        kind,
        ClusterStatus.BACKTRACKING,
        (
            *steps,
            Step(SWAP, lambda: in_thread(put_in_place, cluster.directory, _data_of(cluster))),
            Step("start", started, repeated=False),
        ),
        SWAP,
        back,
    )


def can_be_undone(directory: Path) -> bool:
    """Whether a cluster has what it was before the last replacement."""
    return (directory / f"{VOLUME}{UNDONE}").is_dir()


def put_in_place(directory: Path, data: str = DATA) -> None:
    """Swap what is beside a cluster's volume for it, wherever an earlier try has come to.

    data: the name of the writer's data directory. The volume goes first: a data directory is only
    ever trusted by the volume that it is of.
    """
    for part, name in zip(PARTS, (VOLUME, data), strict=True):
        now = directory / name
        following, undone = (directory / f"{part}{each}" for each in (NEXT, UNDONE))
        if not following.exists():
            continue
        if now.exists():
            if undone.exists():  # thousands of files: not while everybody waits
                undone.rename(directory / f"{part}{GONE}{uuid4().hex}")
            now.rename(undone)
        following.rename(now)
        _sync(directory)


async def _stop(cluster: HostedCluster) -> None:
    """Its readers too, which nobody starts again before the writer runs."""
    if cluster.supervision is not None:
        cluster.supervision.rest()
    await disconnect(cluster)
    await cluster.instances.stop(Shutdown.FAST)


def _data_of(cluster: HostedCluster) -> str:
    record = cluster.records.get(cluster.writer_name)
    place = record.place if record is not None else FIRST_PLACE
    return data_directory_at(cluster.directory, place).name


def _rename(directory: Path, suffix: str, to: str) -> None:
    for part in PARTS:
        path = directory / f"{part}{suffix}"
        if path.exists():
            path.rename(directory / f"{part}{to}")
    _sync(directory)


def _discard(directory: Path, suffix: str) -> None:
    for part in PARTS:
        remove_tree(directory / f"{part}{suffix}")


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
