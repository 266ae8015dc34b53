"""Log batches and their framing.

A frame is a header of 72 bytes, the WAL bytes, and zeros up to a multiple of eight. All numbers
are little-endian.

    offset  bytes  field
    0       4      magic, `BLB1`
    4       4      flags (1: a record ends where the batch ends)
    8       16     volume id
    24      8      epoch of the writer
    32      4      timeline
    36      4      length of the WAL bytes
    40      8      start LSN
    48      8      end LSN
    56      8      back-link: end LSN of the previous batch of the protection group
    64      4      zeros
    68      4      CRC32C over the 68 bytes before it and the WAL bytes

Source: Verbitski et al., "Amazon Aurora: Design Considerations for High Throughput Cloud-Native
Relational Databases" (SIGMOD 2017), section 4.1.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

import google_crc32c

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.types import Epoch, Lsn

MAGIC = b"BLB1"
ALIGNMENT_BYTES = 8
ENDS_AT_RECORD = 1

_FIELDS = struct.Struct("<4sI16sQIIQQQI")
_CRC = struct.Struct("<I")
_HEADER = struct.Struct(_FIELDS.format + "I")
HEADER_BYTES = _HEADER.size
PAYLOAD_MAX_BYTES = 64 << 20

Buffer = bytes | bytearray | memoryview


class CorruptFrameError(StorageError):
    """Bytes that should be a frame are not one. A peer's copy can replace them."""


class EndOfLogError(StorageError):
    """The log ends here: zeros, or nothing at all, follow."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a frame says of its WAL bytes.

    previous: end LSN of the batch before this one in the same protection group.
    consistent: a WAL record ends at `end` (Aurora's consistency point LSN), so that a volume may
        be cut there.
    """

    epoch: Epoch
    previous: Lsn
    start: Lsn
    end: Lsn
    timeline: int = 1
    consistent: bool = True

    def __post_init__(self) -> None:
        if not self.previous <= self.start <= self.end:
            raise ValueError(
                f"a batch from {self.start:#x} to {self.end:#x} after {self.previous:#x} "
                "runs backwards"
            )


def frame_bytes(payload_bytes: int) -> int:
    """The length of a frame with that many WAL bytes."""
    return -(-(HEADER_BYTES + payload_bytes) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def encode_header(volume: UUID, batch: Batch, payload: Iterable[Buffer]) -> bytes:
    """The header of a frame; the parts of `payload` follow it, then zeros up to `frame_bytes`."""
    parts = [bytes(part) if isinstance(part, bytearray) else part for part in payload]
    fields = _FIELDS.pack(
        MAGIC,
        ENDS_AT_RECORD if batch.consistent else 0,
        volume.bytes,
        batch.epoch,
        batch.timeline,
        sum(len(part) for part in parts),
        batch.start,
        batch.end,
        batch.previous,
        0,
    )
    crc = google_crc32c.value(fields)
    for part in parts:
        crc = google_crc32c.extend(crc, bytes(part))
    return fields + _CRC.pack(crc)


def encode(volume: UUID, batch: Batch, payload: Buffer) -> bytes:
    """A whole frame."""
    frame = encode_header(volume, batch, (payload,)) + bytes(payload)
    return frame.ljust(frame_bytes(len(payload)), b"\0")


def decode(volume: UUID | None, buffer: memoryview, offset: int = 0) -> tuple[Batch, memoryview]:
    """The batch of the frame at `offset`, and its WAL bytes (a view, not a copy).

    volume: what the frame must name; None takes any.
    Raises EndOfLogError for zeros or nothing, CorruptFrameError for anything else that is no
    whole, unharmed frame of that volume.
    """
    behind = offset + HEADER_BYTES
    head = bytes(buffer[offset:behind])
    if not any(head):
        raise EndOfLogError(f"the log ends at byte {offset}")
    if len(head) < HEADER_BYTES:
        raise CorruptFrameError(f"the header at byte {offset} is cut short")
    magic, flags, owner, epoch, timeline, length, start, end, previous, _, crc = _HEADER.unpack(
        head
    )
    payload = buffer[behind : behind + length]
    if magic != MAGIC or len(payload) != length:
        raise CorruptFrameError(f"no whole frame at byte {offset}")
    if crc != google_crc32c.extend(google_crc32c.value(head[: _FIELDS.size]), bytes(payload)):
        raise CorruptFrameError(f"the checksum of the frame at byte {offset} does not fit")
    if volume is not None and owner != volume.bytes:
        raise CorruptFrameError(f"the frame at byte {offset} is of volume {UUID(bytes=owner)}")
    consistent = bool(flags & ENDS_AT_RECORD)
    return Batch(Epoch(epoch), previous, start, end, timeline, consistent), payload


def frames(
    volume: UUID | None, buffer: Buffer, offset: int = 0
) -> Iterator[tuple[int, Batch, memoryview]]:
    """(offset, batch, WAL bytes) of each frame until the log ends. Raises CorruptFrameError."""
    view = memoryview(buffer)
    while True:
        try:
            batch, payload = decode(volume, view, offset)
        except EndOfLogError:
            return
        yield offset, batch, payload
        offset += frame_bytes(len(payload))
