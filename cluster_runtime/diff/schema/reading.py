"""Reads the objects of a database, as DDL texts, from its catalogs."""

from collections import defaultdict
from typing import Any, LiteralString

from cluster_runtime.diff.schema.comparing import ObjectName, Objects
from cluster_runtime.diff.schema.ddl import (
    Column,
    Constraint,
    Described,
    Table,
    text_of,
    text_of_table,
)
from cluster_runtime.diff.schema.objects import OBJECTS
from cluster_runtime.diff.schema.relations import COLUMNS, CONSTRAINTS, TABLES
from cluster_runtime.diff.session import Reading

VIEWS = ("view", "materialized view")

Rows = list[tuple[Any, ...]]


def read_objects(session: Reading) -> Objects:
    """Every object that a tenant can make, in one round trip and one snapshot.

    Raises psycopg.Error.
    """
    *answers, tables, columns, constraints = _ask(session, (*OBJECTS, TABLES, COLUMNS, CONSTRAINTS))
    columns_of: dict[str, list[Column]] = defaultdict(list)
    for relation, *facts in columns:
        columns_of[relation].append(Column(*facts))
    constraints_of: dict[str, list[Constraint]] = defaultdict(list)
    for relation, *facts in constraints:
        constraints_of[relation].append(Constraint(*facts))
    texts = {}
    for each in (Described(*row) for rows in answers for row in rows):
        of_view = columns_of[each.name] if each.kind in VIEWS else ()
        texts[ObjectName(each.kind, each.name)] = text_of(each, of_view)
    for table in (_table(row) for row in tables):
        name = table.described.name
        texts[ObjectName(table.described.kind, name)] = text_of_table(
            table, columns_of[name], constraints_of[name], [columns_of[up] for up in table.parents]
        )
    return texts


def _ask(session: Reading, queries: tuple[LiteralString, ...]) -> list[Rows]:
    cursors = [session.conn.cursor() for _ in queries]
    with session.conn.pipeline():
        for cursor, query in zip(cursors, queries, strict=True):
            cursor.execute(query)
    return [cursor.fetchall() for cursor in cursors]


def _table(row: tuple[Any, ...]) -> Table:
    *described, tail, more, parents = row
    return Table(Described(*described), tail, more, parents)
