"""Where tests make files: in memory where there is much of it, since a disk is most of the wait."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import psutil

IN_MEMORY = Path("/dev/shm")
ON_DISK = Path("/tmp")
ROOMY_BYTES = 8 << 30
CHOSEN = "BOREALIS_TEST_DIRECTORY"
"""Names another place, such as /tmp for a real disk: `make test-long` does."""


def _place() -> Path:
    chosen = os.environ.get(CHOSEN)
    if chosen is not None:
        return Path(chosen)
    try:
        free = min(shutil.disk_usage(IN_MEMORY).free, psutil.virtual_memory().available)
    except FileNotFoundError:
        free = 0
    return IN_MEMORY if free >= ROOMY_BYTES else ON_DISK


PLACE = _place()
# The same for all processes of a session, however much of it is used by then.
os.environ[CHOSEN] = os.environ["TMPDIR"] = tempfile.tempdir = str(PLACE)


def reachable_folder(place: Path = PLACE) -> Path:
    """Make a folder that PostgreSQL's user can reach, with a path short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="borealis-test-", dir=place))
    folder.chmod(0o711)
    return folder


class SpentFolders:
    """Folders of tests that are over. Those on a disk are emptied, and removed with the session.

    Before ext4 gives out an inode, it passes over each one that was deleted in the last minutes: a
    few thousand files deleted after each test would make those of the next one three times slower.
    """

    def __init__(self) -> None:
        self._left: list[Path] = []

    def append(self, folder: Path) -> None:
        """Nothing uses a folder any more."""
        if folder.is_relative_to(IN_MEMORY):
            shutil.rmtree(folder)
            return
        for root, _, names in os.walk(folder):
            for name in names:
                facts = os.lstat(path := os.path.join(root, name))
                if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:
                    os.truncate(path, 0)
        self._left.append(folder)

    def remove(self) -> None:
        """The session is over."""
        for folder in self._left:
            shutil.rmtree(folder)
