"""CPU by affinity and niceness, where no cgroup can be had: coarse, and never said to be more.

A server runs on as few of the machine's CPUs as its share asks for, and yields to servers of larger
shares: the kernel gives a process of one level of niceness less about a quarter more. Nothing keeps
it from a CPU that nobody else wants, and nothing bounds its memory.

Source: sched_setaffinity(2); sched(7), "The nice value"; Linux kernel/sched/core.c,
sched_prio_to_weight.
"""

import errno
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from cluster_runtime.engine.system.processes import children_of
from cluster_runtime.serverless.enforcement.means import InForce, Share

NICE_MAX = 19
WEIGHT_OF_A_LEVEL = 1.25

_NO_BOUND = (
    "CPU: a server gets more than its share while nobody else wants it; only a cgroup bounds it",
    "memory: only a cgroup of version 2 bounds it",
)
_NO_NICE = (
    "niceness: only a privileged host may take it back, so it stays; servers of any size count "
    "alike where they share a CPU"
)
_NO_AFFINITY = "affinity: this system does not let a process choose its CPUs"


class Affinity:
    """The shares of servers by CPU and niceness. cpus: those that the host may run on.

    Only a privileged host may lower the niceness of a process again; another one leaves it alone.
    """

    def __init__(self, cpus: Sequence[int], *, privileged: bool) -> None:
        self._cpus = tuple(cpus)
        self._privileged = privileged
        self._chooses = hasattr(psutil.Process, "cpu_affinity")
        self._known: set[str] = set()
        self.bounds = False
        names = (["affinity"] if self._chooses else []) + (["nice"] if privileged else [])
        self.name = " and ".join(names)
        missing = (("" if self._chooses else _NO_AFFINITY), ("" if privileged else _NO_NICE))
        self.gaps = (*_NO_BOUND, *(each for each in missing if each))

    def admit(self, server: str, pid: int) -> None:
        """Let a server have all; what its postmaster forks is as nice, and where it is."""
        self._known.add(server)
        self._set_all(pid, self._cpus, 0)

    def hold(self, server: str, pid: int, share: Share) -> InForce:
        """Hold a server to a share from now on. Raises OSError."""
        level = niceness(share.cores, len(self._cpus))
        postmaster = self._set_all(pid, cpus_for(server, share.cores, self._cpus), level)
        with _as_os_errors(pid):
            cpus = len(postmaster.cpu_affinity() or ()) if self._chooses else None
            nice = int(postmaster.nice()) if self._privileged else None
        return InForce(self.name, cpus=cpus, nice=nice, gaps=self.gaps)

    def _set_all(self, pid: int, cpus: Sequence[int], level: int) -> psutil.Process:
        with _as_os_errors(pid):
            postmaster = psutil.Process(pid)
            # First the postmaster: what it forks while its children are looked at has it already.
            for process in (postmaster, *children_of(pid)):
                self._set(process, cpus, level)
        return postmaster

    def _set(self, process: psutil.Process, cpus: Sequence[int], level: int) -> None:
        try:
            if self._chooses:
                process.cpu_affinity(list(cpus))
            if self._privileged:
                process.nice(level)
        except psutil.NoSuchProcess:
            return

    def stopped(self, server: str) -> None:
        """Nobody is stopped."""

    def release(self, server: str) -> bool:
        """Forget a server."""
        self._known.discard(server)
        return True

    def known(self) -> frozenset[str]:
        """The servers that were admitted by this host."""
        return frozenset(self._known)

    def close(self) -> None:
        """Nothing outlives the processes."""


@contextmanager
def _as_os_errors(pid: int) -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(errno.ESRCH, f"process {pid} has ended") from error
    except psutil.AccessDenied as error:
        raise PermissionError(errno.EPERM, f"process {pid} is not this user's") from error


def this_machine() -> Affinity:
    """What this process may do to those that it starts."""
    known = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return Affinity(sorted(known), privileged=os.geteuid() == 0)


def cpus_for(server: str, cores: float, cpus: Sequence[int]) -> tuple[int, ...]:
    """As many CPUs as a share has a part of; servers begin at different ones, each at its own."""
    count = min(len(cpus), max(1, math.ceil(cores)))
    first = zlib.crc32(server.encode()) % len(cpus)
    return tuple(sorted((*cpus[first:], *cpus[:first])[:count]))


def niceness(cores: float, machine_cores: int) -> int:
    """0 for all of the machine; so much more for a smaller share that weights fit shares."""
    levels = math.log(max(1.0, machine_cores / cores), WEIGHT_OF_A_LEVEL)
    return min(NICE_MAX, round(levels))
