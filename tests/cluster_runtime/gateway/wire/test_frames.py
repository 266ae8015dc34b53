"""Framing without a socket: whatever a stream holds and wherever it is cut."""

import struct
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from cluster_runtime.gateway.wire.frames import CANCELLED_COMMIT, Frames
from cluster_runtime.gateway.wire.protocol import message

MARK = CANCELLED_COMMIT
NAME = b"RSyncRepWaitForLSN"


def notice(*fields: bytes, kind: bytes = b"N") -> bytes:
    return message(kind, b"".join(field + b"\0" for field in fields) + b"\0")


CANCELLED = notice(
    b"SWARNING", b"VWARNING", b"C01000", b"Mcanceling wait for synchronous replication",
    b"Fsyncrep.c", b"L306", NAME,
)  # fmt: skip

# Bytes that a search would fall for, alone and among others.
baits = st.sampled_from([MARK, MARK[1:], NAME, NAME + b"\0", b"\0" + NAME, CANCELLED, b"N", b"\0"])
bodies = st.lists(st.binary(max_size=40) | baits, max_size=4).map(b"".join)
texts = bodies.map(lambda body: body.replace(b"\0", b"."))
fields = st.tuples(st.sampled_from([b"S", b"V", b"C", b"M", b"D", b"H", b"W", b"F"]), texts)
other_notices = st.lists(fields.map(b"".join), min_size=1, max_size=6).map(
    lambda some: notice(*some, b"Rexec_stmt_raise")
)
kinds = st.sampled_from([bytes([c]) for c in b"123ACDEGHIKRSTVWZdcnst"])
single = st.builds(message, kinds, bodies) | other_notices
of_one_size = st.builds(bytes.__mul__, single, st.integers(2, 50))  # as rows often are
messages = single | of_one_size
cuts = st.lists(st.integers(0, 5000), max_size=12)


def pieces(stream: bytes, at: list[int]) -> list[bytes]:
    ends = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in at)})
    return [stream[a:b] for a, b in pairwise(ends)]


def advance_all(stream: bytes, at: list[int]) -> int | None:
    """How many bytes come before the end of the first notice of a cancelled commit."""
    frames, before = Frames(), 0
    for piece in pieces(stream, at):
        # A buffer that is reused has old bytes behind the new ones.
        found = frames.advance(bytearray(piece + CANCELLED), len(piece))
        if found is not None:
            return before + found
        before += len(piece)
    return None


@given(some=st.lists(messages, max_size=8), at=cuts)
@example(some=[message(b"D", b"\0\1\0\0\0\x12" + MARK)], at=[])
@example(some=[message(b"D", b"\0\2\0\0\0\x13" + MARK[1:-1] + b"\0\0\0\x01x")], at=[9])
@example(some=[message(b"A", b"\0\0\0\1" + NAME + b"\0\0")], at=[])
@example(some=[message(b"T", NAME + b"\0\0\0\0\0")], at=[])
@example(some=[message(b"S", b"application_name\0" + NAME + b"\0"), b"\0"], at=[])
@example(some=[message(b"N", b"M" + NAME + b"\0\0")], at=[3])
@example(some=[message(b"D", CANCELLED), message(b"D", CANCELLED)], at=list(range(80)))
@example(some=[message(b"D", CANCELLED) * 40, message(b"C", CANCELLED) * 40], at=[1000, 3001])
def test_no_data_is_taken_for_a_message(some: list[bytes], at: list[int]) -> None:
    assert advance_all(b"".join(some), at) is None


@given(
    before=st.lists(messages, max_size=5),
    after=st.lists(messages | st.just(CANCELLED), max_size=3),
    detail=texts,
    at=cuts,
)
def test_the_notice_is_found_wherever_it_is_cut(
    before: list[bytes], after: list[bytes], detail: bytes, at: list[int]
) -> None:
    real = notice(b"SWARNING", b"VWARNING", b"C01000", b"M" + detail, b"W" + detail, NAME)
    stream = b"".join(before) + real
    assert advance_all(stream + b"".join(after), at) == len(stream)


@given(some=st.lists(messages, min_size=1, max_size=6), at=cuts)
def test_a_boundary_is_where_a_message_ends_and_nowhere_else(
    some: list[bytes], at: list[int]
) -> None:
    stream = b"".join(some)
    ends = {0}
    while max(ends) < len(stream):
        end = max(ends)
        ends.add(end + 1 + struct.unpack_from("!I", stream, end + 1)[0])
    frames, position = Frames(), 0
    for piece in pieces(stream, at):
        frames.advance(piece, len(piece))
        position += len(piece)
        assert frames.at_boundary is (position in ends)
    assert frames.kind == some[-1][0]


def test_the_notice_is_found_behind_many_rows_of_its_size() -> None:
    rows = message(b"D", CANCELLED[5:]) * 100
    for cut in range(0, len(rows), 97):
        assert advance_all(rows + CANCELLED + rows, [cut]) == len(rows + CANCELLED)


def test_every_cut_of_the_notice_is_seen_through() -> None:
    stream = message(b"D", MARK) + CANCELLED + message(b"C", b"COMMIT\0")
    end = len(stream) - len(message(b"C", b"COMMIT\0"))
    for first in range(len(stream)):
        for second in range(first, len(stream)):
            assert advance_all(stream, [first, second]) == end


def test_a_body_of_a_gigabyte_costs_as_little_as_a_short_one() -> None:
    frames = Frames()
    header = b"D" + struct.pack("!I", 1_000_000_000)
    frames.advance(header, len(header))
    buffer = bytearray(MARK * 10_000)
    rest = 1_000_000_000 - 4
    while rest:
        size = min(rest, len(buffer))
        assert frames.advance(buffer, size) is None
        rest -= size
    assert frames.at_boundary
    assert frames.advance(CANCELLED, len(CANCELLED)) == len(CANCELLED)
