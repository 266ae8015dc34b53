"""Vectors as parameters and results, in pgvector's binary format and by pgvector's own types.

Registered without an OID, which differs from database to database: the casts in our statements
(`%s::vector`) tell the server the type, and no connection has to look it up. One vector costs a
twentieth of its text (docs/decisions/0004-arrays-and-vectors.md).
"""

from collections.abc import Sequence

import psycopg
from pgvector.psycopg import HalfVector, Vector
from pgvector.psycopg.halfvec import HalfVectorBinaryDumper
from pgvector.psycopg.vector import VectorBinaryDumper
from psycopg import sql

psycopg.adapters.register_dumper(Vector, VectorBinaryDumper)
psycopg.adapters.register_dumper(HalfVector, HalfVectorBinaryDumper)


def parameter(vector: Sequence[float], vector_type: str) -> Vector | HalfVector:
    """A vector for a placeholder that is cast to its type.

    vector_type: "halfvec" for half precision; anything else is `vector`.
    """
    return HalfVector(vector) if vector_type == "halfvec" else Vector(vector)


def array(count: int, vector_type: sql.SQL) -> sql.Composed:
    """An array of so many placeholders for `parameter`.

    An array as one parameter would name the type's OID in its header.
    """
    element = sql.SQL("%s::{}").format(vector_type)
    return sql.SQL("array[{}]").format(sql.SQL(", ").join([element] * count))


def binary(vector: Sequence[float]) -> bytes:
    """A `vector` as it stands in a row of a binary COPY."""
    data: bytes = Vector(vector).to_binary()
    return data


def from_binary(data: bytes, vector_type: str) -> list[float]:
    """The vector that `vector_send` or `halfvec_send` returned."""
    kind = HalfVector if vector_type == "halfvec" else Vector
    found: list[float] = kind.from_binary(data).to_list()
    return found
