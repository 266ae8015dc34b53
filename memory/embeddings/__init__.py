"""Embeddings that need no network, and what makes others fit: names, batches, a cache."""

from memory.embeddings.cached import CachedEmbeddings
from memory.embeddings.choosing import (
    check_vectors,
    dimensions_of,
    embeddings_from,
    init_embeddings,
    probed_dimensions,
)
from memory.embeddings.hashed import HashEmbeddings
from memory.embeddings.local import LocalEmbeddings

__all__ = [
    "CachedEmbeddings",
    "HashEmbeddings",
    "LocalEmbeddings",
    "check_vectors",
    "dimensions_of",
    "embeddings_from",
    "init_embeddings",
    "probed_dimensions",
]
