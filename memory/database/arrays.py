"""Arrays of bytes and of integers in PostgreSQL's binary format, made directly.

psycopg's own list dumper looks at every element's type again; in the hot statements that costs
more than the rest of the parameters together. Source: PostgreSQL's `array_send`.
"""

import struct
from collections.abc import Iterable

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

BYTEA_OID, BYTEA_ARRAY_OID = 17, 1001
INT4_OID, INT4_ARRAY_OID = 23, 1007
_EMPTY = struct.pack("!iii", 0, 0, BYTEA_OID)


class ByteaArray:
    """A `bytea[]` parameter; use it with a `%b` placeholder."""

    __slots__ = ("data",)

    def __init__(self, values: Iterable[bytes]) -> None:
        elements = list(values)
        parts = [struct.pack("!iiiii", 1, 0, BYTEA_OID, len(elements), 1)] if elements else [_EMPTY]
        for element in elements:
            parts += (len(element).to_bytes(4, "big"), element)
        self.data = b"".join(parts)


class Int4Array:
    """An `integer[]` parameter that is not empty; use it with a `%b` placeholder."""

    __slots__ = ("data",)

    def __init__(self, values: Iterable[int]) -> None:
        flat = [field for value in values for field in (4, value)]
        count = len(flat) // 2
        self.data = struct.pack(f"!5i{len(flat)}i", 1, 0, INT4_OID, count, 1, *flat)


class _ByteaArrayDumper(Dumper):
    format = Format.BINARY
    oid = BYTEA_ARRAY_OID

    def dump(self, obj: ByteaArray) -> Buffer:
        return obj.data


psycopg.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)


class _Int4ArrayDumper(Dumper):
    format = Format.BINARY
    oid = INT4_ARRAY_OID

    def dump(self, obj: Int4Array) -> Buffer:
        return obj.data


psycopg.adapters.register_dumper(Int4Array, _Int4ArrayDumper)
