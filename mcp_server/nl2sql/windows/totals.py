"""Rows in an order of what several other rows say of each: by the total of it."""

from sqlglot import exp

from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Table


def of_each(select: exp.Select, graph: JoinGraph) -> exp.Select:
    """Customers by order amount are ordered by the total of each, not once for every order."""
    order = select.args.get("order")
    shown = [each for each in select.expressions if isinstance(each, exp.Column)]
    if order is None or select.args.get("group") or len(shown) < len(select.expressions):
        return select
    by = [key.this for key in order.expressions]
    if len(by) != 1 or not shown or not isinstance(by[0], exp.Column):
        return select
    rows, measured = _column(shown[0], select, graph), _column(by[0], select, graph)
    if rows is None or measured is None or not measured.adds_up:
        return select
    if graph.single(rows.table, measured.table):
        return select
    total = select.copy()
    key = next(iter(total.args["order"].expressions))
    key.set("this", exp.Sum(this=by[0].copy()))
    kept = [each.copy() for each in shown if each != by[0]]
    own = rows.table.key
    named = [] if own is None else [exp.column(own.name, table=shown[0].args.get("table"))]
    total.set("expressions", kept)
    total.set("distinct", None)
    return total.group_by(*kept, *(each for each in named if each not in kept))


def _column(column: exp.Column, select: exp.Select, graph: JoinGraph) -> Column | None:
    table = _table(column.table, select, graph)
    return None if table is None else table.column(column.name)


def _table(alias: str, select: exp.Select, graph: JoinGraph) -> Table | None:
    names = {each.alias_or_name: each.name for each in select.find_all(exp.Table)}
    name = names.get(alias) or (next(iter(names.values())) if len(names) == 1 else "")
    return next((table for table in graph.tables if table.name == name), None)
