"""The vector index of a store: its configuration, its table, and its SQL."""

import dataclasses
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.embeddings import Embeddings
from langgraph.store.base import IndexConfig, get_text_at_path, tokenize_path
from psycopg import sql

from memory.database.vectors import MOST_DIMENSIONS, OPERATORS, parameter
from memory.embeddings import dimensions_of, embeddings_from
from memory.errors import ConfigurationError
from memory.words import AUTO

VectorType = Literal["vector", "halfvec", "bit"]
Distance = Literal["cosine", "l2", "inner_product"]

UNKNOWN_DIMENSIONS = 0
RERANK = 10
MOST_OWN_INDEXES = 16


class BorealisIndexConfig(IndexConfig, total=False):
    """LangGraph's `IndexConfig` (dims, embed, fields) and what pgvector offers beyond it.

    embed: as `memory.embeddings.embeddings_from` takes it; hashed embeddings if left out.
    distance_type: "cosine" (default), "l2" or "inner_product".
    ann_index_config: {"kind": "hnsw" | "flat", "vector_type": "vector" | "halfvec" | "bit",
        "m": ..., "ef_construction": ...}. "bit" indexes one bit for each dimension and ranks the
        best again by the full vectors.
    hybrid: searches rank by words too (full text), fused by reciprocal rank.
    language: the text search configuration of hybrid searches; by default "auto", each text's own.
    exact_up_to: a namespace of so many vectors is searched exactly, a larger one by the index;
        without it, whichever costs less.
    own_indexes: at most so many big namespaces have an HNSW index of their own (16; alike for all
        workers, but with 0 one leaves them alone).
    """

    distance_type: Distance
    ann_index_config: dict[str, Any]
    hybrid: bool
    language: str
    exact_up_to: int
    own_indexes: int


@dataclass(frozen=True, slots=True)
class Index:
    """A checked configuration."""

    embeddings: Embeddings
    dims: int
    fields: tuple[tuple[str, Any], ...]
    distance: str
    vector_type: str
    ann: bool
    parameters: Mapping[str, int]
    hybrid: bool
    language: str
    exact_up_to: int | None
    own_indexes: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Index":
        """Check a configuration; raises `ConfigurationError`, also for a key that is unknown."""
        known = BorealisIndexConfig.__annotations__.keys() | IndexConfig.__annotations__.keys()
        for name in config:
            if name not in known and not name.startswith("__"):
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigurationError(f"index has the unknown key {name!r}{hint}")
        ann = dict(config.get("ann_index_config") or {})
        kind, vector_type = ann.pop("kind", "hnsw"), ann.pop("vector_type", "vector")
        distance = config.get("distance_type", "cosine")
        _one_of("ann_index_config kind", kind, ("hnsw", "flat"))
        _one_of("vector_type", vector_type, tuple(MOST_DIMENSIONS))
        _one_of("distance_type", distance, tuple(OPERATORS))
        if unknown := ann.keys() - {"m", "ef_construction"}:
            raise ConfigurationError(f"unknown HNSW parameters: {', '.join(sorted(unknown))}")
        embeddings = embeddings_from(config.get("embed"))
        given = config.get("dims")
        known_dims = given is not None or isinstance(getattr(embeddings, "dims", None), int)
        dims = dimensions_of(embeddings, given) if known_dims else UNKNOWN_DIMENSIONS
        if kind == "hnsw":
            _require_few(dims, vector_type)
        fields = config.get("fields") or ["$"]
        exact_up_to = config.get("exact_up_to")
        own_indexes = config.get("own_indexes", MOST_OWN_INDEXES)
        if isinstance(own_indexes, bool) or not isinstance(own_indexes, int) or own_indexes < 0:
            raise ConfigurationError(
                f"own_indexes is {own_indexes!r}; it must be a number of indexes, 0 for none"
            )
        return cls(
            embeddings=embeddings,
            dims=dims,
            fields=tuple(_tokenized([fields] if isinstance(fields, str) else fields)),
            distance=distance,
            vector_type=vector_type,
            ann=kind == "hnsw",
            parameters={name: int(value) for name, value in ann.items()},
            hybrid=bool(config.get("hybrid", False)),
            language=str(config.get("language", AUTO)),
            exact_up_to=None if exact_up_to is None else int(exact_up_to),
            own_indexes=own_indexes if kind == "hnsw" else 0,
        )

    def of_dimensions(self, dims: int) -> "Index":
        """The same for vectors of so many dimensions; raises `ConfigurationError`."""
        if self.ann:
            _require_few(dims, self.vector_type)
        return dataclasses.replace(self, dims=dims)

    @property
    def settings(self) -> dict[str, Any]:
        """What every process must ask for alike."""
        return {
            "dims": self.dims,
            "vector_type": self.vector_type,
            "distance_type": self.distance,
            "kind": "hnsw" if self.ann else "flat",
        }

    @property
    def own_settings(self) -> dict[str, Any]:
        """What the index of a namespace is made for."""
        return {**self.settings, **self.parameters}

    @property
    def column_type(self) -> sql.Composable:
        """The type of the column, with its dimensions."""
        kind = "halfvec" if self.vector_type == "halfvec" else "vector"
        return sql.SQL("{}({})").format(sql.SQL(kind), sql.Literal(self.dims))

    @property
    def query_type(self) -> sql.SQL:
        """The type that a query's vector is cast to."""
        return sql.SQL("halfvec" if self.vector_type == "halfvec" else "vector")

    def parameter(self, vector: Sequence[float]) -> Any:
        """A vector for a placeholder that is cast to `query_type`."""
        return parameter(vector, self.vector_type)

    @property
    def operator(self) -> sql.SQL:
        """pgvector's operator for the distance."""
        return sql.SQL(OPERATORS[self.distance])

    def score(self, distance: float) -> float:
        """The similarity that a distance means; more is more alike."""
        if distance != distance:
            return 0.0  # of a vector of zeros, which is like nothing
        return 1.0 - distance if self.distance == "cosine" else -distance

    def texts(
        self, value: Mapping[str, Any], index: Sequence[str] | None
    ) -> Iterator[tuple[str, str]]:
        """(field name, text) pairs to embed of a value."""
        for path, tokens in self.fields if index is None else _tokenized(index):
            try:
                found = get_text_at_path(value, tokens)
            except TypeError:  # something is not JSON: a date, a set, keys that do not compare
                shown = json.loads(json.dumps(value, default=str, skipkeys=True))
                found = get_text_at_path(shown, tokens)
            for number, text in enumerate(found):
                yield (f"{path}.{number}" if len(found) > 1 else path), text


def _require_few(dims: int, vector_type: str) -> None:
    if dims > MOST_DIMENSIONS[vector_type]:
        raise ConfigurationError(
            f"an HNSW index on {vector_type} takes at most {MOST_DIMENSIONS[vector_type]} "
            f"dimensions, not {dims}; use halfvec, bit, or kind 'flat'"
        )


def _tokenized(paths: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for path in paths:
        yield path, path if path == "$" else tokenize_path(path)


def _one_of(what: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{what} is {value!r}; it must be one of {', '.join(allowed)}")
