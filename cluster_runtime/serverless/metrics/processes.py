"""What the processes of PostgreSQL use, as the operating system says: CPU time and memory.

On Linux from `/proc`, a file or two for each process. What pages are shared by how many (PSS) takes
the kernel milliseconds a process, so the sum is taken now and then within a budget, and in between
moved by what costs microseconds (`statm`). Elsewhere psutil says both, and memory without what is
shared.

Source: Linux `Documentation/filesystems/proc.rst` (`stat`, `statm`, `smaps_rollup`, `children`).
"""

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from cluster_runtime.engine.system.processes import children_of

PSS_SHARE = 0.01
"""Of one CPU core at most is spent on sums of pages, for all instances of the host together."""
PSS_EVERY_S = 10.0
"""As often at most, for one instance."""

_READ_BYTES = 16_384
_KIB = 1024


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Of one instance's processes, the postmaster and its children.

    cpu_seconds: since it started, of those that have ended too. memory_bytes: private memory of
    each, and what they share once. shared_bytes: the latter: shared buffers and other shared memory
    that were touched; None where the system does not say.
    """

    cpu_seconds: float
    memory_bytes: int
    shared_bytes: int | None


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read each time. private: memory of each process alone; shared: most that one of them
    shares with others. Both in bytes, and a little too high: forks share until they write.
    """

    family: tuple[int, ...]
    cpu: float
    private: int
    shared: int


@dataclass(frozen=True, slots=True)
class _Summed:
    """A sum of pages, in bytes, and what `_Read` had as private then. at: monotonic."""

    at: float
    pss: int
    shared: int
    private: int


class ProcessMeter:
    """Reads the usage of instances by their postmasters. One thread at a time."""

    def __init__(self) -> None:
        self._summed: dict[int, _Summed] = {}
        self._cpu: dict[int, float] = {}
        self._may_sum_at = 0.0

    def read(self, postmasters: Iterable[int]) -> dict[int, ProcessUsage]:
        """The usage of each that runs, by its process id; what is known of others is forgotten."""
        if sys.platform != "linux":
            every = ((pid, _read_by_psutil(pid)) for pid in postmasters)
            return {pid: usage for pid, usage in every if usage is not None}
        tried = ((pid, _read(pid)) for pid in postmasters)
        reads = {pid: one for pid, one in tried if one is not None}
        self._summed = {pid: one for pid, one in self._summed.items() if pid in reads}
        # One that ended between the postmaster's line and its own is missing this once.
        self._cpu = {pid: max(one.cpu, self._cpu.get(pid, 0.0)) for pid, one in reads.items()}
        self._sum_some(reads)
        return {pid: self._usage(pid, one) for pid, one in reads.items()}

    def _usage(self, pid: int, read: _Read) -> ProcessUsage:
        summed, cpu = self._summed.get(pid), self._cpu[pid]
        if summed is None:
            return ProcessUsage(cpu, read.private + read.shared, None)
        memory = max(summed.shared, summed.pss + read.private - summed.private)
        return ProcessUsage(cpu, memory, summed.shared)

    def _sum_some(self, reads: dict[int, _Read]) -> None:
        """Sum the pages of those that waited longest for it, within the budget."""
        last = {pid: one.at for pid, one in self._summed.items()}
        for pid in sorted(reads, key=lambda each: last.get(each, 0.0)):
            now = time.monotonic()
            if now < self._may_sum_at or now < last.get(pid, -PSS_EVERY_S) + PSS_EVERY_S:
                return
            began = time.thread_time()
            pss, shared = _pages(reads[pid].family)
            self._may_sum_at = now + (time.thread_time() - began) / PSS_SHARE
            if pss:
                self._summed[pid] = _Summed(now, pss, shared, reads[pid].private)


def _read(pid: int) -> _Read | None:
    """None where it does not run any more."""
    # The postmaster first: who ends meanwhile is missing until the next time, and not there twice.
    ticks = _cpu_ticks(pid, with_ended=True)
    if ticks is None:
        return None
    family = (pid, *_children(pid))
    private = shared = 0
    for each in family:
        if each != pid:
            ticks += _cpu_ticks(each, with_ended=False) or 0
        fields = _content(f"/proc/{each}/statm").split()
        if fields:
            resident, common = int(fields[1]), int(fields[2])
            private += resident - common
            shared = max(shared, common)
    page = os.sysconf("SC_PAGE_SIZE")
    return _Read(family, ticks / os.sysconf("SC_CLK_TCK"), private * page, shared * page)


def _cpu_ticks(pid: int, *, with_ended: bool) -> int | None:
    """CPU time of a process. with_ended: and of its children that have ended, and were waited for.

    None where there is no such process.
    """
    stat = _content(f"/proc/{pid}/stat")
    if not stat:
        return None
    # The name before the last parenthesis may hold anything. utime, stime, cutime, cstime.
    times = stat[stat.rindex(b")") + 2 :].split()[11:15]
    return sum(map(int, times if with_ended else times[:2]))


def _children(pid: int) -> list[int]:
    """Those of a process of one thread, as a postmaster is. A server has no grandchildren."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb", buffering=0) as file:
            return [int(each) for each in file.read().split()]
    except ProcessLookupError:
        return []
    except FileNotFoundError:  # it has ended, or the kernel has no such file
        return [each.pid for each in children_of(pid)]


def _pages(family: Iterable[int]) -> tuple[int, int]:
    """Bytes of memory, and those of it that are shared: a page that n have is an nth for each.

    0 where the host may not look.
    """
    pss = shared = 0
    for pid in family:
        for line in _content(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                pss += int(line.split()[1]) * _KIB
            elif line.startswith(b"Pss_Shmem:"):
                shared += int(line.split()[1]) * _KIB
    return pss, shared


def _content(path: str) -> bytes:
    """Of a file of the kernel's; empty where the process has ended, or is not to be looked at."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
    try:
        return os.read(file, _READ_BYTES)
    except (ProcessLookupError, PermissionError):
        return b""
    finally:
        os.close(file)


def _read_by_psutil(pid: int) -> ProcessUsage | None:
    """Children that have ended count where the system says what they used."""
    try:
        own = psutil.Process(pid)
        times, memory = own.cpu_times(), own.memory_info().rss
    except psutil.Error:
        return None
    cpu = times.user + times.system + times.children_user + times.children_system
    for child in children_of(pid):
        try:
            spent = child.cpu_times()
            memory += child.memory_full_info().uss
        except psutil.Error:
            continue  # ended meanwhile
        cpu += spent.user + spent.system
    return ProcessUsage(cpu, memory, None)
