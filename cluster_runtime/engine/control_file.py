"""A system identifier of its own for a copied data directory.

`pg_control` begins with the 8-byte system identifier and ends its fields with a CRC32C over all
bytes before it; the first page of each WAL segment repeats the identifier in its long header,
which no checksum covers. Writing it into both places is all that `pg_resetwal` would be needed
for: PostgreSQL compares the two at start (`ReadControlFile`, `XLogReaderValidatePageHeader`).

Source: PostgreSQL `src/include/catalog/pg_control.h`, `src/include/access/xlog_internal.h`.
"""

import os
import secrets
import struct
import time
from pathlib import Path

import google_crc32c

from cluster_runtime.errors import EngineError

PG_CONTROL_FIELDS_MIN_BYTES = 200
PG_CONTROL_FIELDS_MAX_BYTES = 512
"""pg_control is written as one disk sector, so that its fields never reach past 512 bytes."""

_XLP_INFO_OFFSET = 2
_XLP_LONG_HEADER = 0x0002
_XLP_SYSID_OFFSET = 24
_WAL_SEGMENT_NAME_CHARACTERS = 24


def new_system_identifier() -> int:
    """A fresh 64-bit identifier, formed as initdb forms it: seconds in the high half."""
    return (int(time.time()) << 32) | secrets.randbits(32)


def system_identifier(control: bytes) -> int:
    """The identifier that a pg_control holds."""
    (identifier,) = struct.unpack_from("=Q", control)
    return int(identifier)


def with_system_identifier(control: bytes, identifier: int) -> bytes:
    """`control` with another identifier and the CRC that fits it.

    Raises EngineError where no CRC of the old content is found: not a pg_control, or corrupt.
    """
    crc_at = _crc_offset(control)
    fields = struct.pack("=Q", identifier) + control[8:crc_at]
    crc = struct.pack("=I", google_crc32c.value(fields))
    return fields + crc + control[crc_at + 4 :]


def with_wal_system_identifier(first_page: bytes, identifier: int) -> bytes:
    """The first page of a WAL segment with another identifier in its long header."""
    (info,) = struct.unpack_from("=H", first_page, _XLP_INFO_OFFSET)
    if not info & _XLP_LONG_HEADER:
        return first_page
    head, tail = first_page[:_XLP_SYSID_OFFSET], first_page[_XLP_SYSID_OFFSET + 8 :]
    return head + struct.pack("=Q", identifier) + tail


def set_system_identifier(data_directory: Path, identifier: int) -> None:
    """Give a cleanly stopped data directory another system identifier, in place."""
    control = data_directory / "global" / "pg_control"
    with open(_plain(control, os.O_RDONLY), "rb") as file:
        content = file.read()
    _overwrite(control, with_system_identifier(content, identifier))
    for segment in (data_directory / "pg_wal").iterdir():
        if len(segment.name) == _WAL_SEGMENT_NAME_CHARACTERS and segment.is_file():
            with open(_plain(segment, os.O_RDONLY), "rb") as file:
                first_page = file.read(_XLP_SYSID_OFFSET + 8)
            _overwrite(segment, with_wal_system_identifier(first_page, identifier))


def _crc_offset(control: bytes) -> int:
    for offset in range(PG_CONTROL_FIELDS_MIN_BYTES, PG_CONTROL_FIELDS_MAX_BYTES - 4, 4):
        (stored,) = struct.unpack_from("=I", control, offset)
        if stored == google_crc32c.value(control[:offset]):
            return offset
    raise EngineError("pg_control holds no valid checksum; the data directory is damaged")


def _overwrite(path: Path, start: bytes) -> None:
    with open(_plain(path, os.O_WRONLY), "wb") as file:
        file.write(start)


def _plain(path: Path, flags: int) -> int:
    """A descriptor of a file in a directory that a server owns: no link is followed."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
