"""What an instance may have, what holds it to that, and what is in force. Facts, and no I/O."""

from dataclasses import dataclass
from typing import Literal, Protocol

from cluster_runtime.engine.settings import Settings

Enforcement = Literal["auto", "cgroup", "settings", "none"]
"""How instances are held to their capacity. cgroup: by the kernel, or the host does not open.
auto: by the kernel's weights where this machine has cgroups, so that nothing lies idle that
somebody could use, else as `settings`. settings: which CPUs they run on, how nice they are, and
parameters that a running server takes. none: capacity is a figure only."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the machine. cores: of CPU; memory_bytes: for everything that a server needs."""

    cores: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds an instance to its capacity, as it was read back after it was set.

    means: by name, such as `cgroup v1`; empty where nothing does.
    cores: the most CPU that it gets; None where nothing bounds it.
    cpus: on how many of the machine's CPUs it runs; None for all. nice: how it yields to others.
    memory_high_bytes: from where on its memory is reclaimed; None where nothing bounds it.
    settings: the parameters that follow its capacity; a tenant's own prevail.
    gaps: what does not hold, and why.
    """

    means: str = ""
    cores: float | None = None
    cpus: int | None = None
    nice: int | None = None
    memory_high_bytes: int | None = None
    settings: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """Of the periods in which a server ran, those in which it had to wait for the next one."""

    periods: int
    stopped: int

    def mostly_since(self, before: "Stopped") -> bool:
        """Whether it had to wait in most of the periods since then."""
        return 2 * (self.stopped - before.stopped) > self.periods - before.periods


class Means(Protocol):
    """One way to hold servers to a share. Blocking; one call at a time.

    Servers go by a name that is fit for a folder. gaps: what it cannot hold on this machine.
    bounds: whether a server never has more CPU than its share, and it is counted where it wants it.
    """

    name: str
    gaps: tuple[str, ...]
    bounds: bool

    def admit(self, server: str, pid: int) -> None:
        """Take in a postmaster and what it has forked; what it forks from now on is in as well.

        It has all of the machine until it is held. Raises OSError.
        """

    def hold(self, server: str, pid: int, share: Share) -> InForce:
        """Hold an admitted server to a share from now on. Raises OSError."""

    def stopped(self, server: str) -> Stopped | None:
        """How often its share was used up; None where nobody counts that. Raises OSError."""

    def release(self, server: str) -> bool:
        """Forget a server that has ended; False while something of it runs still."""

    def known(self) -> frozenset[str]:
        """The servers that were admitted and not released, by whichever host of this state."""

    def close(self) -> None:
        """Leave nothing behind where no server runs any more."""


class UnavailableError(Exception):
    """A means that this machine does not have. Caught where another one is tried; says why."""


def describe(found: InForce) -> str:
    """What is in force, in a line."""
    parts = []
    if found.cores is not None:
        parts.append(f"at most {found.cores:g} cores")
    elif found.means.startswith("cgroup"):
        parts.append("CPU by weight")
    if found.cpus is not None:
        parts.append(f"on {found.cpus} CPU{'s' if found.cpus != 1 else ''}")
    if found.nice is not None:
        parts.append(f"nice {found.nice}")
    if found.memory_high_bytes is not None:
        parts.append(f"memory.high {found.memory_high_bytes / 2**30:g} GiB")
    if found.settings:
        parts.append("settings: " + ", ".join(found.settings))
    held = "; ".join(parts) or "nothing"
    return f"{found.means}: {held}" if found.means else held


def lines_of(settings: Settings) -> tuple[str, ...]:
    """Parameters as `name=value`, by name."""
    return tuple(f"{name}={value}" for name, value in sorted(settings.items()))
