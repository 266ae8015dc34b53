"""Data directories made from a page image and log, and whether one that is there may be used.

A data directory is a cache of the volume. It is used again only after a clean stop, on the same
boot of the machine (the writer runs with fsync=off), and while the volume has moved no further.

Source: PostgreSQL `pg_control.h` (ControlFileData), `xlogrecovery.c` (InitWalRecovery).
"""

import json
import os
import struct
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from functools import cache
from pathlib import Path

import google_crc32c
import psutil

from cluster_runtime.engine.postmaster import PROMOTE_MARK
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system.files import (
    create_plain,
    open_plain,
    remove_file,
    write_atomically,
)
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.core.wal_records import wal_file_name

CLAIM_FILE = "borealis.volume"
CLAIM_CHARACTERS_MAX = 4096
CONTROL_FILE = "global/pg_control"
CONTROL_FILE_BYTES = 8192

_CONTROL = struct.Struct("=QIIi4xqQQII")
_STATE_OFFSET = 16
_CRC_SEARCH = range(200, 508, 4)


_NO_HOT_STANDBY = "recovery_target_timeline = 'latest'\nhot_standby = 'off'\n"
"""Without hot_standby the server takes no connection before it has its new timeline."""


class DatabaseState(IntEnum):
    """DBState of pg_control."""

    STARTUP = 0
    SHUT_DOWN = 1
    SHUT_DOWN_IN_RECOVERY = 2
    SHUTTING_DOWN = 3
    IN_CRASH_RECOVERY = 4
    IN_ARCHIVE_RECOVERY = 5
    IN_PRODUCTION = 6


@dataclass(frozen=True, slots=True)
class ControlFile:
    """The part of pg_control that a volume needs. `redo`: where replay has to begin."""

    system_identifier: int
    state: DatabaseState
    checkpoint: int
    redo: int
    timeline: int

    @classmethod
    def read(cls, data_directory: Path) -> "ControlFile":
        """Raises StorageError where its checksum does not fit."""
        with open(open_plain(data_directory / CONTROL_FILE), "rb") as file:
            content = file.read(CONTROL_FILE_BYTES)
        _crc_offset(content)
        identifier, _, _, state, _, checkpoint, redo, timeline, _ = _CONTROL.unpack_from(content)
        return cls(identifier, DatabaseState(state), checkpoint, redo, timeline)


def mark_in_production(data_directory: Path) -> None:
    """Make the next start replay the log that follows the checkpoint.

    A directory that was shut down cleanly as a primary would take its last checkpoint for the end
    of the log, and write over what comes behind it.
    """
    path = data_directory / CONTROL_FILE
    with open(open_plain(path), "rb") as file:
        content = bytearray(file.read())
    crc_at = _crc_offset(bytes(content))
    struct.pack_into("=i", content, _STATE_OFFSET, DatabaseState.IN_PRODUCTION)
    struct.pack_into("=I", content, crc_at, google_crc32c.value(bytes(content[:crc_at])))
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags), "wb") as file:
        file.write(content)


def recover_along_timelines(data_directory: Path, user: OsUser) -> None:
    """Make the next start replay log that goes through several timelines.

    Crash recovery stays on the timeline of its checkpoint; a standby follows the history file, and
    begins a timeline of its own at the end of the log once it is told to. All it reads is in
    pg_wal.
    """
    for name in ("standby.signal", PROMOTE_MARK):
        write_atomically(data_directory / name, "", user)
    settings = data_directory / "postgresql.auto.conf"
    with open(open_plain(settings), encoding="utf-8") as file:
        now = file.read()
    write_atomically(settings, now + _NO_HOT_STANDBY, user)


def clear_wal(data_directory: Path) -> None:
    """Remove every WAL and history file of a data directory."""
    for path in (data_directory / "pg_wal").iterdir():
        if path.is_symlink() or path.is_file():
            path.unlink()


def write_wal(
    data_directory: Path,
    start: int,
    chunks: Iterator[bytes],
    timelines: Timelines,
    wal_segment_bytes: int,
    user: OsUser,
) -> None:
    """Replace a data directory's WAL files by the log from `start` (a WAL file's start) on."""
    clear_wal(data_directory)
    folder = data_directory / "pg_wal"
    lsn = start
    file = None
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            if file is None:
                # A file in which a timeline begins belongs to that one, as PostgreSQL names it.
                last = lsn - lsn % wal_segment_bytes + wal_segment_bytes - 1
                path = folder / wal_file_name(timelines.at(last), lsn, wal_segment_bytes)
                file = os.fdopen(create_plain(path, user), "wb")
            part = view[: wal_segment_bytes - lsn % wal_segment_bytes]
            file.write(part)
            view = view[len(part) :]
            lsn += len(part)
            if lsn % wal_segment_bytes == 0:
                file.close()
                file = None
    if file is not None:
        file.truncate(wal_segment_bytes)
        file.close()
    for timeline in timelines.known[1:]:
        history = folder / f"{timeline:08X}.history"
        with open(create_plain(history, user), "w", encoding="ascii") as written:
            written.write(timelines.history(timeline))


@dataclass(frozen=True, slots=True)
class Claim:
    """What a data directory says of itself: its volume, the boot it ran on, and how it ended.

    volume_id: the identity of its volume, which no other one has.
    stopped_at: the volume durable LSN when its server had stopped cleanly; None while in use.
    """

    volume_id: str
    boot_id: str
    stopped_at: int | None

    @property
    def may_be_trusted(self) -> bool:
        """Whether its server stopped cleanly on this boot; the volume says whether that counts."""
        return self.stopped_at is not None and self.boot_id == boot_id()

    def in_use(self) -> "Claim":
        """What it says while a server runs over the directory."""
        return replace(self, stopped_at=None)

    def write(self, data_directory: Path) -> None:
        """Leave it in a data directory, whole or not at all."""
        write_atomically(data_directory / CLAIM_FILE, json.dumps(asdict(self)))

    @classmethod
    def read(cls, data_directory: Path) -> "Claim | None":
        """None where there is no readable claim: then the directory is not to be trusted."""
        try:
            with open(open_plain(data_directory / CLAIM_FILE), encoding="utf-8") as file:
                return cls(**json.loads(file.read(CLAIM_CHARACTERS_MAX)))
        except (OSError, ValueError, TypeError, RecursionError):
            return None


def distrust(data_directory: Path) -> None:
    """Have no server started over a directory as it is: before it is removed, piece by piece."""
    remove_file(data_directory / CLAIM_FILE)


def claimed_at(data_directory: Path) -> float | None:
    """When its last server began, or stopped: seconds since 1970; None where it has no claim."""
    try:
        return (data_directory / CLAIM_FILE).lstat().st_mtime
    except OSError:
        return None


@cache
def boot_id() -> str:
    """What tells this boot of the machine from every other one."""
    kernels = Path("/proc/sys/kernel/random/boot_id")
    if kernels.exists():
        return kernels.read_text().strip()
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{uuid.getnode()}-{psutil.boot_time():.0f}"))


def _crc_offset(content: bytes) -> int:
    if len(content) < _CRC_SEARCH.stop:
        raise StorageError("pg_control is cut short; the data directory is damaged")
    for offset in _CRC_SEARCH:
        if struct.unpack_from("=I", content, offset)[0] == google_crc32c.value(content[:offset]):
            return offset
    raise StorageError("pg_control holds no valid checksum; the data directory is damaged")
