"""Rows of one statement within the limits of an answer, and as a tool gives them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.pq.abc import PGresult

from mcp_server.nl2sql.database import wire
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.rendering import CELL_CHARACTERS, Json, render_cell
from mcp_server.results import QueryResult

Connection = psycopg.AsyncConnection[Any]
TypeNames = dict[tuple[int, int], tuple[str, int | None]]
"""(type oid, modifier) -> (name as PostgreSQL writes it, type oid of its elements)."""

ROWS_MAX = 1_000
"""Of one call."""
RESULT_CHARACTERS = 1_000_000
"""All the values that one call reads together; an answer gives them out in pages."""


def limits_of_a_call(rows: int = 100, seconds: float = 30.0) -> Limits:
    """rows: most rows of the answer. seconds: most time that the call may take in the database.

    What a caller wrote runs whatever the planner expects it to cost, for as long as it may.
    """
    return Limits(rows, RESULT_CHARACTERS, CELL_CHARACTERS, cost=math.inf, timeout=seconds)


@dataclass(slots=True)
class Collected:
    """The rows of one statement within the limits; values as the text that the server sent."""

    limits: Limits
    fields: list[wire.Field] = field(default_factory=list)
    rows: list[wire.TextRow] = field(default_factory=list)
    characters: int = 0
    truncated: bool = False
    clipped: bool = False

    def add(self, result: PGresult) -> None:
        """Take the rows of one result in, as far as the limits go."""
        if not self.fields and result.nfields:
            self.fields = list(wire.fields(result))
        for row in wire.text_rows(result) if not self.truncated else ():
            if not self.take(row):
                return

    def take(self, row: wire.TextRow) -> bool:
        """Take one row in; False when it is one too many."""
        size = sum(min(len(value), CELL_CHARACTERS) for value in row if value is not None)
        if len(self.rows) >= self.limits.rows or (
            self.rows and self.characters + size > RESULT_CHARACTERS
        ):
            self.truncated = True
            return False
        self.characters += size
        self.rows.append(row)
        return True

    def rendered(self, types: TypeNames) -> list[list[Json]]:
        """The rows as JSON has them."""
        return [
            [
                self._render(value, oid, types[oid, modifier][1])
                for value, (_, oid, modifier) in zip(row, self.fields, strict=True)
            ]
            for row in self.rows
        ]

    def _render(self, value: str | None, oid: int, element: int | None) -> Json:
        if value is not None and len(value) > CELL_CHARACTERS:
            self.clipped = True
        return render_cell(value, oid, element)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [name for name, _, _ in self.fields]

    def types(self, types: TypeNames) -> list[str]:
        """The names of their types."""
        return [types[oid, modifier][0] for _, oid, modifier in self.fields]

    @property
    def note(self) -> str | None:
        """What is missing from the answer, for whoever reads it."""
        notes = []
        if self.truncated and len(self.rows) >= self.limits.rows:
            more = "" if self.limits.rows >= ROWS_MAX else "raise limit, or "
            notes.append(
                f"only the first {len(self.rows)} rows: {more}narrow, aggregate or page the query"
            )
        elif self.truncated:
            notes.append(
                f"only the first {len(self.rows)} rows, for they are large: select fewer columns"
            )
        return self._with_clipped(notes)

    def note_of_a_write(self, affected: int) -> str | None:
        """The same of what a statement that wrote `affected` rows returns of them.

        To send it again with a larger limit would write again.
        """
        if not self.truncated:
            return self._with_clipped([])
        return self._with_clipped(
            [
                f"all {affected} rows were written, {len(self.rows)} of them came back: do not "
                "send it again, but read the others by a query, where they were not deleted"
            ]
        )

    def _with_clipped(self, notes: list[str]) -> str | None:
        if self.clipped:
            notes.append(
                f"values over {CELL_CHARACTERS} characters are clipped: use substring() to see more"
            )
        return "; ".join(notes) or None


async def result_of(
    connection: Connection,
    collected: "Collected",
    texts: Iterable[wire.TextRow],
    seconds: float,
    types: TypeNames | None = None,
) -> QueryResult:
    """Rows that were read before, within the limits and as a tool gives them.

    types: the names of theirs, where they are known; else they are asked for.
    """
    for row in texts:
        if not collected.take(row):
            break
    if types is None:
        types = await type_names(connection, [(oid, mod) for _, oid, mod in collected.fields])
    rows = collected.rendered(types)
    return QueryResult(
        columns=collected.columns,
        types=collected.types(types),
        rows=rows,
        note=collected.note,
        elapsed_ms=round(seconds * 1000, 2),
    )


TYPE_NAMES = """
select given.oid, given.modifier, pg_catalog.format_type(given.oid, given.modifier),
       (select element.oid from pg_catalog.pg_type element
        where element.typarray operator(pg_catalog.=) given.oid)
from rows from (pg_catalog.unnest(%s::pg_catalog.oid[]), pg_catalog.unnest(%s::pg_catalog.int4[]))
     as given (oid, modifier)
"""
# Asked of typarray and not of typelem, for oidvector has elements but is not written as an array.


async def type_names(connection: Connection, types: Sequence[tuple[int, int]]) -> TypeNames:
    """The names of some types."""
    if not types:
        return {}
    distinct = sorted(set(types))
    cursor = await connection.execute(
        TYPE_NAMES, [[oid for oid, _ in distinct], [modifier for _, modifier in distinct]]
    )
    return {(oid, mod): (name, element) for oid, mod, name, element in await cursor.fetchall()}
