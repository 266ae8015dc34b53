"""The frames of a log file of a segment, as `borealis storage dump` prints them.

The file is only read, so it may be that of a running cluster. A cut tail ends the log; anything
else that is no frame is damage, and is shown where it lies.

Format: cluster_runtime/storage/batch.py (frames), cluster_runtime/storage/log_files.py (the mark).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from cluster_runtime.storage.core.batch import (
    Batch,
    CorruptFrameError,
    EndOfLogError,
    decode,
    frame_bytes,
)
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.storage.disk.device import PAGE_BYTES
from cluster_runtime.storage.disk.log_files import Mark
from mcp_server.errors import McpServerError


class LogFileError(McpServerError):
    """The file cannot be read, or is no log file. The message names it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A frame, or damage in its place. offset: bytes from the start of the file."""

    offset: int
    batch: Batch | None
    wal_bytes: int = 0
    damage: str = ""


@dataclass(frozen=True, slots=True)
class LogDump:
    """What a log file holds. mark: where it starts; None when it was never written."""

    mark: Mark | None
    found: tuple[Found, ...]

    @property
    def damaged(self) -> bool:
        """Whether a frame does not fit its checksum."""
        return any(one.batch is None for one in self.found)


def read(path: Path) -> LogDump:
    """Decode a log file of any volume. Raises LogFileError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LogFileError(f"cannot read {path}: {error.strerror}") from error
    if len(content) <= PAGE_BYTES or len(content) % PAGE_BYTES:
        raise LogFileError(
            f"{path} is no log file of a segment: those are whole pages of {PAGE_BYTES} bytes, in "
            "the folder log of a segment of a volume"
        )
    return LogDump(Mark.decode(content[:PAGE_BYTES]), tuple(_frames(memoryview(content))))


def as_json(dump: LogDump) -> dict[str, Any]:
    """The same for programs; LSNs are byte positions in the WAL."""
    return {
        "mark": None if dump.mark is None else asdict(dump.mark),
        "damaged": dump.damaged,
        "frames": [
            {
                "offset": one.offset,
                "wal_bytes": one.wal_bytes,
                "damage": one.damage or None,
                "batch": None if one.batch is None else asdict(one.batch),
            }
            for one in dump.found
        ],
    }


def draw(dump: LogDump) -> Table:
    """A line for each frame. LSNs as PostgreSQL writes them."""
    title = "no mark"
    if dump.mark is not None:
        mark = dump.mark
        title = (
            f"log position {mark.position:#x}, LSN {format_lsn(mark.lsn)}, epoch {mark.epoch}, "
            f"timeline {mark.timeline}"
        )
    table = Table(title=title, title_justify="left")
    for column in ("Offset", "Epoch", "Timeline", "Back-link", "Start", "End", "WAL bytes"):
        table.add_column(column, justify="right")
    table.add_column("")
    for one in dump.found:
        if one.batch is None:
            table.add_row(f"{one.offset:#x}", *[""] * 6, Text(one.damage, style="red"))
            continue
        batch = one.batch
        table.add_row(
            f"{one.offset:#x}",
            str(batch.epoch),
            str(batch.timeline),
            format_lsn(batch.previous),
            format_lsn(batch.start),
            format_lsn(batch.end),
            str(one.wal_bytes),
            "" if batch.consistent else "ends inside a record",
        )
    return table


def _frames(content: memoryview) -> Iterator[Found]:
    at = PAGE_BYTES
    while at < len(content):
        try:
            batch, wal = decode(None, content, at)
        except EndOfLogError:
            # Storage that is I/O-Optimized begins its batches with a page; behind other zeros
            # there is nothing any more.
            if at % PAGE_BYTES == 0:
                return
            at = _next_page(at)
        except CorruptFrameError as damage:
            yield Found(at, None, damage=str(damage))
            at = _next_page(at)
        else:
            yield Found(at, batch, len(wal))
            at += frame_bytes(len(wal))


def _next_page(offset: int) -> int:
    return (offset // PAGE_BYTES + 1) * PAGE_BYTES
