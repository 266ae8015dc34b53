"""Paths on a simulated disk: which file or folder has a name, whoever is refused."""

import errno
import os

from cluster_runtime.storage.simulation.inodes import Folder, Inode, Node


class Tree:
    """All below one folder. Folders are looked up once: `forget` when one may have gone."""

    def __init__(self, root: Folder) -> None:
        self.root = root
        self._folders: dict[str, Folder] = {}

    def forget(self) -> None:
        """Look every folder up again."""
        self._folders.clear()

    def find(self, path: str) -> Node | None:
        """What has this path; None where nothing has."""
        if not path:
            return self.root
        above, _, name = path.rpartition("/")
        folder = self._folders.get(above)
        if folder is None:
            found = self.find(above)
            if not isinstance(found, Folder):
                return None
            folder = self._folders[above] = found
        return folder.entries.get(name)

    def inode(self, path: str) -> Inode:
        """The file of a path. Raises FileNotFoundError."""
        node = self.find(path)
        if not isinstance(node, Inode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return node

    def place(self, path: str) -> tuple[Folder, str]:
        """The folder of a path, and the name in it. Raises FileNotFoundError."""
        above, _, name = path.rpartition("/")
        folder = self.find(above)
        if not isinstance(folder, Folder):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return folder, name

    def paths(self, below: str) -> list[str]:
        """The files below a folder."""
        found: list[str] = []
        node = self.find(below)
        pending = [(below, node)] if isinstance(node, Folder) else []
        while pending:
            at, folder = pending.pop()
            for name, each in sorted(folder.entries.items()):
                path = f"{at}/{name}"
                if isinstance(each, Folder):
                    pending.append((path, each))
                else:
                    found.append(path)
        return found
