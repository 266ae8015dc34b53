"""Names in a query against the catalog: which table or column does not exist, and what is near.

Only what is certain is reported. Where a source's columns are not known (a function in FROM, a
column list taken from elsewhere) PostgreSQL's own analysis, which follows, has the word.
"""

from collections.abc import Iterator

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from mcp_server.nl2sql.database.catalog import SYSTEM_COLUMNS, KnownRelations, Relation, nearest
from mcp_server.nl2sql.database.identifiers import folded, written


def identifier(node: exp.Expr | str | None) -> str:
    """A name as PostgreSQL understands it: unquoted ones in lower case."""
    if not isinstance(node, exp.Identifier):
        return node if isinstance(node, str) else ""
    name: str = node.this
    if node.args.get("quoted"):
        return name
    return folded(name)


def tables(tree: exp.Expr) -> list[tuple[str | None, str]]:
    """(schema or None, name) of every table that the query reads; names of its CTEs left out."""
    found = dict[tuple[str | None, str], None]()
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            continue
        schema = identifier(table.args.get("db")) or None
        name = identifier(table.this)
        if schema or name not in _visible_ctes(table):
            found[schema, name] = None
    return list(found)


def unknown_table(tree: exp.Expr, relations: KnownRelations) -> tuple[str | None, str] | None:
    """The first table that the catalog does not have."""
    for schema, name in tables(tree):
        if relations.relation(schema, name) is None:
            return schema, name
    return None


def table_message(schema: str | None, name: str, known: list[Relation]) -> str:
    """What to say of a table that is not there, with the nearest names as SQL must write them."""
    label = f"{schema}.{name}" if schema else name
    elsewhere = [r for r in known if r.name == name]
    if elsewhere:
        place = "" if schema else " on the search path"
        return f"there is no table {label!r}{place}; did you mean " + " or ".join(
            repr(r.full_label) for r in elsewhere[:3]
        )
    labels = {f"{r.schema}.{r.name}" if schema else r.name: r.label for r in known}
    near = nearest(label, labels)
    if near:
        return f"there is no table {label!r}; nearest: {', '.join(labels[each] for each in near)}"
    names = ", ".join(r.label for r in known[:20]) or "none"
    return f"there is no table {label!r}; tables here: {names}"


def column_message(name: str, qualifier: str | None, sources: list[Relation]) -> str:
    """sources: the tables that the query reads where the name stands, or all tables."""
    wanted = f"{qualifier}.{name}" if qualifier else name
    owners = [r.label for r in sources if name in r.columns]
    if owners:
        return (
            f"there is no column {wanted!r} there; {written(name)!r} is a column of "
            f"{', '.join(owners)}"
        )
    by_label = {
        f"{relation.label}.{written(column)}": column
        for relation in sources
        for column in relation.columns
    }
    near = nearest(name, dict.fromkeys(by_label.values()))
    if near:
        labels = [label for column in near for label, c in by_label.items() if c == column]
        return f"there is no column {wanted!r}; nearest: {', '.join(labels[:5])}"
    listing = "; ".join(
        f"{r.label} has {', '.join(map(written, r.columns[:30]))}" for r in sources[:4]
    )
    return f"there is no column {wanted!r}; {listing or 'no table is read there'}"


def unknown_column(tree: exp.Expr, relations: KnownRelations) -> str | None:
    """A message about the first column that certainly exists nowhere it could, or None."""
    try:
        scopes = traverse_scope(tree)
    except (SqlglotError, RecursionError):
        return None  # PostgreSQL's analysis will say what is wrong
    for scope in scopes:
        for column in scope.columns:
            if column.find_ancestor(exp.Select, exp.SetOperation) is not scope.expression:
                continue  # of a nested query, whose own scope comes by as well
            message = _objection(column, scope, relations)
            if message:
                return message
    return None


def _objection(column: exp.Column, scope: Scope, relations: KnownRelations) -> str | None:
    if not isinstance(column.this, exp.Identifier):
        return None
    name = identifier(column.this)
    qualifier = identifier(column.args.get("table")) or None
    if name in SYSTEM_COLUMNS or column.args.get("db"):
        return None
    known: list[Relation] = []
    for source_name, source in _sources(scope):
        if qualifier and source_name.lower() != qualifier.lower():
            continue
        columns = _columns(source, relations)
        if columns is None:
            return None
        relation, names = columns
        if name in names:
            return None
        known.append(relation)
        if not qualifier and source_name == name:
            return None  # the whole row
    if qualifier and not known:
        return None  # a missing FROM entry: PostgreSQL names it better
    if _is_output_name(name, scope, column) and not qualifier:
        return None
    return column_message(name, qualifier, known) if known else None


def _sources(scope: Scope) -> Iterator[tuple[str, exp.Expr | Scope]]:
    here: Scope | None = scope
    while here is not None:
        yield from here.sources.items()
        here = here.parent


def _columns(
    source: exp.Expr | Scope, relations: KnownRelations
) -> tuple[Relation, frozenset[str]] | None:
    if isinstance(source, exp.Table):
        if not isinstance(source.this, exp.Identifier):
            return None
        found = relations.relation(
            identifier(source.args.get("db")) or None, identifier(source.this)
        )
        alias = source.args.get("alias")
        if found is None or (alias is not None and alias.args.get("columns")):
            return None
        return found, frozenset(found.columns)
    if isinstance(source, Scope) and isinstance(source.expression, exp.Query):
        alias = source.expression.parent and source.expression.parent.args.get("alias")
        names: list[str] = []
        if isinstance(alias, exp.TableAlias) and alias.args.get("columns"):
            names = [identifier(c) for c in alias.args["columns"] if isinstance(c, exp.Identifier)]
        for select in source.expression.selects:
            if select.is_star or not isinstance(select, exp.Column | exp.Alias):
                return None  # PostgreSQL makes up the name
            names.append(identifier(select.args.get("alias") or select.this))
        return Relation("", "the subquery", True, tuple(names)), frozenset(names)
    return None


def _is_output_name(name: str, scope: Scope, column: exp.Column) -> bool:
    """ORDER BY and GROUP BY may name an output column."""
    expression = scope.expression
    if not isinstance(expression, exp.Query):
        return True
    outputs = {
        identifier(select.args.get("alias"))
        for select in expression.selects
        if select.args.get("alias")
    }
    return name in outputs and column.find_ancestor(exp.Order, exp.Group) is not None


def _visible_ctes(node: exp.Expr) -> set[str]:
    names = set[str]()
    here: exp.Expr | None = node
    while here is not None:
        with_ = here.args.get("with_") or here.args.get("with")
        if isinstance(with_, exp.With):
            names |= {identifier(cte.args["alias"].this) for cte in with_.expressions}
        if isinstance(here, exp.With):
            names |= {identifier(cte.args["alias"].this) for cte in here.expressions}
        here = here.parent
    return names
