"""The durable log of an open volume, as those who follow it take it (`WalSource`)."""

from dataclasses import dataclass

from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.live.cursor import LogCursor
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.streaming.wal_protocol import ServedLog


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
