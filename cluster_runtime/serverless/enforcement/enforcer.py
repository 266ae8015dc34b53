"""Holds the servers of one host to their capacity, by the best means that this machine has."""

import hashlib
import os
import threading
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.enforcement import affinity
from cluster_runtime.serverless.enforcement.cgroup_v1 import CgroupV1
from cluster_runtime.serverless.enforcement.cgroup_v2 import CgroupV2
from cluster_runtime.serverless.enforcement.machine import Machine, own_places
from cluster_runtime.serverless.enforcement.means import (
    Enforcement,
    InForce,
    Means,
    Share,
    Stopped,
    UnavailableError,
)
from cluster_runtime.serverless.enforcement.places import CgroupPlaces
from cluster_runtime.wording import Parameter

NOT_YET = "CPU and memory: it has just begun, and is held once its load is known"
NOTHING_HOLDS = "CPU and memory: enforcement is off, and capacity is a figure only"

_log = get_logger(__name__)


class Enforcer:
    """What a host has to hold its servers to their shares. From any thread; its calls block.

    means: None where nothing is to be held. gaps: why a better one is not to be had.
    """

    def __init__(self, means: Means | None, gaps: tuple[str, ...] = ()) -> None:
        self._means = means
        self._gaps = gaps
        self._lock = threading.Lock()
        self._held: dict[str, tuple[int, Share, InForce]] = {}
        self._stopped: dict[str, Stopped] = {}

    @property
    def name(self) -> str:
        """Of the means; `none` where nothing is held."""
        return self._means.name if self._means is not None else "none"

    @property
    def gaps(self) -> tuple[str, ...]:
        """What does not hold on this machine, and why."""
        own = self._means.gaps if self._means is not None else (NOTHING_HOLDS,)
        return (*self._gaps, *own)

    @property
    def bounds(self) -> bool:
        """Whether `waiting` can ever tell of one."""
        return self._means is not None and self._means.bounds

    @property
    def sets_parameters(self) -> bool:
        """Whether parameters follow the capacity."""
        return self._means is not None

    def admit(self, server: str, pid: int) -> None:
        """Take in a server that has just been started, before it has children.

        It starts with all of the machine: it is held from the next tick on. Where this fails it
        serves all the same, and what is in force says so from that tick on.
        """
        if self._means is None:
            return
        with self._lock:
            try:
                self._means.admit(server, pid)
            except OSError as error:
                _log.warning("a server is not held", server=server, error=str(error))

    def hold(self, server: str, pid: int, share: Share) -> InForce:
        """Hold a server to a share; what is in force then. pid: of its postmaster."""
        if self._means is None:
            return InForce(gaps=self.gaps)
        with self._lock:
            before = self._held.get(server)
            if before is not None and before[:2] == (pid, share):
                return before[2]
            try:
                if before is None or before[0] != pid:
                    self._means.admit(server, pid)
                found = self._means.hold(server, pid, share)
            except OSError as error:
                self._held.pop(server, None)
                what = error.strerror or str(error)
                return InForce(gaps=(f"{self._means.name}: {what}", *self.gaps))
            found = replace(found, gaps=(*self._gaps, *found.gaps))
            self._held[server] = pid, share, found
            return found

    def holds(self, server: str, pid: int) -> bool:
        """Whether a server is held in this run of its."""
        with self._lock:
            held = self._held.get(server)
            return held is not None and held[0] == pid

    def waiting(self) -> frozenset[str]:
        """The servers that had to wait for most of the time since this was last asked.

        They would have used more CPU than they have. Only cgroups tell that.
        """
        with self._lock:
            if self._means is None:
                return frozenset()
            before, self._stopped = self._stopped, {}
            for server in self._held:
                try:
                    counted = self._means.stopped(server)
                except OSError:  # it ends: the next tick sees that
                    continue
                if counted is not None:
                    self._stopped[server] = counted
            return frozenset(
                server
                for server, counted in self._stopped.items()
                if server in before and counted.mostly_since(before[server])
            )

    def let_go(self, server: str, pid: int) -> None:
        """Hold a server to nothing any more, where it was held. Raises OSError."""
        with self._lock:
            if self._means is not None and self._held.pop(server, None) is not None:
                self._means.admit(server, pid)

    def keep_only(self, servers: Collection[str]) -> None:
        """Forget all servers but these, and what earlier hosts of the state directory left."""
        if self._means is None:
            return
        with self._lock:
            for server in self._means.known() - frozenset(servers):
                self._held.pop(server, None)
                if not self._means.release(server):
                    _log.debug("a group is not empty yet", server=server)

    def close(self) -> None:
        """Leave nothing behind; no server runs any more."""
        with self._lock:
            self._held.clear()
            if self._means is not None:
                self._means.close()


def open_enforcer(wanted: Enforcement, state_directory: Path, machine: Machine) -> Enforcer:
    """The best means that is wanted and that this machine has.

    Raises InvalidParameterError where cgroups are asked for and cannot be had. Blocking.
    """
    if wanted == "none":
        return Enforcer(None)
    gaps: tuple[str, ...] = ()
    if wanted in ("auto", "cgroup"):
        try:
            bounded = wanted == "cgroup"
            return Enforcer(cgroup_of(state_directory, machine, own_places(), bounded=bounded))
        except UnavailableError as error:
            if wanted == "cgroup":
                raise InvalidParameterError(
                    f"no cgroup can be had: {error}; open it with ",
                    Parameter("enforcement"),
                    " auto or settings, which hold less, or mend that",
                ) from error
            gaps = (f"cgroup: {error}",)
    return Enforcer(affinity.this_machine(), gaps)


def cgroup_of(
    state_directory: Path, machine: Machine, places: CgroupPlaces, *, bounded: bool = True
) -> Means:
    """The groups of a state directory. bounded: with quotas, and not by weight alone.

    Raises UnavailableError, which says what was tried.
    """
    name = f"borealis-{hashlib.sha256(bytes(state_directory)).hexdigest()[:16]}"
    tried = []
    if places.v2 is not None:
        try:
            return CgroupV2(places.v2, name, machine.cores, os.getpid(), bounded=bounded)
        except UnavailableError as error:
            tried.append(f"version 2: {error}")
    if places.v1_cpu is not None:
        try:
            return CgroupV1(places.v1_cpu, name, machine.cores, bounded=bounded)
        except UnavailableError as error:
            tried.append(f"version 1: {error}")
    raise UnavailableError("; ".join(tried) or "this system has none")
