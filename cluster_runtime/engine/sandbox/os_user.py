"""Which operating-system user PostgreSQL runs as, and what that user can reach.

PostgreSQL refuses to run as root. A host process that is root runs each cluster as a user of its
own (`os_users`); what clusters share, such as the template, and clusters where that is not to be
had, as an unprivileged one: `borealis` where that user exists, else `nobody`. Any other host
process runs them as itself.
"""

import os
import pwd
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from cluster_runtime.engine.sandbox.walls import OsUserKind
from cluster_runtime.errors import EngineError

PREFERRED_USERS = ("borealis", "nobody")


@dataclass(frozen=True, slots=True)
class OsUser:
    """The user of postmasters. `drops`: the host is root and must change to it.

    standby_gid: of a user that one cluster has for itself, the group that its standbys run as:
        it may pass to the socket of the volume's WAL service, which the writer may not.
    no_own: why a cluster has to do with this user, and got none of its own.
    """

    name: str
    uid: int
    gid: int
    drops: bool
    standby_gid: int | None = None
    no_own: str = ""

    @property
    def kind(self) -> OsUserKind:
        """Whose processes a cluster's are: the host's, those of a shared user, or of its own."""
        if not self.drops:
            return "host"
        return "shared" if self.standby_gid is None else "own"

    @property
    def standby(self) -> "OsUser":
        """The same user as a cluster's standbys run: in a group that the writer is not in."""
        return self if self.standby_gid is None else replace(self, gid=self.standby_gid)

    def can_reach(self, path: Path) -> bool:
        """Whether this user may enter every existing folder on the way to `path`."""
        if not self.drops:
            return True
        resolved = path.resolve()
        return all(self._may_enter(folder) for folder in (resolved, *resolved.parents))

    def _may_enter(self, folder: Path) -> bool:
        try:
            status = folder.stat()
        except FileNotFoundError:
            return True
        if not stat.S_ISDIR(status.st_mode):
            return True
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)

    def own(self, path: Path) -> None:
        """Give a file or folder to this user, where the host has to."""
        if self.drops:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def make_passage(self, path: Path) -> Path:
        """Make a folder that the host alone writes to, and this user can only pass through.

        So a PostgreSQL that was taken over could not replace binaries, templates or volumes.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.mkdir(exist_ok=True)
        path.chmod(0o711 if self.drops else 0o700)
        return path

    def make_private_directory_of_standbys(self, path: Path) -> Path:
        """Make a folder that standbys of this user alone can pass through, and none can change."""
        if self.standby_gid is None:
            return self.make_private_directory(path)
        path.mkdir(mode=0o700, exist_ok=True)
        os.chown(path, os.geteuid(), self.standby_gid)
        path.chmod(0o710)
        return path

    def make_private_directory(self, path: Path) -> Path:
        """Make a folder, and its parents, that only this user (and root) can enter."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.mkdir(mode=0o700, exist_ok=True)
        self.own(path)
        return path


def host_user() -> OsUser:
    """The user of this process, for files that no postmaster may reach."""
    me = pwd.getpwuid(os.geteuid())
    return OsUser(me.pw_name, me.pw_uid, me.pw_gid, drops=False)


def engine_user() -> OsUser:
    """The user that postmasters of this process run as.

    Raises EngineError where the process is root and the machine has no unprivileged user.
    """
    if os.geteuid() != 0:
        return host_user()
    for name in PREFERRED_USERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return OsUser(found.pw_name, found.pw_uid, found.pw_gid, drops=True)
    raise EngineError(
        "this process is root, PostgreSQL refuses to run as root, and none of the users "
        f"{', '.join(PREFERRED_USERS)} exists; make one: useradd --system borealis"
    )
