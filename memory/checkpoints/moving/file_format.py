r"""A thread as a file: a format of our own, read and written as a stream.

    8 bytes   b"BRLTHRD\n"
    2 bytes   the number of the format
    frames    a letter, 4 bytes of length, and so many bytes as the codec seals them:
              H  the header, once: {"thread_id": ..., "written_by": ...}
              K, C, W  a page of chunks, checkpoints or writes, as a list of rows
              E  the end: how many frames there were, and the BLAKE2b-256 of all bytes before it

A frame is compressed, and encrypted where the saver encrypts; then each is authenticated, and the
end says what came before it. Numbers are big-endian; what is in a frame is msgpack. A release
refuses a format with a higher number.
"""

import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import ormsgpack

from memory.checkpoints.moving.pages import CheckpointRow, ChunkRow, Page, PageRow, WriteRow
from memory.checkpoints.moving.sizes import (
    MOST_FRAME_BYTES,
    MOST_HEAD_BYTES,
    MOST_VALUES_OF_A_FRAME,
    MOST_VALUES_OF_A_HEAD,
    MOST_VALUES_OF_A_VALUE,
    StateSizes,
)
from memory.checkpoints.rows import read_head
from memory.encoding.bounds import require_bounded
from memory.encoding.codec import ADDRESS_BYTES, Address, Codec
from memory.errors import AgentMemoryError, CorruptedCheckpointError, ThreadTransferError

MAGIC = b"BRLTHRD\n"
FORMAT = 1
READ_BYTES = 1 << 20
DIGEST_BYTES = 32
HEADER, CHUNKS, CHECKPOINTS, WRITES, END = b"H", b"K", b"C", b"W", b"E"
_LETTERS: dict[type[PageRow], bytes] = {
    ChunkRow: CHUNKS,
    CheckpointRow: CHECKPOINTS,
    WriteRow: WRITES,
}
_KINDS = frozenset({"null", "bytes", "bytearray", "msgpack"})
"""Of values: those that `BorealisSerializer` writes. Reading others may run what a file says."""

T = TypeVar("T")
Write = Callable[[bytes], object]
Read = Callable[[int], bytes]


class FrameWriter:
    """Writes one thread. write: appends to the file."""

    def __init__(self, codec: Codec, write: Write) -> None:
        self._codec, self._write = codec, write
        self._sizes = StateSizes()
        self._digest = blake2b(digest_size=DIGEST_BYTES)
        self._frames = 0

    def begin(self, thread_id: str, written_by: str) -> None:
        """Write what precedes the pages."""
        self._put(MAGIC + FORMAT.to_bytes(2, "big"))
        self._frame(HEADER, {"thread_id": _packed_text(thread_id), "written_by": written_by})

    def page(self, page: Page) -> None:
        """Write a page. Raises ThreadTransferError for one that is too large."""
        self._sizes.pass_page(page)
        self._frame(_LETTERS[type(page[0])], [_as_list(row) for row in page])

    def end(self) -> None:
        """Write what follows the pages, without which the file is refused."""
        self._frame(END, {"frames": self._frames, "digest": self._digest.digest()})

    def _frame(self, letter: bytes, content: Any) -> None:
        plain = ormsgpack.packb(content)
        sealed = self._codec.seal_chunk(plain)
        if max(len(plain), len(sealed)) > MOST_FRAME_BYTES:
            raise ThreadTransferError(
                f"the thread has a value of {len(plain):,} bytes; in a file it may have "
                f"{MOST_FRAME_BYTES:,}"
            )
        self._put(letter + len(sealed).to_bytes(4, "big") + sealed)
        self._frames += 1

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._write(data)


class FrameReader:
    """Reads one thread, which anybody may have written: every error is a ThreadTransferError.

    read: at most so many bytes of the file, none at its end.
    """

    def __init__(self, codec: Codec, read: Read) -> None:
        self._codec, self._read = codec, read
        self._sizes = StateSizes()
        self._digest = blake2b(digest_size=DIGEST_BYTES)
        self._frames = 0

    def begin(self) -> str:
        """Read what precedes the pages; the id that the thread had."""
        start = self._take(len(MAGIC) + 2)
        if start[: len(MAGIC)] != MAGIC:
            raise ThreadTransferError("this is no file of a thread")
        number = int.from_bytes(start[len(MAGIC) :], "big")
        if number != FORMAT:
            raise ThreadTransferError(
                f"the file has format {number}, and this release reads format {FORMAT}; "
                "read it with the release that wrote it, or a newer one"
            )
        letter, content = self._frame()
        thread_id = content.get("thread_id") if isinstance(content, dict) else None
        if letter != HEADER or not isinstance(thread_id, bytes):
            raise _damaged("it does not begin with a header")
        try:
            return thread_id.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise _damaged("its thread has no id") from error

    def page(self) -> Page | None:
        """The next page; None after the last, when the file is whole and as it was written."""
        expected = {"frames": self._frames, "digest": self._digest.digest()}
        letter, content = self._frame()
        if letter == END:
            if content != expected:
                raise _damaged("its end does not match what comes before")
            if self._read(1):
                raise _damaged("something follows its end")
            return None
        makers: dict[bytes, Callable[[Any], PageRow]] = {
            CHUNKS: _chunk,
            CHECKPOINTS: _checkpoint,
            WRITES: _write,
        }
        if letter not in makers or not isinstance(content, list) or not content:
            raise _damaged(f"frame {self._frames} is of no known kind")
        page: Any = [makers[letter](row) for row in content]
        self._sizes.pass_page(page)
        for row in page if letter == CHECKPOINTS else ():
            self._require_head(row)
        return page  # type: ignore[no-any-return]

    def _require_head(self, row: CheckpointRow) -> None:
        """Raise where a checkpoint could not be read back; the rules allow no class for that."""
        try:
            metadata = json.loads(row.metadata)
            head = read_head(self._codec, row.head, row.refs, metadata)
        except (AgentMemoryError, ValueError, RecursionError) as error:
            raise _damaged(f"a checkpoint cannot be read: {error}") from error
        if not isinstance(metadata, dict) or not isinstance(head.metadata, dict):
            raise _damaged("the metadata of a checkpoint is no object")

    def _frame(self) -> tuple[bytes, Any]:
        head = self._take(5)
        length = int.from_bytes(head[1:], "big")
        if length > MOST_FRAME_BYTES:
            raise _damaged(f"frame {self._frames} claims {length:,} bytes")
        sealed = self._take(length)
        self._frames += 1
        try:
            plain = self._codec.open_of_others(sealed, MOST_FRAME_BYTES)
            require_bounded(plain, MOST_VALUES_OF_A_FRAME)
            return head[:1], ormsgpack.unpackb(plain)
        except (AgentMemoryError, ValueError) as error:
            raise _damaged(f"frame {self._frames}: {error}") from error

    def _take(self, length: int) -> bytes:
        """Exactly so many bytes, in pieces: what a length claims is not allocated ahead."""
        parts, left = [], length
        while left:
            part = self._read(min(left, READ_BYTES))
            if not part:
                raise _damaged("it is cut off")
            parts.append(part)
            left -= len(part)
        data = b"".join(parts)
        self._digest.update(data)
        return data


# -- rows


def _as_list(row: PageRow) -> list[Any]:
    match row:
        case ChunkRow(address, piece):
            return [address, piece]
        case CheckpointRow():
            return [
                row.ns,
                row.checkpoint_id,
                row.parent_id,
                row.run_id,
                row.metadata,
                row.exact,
                ormsgpack.packb(row.head, option=ormsgpack.OPT_NON_STR_KEYS),
                row.refs,
            ]
        case WriteRow():
            content = ormsgpack.packb(row.content, option=ormsgpack.OPT_NON_STR_KEYS)
            return [row.ns, row.checkpoint_id, row.task_id, row.index, content]


def _chunk(row: Any) -> ChunkRow:
    address, piece = _fields(row, bytes, bytes)
    if len(address) != ADDRESS_BYTES:
        raise _damaged("a chunk has no address")
    return ChunkRow(Address(address), piece)


def _checkpoint(row: Any) -> CheckpointRow:
    fields = _fields(
        row, str, bytes, (bytes, type(None)), (str, type(None)), str, bool, bytes, bytes
    )
    ns, checkpoint_id, parent_id, run_id, metadata, exact, packed, refs = fields
    _require_text(ns, run_id or "", metadata)
    _require_ids(checkpoint_id, *([] if parent_id is None else [parent_id]))
    if len(metadata) > MOST_HEAD_BYTES:
        raise _damaged(f"the metadata of a checkpoint has {len(metadata):,} characters")
    head = _unpacked(packed)
    rest, own, entries = _fields(head, list, (list, type(None)), list)
    for kind, data in [_fields(each, str, bytes) for each in (rest, own) if each is not None]:
        if len(data) > MOST_HEAD_BYTES:
            raise _damaged(f"a checkpoint has {len(data):,} bytes beside its values")
        _require_value(kind, data, MOST_VALUES_OF_A_HEAD)
    count = 0
    for entry in entries:
        _, kind, prefix, pieces, tail = _fields(entry, str, str, bytes, int, bytes)
        # What chunks hold is bounded by its length: where a value in them ends is not known here.
        _require_value(kind, b"" if pieces else prefix + tail, MOST_VALUES_OF_A_VALUE)
        if pieces < 0:
            raise _damaged("a checkpoint has fewer than no chunks")
        count += pieces
    if count * ADDRESS_BYTES != len(refs):
        raise _damaged("a checkpoint's list of chunks does not match its values")
    return CheckpointRow(ns, checkpoint_id, parent_id, run_id, metadata, exact, head, refs)


def _write(row: Any) -> WriteRow:
    ns, checkpoint_id, task_id, index, packed = _fields(row, str, bytes, bytes, int, bytes)
    _require_text(ns)
    _require_ids(checkpoint_id, task_id)
    if not -(2**31) <= index < 2**31:
        raise _damaged("a write has no index")
    content = _unpacked(packed)
    _, kind, data, _ = _fields(content, str, str, bytes, str)
    _require_value(kind, data, MOST_VALUES_OF_A_VALUE)
    return WriteRow(ns, checkpoint_id, task_id, index, content)


def _fields(row: Any, *types: type | tuple[type, ...]) -> Sequence[Any]:
    """The fields of a row; raises for another number of them, or other types."""
    fits = isinstance(row, list) and len(row) == len(types)
    if not fits or not all(
        isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        for value, kind in zip(row, types, strict=True)
    ):
        raise _damaged("a row has other fields than it should")
    return row  # type: ignore[no-any-return]


def _unpacked(packed: bytes) -> Any:
    try:
        require_bounded(packed, MOST_VALUES_OF_A_HEAD)
        return ormsgpack.unpackb(packed, option=ormsgpack.OPT_NON_STR_KEYS)
    except (CorruptedCheckpointError, ValueError) as error:
        raise _damaged(f"a row cannot be read: {error}") from error


def _require_text(*texts: str) -> None:
    if any("\0" in text for text in texts):
        raise _damaged("a row has a NUL character")


def _require_ids(*ids: bytes) -> None:
    """Ids are packed: a letter for how, and the id. See `memory.encoding.ids`."""
    for each in ids:
        text = each[:1] == b"\x02"
        if not (text or (each[:1] == b"\x01" and len(each) == 17)):
            raise _damaged("a row has no id")
        try:
            each[1:].decode("utf-8" if text else "latin-1", "surrogatepass" if text else "strict")
        except UnicodeDecodeError as error:
            raise _damaged("an id is no text") from error


def _require_value(kind: str, data: bytes, most: int) -> None:
    """Raise for a value that runs code, or takes too much, when it is read. data: b"" in chunks."""
    if kind not in _KINDS:
        raise ThreadTransferError(
            f"the file holds a value as {kind[:40]!r}, which may run code when it is read; copy "
            "the thread from the database itself"
        )
    if kind != "msgpack" or not data:
        return
    try:
        require_bounded(data, most)
    except CorruptedCheckpointError as error:
        raise _damaged(str(error)) from error


def _packed_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _damaged(why: str) -> ThreadTransferError:
    return ThreadTransferError(f"the file is damaged, or was altered: {why}")
