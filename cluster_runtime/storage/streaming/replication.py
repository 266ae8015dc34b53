"""Client of a writer's physical replication: the volume is its synchronous standby.

It never blocks inside libpq, which would hold the interpreter lock until the server answers: a
server in this very process (our own WAL service) never could.

Sources: PostgreSQL documentation, "Streaming Replication Protocol"; libpq's COPY functions.
"""

import select
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import pq

from cluster_runtime.engine.access.private_socket import private_conninfo
from cluster_runtime.errors import StorageError
from cluster_runtime.moved import renamed
from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.wal_records import format_lsn, parse_lsn
from cluster_runtime.wording import Said

APPLICATION_NAME = "storage"
"""What the writer's `synchronous_standby_names` names."""

SLOT_NAME = "borealis_storage"
"""The writer's replication slot: it keeps the log that the volume has not acknowledged."""

ANSWER_TIMEOUT_S = 30.0
SLOT_TIMEOUT_S = 10.0
SLOT_POLL_S = 0.02
STATUS_INTERVAL_S = 10.0
"""How often the volume speaks at least, as wal_receiver_status_interval of a standby."""

_WAL_DATA, _KEEPALIVE = b"w"[0], b"k"[0]
_WAL_HEADER_BYTES = 25
_STATUS = struct.Struct("!cQQQQB")
_FEEDBACK = struct.Struct("!cQIIII")
_LSN = struct.Struct("!Q")
_MILLISECONDS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_DUPLICATE_OBJECT, _OBJECT_IN_USE = "42710", "55006"

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, SystemFacts="SystemIdentification")


class ReplicationEndedError(StorageError):
    """The writer closed the stream, or went away. Attach again once it runs."""


class CommandRefusedError(ReplicationEndedError):
    """The writer refused a command; `sqlstate` says why."""

    def __init__(self, *said: Said, sqlstate: str = "") -> None:
        super().__init__(*said)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class WalMessage:
    """WAL from `start` on, as one message of the writer carried it."""

    start: int
    wal: memoryview

    @property
    def end(self) -> int:
        """The LSN behind it."""
        return self.start + len(self.wal)


@dataclass(frozen=True, slots=True)
class SystemIdentification:
    """IDENTIFY_SYSTEM: who the writer is, its timeline, and how far its log is flushed."""

    system_identifier: int
    timeline: int
    flushed: int


class ReplicationClient:
    """One replication connection. Used by one thread at a time.

    Raises ReplicationEndedError, with libpq's words, where the connection is lost.
    """

    def __init__(self, host: str, user: str, port: int = 5432) -> None:
        conninfo = private_conninfo(
            host, user, "replication", APPLICATION_NAME, port=port, replication="true"
        )
        self._conn = pq.PGconn.connect_start(conninfo.encode())
        try:
            self._finish_connecting(time.monotonic() + ANSWER_TIMEOUT_S)
        except BaseException:
            self._conn.finish()
            raise
        self._conn.nonblocking = 1
        self._fd = self._conn.socket
        self._acknowledged = 0
        self._feedback = Feedback()
        self._wants_flush = False
        self.has_more = False

    def fileno(self) -> int:
        """The connection's descriptor; the same after the connection is lost."""
        return self._fd

    def identify(self) -> SystemIdentification:
        """IDENTIFY_SYSTEM: identifier, timeline, LSN. Raises StorageError."""
        result = self._command(b"IDENTIFY_SYSTEM", pq.ExecStatus.TUPLES_OK)
        identifier, timeline, lsn = (_text(result, column) for column in range(3))
        return SystemIdentification(int(identifier), int(timeline), parse_lsn(lsn))

    def timeline_history(self, timeline: int) -> bytes:
        """The content of a timeline's history file. Timeline 1 has none."""
        if timeline == 1:
            return b""
        command = b"TIMELINE_HISTORY %d" % timeline
        return self._command(command, pq.ExecStatus.TUPLES_OK).get_value(0, 1) or b""

    def wal_segment_bytes(self) -> int:
        """The size of the server's WAL files. Raises StorageError."""
        number, unit = self._show("wal_segment_size")
        return number * {"MB": 1 << 20, "GB": 1 << 30}[unit]

    def status_interval_s(self) -> float:
        """How often to speak, so that the server never takes this standby for gone."""
        number, unit = self._show("wal_sender_timeout")
        timeout_s = number * _MILLISECONDS[unit or "ms"] / 1000
        return min(STATUS_INTERVAL_S, timeout_s / 4) if timeout_s else STATUS_INTERVAL_S

    def data_directory(self) -> Path:
        """The directory that the server runs over. Raises StorageError."""
        command = b"SHOW data_directory"
        return Path(_text(self._command(command, pq.ExecStatus.TUPLES_OK), 0))

    def hold_log(self) -> None:
        """Make the slot that keeps the writer's log until it is acknowledged, or find it there.

        A data directory that was made from a page image has none: each attach calls this.
        """
        command = f"CREATE_REPLICATION_SLOT {SLOT_NAME} PHYSICAL RESERVE_WAL"
        try:
            self._command(command.encode(), pq.ExecStatus.TUPLES_OK)
        except CommandRefusedError as error:
            if error.sqlstate != _DUPLICATE_OBJECT:
                raise

    def start(self, lsn: int, timeline: int) -> None:
        """Begin to stream at an LSN, which must be one that the writer has, through the slot.

        Waits for a connection that used the slot before this one to end on the server's side.
        """
        command = (
            f"START_REPLICATION SLOT {SLOT_NAME} PHYSICAL {format_lsn(lsn)} TIMELINE {timeline}"
        )
        deadline = time.monotonic() + SLOT_TIMEOUT_S
        while True:
            try:
                self._command(command.encode(), pq.ExecStatus.COPY_BOTH)
                break
            except CommandRefusedError as error:
                if error.sqlstate != _OBJECT_IN_USE or time.monotonic() > deadline:
                    raise
            time.sleep(SLOT_POLL_S)

    def receive(self, limit_bytes: int) -> list[WalMessage]:
        """What has arrived, in order: about `limit_bytes` at most; empty where nothing has.

        Answers the writer's keepalives. `has_more` then tells whether more may lie here already,
        so that the socket does not become readable for it.
        """
        messages: list[WalMessage] = []
        size = 0
        consumed = False
        self.has_more = True
        while size < limit_bytes:
            length, data = self._conn.get_copy_data(1)
            if length == 0:
                if consumed:
                    self.has_more = False
                    break
                self._consume()
                consumed = True
            elif length < 0:
                raise self._lost("the writer ended the replication stream")
            elif data[0] == _WAL_DATA:
                (start,) = _LSN.unpack_from(data, 1)
                messages.append(WalMessage(start, memoryview(data)[_WAL_HEADER_BYTES:]))
                size += length
            elif data[0] == _KEEPALIVE and data[17]:
                self.acknowledge(self._acknowledged)
        return messages

    def acknowledge(self, lsn: int) -> None:
        """Tell the writer that everything below `lsn` is durable; commits up to there return.

        Told again, or less, it says again what it said last: that it is there.
        """
        self._acknowledged = max(lsn, self._acknowledged)
        at = self._acknowledged
        self._send(_STATUS.pack(b"r", at, at, at, 0, 0))

    def report(self) -> None:
        """Say again how far the log is durable: the server ends who is silent for too long."""
        self.acknowledge(self._acknowledged)

    def relay(self, feedback: Feedback) -> None:
        """Have the writer keep the rows that readers need (hot_standby_feedback)."""
        if feedback != self._feedback:
            self._feedback = feedback
            now_us = 0
            self._send(_FEEDBACK.pack(b"h", now_us, *feedback.xmin, *feedback.catalog_xmin))

    def close(self) -> None:
        """End the connection."""
        self._conn.finish()

    def _send(self, message: bytes) -> None:
        try:
            self._conn.put_copy_data(message)
            self._wants_flush = bool(self._conn.flush())
        except psycopg.Error as error:
            raise self._lost("could not acknowledge to the writer") from error

    def _consume(self) -> None:
        try:
            self._conn.consume_input()
            if self._wants_flush:
                self._wants_flush = bool(self._conn.flush())
        except psycopg.Error as error:
            raise self._lost("the writer's replication stream broke") from error

    def _finish_connecting(self, deadline: float) -> None:
        while (status := self._conn.connect_poll()) != pq.PollingStatus.OK:
            if status == pq.PollingStatus.FAILED:
                raise self._lost("could not connect to the writer")
            self._wait(status == pq.PollingStatus.WRITING, deadline)

    def _show(self, name: str) -> tuple[int, str]:
        """A setting that is a number with a unit."""
        text = _text(self._command(f"SHOW {name}".encode(), pq.ExecStatus.TUPLES_OK), 0)
        digits = text.rstrip("abcdefghijklmnopqrstuvwxyzMGBT")
        return int(digits), text[len(digits) :]

    def _command(self, command: bytes, expected: pq.ExecStatus) -> pq.abc.PGresult:
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        try:
            self._conn.send_query(command)
            while self._conn.flush():
                self._wait(True, deadline)
            result = None
            while (answer := self._result(deadline)) is not None:
                result = answer
                if answer.status == pq.ExecStatus.COPY_BOTH:
                    break
        except psycopg.Error as error:
            raise self._lost(f"the writer did not answer {command.decode()!r}") from error
        if result is None:
            raise self._lost(f"the writer did not answer {command.decode()!r}")
        if result.status != expected:
            code = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
            raise CommandRefusedError(
                f"the writer refused {command.decode()!r}: "
                f"{result.get_error_message() or self._conn.get_error_message()}",
                sqlstate=code.decode(),
            )
        return result

    def _result(self, deadline: float) -> pq.abc.PGresult | None:
        while self._conn.is_busy():
            self._wait(False, deadline)
            self._conn.consume_input()
        return self._conn.get_result()

    def _wait(self, to_write: bool, deadline: float) -> None:
        """Wait for the socket, with the interpreter free for other threads meanwhile."""
        poll = select.poll()
        poll.register(self._conn.socket, select.POLLOUT if to_write else select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise self._lost(f"the writer said nothing for {ANSWER_TIMEOUT_S:g} s")

    def _lost(self, what: str) -> ReplicationEndedError:
        return ReplicationEndedError(f"{what}: {self._conn.get_error_message()}")


def _text(result: pq.abc.PGresult, column: int) -> str:
    value = result.get_value(0, column)
    return "" if value is None else value.decode()
