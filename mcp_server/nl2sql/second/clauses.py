# ruff: noqa: SIM102 -- a pattern reads best on one line

import re
from dataclasses import dataclass, field

from mcp_server.nl2sql.logical import (
    Query,
)
from mcp_server.nl2sql.profile_model import Column, Kind, Table
from mcp_server.nl2sql.second.atoms import Text


@dataclass(slots=True)
class Clauses:
    """A question under analysis."""

    text: Text
    query: Query = field(default_factory=Query)
    count_target: Table | None = None
    flags: set[str] = field(default_factory=set)
    doubt: float = 0.0
    order_tail: int | None = None
    places: dict[int, int] = field(default_factory=dict)
    """Where in the question a condition (by id) was read."""
    named: dict[int, str] = field(default_factory=dict)
    """The atom that an output (by id) was read from."""

    def _subject(self) -> Table | None:
        return self.text.subject

    def _adjective(self, hints: tuple[str, ...], near: Table | None = None) -> Column | None:
        tables = [t for t in (near, self._subject(), *self.text.near) if t is not None]
        subject = self._subject()
        if subject is not None:
            tables += [
                x
                for x in self.text.linker.profile.tables
                if self.text.graph.distance(subject, x) == 1
            ]
        for table in dict.fromkeys(tables):
            for hint in hints:
                for column in table.columns:
                    if column.foreign or column.primary:
                        continue
                    if not (column.counts or column.kind is Kind.DATE):
                        continue
                    if hint in column.words or any(
                        len(hint) > 2 and (w.endswith(hint) or w.startswith(hint))
                        for w in column.words
                    ):
                        return column
        if "date" in hints:  # a date kept as text
            for table in dict.fromkeys(tables[:2]):
                for column in table.columns:
                    if column.words[-1:] == ("date",) and column.kind is Kind.TEXT:
                        return column
        return None

    def _measure(self, code: str | None, match: re.Match[str]) -> Column | None:
        if not code:
            return None
        return self.text.column(code, [self.nearest(int(code[1:])), self._subject()], numeric=True)

    def nearest(self, index: int) -> Table | None:
        """The table named last before a place in the question."""
        for atom in reversed(self.text.atoms[:index]):
            if atom.kind in ("T", "B") and atom.ref is not None and atom.ref.best_table >= 0.8:
                if atom.ref.best_table >= atom.ref.best_column:
                    return atom.ref.tables[0][0]
        return None
