"""CPU by quota of the kernel's cgroups, version 1. Memory is never bounded here.

Version 1 has no `memory.high`: its only limit ends a PostgreSQL that reaches it, so none is set.

Source: Linux Documentation/scheduler/sched-bwc.rst.
"""

from pathlib import Path

from cluster_runtime.serverless.enforcement.group_files import ServerGroups, read, remove, write
from cluster_runtime.serverless.enforcement.means import InForce, Share, UnavailableError

PERIOD_US = 100_000
"""In each, a server gets its quota, then waits: the kernel's default."""
QUOTA_US_MIN = 1000
NO_QUOTA = -1
SHARES_OF_A_CORE, SHARES_MIN, SHARES_MAX = 1024, 2, 262_144
"""A group counts as one process against others, however many are in it, unless it says more: here
each core of its capacity counts as one."""
_QUOTA, _PERIOD, _SHARES = "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares"


NO_MEMORY_HIGH = (
    "memory: cgroup version 1 has no memory.high, and its limit would end PostgreSQL; "
    "cgroup version 2 has one"
)


class CgroupV1(ServerGroups):
    """The groups of one state directory below the group of the host.

    own: the host's group in the hierarchy of the CPU controller. name: of the folder of groups.
    machine_cores: more is no limit. bounded: a server never has more than its share; else
    it may use what nobody else wants. Raises UnavailableError where no group can be made there.
    """

    name = "cgroup v1"

    def __init__(self, own: Path, name: str, machine_cores: float, *, bounded: bool = True) -> None:
        folder = own / name
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"no group can be made in {own}: {error.strerror}") from error
        if not (folder / _QUOTA).exists():
            remove(folder)
            raise UnavailableError("this kernel has no quota of CPU (CONFIG_CFS_BANDWIDTH)")
        write(folder / _SHARES, str(shares(machine_cores)))
        super().__init__(folder)
        self.gaps: tuple[str, ...] = (*unbounded(bounded), NO_MEMORY_HIGH)
        self._machine_cores = machine_cores if bounded else 0.0
        self.bounds = bounded

    def open_up(self, group: Path) -> None:
        """Let the servers of a group have all of the machine. Raises OSError."""
        write(group / _QUOTA, str(NO_QUOTA))

    def hold(self, server: str, pid: int, share: Share) -> InForce:
        """Hold a server to a share from now on. Raises OSError."""
        group = self.group_of(server)
        write(group / _SHARES, str(shares(share.cores)))
        write(group / _PERIOD, str(PERIOD_US))
        write(group / _QUOTA, str(quota_us(share.cores, self._machine_cores)))
        quota = int(read(group / _QUOTA))
        cores = None if quota == NO_QUOTA else quota / int(read(group / _PERIOD))
        return InForce(self.name, cores=cores, gaps=self.gaps)


def unbounded(bounded: bool) -> tuple[str, ...]:
    """What a group without a quota does not hold."""
    return () if bounded else ("CPU: more than its share while nobody else wants it",)


def shares(cores: float) -> int:
    """How much a group counts where more is wanted than there is."""
    return min(SHARES_MAX, max(SHARES_MIN, round(cores * SHARES_OF_A_CORE)))


def quota_us(cores: float, machine_cores: float) -> int:
    """The microseconds of CPU for each period; none where the machine has no more anyway."""
    if cores >= machine_cores:
        return NO_QUOTA
    return max(QUOTA_US_MIN, round(cores * PERIOD_US))
