"""The tables of one SELECT: which keys join them, what they are called, and names as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from mcp_server.nl2sql.database.identifiers import needs_quotes
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import METRIC, Column, ForeignKey, Table
from mcp_server.nl2sql.sql.derived import expression


class NoJoinError(ValueError):
    """Two tables of the question have no key between them."""


@dataclass(slots=True)
class Joined:
    """The tables of one SELECT and their aliases; alone, a table needs none."""

    graph: JoinGraph
    tables: list[Table]
    via: Sequence[Table] = ()
    keys: list[ForeignKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = self.graph.tree(self.tables, self.via)
        if keys is None:
            raise NoJoinError(f"nothing joins {' and '.join(t.name for t in self.tables)}")
        self.keys = keys
        for key in keys:
            for table in (key.column.table, key.target.table):
                if table not in self.tables:
                    self.tables.append(table)

    def column(self, column: Column) -> exp.Expr:
        """A column, qualified where there is more than one table; a computed one as expression."""
        if column.made is not None:
            whole = column.made.how == METRIC  # which casts where the user says so
            return expression(column.made, self.column if whole else self.moment)
        return exp.column(
            identifier(column.name),
            table=self.alias(column.table) if len(self.tables) > 1 else None,
        )

    def moment(self, column: Column) -> exp.Expr:
        """A column whose parts are asked for: days that are kept as texts become dates."""
        whole = self.column(column)
        if not column.dated_text:
            return whole
        return exp.cast(whole, column.dated_text, dialect="postgres")

    def alias(self, table: Table) -> str:
        """The short name of a table."""
        return f"t{self.tables.index(table) + 1}"

    def source(self) -> exp.Select:
        """The FROM with its joins."""
        query = exp.Select().from_(self._table(self.tables[0]))
        placed = [self.tables[0]]
        waiting = list(self.keys)
        while waiting:
            key = next(
                key
                for key in waiting
                if (key.column.table in placed) or (key.target.table in placed)
            )
            waiting.remove(key)
            one, other = key.column.table, key.target.table
            condition = exp.and_(
                *(
                    exp.EQ(this=self.column(column), expression=self.column(target))
                    for column, target in key.pairs
                )
            )
            if one in placed and other in placed:
                query = query.where(condition)
                continue
            new = other if one in placed else one
            placed.append(new)
            query = query.join(self._table(new), on=condition, join_type="INNER")
        return query

    def _table(self, table: Table) -> exp.Expr:
        source = named(table)
        return exp.alias_(source, self.alias(table), table=True) if len(self.tables) > 1 else source


def named(table: Table) -> exp.Table:
    """A table by its schema and name."""
    return exp.Table(
        this=identifier(table.name),
        db=identifier(table.schema) if table.schema != "public" else None,
    )


def identifier(name: str) -> exp.Identifier:
    """A name, in quotes where PostgreSQL needs them."""
    return exp.to_identifier(name, quoted=needs_quotes(name))
