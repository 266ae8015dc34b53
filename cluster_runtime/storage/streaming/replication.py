"""Client of a writer's physical replication: the volume is its synchronous standby.

Sources: PostgreSQL documentation, "Streaming Replication Protocol"; libpq's COPY functions.
"""

import struct
from dataclasses import dataclass

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.wal_records import format_lsn, parse_lsn

APPLICATION_NAME = "storage"
"""What the writer's `synchronous_standby_names` names."""

_WAL_DATA, _KEEPALIVE = b"w"[0], b"k"[0]
_WAL_HEADER_BYTES = 25
_STATUS = struct.Struct("!cQQQQB")
_LSN = struct.Struct("!Q")


class ReplicationEndedError(StorageError):
    """The writer closed the stream, or went away. Attach again once it runs."""


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
class SystemFacts:
    """IDENTIFY_SYSTEM: who the writer is, its timeline, and how far its log is flushed."""

    system_identifier: int
    timeline: int
    flushed: int


class ReplicationClient:
    """One replication connection. Used by one thread at a time.

    Raises ReplicationEndedError, with libpq's words, where the connection is lost.
    """

    def __init__(self, host: str, user: str, port: int = 5432) -> None:
        conninfo = make_conninfo(
            host=host,
            port=port,
            user=user,
            dbname="replication",
            replication="true",
            application_name=APPLICATION_NAME,
        )
        self._conn = pq.PGconn.connect(conninfo.encode())
        if self._conn.status != pq.ConnStatus.OK:
            raise self._lost("could not connect to the writer")
        self._fd = self._conn.socket
        self._acknowledged = 0
        self._wants_flush = False
        self.has_more = False

    def fileno(self) -> int:
        """The connection's descriptor; the same after the connection is lost."""
        return self._fd

    def identify(self) -> SystemFacts:
        """IDENTIFY_SYSTEM: identifier, timeline, LSN. Raises StorageError."""
        result = self._command(b"IDENTIFY_SYSTEM", pq.ExecStatus.TUPLES_OK)
        identifier, timeline, lsn = (_text(result, column) for column in range(3))
        return SystemFacts(int(identifier), int(timeline), parse_lsn(lsn))

    def timeline_history(self, timeline: int) -> bytes:
        """The content of a timeline's history file. Timeline 1 has none."""
        if timeline == 1:
            return b""
        command = b"TIMELINE_HISTORY %d" % timeline
        return self._command(command, pq.ExecStatus.TUPLES_OK).get_value(0, 1) or b""

    def wal_segment_bytes(self) -> int:
        """The size of the server's WAL files. Raises StorageError."""
        result = self._command(b"SHOW wal_segment_size", pq.ExecStatus.TUPLES_OK)
        number, unit = _text(result, 0)[:-2], _text(result, 0)[-2:]
        return int(number) * {"MB": 1 << 20, "GB": 1 << 30}[unit]

    def start(self, lsn: int, timeline: int) -> None:
        """Begin to stream at an LSN, which must be one that the writer has."""
        command = f"START_REPLICATION PHYSICAL {format_lsn(lsn)} TIMELINE {timeline}"
        self._command(command.encode(), pq.ExecStatus.COPY_BOTH)
        self._conn.nonblocking = 1
        self._acknowledged = lsn

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
        """Tell the writer that everything below `lsn` is durable; commits up to there return."""
        self._acknowledged = lsn
        status = _STATUS.pack(b"r", lsn, lsn, lsn, 0, 0)
        try:
            self._conn.put_copy_data(status)
            self._wants_flush = bool(self._conn.flush())
        except psycopg.Error as error:
            raise self._lost("could not acknowledge to the writer") from error

    def close(self) -> None:
        """End the connection."""
        self._conn.finish()

    def _consume(self) -> None:
        try:
            self._conn.consume_input()
            if self._wants_flush:
                self._wants_flush = bool(self._conn.flush())
        except psycopg.Error as error:
            raise self._lost("the writer's replication stream broke") from error

    def _command(self, command: bytes, expected: pq.ExecStatus) -> pq.abc.PGresult:
        result = self._conn.exec_(command)
        if result.status != expected:
            raise ReplicationEndedError(
                f"the writer refused {command.decode()!r}: "
                f"{result.get_error_message() or self._conn.get_error_message()}"
            )
        return result

    def _lost(self, what: str) -> ReplicationEndedError:
        return ReplicationEndedError(f"{what}: {self._conn.get_error_message()}")


def _text(result: pq.abc.PGresult, column: int) -> str:
    value = result.get_value(0, column)
    return "" if value is None else value.decode()
