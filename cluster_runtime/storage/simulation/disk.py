"""A disk that forgets what was not synced, fails, fills up and rots: `Disk` over a model.

Content is durable by the page once the file is synced, names once their folder is. Of the rest a
power cut keeps what chance wants: of each file any pages, of each folder the first changes. The
files of a segment may refuse to be written, or read, while all others are well.
"""

import errno
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from operator import itemgetter
from pathlib import Path

import google_crc32c

from cluster_runtime.storage.core.sizes import Sizes
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.filesystem import Pace
from cluster_runtime.storage.simulation.inodes import Folder, Inode
from cluster_runtime.storage.simulation.tree import Tree

SMALL = Sizes(
    first_file=2 * PAGE_BYTES,
    file=4 * PAGE_BYTES,
    ring=8 * PAGE_BYTES,
    batch=2048,
    write=2 * PAGE_BYTES,
)


class KilledError(BaseException):
    """The process ends here: nothing after this instant happens. Not for anybody to catch."""


class SimulatedDisk:
    """root: the only folder that is there from the start."""

    sizes = SMALL

    def __init__(self, rng: random.Random, root: Path) -> None:
        self._rng = rng
        self._tree = Tree(Folder())
        self._at = len(os.fspath(root)) + 1
        self._open: dict[int, tuple[Inode, str]] = {}
        self._fd = 1000
        self._unsynced: dict[int, Inode] = {}
        self.refusals: dict[str, int] = {}
        """errno with which everything below `<zone>/<segment>` is refused; ENOSPC and EROFS refuse
        writes alone."""
        self.slow: dict[str, float] = {}
        """How slow the disks of segments are, by `<zone>/<segment>`."""
        self.killed_after: int | None = None
        """How many more changes of the disk this process lives to make."""
        self.changes = 0
        self._planned: list[tuple[int, Callable[[], None]]] = []

    def take(self) -> Folder:
        """All that is on it, each file and folder made durable before."""
        return self._tree.root

    def put(self, contents: Folder) -> None:
        """Begin with a copy of what another one has."""
        self._tree = Tree(contents.copy())

    # faults ----------------------------------------------------------------------------------

    def plan(self, changes: int, action: Callable[[], None]) -> None:
        """Have something happen in the middle of what follows, after so many changes of the disk.

        changes: from now on.
        """
        self._planned.append((self.changes + changes, action))
        self._planned.sort(key=itemgetter(0))

    @contextmanager
    def refusing_nobody(self) -> Iterator[None]:
        """While somebody looks who is no part of the model."""
        refusals, self.refusals = self.refusals, {}
        try:
            yield
        finally:
            self.refusals = refusals

    def forget_plans(self) -> None:
        """What was planned and has not come about does not happen."""
        self._planned.clear()

    def cut_power(self) -> None:
        """Keep what is durable, and of the rest what chance wants."""
        self._tree.root.crash(self._rng)
        self._tree.forget()
        self._open.clear()
        self._unsynced.clear()

    def rot(self, path: str) -> bool:
        """Turn over a bit of a file. Whether there was one."""
        node = self._tree.find(path)
        if not isinstance(node, Inode) or not node.content:
            return False
        node.rot(self._rng)
        return True

    def truncate(self, path: str) -> None:
        """A file is cut short."""
        node = self._tree.find(path)
        if isinstance(node, Inode) and node.content:
            node.truncate(self._rng.choice((0, self._rng.randrange(len(node.content)))))

    def lose(self, path: str) -> None:
        """A folder is gone for good, with all in it."""
        above, _, name = path.rpartition("/")
        folder = self._tree.find(above)
        assert isinstance(folder, Folder)
        if name in folder.entries:
            folder.drop(name)
            folder.sync()
            self._tree.forget()

    def inode(self, path: str) -> Inode | None:
        """A file, whoever is refused; None where there is none."""
        node = self._tree.find(path)
        return node if isinstance(node, Inode) else None

    def content(self, path: str) -> bytes | None:
        """What is in a file, whoever is refused; None where there is none."""
        node = self._tree.find(path)
        return bytes(node.content) if isinstance(node, Inode) else None

    def names_of(self, path: str) -> list[str]:
        """What is in a folder, whoever is refused."""
        node = self._tree.find(path)
        return sorted(node.entries) if isinstance(node, Folder) else []

    def paths(self, below: str) -> list[str]:
        """The files below a folder."""
        return self._tree.paths(below)

    # the interface ---------------------------------------------------------------------------

    def names(self, directory: Path) -> list[str]:
        node = self._tree.find(self._reading(directory))
        return sorted(node.entries) if isinstance(node, Folder) else []

    def exists(self, path: Path) -> bool:
        return self._tree.find(self._reading(path)) is not None

    def size(self, path: Path) -> int:
        return len(self._tree.inode(self._reading(path)).content)

    def read(self, path: Path, offset: int = 0, length: int | None = None) -> bytes:
        return self._tree.inode(self._reading(path)).read(offset, length)

    def make_directory(self, path: Path) -> None:
        where = self._changing(path)
        folder = self._tree.root
        *above, name = where.split("/")
        for each in above:
            if each not in folder.entries:
                folder.put(each, Folder())
            inside = folder.entries[each]
            if not isinstance(inside, Folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), where)
            folder = inside
        if name in folder.entries:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), where)
        folder.put(name, Folder())

    def replace(self, path: Path, content: bytes) -> None:
        where = self._changing(path)
        folder, name = self._tree.place(where)
        inode = Inode()
        folder.put(f"{name}.new", inode)
        inode.write(0, content)
        self._changing(path)
        inode.sync()
        folder.rename(f"{name}.new", name)
        self._changing(path)
        folder.sync()

    def create(self, path: Path, head: bytes, size: int, *, sparse: bool = False) -> None:
        where = self._changing(path)
        folder, name = self._tree.place(where)
        partial = name.rpartition(".")[0] + ".new"
        folder.put(partial, Inode.synced(head.ljust(size, b"\0")))
        self._changing(path)
        folder.rename(partial, name)
        self._changing(path)
        folder.sync()

    def write(self, path: Path, offset: int, content: bytes) -> None:
        inode = self._tree.inode(self._changing(path))
        inode.write(offset, content)
        self._changing(path)
        inode.sync()

    def cut_short(self, path: Path, size: int) -> None:
        self._tree.inode(self._changing(path)).cut_short(size)

    def sync(self, path: Path) -> None:
        self._tree.inode(self._changing(path)).sync()

    def remove(self, path: Path) -> None:
        where = self._changing(path)
        self._tree.inode(where)
        folder, name = self._tree.place(where)
        folder.drop(name)

    def remove_tree(self, path: Path) -> None:
        where = self._changing(path)
        node = self._tree.find(where)
        if node is None:
            return
        folder, name = self._tree.place(where)
        if isinstance(node, Folder):
            self._tree.forget()
            self._empty(node, path)
        folder.drop(name)

    def sync_directory(self, path: Path) -> None:
        node = self._tree.find(self._changing(path))
        if not isinstance(node, Folder):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        node.sync()

    def sync_tree(self, path: Path, written: Sequence[Path]) -> None:
        node = self._tree.find(self._changing(path))
        pending = [node]
        while pending:
            each = pending.pop()
            if each is not None:
                each.sync()
            if isinstance(each, Folder):
                pending.extend(each.entries.values())

    def rename(self, path: Path, target: Path) -> None:
        folder, name = self._tree.place(self._changing(path))
        where, to = self._tree.place(self._changing(target))
        if name not in folder.entries:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        assert folder is where, "nothing here moves from folder to folder"
        there = folder.entries.get(to)
        if isinstance(there, Folder) and there.entries:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), os.fspath(target))
        folder.rename(name, to)
        if isinstance(folder.entries[to], Folder):
            self._tree.forget()

    def link(self, path: Path, target: Path) -> None:
        inode = self._tree.inode(self._reading(path))
        folder, name = self._tree.place(self._changing(target))
        folder.put(name, inode)

    def link_all(self, folder: Path, target: Path, paths: Sequence[str]) -> None:
        for path in paths:
            self.link(folder / path, target / path)

    def links(self, path: Path) -> int:
        inode = self._tree.inode(self._reading(path))
        return sum(self._tree.find(each) is inode for each in self._tree.paths(""))

    def copy(self, path: Path, target: Path, pace: Pace) -> None:
        content = self._tree.inode(self._reading(path)).content
        folder, name = self._tree.place(self._changing(target))
        inode = Inode()
        inode.write(0, content)
        folder.put(name, inode)

    def walk(self, folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        node = self._tree.find(self._reading(folder))
        if not isinstance(node, Folder):
            return
        inside = sorted(node.entries.items())
        folders = [name for name, each in inside if isinstance(each, Folder)]
        yield os.fspath(folder), folders, [n for n, each in inside if isinstance(each, Inode)]
        for name in folders:
            yield from self.walk(folder / name)

    def modified_ns(self, path: Path) -> int:
        return 0

    def checksum(self, path: Path) -> int:
        return int(google_crc32c.value(bytes(self._tree.inode(self._reading(path)).content)))

    def open_reader(self, path: Path) -> int:
        return self._opened(self._reading(path))

    def open_writer(self, path: Path, *, direct: bool) -> int:
        return self._opened(self._changing(path))

    def read_at(self, fd: int, offset: int, length: int) -> bytes:
        inode, where = self._open[fd]
        self._refuse(where, writing=False)
        return inode.read(offset, length)

    def close(self, fd: int) -> None:
        self._open.pop(fd, None)

    def board(self, path: Path) -> "SimulatedBoard":
        where = self._changing(path)
        folder, name = self._tree.place(where)
        inode = folder.entries.get(name)
        if not isinstance(inode, Inode):
            inode = Inode()
            folder.put(name, inode)
        return SimulatedBoard(self, inode, where)

    # for the device --------------------------------------------------------------------------

    def write_at(self, fd: int, offset: int, content: memoryview, *, durable: bool) -> int:
        """A write of the log device: bytes written, or minus errno."""
        if fd not in self._open:
            return -errno.EBADF
        inode, where = self._open[fd]
        try:
            self._refuse(where, writing=True)
        except OSError as error:
            return -(error.errno or errno.EIO)
        inode.write(offset, content)
        if durable:
            inode.sync()
        else:
            self._unsynced[id(inode)] = inode
        return len(content)

    def slowness(self, fd: int) -> float:
        """How slow the disk below a file is."""
        if fd not in self._open:
            return 1.0
        return self.slow.get(_segment_of(self._open[fd][1]), 1.0)

    def unsynced(self) -> set[int]:
        """The files with device writes that are not durable yet."""
        return set(self._unsynced)

    def flush(self, fd: int, written: set[int]) -> int:
        """Make device writes to these files durable: 0, or minus errno."""
        if fd not in self._open:
            return -errno.EBADF
        try:
            self._refuse(self._open[fd][1], writing=True)
        except OSError as error:
            return -(error.errno or errno.EIO)
        for each in written & self._unsynced.keys():
            self._unsynced.pop(each).sync()
        return 0

    # inside ----------------------------------------------------------------------------------

    def _reading(self, path: Path) -> str:
        where = os.fspath(path)[self._at :]
        if self.refusals:
            self._refuse(where, writing=False)
        return where

    def _changing(self, path: Path) -> str:
        where = os.fspath(path)[self._at :]
        self.changes += 1
        while self._planned and self._planned[0][0] <= self.changes:
            self._planned.pop(0)[1]()
        if self.killed_after is not None:
            self.killed_after -= 1
            if self.killed_after < 0:
                raise KilledError
        if self.refusals:
            self._refuse(where, writing=True)
        return where

    def _refuse(self, where: str, *, writing: bool) -> None:
        code = self.refusals.get(_segment_of(where)) if self.refusals else None
        if code is not None and (writing or code == errno.EIO):
            raise OSError(code, os.strerror(code), where)

    def _empty(self, folder: Folder, path: Path) -> None:
        for name, node in sorted(folder.entries.items()):
            if isinstance(node, Folder):
                self._empty(node, path)
            self._changing(path)
            folder.drop(name)

    def _opened(self, where: str) -> int:
        self._fd += 1
        self._open[self._fd] = self._tree.inode(where), where
        return self._fd


def _segment_of(where: str) -> str:
    return "/".join(where.split("/", 2)[:2])


class SimulatedBoard:
    """A promise board: what one process puts there all others see at once."""

    def __init__(self, disk: SimulatedDisk, inode: Inode, where: str) -> None:
        self._disk, self._inode, self._where = disk, inode, where

    @property
    def value(self) -> int:
        return self._inode.value

    @value.setter
    def value(self, value: int) -> None:
        self._inode.value = value

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()  # one thread has all processes, one after the other

    @property
    def is_there(self) -> bool:
        return self._disk._tree.find(self._where) is self._inode

    def close(self) -> None:
        """Nothing is held."""
