"""The segments as the commit path sees them: a lane each, and the writes under way in it."""

from collections import deque
from dataclasses import dataclass, field

from cluster_runtime.storage.core.faults import Fault
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentState
from cluster_runtime.storage.disk.segment_store import SegmentStore

DEPTH = 4
"""Writes of one segment that wait for their end, or for a flush, at once."""
GONE_AFTER_S = 10.0


@dataclass(slots=True)
class IoCounts:
    """I/O of a volume since this process opened it.

    write_ios, read_ios: as Aurora bills them: log in units of 4 KiB, counted once and not six
        times; pages of 8 KiB that data directories were made from.
    segment_writes, syncs, segment_bytes: what the six segments' disks did for that.
    durable_batches, durable_seconds: stretches of log that became durable, and how long they waited
        for it from when they came, all together.
    """

    wal_bytes: int = 0
    batches: int = 0
    segment_writes: int = 0
    syncs: int = 0
    segment_bytes: int = 0
    write_ios: int = 0
    read_ios: int = 0
    durable_batches: int = 0
    durable_seconds: float = 0.0


@dataclass(slots=True)
class Flight:
    """A write under way: what the segment will hold once it, and those before it, are done.

    start: position of its first page.
    written: it has ended. done: it is on the disk.
    """

    slot: int
    start: int
    end: int
    lsn: Lsn
    epoch: Epoch
    length: int
    durable: bool
    written: bool = False
    done: bool = False


@dataclass(slots=True)
class Lane:
    """A segment as the node sees it.

    issued: position up to which writes were started. live: it takes what comes from the ring;
    otherwise it has to catch up from its peers first.
    damaged: what lies behind its end has to go before that. useless: it cannot catch up at all.
    """

    store: SegmentStore
    index: int
    issued: int
    live: bool = True
    damaged: bool = False
    useless: bool = False
    fault: Fault | None = None
    problem: str = ""
    unreachable_since: float | None = None
    flights: deque[Flight] = field(default_factory=deque)
    free: list[int] = field(default_factory=list)

    @property
    def reachable(self) -> bool:
        """Whether the segment can be read and written."""
        return self.fault is None or not self.fault.unreachable

    def state(self, now: float) -> SegmentState:
        """The segment's state in a word, for `describe`."""
        if not self.reachable or self.problem:
            since = self.unreachable_since
            gone = since is not None and now - since > GONE_AFTER_S
            return SegmentState.GONE if gone else SegmentState.SUSPECT
        return SegmentState.HEALTHY if self.live else SegmentState.REPAIRING
