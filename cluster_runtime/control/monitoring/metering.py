"""Meters the clusters of one runtime, and makes their bill.

Capacity is looked at once a second, storage and I/O whenever the ledger is written, backups now and
then. A paused cluster costs a look at two attributes.
"""

import time
from datetime import UTC, datetime

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.members import capacity_of, metered
from cluster_runtime.control.operations.billing.bills import DescribeBill
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.regularly import Regularly
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.metering.bill import Bill, UsedOn, bill_total, entry
from cluster_runtime.serverless.metering.ledger import Entry
from cluster_runtime.serverless.metering.prices import PRICE_LIST, read_price_list
from cluster_runtime.serverless.metering.usage import HOUR_S, Usage

LOOK_EVERY_S = 1.0
NOTE_EVERY_S = 10.0
BACKUPS_EVERY_S, BACKUPS_FIRST_S = 900.0, 60.0
UNTAGGED = "(untagged)"

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that nobody sets, and that goes on while the machine sleeps, where there is one."""

_log = get_logger(__name__)


class Metering:
    """Meters the clusters of one runtime until closed."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._looked_at = time.monotonic_ns()
        self._note_at = time.monotonic() + NOTE_EVERY_S
        self._weigh_from = time.monotonic() + BACKUPS_FIRST_S
        self._looking = Regularly(self._look, again_s=LOOK_EVERY_S)
        # A bucket may be far away: who runs meanwhile is looked at all the same.
        self._weighing = Regularly(self._weigh, again_s=BACKUPS_FIRST_S)

    async def close(self) -> None:
        """Meter no more."""
        await self._weighing.close()
        await self._looking.close()

    async def _look(self) -> float:
        """Returns the seconds until the next look."""
        now = time.monotonic_ns()
        elapsed, self._looked_at = now - self._looked_at, now
        for cluster in self._runtime.clusters.values():
            instances = {cluster.writer_name: cluster.writer, **cluster.instances.readers}
            for name, instance in instances.items():
                if instance.socket is not None:
                    self._runtime.meter.ran(cluster.id, capacity_of(cluster, name), elapsed)
        seconds = time.monotonic()
        if seconds >= self._note_at:
            self._note_at = seconds + NOTE_EVERY_S
            await note_usage(self._runtime)
        return LOOK_EVERY_S

    async def _weigh(self) -> float:
        """Returns the seconds until the backups are weighed again."""
        if time.monotonic() < self._weigh_from:
            return BACKUPS_FIRST_S
        for cluster in list(self._runtime.clusters.values()):
            await self._look_at_backup(cluster)
        return BACKUPS_EVERY_S

    async def _look_at_backup(self, cluster: HostedCluster) -> None:
        """Only of a cluster whose volume is open: nobody adds to the others."""
        if cluster.instances.storage.opened is None:
            return
        archive = self._runtime.backups.archive
        try:
            self._runtime.meter.backed_up(cluster.id, await in_thread(archive.bytes_of, cluster.id))
        except BorealisError as error:
            _log.warning("size of a backup", cluster=cluster.identifier, error=str(error))


async def note_usage(runtime: OpenRuntime, *, all_of_them: bool = False) -> None:
    """Bring what was metered into the ledger. Raises InsufficientStorageError."""
    known = [
        metered(cluster)
        for cluster in runtime.clusters.values()
        if cluster.db_cluster.status is not ClusterStatus.CREATING
    ]
    now, clock = int(time.time()), time.clock_gettime(_STEADY)

    def flush() -> None:
        runtime.meter.flush(known, now, all_of_them=all_of_them, clock=clock)

    await in_thread(flush)


async def describe_bill(runtime: OpenRuntime, request: DescribeBill) -> Bill:
    """What was used, at the prices of the runtime's region. Raises InvalidParameterError."""
    only = None
    if request.db_cluster_identifier is not None:
        only = runtime.find(request.db_cluster_identifier).id
    until = datetime.now(UTC)
    month = until.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    since_hour = int((request.since or month).timestamp()) // HOUR_S
    own = runtime.state.path / PRICE_LIST.name
    listed = await in_thread(read_price_list, own if own.exists() else PRICE_LIST)
    prices = listed.of(runtime.region)
    await note_usage(runtime, all_of_them=True)
    found = await in_thread(runtime.meter.used, since_hour)
    used = {name: each for name, each in found.items() if only in (None, name)}
    grouped = _grouped(used, request.by_tag)
    entries = tuple(entry(name, each, prices, request.what_if) for name, each in grouped.items())
    return Bill(
        datetime.fromtimestamp(since_hour * HOUR_S, UTC),
        until,
        prices.region,
        listed.currency,
        prices.source,
        prices.date,
        prices.checked,
        entries,
        bill_total(entries),
    )


def _grouped(
    used: dict[str, tuple[Entry, list[tuple[str, Usage]]]], key: str | None
) -> dict[str, UsedOn]:
    """By the names of clusters, or by the values of a tag; in order."""
    found: dict[str, dict[str, Usage]] = {}
    for cluster, parts in used.values():
        name = cluster.name if key is None else dict(cluster.tags).get(key, UNTAGGED)
        sums = found.setdefault(name, {})
        for storage_type, usage in parts:
            sums[storage_type] = sums.get(storage_type, Usage()) + usage
    return {name: list(found[name].items()) for name in sorted(found)}
