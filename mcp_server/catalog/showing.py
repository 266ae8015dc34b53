"""Tables as text or JSON, in as few words as somebody needs who writes SQL.

The text is M-Schema: a table's name and comment, then `(column:type, ...)` a line, and the foreign
keys of all tables at the end. It has no example values: rows are read by `run_query` alone.
Source: XiYan-SQL, "M-Schema" (https://github.com/XGenerationLab/M-Schema).
"""

from collections.abc import Iterator, Sequence

from mcp_server.catalog.tables import Column, Found, Table
from mcp_server.nl2sql.database.identifiers import written
from mcp_server.rendering import Json, clip

COMPACT_COMMENT_CHARACTERS = 80
COMPACT_LABELS = 12

FIELDS = ("name", "type", "not_null", "default", "comment", "values")
"""Of a column in JSON; those that say nothing at its end are left out."""


def names(found: Sequence[Found]) -> list[str]:
    """A line for each table: its name, and what it is where it is no plain table."""
    return [each.label if each.kind == "table" else f"{each.label} ({each.kind})" for each in found]


def text(database: str, tables: Sequence[Table], *, full: bool) -> list[str]:
    """The lines of M-Schema."""
    lines = [f"【DB_ID】 {written(database)}", "【Schema】"]
    for table in tables:
        lines += _lines(table, full=full)
    references = [line for table in tables for line in _references(table)]
    return [*lines, "【Foreign keys】", *references] if references else lines


def as_json(table: Table, *, full: bool) -> dict[str, Json]:
    """One table: its columns are lists of FIELDS."""
    told: dict[str, Json] = {
        "schema": table.found.schema,
        "name": table.found.name,
        "kind": table.found.kind,
        "comment": _comment(table.comment, full=full),
        "columns": [_trimmed(_fields(column, full=full)) for column in table.columns],
        "primary_key": list(table.primary_key),
        "foreign_keys": [
            {
                "columns": list(each.columns),
                "references": written(*each.table),
                "referenced_columns": list(each.referenced),
            }
            for each in table.references
        ],
        "partition_key": table.partition_key,
        "partitions": table.partitions,
        "partition_of": _partition_of(table),
    }
    if full:
        told |= {
            "estimated_rows": table.estimated_rows,
            "size_bytes": table.size_bytes,
            "constraints": list(table.constraints),
            "indexes": list(table.indexes),
            "definition": table.definition,
        }
    return {key: value for key, value in told.items() if value not in (None, [])}


def _lines(table: Table, *, full: bool) -> Iterator[str]:
    kind = "" if table.found.kind == "table" else f" ({table.found.kind})"
    comment = _comment(table.comment, full=full)
    yield f"# Table: {table.found.label}{kind}" + (f", {_in_line(comment)}" if comment else "")
    if table.partition_key is not None:
        yield f"partition by {_in_line(table.partition_key)}; {table.partitions} partitions"
    if (part := _partition_of(table)) is not None:
        yield f"partition of {_in_line(part)}"
    yield "["
    for column in table.columns:
        yield f"({', '.join(_words(column, column.name in table.primary_key, full=full))}),"
    yield "]"
    if full:
        yield from _details(table)


def _words(column: Column, in_key: bool, *, full: bool) -> Iterator[str]:
    yield f"{written(column.name)}:{column.type}"
    if in_key:
        yield "Primary Key"
    elif full and column.not_null:
        yield "not null"
    if column.default is not None:
        is_generated = column.default.startswith("generated ")
        yield _in_line(column.default if is_generated else f"default {column.default}")
    if comment := _comment(column.comment, full=full):
        yield _in_line(comment)
    if column.labels:
        yield f"Values: [{', '.join(map(_in_line, _labels(column, full=full)))}]"


def _details(table: Table) -> Iterator[str]:
    size = [] if table.size_bytes is None else [f"{table.size_bytes} bytes"]
    rows = [] if table.estimated_rows is None else [f"about {table.estimated_rows} rows"]
    if size or rows:
        yield ", ".join([*rows, *size])
    yield from map(_in_line, [*table.constraints, *table.indexes])
    if table.definition is not None:
        yield f"as {_in_line(table.definition)}"


def _references(table: Table) -> Iterator[str]:
    for each in table.references:
        here = [written(table.found.schema, table.found.name, column) for column in each.columns]
        there = [written(*each.table, column) for column in each.referenced]
        yield " and ".join(f"{one}={other}" for one, other in zip(here, there, strict=True))


def _fields(column: Column, *, full: bool) -> list[Json]:
    return [
        column.name,
        column.type,
        column.not_null or None,
        column.default,
        _comment(column.comment, full=full),
        _labels(column, full=full) or None,
    ]


def _trimmed(fields: list[Json]) -> list[Json]:
    while fields and fields[-1] is None:
        fields.pop()
    return fields


def _comment(comment: str | None, *, full: bool) -> str | None:
    if comment is None or full or len(comment) <= COMPACT_COMMENT_CHARACTERS:
        return comment
    return comment[: COMPACT_COMMENT_CHARACTERS - 1] + "…"


def _labels(column: Column, *, full: bool) -> list[str]:
    if full or len(column.labels) <= COMPACT_LABELS:
        return list(column.labels)
    return [*column.labels[:COMPACT_LABELS], f"… {len(column.labels) - COMPACT_LABELS} more"]


def _partition_of(table: Table) -> str | None:
    if table.partition_of is None:
        return None
    schema, name, bound = table.partition_of
    return f"{written(schema, name)} {bound}"


def _in_line(text: str) -> str:
    """On one line: a comment may not look like lines of ours."""
    return " ".join(clip(text, 4000).split())
