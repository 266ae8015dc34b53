"""The vector index of a store: its configuration, its table, and its SQL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.embeddings import Embeddings
from langgraph.store.base import IndexConfig, get_text_at_path, tokenize_path
from psycopg import sql

from memory.database.steps import Execute, FetchOne, Steps
from memory.database.vectors import MOST_DIMENSIONS, OPCLASSES, OPERATORS, parameter
from memory.embeddings import dimensions_of, embeddings_from
from memory.errors import ConfigurationError

VectorType = Literal["vector", "halfvec", "bit"]
Distance = Literal["cosine", "l2", "inner_product"]

EXACT_UP_TO = 10_000
RERANK = 10


class BorealisIndexConfig(IndexConfig, total=False):
    """LangGraph's `IndexConfig` (dims, embed, fields) and what pgvector offers beyond it.

    embed: as `memory.embeddings.embeddings_from` takes it; hashed embeddings if left out.
    distance_type: "cosine" (default), "l2" or "inner_product".
    ann_index_config: {"kind": "hnsw" | "flat", "vector_type": "vector" | "halfvec" | "bit",
        "m": ..., "ef_construction": ...}. "bit" indexes one bit for each dimension and ranks the
        best again by the full vectors.
    hybrid: searches rank by words too (full text), fused by reciprocal rank.
    language: the text search configuration of hybrid searches, by default "simple".
    exact_up_to: a namespace of so many vectors is searched exactly.
    """

    distance_type: Distance
    ann_index_config: dict[str, Any]
    hybrid: bool
    language: str
    exact_up_to: int


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
    exact_up_to: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Index":
        """Check a configuration; raises `ConfigurationError`."""
        ann = dict(config.get("ann_index_config") or {})
        kind, vector_type = ann.pop("kind", "hnsw"), ann.pop("vector_type", "vector")
        distance = config.get("distance_type", "cosine")
        _one_of("ann_index_config kind", kind, ("hnsw", "flat"))
        _one_of("vector_type", vector_type, tuple(MOST_DIMENSIONS))
        _one_of("distance_type", distance, tuple(OPERATORS))
        if unknown := ann.keys() - {"m", "ef_construction"}:
            raise ConfigurationError(f"unknown HNSW parameters: {', '.join(sorted(unknown))}")
        embeddings = embeddings_from(config.get("embed"))
        dims = dimensions_of(embeddings, config.get("dims"))
        if kind == "hnsw" and dims > MOST_DIMENSIONS[vector_type]:
            raise ConfigurationError(
                f"an HNSW index on {vector_type} takes at most {MOST_DIMENSIONS[vector_type]} "
                f"dimensions, not {dims}; use halfvec, bit, or kind 'flat'"
            )
        fields = config.get("fields") or ["$"]
        return cls(
            embeddings=embeddings,
            dims=dims,
            fields=tuple(_tokenized([fields] if isinstance(fields, str) else fields)),
            distance=distance,
            vector_type=vector_type,
            ann=kind == "hnsw",
            parameters={name: int(value) for name, value in ann.items()},
            hybrid=bool(config.get("hybrid", False)),
            language=str(config.get("language", "simple")),
            exact_up_to=int(config.get("exact_up_to", EXACT_UP_TO)),
        )

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
        return 1.0 - distance if self.distance == "cosine" else -distance

    def texts(
        self, value: Mapping[str, Any], index: Sequence[str] | None
    ) -> Iterator[tuple[str, str]]:
        """(field name, text) pairs to embed of a value."""
        for path, tokens in self.fields if index is None else _tokenized(index):
            found = get_text_at_path(value, tokens)
            for number, text in enumerate(found):
                yield (f"{path}.{number}" if len(found) > 1 else path), text


def _tokenized(paths: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for path in paths:
        yield path, path if path == "$" else tokenize_path(path)


def _one_of(what: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{what} is {value!r}; it must be one of {', '.join(allowed)}")


TABLE_TYPE = sql.SQL(
    "select format_type(a.atttypid, a.atttypmod) from pg_attribute a"
    " where a.attrelid = to_regclass(%s) and a.attname = 'embedding'"
)


def install_vectors(schema: str, index: Index) -> Steps[None]:
    """Create the vector table, or check that it fits; part of the setup transaction."""
    name = sql.Identifier(schema)
    row = yield FetchOne("select exists (select from pg_extension where extname = 'vector')")
    if not row[0]:
        yield Execute("create extension if not exists vector")
    row = yield FetchOne(TABLE_TYPE, (sql.Identifier(schema, "memory_vectors").as_string(),))
    wanted = index.column_type.as_string()
    if row is not None:
        if row[0].rpartition(".")[2] != wanted:
            raise ConfigurationError(
                f"schema {schema!r} has vectors of type {row[0]}, this index makes {wanted}; use "
                "another schema for another kind of embedding"
            )
        return
    yield Execute(
        sql.SQL(
            """create table {schema}.memory_vectors (
                item_key bigint not null references {schema}.memory_items on delete cascade,
                field text not null,
                ns_key bigint not null,
                embedding {type} not null,
                primary key (item_key, field)
            );
            create index memory_vectors_ns on {schema}.memory_vectors (ns_key);
            alter table {schema}.memory_vectors enable row level security;
            create policy memory_tenant on {schema}.memory_vectors using (exists (
                select from {schema}.memory_namespaces n where n.ns_key = memory_vectors.ns_key))
            """
        ).format(schema=name, type=index.column_type)
    )
    if index.ann:
        yield Execute(_ann_index(name, index))


def _ann_index(schema: sql.Identifier, index: Index) -> sql.Composed:
    if index.vector_type == "bit":
        target: sql.Composable = sql.SQL(
            "(binary_quantize(embedding)::bit({})) bit_hamming_ops"
        ).format(sql.Literal(index.dims))
    else:
        opclass = f"{index.vector_type}_{OPCLASSES[index.distance]}"
        target = sql.SQL("embedding {}").format(sql.Identifier(opclass))
    options = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in index.parameters.items()
    )
    with_options = sql.SQL(" with ({})").format(options) if index.parameters else sql.SQL("")
    return sql.SQL("create index memory_vectors_ann on {}.memory_vectors using hnsw ({}){}").format(
        schema, target, with_options
    )
