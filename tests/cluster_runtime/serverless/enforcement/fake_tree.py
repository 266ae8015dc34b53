"""A tree of files that behaves as the kernel's cgroups of version 2 do, for machines without one.

It holds the rules that the code relies on: which files a group has, that a group which hands
controllers down has no process, that a process is in one group, and that a group with processes or
groups is not removed. Source: Linux Documentation/admin-guide/cgroup-v2.rst.
"""

import errno
import os
from pathlib import Path

import pytest

from cluster_runtime.serverless.enforcement import cgroup_v2, group_files

_OF_A_CONTROLLER = {
    "cpu": {"cpu.max": "max 100000", "cpu.weight": "100"},
    "memory": {"memory.high": "max"},
}


class FakeTree:
    """root: of the hierarchy, with these controllers."""

    def __init__(self, root: Path, controllers: str = "cpu memory") -> None:
        self.root = root
        self._mkdir, self._rmdir = Path.mkdir, Path.rmdir
        self._mkdir(root)
        self._fill(root, controllers.split())

    def install(self, patch: pytest.MonkeyPatch) -> None:
        tree = self

        def mkdir(
            path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False
        ) -> None:
            existed = path.is_dir()
            tree._mkdir(path, mode, parents, exist_ok)
            if not existed and path.is_relative_to(tree.root):
                handed = (path.parent / "cgroup.subtree_control").read_text().split()
                tree._fill(path, handed)

        def rmdir(path: Path) -> None:
            if path.is_relative_to(tree.root) and path.is_dir():
                groups = any(each.is_dir() for each in path.iterdir())
                if groups or (path / "cgroup.procs").read_text().split():
                    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
                for each in path.iterdir():
                    each.unlink()
            tree._rmdir(path)

        patch.setattr(Path, "mkdir", mkdir)
        patch.setattr(Path, "rmdir", rmdir)
        patch.setattr(group_files, "write", self.write)
        patch.setattr(cgroup_v2, "write", self.write)

    def put(self, pid: int, group: Path) -> None:
        """A process is in a group, and in no other."""
        for file in self.root.rglob("cgroup.procs"):
            left = [each for each in file.read_text().split() if each != str(pid)]
            file.write_text("".join(f"{each}\n" for each in left))
        with (group / "cgroup.procs").open("a") as file:
            file.write(f"{pid}\n")

    def write(self, path: Path, text: str) -> None:
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        group = path.parent
        if path.name == "cgroup.procs":
            if not Path(f"/proc/{text}").exists():
                raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
            if (group / "cgroup.subtree_control").read_text().split():
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            self.put(int(text), group)
        elif path.name == "cgroup.subtree_control":
            if (group / "cgroup.procs").read_text().split():
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            names = [each.removeprefix("+") for each in text.split()]
            known = (group / "cgroup.controllers").read_text().split()
            if not set(names) <= set(known):
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            path.write_text(" ".join({*path.read_text().split(), *names}) + "\n")
        else:
            path.write_text(text + "\n")

    def _fill(self, group: Path, controllers: list[str]) -> None:
        (group / "cgroup.controllers").write_text(" ".join(controllers) + "\n")
        (group / "cgroup.subtree_control").write_text("\n")
        (group / "cgroup.procs").write_text("")
        for name in controllers if group != self.root else ():
            for file, value in _OF_A_CONTROLLER.get(name, {}).items():
                (group / file).write_text(value + "\n")
