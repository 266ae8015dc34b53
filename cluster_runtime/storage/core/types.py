"""The words of the volume as types."""

from enum import StrEnum
from typing import Literal, NewType

Lsn = NewType("Lsn", int)
"""Log sequence number: a byte position in the WAL of a cluster."""

Epoch = NewType("Epoch", int)
"""Number of the writer that may write; a volume raises it each time it is opened."""

SegmentId = NewType("SegmentId", str)
"""Zone and number, such as `a1`; a successor adds when it came: `a1.2`."""

StorageType = Literal["aurora", "aurora-iopt1"]

AZS = ("a", "b", "c")
SEGMENT_IDS = tuple(SegmentId(f"{az}{number}") for az in AZS for number in (1, 2))


class SegmentKind(StrEnum):
    """A full segment holds log and pages, a tail segment holds the log alone."""

    FULL = "full"
    TAIL = "tail"


class SegmentState(StrEnum):
    """What the volume thinks of a segment."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    REPAIRING = "repairing"
    GONE = "gone"


def az_of(segment: SegmentId) -> str:
    """The availability zone of a segment."""
    return segment[0]


def kind_of(segment: SegmentId) -> SegmentKind:
    """The first segment of each zone is full, the second one is a tail."""
    return SegmentKind.FULL if segment[1] == "1" else SegmentKind.TAIL


def successor_of(segment: SegmentId, membership: int) -> SegmentId:
    """The id of the segment that replaces this one in the membership of that version.

    So a name is never given twice: what was heard of a candidate that failed does not
    count for the next one.
    """
    return SegmentId(f"{segment.partition('.')[0]}.{membership}")
