"""`ticks`: how far the log was durable at which time, a record after the other.

    offset  bytes  field
    0       8      time, seconds since 1970 (IEEE 754 double)
    8       8      LSN
    16      4      CRC32C over the bytes before it

Nothing is synced: what a power cut takes is only the knowledge of the last seconds. A record that
is not whole ends the file; what follows is written over it.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import google_crc32c

from cluster_runtime.storage.core.policy.past import Tick
from cluster_runtime.storage.disk.filesystem import Disk

TICK_FILE = "ticks"
_FIELDS = struct.Struct("<dQ")
_CRC = struct.Struct("<I")
RECORD_BYTES = _FIELDS.size + _CRC.size


def read_ticks(path: Path) -> list[Tick]:
    """The whole records, in their order; none where there is no such file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    found: list[Tick] = []
    for at in range(0, len(content) - RECORD_BYTES + 1, RECORD_BYTES):
        fields = content[at : at + _FIELDS.size]
        (crc,) = _CRC.unpack_from(content, at + _FIELDS.size)
        if crc != google_crc32c.value(fields):
            break
        tick = Tick(*_FIELDS.unpack(fields))
        if found and (tick.time < found[-1].time or tick.lsn < found[-1].lsn):
            break
        found.append(tick)
    return found


def append_tick(path: Path, tick: Tick, count: int) -> None:
    """Write a record behind those that there are. Raises OSError."""
    path.touch(0o600)
    with path.open("r+b") as file:
        file.seek(count * RECORD_BYTES)
        file.write(_encode(tick))
        file.truncate()


def write_ticks(disk: Disk, path: Path, ticks: Sequence[Tick]) -> None:
    """Have these and no others in the file. Raises OSError."""
    disk.replace(path, b"".join(_encode(each) for each in ticks))


def _encode(tick: Tick) -> bytes:
    fields = _FIELDS.pack(tick.time, tick.lsn)
    return fields + _CRC.pack(google_crc32c.value(fields))
