"""CPU and memory by the kernel's cgroups, version 2: `cpu.max` and `memory.high`.

A group that hands controllers down may hold no process of its own. So where the host is alone in
its group, it moves into a group below; where others are in there too, they are not its to move.

Source: Linux Documentation/admin-guide/cgroup-v2.rst ("No Internal Process Constraint",
"Delegation"); systemd.resource-control(5), Delegate=.
"""

import errno
import os
from pathlib import Path

from cluster_runtime.serverless.enforcement.cgroup_v1 import (
    NO_QUOTA,
    PERIOD_US,
    quota_us,
    unbounded,
)
from cluster_runtime.serverless.enforcement.group_files import (
    ServerGroups,
    all_are_of,
    move,
    processes_in,
    read,
    write,
)
from cluster_runtime.serverless.enforcement.means import InForce, Share, UnavailableError

HOSTS = "borealis-host"
"""The group that hosts move into when theirs hands controllers down."""
_CONTROLLERS, _HANDED_DOWN = "cgroup.controllers", "cgroup.subtree_control"
_CPU, _WEIGHT, _HIGH = "cpu.max", "cpu.weight", "memory.high"
WEIGHT_OF_A_CORE, WEIGHT_MAX = 100, 10_000
"""As the shares of version 1."""
_UNLIMITED = "max"


class CgroupV2(ServerGroups):
    """The groups of one state directory below the group of the host.

    own: the host's group. name: of the folder of groups. machine_cores: more is no limit. host: the
    process of it. bounded: as for version 1. Raises UnavailableError where there can be no group.
    """

    name = "cgroup v2"

    def __init__(
        self, own: Path, name: str, machine_cores: float, host: int, *, bounded: bool = True
    ) -> None:
        if own.name == HOSTS:
            own = own.parent
        wanted: list[str] = [
            each for each in ("cpu", "memory") if each in _words(own / _CONTROLLERS)
        ]
        if "cpu" not in wanted:
            raise UnavailableError(
                f"the controller cpu is not handed down to {own}; a service with Delegate=yes has "
                "it (borealis serve --install writes one)"
            )
        folder = own / name
        try:
            _hand_down(own, wanted, host)
            folder.mkdir(exist_ok=True)
            _hand_down(folder, wanted, host)
            write(folder / _WEIGHT, str(weight(machine_cores)))
        except OSError as error:
            raise UnavailableError(f"no group can be made in {own}: {error.strerror}") from error
        super().__init__(folder)
        no_memory = () if "memory" in wanted else (f"memory: no such controller in {own}",)
        self.gaps: tuple[str, ...] = (*unbounded(bounded), *no_memory)
        self._has_memory = "memory" in wanted
        self._machine_cores = machine_cores if bounded else 0.0
        self.bounds = bounded

    def open_up(self, group: Path) -> None:
        """Let the servers of a group have all of the machine. Raises OSError."""
        write(group / _CPU, f"{_UNLIMITED} {PERIOD_US}")
        if self._has_memory:
            write(group / _HIGH, _UNLIMITED)

    def hold(self, server: str, pid: int, share: Share) -> InForce:
        """Hold a server to a share from now on. Raises OSError."""
        group = self.group_of(server)
        write(group / _WEIGHT, str(weight(share.cores)))
        quota = quota_us(share.cores, self._machine_cores)
        write(group / _CPU, f"{_UNLIMITED if quota == NO_QUOTA else quota} {PERIOD_US}")
        high = None
        if self._has_memory:
            write(group / _HIGH, str(share.memory_bytes))
            high = read(group / _HIGH)
        got, period = read(group / _CPU).split()
        return InForce(
            self.name,
            cores=None if got == _UNLIMITED else int(got) / int(period),
            memory_high_bytes=None if high in (None, _UNLIMITED) else int(high),
            gaps=self.gaps,
        )


def weight(cores: float) -> int:
    """How much a group counts where more is wanted than there is."""
    return min(WEIGHT_MAX, max(1, round(cores * WEIGHT_OF_A_CORE)))


def _hand_down(group: Path, controllers: list[str], host: int) -> None:
    """Let the groups within a group have controllers. Raises OSError, UnavailableError."""
    missing = [each for each in controllers if each not in _words(group / _HANDED_DOWN)]
    if not missing:
        return
    if not os.access(group / _HANDED_DOWN, os.W_OK):
        raise UnavailableError(
            f"{group} is not this user's; a service with Delegate=yes has one of its own"
        )
    text = " ".join(f"+{each}" for each in missing)
    try:
        write(group / _HANDED_DOWN, text)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        _make_room(group, host)
        write(group / _HANDED_DOWN, text)


def _make_room(group: Path, host: int) -> None:
    pids = processes_in(group)
    if not all_are_of(pids, host):
        raise UnavailableError(
            f"other processes are in {group}, and a group with processes hands nothing down; start "
            "the host as a service of its own (borealis serve --install)"
        )
    (group / HOSTS).mkdir(exist_ok=True)
    move(pids, group / HOSTS)


def _words(path: Path) -> list[str]:
    try:
        return read(path).split()
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}") from error
