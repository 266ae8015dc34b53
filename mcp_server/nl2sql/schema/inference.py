"""Joins that nobody declared, from names and values."""

from collections.abc import Iterator
from itertools import combinations

from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Profile, Table

GENERIC = frozenset(["id", "name", "code", "type", "date", "year", "status", "description"])
SHARED_VALUES_MIN = 0.5


def inferred(found: Profile) -> list[ForeignKey]:
    """Keys by name; and where tables hang together in no way, columns of one name in both."""
    guesses = list(_by_key_name(found))
    groups = _connected(found.tables, [*found.foreign_keys, *guesses])
    for one, other in combinations(found.tables, 2):
        if groups[one] == groups[other]:
            continue
        key = _same_column(one, other)
        if key is not None:
            guesses.append(key)
            joined, absorbed = groups[one], groups[other]
            groups = {t: joined if group == absorbed else group for t, group in groups.items()}
    return guesses


def _by_key_name(found: Profile) -> Iterator[ForeignKey]:
    """A column named as another table's key, with values of it."""
    elsewhere = {
        key.column for key in found.foreign_keys if key.target.table is not key.column.table
    }
    for column in found.columns:
        if column in elsewhere or (column.primary and column.table.key is column):
            continue
        for table in found.tables:
            key = table.key
            if key is None or table is column.table or key.kind is not column.kind:
                continue
            same_name = key.name == column.name and key.name not in GENERIC
            named_for = column.words in (
                (*table.words, *key.words[-1:]),
                (*table.words, "id"),
                table.words,
            )
            if not (same_name or named_for):
                continue
            if key.values and column.values and not set(column.values) <= set(key.values):
                continue
            yield ForeignKey(column, key, inferred=True)


def _same_column(one: Table, other: Table) -> ForeignKey | None:
    for column in one.columns:
        match = other.column(column.name)
        if match is None or match.kind is not column.kind or column.name in GENERIC:
            continue
        if column.kind not in (Kind.NUMBER, Kind.TEXT):
            continue
        if column.kind is Kind.TEXT and not _share_values(column, match):
            continue
        if column.distinct > match.distinct:
            return ForeignKey(match, column, inferred=True)
        return ForeignKey(column, match, inferred=True)
    return None


def _share_values(one: Column, other: Column) -> bool:
    fewer = min(len(one.values), len(other.values))
    return bool(fewer) and len(set(one.values) & set(other.values)) >= SHARED_VALUES_MIN * fewer


def _connected(tables: list[Table], keys: list[ForeignKey]) -> dict[Table, int]:
    """The number of the group that each table belongs to."""
    groups = {table: number for number, table in enumerate(tables)}
    for key in keys:
        one, other = groups[key.column.table], groups[key.target.table]
        if one != other:
            groups = {table: one if group == other else group for table, group in groups.items()}
    return groups
