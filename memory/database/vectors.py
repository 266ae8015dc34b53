"""pgvector's words and types, and how a search by vector and words is made of both.

Sources: pgvector README, "Indexing" and "Iterative Index Scans"; reciprocal rank fusion: Cormack et
al. (SIGIR 2009).
"""

from collections.abc import Sequence

import psycopg
from pgvector.psycopg import HalfVector, Vector
from pgvector.psycopg.halfvec import HalfVectorBinaryDumper
from pgvector.psycopg.vector import VectorBinaryDumper
from psycopg import sql

OPERATORS: dict[str, str] = {"cosine": "<=>", "l2": "<->", "inner_product": "<#>"}
OPCLASSES: dict[str, str] = {"cosine": "cosine_ops", "l2": "l2_ops", "inner_product": "ip_ops"}
# The longest vectors that an HNSW index takes.
MOST_DIMENSIONS = {"vector": 2000, "halfvec": 4000, "bit": 16_000}

VECTORS_A_STATEMENT = 1000
"""Each is a parameter, of which the protocol allows 65,535."""

RRF_K = 60
RRF_CANDIDATES = 50
RRF_SCALE = (RRF_K + 1) / 2
"""Makes the score of what is first by vector and by words 1."""

ITERATIVE = (
    "select set_config('hnsw.iterative_scan', 'relaxed_order', true),"
    " set_config('hnsw.ef_search', %s, true)"
)
"""Whoever scans so sorts what it finds. Where it keeps the order by itself, pgvector leaves out
what it finds late, be it the nearest of all."""


# Registered without an OID, which differs from database to database: the casts in our statements
# (`%s::vector`) tell the server the type, and no connection has to look it up. In binary, one
# vector costs a twentieth of its text (docs/decisions/0004-arrays-and-vectors.md).
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
