"""Groups and nested aggregates as PostgreSQL wants them, where other databases are less strict."""

from collections.abc import Iterator

from sqlglot import exp

from mcp_server.nl2sql.mending.sources import Sources


def nested(tree: exp.Expr) -> Iterator[str]:
    """`max(count(*))` of groups is the first of them in order."""
    for outer in list(tree.find_all(exp.Max, exp.Min)):
        inner = outer.this
        select = outer.parent_select
        if not isinstance(inner, exp.AggFunc) or not isinstance(select, exp.Select):
            continue
        outer.replace(inner.copy())
        highest = isinstance(outer, exp.Max)
        order = exp.Ordered(this=inner.copy(), desc=highest, nulls_first=False)
        select.set("order", exp.Order(expressions=[order]))
        select.set("limit", exp.Limit(expression=exp.Literal.number(1)))
        yield f"took the {'highest' if highest else 'lowest'} of the groups"


def measured_rows(tree: exp.Expr) -> Iterator[str]:
    """A condition on an aggregate is one on groups."""
    for where in list(tree.find_all(exp.Where)):
        select = where.parent
        if not isinstance(select, exp.Select) or not select.args.get("group"):
            continue
        parts = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
        of_groups = [part for part in parts if _measures(part)]
        if not of_groups:
            continue
        having = select.args.get("having")
        kept = [part.copy() for part in parts if part not in of_groups]
        both = [part.copy() for part in of_groups]
        if having is not None:
            both.append(having.this.copy())
        select.set("where", exp.Where(this=exp.and_(*kept)) if kept else None)
        select.set("having", exp.Having(this=exp.and_(*both)))
        yield "asked of the groups what only groups have"


def several(tree: exp.Expr, sources: Sources) -> Iterator[str]:
    """A subquery that may find several rows is a list to look in."""
    for equal in list(tree.find_all(exp.EQ, exp.NEQ)):
        inner = equal.expression
        select = inner.this if isinstance(inner, exp.Subquery) else None
        if not isinstance(select, exp.Select) or select.args.get("limit"):
            continue
        if any(each.find(exp.AggFunc) for each in select.expressions):
            continue
        member = exp.In(this=equal.this.copy(), query=inner.copy())
        equal.replace(exp.Not(this=member) if isinstance(equal, exp.NEQ) else member)
        yield "compared with each of what the subquery finds"


def groups(tree: exp.Expr) -> Iterator[str]:
    """Group by what is shown beside an aggregate; the row of a highest or lowest has no group."""
    for select in list(tree.find_all(exp.Select)):
        shown = [each.unalias() for each in select.expressions]
        order = select.args.get("order")
        sorted_by = [each.this for each in order.expressions] if order is not None else []
        measured = [each for each in [*shown, *sorted_by] if _measures(each)]
        plain = [each for each in shown if isinstance(each, exp.Column)]
        plain = [each for each in plain if not each.is_star]
        if not plain or not (measured or select.args.get("group") or select.args.get("having")):
            continue
        if not select.args.get("group") and not select.args.get("having"):
            alone = [each for each in shown if _measures(each)]
            if len(alone) == 1 and isinstance(alone[0], exp.Max | exp.Min):
                _first(select, alone[0])
                yield "took the row with the highest or lowest"
                continue
        group = select.args.get("group")
        known = {each.sql() for each in group.expressions} if group is not None else set()
        ordered = [each for each in sorted_by if isinstance(each, exp.Column)]
        names = {each.alias for each in select.expressions if each.alias}
        ordered = [each for each in ordered if each.name not in names]
        missing = {each.sql(): each for each in [*plain, *ordered] if each.sql() not in known}
        if missing:
            kept = [each.copy() for each in group.expressions] if group is not None else []
            both = [*kept, *(each.copy() for each in missing.values())]
            select.set("group", exp.Group(expressions=both))
            yield "grouped by what is shown"


def _measures(node: exp.Expr) -> bool:
    """Whether rows become fewer by it, as they do not by a window's."""
    return any(
        each.parent_select is node.parent_select and each.find_ancestor(exp.Window) is None
        for each in node.find_all(exp.AggFunc)
    )


def _first(select: exp.Select, extreme: exp.Max | exp.Min) -> None:
    value = extreme.this.copy()
    order = exp.Ordered(this=value.copy(), desc=isinstance(extreme, exp.Max), nulls_first=False)
    extreme.replace(value)
    select.set("order", exp.Order(expressions=[order]))
    select.set("limit", exp.Limit(expression=exp.Literal.number(1)))
