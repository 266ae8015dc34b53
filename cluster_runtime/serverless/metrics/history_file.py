"""The history of a cluster in a file: written whole, beside the last one, which it then replaces.

    borealis metrics 1 crc32c 9ab1f0c2
    <zstd: a line of JSON that says what follows, then 64-bit numbers>

A file that cannot be read is set aside, and never keeps anybody from starting: these are metrics.
"""

import json
import os
import sys
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import google_crc32c
import zstandard

from cluster_runtime.serverless.metrics.history import History, Origin
from cluster_runtime.serverless.metrics.ring import Ring

FILE_NAME = "metrics"
SET_ASIDE = "metrics.unreadable"
FORMAT = 1
BODY_MAX_BYTES = 1 << 30

_HEAD = "borealis metrics {} crc32c {:08x}\n"
_LEVEL = 1
_NUMBER, _CELL = "q", "d"
_BYTES = 8


class UnreadableHistoryError(ValueError):
    """A file is not what was written as a history, or a newer release wrote it."""


Snapshot = list[tuple[Origin, tuple[str, ...], list[tuple[int, list[tuple[int, "array[float]"]]]]]]
"""A history as it was at a moment: for each origin its metrics, and its rows."""


def snapshot(history: History) -> Snapshot:
    """Quick. What stays to do can be done on another thread."""
    return [(origin, ring.names, ring.rows()) for origin, ring in history.rings.items()]


def encode(taken: Snapshot) -> bytes:
    """The content of a file."""
    head: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for origin, names, tiers in taken:
        for _, slots in tiers:
            parts.append(array(_NUMBER, [number for number, _ in slots]).tobytes())
            parts.extend(row.tobytes() for _, row in slots)
        sizes = [[step, len(slots)] for step, slots in tiers]
        head.append(
            {"instance": origin.instance, "role": origin.role, "names": names, "tiers": sizes}
        )
    line = json.dumps({"byte_order": sys.byteorder, "rings": head}).encode()
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join((line, b"\n", *parts)))
    return _HEAD.format(FORMAT, google_crc32c.value(packed)).encode() + packed


def decode(content: bytes) -> History:
    """What was encoded. Raises UnreadableHistoryError."""
    head, _, body = content.partition(b"\n")
    words = head.split(b" ")
    if len(words) != 5 or words[:2] != [b"borealis", b"metrics"] or not words[2].isdigit():
        raise UnreadableHistoryError(f"it begins with {head[:40]!r}")
    if int(words[2]) > FORMAT:
        raise UnreadableHistoryError(
            f"it has format {int(words[2])}, and this release knows up to {FORMAT}"
        )
    if head + b"\n" != _HEAD.format(FORMAT, google_crc32c.value(body)).encode():
        raise UnreadableHistoryError("its checksum does not fit")
    try:
        if not 0 <= zstandard.frame_content_size(body) <= BODY_MAX_BYTES:
            raise UnreadableHistoryError("it is too large")
        return _decoded(zstandard.ZstdDecompressor().decompress(body))
    except (zstandard.ZstdError, LookupError, TypeError, ValueError) as error:
        raise UnreadableHistoryError(f"what is in it is not in order: {error}") from error


def read(directory: Path) -> History | None:
    """The history of the cluster in a directory; None where there is none.

    Raises UnreadableHistoryError, OSError.
    """
    try:
        return decode((directory / FILE_NAME).read_bytes())
    except FileNotFoundError:
        return None


def set_aside(directory: Path) -> Path:
    """Give the file another name, under which it stays. Raises OSError."""
    return (directory / FILE_NAME).replace(directory / SET_ASIDE)


def write(directory: Path, taken: Snapshot) -> None:
    """Replace the file; one that is killed on the way leaves the old one. Raises OSError."""
    partial = directory / f"{FILE_NAME}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(partial, flags, 0o600), "wb") as file:
            file.write(encode(taken))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(directory / FILE_NAME)
    except OSError:
        with suppress(OSError):
            partial.unlink()  # it would take space that others may wait for
        raise


def _decoded(body: bytes) -> History:
    line, _, data = body.partition(b"\n")
    facts = json.loads(line)
    if facts["byte_order"] != sys.byteorder:
        raise UnreadableHistoryError("a machine of another byte order wrote it")
    cells = memoryview(data)
    rings = {}
    for each in facts["rings"]:
        tiers = []
        for step, count in each["tiers"]:
            numbers, cells = _numbers(cells, _NUMBER, count)
            rows, cells = _numbers(cells, _CELL, count * Ring.FIELDS * len(each["names"]))
            width = Ring.FIELDS * len(each["names"])
            tiers.append((step, _slots(numbers, rows, width)))
        rings[Origin(each["instance"], each["role"])] = Ring.of_rows(each["names"], tiers)
    if cells:
        raise UnreadableHistoryError(f"{len(cells)} bytes are left")
    return History(rings)


def _numbers(cells: memoryview, kind: str, count: int) -> tuple["array[Any]", memoryview]:
    size = count * _BYTES
    if len(cells) < size:
        raise UnreadableHistoryError(f"{size - len(cells)} bytes are missing")
    found = array(kind)
    found.frombytes(cells[:size])
    return found, cells[size:]


def _slots(
    numbers: "array[int]", rows: "array[float]", width: int
) -> Iterator[tuple[int, "array[float]"]]:
    for at, number in enumerate(numbers):
        yield number, rows[at * width : (at + 1) * width]
