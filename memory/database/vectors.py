"""What pgvector calls things, and how a search by vector and words is made of both.

Sources: pgvector README, "Indexing" and "Iterative Index Scans"; reciprocal rank fusion: Cormack et
al. (SIGIR 2009).
"""

from collections.abc import Sequence

OPERATORS: dict[str, str] = {"cosine": "<=>", "l2": "<->", "inner_product": "<#>"}
OPCLASSES: dict[str, str] = {"cosine": "cosine_ops", "l2": "l2_ops", "inner_product": "ip_ops"}
# The longest vectors that an HNSW index takes.
MOST_DIMENSIONS = {"vector": 2000, "halfvec": 4000, "bit": 16_000}

RRF_K = 60
RRF_CANDIDATES = 50

ITERATIVE = (
    "select set_config('hnsw.iterative_scan', 'strict_order', true),"
    " set_config('hnsw.ef_search', %s, true)"
)


def literal(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, map(float, vector)))}]"
