"""What a simulated disk is made of: paths, files, and folders."""

import os
import random
from pathlib import PosixPath

from cluster_runtime.storage.disk.device import PAGE_BYTES

UNCHANGED = 1 << 62


class KnownPath(PosixPath):
    """A path that makes each path below it once: nothing is joined as often as these."""

    __slots__ = ("_below", "_text")
    _below: "dict[str | os.PathLike[str], KnownPath]"
    _text: str

    def __truediv__(self, name: str | os.PathLike[str]) -> "KnownPath":
        try:
            return self._below[name]
        except AttributeError:
            self._below = {}
        except KeyError:
            pass
        made = self._below[name] = super().__truediv__(name)
        if type(name) is str and name not in (".", "") and name[0] != "/":
            made._text = f"{os.fspath(self)}/{name}"
        return made

    def __fspath__(self) -> str:
        try:
            return self._text
        except AttributeError:
            self._text = super().__fspath__()
            return self._text


class Inode:
    """A file: what reads see, and what a power cut leaves.

    changed_from: the first byte that was written since somebody put UNCHANGED there. shorter: it
    was cut short, and that is not durable yet.
    """

    __slots__ = ("changed_from", "content", "dirty", "durable", "shorter", "value")

    def __init__(self) -> None:
        self.content = bytearray()
        self.durable = bytearray()
        self.dirty: set[int] = set()
        self.value = 0
        self.changed_from = 0
        self.shorter = False

    def copy(self) -> "Inode":
        made = Inode()
        made.content[:], made.durable[:] = self.content, self.durable
        made.dirty, made.value, made.shorter = {*self.dirty}, self.value, self.shorter
        return made

    @classmethod
    def synced(cls, content: bytes) -> "Inode":
        """A file that holds this, whatever happens."""
        made = cls()
        made.content[:] = made.durable[:] = content
        return made

    def read(self, offset: int, length: int | None) -> bytes:
        """length: None for all from the offset on."""
        end = None if length is None else offset + length
        with memoryview(self.content) as view:
            return bytes(view[offset:end])

    def write(self, offset: int, content: bytes | bytearray | memoryview) -> None:
        end = offset + len(content)
        if end > len(self.content):
            self.content.extend(bytes(end - len(self.content)))
        self.content[offset:end] = content
        self.dirty.update(range(offset // PAGE_BYTES, -(-end // PAGE_BYTES)))
        if offset < self.changed_from:
            self.changed_from = offset

    def cut_short(self, size: int) -> None:
        """What lies behind is not seen any more."""
        del self.content[size:]
        self.dirty = {page for page in self.dirty if page * PAGE_BYTES < size}
        self.shorter = True
        self.changed_from = 0

    def sync(self) -> None:
        if self.shorter:
            self._keep_size()
        if self.dirty:
            self._keep(self.dirty)
            self.dirty.clear()

    def crash(self, rng: random.Random) -> None:
        if self.dirty or self.shorter:
            if self.shorter and rng.random() < 0.5:
                self._keep_size()
            self.shorter = False
            self._keep([page for page in sorted(self.dirty) if rng.random() < 0.5])
            self.dirty.clear()
            self.content = bytearray(self.durable)
            self.changed_from = 0

    def flip(self, at: int, bit: int) -> None:
        """A bit is another one, also on the platter."""
        self.content[at] ^= bit
        if at < len(self.durable):
            self.durable[at] ^= bit
        self.changed_from = 0

    def rot(self, rng: random.Random) -> None:
        """A bit is another one, most likely of what is used of it.

        Often it is one after which a number is another number: what only a checksum tells.
        """
        content = self.content
        digits = [at for at, each in enumerate(content) if 0x30 <= each <= 0x37]
        if len(digits) > len(content) // 8 and rng.random() < 0.7:
            at, bit = rng.choice(digits), 1 << rng.randrange(3)
        else:
            used = len(content.rstrip(b"\0")) or len(content)
            at, bit = rng.randrange(used), 1 << rng.randrange(8)
        self.flip(at, bit)

    def truncate(self, size: int) -> None:
        """What lies behind is gone, also from the platter."""
        del self.content[size:], self.durable[size:]
        self.dirty = {page for page in self.dirty if page * PAGE_BYTES < size}
        self.changed_from = 0

    def _keep_size(self) -> None:
        del self.durable[len(self.content) :]
        self.shorter = False

    def _keep(self, pages: "set[int] | list[int]") -> None:
        content, durable = self.content, self.durable
        for page in pages:
            at = page * PAGE_BYTES
            part = content[at : at + PAGE_BYTES]
            if at + len(part) > len(durable):
                durable.extend(bytes(at + len(part) - len(durable)))
            durable[at : at + len(part)] = part


class Folder:
    """Names: those that are seen, those that are durable, and the changes between the two."""

    __slots__ = ("durable", "entries", "pending")

    def __init__(self) -> None:
        self.entries: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}
        self.pending: list[tuple[str, str, Node | None]] = []

    def copy(self) -> "Folder":
        """One in which everything is durable. Raises ValueError where something is not."""
        if self.pending:
            raise ValueError(f"changes are not durable: {self.pending}")
        made = Folder()
        made.entries = {name: node.copy() for name, node in self.entries.items()}
        made.durable = dict(made.entries)
        return made

    def put(self, name: str, node: "Node") -> None:
        self.entries[name] = node
        self.pending.append((name, "", node))

    def drop(self, name: str) -> None:
        del self.entries[name]
        self.pending.append((name, "", None))

    def rename(self, name: str, to: str) -> None:
        node = self.entries.pop(name)
        self.entries[to] = node
        self.pending.append((to, name, node))

    def sync(self, count: int | None = None) -> None:
        """count: of the first changes; None for all."""
        for name, before, node in self.pending[:count]:
            if node is None:
                self.durable.pop(name, None)
            else:
                self.durable[name] = node
            self.durable.pop(before, None)
        self.pending.clear()

    def crash(self, rng: random.Random) -> None:
        if self.pending:
            self.sync(rng.randint(0, len(self.pending)))
            self.entries = dict(self.durable)
        for node in self.entries.values():
            node.crash(rng)


Node = Inode | Folder
