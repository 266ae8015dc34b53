"""What the built-in translator knows of a database, as a prompt tells it: values, counts, ranges.

The planner's statistics know the common values; the profile knows up to 2,000 of each column, and
the linker finds them also where they are misspelt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mcp_server.nl2sql.database import identifiers
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.model.prompt import (
    EXAMPLES,
    FoundValue,
    PromptColumn,
    PromptSchema,
    PromptTable,
)
from mcp_server.nl2sql.model.ranking import likeliest
from mcp_server.nl2sql.schema.model import Column
from mcp_server.nl2sql.words.tokens import tokenize

ALL_VALUES = 12
"""A column of at most so many different texts is shown with all of them."""
VALUES_FOUND = 20
PLACES_OF_A_VALUE = 3
"""In how many columns one value of the question is pointed out."""

Place = tuple[str | None, str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """Words of the question that are a value, and where it is."""

    words: str
    place: Place
    value: str


@dataclass(frozen=True, slots=True)
class Facts:
    """columns: by schema (None for the first of a name), table and column. hidden: as that of a
    profile.
    """

    columns: Mapping[Place, Column] = field(default_factory=dict)
    said: tuple[Said, ...] = ()
    hidden: frozenset[tuple[str, str]] = frozenset()


def facts(question: str, linker: Linker) -> Facts:
    """The facts of the profile, and the values that a question says."""
    columns: dict[Place, Column] = {}
    for table in linker.profile.tables:
        for column in table.columns:
            columns[table.schema, table.name, column.name] = column
            columns.setdefault((None, table.name, column.name), column)
    said = [
        Said(ref.text, (column.table.schema, column.table.name, column.name), value)
        for ref in linker.refs(linker.prepare(tokenize(question)))
        for column, value in ref.values
    ]
    return Facts(columns, tuple(said), linker.profile.hidden)


def with_facts(schema: PromptSchema, known: Facts) -> PromptSchema:
    """The schema with what the profile adds to its columns, without tables that are hidden."""
    tables = tuple(
        replace(
            table,
            columns=tuple(_with_facts(each, _known(table, each, known)) for each in table.columns),
            comment="; ".join(part for part in (table.comment, _told(table, known)) if part),
        )
        for table in schema.tables
        if not _hidden(table, known)
    )
    shown = {table.name for table in tables}
    keys = tuple(key for key in schema.keys if {key.table, key.target} <= shown)
    return replace(schema, tables=tables, keys=keys)


def _hidden(table: PromptTable, known: Facts) -> bool:
    parts = identifiers.read(table.name) or ()
    schema = parts[0] if len(parts) > 1 else ""
    return bool(parts) and (schema, parts[-1]) in known.hidden


def _told(table: PromptTable, known: Facts) -> str:
    columns = (_known(table, each, known) for each in table.columns)
    return next((column.table.told for column in columns if column is not None), "")


def found_values(schema: PromptSchema, known: Facts, question: str) -> tuple[FoundValue, ...]:
    """The values that the question says in tables that the prompt shows, the longest first.

    One that is in several columns is pointed out in those of the likeliest tables.
    """
    likely = {table.name: place for place, table in enumerate(likeliest(schema, question))}
    shown = {
        id(column): (table, each)
        for table in schema.tables
        for each in table.columns
        if (column := _known(table, each, known)) is not None
    }
    found: dict[str, list[FoundValue]] = {}
    for said in known.said:
        column = known.columns[said.place]
        if id(column) in shown:
            table, each = shown[id(column)]
            value = FoundValue(said.words, table.name, each.name, said.value)
            found.setdefault(said.words, []).append(value)
    every: list[FoundValue] = []
    for values in sorted(found.values(), key=lambda values: -len(values[0].value)):
        every += sorted(values, key=lambda value: likely[value.table])[:PLACES_OF_A_VALUE]
    return tuple(every[:VALUES_FOUND])


def _known(table: PromptTable, column: PromptColumn, known: Facts) -> Column | None:
    parts = identifiers.read(table.name)
    name = identifiers.read(column.name)
    if parts is None or name is None:
        return None
    schema = parts[0] if len(parts) > 1 else None
    return known.columns.get((schema, parts[-1], name[-1]))


def _with_facts(column: PromptColumn, known: Column | None) -> PromptColumn:
    if known is None:
        return column
    values = tuple(sorted(known.values.values()))
    every = 0 < len(values) == known.distinct <= ALL_VALUES
    if every:
        return replace(column, distinct=known.distinct, examples=values, all_values=True)
    low, high = column.low, column.high
    if known.low is not None and known.high is not None:
        low, high = f"{known.low:g}", f"{known.high:g}"
    examples = column.examples or values[:EXAMPLES]
    distinct = known.distinct or None
    return replace(column, distinct=distinct, low=low, high=high, examples=examples)
