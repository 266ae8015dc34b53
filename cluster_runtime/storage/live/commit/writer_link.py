"""The writer as the storage node has it: one attachment after the other, and what belongs to each.

Between what happens to a writer and whoever hears of it stand a thread, a queue or a timer; by then
the next writer may have come. So everything that is said or done later names its attachment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.faults import Fault, FaultKind
from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.types import Epoch, Lsn
from cluster_runtime.storage.streaming.replication import (
    STATUS_INTERVAL_S,
    ReplicationClient,
    ReplicationEndedError,
    WalMessage,
)


@dataclass(frozen=True, eq=False, slots=True)
class Attachment:
    """One writer's time with the volume, from its attach to its end; told apart by identity.

    lost: called, on another thread, when the stream ends without `detach_writer`.
    """

    epoch: Epoch
    timeline: int
    sockets: Path
    lost: Callable[[StorageError], None]
    status_interval_s: float = STATUS_INTERVAL_S


class WriterLink:
    """The connection to the writer that is attached now, if one is. Used on the node's thread."""

    def __init__(
        self,
        after: Callable[[float, Callable[[], None]], None],
        ignore: Callable[[], None],
        lost: Callable[[Attachment, StorageError], None],
    ) -> None:
        """after: have something done in some seconds. ignore: have nobody wait for the client's
        connection any more, which is closed then. lost: told of an end that nobody asked for; must
        return at once.
        """
        self._after = after
        self._ignore = ignore
        self._lost = lost
        self._client: ReplicationClient | None = None
        self._feedback = Feedback()
        self.attachment: Attachment | None = None
        self.fault: Fault | None = None
        self.held: WalMessage | None = None

    def attach(self, client: ReplicationClient, attachment: Attachment, vdl: Lsn) -> None:
        """Take WAL from a client that has started to stream."""
        self.detach()
        client.acknowledge(vdl)
        client.relay(self._feedback)
        self._client, self.attachment = client, attachment
        self._report_later(client, attachment.status_interval_s)

    def detach(self) -> None:
        """Let the writer go; its commits wait from now on."""
        if self._client is not None:
            self._ignore()
            self.held = None
            self._client.close()
            self._client = self.attachment = None

    def lose(self, error: StorageError) -> None:
        """Let the writer go, and say so to whoever attached it."""
        attachment = self.attachment
        if attachment is not None:
            self.detach()
            self._lost(attachment, error)

    @property
    def source(self) -> ReplicationClient | None:
        """The client that WAL may be taken from now; None where there is none, or a fault."""
        return None if self._is_cut else self._client

    def receive(self, client: ReplicationClient, limit_bytes: int) -> list[WalMessage]:
        """What has come from a client, after what was held back the last time.

        Nothing from one that has been let go since it was found to have something.
        """
        if client is not self._client:
            return []
        try:
            messages = client.receive(limit_bytes)
        except ReplicationEndedError as error:
            self.lose(error)
            return []
        if messages and self.held is not None:
            messages = [self.held, *messages]
            self.held = None
        return messages

    def acknowledge(self, vdl: Lsn) -> None:
        """Tell the writer how far the log is durable."""
        client, fault = self._client, self.fault
        if client is None or self._is_cut:
            return
        if fault is not None and fault.kind is FaultKind.SLOW:
            self._after(fault.amount / 1000, lambda: self._acknowledge(client, vdl))
        else:
            self._acknowledge(client, vdl)

    def relay(self, feedback: Feedback) -> None:
        """What the readers need of the writer: told now, and to each writer that comes."""
        self._feedback = feedback
        client = self._client
        if client is not None and not self._is_cut:
            self._tell(client, lambda: client.relay(feedback))

    @property
    def _is_cut(self) -> bool:
        return self.fault is not None and self.fault.unreachable

    def _acknowledge(self, client: ReplicationClient, vdl: Lsn) -> None:
        if client is self._client:
            self._tell(client, lambda: client.acknowledge(vdl))

    def _report_later(self, client: ReplicationClient, interval_s: float) -> None:
        """A server that hears nothing for wal_sender_timeout ends the connection.

        While the backlog is not read, neither are the keepalives that would be answered.
        """

        def report() -> None:
            if client is self._client:
                if not self._is_cut:
                    self._tell(client, client.report)
                self._report_later(client, interval_s)

        self._after(interval_s, report)

    def _tell(self, client: ReplicationClient, say: Callable[[], None]) -> None:
        try:
            say()
        except ReplicationEndedError as error:
            if client is self._client:
                self.lose(error)
