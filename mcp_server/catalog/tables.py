"""Tables by their names, and what is known of each, read in a handful of queries for all."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from mcp_server.catalog import queries
from mcp_server.errors import SqlRefusedError
from mcp_server.nl2sql.database.catalog import nearest, user_relations
from mcp_server.nl2sql.database.identifiers import read, written
from mcp_server.nl2sql.database.names import table_message
from mcp_server.nl2sql.database.own_names import OWN_SCHEMAS
from mcp_server.nl2sql.database.steps import arun

Connection = AsyncConnection[Any]

COLUMNS_READ = 100_000
"""Of all tables of one answer."""


@dataclass(frozen=True, slots=True)
class Found:
    """A table or view. width: how many columns it has had."""

    oid: int
    schema: str
    name: str
    kind: str
    width: int

    @property
    def label(self) -> str:
        """Its name as a statement must write it."""
        return written(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. labels: those of its enum type. default: or how it is generated."""

    name: str
    type: str
    not_null: bool
    default: str | None
    comment: str | None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: columns, and those of the table that they refer to."""

    columns: tuple[str, ...]
    table: tuple[str, str]
    referenced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of one. Sizes, definitions, constraints and indexes only if asked for in full.

    partition_of: schema and name of the table that it is a part of, and which part.
    """

    found: Found
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    references: tuple[Reference, ...]
    constraints: tuple[str, ...]
    indexes: tuple[str, ...]
    estimated_rows: int | None
    size_bytes: int | None
    comment: str | None
    partition_key: str | None
    partitions: int | None
    partition_of: tuple[str, str, str] | None
    definition: str | None


async def tables_of(connection: Connection, schema: str | None, limit: int) -> list[Found]:
    """The tables and views of a schema, or of all but this package's own.

    Raises SqlRefusedError for a schema that is not there.
    """
    if schema is not None:
        schema = await schema_of(connection, schema)
    rows = connection.cursor(row_factory=dict_row)
    found = await (
        await rows.execute(
            queries.TABLES, {"schema": schema, "own": list(OWN_SCHEMAS), "limit": limit}
        )
    ).fetchall()
    return [Found(**row) for row in found]


async def tables_named(
    connection: Connection, names: Sequence[str], schema: str | None
) -> list[Found]:
    """The tables of these names, each read as SQL reads it or else as it stands.

    Raises SqlRefusedError for one that is not there, with the nearest.
    """
    if schema is not None:
        schema = await schema_of(connection, schema)
    database = connection.info.dbname
    tried = [
        (place, *reading)
        for place, name in enumerate(names)
        for reading in readings(name, database)
    ]
    rows = connection.cursor(row_factory=dict_row)
    wanted = {
        "schema": schema,
        "places": list(range(len(tried))),
        "schemas": [each[1] for each in tried],
        "names": [each[2] for each in tried],
    }
    hits: dict[int, list[Found]] = defaultdict(list)
    for row in await (await rows.execute(queries.NAMED_TABLES, wanted)).fetchall():
        hits[row.pop("place")].append(Found(**row))
    found: dict[int, Found] = {}
    missing = []
    for place, name in enumerate(names):
        first = next(
            (hits[at] for at, each in enumerate(tried) if each[0] == place and hits[at]), None
        )
        if first is None:
            missing.append(name)
        found |= {each.oid: each for each in first or ()}
    if missing:
        known = await arun(connection, user_relations())
        raise SqlRefusedError("; ".join(_no_table(name, schema, known) for name in missing))
    return list(found.values())


def readings(name: str, database: str) -> list[tuple[str | None, str]]:
    """(schema or None, table) for each way to read a name, the likeliest first."""
    ways: list[tuple[str | None, str]] = []
    parts = read(name)
    if parts is not None and len(parts) == 3 and parts[0] == database:
        parts = parts[1:]
    if parts is not None and len(parts) <= 2:
        ways.append((parts[0] if len(parts) == 2 else None, parts[-1]))
    ways.append((None, name))
    ways += [(name[:at], name[at + 1 :]) for at, each in enumerate(name) if each == "."]
    return list(dict.fromkeys(ways))


async def schema_of(connection: Connection, name: str) -> str:
    """A schema by its name, as SQL reads it or as it stands. Raises SqlRefusedError."""
    rows = await (await connection.execute(queries.SCHEMA_NAMES)).fetchall()
    known: list[str] = [schema for (schema,) in rows]
    parts = read(name)
    tried = [name] if parts is None or len(parts) > 1 else [name, parts[0]]
    there = [each for each in tried if each in known]
    if there:
        return there[0]
    near = nearest(name, known) or known[:20]
    raise SqlRefusedError(
        f"there is no schema {name!r}; nearest: {', '.join(map(written, near)) or 'none'}"
    )


async def described(connection: Connection, found: Sequence[Found], *, full: bool) -> list[Table]:
    """What is known of the tables, as many of them as have not too many columns together."""
    kept: list[Found] = []
    width = 0
    for each in found:
        width += each.width
        if kept and width > COLUMNS_READ:
            break
        kept.append(each)
    asked = {"oids": [each.oid for each in kept], "full": full}
    rows = connection.cursor(row_factory=dict_row)
    facts = {
        row.pop("oid"): row for row in await (await rows.execute(queries.FACTS, asked)).fetchall()
    }
    columns = await _columns(connection, asked)
    keys = _by_table(await (await rows.execute(queries.CONSTRAINTS, asked)).fetchall())
    indexes = (
        _by_table(await (await rows.execute(queries.INDEXES, asked)).fetchall()) if full else {}
    )
    return [
        _table(each, facts[each.oid], columns, keys.get(each.oid, []), indexes.get(each.oid, []))
        for each in kept
        if each.oid in facts
    ]


async def _columns(connection: Connection, asked: dict[str, Any]) -> dict[int, list[Column]]:
    rows = await (await connection.execute(queries.COLUMNS, asked)).fetchall()
    types = {"types": sorted({row[6] for row in rows})}
    labels = {
        type_: tuple(found)
        for type_, found in await (await connection.execute(queries.LABELS, types)).fetchall()
    }
    columns: dict[int, list[Column]] = defaultdict(list)
    for table, name, type_, not_null, default, comment, type_oid in rows:
        columns[table].append(
            Column(name, type_, not_null, default, comment, labels.get(type_oid, ()))
        )
    return columns


def _by_table(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["table_oid"]].append(row)
    return found


def _table(
    found: Found,
    facts: dict[str, Any],
    columns: dict[int, list[Column]],
    keys: list[dict[str, Any]],
    indexes: list[dict[str, Any]],
) -> Table:
    part = facts.pop("partition_of")
    return Table(
        found=found,
        columns=tuple(columns.get(found.oid, ())),
        primary_key=tuple(next((key["columns"] for key in keys if key["kind"] == "p"), ())),
        references=tuple(
            Reference(
                tuple(key["columns"]), tuple(key["references"]), tuple(key["referenced_columns"])
            )
            for key in keys
            if key["kind"] == "f"
        ),
        constraints=tuple(key["definition"] for key in keys if key["kind"] in "ucx"),
        indexes=tuple(index["definition"] for index in indexes),
        partition_of=None if part is None else tuple(part),
        **facts,
    )


def _no_table(name: str, schema: str | None, known: list[Any]) -> str:
    parts = read(name) or tuple(name.rsplit(".", 1))
    return table_message(parts[-2] if len(parts) > 1 else schema, parts[-1], known)
