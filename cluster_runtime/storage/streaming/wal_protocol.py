"""The server's side of PostgreSQL's streaming replication protocol, without its socket.

A session takes bytes that a standby sent and says what to answer; whoever drives it sends the
answers, and WAL while `streaming` names a range. Only what physical standbys, `pg_receivewal` and
`pg_basebackup --wal-method=none` clients ask for is understood; everything else is refused.

Source: PostgreSQL documentation, "Streaming Replication Protocol" and "Message Formats".
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_runtime.moved import renamed
from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.core.wal_records import format_lsn, parse_lsn

PROTOCOL_3 = 3
STARTUP_MAX_BYTES = 10_000
MESSAGE_MAX_BYTES = 1 << 20

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_POSTGRES_EPOCH_S = 946_684_800
_TEXT, _INT4, _INT8 = 25, 23, 20

_START = re.compile(
    r"START_REPLICATION\s+(?:SLOT\s+\S+\s+)?(?:PHYSICAL\s+)?([0-9A-F]+/[0-9A-F]+)"
    r"(?:\s+TIMELINE\s+(\d+))?\s*;?$",
    re.IGNORECASE,
)
_HISTORY = re.compile(r"TIMELINE_HISTORY\s+(\d+)\s*;?$", re.IGNORECASE)
_SHOW = re.compile(r"SHOW\s+(\w+)\s*;?$", re.IGNORECASE)
_READ_SLOT = re.compile(r'READ_REPLICATION_SLOT\s+"?\w+"?\s*;?$', re.IGNORECASE)

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, LogFacts="ServedLog")


@dataclass(frozen=True, slots=True)
class ServedLog:
    """What a standby may learn of the log now. LSNs are byte positions.

    oldest: the first LSN that is still kept; end: the volume durable LSN.
    """

    system_identifier: int
    timelines: Timelines
    oldest: int
    end: int
    wal_segment_bytes: int
    server_version: str


@dataclass(slots=True)
class Stream:
    """WAL that the standby asked for: from `position`; up to `until` where a timeline ended."""

    position: int
    timeline: int
    until: int | None
    ended: bool = False


@dataclass(slots=True)
class StandbyStatus:
    """What the standby last said of itself: the LSNs it has written, flushed and replayed."""

    written: int = 0
    flushed: int = 0
    replayed: int = 0


class ProtocolViolationError(Exception):
    """The peer sent what is not the protocol; the connection is to be closed."""


class ReplicationSession:
    """One standby's connection. `log` is asked again for each command."""

    def __init__(self, log: Callable[[], ServedLog]) -> None:
        self._served_log = log
        self._buffer = bytearray()
        self._started = False
        self.application_name = ""
        self.stream: Stream | None = None
        self.status = StandbyStatus()
        self.feedback = Feedback()
        self.closed = False

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the standby; return what to send to it.

        Raises ProtocolViolationError.
        """
        self._buffer += data
        answers = bytearray()
        while not self.closed and (message := self._next_message()) is not None:
            answers += self._answer(*message)
        return bytes(answers)

    def wal(self, start: int, wal: bytes, end_of_log: int, now_s: float) -> bytes:
        """An XLogData message."""
        head = struct.pack("!QQQ", start, end_of_log, _microseconds(now_s))
        return struct.pack("!cIc", b"d", 4 + 1 + len(head) + len(wal), b"w") + head + wal

    def keepalive(self, end_of_log: int, now_s: float, *, reply: bool) -> bytes:
        """A primary keepalive message."""
        body = struct.pack("!cQQB", b"k", end_of_log, _microseconds(now_s), reply)
        return _message(b"d", body)

    def end_of_timeline(self) -> bytes:
        """CopyDone: the stream reached its timeline's end. The standby answers with its own."""
        assert self.stream is not None, "a timeline can end only while it streams"
        self.stream.ended = True
        return _message(b"c", b"")

    def _next_message(self) -> tuple[bytes, bytes] | None:
        head = 0 if not self._started else 1
        if len(self._buffer) < head + 4:
            return None
        (length,) = struct.unpack_from("!I", self._buffer, head)
        if not 4 <= length <= (MESSAGE_MAX_BYTES if self._started else STARTUP_MAX_BYTES):
            raise ProtocolViolationError(f"a message of {length} bytes")
        if len(self._buffer) < head + length:
            return None
        kind, body = bytes(self._buffer[:head]), bytes(self._buffer[head + 4 : head + length])
        del self._buffer[: head + length]
        return kind, body

    def _answer(self, kind: bytes, body: bytes) -> bytes:
        match kind:
            case b"":
                return self._startup(body)
            case b"Q":
                return self._command(body.rstrip(b"\0").decode("utf-8", "replace").strip())
            case b"d" if self.stream is not None:
                self._take_status(body)
                return b""
            case b"c" if self.stream is not None:
                return self._copy_done()
            case b"X":
                self.closed = True
                return b""
            case _:
                raise ProtocolViolationError(f"message {kind!r} at this point")

    def _startup(self, body: bytes) -> bytes:
        if len(body) < 4:
            raise ProtocolViolationError("a startup message without a version")
        (version,) = struct.unpack_from("!I", body)
        if version in (_SSL_REQUEST, _GSS_REQUEST):
            return b"N"
        if version == _CANCEL_REQUEST:
            self.closed = True
            return b""
        if version >> 16 != PROTOCOL_3:
            raise ProtocolViolationError(f"protocol version {version >> 16}")
        words = body[4:].split(b"\0")
        options = dict(zip(words[0::2], words[1::2], strict=False))
        self.application_name = options.get(b"application_name", b"").decode("utf-8", "replace")
        if options.get(b"replication", b"").lower() not in (b"true", b"on", b"yes", b"1"):
            self.closed = True
            return _error("0A000", "this server only streams WAL; connect with replication=true")
        self._started = True
        unknown = [name for name in options if name.startswith(b"_pq_.")]
        answer = b""
        if version & 0xFFFF or unknown:
            listed = b"".join(name + b"\0" for name in unknown)
            answer = _message(b"v", struct.pack("!II", PROTOCOL_3 << 16, len(unknown)) + listed)
        parameters = {
            "server_version": self._served_log().server_version,
            "server_encoding": "UTF8",
            "client_encoding": "UTF8",
            "integer_datetimes": "on",
            "standard_conforming_strings": "on",
            "DateStyle": "ISO, MDY",
            "TimeZone": "UTC",
        }
        answer += _message(b"R", struct.pack("!I", 0))
        for name, value in parameters.items():
            answer += _message(b"S", f"{name}\0{value}\0".encode())
        return answer + _READY

    def _command(self, command: str) -> bytes:
        log = self._served_log()
        if re.match(r"IDENTIFY_SYSTEM\s*;?$", command, re.IGNORECASE):
            row = (
                str(log.system_identifier),
                str(log.timelines.current),
                format_lsn(log.end),
                None,
            )
            columns = (("systemid", _TEXT), ("timeline", _INT8), ("xlogpos", _TEXT))
            return _rows((*columns, ("dbname", _TEXT)), row) + _complete("IDENTIFY_SYSTEM")
        if found := _START.match(command):
            return self._start(log, parse_lsn(found[1]), found[2])
        if found := _HISTORY.match(command):
            return _history(log, int(found[1]))
        if found := _SHOW.match(command):
            return _show(log, found[1].lower())
        if _READ_SLOT.match(command):
            slot = (("slot_type", _TEXT), ("restart_lsn", _TEXT), ("restart_tli", _INT8))
            return _rows(slot, (None, None, None)) + _complete("READ_REPLICATION_SLOT")
        return _error("0A000", f"the storage volume does not know the command {command[:60]!r}")

    def _start(self, log: ServedLog, lsn: int, timeline: str | None) -> bytes:
        number = log.timelines.current if timeline is None else int(timeline)
        try:
            until = log.timelines.end_of(number)
        except LookupError:
            return _error("58P01", f"timeline {number} is not in this volume's history")
        if until is not None and lsn > until:
            return _error(
                "55000",
                f"requested starting point {format_lsn(lsn)} on timeline {number} is not in this "
                f"volume's history, which left that timeline at {format_lsn(until)}",
            )
        if lsn > log.end:
            return _error(
                "55000",
                f"requested starting point {format_lsn(lsn)} is ahead of the volume durable LSN "
                f"{format_lsn(log.end)}",
            )
        if lsn < log.oldest:
            return _error(
                "58P01",
                f"WAL from {format_lsn(lsn)} has already been removed; the oldest is "
                f"{format_lsn(log.oldest)}: start from a newer page image",
            )
        self.stream = Stream(lsn, number, until)
        if lsn == until:
            return self._next_timeline()
        return _message(b"W", struct.pack("!BH", 0, 0))

    def _copy_done(self) -> bytes:
        assert self.stream is not None
        done = b"" if self.stream.ended else _message(b"c", b"")
        if self.stream.ended:
            return self._next_timeline()
        self.stream = None
        return done + _complete("START_STREAMING")

    def _next_timeline(self) -> bytes:
        assert self.stream is not None
        log = self._served_log()
        following = log.timelines.after(self.stream.timeline)
        row = (str(following), format_lsn(self.stream.until or 0))
        self.stream = None
        columns = (("next_tli", _INT8), ("next_tli_startpos", _TEXT))
        return _rows(columns, row) + _complete("START_STREAMING")

    def _take_status(self, body: bytes) -> None:
        if body[:1] == b"r" and len(body) >= 25:
            written, flushed, replayed = struct.unpack_from("!QQQ", body, 1)
            self.status = StandbyStatus(written, flushed, replayed)
        elif body[:1] == b"h" and len(body) >= 25:
            xmin, xmin_epoch, catalog, catalog_epoch = struct.unpack_from("!IIII", body, 9)
            self.feedback = Feedback((xmin, xmin_epoch), (catalog, catalog_epoch))


def _history(log: ServedLog, timeline: int) -> bytes:
    if timeline not in log.timelines.known[1:]:
        return _error("58P01", f"the volume keeps no history file of timeline {timeline}")
    row = (f"{timeline:08X}.history", log.timelines.history(timeline))
    return _rows((("filename", _TEXT), ("content", _TEXT)), row) + _complete("TIMELINE_HISTORY")


def _show(log: ServedLog, name: str) -> bytes:
    values = {
        "wal_segment_size": f"{log.wal_segment_bytes >> 20}MB",
        "data_directory_mode": "0700",
        "server_version": log.server_version,
    }
    if name not in values:
        return _error("42704", f"the storage volume has no parameter {name!r}")
    return _rows(((name, _TEXT),), (values[name],)) + _complete("SHOW")


def _rows(columns: tuple[tuple[str, int], ...], row: tuple[str | None, ...]) -> bytes:
    described = b"".join(
        name.encode() + b"\0" + struct.pack("!IHIhiH", 0, 0, kind, -1, -1, 0)
        for name, kind in columns
    )
    values = b"".join(
        struct.pack("!i", -1)
        if value is None
        else struct.pack("!i", len(value.encode())) + value.encode()
        for value in row
    )
    count = struct.pack("!H", len(columns))
    return _message(b"T", count + described) + _message(b"D", count + values)


def _complete(tag: str) -> bytes:
    return _message(b"C", tag.encode() + b"\0") + _READY


def _error(code: str, message: str) -> bytes:
    fields = {"S": "ERROR", "V": "ERROR", "C": code, "M": message}
    body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
    return _message(b"E", body) + _READY


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", 4 + len(body)) + body


def _microseconds(now_s: float) -> int:
    return int((now_s - _POSTGRES_EPOCH_S) * 1_000_000)


_READY = _message(b"Z", b"I")
