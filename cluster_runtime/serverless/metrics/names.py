"""The metrics that there are, as CloudWatch names them in the namespace `AWS/RDS`.

Source: Aurora User Guide, "Amazon CloudWatch metrics for Amazon Aurora"; CloudWatch API Reference,
data type MetricDatum (units).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

AWS_RDS: Final = "AWS/RDS"
OURS: Final = "Borealis"
"""The namespace of what CloudWatch has no name for."""

CPU_CORES: Final = "CPUCores"
MEMORY_USED: Final = "MemoryUsed"
SHARED_MEMORY_USED: Final = "SharedMemoryUsed"

Role = Literal["WRITER", "READER"]
Unit = Literal["Percent", "Count", "Count/Second", "Bytes", "Bytes/Second", "Milliseconds"]


class Level(Enum):
    """What a metric is of: each instance, or the volume that they share."""

    INSTANCE = "instance"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. unit: CloudWatch's. words: what it is."""

    name: str
    unit: Unit
    level: Level
    words: str
    namespace: str = AWS_RDS


def _of(level: Level, *rows: tuple[str, Unit, str], namespace: str = AWS_RDS) -> tuple[Metric, ...]:
    return tuple(Metric(name, unit, level, words, namespace) for name, unit, words in rows)


METRICS: Final[Mapping[str, Metric]] = {
    each.name: each
    for each in (
        *_of(
            Level.INSTANCE,
            ("ServerlessDatabaseCapacity", "Count", "ACU that it has"),
            ("ACUUtilization", "Percent", "ACU that it has, of its maximum"),
            ("CPUUtilization", "Percent", "CPU that it uses, of what its maximum comes with"),
            ("FreeableMemory", "Bytes", "memory that its maximum comes with and it does not use"),
            ("DatabaseConnections", "Count", "client sessions"),
            ("CommitThroughput", "Count/Second", "transactions that committed"),
            ("CommitLatency", "Milliseconds", "how long commits waited to become durable"),
            ("AuroraReplicaLag", "Milliseconds", "how far a reader shows behind the writer"),
            ("NetworkReceiveThroughput", "Bytes/Second", "what clients sent"),
            ("NetworkTransmitThroughput", "Bytes/Second", "what clients were sent"),
            ("BufferCacheHitRatio", "Percent", "reads that the shared buffers answered"),
            ("Deadlocks", "Count/Second", "deadlocks"),
        ),
        *_of(
            Level.INSTANCE,
            (CPU_CORES, "Count", "CPU that its processes use, in cores"),
            (MEMORY_USED, "Bytes", "memory of its processes, what they share counted once"),
            (SHARED_MEMORY_USED, "Bytes", "the part that they share: shared buffers in use"),
            namespace=OURS,
        ),
        *_of(
            Level.CLUSTER,
            ("VolumeBytesUsed", "Bytes", "pages and log of the volume"),
            ("VolumeWriteIOPs", "Count", "write I/O as it is billed, in units of 4 KiB of log"),
            ("VolumeReadIOPs", "Count", "read I/O as it is billed, in pages of 8 KiB"),
        ),
    )
}

INSTANCE_METRICS = tuple(name for name, each in METRICS.items() if each.level is Level.INSTANCE)
CLUSTER_METRICS = tuple(name for name, each in METRICS.items() if each.level is Level.CLUSTER)
