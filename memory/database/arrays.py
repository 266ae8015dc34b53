"""Arrays, and what else the hot statements take, in PostgreSQL's binary format, made directly.

psycopg's own list dumper looks at every element's type again; in the hot statements that costs
more than the rest of the parameters together. Source: PostgreSQL's `array_send`, `interval_send`.
"""

import struct
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, cast

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

TEXT_OID, TEXT_ARRAY_OID = 25, 1009
BYTEA_OID, BYTEA_ARRAY_OID = 17, 1001
BOOL_OID, BOOL_ARRAY_OID = 16, 1000
INT4_OID, INT4_ARRAY_OID = 23, 1007
INTERVAL_OID = 1186
_NULL = b"\xff\xff\xff\xff"
_HEADER_BYTES = 20


def _array(oid: int, elements: Sequence[bytes | None]) -> bytes:
    if not elements:
        return struct.pack("!iii", 0, 0, oid)
    parts = [struct.pack("!iiiii", 1, None in elements, oid, len(elements), 1)]
    for element in elements:
        parts += (_NULL,) if element is None else (len(element).to_bytes(4, "big"), element)
    return b"".join(parts)


class ByteaArray:
    """A `bytea[]` parameter; use it with a `%b` placeholder."""

    __slots__ = ("data",)

    def __init__(self, values: Iterable[bytes | None]) -> None:
        self.data = _array(BYTEA_OID, list(values))


class TextArray:
    """A `text[]` parameter; use it with a `%b` placeholder."""

    __slots__ = ("values",)

    def __init__(self, values: Iterable[str | None]) -> None:
        self.values = tuple(values)

    @property
    def data(self) -> bytes:
        """As a client with UTF-8 sends it."""
        return self.encoded("utf-8")

    def encoded(self, encoding: str) -> bytes:
        """As a client with this encoding sends it."""
        each = [None if text is None else text.encode(encoding) for text in self.values]
        return _array(TEXT_OID, each)


class BoolArray:
    """A `boolean[]` parameter; use it with a `%b` placeholder."""

    __slots__ = ("data",)

    def __init__(self, values: Iterable[bool]) -> None:
        self.data = _array(BOOL_OID, [bytes((value,)) for value in values])


class Int4Array:
    """An `integer[]` parameter; use it with a `%b` placeholder."""

    __slots__ = ("data",)

    def __init__(self, values: Iterable[int]) -> None:
        self.data = _array(INT4_OID, [value.to_bytes(4, "big", signed=True) for value in values])


def binary(value: Any) -> bytes | None:
    """A parameter, as a client with UTF-8 sends it: text, bytes, array, interval or nothing."""
    if value is None or type(value) is bytes:
        return value
    if type(value) is str:
        return value.encode()
    if isinstance(value, timedelta):
        microseconds = value.seconds * 1_000_000 + value.microseconds
        return struct.pack("!qii", microseconds, value.days, 0)
    return cast(bytes, value.data)


def bytea_elements(array: bytes | None) -> list[Any]:
    """The elements (bytes, None) of a `bytea[]` of one dimension, as it comes from the server."""
    elements: list[Any] = []
    if array is None:
        return elements
    position = _HEADER_BYTES
    while position < len(array):
        size = array[position : position + 4]
        position += 4
        if size == _NULL:
            elements.append(None)
            continue
        end = position + int.from_bytes(size, "big")
        elements.append(array[position:end])
        position = end
    return elements


def int4_elements(array: bytes | None) -> tuple[int, ...]:
    """The elements of an `integer[]` without nulls, as it comes from the server."""
    if array is None:
        return ()
    fields = struct.unpack_from(f"!{(len(array) - _HEADER_BYTES) // 4}i", array, _HEADER_BYTES)
    return fields[1::2]


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> Buffer:
        return cast(bytes, obj.data)


class _ByteaArrayDumper(_Dumper):
    oid = BYTEA_ARRAY_OID


class _TextArrayDumper(_Dumper):
    oid = TEXT_ARRAY_OID

    def dump(self, obj: TextArray) -> Buffer:
        return obj.encoded("utf-8" if self.connection is None else self.connection.info.encoding)


class _BoolArrayDumper(_Dumper):
    oid = BOOL_ARRAY_OID


class _Int4ArrayDumper(_Dumper):
    oid = INT4_ARRAY_OID


psycopg.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)
psycopg.adapters.register_dumper(TextArray, _TextArrayDumper)
psycopg.adapters.register_dumper(BoolArray, _BoolArrayDumper)
psycopg.adapters.register_dumper(Int4Array, _Int4ArrayDumper)
