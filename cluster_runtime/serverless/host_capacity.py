"""The capacity of one host: what its machine has, who gets what of it, what holds them to that."""

from dataclasses import dataclass
from pathlib import Path

from cluster_runtime.serverless.capacity import MachineCapacity
from cluster_runtime.serverless.enforcement.enforcer import Enforcer, open_enforcer
from cluster_runtime.serverless.enforcement.machine import Machine, this_machine
from cluster_runtime.serverless.enforcement.means import Share
from cluster_runtime.serverless.fleet import Fleet, machine_capacity
from cluster_runtime.serverless.options import CapacityOptions
from cluster_runtime.serverless.scaling.units import CapacityUnit
from cluster_runtime.serverless.scaling.versions import DEFAULT_VERSION, PlatformVersion


@dataclass(frozen=True, slots=True)
class HostCapacity:
    """The parts that decide and hold. unit: what an ACU brings here."""

    machine: Machine
    unit: CapacityUnit
    version: PlatformVersion
    fleet: Fleet
    enforcer: Enforcer

    @classmethod
    def open(cls, options: CapacityOptions, state_directory: Path) -> "HostCapacity":
        """Look at the machine. Raises InvalidParameterError. Blocking."""
        machine = this_machine()
        unit = CapacityUnit(cores=options.cores_per_acu)
        acu = machine_capacity(machine.cores, machine.memory_bytes, unit)
        version = DEFAULT_VERSION
        return cls(
            machine,
            unit,
            version,
            Fleet(version, acu, options.overcommit, unit),
            open_enforcer(options.enforcement, state_directory, machine),
        )

    def share_of(self, acu: float) -> Share:
        """What so many ACU are on this machine."""
        return Share(acu * self.unit.cores, round(acu * self.unit.memory_bytes))

    def describe(self) -> MachineCapacity:
        """The machine, as the last tick left it."""
        budget = self.fleet.budget
        return MachineCapacity(
            self.machine.cores,
            self.machine.memory_bytes,
            budget.machine,
            budget.total,
            budget.granted,
            budget.wanted,
            self.enforcer.name,
            self.enforcer.gaps,
        )
