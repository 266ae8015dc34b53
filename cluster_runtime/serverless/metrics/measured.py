"""From two readings of an instance to what it did between them: a rule without a clock.

A counter that is lower than before began again, so nothing is said of that stretch. What is not
known is absent, never 0. Source of the formulas: Aurora User Guide, "Aurora serverless metrics".
"""

from dataclasses import dataclass, fields
from typing import TypeVar

from cluster_runtime.serverless.metrics.names import CPU_CORES, MEMORY_USED, SHARED_MEMORY_USED
from cluster_runtime.serverless.scaling.demand import Demand

PERCENT = 100.0
MS_PER_S = 1000.0

Values = dict[str, float]
"""Of metrics, by their names."""
C = TypeVar("C", "Counters", "Transactions", "VolumeCounters")


@dataclass(frozen=True, slots=True)
class Counters:
    """What only grows while a server runs: CPU time, and bytes from and to clients."""

    cpu_seconds: float
    received_bytes: float
    sent_bytes: float


@dataclass(frozen=True, slots=True)
class VolumeCounters:
    """What only grows while a volume is open.

    read_ios, write_ios: as they are billed. durable_batches, durable_seconds: stretches of log that
    became durable, and how long they waited for that, all together.
    """

    read_ios: float
    write_ios: float
    durable_batches: float
    durable_seconds: float


@dataclass(frozen=True, slots=True)
class Transactions:
    """PostgreSQL's own counters, of all databases of the tenant (`pg_stat_database`)."""

    commits: float
    deadlocks: float
    blocks_hit: float
    blocks_read: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What an instance may have. capacity, maximum: ACU now and at most; None where provisioned.

    cores, memory_bytes: what its maximum, or its class, comes with, as far as the machine has it.
    free_bytes: what the machine has free.
    """

    cores: float
    memory_bytes: float
    free_bytes: float
    capacity: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """An instance at a moment. at: seconds of a monotonic clock. server: a number for its run.

    volume: for the writer alone. lag_ms: for a reader, where it is known.
    """

    at: float
    server: int
    counters: Counters
    memory_bytes: int
    shared_bytes: int | None
    connections: int
    limits: Limits
    volume: VolumeCounters | None = None
    lag_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What one second came to. values: of the instance's metrics. volume: of the volume's."""

    demand: Demand
    values: Values
    volume: Values


def sample_of(before: Reading, now: Reading) -> Sample | None:
    """What happened between two readings; None where they do not belong to one run."""
    seconds = now.at - before.at
    spent = _between(before.counters, now.counters)
    if seconds <= 0 or spent is None or before.server != now.server:
        return None
    cores = spent.cpu_seconds / seconds
    received, sent = spent.received_bytes / seconds, spent.sent_bytes / seconds
    volume = None
    if before.volume is not None and now.volume is not None:
        volume = _between(before.volume, now.volume)
    demand = Demand(
        cpu_cores=cores,
        memory_bytes=float(now.memory_bytes),
        network_bytes_per_second=received + sent,
        read_iops=volume.read_ios / seconds if volume else 0.0,
        write_iops=volume.write_ios / seconds if volume else 0.0,
        connections=now.connections,
    )
    values = {
        **_shares(now, cores),
        CPU_CORES: cores,
        MEMORY_USED: float(now.memory_bytes),
        "DatabaseConnections": float(now.connections),
        "NetworkReceiveThroughput": received,
        "NetworkTransmitThroughput": sent,
    }
    if now.shared_bytes is not None:
        values[SHARED_MEMORY_USED] = float(now.shared_bytes)
    if now.lag_ms is not None:
        values["AuroraReplicaLag"] = now.lag_ms
    if volume is not None and volume.durable_batches:
        values["CommitLatency"] = volume.durable_seconds / volume.durable_batches * MS_PER_S
    return Sample(demand, values, _volume_values(volume))


def transactions_between(before: Transactions, now: Transactions, seconds: float) -> Values:
    """What transactions did in so many seconds; nothing where the counters began again."""
    done = _between(before, now)
    if done is None or seconds <= 0:
        return {}
    values = {
        "CommitThroughput": done.commits / seconds,
        "Deadlocks": done.deadlocks / seconds,
    }
    blocks = done.blocks_hit + done.blocks_read
    if blocks:
        values["BufferCacheHitRatio"] = done.blocks_hit / blocks * PERCENT
    return values


def _shares(now: Reading, cores: float) -> Values:
    limits = now.limits
    free = min(limits.memory_bytes - now.memory_bytes, limits.free_bytes)
    values = {
        "CPUUtilization": min(cores / limits.cores * PERCENT, PERCENT),
        "FreeableMemory": max(0.0, free),
    }
    if limits.capacity is not None and limits.maximum:
        values["ServerlessDatabaseCapacity"] = limits.capacity
        values["ACUUtilization"] = limits.capacity / limits.maximum * PERCENT
    return values


def _volume_values(volume: VolumeCounters | None) -> Values:
    if volume is None:
        return {}
    return {"VolumeReadIOPs": volume.read_ios, "VolumeWriteIOPs": volume.write_ios}


def _between(before: C, now: C) -> C | None:
    """How much each counter grew; None where one of them began again."""
    grown = [getattr(now, each.name) - getattr(before, each.name) for each in fields(now)]
    return type(now)(*grown) if min(grown) >= 0 else None
