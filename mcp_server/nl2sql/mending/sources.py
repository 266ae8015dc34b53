"""Which table of the database each column of a query belongs to."""

from collections.abc import Iterator

from sqlglot import exp

from mcp_server.nl2sql.database.identifiers import needs_quotes
from mcp_server.nl2sql.database.names import identifier
from mcp_server.nl2sql.schema.model import Column, Profile, Table


class Sources:
    """The tables that the parts of a query read, found again after each change of it."""

    def __init__(self, tree: exp.Expr, profile: Profile) -> None:
        self._tree = tree
        self._tables: dict[str, Table] = {}
        for table in reversed(profile.tables):  # the first of one name is on the search path
            self._tables[table.name] = table
        self._ctes = {identifier(cte.args["alias"].this) for cte in tree.find_all(exp.CTE)}

    def table(self, node: exp.Table) -> Table | None:
        """The table that a name in FROM means; None for a CTE, or where there is none."""
        name = identifier(node.this)
        if name in self._ctes and not node.args.get("db"):
            return None
        return self._tables.get(name)

    def is_derived(self, node: exp.Table) -> bool:
        """Whether a name in FROM is that of a CTE."""
        return identifier(node.this) in self._ctes

    def of(self, select: exp.Select) -> dict[str, Table | None]:
        """What a SELECT reads, by the names that its columns use; None for a query in FROM."""
        return {
            called(source): self.table(source) if isinstance(source, exp.Table) else None
            for source in sources_of(select)
        }

    def has(self, source: exp.Expr, name: str) -> bool:
        """Whether what a SELECT reads has a column; of what is not known, yes."""
        if isinstance(source, exp.Table):
            table = self.table(source)
            return table.column(name) is not None if table else self.is_derived(source)
        inner = source.this if isinstance(source, exp.Subquery) else None
        if not isinstance(inner, exp.Select) or inner.is_star:
            return True
        return any(identifier(_output(each)) == name for each in inner.expressions)

    def owner(self, column: exp.Column) -> tuple[str, Table | None] | None:
        """The name that a column's table goes by and the table; None where no table has it."""
        name, qualifier = identifier(column.this), identifier(column.args.get("table"))
        for select in _around(column):
            for source in sources_of(select):
                alias = called(source)
                if alias == qualifier or (not qualifier and self.has(source, name)):
                    table = self.table(source) if isinstance(source, exp.Table) else None
                    return (alias, table) if self.has(source, name) else None
        return None

    def column(self, column: exp.Expr | None) -> Column | None:
        """The column of the database that a column of the query is; None where it is none."""
        if not isinstance(column, exp.Column) or not isinstance(column.this, exp.Identifier):
            return None
        found = self.owner(column)
        if found is None or found[1] is None:
            return None
        return found[1].column(identifier(column.this))

    def side(self, node: exp.Expr) -> tuple[str, Table] | None:
        """The table that one side of a comparison is of, though it may lack the column."""
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            return None
        qualifier = identifier(node.args.get("table"))
        select = node.parent_select
        if qualifier and isinstance(select, exp.Select):
            table = self.of(select).get(qualifier)
            return (qualifier, table) if table is not None else None
        found = self.owner(node)
        return (found[0], found[1]) if found is not None and found[1] is not None else None

    def columns(self) -> Iterator[exp.Column]:
        """The columns of the query that are names, and not `t.*`."""
        for column in self._tree.find_all(exp.Column):
            if isinstance(column.this, exp.Identifier):
                yield column


def sources_of(select: exp.Select) -> list[exp.Expr]:
    """What a SELECT reads: the nodes of FROM and of its joins."""
    first = select.args.get("from_")
    nodes = [first.this] if first is not None else []
    return nodes + [join.this for join in select.args.get("joins") or []]


def called(source: exp.Expr) -> str:
    """The name that columns use for what a SELECT reads."""
    alias = source.args.get("alias")
    return identifier(alias.this if alias is not None else source.this)


def _output(shown: exp.Expr) -> exp.Expr | None:
    name = shown.args.get("alias") or shown.this
    return name if isinstance(name, exp.Identifier) else None


def _around(node: exp.Expr) -> Iterator[exp.Select]:
    """The SELECTs whose tables a node sees: a query in FROM does not see what is beside it."""
    here: exp.Expr | None = node
    behind = False
    while here is not None:
        if isinstance(here, exp.Select):
            if not behind:
                yield here
            behind = False
        elif isinstance(here, exp.From) or (
            isinstance(here.parent, exp.Join) and here.arg_key == "this"
        ):
            behind = True
        here = here.parent


def named(name: str) -> exp.Identifier:
    """A name as a node, in quotes where PostgreSQL needs them."""
    return exp.to_identifier(name, quoted=needs_quotes(name))


def column_of(alias: str, column: Column) -> exp.Column:
    """A column of a table that a query knows by a name."""
    return exp.Column(this=named(column.name), table=named(alias))


def table_node(table: Table, alias: str | None = None) -> exp.Table:
    """A table as FROM has it. alias: what the query calls it, where that is not its name."""
    node = exp.Table(this=named(table.name))
    if alias is not None and alias != table.name:
        node.set("alias", exp.TableAlias(this=named(alias)))
    return node


def free_alias(select: exp.Select, wanted: str) -> str:
    """A name that nothing around a SELECT goes by."""
    root = select.root()
    taken = {source.alias_or_name.lower() for source in root.find_all(exp.Table, exp.Subquery)}
    number = 2
    alias = wanted
    while alias.lower() in taken:
        alias, number = f"{wanted}_{number}", number + 1
    return alias
