"""What an instance does with its capacity at one moment, and how many ACU that asks for."""

import math
from dataclasses import dataclass, fields
from enum import StrEnum

from cluster_runtime.serverless.scaling.units import CapacityUnit

SESSION_BYTES = 9_531_392
"""What Aurora counts for one connection: its default of `max_connections` for PostgreSQL is
LEAST({DBInstanceClassMemory/9531392}, 5000)."""

MEMORY_FULL = 0.9
"""How much of the memory may be in use: the rest is for what the next second brings."""


class Resource(StrEnum):
    """What can ask for capacity."""

    CPU = "cpu"
    MEMORY = "memory"
    NETWORK = "network"
    IO = "io"
    CONNECTIONS = "connections"


@dataclass(frozen=True, slots=True)
class Demand:
    """What was measured in the last tick. Raises ValueError for a number below 0 or not finite.

    cpu_cores: CPU time of the instance's processes in the tick, divided by its length. At most what
        the capacity allowed; the policy knows that a full instance may need more.
    memory_bytes: what is needed now: private memory of the processes, and shared buffers in use.
    network_bytes_per_second: to and from clients.
    read_iops, write_iops: storage operations per second.
    connections: of users, open now.
    """

    cpu_cores: float = 0.0
    memory_bytes: float = 0.0
    network_bytes_per_second: float = 0.0
    read_iops: float = 0.0
    write_iops: float = 0.0
    connections: int = 0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{each.name} is {value}; it must be 0 or more")

    def rates(self, unit: CapacityUnit) -> dict[Resource, float]:
        """How many ACU each resource keeps fully busy. These can be squeezed: work waits."""
        return {
            Resource.CPU: self.cpu_cores / unit.cores,
            Resource.NETWORK: self.network_bytes_per_second / unit.network_bytes_per_second,
            Resource.IO: (self.read_iops + self.write_iops) / unit.io_per_second,
        }

    def floors(self, unit: CapacityUnit) -> dict[Resource, float]:
        """How many ACU sessions and memory need. Below that, something ends that must not."""
        return {
            Resource.MEMORY: self.memory_bytes / (unit.memory_bytes * MEMORY_FULL),
            Resource.CONNECTIONS: self.connections * SESSION_BYTES / unit.memory_bytes,
        }
