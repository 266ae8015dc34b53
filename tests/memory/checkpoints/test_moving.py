"""Threads that move: between databases, schemas, keys, and through files that anybody may send."""

import io
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import ormsgpack
import psycopg
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from memory import BorealisSaver
from memory.checkpoints.moving import file_format, reader
from memory.checkpoints.moving.writer import UNFINISHED
from memory.encoding.encryption import AesGcm
from memory.encoding.serde import BorealisSerializer
from memory.errors import ConfigurationError, ThreadTransferError


def config_of(thread: str, ns: str = "", checkpoint: str | None = None) -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": checkpoint}}


def talk(saver: BorealisSaver, thread: str, turns: int = 12) -> None:
    """A conversation with long and short values, two namespaces, pending writes, odd metadata."""
    for ns in ("", "sub:1"):
        config = config_of(thread, ns)
        messages: list[Any] = []
        for turn in range(1, turns):
            messages = [*messages, HumanMessage(f"{turn}", id=str(turn)), AIMessage("x" * 900)]
            checkpoint: Any = {
                **empty_checkpoint(),
                "channel_values": {"messages": messages, "notes": {"n": b"\x00\xff" * turn}},
                "channel_versions": {"messages": turn, "notes": turn},
            }
            metadata: Any = {"source": "loop", "step": turn, "parents": {}, "run_id": f"r{turn}"}
            if turn % 3 == 0:
                metadata["odd"] = "\0"  # which jsonb cannot hold
            config = saver.put(config, checkpoint, metadata, {"messages": turn, "notes": turn})
            saver.put_writes(config, [("messages", messages[-1]), ("x", {"y": 1.5})], "t1", "~a")
            saver.put_writes(config, [("__interrupt__", "stop")], "t2")


def everything(saver: BorealisSaver, thread: str) -> list[Any]:
    """All that LangGraph can see of a thread, its id aside."""

    def plain(found: Any) -> Any:
        if isinstance(found, dict):
            return {key: plain(value) for key, value in found.items() if key != "thread_id"}
        return found

    return [
        (
            plain(found.config),
            found.checkpoint,
            found.metadata,
            plain(found.parent_config),
            found.pending_writes,
        )
        for found in saver.list({"configurable": {"thread_id": thread}})
    ]


def unfinished(saver: BorealisSaver) -> list[str]:
    with psycopg.connect(saver._driver.source) as connection:  # type: ignore[arg-type]
        rows = connection.execute("select thread_id from borealis.memory_threads")
        return [thread for (thread,) in rows if thread.startswith(UNFINISHED)]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CHECKPOINTS_A_PAGE", 5)
    monkeypatch.setattr(reader, "ROWS_A_PAGE", 3)
    monkeypatch.setattr(reader, "BYTES_A_PAGE", 700)


@pytest.fixture
def other(fresh_dsn: str) -> Iterator[BorealisSaver]:
    with BorealisSaver(fresh_dsn, schema="elsewhere", deadline=15) as saver:
        saver.setup()
        yield saver


def encrypted(dsn: str, schema: str, key: bytes) -> BorealisSaver:
    serde = EncryptedSerializer(AesGcm(key), BorealisSerializer())
    saver = BorealisSaver(dsn, schema=schema, serde=serde, deadline=15)
    saver.setup()
    return saver


@pytest.mark.usefixtures("small_pages")
def test_a_thread_is_copied_to_another_database_with_all_that_it_has(
    saver: BorealisSaver, other: BorealisSaver
) -> None:
    talk(saver, "a")
    moved = saver.copy_thread_to("a", other, target_thread_id="b")
    assert (moved.thread_id, moved.checkpoints, moved.writes) == ("b", 22, 66)
    assert everything(other, "b") == everything(saver, "a")
    assert len(everything(saver, "a")) == 22
    # It goes on there, sharing what it has.
    latest = other.get_tuple(config_of("b"))
    assert latest is not None
    versions: Any = {**latest.checkpoint["channel_versions"], "more": 1}
    checkpoint: Any = {**empty_checkpoint(), "channel_versions": versions}
    checkpoint["channel_values"] = {**latest.checkpoint["channel_values"], "more": "new"}
    other.put(latest.config, checkpoint, {}, {"more": 1})
    again = other.get_tuple(config_of("b"))
    assert again is not None
    assert again.checkpoint["channel_values"]["more"] == "new"
    assert again.checkpoint["channel_values"]["messages"][-1] == AIMessage("x" * 900)


async def test_the_same_asynchronously(asaver: BorealisSaver, fresh_dsn: str) -> None:
    await asaver.asetup()
    talk(asaver, "a", 3)
    async with BorealisSaver(fresh_dsn, schema="third") as target:
        await target.asetup()
        assert (await asaver.acopy_thread_to("a", target)).checkpoints == 4
        assert everything(target, "a") == everything(asaver, "a")
        file = io.BytesIO()
        assert (await asaver.aexport_thread("a", file)).writes == 12
        file.seek(0)
        assert (await target.aimport_thread(file, thread_id="c")).thread_id == "c"
        assert everything(target, "c") == everything(asaver, "a")
        file.seek(0)
        with pytest.raises(ThreadTransferError, match="already"):
            await target.aimport_thread(file)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(b"", b"k" * 32), (b"k" * 32, b""), (b"k" * 32, b"o" * 32)]
)
def test_a_thread_is_copied_from_one_key_to_another(
    fresh_dsn: str, ours: bytes, theirs: bytes
) -> None:
    def made(schema: str, key: bytes) -> BorealisSaver:
        if key:
            return encrypted(fresh_dsn, schema, key)
        plain = BorealisSaver(fresh_dsn, schema=schema)
        plain.setup()
        return plain

    with made("one", ours) as source, made("two", theirs) as target:
        talk(source, "a", 6)
        source.copy_thread_to("a", target)
        assert everything(target, "a") == everything(source, "a")
        if theirs:
            with psycopg.connect(fresh_dsn) as connection:
                shown = connection.execute("select metadata from two.memory_checkpoints").fetchall()
                assert all(set(row[0]) <= {"source", "step", "run_id"} for row in shown)
                held = connection.execute(
                    "select count(*) from two.memory_chunks join one.memory_chunks using (address)"
                ).fetchone()
                assert held == (0,)


def test_what_cannot_be_copied_is_refused_and_leaves_nothing(
    saver: BorealisSaver, other: BorealisSaver, fresh_dsn: str
) -> None:
    talk(saver, "a", 3)
    with pytest.raises(ThreadTransferError, match="there is no thread 'nobody'"):
        saver.copy_thread_to("nobody", other)
    saver.copy_thread_to("a", other)
    with pytest.raises(ThreadTransferError, match="thread 'a' already"):
        saver.copy_thread_to("a", other)
    foreign = BorealisSaver(fresh_dsn, serde=JsonPlusSerializer(pickle_fallback=True))
    with pytest.raises(ConfigurationError, match="same serializer"):
        saver.copy_thread_to("a", foreign, target_thread_id="b")
    assert [everything(other, "a"), unfinished(saver)] == [everything(saver, "a"), []]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("harm", ["delete", "prune"])
def test_a_thread_that_is_removed_while_it_is_read_is_not_copied_in_part(
    saver: BorealisSaver, other: BorealisSaver, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    talk(saver, "a")
    pages = 0
    original = reader.ThreadReader.page

    def page(self: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 4:
            if harm == "delete":
                saver.delete_thread("a")
            else:
                saver.prune(["a"])
        return original(self)

    monkeypatch.setattr(reader.ThreadReader, "page", page)
    if harm == "delete":
        with pytest.raises(ThreadTransferError, match="deleted or pruned"):
            saver.copy_thread_to("a", other)
        assert everything(other, "a") == []
    else:
        with suppress(ThreadTransferError):
            saver.copy_thread_to("a", other)
        # What was read before is whole.
        assert all(found[1]["channel_values"] for found in everything(other, "a"))
    assert unfinished(saver) == []


def test_a_copy_survives_lost_connections(
    saver: BorealisSaver, other: BorealisSaver, fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(saver, "a", 8)
    original = reader.ThreadReader.page
    with psycopg.connect(fresh_dsn, autocommit=True) as admin:

        def page(self: Any) -> Any:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
            return original(self)

        monkeypatch.setattr(reader.ThreadReader, "page", page)
        saver.copy_thread_to("a", other)
    assert everything(other, "a") == everything(saver, "a")


# files --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
def test_a_thread_goes_through_a_file(
    saver: BorealisSaver, other: BorealisSaver, tmp_path: Path
) -> None:
    talk(saver, "thread \ud800\0")
    path = tmp_path / "thread"
    exported = saver.export_thread("thread \ud800\0", path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert other.import_thread(path) == exported
    assert everything(other, "thread \ud800\0") == everything(saver, "thread \ud800\0")
    with pytest.raises(ThreadTransferError, match="choose another one"):
        saver.export_thread("thread \ud800\0", path)
    with pytest.raises(ThreadTransferError, match="no file"):
        other.import_thread(tmp_path / "nowhere")
    with pytest.raises(ThreadTransferError, match="no thread 'gone'"):
        saver.export_thread("gone", tmp_path / "gone")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["thread"]


def test_an_encrypted_thread_makes_an_encrypted_file(fresh_dsn: str) -> None:
    key = os.urandom(32)
    with encrypted(fresh_dsn, "one", key) as source, encrypted(fresh_dsn, "two", key) as target:
        talk(source, "secret", 3)
        file = io.BytesIO()
        source.export_thread("secret", file)
        assert b"secret" not in file.getvalue()
        assert b"xxxx" not in file.getvalue()
        file.seek(0)
        target.import_thread(file)
        assert everything(target, "secret") == everything(source, "secret")
    for wrong in (BorealisSaver(fresh_dsn), encrypted(fresh_dsn, "three", os.urandom(32))):
        wrong.setup()
        file.seek(0)
        with pytest.raises(ThreadTransferError, match=r"key|encrypted"):
            wrong.import_thread(file)


@pytest.fixture(scope="module")
def exported(module_dsn: str) -> Iterator[tuple[BorealisSaver, bytes]]:
    with BorealisSaver(module_dsn) as saver:
        saver.setup()
        talk(saver, "a", 4)
        file = io.BytesIO()
        saver.export_thread("a", file)
        yield saver, file.getvalue()


def refused(saver: BorealisSaver, data: bytes) -> str:
    with pytest.raises(ThreadTransferError) as caught:
        saver.import_thread(io.BytesIO(data), thread_id="new")
    assert saver.get_tuple(config_of("new")) is None
    assert unfinished(saver) == []
    return str(caught.value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_was_damaged_anywhere_is_refused(
    exported: tuple[BorealisSaver, bytes], data: st.DataObject
) -> None:
    saver, good = exported
    kind = data.draw(st.sampled_from(["flip", "cut", "append", "splice"]))
    at = data.draw(st.integers(0, len(good) - 1))
    match kind:
        case "flip":
            bad = bytearray(good)
            bad[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            bad = bytearray(good[:at])
        case "append":
            bad = bytearray(good) + data.draw(st.binary(min_size=1, max_size=9))
        case _:
            other = data.draw(st.integers(0, len(good) - 1).filter(lambda x: x != at))
            bad = bytearray(good[: min(at, other)] + good[max(at, other) :])
    refused(saver, bytes(bad))


def frames_of(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(file_format.MAGIC) + 2
    while at < len(data):
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        found.append((data[at : at + 1], data[at + 5 : at + 5 + length]))
        at += 5 + length
    return found


def forged(saver: BorealisSaver, pages: list[tuple[bytes, Any]]) -> bytes:
    """A file with a right end, whatever its pages are."""
    file = io.BytesIO()
    writer = file_format.FrameWriter(saver._codec, file.write)
    writer.begin("a", "somebody")
    for letter, content in pages:
        writer._frame(letter, content)
    writer.end()
    return file.getvalue()


ID = b"\x01" + bytes(16)
ROWS: list[tuple[str, bytes, Any]] = [
    ("no known kind", b"X", [[1]]),
    ("no known kind", b"K", []),
    ("no known kind", b"K", {"a": 1}),
    ("other fields", b"K", [[b"short"]]),
    ("no address", b"K", [[b"short", b"piece"]]),
    ("other fields", b"W", [["", ID, ID, True, b"\x90"]]),
    ("no index", b"W", [["", ID, ID, 2**40, b"\x94\xa1c\xa4null\xc4\x00\xa0"]]),
    ("other fields", b"W", [["", ID, ID, 1, b"\x90"]]),
    ("no known format", b"W", [["", ID, ID, 1, b"\xc1"]]),
    ("no id", b"W", [["", b"", ID, 1, b"\x94\xa1c\xa4null\xc4\x00\xa0"]]),
    ("NUL", b"W", [["\0", ID, ID, 1, b"\x94\xa1c\xa4null\xc4\x00\xa0"]]),
    ("may run code", b"W", [["", ID, ID, 1, b"\x94\xa1c\xa6pickle\xc4\x00\xa0"]]),
    ("other fields", b"C", [["", ID, None, None, "{}", True, b"\x90", b""]]),
    (
        "may run code",
        b"C",
        [["", ID, None, None, "{}", True, b"\x93\x92\xa1?\xc4\x00\xc0\x90", b""]],
    ),
    (
        "cannot be read",
        b"C",
        [["", ID, None, None, "{}", True, b"\x93\x92\xa4null\xc4\x00\xc0\x90", b""]],
    ),
    (
        "does not match",
        b"C",
        [["", ID, None, None, "{}", True, b"\x93\x92\xa4null\xc4\x00\xc0\x90", b"x" * 16]],
    ),
]


@pytest.mark.parametrize(("why", "letter", "content"), ROWS)
def test_a_file_with_a_right_checksum_and_wrong_rows_is_refused(
    exported: tuple[BorealisSaver, bytes], why: str, letter: bytes, content: Any
) -> None:
    saver, _ = exported
    assert why in refused(saver, forged(saver, [(letter, content)]))


def test_a_file_that_lacks_a_chunk_is_refused(exported: tuple[BorealisSaver, bytes]) -> None:
    saver, good = exported
    pages = [
        (letter, ormsgpack.unpackb(saver._codec.open_of_others(sealed, 1 << 30)))
        for letter, sealed in frames_of(good)
        if letter in b"KCW"
    ]
    assert "are missing" in refused(saver, forged(saver, [p for p in pages if p[0] != b"K"]))
    odd = [
        [*page[1][0][:4], '{"a": "\\u0000"}', *page[1][0][5:]] for page in pages if page[0] == b"C"
    ]
    kept = [page for page in pages if page[0] == b"K"]
    assert "refused a row" in refused(saver, forged(saver, [*kept, (b"C", odd)]))


def test_files_of_others_cannot_take_memory(exported: tuple[BorealisSaver, bytes]) -> None:
    saver, good = exported
    start = file_format.MAGIC + (1).to_bytes(2, "big")
    claims = start + b"H" + (0xFFFFFFFF).to_bytes(4, "big")
    assert "claims 4,294,967,295 bytes" in refused(saver, claims)
    bomb = b"\x01" + zstandard.ZstdCompressor(level=1).compress(
        bytes(file_format.MOST_FRAME_BYTES + 1)
    )
    assert len(bomb) < 100_000
    header = start + b"H" + len(bomb).to_bytes(4, "big") + bomb
    assert "claims to hold" in refused(saver, header)
    short = start + b"H" + (200 << 20).to_bytes(4, "big") + b"x"
    assert "cut off" in refused(saver, short)
    assert refused(saver, b"") == refused(saver, good[:5])


def test_a_newer_format_is_refused_by_its_number(exported: tuple[BorealisSaver, bytes]) -> None:
    saver, good = exported
    at = len(file_format.MAGIC)
    newer = good[:at] + (file_format.FORMAT + 1).to_bytes(2, "big") + good[at + 2 :]
    said = refused(saver, newer)
    assert "format 2, and this release reads format 1" in said
    assert "no file of a thread" in refused(saver, b"PK\x03\x04" + bytes(random.randbytes(50)))


def test_an_import_that_a_process_did_not_finish_expires(
    exported: tuple[BorealisSaver, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    saver, good = exported
    nothing = (None for _ in range(0))
    monkeypatch.setattr("memory.checkpoints.moving.writer.ThreadWriter.abandon", lambda _: nothing)
    with pytest.raises(ThreadTransferError):
        saver.import_thread(io.BytesIO(good[:-9]), thread_id="new")
    (left,) = unfinished(saver)
    with psycopg.connect(saver._driver.source, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(
            "update borealis.memory_threads set expires_at = now() where thread_id = %s", (left,)
        )
    assert saver.sweep() == 1
    assert unfinished(saver) == []


def test_two_imports_at_once_make_one_thread(exported: tuple[BorealisSaver, bytes]) -> None:
    saver, good = exported

    def once(_: int) -> str:
        try:
            return saver.import_thread(io.BytesIO(good), thread_id="race").thread_id
        except ThreadTransferError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(once, range(4)))
    assert said.count("race") == 1
    assert all("already" in each for each in said if each != "race")
    assert everything(saver, "race") == everything(saver, "a")
    saver.delete_thread("race")
