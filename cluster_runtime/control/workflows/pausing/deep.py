"""Deep pause: a paused cluster gives back what its volume can make again, step by step.

Each step leaves a cluster that wakes as any other, so nothing is noted before it and nothing undone
after it: a host that ends in the middle does all of them again. A connect waits for the end of a
step, not for the rest of them.

The claim goes before the directory: of one that is half gone, no server is started.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.event_messages import NOTIFICATION, deeply_paused
from cluster_runtime.control.records.instances import FIRST_PLACE
from cluster_runtime.control.records.model import DeepPause
from cluster_runtime.control.servers.places import data_directory_at
from cluster_runtime.control.servers.postgres import has_slots
from cluster_runtime.control.servers.storage import BASE_IMAGE, VOLUME, ClusterStorage
from cluster_runtime.engine.system.files import remove_tree, write_atomically
from cluster_runtime.errors import InvalidClusterStateError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.disk.data_directory import claimed_at, distrust
from cluster_runtime.storage.disk.sparse import own_bytes
from cluster_runtime.storage.upkeep.giving_back import (
    forget_coalescer,
    make_logs_sparse,
    share_images,
)

MARK = "deep-pause.json"
"""In a cluster's directory: what its deep pause left. Counts while there is no data directory."""
FORMAT = 1

Step = tuple[str, Callable[[], None]]

_log = get_logger(__name__)


async def pause_deeply(runtime: OpenRuntime, cluster: HostedCluster) -> bool:
    """Put a paused cluster into deep pause. Returns whether it is in one when this returns.

    One that somebody wakes meanwhile, or whose volume is in use, is left as it is. Raises
    StorageError where its volume could not make its data directory again, OSError;
    InvalidClusterStateError where that has what the volume has not.
    """
    if await in_thread(lambda: any(map(has_slots, _data_directories(cluster)))):
        raise InvalidClusterStateError(
            f"cluster {cluster.identifier!r} has slots of logical replication: they lie in the "
            "data directory, which a deep pause gives back; drop them first"
        )
    storage = cluster.instances.storage
    await in_thread(_require_rebuildable, storage)
    for name, work in steps(cluster):
        if not await cluster.writer.at_rest(partial(_while_closed, storage, work)):
            _log.info("deep pause ends early", cluster=cluster.identifier, before=name)
            return False
    cluster.deep_pause = await in_thread(read_mark, cluster.directory, writer_directory(cluster))
    if cluster.deep_pause is None:
        return False  # it was woken just after the last step
    await runtime.record(cluster, deeply_paused(cluster.deep_pause.bytes_used), NOTIFICATION)
    return True


def steps(cluster: HostedCluster) -> Iterator[Step]:
    """What is done, in this order, each while no process of the cluster runs."""
    directory = cluster.directory
    volume, base = directory / VOLUME, (directory / BASE_IMAGE).resolve()
    data = _data_directories(cluster)
    yield "share", partial(share_images, volume, base)
    yield "sparse", partial(make_logs_sparse, volume)
    yield "distrust", partial(_distrust, directory, data)
    yield "remove", partial(_each, remove_tree, data)
    yield "coalescer", partial(forget_coalescer, volume)
    yield "mark", partial(_write_mark, directory)


def paused_since(cluster: HostedCluster) -> float | None:
    """When its writer stopped, in seconds since 1970; None where its directory does not say."""
    return claimed_at(writer_directory(cluster))


def read_mark(directory: Path, data_directory: Path) -> DeepPause | None:
    """The deep pause that a cluster is in; None where it is in none.

    A mark of a later release, or none that can be read, says no more than that there is no data
    directory, which the next start makes: it counts as none.
    """
    if data_directory.exists():
        return None
    try:
        noted = json.loads((directory / MARK).read_text(encoding="utf-8"))
        since, taken = datetime.fromisoformat(noted["since"]), int(noted["bytes_used"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return DeepPause(since, taken)


def writer_directory(cluster: HostedCluster) -> Path:
    """The data directory of its writer."""
    record = cluster.records.get(cluster.writer_name)
    return data_directory_at(cluster.directory, record.place if record else FIRST_PLACE)


def _data_directories(cluster: HostedCluster) -> list[Path]:
    places = {FIRST_PLACE, *(each.place for each in cluster.records.values())}
    return [data_directory_at(cluster.directory, place) for place in sorted(places)]


def _distrust(directory: Path, data: list[Path]) -> None:
    # That of an earlier deep pause is about the directories that were gone then.
    (directory / MARK).unlink(missing_ok=True)
    _each(distrust, data)


def _each(do: Callable[[Path], None], directories: list[Path]) -> None:
    for directory in directories:
        do(directory)


def _write_mark(directory: Path) -> None:
    found = DeepPause(datetime.now(UTC), own_bytes(directory))
    noted = {"format": FORMAT, **asdict(found), "since": found.since.isoformat()}
    write_atomically(directory / MARK, json.dumps(noted))


def _require_rebuildable(storage: ClusterStorage) -> None:
    with storage.used() as volume:
        volume.require_rebuildable()


def _while_closed(storage: ClusterStorage, work: Callable[[], None]) -> bool:
    with storage.at_rest() as closed:
        if closed:
            work()
        return closed
