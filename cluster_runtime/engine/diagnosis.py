"""What `borealis doctor` says of this machine: what is there, what is wrong, and what to do.

Each finding comes from a look or a trial made now; nothing is concluded from a version number
alone. A state directory that another process hosts is only looked at.
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

import psutil
import psycopg

from cluster_runtime.engine import place
from cluster_runtime.engine.home import open_users, shared_directory
from cluster_runtime.engine.installation import Installation, find_installation
from cluster_runtime.engine.sandbox.confinement import host_is_in_passwd, this_kernel
from cluster_runtime.engine.sandbox.os_user import OsUser, engine_user
from cluster_runtime.engine.sandbox.walls import ABI_SCOPES, Kernel, Walls
from cluster_runtime.engine.system.locks import try_exclusive
from cluster_runtime.engine.system.os_users import OsUsers
from cluster_runtime.engine.template import ensure_template
from cluster_runtime.engine.trial import Attempt, try_walls
from cluster_runtime.errors import BorealisError

DISK_WARNING_BYTES = 2 << 30
DISK_FAULT_BYTES = 256 << 20
"""A cluster begins with 50 MB, and a volume keeps up to a few GB of log."""

FLUSH_WARNING_SECONDS = 0.02
MEMORY_WARNING_BYTES = 512 << 20
DESCRIPTORS_OF_A_CLUSTER = 32
DESCRIPTORS_WARNING = 4096


class Verdict(StrEnum):
    """fault: clusters do not work, or a wall that is reported does not hold."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. advice: what to do about it; empty where nothing need be."""

    subject: str
    verdict: Verdict
    says: str
    advice: str = ""


def examine(state_dir: Path) -> list[Finding]:
    """Look at everything. An error in one thing is a finding of it, and the rest is looked at."""
    found = [versions(), *_guarded("kernel", lambda: kernel(this_kernel()))]
    found += _guarded("disk", lambda: [disk(_existing(state_dir))])
    found += _guarded("file system", lambda: [file_system(_existing(state_dir))])
    found += _guarded("flush", lambda: [flush(state_dir)])
    found += [memory(psutil.virtual_memory().available), descriptors(place.descriptors_max())]
    found += [names(place.endpoint_names_resolve())]
    found += [ipv6(place.ipv6_loopback(), place.addresses_of_endpoints())]
    found += _guarded("state directory", lambda: [state_directory(state_dir)])
    user: list[OsUser] = []
    found += _guarded("user", lambda: _look_at_users(user))
    installed: list[Installation] = []
    found += _guarded("engine", lambda: _look_at_engine(installed))
    if user and installed:
        found += _guarded("walls", lambda: _try_walls(user[0], installed[0]))
    return found


def versions() -> Finding:
    """The versions of Python, psycopg and libpq."""
    libpq = psycopg.pq.version()
    return Finding(
        "versions",
        Verdict.OK,
        f"borealis {metadata.version('borealis-postgres')}, Python {platform.python_version()}, "
        f"psycopg {psycopg.__version__} with libpq {libpq // 10000}.{libpq % 10000}",
    )


def kernel(found: Kernel) -> Iterator[Finding]:
    """What this kernel has to build walls with."""
    here = f"{platform.system()} {platform.release()} on {platform.machine()}"
    if found.landlock_abi >= ABI_SCOPES:
        yield Finding("landlock", Verdict.OK, f"{here}: Landlock ABI {found.landlock_abi}")
    elif found.landlock_abi:
        yield Finding(
            "landlock",
            Verdict.WARNING,
            f"{here}: Landlock ABI {found.landlock_abi} of {ABI_SCOPES}",
            "a kernel from 6.12 on brings the missing walls; `describe` names them",
        )
    else:
        yield Finding(
            "landlock",
            Verdict.WARNING,
            f"{here}: {found.landlock_missing}",
            "give no superuser and no untrusted extension to anybody on this machine",
        )
    if found.system_calls:
        yield Finding("system calls", Verdict.OK, "a filter keeps writers from dialling anybody")
    else:
        yield Finding(
            "system calls",
            Verdict.WARNING,
            found.system_calls_missing,
            "clusters can dial sockets of other programs as far as file permissions let them",
        )


def disk(folder: Path) -> Finding:
    """How much room the disk of a folder has, and whether that is enough."""
    usage = shutil.disk_usage(folder)
    says = f"{usage.free / 2**30:.1f} GiB free of {usage.total / 2**30:.1f} at {folder}"
    if usage.free < DISK_FAULT_BYTES:
        return Finding("disk", Verdict.FAULT, says, "free some space: clusters stop to write soon")
    if usage.free < DISK_WARNING_BYTES:
        return Finding("disk", Verdict.WARNING, says, "free some space before clusters grow")
    return Finding("disk", Verdict.OK, says)


def file_system(folder: Path) -> Finding:
    """Whether what is written to a folder outlives a restart of the machine."""
    kind = place.file_system_of(folder)
    says = f"{kind or 'of a type that the system does not tell'} at {folder}"
    if kind in place.IN_MEMORY:
        return Finding(
            "file system",
            Verdict.WARNING,
            f"{says}: it is in memory",
            "what was committed is lost when the machine restarts; name a directory on a disk",
        )
    if kind in place.OVER_A_NETWORK:
        return Finding(
            "file system",
            Verdict.WARNING,
            f"{says}: it is on another machine",
            "commits wait for the network, and locks and flushes may not hold; name a directory "
            "on a disk of this machine",
        )
    return Finding("file system", Verdict.OK, says)


def flush(state_dir: Path) -> Finding:
    """How long a commit waits for the disk."""
    if not state_dir.is_dir():
        return Finding("flush", Verdict.OK, "tried once the state directory is there")
    seconds = place.flush_seconds(state_dir)
    says = f"a write of 8 KiB is on disk after {seconds * 1000:.2f} ms (median)"
    if seconds > FLUSH_WARNING_SECONDS:
        advice = "each commit waits for it: a faster disk, or less load on it, makes them faster"
        return Finding("flush", Verdict.WARNING, says, advice)
    return Finding("flush", Verdict.OK, says)


def memory(available: int) -> Finding:
    """Whether there is room for servers. available: bytes."""
    says = f"{available / 2**30:.1f} GiB available"
    if available < MEMORY_WARNING_BYTES:
        advice = "end something, or pause clusters: a server that gets none is killed"
        return Finding("memory", Verdict.WARNING, says, advice)
    return Finding("memory", Verdict.OK, says)


def descriptors(limit: int | None) -> Finding:
    """Whether a host may have enough files open."""
    if limit is None:
        return Finding("descriptors", Verdict.OK, "no limit")
    says = f"at most {limit} open files, about {limit // DESCRIPTORS_OF_A_CLUSTER} running clusters"
    if limit < DESCRIPTORS_WARNING:
        advice = "raise the hard limit: ulimit -Hn, or LimitNOFILE of the service that starts it"
        return Finding("descriptors", Verdict.WARNING, says, advice)
    return Finding("descriptors", Verdict.OK, says)


def names(resolve: bool) -> Finding:
    """Whether names under .localhost lead to this machine."""
    if resolve:
        return Finding("names", Verdict.OK, "names of endpoints lead to this machine")
    return Finding(
        "names",
        Verdict.WARNING,
        "names under .localhost are unknown here",
        "psql and libpq need none: their connection strings carry the address. For others install "
        "libnss-myhostname, or write the name of an endpoint into /etc/hosts",
    )


def ipv6(missing: str, addresses: Sequence[str]) -> Finding:
    """Whether endpoints listen on ::1 too. missing: why not; addresses: that their names have."""
    if not missing:
        return Finding("ipv6", Verdict.OK, "endpoints listen on 127.0.0.1 and ::1")
    says = f"endpoints listen on 127.0.0.1 alone, for ::1 cannot be had: {missing}"
    if place.IPV6_LOOPBACK not in addresses:
        return Finding("ipv6", Verdict.OK, says)
    return Finding(
        "ipv6",
        Verdict.WARNING,
        f"{says}; their names lead to ::1 as well",
        "clients that try one address alone may take that: name 127.0.0.1 with hostaddr, or switch "
        "IPv6 on for the loopback interface (net.ipv6.conf.lo.disable_ipv6=0)",
    )


def state_directory(path: Path) -> Finding:
    """Whether the state directory is there and can be used."""
    subject = "state directory"
    if not path.exists():
        return Finding(subject, Verdict.OK, f"{path} does not exist yet; the first create makes it")
    owner = path.stat().st_uid
    if owner != os.geteuid():
        return Finding(
            subject,
            Verdict.FAULT,
            f"{path} belongs to user id {owner}, this process runs as {os.geteuid()}",
            "name a directory of your own with --state-dir",
        )
    lock = path / "lock"
    if not lock.exists():
        return Finding(subject, Verdict.OK, f"{path} holds no clusters yet")
    held = try_exclusive(lock)
    if held is None:
        holder = lock.read_text(encoding="ascii", errors="replace").strip() or "unknown"
        return Finding(subject, Verdict.OK, f"{path} is hosted by process {holder}")
    os.close(held)
    return Finding(subject, Verdict.OK, f"{path} is hosted by nobody now")


def users(shared: OsUser, registry: OsUsers) -> Finding:
    """Who PostgreSQL runs as."""
    if not shared.drops:
        return Finding(
            "user",
            Verdict.WARNING,
            f"not root: all clusters run as {shared.name}, and share its rights",
            "run the host as root, or as a user that owns nothing else, to wall clusters "
            "from each other by file permissions too",
        )
    if registry.ids is None:
        return Finding(
            "user",
            Verdict.WARNING,
            f"all clusters run as {shared.name}: {registry.missing}",
            "clusters have no user of their own; name a range that this machine has",
        )
    says = f"each cluster runs as a user of its own, from {registry.ids}"
    if not host_is_in_passwd():
        return Finding(
            "user",
            Verdict.WARNING,
            f"{says}; the host's own user is no line of /etc/passwd",
            "add it there: its name has to come from a service now, which writers may dial",
        )
    return Finding("user", Verdict.OK, says)


def walls(standing: Walls, attempts: list[Attempt]) -> Iterator[Finding]:
    """What a server that was started inside the walls, and tried to get out, has shown."""
    for attempt in attempts:
        subject = f"wall: {attempt.wall}"
        says = f"{attempt.what}: {attempt.says}"
        held = getattr(standing, attempt.wall)
        if attempt.got_out is None:
            yield Finding(subject, Verdict.WARNING, says)
        elif not attempt.got_out:
            yield Finding(subject, Verdict.OK, f"{attempt.what}: refused ({attempt.says})")
        elif held:
            yield Finding(
                subject,
                Verdict.FAULT,
                f"{says}, through a wall that was put up",
                "report this: see SECURITY.md",
            )
        else:
            yield Finding(subject, Verdict.WARNING, f"{says}: no such wall stands here")
    for gap in standing.gaps:
        yield Finding("not held", Verdict.WARNING, gap)


def _guarded(subject: str, look: Callable[[], Iterator[Finding] | list[Finding]]) -> list[Finding]:
    try:
        return list(look())
    except (BorealisError, OSError, psycopg.Error) as error:
        return [Finding(subject, Verdict.FAULT, str(error))]


def _look_at_users(found: list[OsUser]) -> Iterator[Finding]:
    user = engine_user()
    found.append(user)
    yield users(user, open_users(user))


def _look_at_engine(found: list[Installation]) -> Iterator[Finding]:
    installation = find_installation()
    says = f"PostgreSQL {installation.version} ({installation.source}) at {installation.prefix}"
    found.append(installation)
    yield Finding("engine", Verdict.OK, says)


def _try_walls(user: OsUser, installation: Installation) -> Iterator[Finding]:
    cache = shared_directory(user)
    template = ensure_template(installation.reachable_by(user, cache), user, cache)
    standing, attempts = try_walls(template, open_users(user))
    yield from walls(standing, attempts)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
