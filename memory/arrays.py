"""Arrays of bytes in PostgreSQL's binary format, made directly.

psycopg's own list dumper looks at every element's type anew; in the hot statements that costs
more than the rest of the parameters together. Source: PostgreSQL's `array_send`.
"""

import struct
from collections.abc import Iterable

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

BYTEA_OID, BYTEA_ARRAY_OID = 17, 1001
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


class _ByteaArrayDumper(Dumper):
    format = Format.BINARY
    oid = BYTEA_ARRAY_OID

    def dump(self, obj: ByteaArray) -> Buffer:
        return obj.data


psycopg.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)
