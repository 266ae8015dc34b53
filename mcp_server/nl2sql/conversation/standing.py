"""The query of the last answer as it stands: its tables, its columns, and what may be added."""

from sqlglot import exp

from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Profile, Table
from mcp_server.nl2sql.sql.derived import expression
from mcp_server.nl2sql.sql.joined import Joined, NoJoinError, identifier, named


class Standing(Joined):
    """A copy of a SELECT over tables that the schema knows; `column` joins what it needs.

    Raises NoJoinError for a query of another kind: what cannot be taken apart cannot be changed.
    """

    def __init__(self, tree: exp.Query, graph: JoinGraph, found: Profile) -> None:
        if not isinstance(tree, exp.Select) or tree.args.get("with_") or tree.args.get("with"):
            raise NoJoinError("the last query is not one that can be gone on from")
        self.select = tree.copy()
        self.graph = graph
        self.keys = []
        self.via = ()
        self.tables: list[Table] = []
        self.aliases: list[str] = []
        known = {(table.schema, table.name): table for table in found.tables}
        source = self.select.args.get("from_") or self.select.args.get("from")
        for part in [source, *(self.select.args.get("joins") or [])]:
            place = None if part is None else part.this
            if not isinstance(place, exp.Table):
                raise NoJoinError("the last query is over another query")
            table = known.get((place.db, place.name)) or next(
                (t for t in found.tables if t.name == place.name and not place.db), None
            )
            if table is None:
                raise NoJoinError(f"{place.name} is no table that is known")
            self.tables.append(table)
            self.aliases.append(place.alias_or_name)

    @property
    def main(self) -> Table:
        """The table that it begins with."""
        return self.tables[0]

    def alias(self, table: Table) -> str:
        """What a table is called in the query."""
        return self.aliases[self.tables.index(table)]

    def column(self, column: Column) -> exp.Expr:
        """A column as the query writes it; its table is joined where it is not there.

        Raises NoJoinError where that would repeat rows.
        """
        if column.made is not None:
            return expression(column.made, self.column)
        if column.table not in self.tables:
            self._join(column.table)
        qualifier = identifier(self.alias(column.table)) if len(self.tables) > 1 else None
        return exp.column(identifier(column.name), table=qualifier)

    def beside(self, column: Column) -> exp.Expr:
        """A column as the query writes it; no row goes because its table has none for it.

        Raises NoJoinError where joining that would repeat rows.
        """
        if column.table not in self.tables:
            self._join(column.table, "LEFT")
        return self.column(column)

    def reaches(self, table: Table) -> bool:
        """Whether a table is in the query, or each of its rows meets at most one of it."""
        return any(each is table or self.graph.single(each, table) for each in self.tables)

    def meant(self, node: exp.Column) -> Column | None:
        """The column of the schema that a name in the query means."""
        for table, alias in zip(self.tables, self.aliases, strict=True):
            if node.table in ("", alias) and table.column(node.name) is not None:
                return table.column(node.name)
        return None

    def columns(self, within: exp.Expr | None) -> list[Column]:
        """The columns of the schema in a part of the query, each once."""
        nodes = [] if within is None else within.find_all(exp.Column)
        found = (self.meant(node) for node in nodes if node.parent_select in (self.select, None))
        return list(dict.fromkeys(each for each in found if each is not None))

    def conditions(self) -> list[exp.Expr]:
        """What its rows must meet, one by one."""
        where = self.select.args.get("where")
        if where is None:
            return []
        return list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]

    def meet(self, conditions: list[exp.Expr]) -> None:
        """Have its rows meet these conditions and no others."""
        where = exp.Where(this=exp.and_(*conditions, copy=True)) if conditions else None
        self.select.set("where", where)

    def onward(self, here: Column, there: Column) -> None:
        """Join the rows of another table that hold what a row does, however many they are."""
        self._qualify()
        alias = self._free()
        on = exp.EQ(
            this=self.column(here), expression=exp.column(identifier(there.name), table=alias)
        )
        if isinstance(on.this, exp.Column):
            on.this.set("table", identifier(self.alias(here.table)))
        self.tables.append(there.table)
        self.aliases.append(alias)
        source = exp.alias_(named(there.table), alias, table=True)
        self.select.join(source, on=on, join_type="INNER", copy=False)

    def through(self, key: ForeignKey) -> list[exp.Expr]:
        """What the row that a key refers to is shown by; no row goes because it refers to none."""
        here = [self.column(mine) for mine, _ in key.pairs]
        self._qualify()
        alias = self._free()
        for node in here:
            if isinstance(node, exp.Column) and not node.table:
                node.set("table", identifier(self.alias(key.column.table)))
        there = [exp.column(identifier(other.name), table=alias) for _, other in key.pairs]
        pairs = zip(here, there, strict=True)
        on = exp.and_(*(exp.EQ(this=mine, expression=other) for mine, other in pairs))
        source = exp.alias_(named(key.target.table), alias, table=True)
        self.select.join(source, on=on, join_type="LEFT", copy=False)
        return [exp.column(identifier(c.name), table=alias) for c in shown(key.target.table)]

    def _free(self) -> str:
        taken = {*self.aliases, *(t.alias_or_name for t in self.select.find_all(exp.Table))}
        return next(f"t{n}" for n in range(len(self.tables) + 1, 99) if f"t{n}" not in taken)

    def _qualify(self) -> None:
        """Say of each column which table it is of, before another is joined."""
        if len(self.tables) == 1:
            for node in self.select.find_all(exp.Column):
                if not node.table and node.parent_select is self.select:
                    node.set("table", identifier(self.aliases[0]))

    def _join(self, table: Table, how: str = "INNER") -> None:
        start = min(
            (each for each in self.tables if self.graph.single(each, table)),
            key=lambda each: self.graph.distance(each, table),
            default=None,
        )
        if start is None:
            raise NoJoinError(f"a row of {self.main.name} may meet several of {table.name}")
        self._qualify()
        for key in self.graph.path(start, table) or ():
            new = key.target.table
            if new in self.tables:
                continue
            alias = self._free()
            self.tables.append(new)
            self.aliases.append(alias)
            on = exp.and_(
                *(
                    exp.EQ(this=self.column(mine), expression=self.column(theirs))
                    for mine, theirs in key.pairs
                )
            )
            source = exp.alias_(named(new), alias, table=True)
            self.select.join(source, on=on, join_type=how, copy=False)
