"""Tables and columns that the database does not have, columns that two tables have.

A model often knows the name and not the table: then the table that has the column is joined by its
key, or the nearest name of the tables that are read takes its place.
"""

import difflib
from collections.abc import Iterator

from sqlglot import exp

from mcp_server.nl2sql.database.catalog import nearest
from mcp_server.nl2sql.database.names import identifier
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.mending.sources import (
    Sources,
    column_of,
    free_alias,
    named,
    table_node,
)
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Table
from mcp_server.nl2sql.words.tokens import identifier_words

SURE_OF_A_TABLE = 0.85
SPELLED_ALIKE = 0.8
SURE_OF_A_COLUMN = 0.55
HOPS = 2
"""How many joins away a table may be that has a column which is missing."""


def tables(tree: exp.Expr, linker: Linker) -> Iterator[str]:
    """Put the nearest table in the place of each that is not there; says what was done."""
    sources = Sources(tree, linker.profile)
    for node in list(tree.find_all(exp.Table)):
        if not isinstance(node.this, exp.Identifier) or sources.is_derived(node):
            continue
        if sources.table(node) is not None:
            continue
        name = identifier(node.this)
        found = _table(name, linker)
        if found is None:
            continue
        if not node.args.get("alias"):
            node.set("alias", exp.TableAlias(this=named(name)))
        node.set("this", named(found.name))
        yield f"read {found.name} for {name}, which is no table here"


def _table(name: str, linker: Linker) -> Table | None:
    words = identifier_words(name)
    linked = [table for table, score in linker.tables(words) if score >= SURE_OF_A_TABLE]
    if len(linked) == 1:
        return linked[0]
    by_name = {table.name: table for table in linker.profile.tables}
    near = difflib.get_close_matches(name, by_name, 1, SPELLED_ALIKE)
    return by_name[near[0]] if near and not linked else None


def ambiguous(tree: exp.Expr, linker: Linker) -> Iterator[str]:
    """Say of which table a column is that several have: the first, where they are joined by it."""
    sources = Sources(tree, linker.profile)
    for column in list(sources.columns()):
        select = column.parent_select
        if column.args.get("table") or not isinstance(select, exp.Select):
            continue
        name = identifier(column.this)
        having = [
            alias for alias, table in sources.of(select).items() if table and table.column(name)
        ]
        if len(having) > 1:
            column.set("table", named(having[0]))
            yield f"took {name} of {having[0]}"


def columns(tree: exp.Expr, linker: Linker, graph: JoinGraph) -> Iterator[str]:
    """Find the columns that are not where the query looks for them; says what was done."""
    sources = Sources(tree, linker.profile)
    for column in reversed(list(sources.columns())):  # the innermost first
        select = column.parent_select
        if not isinstance(select, exp.Select) or sources.owner(column) is not None:
            continue
        name = identifier(column.this)
        if _is_output(name, select):
            if (stands_for := _meaning(name, column, select)) is not None:
                column.replace(stands_for)
                yield f"wrote out {name} where its name is not known yet"
            continue
        read = {alias: table for alias, table in sources.of(select).items() if table}
        if not read:
            continue
        said = _elsewhere(column, name, select, read, graph) or _near(column, name, read, linker)
        if said:
            yield said


def _is_output(name: str, select: exp.Select) -> bool:
    return any(identifier(each.args.get("alias")) == name for each in select.expressions)


def _meaning(name: str, column: exp.Column, select: exp.Select) -> exp.Expr | None:
    """What an output column stands for, where PostgreSQL does not know it by its name."""
    clause = column.find_ancestor(exp.Where, exp.Having, exp.Order, exp.Group, exp.Select)
    if not isinstance(clause, exp.Where | exp.Having):
        return None
    for each in select.expressions:
        if identifier(each.args.get("alias")) == name:
            return each.this.copy()  # type: ignore[no-any-return]
    return None


def _elsewhere(
    column: exp.Column, name: str, select: exp.Select, read: dict[str, Table], graph: JoinGraph
) -> str | None:
    """Take the column of another table that is read, or of one that a key leads to."""
    other = _other_side(column)
    here = [alias for alias, table in read.items() if table.column(name)]
    if here and here[0] == other:
        return None  # a table joined by its own column
    if here:
        column.set("table", named(here[0]))
        return f"took {name} of {here[0]}"
    near: dict[int, list[tuple[str, Table]]] = {}
    for table in graph.tables:
        if table.column(name) is None:
            continue
        alias = min(read, key=lambda each: graph.distance(read[each], table))
        near.setdefault(graph.distance(read[alias], table), []).append((alias, table))
    distance = min(near, default=HOPS + 1)
    if distance > HOPS or len(near[distance]) > 1:
        return None
    alias, table = near[distance][0]
    added = join_on(select, alias, read[alias], table, graph)
    if added is None:
        return None
    column.set("table", named(added))
    return f"joined {table.name}, which has {name}"


def _other_side(column: exp.Column) -> str:
    """The table of the column that a column is compared with."""
    equal = column.parent
    if not isinstance(equal, exp.EQ):
        return ""
    other = equal.expression if equal.this is column else equal.this
    return identifier(other.args.get("table")) if isinstance(other, exp.Column) else ""


def _near(column: exp.Column, name: str, read: dict[str, Table], linker: Linker) -> str | None:
    """Take the column of the tables read whose name is nearest."""
    qualifier = identifier(column.args.get("table"))
    among = {qualifier: read[qualifier]} if qualifier in read else read
    words = identifier_words(name)
    owners = {table: alias for alias, table in reversed(list(among.items()))}
    linked = [
        (each, score)
        for each, score in linker.columns(words)
        if each.table in owners and score >= SURE_OF_A_COLUMN
    ]
    best = [each for each, score in linked if score == max(score for _, score in linked)]
    found: Column | None = best[0] if len(best) == 1 else None
    if found is None:
        by_name = {each.name: each for table in owners for each in table.columns}
        near = nearest(name, by_name)
        found = by_name[near[0]] if near and not best else None
    if found is None:
        return None
    column.replace(column_of(owners[found.table], found))
    return f"read {found!r} for {name}, which is no column there"


def join_on(
    select: exp.Select, alias: str, start: Table, end: Table, graph: JoinGraph
) -> str | None:
    """Join a table to one that a SELECT reads, by the keys between; the name that it goes by."""
    path = graph.path(start, end)
    if not path or len(path) > HOPS:
        return None
    here, name = start, alias
    for key in path:
        other = key.target.table if key.column.table is here else key.column.table
        added = free_alias(select, other.name)
        condition = on_key(key, {here: name, other: added})
        join = exp.Join(this=table_node(other, added), on=condition)
        select.append("joins", join)
        here, name = other, added
    return name


def on_key(key: ForeignKey, aliases: dict[Table, str]) -> exp.Expr:
    """The condition that joins two different tables by a key: by all of its columns."""
    return exp.and_(
        *(
            exp.EQ(
                this=column_of(aliases[column.table], column),
                expression=column_of(aliases[target.table], target),
            )
            for column, target in key.pairs
        )
    )
