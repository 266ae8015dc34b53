"""Framing: what is written is read back, and nothing else is taken for a frame."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.storage.core.batch import (
    ALIGNMENT_BYTES,
    HEADER_BYTES,
    Batch,
    CorruptFrameError,
    EndOfLogError,
    decode,
    encode,
    encode_header,
    frame_bytes,
    frames,
)
from cluster_runtime.storage.core.types import Epoch, Lsn

VOLUME = UUID(int=7)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Batch, bytes]:
    payload = draw(st.binary(max_size=300))
    start = draw(st.integers(0, 2**62))
    previous = draw(st.integers(0, start))
    batch = Batch(
        Epoch(draw(st.integers(0, 2**63))),
        Lsn(previous),
        Lsn(start),
        Lsn(start + len(payload)),
        draw(st.integers(1, 2**31)),
        draw(st.booleans()),
    )
    return batch, payload


@given(st.lists(batches(), max_size=5))
def test_frames_are_read_back_as_they_were_written(written: list[tuple[Batch, bytes]]) -> None:
    log = b"".join(encode(VOLUME, batch, payload) for batch, payload in written) + bytes(200)
    found = [(batch, bytes(payload)) for _, batch, payload in frames(VOLUME, log)]
    assert found == written
    assert all(offset % ALIGNMENT_BYTES == 0 for offset, _, _ in frames(VOLUME, log))


@given(batches(), st.data())
def test_any_flipped_bit_is_noticed(written: tuple[Batch, bytes], data: st.DataObject) -> None:
    batch, payload = written
    frame = bytearray(encode(VOLUME, batch, payload))
    bit = data.draw(st.integers(0, (HEADER_BYTES + len(payload)) * 8 - 1))
    frame[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(CorruptFrameError):
        decode(VOLUME, memoryview(frame))


@given(batches(), st.data())
def test_a_torn_frame_is_noticed(written: tuple[Batch, bytes], data: st.DataObject) -> None:
    batch, payload = written
    frame = encode(VOLUME, batch, payload)
    kept = data.draw(st.integers(0, HEADER_BYTES + len(payload) - 1))
    torn = frame[:kept].ljust(len(frame), b"\0")
    if torn == frame:  # the lost bytes were zeros: nothing was lost
        assert decode(VOLUME, memoryview(torn)) == (batch, payload)
        return
    with pytest.raises((CorruptFrameError, EndOfLogError)):
        decode(VOLUME, memoryview(torn))


@given(st.binary(min_size=1, max_size=400))
def test_junk_is_no_frame(junk: bytes) -> None:
    with pytest.raises((CorruptFrameError, EndOfLogError)):
        decode(None, memoryview(junk))


@given(batches(), st.integers(0, 300))
def test_the_payload_may_come_in_parts(written: tuple[Batch, bytes], cut: int) -> None:
    batch, payload = written
    header = encode_header(VOLUME, batch, (payload[:cut], memoryview(payload)[cut:]))
    assert encode(VOLUME, batch, payload).startswith(header + payload)
    assert frame_bytes(len(payload)) == len(encode(VOLUME, batch, payload))


def test_a_frame_of_another_volume_is_refused() -> None:
    frame = encode(VOLUME, Batch(Epoch(1), Lsn(0), Lsn(0), Lsn(3)), b"wal")
    with pytest.raises(CorruptFrameError, match=str(VOLUME)):
        decode(uuid4(), memoryview(frame))


def test_a_batch_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="runs backwards"):
        Batch(Epoch(1), Lsn(5), Lsn(3), Lsn(9))
