"""Where the engine keeps what PostgreSQL itself must reach.

Catalog, keys and lock stay in the state directory, which may be private to root. PostgreSQL runs
as another user then, so its files live in the state directory only if that user can reach it;
otherwise in `/var/lib/borealis`, one folder per state directory, removed once its state directory
is gone. Binaries and templates are shared by all state directories of a user.
"""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system.files import remove_tree, spread_folders
from cluster_runtime.engine.system.os_users import OsUsers

SYSTEM_HOMES = Path("/var/lib/borealis")
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_MAX_BYTES = 100
"""sockaddr_un holds 104 bytes on macOS and 108 on Linux, the closing NUL included."""

_OWNER_FILE = "state-directory"


@dataclass(frozen=True, slots=True)
class EngineHome:
    """The folders that PostgreSQL of one state directory uses."""

    root: Path
    run: Path
    user: OsUser
    users: OsUsers

    @property
    def clusters(self) -> Path:
        """The folder with a directory for each cluster."""
        return self.root / "clusters"

    @property
    def bases(self) -> Path:
        """The folder of pages that volumes of restored clusters began with."""
        return self.root / "bases"

    def user_of(self, resource_id: str) -> OsUser:
        """The user that a cluster's servers run as; makes the cluster's directory."""
        return self.users.of(self.user.make_passage(self.clusters / resource_id))

    def remove(self, directory: Path) -> None:
        """Remove the directory of a cluster and all that its user may have left running."""
        uid = self.users.end_processes(directory)
        remove_tree(directory)
        self.users.forget(directory, uid)

    def sweep_bases(self, link: str) -> None:
        """Remove the pages that no cluster's link, of this name, leads to any more."""
        led_to = {
            Path(os.readlink(directory / link)).name
            for directory in self.clusters.iterdir()
            if (directory / link).is_symlink()
        }
        for pages in self.bases.iterdir():
            if pages.name.partition(".")[0] not in led_to:
                if pages.is_dir():
                    remove_tree(pages)
                else:
                    pages.unlink()

    def close(self) -> None:
        """Remove the folder of sockets; what must last lies elsewhere."""
        shutil.rmtree(self.run, ignore_errors=True)


def open_home(state_dir: Path, user: OsUser) -> EngineHome:
    """The engine's folders for a state directory, made where missing."""
    if user.can_reach(state_dir):
        root = state_dir / "engine"
    else:
        _remove_homes_of_lost_state_directories()
        root = SYSTEM_HOMES / hashlib.sha256(bytes(state_dir)).hexdigest()[:16]
    user.make_passage(root)
    (root / _OWNER_FILE).write_bytes(bytes(state_dir))
    home = EngineHome(root, _run_directory(root, user), user, open_users(user))
    spread_folders(user.make_passage(home.clusters))
    user.make_passage(home.bases)
    return home


def shared_directory(user: OsUser) -> Path:
    """Where binaries and templates are kept for all state directories of this user.

    No cache: a template is the first page image of every volume that began with it.
    """
    if user.drops:
        return user.make_passage(SYSTEM_HOMES / "shared")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return user.make_passage(Path(base) / "borealis")


def open_users(user: OsUser) -> OsUsers:
    """The users of this machine's clusters, beside `user`, which they share."""
    return OsUsers.open(shared_directory(user), user)


def _run_directory(root: Path, user: OsUser) -> Path:
    """A folder for the folders of sockets, whose path is short enough for one."""
    run = root / "run"
    if len(bytes(run / ("x" * 26) / SOCKET_NAME)) > SOCKET_PATH_MAX_BYTES:
        run = Path(tempfile.mkdtemp(prefix="borealis-", dir="/tmp"))
        return user.make_passage(run)
    shutil.rmtree(run, ignore_errors=True)
    return user.make_passage(run)


def _remove_homes_of_lost_state_directories() -> None:
    for owner in SYSTEM_HOMES.glob(f"*/{_OWNER_FILE}"):
        if not Path(os.fsdecode(owner.read_bytes())).exists():
            shutil.rmtree(owner.parent, ignore_errors=True)
