"""What a serverless instance has of its machine, and what the machine has for all: facts."""

from dataclasses import dataclass

from cluster_runtime.serverless.enforcement.means import InForce


@dataclass(frozen=True, slots=True)
class InstanceCapacity:
    """The capacity of an instance that runs, now.

    granted, wanted: ACU. reason: why it has, or has not, what it wants. in_force: what holds it.
    """

    granted: float
    wanted: float
    reason: str
    in_force: InForce


@dataclass(frozen=True, slots=True)
class MachineCapacity:
    """What a host has for all its instances, in ACU, and who holds them.

    cores, memory_bytes: of the machine, as far as the host may use it. machine: their ACU; total:
    with the overcommit. granted, wanted: of all instances that run. enforcement: by which means
    they are held. gaps: what does not hold, and why.
    """

    cores: float
    memory_bytes: int
    machine: float
    total: float
    granted: float
    wanted: float
    enforcement: str
    gaps: tuple[str, ...] = ()
