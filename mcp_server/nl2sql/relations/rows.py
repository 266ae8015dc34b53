"""Rows of a table as a phrase names them."""

from dataclasses import dataclass, replace
from typing import TypeAlias

from sqlglot import exp

from mcp_server.nl2sql.schema.model import Table


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table that meet conditions.

    sure: 0..1. relations: how many clauses it took to name them. special: whether one of them is a
    relation that the grammar of single queries has no phrase for. depth: how far clauses are within
    clauses. named: whether it is what rows are called, and not of which kind they are.
    """

    table: Table
    where: tuple[exp.Expr, ...] = ()
    sure: float = 1.0
    relations: int = 0
    special: bool = False
    depth: int = 0
    named: bool = False

    def also(self, *conditions: exp.Expr, of: "Rows | None" = None, sure: float = 1.0) -> "Rows":
        """The same rows that meet more. of: the rows that the conditions speak of."""
        return replace(
            self,
            where=(*self.where, *conditions),
            sure=self.sure * sure * (of.sure if of else 1.0),
            relations=self.relations + 1 + (of.relations if of else 0),
            special=self.special or bool(of and of.special),
            depth=max(self.depth, 1 + (of.depth if of else 0)),
            named=False,
        )

    def specially(self) -> "Rows":
        """The same rows, by a relation of that kind."""
        return replace(self, special=True)


Read: TypeAlias = tuple[Rows, int]
"""Rows, and the place behind the last word that names them."""
