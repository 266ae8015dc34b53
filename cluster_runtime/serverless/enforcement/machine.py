"""What the machine has for all clusters together: the CPUs and memory that this host may use.

A container or a service may have less than the machine: its cgroup says how much.

Source: Linux Documentation/admin-guide/cgroup-v2.rst (`cpu.max`, `memory.max`),
scheduler/sched-bwc.rst, admin-guide/cgroup-v1/memory.rst.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from cluster_runtime.serverless.enforcement.group_files import read
from cluster_runtime.serverless.enforcement.places import (
    CgroupPlaces,
    places_in,
    up_to_the_top,
)

UNLIMITED = ("max", "-1")


@dataclass(frozen=True, slots=True)
class Machine:
    """cores: of CPU, possibly a fraction. memory_bytes: in all. cpus: that the host may run on."""

    cores: float
    memory_bytes: int
    cpus: int


def this_machine() -> Machine:
    """What there is for this process. Raises OSError where /proc cannot be read."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return bounded(Machine(float(cpus), psutil.virtual_memory().total, cpus), own_places())


def own_places() -> CgroupPlaces:
    """Where this process is; nowhere on a system without cgroups."""
    try:
        return places_in(
            Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="surrogateescape"),
            Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"),
        )
    except FileNotFoundError:
        return CgroupPlaces()


def bounded(machine: Machine, places: CgroupPlaces) -> Machine:
    """A machine as its cgroup, and those that this is in, leave it to their processes."""
    cores, memory = [machine.cores], [machine.memory_bytes]
    for group in _groups(places.v2, places):
        quota, _, period = _said(group / "cpu.max").partition(" ")
        if quota not in UNLIMITED and period:
            cores.append(int(quota) / int(period))
        memory += _number(group / "memory.max")
    for group in _groups(places.v1_cpu, places):
        quotas = _number(group / "cpu.cfs_quota_us")
        periods = _number(group / "cpu.cfs_period_us")
        cores += [quota / period for quota, period in zip(quotas, periods, strict=False)]
    for group in _groups(places.v1_memory, places):
        memory += _number(group / "memory.limit_in_bytes")
    return Machine(min(cores), min(memory), machine.cpus)


def _groups(place: Path | None, places: CgroupPlaces) -> Iterator[Path]:
    if place is not None:
        yield from up_to_the_top(place, places.tops)


def _number(path: Path) -> list[int]:
    """What a file limits something to; nothing where there is no limit."""
    said = _said(path)
    return [int(said)] if said and said not in UNLIMITED else []


def _said(path: Path) -> str:
    try:
        return read(path)
    except OSError:  # the top has no such file, or the controller is elsewhere
        return ""
