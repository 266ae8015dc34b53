"""The folders and files of cgroups, as both versions have them."""

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

from cluster_runtime.engine.system.processes import children_of
from cluster_runtime.serverless.enforcement.means import Stopped

PROCESSES, STATISTICS = "cgroup.procs", "cpu.stat"


def move(pids: Iterable[int], group: Path) -> None:
    """Move processes into a group; one that has ended meanwhile is passed over. Raises OSError."""
    for pid in pids:
        try:
            write(group / PROCESSES, str(pid))
        except ProcessLookupError:
            continue


def move_family(pid: int, group: Path) -> None:
    """A server first, whose next children then begin in the group, and those that it has."""
    move([pid], group)
    move((child.pid for child in children_of(pid)), group)


def processes_in(group: Path) -> list[int]:
    """The processes of a group."""
    return [int(line) for line in read(group / PROCESSES).splitlines()]


def write(path: Path, text: str) -> None:
    """Hand a value to the kernel. Raises OSError where it does not take it."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def read(path: Path) -> str:
    """What the kernel says, without the end of the line. Raises OSError."""
    return path.read_text(encoding="ascii").strip()


def remove(group: Path) -> bool:
    """Remove a group; False while a process is in it. One that is gone is as good."""
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # busy
        return False
    return True


def folders_in(group: Path) -> frozenset[str]:
    """The names of the groups within a group; none where it is not there."""
    try:
        return frozenset(each.name for each in group.iterdir() if each.is_dir())
    except FileNotFoundError:
        return frozenset()


def all_are_of(pids: Iterable[int], host: int) -> bool:
    """Whether these processes are a host and what it has started."""
    own = {host, *(child.pid for child in psutil.Process(host).children(recursive=True))}
    return own.issuperset(pids)


class ServerGroups:
    """A folder of cgroups of one state directory, with one for each of its servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def group_of(self, server: str) -> Path:
        """The group of a server."""
        return self._folder / server

    def admit(self, server: str, pid: int) -> None:
        """Make the group of a server where it is missing, and move the server in."""
        group = self.group_of(server)
        group.mkdir(parents=True, exist_ok=True)
        self.open_up(group)
        move_family(pid, group)

    def stopped(self, server: str) -> Stopped:
        """How often its quota was used up. Raises OSError."""
        said = dict(line.split() for line in read(self.group_of(server) / STATISTICS).splitlines())
        return Stopped(int(said["nr_periods"]), int(said["nr_throttled"]))

    def open_up(self, group: Path) -> None:
        """Let the servers of a group have all of the machine. Raises OSError."""
        raise NotImplementedError

    def release(self, server: str) -> bool:
        """Remove the group of a server that has ended; False while something of it runs."""
        return remove(self.group_of(server))

    def known(self) -> frozenset[str]:
        """The servers that have a group."""
        return folders_in(self._folder)

    def close(self) -> None:
        """Remove the groups that are empty, then the folder."""
        for name in self.known():
            self.release(name)
        remove(self._folder)
