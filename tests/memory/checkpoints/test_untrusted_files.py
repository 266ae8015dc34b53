"""Files of threads that somebody made who means no good: refused, and nothing of them is there."""

import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import ormsgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from memory import BorealisSaver
from memory.checkpoints.moving import file_format, sizes
from memory.encoding.bounds import require_bounded
from memory.encoding.encryption import AesGcm
from memory.encoding.serde import BorealisSerializer
from memory.errors import ConfigurationError, CorruptedCheckpointError, ThreadTransferError
from tests.memory.checkpoints.test_moving import (
    config_of,
    encrypted,
    everything,
    forged,
    refused,
    talk,
)

ID = b"\x01" + bytes(16)
GIGABYTE = 1 << 30


@pytest.fixture(scope="module")
def strict(module_dsn: str) -> Iterator[BorealisSaver]:
    with BorealisSaver(module_dsn, deadline=15) as saver:
        saver.setup()
        yield saver


def packed(value: Any) -> bytes:
    return ormsgpack.packb(value, option=ormsgpack.OPT_NON_STR_KEYS)


def checkpoint(rest: bytes, *, metadata: str = "{}", entries: Any = (), refs: bytes = b"") -> Any:
    head = packed([["msgpack", rest], None, list(entries)])
    return [["", ID, None, None, metadata, True, head, refs]]


def write(kind: str, data: bytes) -> Any:
    return [["", ID, ID, 1, packed(["channel", kind, data, ""])]]


def exported(saver: BorealisSaver, thread: str) -> bytes:
    file = io.BytesIO()
    saver.export_thread(thread, file)
    return file.getvalue()


class OfSomebody(JsonPlusSerializer):
    """A serializer of which nothing is known."""


@pytest.mark.parametrize(
    "serde",
    [
        JsonPlusSerializer(pickle_fallback=True),
        OfSomebody(),
        EncryptedSerializer(AesGcm(bytes(32)), JsonPlusSerializer(pickle_fallback=True)),
        EncryptedSerializer(AesGcm(bytes(32)), OfSomebody()),
    ],
    ids=["pickle", "another", "pickle, encrypted", "another, encrypted"],
)
async def test_only_the_strict_serializer_imports(
    fresh_dsn: str, strict: BorealisSaver, serde: Any
) -> None:
    talk(strict, "a", 2)
    data = exported(strict, "a")
    with BorealisSaver(fresh_dsn, serde=serde) as saver:
        await saver.asetup()
        named = type(saver._codec.serde).__name__
        with pytest.raises(ConfigurationError, match=f"{named}, which may run code"):
            saver.import_thread(io.BytesIO(data))
        with pytest.raises(ConfigurationError, match=f"{named}, which may run code"):
            await saver.aimport_thread(io.BytesIO(data))
        assert saver.threads() == []
    strict.delete_thread("a")


@pytest.mark.parametrize("kind", ["pickle", "json", "of somebody"])
def test_a_value_that_the_strict_serializer_never_writes_is_refused(
    strict: BorealisSaver, kind: str
) -> None:
    data = json.dumps({"lc": 2, "type": "constructor", "id": ["os", "system"]}).encode()
    assert f"{kind!r}, which may run code" in refused(
        strict, forged(strict, [(b"W", write(kind, data))])
    )


def test_an_encrypted_saver_takes_nothing_that_is_not_encrypted(
    fresh_dsn: str, strict: BorealisSaver
) -> None:
    talk(strict, "a", 3)
    plain = exported(strict, "a")
    key = os.urandom(32)
    with encrypted(fresh_dsn, "one", key) as saver:
        with pytest.raises(ThreadTransferError, match="not encrypted"):
            saver.import_thread(io.BytesIO(plain))
        # Nor a single frame in what is: whoever has no key can count and hash.
        file = io.BytesIO()
        writer = file_format.FrameWriter(saver._codec, file.write)
        writer.begin("a", "somebody")
        frame = strict._codec.seal_chunk(packed(write("null", b"")))
        writer._put(b"W" + len(frame).to_bytes(4, "big") + frame)
        writer._frames += 1
        writer.end()
        file.seek(0)
        with pytest.raises(ThreadTransferError, match="not encrypted"):
            saver.import_thread(file)
        assert saver.threads() == []
        # From saver to saver what was not encrypted becomes so.
        strict.copy_thread_to("a", saver)
        assert everything(saver, "a") == everything(strict, "a")
    strict.delete_thread("a")


def nested(depth: int) -> bytes:
    value = packed(1)
    for _ in range(depth):
        value = packed(ormsgpack.Ext(64, value))
    return value


MUCH_TEXT = " " * (sizes.MOST_HEAD_BYTES + 1)
RANGE = ormsgpack.Ext(1, packed(["builtins", "range", [0, 10**11, 1]]))


def rest_with(value: Any) -> bytes:
    return packed({"v": 1, "channel_versions": {}, "versions_seen": value})


BOMBS: list[tuple[str, Any, Any]] = [
    ("more than 100,000 values", b"K", [[]] * 200_000),
    ("more than 1,000,000 values", b"W", [["", ID, ID, 1, packed([{}] * 2_000_000)]]),
    ("more than 1,000,000 values", b"C", checkpoint(packed([{}] * 2_000_000))),
    ("over 64 deep", b"C", checkpoint(nested(1000))),
    ("over 64 deep", b"W", write("msgpack", nested(65))),
    ("bytes beside its values", b"C", checkpoint(MUCH_TEXT.encode())),
    ("characters", b"C", checkpoint(rest_with(1), metadata=MUCH_TEXT)),
]


@pytest.mark.parametrize(("why", "letter", "content"), BOMBS)
def test_what_is_small_in_a_file_and_large_in_memory_is_refused_before_it_is_built(
    strict: BorealisSaver, why: str, letter: bytes, content: Any
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert why in refused(strict, forged(strict, [(letter, content)]))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 600 << 10  # kB: the frame in its forms, and no object for each byte


def test_so_is_a_value_that_is_read_later(
    strict: BorealisSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_format, "MOST_VALUES_OF_A_VALUE", 1000)
    many = packed([{}] * 1000)
    pages = [
        (b"W", write("msgpack", many)),
        (b"C", checkpoint(rest_with({}), entries=[["c", "msgpack", many[:5], 0, many[5:]]])),
    ]
    for page in pages:
        assert "more than 1,000 values" in refused(strict, forged(strict, [page]))


def test_one_chunk_that_is_counted_a_million_times_is_refused(strict: BorealisSaver) -> None:
    piece = bytes(1 << 20)
    address = strict._codec.address(piece)
    entries = [["c", "bytes", b"", 2000, b""]]
    pages = [
        (b"K", [[address, piece]]),
        (b"C", checkpoint(rest_with({}), entries=entries, refs=address * 2000)),
    ]
    assert "has values of 2,097,152,000 bytes" in refused(strict, forged(strict, pages))


SMALL = [
    ormsgpack.Ext(0, packed(["builtins", "set", RANGE])),
    ormsgpack.Ext(0, packed(["builtins", "bytearray", 10**11])),
    ormsgpack.Ext(1, packed(["builtins", "bytearray", [10**11]])),
    ormsgpack.Ext(2, packed(["builtins", "bytearray", {"source": 10**11}])),
    ormsgpack.Ext(2, packed(["collections", "deque", {"iterable": RANGE}])),
    ormsgpack.Ext(0, packed(["fractions", "Fraction", "1e1000000000"])),
    ormsgpack.Ext(1, packed(["builtins", "range", RANGE])),
    ormsgpack.Ext(64, packed(RANGE)),
    ormsgpack.Ext(67, packed(RANGE)),
    ormsgpack.Ext(70, packed(["builtins", "ValueError", RANGE, None])),
]
READ = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 * {GIGABYTE}, 4 * {GIGABYTE}))
from memory.encoding.serde import BorealisSerializer
for value in sys.argv[1:]:
    try:
        BorealisSerializer().loads_typed(("msgpack", bytes.fromhex(value)))
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_a_value_of_a_few_bytes_does_not_fill_the_machine_when_it_is_read() -> None:
    """In a process that may have four gigabytes, where each would need a hundred."""
    done = subprocess.run(
        [sys.executable, "-c", READ, *(packed(value).hex() for value in SMALL)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = done.stdout.splitlines()
    assert len(said) == len(SMALL)
    for each in said:
        assert each.startswith("CorruptedCheckpointError")
        assert each.endswith("was not written by this package")


@pytest.mark.parametrize(
    "header",
    [
        {"thread_id": b"\xff", "written_by": "x"},
        {"thread_id": 1},
        {},
        [],
    ],
)
def test_a_file_without_an_id_is_refused(strict: BorealisSaver, header: Any) -> None:
    file = io.BytesIO()
    writer = file_format.FrameWriter(strict._codec, file.write)
    writer._put(file_format.MAGIC + (1).to_bytes(2, "big"))
    writer._frame(b"H", header)
    writer.end()
    file.seek(0)
    with pytest.raises(ThreadTransferError):
        strict.import_thread(file)
    assert strict.threads() == []


ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_checkpoint_holds_it_is_taken_or_refused_by_its_own_error(
    strict: BorealisSaver, data: st.DataObject
) -> None:
    names = st.sampled_from(["v", "id", "channel_versions"])
    rest = data.draw(st.dictionaries(names, ANYTHING))
    name = data.draw(st.sampled_from(["c", "d", "\0"]))
    entries = [[name, "msgpack", b"", 0, packed(data.draw(ANYTHING))]]
    metadata = json.dumps(data.draw(ANYTHING), default=str)
    whole = data.draw(st.sampled_from([packed(rest), packed(data.draw(ANYTHING))]))
    file = forged(strict, [(b"C", checkpoint(whole, entries=entries, metadata=metadata))])
    try:
        strict.import_thread(io.BytesIO(file), thread_id="new")
    except ThreadTransferError:
        assert strict.get_tuple(config_of("new")) is None
    else:
        strict.delete_thread("new")


@given(value=ANYTHING, cut=st.integers(0, 40))
def test_what_was_packed_is_counted_as_it_is(value: Any, cut: int) -> None:
    def count(each: Any) -> int:
        if isinstance(each, dict):
            return 1 + sum(count(k) + count(v) for k, v in each.items())
        return 1 + (sum(map(count, each)) if isinstance(each, list) else 0)

    for data, values in (
        (packed(value), count(value)),
        (packed([ormsgpack.Ext(64, packed(value)), 1]), count(value) + 3),
        (BorealisSerializer().dumps_typed((value, [2**70, "\ud800"]))[1], count(value) + 5),
    ):
        require_bounded(data, values)
        with pytest.raises(CorruptedCheckpointError, match="more than"):
            require_bounded(data, values - 1)
        for wrong in (data[: min(cut, len(data) - 1)], data + b"\xc0"):
            with pytest.raises(CorruptedCheckpointError):
                require_bounded(wrong, values + 100)
