"""The walls around a postmaster: what it may open, execute, dial and signal. Rules, no I/O.

Whoever takes a PostgreSQL over, as superuser or with native code of his own, finds its own data
directory, its own socket and the engine's installation, and nothing else of the host. What stands
depends on the kernel; `Walls` says what does, and `gaps` what does not and why.

Source: Linux `include/uapi/linux/landlock.h`; Documentation/userspace-api/landlock.rst.
"""

from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Literal

OsUserKind = Literal["own", "shared", "host"]
"""A user of the cluster's own, one that all clusters share, or the user of the host process."""


class Access(IntFlag):
    """LANDLOCK_ACCESS_FS_*."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


class NetAccess(IntFlag):
    """LANDLOCK_ACCESS_NET_*."""

    BIND_TCP = 1 << 0
    CONNECT_TCP = 1 << 1


class Scope(IntFlag):
    """LANDLOCK_SCOPE_*: what stays inside the domain."""

    ABSTRACT_UNIX_SOCKET = 1 << 0
    SIGNAL = 1 << 1


FIRST_ABI = Access(sum(access for access in Access if access < Access.REFER))
ABI_REFER, ABI_TRUNCATE, ABI_TCP, ABI_IOCTL, ABI_SCOPES = 2, 3, 4, 5, 6

ON_FILES = (
    Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
)
"""What a rule on something else than a folder may grant."""

READ = Access.READ_FILE | Access.READ_DIR
RUN = Access.EXECUTE | Access.READ_FILE
DEVICE = Access.READ_FILE | Access.WRITE_FILE
_CHANGE = Access.WRITE_FILE | Access.TRUNCATE | Access.MAKE_REG | Access.REMOVE_FILE
OWN_DATA = READ | _CHANGE | Access.MAKE_DIR | Access.REMOVE_DIR | Access.REFER
"""No links, pipes or devices: PostgreSQL makes none, and the host must not meet any there."""
OWN_SOCKETS = READ | _CHANGE | Access.MAKE_SOCK

PASSWD = Path("/etc/passwd")
NAME_SERVICE = (Path("/etc/nsswitch.conf"), PASSWD)
"""What peer authentication reads to name the user at the other end of a socket."""
REMOTE_NAME_SERVICE = (Path("/run/systemd/userdb"), Path("/var/lib/sss/mc"))
"""The same for a host user that is no line of /etc/passwd."""
LOADER_CACHE = Path("/etc/ld.so.cache")
LOCALES_AND_ZONES = (Path("/usr/lib/locale"), Path("/usr/share/zoneinfo"))
PACKAGED_SHARE = (Path("/usr/share/postgresql"), Path("/usr/share/pgsql"))
"""Where distributions keep what a PostgreSQL below /usr reads beside its prefix."""
STORES = (Path("/nix/store"), Path("/gnu/store"))
"""Where every library has a folder of its own, so that the store is the folder of libraries."""


@dataclass(frozen=True, slots=True)
class PathRule:
    """What is granted on a file, or on a folder and all below it.

    optional: a machine may lack it. followed: it may be a link of the system's.
    """

    path: Path
    access: Access
    optional: bool = False
    followed: bool = True


@dataclass(frozen=True, slots=True)
class Premises:
    """The places of one postmaster.

    program: `postgres`; loader: the ELF interpreter that it names, links resolved.
    installation: the folders of the engine, read only.
    host_is_in_passwd: whether the host's own user is a line of /etc/passwd.
    """

    program: Path
    loader: Path | None
    installation: tuple[Path, ...]
    data_directory: Path
    socket_directory: Path
    host_is_in_passwd: bool = True


def path_rules(premises: Premises) -> list[PathRule]:
    """All that a postmaster may do with files; what no rule grants is refused."""
    system = [*NAME_SERVICE, LOADER_CACHE, *LOCALES_AND_ZONES, *library_folders(premises.loader)]
    if premises.program.is_relative_to("/usr"):
        system += PACKAGED_SHARE
    if not premises.host_is_in_passwd:
        system += REMOTE_NAME_SERVICE
    rules = [
        PathRule(premises.data_directory, OWN_DATA, followed=False),
        PathRule(premises.socket_directory, OWN_SOCKETS, followed=False),
        PathRule(premises.program, RUN),
        *(PathRule(folder, READ) for folder in premises.installation),
        *(PathRule(path, READ, optional=True) for path in system),
        PathRule(Path("/dev/null"), DEVICE),
        PathRule(Path("/dev/urandom"), Access.READ_FILE),
    ]
    if premises.loader is not None:
        rules.append(PathRule(premises.loader, RUN))
    return rules


def library_folders(loader: Path | None) -> list[Path]:
    """Where the system's libraries lie: beside the loader, with and without /usr."""
    if loader is None:
        return []
    for store in STORES:
        if loader.is_relative_to(store):
            return [store]
    folder = loader.parent
    if folder.is_relative_to("/usr"):
        return [folder, Path("/") / folder.relative_to("/usr")]
    return [folder, Path("/usr") / folder.relative_to("/")]


def handled_access(abi: int) -> Access:
    """Every kind of access to files that a kernel of this ABI can refuse."""
    handled = FIRST_ABI
    if abi >= ABI_REFER:
        handled |= Access.REFER
    if abi >= ABI_TRUNCATE:
        handled |= Access.TRUNCATE
    if abi >= ABI_IOCTL:
        handled |= Access.IOCTL_DEV
    return handled


def handled_network(abi: int) -> NetAccess:
    """The rights to the network that a kernel of this ABI can take away."""
    return NetAccess.BIND_TCP | NetAccess.CONNECT_TCP if abi >= ABI_TCP else NetAccess(0)


def scopes(abi: int) -> Scope:
    """What a kernel of this ABI can keep inside a domain."""
    return Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL if abi >= ABI_SCOPES else Scope(0)


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the kernel offers. landlock_abi: 0 for none; the reasons say why something is missing.

    system_calls: whether a filter of system calls can be set.
    """

    landlock_abi: int
    landlock_missing: str = ""
    system_calls: bool = False
    system_calls_missing: str = ""


@dataclass(frozen=True, slots=True)
class Walls:
    """Which walls stand around a postmaster that runs, as its start put them up.

    files: it opens only its own directories, and reads only the engine beside them.
    programs: it executes nothing but the engine (and the system's loader, which starts that).
    network: it neither dials nor listens over TCP (`network` and `dialling`: nor anything else).
    dialling: it dials no socket at all, those of other programs on this machine included.
    signals: it signals nobody but its own children.
    os_user: whose files it could reach if the other walls fell.
    gaps: what does not hold, and why; empty where everything does.
    """

    files: bool
    programs: bool
    network: bool
    dialling: bool
    signals: bool
    os_user: OsUserKind
    landlock_abi: int
    gaps: tuple[str, ...] = ()

    @property
    def standing(self) -> tuple[str, ...]:
        """The walls that hold, by name."""
        held = {
            "files": self.files,
            "programs": self.programs,
            "network": self.network,
            "dialling": self.dialling,
            "signals": self.signals,
            "own user": self.os_user == "own",
        }
        return tuple(name for name, holds in held.items() if holds)


def walls_of(
    kernel: Kernel,
    os_user: OsUserKind,
    *,
    dials: bool,
    os_user_missing: str = "",
    host_is_in_passwd: bool = True,
) -> Walls:
    """What stands once a child has done all that this kernel lets it do.

    dials: it follows the log of its volume, so it has to dial the socket of the WAL service.
    os_user_missing: why the cluster has no user of its own.
    """
    abi = kernel.landlock_abi
    filtered = kernel.system_calls
    dialling = filtered and not dials and host_is_in_passwd
    gaps = []
    if not abi:
        gaps.append(f"files, programs and signals of the host: {kernel.landlock_missing}")
    elif abi < ABI_SCOPES:
        gaps.append(
            f"signals to processes of the same user: Landlock ABI {abi} is below {ABI_SCOPES}; "
            "a kernel from 6.12 on has it"
        )
    if 0 < abi < ABI_TRUNCATE:
        gaps.append(
            f"truncation of files that its user may write: Landlock ABI {abi} is below "
            f"{ABI_TRUNCATE}; a kernel from 6.2 on has it"
        )
    if not filtered:
        gaps.append(
            "dialling sockets of other programs, and changes of owner and mode: "
            f"{kernel.system_calls_missing}"
        )
        if abi < ABI_TCP:
            gaps.append(f"TCP: Landlock ABI {abi} is below {ABI_TCP}; a kernel from 6.7 on has it")
    elif dials:
        gaps.append("dialling unix sockets: a standby has to reach the WAL service")
    elif not host_is_in_passwd:
        gaps.append("dialling unix sockets: this user's name comes from a service, not /etc/passwd")
    if os_user == "shared":
        gaps.append(f"a user of its own: {os_user_missing}")
    elif os_user == "host":
        gaps.append(
            "a user of its own: the host is not root, so all its clusters run as its own user"
        )
    return Walls(
        files=abi > 0,
        programs=abi > 0,
        network=filtered or abi >= ABI_TCP,
        dialling=dialling,
        signals=abi >= ABI_SCOPES,
        os_user=os_user,
        landlock_abi=abi,
        gaps=tuple(gaps),
    )
