"""Measures every running instance once a second: one task for the host, and none for a cluster.

A paused cluster is passed over: it has no process, no sample, and no history in memory.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.members import capacity_of
from cluster_runtime.control.monitoring.metrics import histories
from cluster_runtime.control.records.instances import PROVISIONED
from cluster_runtime.control.regularly import Regularly
from cluster_runtime.errors import BorealisError
from cluster_runtime.gateway import Traffic
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.metrics.history import OF_THE_VOLUME, Origin
from cluster_runtime.serverless.metrics.measured import (
    Counters,
    Limits,
    Reading,
    Transactions,
    Values,
    VolumeCounters,
    transactions_between,
)
from cluster_runtime.serverless.metrics.names import Role
from cluster_runtime.serverless.metrics.processes import ProcessMeter, ProcessUsage
from cluster_runtime.serverless.metrics.sampler import InstanceKey

SAMPLE_EVERY_S = 1.0
SAVE_EVERY_S = 60.0
"""What a host that is killed loses of its metrics, at most."""
WEIGH_EVERY_S = 60.0
"""How often it is looked how large a volume is."""
PHASE_S, REST_MIN_S = 0.5, 0.25
"""Samples are taken in the middle of a second, so that each second has one."""

_log = get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Running:
    """An instance that runs, from its first sample to its last. pid: of its postmaster.

    traffic: held, so that bytes count on between sessions. transactions: as PostgreSQL counted them
    last, and when. told: what it did since the time before, until that is taken into a sample.
    """

    cluster: HostedCluster
    instance: HostedInstance
    pid: int
    traffic: Traffic
    transactions: tuple[float, Transactions] | None = None
    told: Values | None = None


class MetricsWatch:
    """Measures the instances of one runtime until closed."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._meter = ProcessMeter()
        self._running: dict[InstanceKey, _Running] = {}
        self._weigh_at: dict[str, float] = {}
        self._save_at: dict[str, float] = {}
        self._resting: set[str] = set()
        self._saving: asyncio.Task[None] | None = None
        self._one_saves = asyncio.Lock()
        self._cores = float(os.cpu_count() or 1)
        self._memory = float(psutil.virtual_memory().total)
        self._sampling = Regularly(self._sample, again_s=SAMPLE_EVERY_S)

    async def close(self) -> None:
        """Measure no more, and keep what there is."""
        await self._sampling.close()
        if self._saving is not None:
            await asyncio.gather(self._saving, return_exceptions=True)
        await self._save(list(self._save_at))

    async def _sample(self) -> float:
        """Returns the seconds until the next one."""
        self._running = dict(self._find())
        pids = [each.pid for each in self._running.values()]
        if pids:
            usages = await in_thread(self._meter.read, pids)
            free = float(psutil.virtual_memory().available)
            now = self._loop.time()
            readings = {
                key: self._reading(key, each, usages[each.pid], now, free)
                for key, each in self._running.items()
                if each.pid in usages
            }
        else:
            readings = {}
        await self._keep(readings)
        for each in self._running.values():
            self._note(each)
        self._note_rests()
        self._save_some()
        return rest(time.time())

    def _find(self) -> Iterator[tuple[InstanceKey, _Running]]:
        """The instances that run now; those that ran before as they are."""
        for cluster in self._runtime.clusters.values():
            for name in cluster.records:
                try:
                    instance = cluster.instance(name)
                except LookupError:
                    continue  # it is being made, or deleted
                pid = instance.pid
                if pid is None:
                    continue
                key = InstanceKey(cluster.id, name)
                known = self._running.get(key)
                if known is not None and known.pid == pid:
                    yield key, known
                else:
                    traffic = self._runtime.gateway.traffic_of(instance.path)
                    yield key, _Running(cluster, instance, pid, traffic)

    def _reading(
        self, key: InstanceKey, of: _Running, usage: ProcessUsage, now: float, free: float
    ) -> Reading:
        cluster = of.cluster
        servers = (each.servers() for each in cluster.endpoints.values())
        reads = of.instance.is_reader
        return Reading(
            at=now,
            server=of.pid,
            counters=Counters(usage.cpu_seconds, of.traffic.received.bytes, of.traffic.sent.bytes),
            memory_bytes=usage.memory_bytes,
            shared_bytes=usage.shared_bytes,
            connections=sum(counted[of.instance.path] for counted in servers),
            limits=self._limits(cluster, key.instance, free),
            volume=None if reads else _volume_counters(cluster),
            lag_ms=cluster.lag.get(key.instance) if reads else None,
        )

    def _limits(self, cluster: HostedCluster, name: str, free: float) -> Limits:
        record = cluster.records.get(name)
        provisioned = PROVISIONED.get(record.db_instance_class) if record is not None else None
        if provisioned is not None:
            cores, memory = float(provisioned.vcpus), float(provisioned.memory_gib << 30)
            return Limits(min(cores, self._cores), min(memory, self._memory), free)
        most = cluster.db_cluster.scaling.max_capacity
        share = self._runtime.capacity.share_of(most)
        return Limits(
            min(share.cores, self._cores),
            min(share.memory_bytes, self._memory),
            free,
            capacity_of(cluster, name),
            most,
        )

    async def _keep(self, readings: dict[InstanceKey, Reading]) -> None:
        samples = self._runtime.sampler.took(readings)
        at = time.time()
        for key, sample in samples.items():
            of = self._running[key]
            cluster = of.cluster
            history = self._runtime.histories.get(cluster.id)
            if history is None:
                history = await histories.begin(self._runtime, cluster)
                self._save_at[cluster.id] = self._loop.time() + SAVE_EVERY_S
            values, of.told = {**sample.values, **(of.told or {})}, None
            role: Role = "READER" if of.instance.is_reader else "WRITER"
            history.add(Origin(key.instance, role), at, values)
            history.add(OF_THE_VOLUME, at, sample.volume | await self._weighed(of))

    async def _weighed(self, of: _Running) -> Values:
        """How large the volume is, now and then; nothing of readers."""
        now, cluster = self._loop.time(), of.cluster
        volume = cluster.instances.storage.opened
        due = now >= self._weigh_at.get(cluster.id, 0.0)
        if of.instance.is_reader or volume is None or not due:
            return {}
        self._weigh_at[cluster.id] = now + WEIGH_EVERY_S
        try:
            return {"VolumeBytesUsed": float(await in_thread(lambda: volume.meters.bytes_used))}
        except (OSError, BorealisError) as error:
            _log.warning("volume not weighed", cluster=cluster.identifier, error=str(error))
            return {}

    def _note(self, of: _Running) -> None:
        """Take in what PostgreSQL counted since the time before, where it has been asked again."""
        seen = of.instance.observed
        if seen is None or (of.transactions is not None and of.transactions[0] == seen.at):
            return
        if of.transactions is not None:
            before, counted = of.transactions
            of.told = transactions_between(counted, seen.transactions, seen.at - before)
        of.transactions = seen.at, seen.transactions

    def _note_rests(self) -> None:
        """The histories of clusters that run no more are written at once, and then let go of."""
        runs = {key.cluster for key in self._running}
        new = self._save_at.keys() - runs - self._resting
        self._save_at |= dict.fromkeys(new, self._loop.time())
        self._resting = (self._resting | new) - runs

    def _save_some(self) -> None:
        """Write those that it is time for, beside the next samples."""
        if self._saving is not None and not self._saving.done():
            return
        now = self._loop.time()
        due = [resource_id for resource_id, at in self._save_at.items() if now >= at]
        if due:
            self._save_at |= dict.fromkeys(due, now + SAVE_EVERY_S)
            self._saving = self._loop.create_task(self._save(due))

    async def _save(self, resource_ids: list[str]) -> None:
        async with self._one_saves:
            for resource_id in resource_ids:
                cluster = self._runtime.clusters.get(resource_id)
                kept = cluster is None or await histories.save(self._runtime, cluster)
                runs = any(key.cluster == resource_id for key in self._running)
                if kept and resource_id in self._resting and not runs:
                    self._let_go(resource_id)

    def _let_go(self, resource_id: str) -> None:
        self._resting.discard(resource_id)
        self._save_at.pop(resource_id, None)
        self._weigh_at.pop(resource_id, None)
        self._runtime.histories.pop(resource_id, None)


def rest(now: float) -> float:
    """Seconds until the next sample is due. now: Unix seconds."""
    wait = SAMPLE_EVERY_S - (now - PHASE_S) % SAMPLE_EVERY_S
    return wait if wait >= REST_MIN_S else wait + SAMPLE_EVERY_S


def _volume_counters(cluster: HostedCluster) -> VolumeCounters | None:
    volume = cluster.instances.storage.opened
    if volume is None:
        return None
    io = volume.meters.io
    return VolumeCounters(io.read_ios, io.write_ios, io.durable_batches, io.durable_seconds)
