"""Bytes on disk: compressed, addressed by content, encrypted where asked.

A value becomes a *recipe*: its type, and the pieces that make up its bytes. Pieces above
INLINE_BYTES are chunks, stored once for each thread under the hash of their content; the rest
stays in the recipe, which stays in the checkpoint's row.

A growing list costs what was added. Its bytes are cut at element boundaries into units of at least
UNIT_BYTES, and the units are grouped as the digits of their number in base FANOUT (27 units in
base 4 are one group of 16, two of 4 and three of 1). When elements are appended, almost every
group keeps its bytes, so it has the same address and is already stored; a list of n units has
O(log n) chunks. The cut depends on the bytes alone: no state, no comparison with an older value.
"""

import copy
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, NewType, TypeVar

import ormsgpack
import zstandard
from langgraph.checkpoint.serde.base import CipherProtocol, SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from memory.encoding.msgpack import array_elements
from memory.encoding.serde import BorealisSerializer
from memory.errors import AgentMemoryError, CorruptedCheckpointError
from memory.forked import FreshLock

T = TypeVar("T")

Address = NewType("Address", bytes)
ADDRESS_BYTES = 16

# A new value up to the first size stays in its checkpoint's row; when a second checkpoint takes it
# over unchanged, it pays to store it once if it is above the second.
INLINE_BYTES = 1024
INHERIT_INLINE_BYTES = 256
UNIT_BYTES = 1024
FANOUT = 4
BLOCK_BYTES = 16_384

RAW, ZSTD = 0, 1
ENCRYPTED = 0x80
COMPRESS_FROM_BYTES = 128
ZSTD_LEVEL = 3
KEPT_CONTEXTS = 16
SEEN_BYTES = 8 << 20

# What messages and checkpoints of LangGraph look like, most frequent last: zstd refers to it as if
# it preceded every frame, which makes small ones a third smaller. Frames on disk depend on
# it: never change it; a better one gets a new frame format beside it.
_DICTIONARY = zstandard.ZstdCompressionDict(
    b"langchain_core.messages.system\xadSystemMessage\xb1langchain_core.documents.base\xa8Document"
    b"\xabpage_content\xa8metadata\xa7builtins\xa3set\xa8datetime\xadfromisoformat\xa7decimal"
    b"\xa7ipaddress\xa4uuid\xa4UUID\xa3zoneinfo\xafgraph.types\xa9Interrupt\xa5value\xa2id"
    b"\xafresponse_schema\xafupdated_channels\x90\xacpending_sends\x90\xb4__pregel_tasks"
    b"\xafinvalid_tool_calls\x90\xaausage_metadata\x83\xacinput_tokens\xadoutput_tokens"
    b"\xactotal_tokens\xb3input_token_details\x81\xaacache_read\x00\xaamodel_name\xadfinish_reason"
    b"\xa4stop\xb2system_fingerprint\xc0\xa8logprobs\xc0\xacservice_tier\xa7default\xaatool_calls"
    b"\x91\x84\xa4name\xa4args\x81\xa2id\xa4type\xa9tool_call\xadlanggraph.types\xa4Send\x92"
    b"\x94\xbclangchain_core.messages.tool\xabToolMessage\x8a\xa7content\xa0\xb1additional_kwargs\x80"
    b"\xb1response_metadata\x80\xa4type\xa4tool\xa4name\xc0\xa2id\xc0\xactool_call_id\xa8artifact"
    b"\xc0\xa6status\xa7success\xb3model_validate_json\xc8\x01\x00\x05\x94"
    b"\xd9\x1blangchain_core.messages.ai\xa9AIMessage\x89\xa7content\xa0\xb1additional_kwargs\x80"
    b"\xb1response_metadata\x80\xa4type\xa2ai\xa4name\xc0\xa2id\xd9$\xaatool_calls\x90"
    b"\xb2invalid_tool_calls\x90\xaeusage_metadata\xc0\xb3model_validate_json\xc7\xff\x05\x94"
    b"\xd9\x1dlangchain_core.messages.human\xacHumanMessage\x86\xa7content\xa0"
    b"\xb1additional_kwargs\x80\xb1response_metadata\x80\xa4type\xa5human\xa4name\xc0\xa2id\xd9$"
    b"\xb3model_validate_json\x87\xa1v\x04\xa2ts\xd9 2026-01-01T00:00:00.000000+00:00\xa2id\xd9$"
    b"1f0a0000-0000-6000-8000-000000000000\xb0channel_versions\x83\xa9__start__\x02\xa8messages\x04"
    b"\xafbranch:to:agent\x03\xadversions_seen\x83\xa9__input__\x80\xa9__start__\x81\xa9__start__\x01"
    b"\xa5agent\x81\xafbranch:to:agent\x02\xb0updated_channels\x91\xa8messages\xa7msgpack\xa4null",
    dict_type=zstandard.DICT_TYPE_RAWCONTENT,
)
_DICTIONARY.precompute_compress(level=ZSTD_LEVEL)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to put one value together: prefix + chunks + tail are its serialized bytes.

    version: the channel's version that the value was stored at.
    kind: the serializer's type tag.
    """

    version: str | int | float
    kind: str
    prefix: bytes
    addresses: tuple[Address, ...]
    tail: bytes


@dataclass(frozen=True, slots=True)
class Encoded:
    """A recipe and the plain bytes of its chunks, by address."""

    recipe: Recipe
    chunks: Mapping[Address, bytes]


class Codec:
    """Values to recipes and frames, and back. Safe to use from several threads.

    serde: any LangGraph serializer. An `EncryptedSerializer` is taken apart: its inner serializer
        makes the bytes, and its cipher encrypts whole frames, after compression and
        de-duplication, which its own way would make impossible.
    """

    def __init__(self, serde: SerializerProtocol) -> None:
        self.cipher: CipherProtocol | None = None
        if isinstance(serde, EncryptedSerializer):
            self.cipher, serde = serde.cipher, serde.serde
        self.serde = strict(serde)
        # With a cipher: a random secret that the database holds only in encrypted form, so that
        # addresses do not tell whoever reads the disk what is stored
        # (see `memory.checkpoints.address_key`).
        self.address_key = b""
        self._seen = SeenChunks()

    def lenient(self) -> "Codec":
        """The same codec, reading values that cannot be built as `Unreadable`."""
        if not isinstance(self.serde, BorealisSerializer):
            return self
        twin = copy.copy(self)
        twin.serde = self.serde.recovering()
        return twin

    # -- values

    def encode(self, version: str | int | float, value: Any) -> Encoded:
        """Serialize a value and cut it into pieces."""
        kind, data = self.serde.dumps_typed(value)
        if len(data) <= INLINE_BYTES:
            return Encoded(Recipe(version, kind, b"", (), data), {})
        prefix, pieces, tail = cut(kind, data)
        addresses = tuple(self.address(piece) for piece in pieces)
        chunks = dict(zip(addresses, pieces, strict=True))
        return Encoded(Recipe(version, kind, prefix, addresses, tail), chunks)

    def settle(self, recipe: Recipe) -> Encoded:
        """The recipe of a value that is stored again unchanged: its inline part becomes a chunk."""
        if len(recipe.tail) <= INHERIT_INLINE_BYTES:
            return Encoded(recipe, {})
        address = self.address(recipe.tail)
        addresses = (*recipe.addresses, address)
        settled = Recipe(recipe.version, recipe.kind, recipe.prefix, addresses, b"")
        return Encoded(settled, {address: recipe.tail})

    def decode(self, recipe: Recipe, chunks: Mapping[Address, bytes]) -> Any:
        """Put a value together again from its recipe and plain chunks."""
        if not recipe.addresses:
            return self.serde.loads_typed((recipe.kind, recipe.prefix + recipe.tail))
        try:
            pieces = [chunks[address] for address in recipe.addresses]
        except KeyError as missing:
            raise CorruptedCheckpointError(
                f"chunk {missing.args[0].hex()} of a stored value is missing"
            ) from None
        return self.serde.loads_typed(
            (recipe.kind, b"".join((recipe.prefix, *pieces, recipe.tail)))
        )

    # -- frames

    def address(self, piece: bytes) -> Address:
        """The keyed hash that a piece is kept under."""
        return Address(
            blake2b(
                piece, digest_size=ADDRESS_BYTES, key=self.address_key, person=b"borealis-chunk"
            ).digest()
        )

    def seal_chunk(self, piece: bytes, address: Address | None = None) -> bytes:
        """The stored form of a chunk. address: its own, if it is worth remembering."""
        frame = self._seal(piece)
        if address is not None:
            self._seen.note(address, frame, piece)
        return frame

    def open_chunk(self, address: Address, frame: bytes | None) -> bytes:
        """The plain bytes of a stored chunk, checked against its address."""
        if frame is None:
            raise CorruptedCheckpointError(f"chunk {address.hex()} of a stored value is missing")
        if (seen := self._seen.piece(address, frame)) is not None:
            return seen
        piece = self._open(frame)
        if self.address(piece) != address:
            raise CorruptedCheckpointError(
                f"chunk {address.hex()} of a stored value does not match its address: it was "
                "altered or truncated, or the encryption key is another one"
            )
        self._seen.note(address, frame, piece)
        return piece

    def seal(self, plain: Any) -> bytes:
        """The stored form of a small structure of lists, strings, numbers and bytes."""
        packed = ormsgpack.packb(plain, option=ormsgpack.OPT_NON_STR_KEYS)
        return self._seal(zlib.crc32(packed).to_bytes(4, "big") + packed)

    def open(self, frame: bytes) -> Any:
        """What `seal` was given; raises `CorruptedCheckpointError` for anything else."""
        opened = self._open(frame)
        checksum, packed = opened[:4], opened[4:]
        if zlib.crc32(packed).to_bytes(4, "big") != checksum:
            raise CorruptedCheckpointError("a stored row fails its checksum")
        try:
            return ormsgpack.unpackb(packed, option=ormsgpack.OPT_NON_STR_KEYS)
        except ormsgpack.MsgpackDecodeError as error:
            raise CorruptedCheckpointError(f"a stored row cannot be read: {error}") from error

    def _seal(self, plain: bytes) -> bytes:
        frame = bytes((RAW,)) + plain
        if len(plain) >= COMPRESS_FROM_BYTES:
            with _compressors.one() as compressor:
                packed = compressor.compress(plain)
            if len(packed) < len(plain):
                frame = bytes((ZSTD,)) + packed
        if self.cipher is None:
            return frame
        name, secret = self.cipher.encrypt(frame)
        label = name.encode()
        return bytes((ENCRYPTED, len(label))) + label + secret

    def open_of_others(self, frame: bytes, most: int) -> bytes:
        """The plain bytes of a frame that somebody else may have made: no more than `most`.

        With a cipher, what is not encrypted by its key is refused: anybody can make that.
        """
        return self._open(frame, most)

    def _open(self, frame: bytes, most: int | None = None) -> bytes:
        try:
            if frame[0] == ENCRYPTED:
                frame = self._decrypt(frame)
            elif self.cipher is not None and most is not None:
                raise CorruptedCheckpointError("a frame is not encrypted, as this saver's are")
            match frame[0]:
                case kind if kind == RAW:
                    return frame[1:]
                case kind if kind == ZSTD:
                    size = zstandard.frame_content_size(frame[1:])
                    if most is not None and not 0 <= size <= most:
                        raise CorruptedCheckpointError(f"a frame claims to hold {size:,} bytes")
                    with _decompressors.one() as decompressor:
                        return decompressor.decompress(frame[1:])
                case kind:
                    raise CorruptedCheckpointError(f"a stored frame is of unknown format {kind}")
        except (zstandard.ZstdError, IndexError, UnicodeDecodeError) as error:
            raise CorruptedCheckpointError(
                f"a stored frame of {len(frame)} bytes is truncated or altered ({error})"
            ) from error

    def _decrypt(self, frame: bytes) -> bytes:
        if self.cipher is None:
            raise CorruptedCheckpointError(
                "the thread is encrypted; make the saver with the EncryptedSerializer it was "
                "written with"
            )
        end = 2 + frame[1]
        name = frame[2:end].decode()
        try:
            return self.cipher.decrypt(name, frame[end:])
        except AgentMemoryError:
            raise
        except Exception as error:
            raise CorruptedCheckpointError(
                f"a value cannot be decrypted ({type(error).__name__}): the key is another one, or "
                "the bytes were altered"
            ) from error


class SeenChunks:
    """Chunks that were sealed or opened last, up to SEEN_BYTES: equal frames hold equal pieces."""

    def __init__(self, limit: int = SEEN_BYTES) -> None:
        self._left = limit
        self._chunks: dict[Address, tuple[bytes, bytes]] = {}
        self._lock = FreshLock()

    def piece(self, address: Address, frame: bytes) -> bytes | None:
        """What this frame is known to hold under this address."""
        seen = self._chunks.get(address)
        return None if seen is None or seen[0] != frame else seen[1]

    def note(self, address: Address, frame: bytes, piece: bytes) -> None:
        """This frame holds this piece, and this is its address."""
        with self._lock:
            self._forget(address)
            self._chunks[address] = (frame, piece)
            self._left -= len(frame) + len(piece)
            while self._left < 0:
                self._forget(next(iter(self._chunks)))

    def _forget(self, address: Address) -> None:
        frame, piece = self._chunks.pop(address, (b"", b""))
        self._left += len(frame) + len(piece)


class Lent(Generic[T]):
    """zstd contexts, each used by one thread at a time.

    Not one for each thread: LangGraph begins new threads for every run, and a context costs more
    to make than a checkpoint to compress.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._free: deque[T] = deque(maxlen=KEPT_CONTEXTS)

    @contextmanager
    def one(self) -> Iterator[T]:
        """Lend one that nobody uses, or a new one."""
        try:
            context = self._free.pop()
        except IndexError:
            context = self._make()
        try:
            yield context
        finally:
            self._free.append(context)


_compressors = Lent(
    lambda: zstandard.ZstdCompressor(
        dict_data=_DICTIONARY,
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            ZSTD_LEVEL, write_dict_id=False, write_content_size=True
        ),
    )
)
_decompressors = Lent(lambda: zstandard.ZstdDecompressor(dict_data=_DICTIONARY))


def strict(serde: SerializerProtocol) -> SerializerProtocol:
    """Replace LangGraph's default serializer, which builds any class, by the strict one.

    One that was configured in code (a subclass, pickle_fallback, another protocol) is kept: the
    caller chose it.
    """
    if type(serde) is not JsonPlusSerializer or serde.pickle_fallback:
        return serde
    allowed = serde._allowed_msgpack_modules
    return BorealisSerializer(allow=allowed if isinstance(allowed, set) else ())


def cut(kind: str, data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Cut serialized bytes above INLINE_BYTES into an inline prefix, chunks, and an inline tail."""
    ends: Sequence[int] | None = None
    start = 0
    if kind == "msgpack" and (found := array_elements(data)) is not None:
        start, ends = found
    if ends is None and len(data) < 2 * BLOCK_BYTES:
        return b"", [data], b""
    units = list(_units(start, len(data), ends))
    spans = list(_groups(start, units))
    pieces = [data[begin:end] for begin, end in spans]
    closed = spans[-1][1] if spans else start
    rest = data[closed:]
    if len(rest) > INLINE_BYTES:
        pieces.append(rest)
        rest = b""
    return data[:start], pieces, rest


def _units(start: int, end: int, element_ends: Sequence[int] | None) -> Iterator[int]:
    """Ends of the closed units: of elements, or of fixed blocks where there are no elements."""
    if element_ends is None:
        yield from range(start + BLOCK_BYTES, end + 1, BLOCK_BYTES)
        return
    opened = start
    for element_end in element_ends:
        if element_end - opened >= UNIT_BYTES:
            yield element_end
            opened = element_end


def _groups(start: int, unit_ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Spans of the groups of FANOUT**n units, largest first; what follows the units is left."""
    size = 1
    while size * FANOUT <= len(unit_ends):
        size *= FANOUT
    done, position = 0, start
    while size:
        while done + size <= len(unit_ends):
            done += size
            yield position, unit_ends[done - 1]
            position = unit_ends[done - 1]
        size //= FANOUT
