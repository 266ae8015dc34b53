"""Operating-system users of clusters: one for each, from a range that the runtime manages.

Where the host is root, every cluster's PostgreSQL runs under a number of its own, which no
/etc/passwd has to know. Who has which number is kept for the whole machine, so that two state
directories never share one: a link per number, named after it, that leads to the cluster's
directory. The cluster's directory repeats the number; the two have to agree.

The range lies where neither systemd, nor useradd, nor /etc/subuid gives numbers out
(systemd.io, "Users, Groups, UIDs and GIDs on systemd systems"). `BOREALIS_OS_USERS=first-last`
names another one, for a container that has fewer.
"""

import os
import pwd
import secrets
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cluster_runtime.engine import children
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system.files import write_atomically
from cluster_runtime.engine.system.locks import exclusive
from cluster_runtime.engine.system.shared_memory import remove_all_of
from cluster_runtime.errors import EngineError
from cluster_runtime.logs import get_logger

RANGE_VARIABLE = "BOREALIS_OS_USERS"
NUMBER_FILE = "os-user"
_RANGE_FILE = "range"
_LOCK_FILE = "lock"
_RANDOM_TRIES = 8

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IdRange:
    """The numbers from `first` to `last`: the lower half for users, the upper half for groups.

    A cluster's standbys have its user, and a group of their own beside it: the one that may pass
    to the WAL service.
    """

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> "IdRange":
        """Raises EngineError unless it is `first-last`, above the system's own users."""
        first, _, last = text.strip().partition("-")
        if not (first.isdecimal() and last.isdecimal()):
            raise EngineError(
                f"{RANGE_VARIABLE} is {text!r}; write it as first-last, such as 200000-265535"
            )
        found = cls(int(first), int(last))
        if not 1000 <= found.first < found.last < 2**31:
            raise EngineError(
                f"{RANGE_VARIABLE} is {text!r}; it must go up, from 1000 or more to less than 2^31"
            )
        return found

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    @property
    def size(self) -> int:
        """How many users the range has; the other half is their groups."""
        return (self.last - self.first + 1) // 2

    @property
    def users(self) -> range:
        """The ids of users."""
        return range(self.first, self.first + self.size)

    def standby_group(self, uid: int) -> int:
        """The group of a user's standbys."""
        return uid + self.size


DEFAULT_RANGE = IdRange(1_900_000_000, 1_900_131_071)


def is_mapped(ids: IdRange, id_map: str) -> bool:
    """Whether a user namespace has all numbers of a range. id_map: /proc/self/uid_map."""
    for line in id_map.splitlines():
        inside, _, length = (int(word) for word in line.split())
        if inside <= ids.first and ids.last < inside + length:
            return True
    return False


class OsUsers:
    """The numbers of this machine's clusters. Blocking; safe to use from several processes.

    ids: None where clusters get no user of their own, for the reason `missing`.
    """

    def __init__(self, folder: Path, shared: OsUser, ids: IdRange | None, missing: str) -> None:
        self.ids = ids
        self.missing = missing
        self._folder = folder
        self._shared = shared

    @classmethod
    def open(cls, shared_directory: Path, shared: OsUser) -> "OsUsers":
        """The registry in the directory that all hosts of a machine share.

        Raises EngineError for a range that makes no sense.
        """
        folder = shared_directory / "os-users"
        if not shared.drops:
            return cls(folder, shared, None, "the host is not root")
        ids = _range(folder)
        missing = _unmapped(ids)
        if missing:
            _log.warning("clusters have no user of their own", reason=missing)
        return cls(folder, shared, None if missing else ids, missing)

    def of(self, cluster: Path) -> OsUser:
        """The user of the cluster in a directory, given to it now where it has none.

        The shared user, with the reason in `no_own`, where there is none to give.
        """
        if self.ids is None:
            return self._without(self.missing)
        first = self._user(self.ids.first, self.ids)
        if not first.can_reach(cluster):
            return self._without(f"only {self._shared.name} can reach {cluster}")
        with exclusive(self._folder / _LOCK_FILE):
            uid = self._known(cluster, self.ids)
            if uid is None:
                uid = self._free(self.ids)
                if uid is None:
                    why = f"all {self.ids.size} of {self.ids} are in use; name a larger range in "
                    return self._without(f"{why}{RANGE_VARIABLE}")
                self._link(uid).unlink(missing_ok=True)
                self._link(uid).symlink_to(cluster)
                write_atomically(cluster / NUMBER_FILE, f"{uid}\n")
        return self._user(uid, self.ids)

    def end_processes(self, cluster: Path) -> int | None:
        """Kill all that still runs as the user of a cluster; return its number, None without one.

        For a cluster whose servers have ended: what is left had left them.
        """
        uid = recorded_number(cluster)
        if uid is None or not self._has(uid, cluster):
            return None
        end_processes_of(uid)
        remove_all_of(uid)
        return uid

    def numbers_below(self, clusters: Path) -> frozenset[int]:
        """The numbers that the clusters in a folder have for themselves.

        Not those that a copy of the folder names: they are another cluster's.
        """
        found = set()
        with suppress(FileNotFoundError):
            for cluster in clusters.iterdir():
                uid = recorded_number(cluster)
                if uid is not None and self._has(uid, cluster):
                    found.add(uid)
        return frozenset(found)

    def forget(self, cluster: Path, uid: int | None) -> None:
        """Give back the number of a cluster whose files are gone."""
        if uid is not None:
            with exclusive(self._folder / _LOCK_FILE):
                if self._has(uid, cluster):
                    self._link(uid).unlink()

    def _user(self, uid: int, ids: IdRange) -> OsUser:
        group = ids.standby_group(uid)
        return OsUser(f"borealis-{uid}", uid, uid, drops=True, standby_gid=group)

    def _without(self, reason: str) -> OsUser:
        return replace(self._shared, no_own=reason)

    def _link(self, uid: int) -> Path:
        return self._folder / str(uid)

    def _has(self, uid: int, cluster: Path) -> bool:
        try:
            return self._link(uid).readlink() == cluster
        except OSError:
            return False

    def _known(self, cluster: Path, ids: IdRange) -> int | None:
        """The number that a cluster's directory names, unless another cluster has it."""
        uid = recorded_number(cluster)
        if uid is None or uid not in ids.users:
            return None
        if not os.path.lexists(self._link(uid)):
            # The link was lost with the power, the directory was not.
            self._link(uid).symlink_to(cluster)
        return uid if self._has(uid, cluster) else None

    def _free(self, ids: IdRange) -> int | None:
        """A number that nobody has: by chance, so that one given back rests for a while."""
        for _ in range(_RANDOM_TRIES):
            uid = ids.first + secrets.randbelow(ids.size)
            if not os.path.lexists(self._link(uid)) and not _is_somebody(uid):
                return uid
        taken = {int(name) for name in os.listdir(self._folder) if name.isdecimal()}
        for uid in ids.users:
            if uid not in taken and not _is_somebody(uid):
                return uid
        for uid in ids.users:
            # A cluster whose directory is gone was removed by other hands than ours.
            if not self._link(uid).exists():
                end_processes_of(uid)
                return uid
        return None


def recorded_number(cluster: Path) -> int | None:
    """The number that a cluster's directory names; None where it names none."""
    try:
        text = (cluster / NUMBER_FILE).read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return int(text) if text.isdecimal() else None


def end_processes_of(uid: int) -> None:
    """Kill every process of a cluster's own user, those included that left their postmaster.

    One call of that user itself, which the kernel serves at once for all: none can slip through
    by forking.
    """
    children.run(
        ["/bin/sh", "-c", "kill -9 -1"],
        user=uid,
        group=uid,
        extra_groups=[],
        stderr=subprocess.DEVNULL,
        check=False,
    )


def _is_somebody(uid: int) -> bool:
    """Whether a number of the range is a user that the machine knows."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _range(folder: Path) -> IdRange:
    """The range in use, which is recorded for all hosts; a named one takes its place."""
    folder.mkdir(mode=0o700, exist_ok=True)
    named = os.environ.get(RANGE_VARIABLE)
    recorded = folder / _RANGE_FILE
    with exclusive(folder / _LOCK_FILE):
        if named is not None:
            ids = IdRange.parse(named)
        else:
            ids = DEFAULT_RANGE
            with suppress(FileNotFoundError):
                return IdRange.parse(recorded.read_text(encoding="ascii"))
        write_atomically(recorded, f"{ids}\n")
    return ids


def _unmapped(ids: IdRange) -> str:
    """Why the numbers of a range cannot be used here, or ""."""
    for name in ("uid_map", "gid_map"):
        try:
            id_map = Path("/proc/self", name).read_text(encoding="ascii")
        except FileNotFoundError:
            continue
        if not is_mapped(ids, id_map):
            return (
                f"{ids} is not mapped in this container; name a range that is in {RANGE_VARIABLE}"
            )
    return ""
