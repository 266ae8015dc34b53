"""Default filters in a query, and a query as it sounds, for signs that compare it with words."""

from collections.abc import Iterator

from sqlglot import exp

from mcp_server.nl2sql.database.identifiers import needs_quotes
from mcp_server.nl2sql.schema.model import METRIC, Column, Profile, Table
from mcp_server.nl2sql.semantics.expressions import parsed, placed


def filtered(tree: exp.Query, found: Profile) -> exp.Query:
    """A query of which every table with a default filter meets it.

    A table of which the query itself shows or compares the columns of the filter is left alone:
    whoever asks for what was deleted wants just that. What is measured is measured of the rest.
    """
    if not any(table.default_filter for table in found.tables):
        return tree
    copy = tree.copy()
    for select in list(copy.find_all(exp.Select)):
        for source in list(_sources(select)):
            table = found.named(source.db, source.name)
            if table is not None and table.default_filter and not _speaks_of(select, source, table):
                _meet(select, source, table)
    return copy


def _meet(select: exp.Select, source: exp.Table, table: Table) -> None:
    """Have the rows of a table meet its default filter; rows that have none of it stay."""
    alone = len(list(_sources(select))) == 1
    optional = _optional(select, source)
    if optional is None:
        select.where(_condition(table, source, alone=alone), copy=False)
    elif optional.args.get("on") is not None and str(optional.args.get("side")).upper() == "LEFT":
        optional.on(_condition(table, source, alone=False), copy=False)
    else:  # what an ON leaves out of a FULL JOIN comes as rows of their own
        whole = source.copy()
        whole.set("alias", None)
        rows = exp.select("*").from_(whole).where(_condition(table, source, alone=True))
        source.replace(rows.subquery(source.alias_or_name))


def _optional(select: exp.Select, source: exp.Table) -> exp.Join | None:
    """The outer join for which a row may have none of a table; None where each has one."""
    joins: list[exp.Join] = select.args.get("joins") or []
    own = source.parent if isinstance(source.parent, exp.Join) else None
    later = joins[joins.index(own) + 1 :] if own is not None else joins
    if own is not None and str(own.args.get("side")).upper() in ("LEFT", "FULL"):
        return own
    return next((j for j in later if str(j.args.get("side")).upper() in ("RIGHT", "FULL")), None)


def as_it_sounds(text: str, tree: exp.Query, found: Profile) -> tuple[str, exp.Query]:
    """A question and its query with metrics as plain measures: `total revenue`, `sum(revenue)`.

    What a metric computes is nothing that a question would say.
    """
    metrics = [each for each in found.derived if each.made and each.made.how == METRIC]
    if not metrics:
        return text, tree
    copy = tree.copy()
    for metric in metrics:
        shape = _shape(metric)
        same = [node for node in copy.walk() if type(node) is type(shape) and _is(node, shape)]
        for node in same:
            average = "average" in metric.words
            kind: type[exp.AggFunc] = exp.Avg if average else exp.Sum
            select = node.parent_select
            node.replace(kind(this=exp.column("_".join(metric.words))))
            for source in _sources(select) if select is not None else ():
                if source.name == metric.table.name:
                    source.set("this", exp.to_identifier("_".join(metric.words)))
        name = " ".join(metric.words)
        if same and "average" not in metric.words and f"total {name}" not in text.lower():
            at = text.lower().find(name)
            if at >= 0:
                text = f"{text[:at]}total {text[at:]}"
    return text, copy


def _shape(metric: Column) -> exp.Expr:
    """The expression of a metric without the tables of its columns."""
    assert metric.made is not None
    return placed(metric.made.unit, lambda name: exp.column(name), aggregate=True)


def _is(node: exp.Expr, shape: exp.Expr) -> bool:
    bare = node.copy()
    for column in [bare] if isinstance(bare, exp.Column) else bare.find_all(exp.Column):
        column.set("table", None)
    return bare == shape


def _sources(select: exp.Select) -> Iterator[exp.Table]:
    """The tables of one SELECT, not those of queries within it."""
    source = select.args.get("from_") or select.args.get("from")
    for part in [source, *(select.args.get("joins") or [])]:
        if part is not None and isinstance(part.this, exp.Table):
            yield part.this


def _speaks_of(select: exp.Select, source: exp.Table, table: Table) -> bool:
    condition = parsed(table.default_filter, aggregate=False)
    names = {node.name for node in condition.find_all(exp.Column)}
    alone = len(list(_sources(select))) == 1
    return any(
        column.name in names
        and column.parent_select is select
        and column.find_ancestor(exp.AggFunc, exp.Select) is select
        and (column.table == source.alias_or_name or (alone and not column.table))
        for column in select.find_all(exp.Column)
    )


def _condition(table: Table, source: exp.Table, *, alone: bool) -> exp.Expr:
    qualifier = None if alone else exp.to_identifier(source.alias_or_name)
    condition = placed(
        table.default_filter,
        lambda name: exp.column(
            exp.to_identifier(name, quoted=needs_quotes(name)), table=qualifier
        ),
        aggregate=False,
    )
    return exp.paren(condition) if isinstance(condition, exp.Or) else condition
