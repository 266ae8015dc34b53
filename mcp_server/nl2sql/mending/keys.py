"""Joins and memberships on columns that are no key of each other, and keys compared with names.

`ship.line = line.title` compares a number with a name where the key leads to `line.id`;
`ship.line = 'Blue Star'` means the line of that name.
"""

from collections.abc import Iterator

from sqlglot import exp

from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.mending.names import on_key
from mcp_server.nl2sql.mending.sources import Sources, column_of, free_alias, named, table_node
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Table
from mcp_server.nl2sql.words.tokens import normal_text

FAR = 2
"""How many keys lead from a key to the table that has the name."""


def joins(tree: exp.Expr, linker: Linker, graph: JoinGraph, *, strict: bool) -> Iterator[str]:
    """Join by the one key between two tables what is joined by other columns.

    strict: also where the columns could be compared, but are no key of each other.
    """
    sources = Sources(tree, linker.profile)
    by_key = _joined_by_key(tree, sources, graph)
    for equal in list(tree.find_all(exp.EQ)):
        left, right = sources.side(equal.this), sources.side(equal.expression)
        if left is None or right is None or left[1] is right[1]:
            continue
        if (id(equal.parent_select), frozenset((left[0], right[0]))) in by_key:
            continue  # what else is compared of the two is a condition of the question
        one, other = sources.column(equal.this), sources.column(equal.expression)
        if one is not None and other is not None:
            if _is_key(one, other, graph) or (_comparable(one, other) and not strict):
                continue
        elif not isinstance(equal.parent, exp.Join):
            continue
        known = {left[1]: left[0], right[1]: right[0]}
        key = _key(left[1], right[1], one, other, graph)
        if key is not None:
            equal.replace(on_key(key, known))
            yield f"joined by {key.column!r} = {key.target!r}"
        elif (said := _through(equal, left[1], right[1], known, graph)) is not None:
            yield said


def _joined_by_key(
    tree: exp.Expr, sources: Sources, graph: JoinGraph
) -> set[tuple[int, frozenset[str]]]:
    """The pairs of names in each SELECT that a condition joins by a key."""
    found = set[tuple[int, frozenset[str]]]()
    for equal in tree.find_all(exp.EQ):
        left, right = sources.side(equal.this), sources.side(equal.expression)
        one, other = sources.column(equal.this), sources.column(equal.expression)
        if left and right and one and other and _is_key(one, other, graph):
            found.add((id(equal.parent_select), frozenset((left[0], right[0]))))
    return found


def _through(
    equal: exp.EQ, one: Table, other: Table, known: dict[Table, str], graph: JoinGraph
) -> str | None:
    """Join two tables by way of a third, where no key leads from one to the other."""
    join = equal.parent
    path = graph.path(one, other)
    if not isinstance(join, exp.Join) or path is None or len(path) != 2:
        return None
    select = join.parent_select
    if not isinstance(select, exp.Select):
        return None
    first, second = path
    middle = first.target.table if first.column.table is one else first.column.table
    alias = free_alias(select, middle.name)
    aliases = {**known, middle: alias}
    place = next(i for i, each in enumerate(select.args["joins"]) if each is join)
    joined = {source.alias_or_name for source in _before(select, place)}
    near, far = (first, second) if aliases[one] in joined else (second, first)
    equal.replace(on_key(far, aliases))
    added = exp.Join(this=table_node(middle, alias), on=on_key(near, aliases))
    joins = select.args["joins"]
    select.set("joins", [*joins[:place], added, *joins[place:]])
    return f"joined by way of {middle.name}"


def _before(select: exp.Select, place: int) -> list[exp.Expr]:
    first = select.args.get("from_")
    nodes = [first.this] if first is not None else []
    return nodes + [join.this for join in select.args["joins"][:place]]


def memberships(tree: exp.Expr, linker: Linker, graph: JoinGraph, *, strict: bool) -> Iterator[str]:
    """Compare by the one key between two tables what a subquery selects by another column."""
    sources = Sources(tree, linker.profile)
    for test in list(tree.find_all(exp.In, exp.EQ, exp.NEQ)):
        inner = test.args.get("query") if isinstance(test, exp.In) else test.expression
        select = inner.this if isinstance(inner, exp.Subquery) else inner
        if not isinstance(select, exp.Select) or len(select.expressions) != 1:
            continue
        outer, found = sources.column(test.this), sources.column(select.expressions[0])
        if outer is None or found is None or outer.table is found.table:
            continue
        if _is_key(outer, found, graph) or (_comparable(outer, found) and not strict):
            continue
        key = _key(outer.table, found.table, outer, found, graph)
        mine, theirs = sources.owner(test.this), sources.owner(select.expressions[0])
        if key is None or mine is None or theirs is None:
            continue
        pair = (key.column, key.target)
        own, other = pair if key.column.table is outer.table else pair[::-1]
        test.set("this", column_of(mine[0], own))
        select.set("expressions", [column_of(theirs[0], other)])
        yield f"compared {own!r} with {other!r}"


def names_for_keys(tree: exp.Expr, linker: Linker, graph: JoinGraph) -> Iterator[str]:
    """Look up the key of what is named where a column of keys is compared with a name."""
    sources = Sources(tree, linker.profile)
    for test in list(tree.find_all(exp.EQ, exp.NEQ, exp.In)):
        column = sources.column(test.this)
        literals = _texts(test)
        if column is None or not literals or not graph.referred(column):
            continue
        if any(normal_text(text) in column.values for text in literals):
            continue
        if column.kind is Kind.NUMBER and all(text.strip().isdigit() for text in literals):
            continue
        found = _named(column, literals, linker, graph)
        if found is None:
            continue
        holder, values, path = found
        member = exp.In(
            this=test.this.copy(), query=_lookup(holder, values, path, column).subquery()
        )
        denied = isinstance(test, exp.NEQ)
        test.replace(exp.Not(this=member) if denied else member)
        yield f"took {column!r} for the one whose {holder!r} is {values[0]!r}"


def _texts(test: exp.Expr) -> list[str]:
    held = test.args.get("expressions") if isinstance(test, exp.In) else [test.expression]
    texts = [each.name for each in held or () if isinstance(each, exp.Literal) and each.is_string]
    return texts if held and len(texts) == len(held) else []


def _named(
    column: Column, texts: list[str], linker: Linker, graph: JoinGraph
) -> tuple[Column, list[str], list[ForeignKey]] | None:
    """The column of a table behind the key that holds the names, and the keys that lead there."""
    ways: list[tuple[int, Column, list[str], list[ForeignKey]]] = []
    held = linker.profile.value_index.get(normal_text(texts[0]), [])
    for holder, _ in held:
        path = graph.path(column.table, holder.table) if holder.table is not column.table else None
        if not path or len(path) > FAR or path[0].column is not column:
            continue
        if not graph.single(column.table, holder.table):
            continue
        values = [holder.values.get(normal_text(text)) for text in texts]
        if all(value is not None for value in values):
            ways.append((len(path), holder, [value for value in values if value], path))
    ways.sort(key=lambda way: way[0])
    return ways[0][1:] if ways else None


def _lookup(
    holder: Column, values: list[str], path: list[ForeignKey], column: Column
) -> exp.Select:
    texts: list[exp.Expr] = [exp.Literal.string(value) for value in values]
    named_one = exp.Column(this=named(holder.name))
    test: exp.Expr = (
        exp.EQ(this=named_one, expression=texts[0])
        if len(texts) == 1
        else exp.In(this=named_one, expressions=texts)
    )
    for key in reversed(path):
        select = exp.select(exp.Column(this=named(key.target.name)))
        select = select.from_(table_node(key.target.table)).where(test)
        if key.column is column:
            break
        test = exp.In(this=exp.Column(this=named(key.column.name)), query=select.subquery())
    return select


def _key(
    left: Table, right: Table, one: Column | None, other: Column | None, graph: JoinGraph
) -> ForeignKey | None:
    """The one key between two tables, or the one that has either column."""
    keys = graph.keys_between(left, right)
    if len(keys) > 1:
        keys = [key for key in keys if {key.column, key.target} & {one, other}]
    return keys[0] if len(keys) == 1 else None


def _is_key(one: Column, other: Column, graph: JoinGraph) -> bool:
    """Whether a key leads from one column to the other, or from both to a third."""
    between = graph.keys_between(one.table, other.table)
    if any({*pair} == {one, other} for key in between for pair in key.pairs):
        return True
    return bool((graph.targets(one) | {one}) & (graph.targets(other) | {other}))


def _comparable(one: Column, other: Column) -> bool:
    return one.kind is other.kind
