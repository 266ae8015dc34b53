"""The loader that a program names, and where that finds its libraries.

Executing the program executes the loader (ELF, PT_INTERP) too.

Source: System V ABI, "Program Header"; man elf(5); man ld.so(8), `--list`.
"""

import re
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from cluster_runtime.engine import children

_MAGIC, _CLASS_64, _LITTLE_ENDIAN = b"\x7fELF", 2, 1
_PT_INTERP = 3
_HEAD_BYTES = 64 * 1024


@cache
def loader_of(program: Path) -> Path | None:
    """The loader with links resolved; None for a program that needs none, or is no 64-bit ELF."""
    with program.open("rb") as file:
        named = interpreter(file.read(_HEAD_BYTES))
    return Path(named).resolve() if named else None


def interpreter(head: bytes) -> str | None:
    """What the first bytes of an ELF file name as its loader."""
    if head[:4] != _MAGIC or len(head) < 64 or head[4] != _CLASS_64:
        return None
    order = "<" if head[5] == _LITTLE_ENDIAN else ">"
    (table,) = struct.unpack_from(f"{order}Q", head, 32)
    size, count = struct.unpack_from(f"{order}HH", head, 54)
    for index in range(count):
        at = table + index * size
        if at + size > len(head):
            return None
        (kind,) = struct.unpack_from(f"{order}I", head, at)
        if kind == _PT_INTERP:
            (offset,) = struct.unpack_from(f"{order}Q", head, at + 8)
            (length,) = struct.unpack_from(f"{order}Q", head, at + 32)
            return head[offset : offset + length].rstrip(b"\0").decode()
    return None


@cache
def library_folders_of(program: Path, loader: Path) -> frozenset[Path]:
    """The folders of all libraries that the loader finds for a program, which it does not run."""
    command = [str(loader), "--list", str(program)]
    listed = children.run(command, capture_output=True, text=True, check=False)
    paths = listed_libraries(listed.stdout)
    return frozenset(folder for path in paths for folder in _folders(path))


def listed_libraries(text: str) -> Iterator[Path]:
    """The paths in what `ld.so --list` prints: `name => /path (address)`, or `/path (address)`."""
    for found in re.finditer(r"^\s*(?:\S+ => )?(/.+) \(0x[0-9a-f]+\)$", text, re.MULTILINE):
        yield Path(found[1])


def _folders(library: Path) -> Iterator[Path]:
    yield library.parent.resolve()
    yield library.resolve().parent
