"""The durable log of an open volume, as those who follow it take it (`WalSource`)."""

from collections import defaultdict
from dataclasses import dataclass
from functools import reduce

from cluster_runtime.storage.core.changed_blocks import (
    ChangedBlocks,
    RelationFile,
    precedes,
)
from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.segment import common_end
from cluster_runtime.storage.core.wal_records import WAL_PAGE_BYTES, RecordReader
from cluster_runtime.storage.live.cursor import LogCursor
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.streaming.wal_protocol import ServedLog

READ_BYTES = 1 << 20
COMPARED_BYTES = 1 << 16
LOOK_BACK_BYTES = (1 << 20, 8 << 20, 64 << 20)
"""How far, and further, for where a transaction began: PostgreSQL says every 15 s who runs."""


@dataclass(frozen=True, slots=True)
class LogExtent:
    """Which log there is: from `oldest` on, durable up to `durable`, received up to `received`."""

    oldest: int
    durable: int
    received: int


class LogSource:
    """Never past the volume durable LSN. From any thread."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount

    def served_log(self) -> ServedLog:
        """What a standby's IDENTIFY_SYSTEM is answered with."""
        mount, metadata = self._mount, self._mount.metadata
        return ServedLog(
            metadata.system_identifier,
            metadata.timelines,
            mount.index.oldest,
            mount.node.volume.vdl,
            metadata.wal_segment_bytes,
            metadata.server_version,
        )

    def extent(self) -> LogExtent | None:
        """Which log there is now; None while the volume is closed, or can only be read: another
        half of it may show less then.
        """
        mount = self._mount
        if mount.closed or not mount.is_writable:
            return None
        # In this order: what was received by now is durable later.
        received = int(mount.node.end_lsn)
        return LogExtent(mount.index.oldest, int(mount.node.volume.vdl), received)

    def cursor(self, lsn: int) -> LogCursor:
        """A reader of the log from an LSN on. Raises LookupError where that has been collected."""
        return self._mount.cursor(lsn)

    def parted_from(self, other: "LogSource") -> int | None:
        """The LSN from which on this log and another volume's are no longer the same.

        None where they never were, or where nobody can tell any more. Raises StorageError.
        """
        ours, theirs = self._mount, other._mount
        if ours.metadata.volume_id != theirs.metadata.volume_id:
            return None
        volumes = ours.node.volume, theirs.node.volume
        end = min(int(each.vdl) for each in volumes)
        common = common_end(*(each.history for each in volumes))
        lsn = end if common is None else min(int(common), end)
        # Two volumes may have gone on in the same epoch from the same LSN, each in its own way.
        # Then what they hold below is not the same either: a commit says when it was.
        start = max(ours.index.oldest, theirs.index.oldest, lsn - COMPARED_BYTES)
        before = [_read(each.cursor(start), lsn) for each in (ours, theirs) if start < lsn]
        return lsn if before and before[0] == before[1] else None

    def changed_blocks(
        self, lsn: int, bytes_max: int, end: int | None = None, since: int | None = None
    ) -> ChangedBlocks | None:
        """What the log changed from an LSN on, up to another one or to what is durable now.

        lsn: where a record or a page begins. since: as `ChangedBlocks` has it. None where the log
        does not reach back that far, or has more than bytes_max to read. Raises StorageError.
        """
        mount = self._mount
        end = int(mount.node.volume.vdl) if end is None else end
        if end - lsn > bytes_max:
            return None
        found = ChangedBlocks(since=since)
        reader = RecordReader(lsn, mount.metadata.wal_segment_bytes)
        try:
            cursor = mount.cursor(lsn)
        except LookupError:
            return None
        while cursor.lsn < end and (wal := cursor.read(min(READ_BYTES, end - cursor.lsn))):
            for record in reader.feed(wal):
                found.note(record.content)
        return found

    def changed_before(self, lsn: int, xid: int) -> ChangedBlocks | None:
        """What a transaction, and those that began after it, changed up to an LSN.

        None where the log does not reach back that far. Raises StorageError.
        """
        for length in LOOK_BACK_BYTES:
            start = max(lsn - length, self._mount.index.oldest)
            found = self.changed_blocks(start + -start % WAL_PAGE_BYTES, length, lsn, xid)
            if found is None or (found.next_xid is not None and not precedes(xid, found.next_xid)):
                return found
        return None

    def watch(self, fd: int) -> None:
        """Have `fd` (non-blocking) written to whenever the volume durable LSN moves."""
        self._mount.watch(fd)

    def unwatch(self, fd: int) -> None:
        """Tell a file descriptor no more that the log has grown."""
        self._mount.unwatch(fd)

    def relay(self, feedback: Feedback) -> None:
        """Tell the writer what its readers need (hot_standby_feedback)."""
        node = self._mount.node
        node.post(lambda: node.relay(feedback))


def _read(cursor: LogCursor, end: int) -> bytes:
    """The log from where a cursor is to an LSN."""
    parts = []
    while cursor.lsn < end and (part := cursor.read(end - cursor.lsn)):
        parts.append(part)
    return b"".join(parts)


def changed_since_parted(
    one: LogSource, other: LogSource, bytes_max: int
) -> dict[RelationFile, set[int]] | None:
    """The blocks in which the rows of two volumes may differ that were one once.

    A transaction that ran where they parted, and committed on one side, has changed blocks before
    that, which its commit made visible: so those that were changed since it began count too.
    bytes_max: how much log to read of each. None where they never were one, and where the logs do
    not tell. Raises StorageError.
    """
    parted = one.parted_from(other)
    if parted is None:
        return None
    sides = [each.changed_blocks(parted, bytes_max) for each in (one, other)]
    found = [each for each in sides if each is not None]
    known = [each.next_xid for each in found if each.next_xid is not None]
    if len(found) < len(sides) or not known or any(each.prepared for each in found):
        return None
    next_xid = reduce(lambda a, b: a if precedes(a, b) else b, known)
    for log, side in zip((one, other), tuple(found), strict=True):
        if side.committed is not None and precedes(side.committed, next_xid):
            before = log.changed_before(parted, side.committed)
            if before is None:
                return None
            found.append(before)
    blocks: dict[RelationFile, set[int]] = defaultdict(set)
    for each in found:
        for relation, changed in each.blocks.items():
            blocks[relation] |= changed
    return blocks
