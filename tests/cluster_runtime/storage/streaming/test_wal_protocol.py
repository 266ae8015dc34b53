"""The server's side of the replication protocol, byte by byte, without a socket."""

import struct

import pytest

from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.streaming.wal_protocol import (
    ProtocolViolationError,
    ReplicationSession,
    ServedLog,
)

LOG = ServedLog(4711, Timelines(3, ((1, 0x5000), (2, 0x9000))), 0x1000, 0xA000, 1 << 20, "18.6")


def startup(**options: str) -> bytes:
    words = "".join(f"{name}\0{value}\0" for name, value in options.items())
    body = struct.pack("!I", 3 << 16) + words.encode() + b"\0"
    return struct.pack("!I", 4 + len(body)) + body


def query(text: str) -> bytes:
    return b"Q" + struct.pack("!I", 5 + len(text)) + text.encode() + b"\0"


def kinds(answer: bytes) -> list[bytes]:
    """The types of the messages in an answer."""
    found = []
    while answer:
        (length,) = struct.unpack_from("!I", answer, 1)
        found.append(answer[:1])
        answer = answer[1 + length :]
    return found


@pytest.fixture
def session() -> ReplicationSession:
    made = ReplicationSession(lambda: LOG)
    assert kinds(made.receive(startup(user="x", replication="true")))[-1] == b"Z"
    return made


def test_a_connection_that_is_not_for_replication_is_refused() -> None:
    session = ReplicationSession(lambda: LOG)
    assert b"only streams WAL" in session.receive(startup(user="x", database="postgres"))
    assert session.closed


def test_encryption_is_declined_so_that_the_client_goes_on_without() -> None:
    session = ReplicationSession(lambda: LOG)
    assert session.receive(struct.pack("!II", 8, 80877103)) == b"N"
    assert session.receive(struct.pack("!II", 8, 80877104)) == b"N"


def test_a_startup_message_may_come_in_pieces() -> None:
    session = ReplicationSession(lambda: LOG)
    message = startup(user="x", replication="true", application_name="reader")
    answers = [session.receive(message[at : at + 1]) for at in range(len(message))]
    assert not any(answers[:-1])
    assert answers[-1]
    assert session.application_name == "reader"


@pytest.mark.parametrize("length", [3, 20_000, 0xFFFF_FFFF])
def test_an_impossible_startup_length_ends_the_connection(length: int) -> None:
    with pytest.raises(ProtocolViolationError):
        ReplicationSession(lambda: LOG).receive(struct.pack("!I", length) + b"x" * 8)


def test_identify_system_names_the_cluster_its_timeline_and_the_durable_lsn(
    session: ReplicationSession,
) -> None:
    answer = session.receive(query("IDENTIFY_SYSTEM"))
    assert kinds(answer) == [b"T", b"D", b"C", b"Z"]
    assert b"4711" in answer
    assert b"0/A000" in answer


def test_a_stream_never_starts_past_the_durable_lsn(session: ReplicationSession) -> None:
    answer = session.receive(query("START_REPLICATION 0/B000 TIMELINE 3"))
    assert kinds(answer) == [b"E", b"Z"]
    assert b"ahead of the volume durable LSN 0/A000" in answer
    assert session.stream is None


def test_a_stream_of_log_that_was_collected_is_refused(session: ReplicationSession) -> None:
    answer = session.receive(query("START_REPLICATION 0/800 TIMELINE 1"))
    assert b"already been removed" in answer


def test_a_stream_on_a_timeline_that_was_left_ends_where_the_next_one_begins(
    session: ReplicationSession,
) -> None:
    assert kinds(session.receive(query("START_REPLICATION 0/2000 TIMELINE 1"))) == [b"W"]
    assert session.stream is not None
    assert session.stream.until == 0x5000
    session.end_of_timeline()
    answer = session.receive(b"c\0\0\0\4")
    assert kinds(answer) == [b"T", b"D", b"C", b"Z"]
    assert b"0/5000" in answer
    assert session.stream is None


def test_a_stream_that_starts_where_its_timeline_ended_goes_straight_to_the_next(
    session: ReplicationSession,
) -> None:
    answer = session.receive(query("START_REPLICATION 0/9000 TIMELINE 2"))
    assert kinds(answer) == [b"T", b"D", b"C", b"Z"]


def test_the_history_file_lists_every_timeline_that_was_left(session: ReplicationSession) -> None:
    answer = session.receive(query("TIMELINE_HISTORY 3"))
    assert b"00000003.history" in answer
    assert b"1\t0/5000\t" in answer
    assert b"2\t0/9000\t" in answer
    assert b"2\t0/9000\t" not in session.receive(query("TIMELINE_HISTORY 2"))
    assert kinds(session.receive(query("TIMELINE_HISTORY 4"))) == [b"E", b"Z"]


def test_a_standby_status_update_is_taken(session: ReplicationSession) -> None:
    session.receive(query("START_REPLICATION 0/2000 TIMELINE 3"))
    body = b"r" + struct.pack("!QQQQB", 3, 2, 1, 0, 0)
    session.receive(b"d" + struct.pack("!I", 4 + len(body)) + body)
    assert (session.status.written, session.status.flushed, session.status.replayed) == (3, 2, 1)


@pytest.mark.parametrize("command", ["SELECT 1", "BASE_BACKUP", "DROP_REPLICATION_SLOT s", "'; --"])
def test_any_other_command_is_an_error_and_not_the_end(
    session: ReplicationSession, command: str
) -> None:
    assert kinds(session.receive(query(command))) == [b"E", b"Z"]
    assert kinds(session.receive(query("SHOW wal_segment_size")))[-1] == b"Z"


def test_wal_comes_with_its_place_and_the_end_of_the_log(session: ReplicationSession) -> None:
    message = session.wal(0x2000, b"abc", 0xA000, 946_684_800.5)
    assert message[:1] == b"d"
    assert message[5:6] == b"w"
    assert struct.unpack_from("!QQQ", message, 6) == (0x2000, 0xA000, 500_000)
    assert message.endswith(b"abc")
