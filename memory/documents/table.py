"""A table of documents in langchain-postgres' layout: its columns, opening it, making it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from memory.database.scope import require_identifier
from memory.database.steps import Execute, FetchAll, FetchOne, Steps
from memory.database.vectors import MOST_DIMENSIONS, OPCLASSES
from memory.documents.filters import Fields
from memory.errors import ConfigurationError, SetupRequiredError

DESCRIBE = """
select a.attname, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, -1)
from pg_attribute a where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped
"""
ANN_INDEXES = """
select c.oid::regclass::text, m.amname, o.opcname, i.indisvalid
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
join pg_opclass o on o.oid = any(i.indclass)
where i.indrelid = to_regclass(%s) and a.attname = %s and m.amname in ('hnsw', 'ivfflat')
order by c.oid
"""
"""In the order in which they were begun."""
WORDS_INDEX = """
select exists (select from pg_index i where i.indrelid = to_regclass(%s) and i.indisvalid
    and pg_get_expr(i.indexprs, i.indrelid) like 'to_tsvector(%%')
"""
"""langchain-postgres makes one where a table has no column of words."""
TYPE_NAME = re.compile(
    r"[a-z_][a-z0-9_ ]*(\(\s*\d+\s*(,\s*-?\d+\s*)?\))?( with(out)? time zone)?(\[\d*\])*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AnnIndex:
    """An approximate index of the vectors, as the database has it."""

    name: str
    kind: str
    distance: str
    valid: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of a table's columns; the defaults are langchain-postgres'."""

    table: str
    schema: str = "public"
    id: str = "langchain_id"
    content: str = "content"
    embedding: str = "embedding"
    metadata_columns: tuple[str, ...] = ()
    json: str = "langchain_metadata"
    tsv: str | None = None

    def __post_init__(self) -> None:
        require_identifier("table_name", self.table)
        require_identifier("schema_name", self.schema)
        columns = (self.id, self.content, self.embedding, *self.metadata_columns, self.json)
        for column in columns if self.tsv is None else (*columns, self.tsv):
            require_identifier("column", column)

    @property
    def name(self) -> sql.Identifier:
        """The table, qualified and quoted."""
        return sql.Identifier(self.schema, self.table)


@dataclass(frozen=True, slots=True)
class Opened:
    """A table as it is: its layout, the types of its columns, and its ANN indexes.

    kinds: types without a length; a cast to one with a length would cut a value in silence.
    words_index: whether there is an index of the words of whole contents: each has few enough.
    """

    layout: Layout
    types: Mapping[str, str]
    kinds: Mapping[str, str]
    indexes: tuple[AnnIndex, ...] = ()
    words_index: bool = False

    @property
    def ann(self) -> bool:
        """Whether there is an ANN index of use."""
        return any(index.valid for index in self.indexes)

    @property
    def vector_type(self) -> str:
        """`vector` or `halfvec`."""
        return self.types[self.layout.embedding].partition("(")[0].rpartition(".")[2]

    @property
    def json(self) -> str | None:
        """The column of other metadata, if the table has it."""
        return self.layout.json if self.layout.json in self.types else None

    @property
    def tsv(self) -> str | None:
        """The column of words, if the table has it."""
        return self.layout.tsv if self.layout.tsv in self.types else None

    @property
    def fields(self) -> Fields:
        """What a filter may name."""
        return Fields(frozenset(self.layout.metadata_columns), self.json)


def open_table(layout: Layout) -> Steps[Opened]:
    """Look at an existing table; raises if it does not have the columns of the layout."""
    regclass = layout.name.as_string()
    rows = yield FetchAll(DESCRIBE, (regclass,))
    if not rows:
        raise SetupRequiredError(
            f"there is no table {layout.schema}.{layout.table}; call setup() once, or check the "
            "name"
        )
    types = {name: of for name, of, _ in rows}
    kinds = {name: kind for name, _, kind in rows}
    needed = (layout.id, layout.content, layout.embedding, *layout.metadata_columns)
    if missing := [name for name in needed if name not in types]:
        raise ConfigurationError(
            f"table {layout.schema}.{layout.table} has no column {', '.join(missing)}; it has "
            f"{', '.join(types)}"
        )
    found = yield FetchAll(ANN_INDEXES, (regclass, layout.embedding))
    row = yield FetchOne(WORDS_INDEX, (regclass,))
    opened = Opened(layout, types, kinds, tuple(_index(*each) for each in found), row[0])
    if opened.vector_type not in ("vector", "halfvec"):
        raise ConfigurationError(
            f"column {layout.embedding} is of type {types[layout.embedding]}, not vector or halfvec"
        )
    return opened


def _index(name: str, kind: str, opclass: str, valid: bool) -> AnnIndex:
    distances = {ops: distance for distance, ops in OPCLASSES.items()}
    return AnnIndex(name, kind, distances.get(opclass.partition("_")[2], opclass), valid)


def check_table(
    opened: Opened, *, dims: int, vector_type: str | None, distance: str, ann: bool | None
) -> None:
    """Raise ConfigurationError where a table is not what `setup` was asked for."""
    name = f"{opened.layout.schema}.{opened.layout.table}"
    has = opened.types[opened.layout.embedding].rpartition(".")[2]
    wanted = f"{vector_type or opened.vector_type}({dims})"
    if "(" in has and has != wanted:
        raise ConfigurationError(
            f"table {name} has vectors of type {has}, this store makes {wanted}; use another table "
            "for another kind of embedding"
        )
    if opened.ann and all(index.distance != distance for index in opened.indexes):
        raise ConfigurationError(
            f"the index of {name} is for the distance {opened.indexes[0].distance!r}, this store's "
            f"is {distance!r}; call reindex() to make it from scratch"
        )
    if ann is not None and ann != opened.ann:
        there = "has no approximate index" if ann else "has an approximate index"
        raise ConfigurationError(f"table {name} {there}; call reindex(ann={ann}) to change that")


def create_table(
    layout: Layout,
    *,
    dims: int,
    vector_type: str | None,
    distance: str,
    id_type: str,
    metadata_types: Mapping[str, str],
    ann: bool | None,
) -> Steps[None]:
    """Create the table and its indexes, or check that it is so; part of one transaction."""
    regclass = layout.name.as_string()
    yield FetchOne(
        "select pg_advisory_xact_lock(hashtextextended('borealis.documents:' || %s, 4715))",
        (regclass,),
    )
    row = yield FetchOne("select to_regclass(%s) is not null", (regclass,))
    if row[0]:
        opened = yield from open_table(layout)
        check_table(opened, dims=dims, vector_type=vector_type, distance=distance, ann=ann)
        return
    there = "select exists (select from pg_namespace where nspname = %s)"
    row = yield FetchOne(there, (layout.schema,))
    if not row[0]:
        yield Execute(
            sql.SQL("create schema if not exists {}").format(sql.Identifier(layout.schema))
        )
    vector_type = vector_type or "vector"
    if vector_type not in ("vector", "halfvec"):
        raise ConfigurationError(f"vector_type is {vector_type!r}; it must be vector or halfvec")
    row = yield FetchOne("select exists (select from pg_extension where extname = 'vector')")
    if not row[0]:
        yield Execute("create extension if not exists vector")
    columns = [
        sql.SQL("{} {} primary key").format(sql.Identifier(layout.id), _type(id_type)),
        sql.SQL("{} text not null").format(sql.Identifier(layout.content)),
        sql.SQL("{} {}({}) not null").format(
            sql.Identifier(layout.embedding), _type(vector_type), sql.Literal(dims)
        ),
    ]
    if layout.tsv is not None:
        columns.append(sql.SQL("{} tsvector not null").format(sql.Identifier(layout.tsv)))
    columns += [
        sql.SQL("{} {}").format(sql.Identifier(name), _type(metadata_types.get(name, "text")))
        for name in layout.metadata_columns
    ]
    columns.append(sql.SQL("{} json").format(sql.Identifier(layout.json)))
    yield Execute(sql.SQL("create table {} ({})").format(layout.name, sql.SQL(", ").join(columns)))
    if ann is not False and dims <= MOST_DIMENSIONS[vector_type]:
        yield Execute(_make_index(layout, vector_type, distance, sql.SQL("create index")))
    if layout.tsv is not None:
        yield Execute(
            sql.SQL("create index on {} using gin ({})").format(
                layout.name, sql.Identifier(layout.tsv)
            )
        )


def _make_index(layout: Layout, vector_type: str, distance: str, create: sql.SQL) -> sql.Composed:
    return sql.SQL("{} on {} using hnsw ({} {})").format(
        create,
        layout.name,
        sql.Identifier(layout.embedding),
        sql.Identifier(f"{vector_type}_{OPCLASSES[distance]}"),
    )


def reindex_table(layout: Layout, distance: str, ann: bool) -> Steps[None]:
    """Make the ANN index again while the table is in use, then drop what was there before.

    To be run alone. An index that an interrupted run left unfinished is dropped too.
    """
    opened = yield from open_table(layout)
    if ann:
        yield Execute(
            _make_index(layout, opened.vector_type, distance, sql.SQL("create index concurrently"))
        )
        opened = yield from open_table(layout)
    # Of several runs at once the last one's stays, whoever drops the others.
    ready = [number for number, index in enumerate(opened.indexes) if index.valid]
    kept = ready[-1] if ann and ready else len(opened.indexes)
    for index in opened.indexes[:kept]:
        # A name as `regclass` writes it, quoted where it must be.
        yield Execute(b"drop index concurrently if exists " + index.name.encode())


def _type(name: str) -> sql.SQL:
    if TYPE_NAME.fullmatch(name) is None:
        raise ConfigurationError(f"{name!r} is not the name of a type")
    return sql.SQL(name)
