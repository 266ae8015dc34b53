"""The WAL service: hot standbys stream the volume's log, up to the volume durable LSN.

It listens on a unix socket in a directory of the engine user's own (0700), as a PostgreSQL server
would, so that a standby's `primary_conninfo` is all that it takes. A thread serves each standby:
it sleeps until the volume durable LSN moves or the standby speaks.
"""

import os
import select
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.feedback import Feedback, least
from cluster_runtime.storage.core.wal_records import WAL_PAGE_BYTES
from cluster_runtime.storage.streaming.wal_protocol import (
    ProtocolViolationError,
    ReplicationSession,
    ServedLog,
    StandbyStatus,
)

SOCKET_NAME = ".s.PGSQL.5432"
SEND_BYTES = 128 * 1024
"""Largest WAL message, as walsender's MAX_SEND_SIZE; a message ends at the VDL or at a page."""
KEEPALIVE_S = 10.0
ASK_AGAIN_S = 0.05

_log = get_logger(__name__)


class WalCursor(Protocol):
    """Reads on from an LSN."""

    def read(self, limit_bytes: int) -> bytes:
        """The next WAL bytes, never past the volume durable LSN; empty there."""


class LogSource(Protocol):
    """What the service reads from: a volume."""

    def served_log(self) -> ServedLog:
        """What IDENTIFY_SYSTEM is answered with."""

    def cursor(self, lsn: int) -> WalCursor:
        """A reader of WAL from `lsn` on. Raises LookupError where that has been removed."""

    def watch(self, fd: int) -> None:
        """Have the eventfd or pipe `fd` written to whenever the volume durable LSN moves."""

    def unwatch(self, fd: int) -> None:
        """Tell a file descriptor no more that the log has grown."""

    def relay(self, feedback: Feedback) -> None:
        """Tell the writer what all standbys together need of it; must return at once."""


@dataclass(frozen=True, slots=True)
class ConnectedStandby:
    """A standby that streams now. since: when it connected, in seconds of the system's clock."""

    status: StandbyStatus
    since: float


class WalService:
    """Serves standbys of one volume until closed."""

    def __init__(self, source: LogSource, directory: Path, user: OsUser) -> None:
        """Listen in `directory`, which is made where it does not exist."""
        user.make_private_directory_of_standbys(directory)
        path = directory / SOCKET_NAME
        path.unlink(missing_ok=True)
        self._source = source
        self._directory = directory
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        user.own(path)  # whose folder keeps all but its standbys away
        self._listener.listen(32)
        self._lock = threading.Lock()
        self._readers: dict[_Reader, None] = {}  # the newest last
        self._feedback = Feedback()
        self._pauses: dict[str, float] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="borealis-wal-service")
        self._thread.daemon = True
        self._thread.start()

    @property
    def conninfo(self) -> str:
        """`primary_conninfo` of a standby of this volume (without a user)."""
        return f"host={self._directory} port=5432"

    def readers(self) -> dict[str, ConnectedStandby]:
        """Each standby that streams now, by its application name.

        Of two connections of one name, the newer one counts.
        """
        with self._lock:
            return {
                each.session.application_name: ConnectedStandby(each.session.status, each.since)
                for each in self._readers
            }

    def pause(self, name: str, seconds: float) -> None:
        """Have the standby of a name wait between two large messages: commits come first."""
        self._pauses = {name: seconds} if seconds else {}

    def pause_of(self, name: str) -> float:
        """The seconds that a standby waits between two large messages."""
        return self._pauses.get(name, 0.0)

    @property
    def feedback(self) -> Feedback:
        """What all standbys together need of the writer."""
        with self._lock:
            return self._feedback

    def replayed_by(self, name: str) -> int:
        """The LSN up to which a standby said that it has replayed; 0 where it said nothing yet."""
        found = self.readers().get(name)
        return found.status.replayed if found is not None else 0

    def disconnect_all(self) -> None:
        """End every stream; standbys come again by themselves."""
        with self._lock:
            readers = list(self._readers)
        for reader in readers:
            reader.stop()

    def close(self) -> None:
        """Listen no more, and end the connections of standbys."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        with self._lock:
            readers = list(self._readers)
        for reader in readers:
            reader.stop()
        for reader in readers:
            reader.thread.join()
        (self._directory / SOCKET_NAME).unlink(missing_ok=True)

    def _accept(self) -> None:
        while not self._closed:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            reader = _Reader(conn, self._source, self)
            with self._lock:
                self._readers[reader] = None
            reader.thread.start()

    def forget(self, reader: "_Reader") -> None:
        """A connection has ended: what it needed of the writer is needed no more."""
        with self._lock:
            self._readers.pop(reader, None)
        self.heard()

    def heard(self) -> None:
        """A standby said what it needs of the writer: pass on what they need together."""
        with self._lock:
            feedback = least(each.session.feedback for each in self._readers)
            if feedback != self._feedback:
                self._feedback = feedback
                self._source.relay(feedback)


class _Reader:
    """One standby's connection and the thread that serves it."""

    def __init__(self, conn: socket.socket, source: LogSource, service: WalService) -> None:
        self._conn = conn
        self._source = source
        self._service = service
        self.since = time.time()
        self.session = ReplicationSession(source.served_log)
        self._cursor: WalCursor
        self._moved, self._tell = os.pipe()
        for end in (self._moved, self._tell):
            os.set_blocking(end, False)
        self.thread = threading.Thread(target=self._run, name="borealis-wal-reader", daemon=True)

    def stop(self) -> None:
        with suppress(OSError):
            self._conn.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        self._source.watch(self._tell)
        try:
            self._serve()
        except (OSError, ProtocolViolationError, LookupError, StorageError) as error:
            _log.info("a standby's stream ended", reason=str(error))
        finally:
            self._source.unwatch(self._tell)
            self._service.forget(self)
            self._conn.close()
            os.close(self._moved)
            os.close(self._tell)

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._conn, select.POLLIN)
        poll.register(self._moved, select.POLLIN)
        while not self.session.closed:
            more = self._send_wal()
            if more and (pause := self._service.pause_of(self.session.application_name)):
                time.sleep(pause)
            ready = [fd for fd, _ in poll.poll(0 if more else self._patience_s() * 1000)]
            if self._moved in ready:
                with suppress(BlockingIOError):
                    os.read(self._moved, 4096)
            if self._conn.fileno() in ready:
                data = self._conn.recv(1 << 16)
                if not data:
                    return
                streamed, asked = self.session.stream, self.session.feedback
                self._conn.sendall(self.session.receive(data))
                if self.session.feedback != asked:
                    self._service.heard()
                if self.session.stream is not streamed and self.session.stream is not None:
                    self._cursor = self._source.cursor(self.session.stream.position)
            elif not ready and not more and self._streaming:
                end = self._source.served_log().end
                self._conn.sendall(self.session.keepalive(end, time.time(), reply=True))

    def _patience_s(self) -> float:
        """How long to sleep: a standby that has not replayed all of it is asked again soon."""
        stream = self.session.stream
        behind = stream is not None and self.session.status.replayed < stream.position
        return ASK_AGAIN_S if behind else KEEPALIVE_S

    @property
    def _streaming(self) -> bool:
        return self.session.stream is not None and not self.session.stream.ended

    def _send_wal(self) -> bool:
        """Send one message of WAL where there is some; return whether there may be more."""
        stream = self.session.stream
        if stream is None or stream.ended:
            return False
        end = self._source.served_log().end
        limit = min(end, stream.until) if stream.until is not None else end
        if stream.position >= limit:
            if stream.until is not None and stream.position >= stream.until:
                self._conn.sendall(self.session.end_of_timeline())
            return False
        wanted = limit - stream.position
        if wanted > SEND_BYTES:
            wanted = SEND_BYTES - (stream.position + SEND_BYTES) % WAL_PAGE_BYTES
        wal = self._cursor.read(wanted)
        if len(wal) < wanted:
            # Durable on the volume as it is now: the cursor is of one that was opened before.
            raise StorageError("the volume was opened again under this stream")
        self._conn.sendall(self.session.wal(stream.position, wal, end, time.time()))
        stream.position += wanted
        return stream.position < limit
