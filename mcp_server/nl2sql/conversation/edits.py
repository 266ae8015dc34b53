"""What a follow-up has done to the last query: sorted, cut, counted, grouped otherwise."""

from collections.abc import Callable, Sequence

from sqlglot import exp

from mcp_server.nl2sql.conversation import phrases
from mcp_server.nl2sql.conversation.naming import Names
from mcp_server.nl2sql.conversation.standing import Standing
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.model import Column, Kind
from mcp_server.nl2sql.sql.expressions import AGGREGATES, period_of
from mcp_server.nl2sql.sql.logical import Period
from mcp_server.nl2sql.words.lexicon import SUPERLATIVES
from mcp_server.nl2sql.words.spans import UNITS

MEASURES = {
    "average": "avg", "mean": "avg", "total": "sum", "sum": "sum", "maximum": "max", "max": "max",
    "minimum": "min", "min": "min",
}  # fmt: skip
LAST = frozenset({"last", "bottom"})
LEAST = frozenset({"least", "fewest", "lowest", "smallest"})
SIGNS: dict[str, type[exp.Binary]] = {
    "more than": exp.GT, "over": exp.GT, "at least": exp.GTE, "no less than": exp.GTE,
    "fewer than": exp.LT, "less than": exp.LT, "under": exp.LT, "at most": exp.LTE,
    "exactly": exp.EQ,
}  # fmt: skip
LIMITS = frozenset({"limit", "limits"})

Edit = Callable[[phrases.Said, Names], exp.Query | None]


def edited(said: phrases.Said, names: Names) -> exp.Query | None:
    """The query with what a follow-up asks to be done; None where it asks for nothing of that."""
    edits: Sequence[Edit] = (
        _counted, _counted_by, _listed, _extreme, _most, _with_so_many, _reversed, _first, _sorted,
        _top, _without, _measured, _measured_of, _added, _regrouped,
    )  # fmt: skip
    for edit in edits:
        found = edit(said, names)
        if found is not None:
            return found
    return None


def _counted(said: phrases.Said, names: Names) -> exp.Query | None:
    return counted(names.standing) if phrases.COUNT.match(said.text) else None


def counts(standing: Standing) -> bool:
    """Whether the query counts rows."""
    return any(each.find(exp.Count) is not None for each in standing.select.expressions)


def counted(standing: Standing) -> exp.Query:
    """How many rows the query finds, or computes with; the query itself where it counts them."""
    select = standing.select
    count = exp.Count(this=exp.Star())
    if _one_row(select):
        if not any(each.find(exp.Count) for each in select.expressions):
            select.set("expressions", [count])
            for clause in ("order", "limit", "offset", "having", "distinct"):
                select.set(clause, None)
        return select
    whole = any(select.args.get(n) for n in ("group", "distinct", "limit", "offset", "having"))
    if whole:
        inner = select.copy()
        if not inner.args.get("limit"):
            inner.set("order", None)
        return exp.select(count).from_(inner.subquery("found"))
    select.set("expressions", [count])
    select.set("order", None)
    return select


def _counted_by(said: phrases.Said, names: Names) -> exp.Query | None:
    """How many is that per city: the rows that were found, told by another column."""
    match = phrases.COUNT_BY.match(said.text)
    select = names.standing.select
    if match is None or any(select.args.get(n) for n in ("group", "limit", "offset", "having")):
        return None
    select.set("expressions", [exp.Count(this=exp.Star())])
    return _regrouped(phrases.Said(match["by"], said.openers - {"no"}, back=True), names)


def _listed(said: phrases.Said, names: Names) -> exp.Query | None:
    standing = names.standing
    select = standing.select
    if not phrases.LIST.match(said.text) or select.args.get("group") or not _aggregated(select):
        return None
    counted_of = next(iter(standing.columns(select.expressions[0])), None)
    table = counted_of.table if counted_of is not None else standing.main
    select.set("expressions", [standing.column(column) for column in shown(table)])
    return select if table is standing.main else select.distinct()


def _extreme(said: phrases.Said, names: Names) -> exp.Query | None:
    """The highest of what an average, or another measure of all rows, was taken of."""
    match = phrases.MOST.match(said.text) or phrases.EXTREME.match(said.text)
    select = names.standing.select
    what = match is not None and match.groupdict().get("what")
    if match is None or what or not _one_row(select) or len(select.expressions) != 1:
        return None
    measure = select.expressions[0].unalias()
    if not isinstance(measure, exp.AggFunc) or type(measure) not in AGGREGATES.values():
        return None
    how = "min" if match["end"].lower() in LEAST else "max"
    select.set("expressions", [AGGREGATES[how](this=measure.this.copy())])
    return select


def _most(said: phrases.Said, names: Names) -> exp.Query | None:
    match = phrases.MOST.match(said.text)
    if match is None:
        return None
    select = names.standing.select
    key: exp.Expr | None = next((e.unalias() for e in select.expressions if _measure(e)), None)
    if match["what"]:
        column = names.column(match["what"])
        key = names.standing.column(column) if column is not None else key
    if key is None:
        numbers = [c for e in select.expressions for c in names.standing.columns(e) if c.adds_up]
        key = names.standing.column(numbers[0]) if len(numbers) == 1 else None
    if key is None:
        return None
    select.set("order", None)
    select.order_by(_ordered(key, descending=match["end"].lower() not in LEAST), copy=False)
    ties = exp.LimitOptions(rows=True, with_ties=True)
    first = exp.Fetch(direction="FIRST", count=exp.Literal.number(1), limit_options=ties)
    select.set("limit", first)
    return select


def _with_so_many(said: phrases.Said, names: Names) -> exp.Query | None:
    """The groups of which the measure is so large: who has more than three."""
    match = phrases.MOST_HAVE.match(said.text)
    select = names.standing.select
    measures = [e.unalias() for e in select.expressions if _measure(e)]
    if match is None or len(measures) != 1 or not select.args.get("group"):
        return None
    count = exp.Literal.number(phrases.number(match["count"]))
    compared = SIGNS[match["sign"].lower()](this=measures[0].copy(), expression=count)
    return select.having(compared, copy=False)


def _reversed(said: phrases.Said, names: Names) -> exp.Query | None:
    order = names.standing.select.args.get("order")
    if not phrases.REVERSE.match(said.text) or order is None:
        return None
    for key in order.expressions:
        key.set("desc", not key.args.get("desc"))
        key.set("nulls_first", False)
    return names.standing.select


def _first(said: phrases.Said, names: Names) -> exp.Query | None:
    """Longest first: by a column that is shown, or another of the rows."""
    match = phrases.FIRST.match(said.text)
    meant = SUPERLATIVES.get(match["end"].lower()) if match is not None else None
    if meant is None:
        return None
    standing = names.standing
    hints, descending = meant
    outputs = [c for e in standing.select.expressions for c in standing.columns(e)]
    others = [c for table in standing.tables for c in table.columns]
    wanted = (
        c for columns in (outputs, others) for hint in hints for c in columns
        if hint in c.words and not c.foreign
    )  # fmt: skip
    column = next(wanted, None)
    if column is None or standing.select.args.get("group") or standing.select.args.get("distinct"):
        return None
    return _in_order(standing, [standing.column(column)], descending=descending)


def _sorted(said: phrases.Said, names: Names) -> exp.Query | None:
    match = phrases.SORT.match(said.text)
    if match is None:
        return None
    standing, by = names.standing, match["by"].strip()
    down = phrases.DOWN.search(by)
    by = phrases.UP.sub("", phrases.DOWN.sub("", by)).strip(" ,")
    keys: list[exp.Expr] = []
    for part in by.split(" and ") if by else []:
        output = names.output(part)
        columns = names.listed(part)
        if output is not None:
            keys.append(output.unalias().copy())
        elif columns:
            keys += map(standing.beside, columns)
        elif names.words(part)[-1:] in (("count",), ("number",), ("total",), ("amount",)):
            keys += [e.unalias().copy() for e in standing.select.expressions if _measure(e)][:1]
        else:
            return None
    if not keys:
        return None
    if standing.select.args.get("distinct") and any(
        key.sql() not in {e.unalias().sql() for e in standing.select.expressions} for key in keys
    ):
        return None
    if said.corrects:  # other rows come first then
        limit = standing.select.args.get("limit")
        standing.select.set("limit", None)
        _in_order(standing, keys, descending=down is not None).set("limit", limit)
        return standing.select
    return _in_order(standing, keys, descending=down is not None)


def _in_order(standing: Standing, keys: Sequence[exp.Expr], *, descending: bool) -> exp.Query:
    """The same rows in another order: the first few of a list stay those that they were."""
    select = standing.select
    if select.args.get("limit") is not None:
        key = standing.main.key
        plain = not any(select.args.get(part) for part in ("group", "joins", "distinct"))
        if not plain or key is None:
            return _over(select, keys, descending=descending)
        first = select.copy()
        first.set("expressions", [standing.column(key)])
        for part in ("where", "limit", "offset"):
            select.set(part, None)
        select.where(exp.In(this=standing.column(key), query=first.subquery()), copy=False)
    select.set("order", None)
    return select.order_by(*(_ordered(k, descending=descending) for k in keys), copy=False)


def _over(select: exp.Select, keys: Sequence[exp.Expr], *, descending: bool) -> exp.Query:
    """What a query shows, in another order; what orders it is shown by the inner one alone."""
    shown_as, by = [], []
    for place, output in enumerate(select.expressions):
        shown_as.append(output.alias_or_name or f"value_{place + 1}")
        if not output.alias_or_name:
            output.replace(exp.alias_(output.copy(), shown_as[-1]))
    for place, key in enumerate(keys):
        at = next((n for n, e in enumerate(select.expressions) if e.unalias() == key), None)
        by.append(shown_as[at] if at is not None else f"order_{place + 1}")
        if at is None:
            select.select(exp.alias_(key.copy(), by[-1]), copy=False)
    outer = exp.select(*map(_named, shown_as)).from_(select.subquery("found"))
    return outer.order_by(*(_ordered(_named(name), descending=descending) for name in by))


def _named(output: str) -> exp.Column:
    return exp.column(exp.to_identifier(output, quoted=True))


def _top(said: phrases.Said, names: Names) -> exp.Query | None:
    match = phrases.TOP.match(said.text)
    if match is None or not (match["end"] or "only" in said.openers):
        return None
    select = names.standing.select
    order = select.args.get("order")
    last = (match["end"] or "").lower() in LAST
    measure = next((e.unalias() for e in select.expressions if _measure(e)), None)
    if order is None and measure is not None and select.args.get("group"):
        select.order_by(_ordered(measure, descending=not last), copy=False)
    elif last and order is not None:
        for key in order.expressions:
            key.set("desc", not key.args.get("desc"))
            key.set("nulls_first", False)
    elif last:
        return None
    return select.limit(phrases.number(match["count"]))


def _without(said: phrases.Said, names: Names) -> exp.Query | None:
    match = phrases.DROP.match(said.text)
    if match is None:
        return None
    standing, select = names.standing, names.standing.select
    what = match["what"]
    if LIMITS & set(names.words(what)):
        select.set("limit", None)
        return select
    output = names.output(what)
    if output is not None and len(select.expressions) > 1 and not select.args.get("group"):
        select.set("expressions", [e for e in select.expressions if e is not output])
        order = select.args.get("order")
        if select.args.get("distinct") and order is not None:  # by what is shown, and nothing else
            kept = [e for e in order.expressions if e.this != output.unalias()]
            select.set("order", exp.Order(expressions=kept) if kept else None)
        return select
    column = names.column(what)
    held = standing.conditions()
    kept = [each for each in held if column not in standing.columns(each)]
    if {"filter", "condition", "restriction"} & set(names.words(what)):
        kept = []
    if len(kept) == len(held):
        return None
    standing.meet(kept)
    return select


def _added(said: phrases.Said, names: Names) -> exp.Query | None:
    match = phrases.ADD.match(said.text)
    adds = {"also", "and"} & said.openers or said.back or "also" in said.text or "add" in said.text
    select = names.standing.select
    if match is None or not adds or _aggregated(select):
        return None
    columns = names.listed(match["what"])
    there = {each.sql() for each in select.expressions}
    new = [names.standing.beside(column) for column in columns]
    new = [each for each in new if each.sql() not in there]
    if not new:
        return None
    select.select(*new, copy=False)
    return select


def _measured(said: phrases.Said, names: Names) -> exp.Query | None:
    match = phrases.MEASURE.match(said.text)
    if match is None or not (said.openers or said.back or "instead" in said.text.lower()):
        return None
    wanted = MEASURES.get(match["measure"].lower())
    select = names.standing.select
    changed = False
    for node in list(select.find_all(*AGGREGATES.values())) if wanted is not None else []:
        if node.parent_select is select and wanted is not None:
            node.replace(AGGREGATES[wanted](this=node.this.copy()))
            changed = True
    return select if changed else None


def _measured_of(said: phrases.Said, names: Names) -> exp.Query | None:
    """`And the total capacity?`: another measure of the rows that were counted, or measured."""
    match = phrases.MEASURE_OF.match(said.text)
    wanted = None if match is None else MEASURES.get(match["measure"].lower())
    if match is None or wanted is None or not {"and", "about"} & said.openers:
        return None
    standing, select = names.standing, names.standing.select
    column = names.column(match["what"])
    measures = [e for e in select.expressions if _measure(e)]
    if column is None or not column.adds_up or column.made is not None or len(measures) != 1:
        return None
    ordered = select.args.get("order") or select.args.get("limit") or select.args.get("having")
    whole = all(standing.graph.single(column.table, each) for each in standing.tables)
    if column.table not in standing.tables or not whole or ordered:
        return None
    measures[0].replace(AGGREGATES[wanted](this=standing.column(column)))
    return select


def _regrouped(said: phrases.Said, names: Names) -> exp.Query | None:
    match = phrases.GROUP.match(said.text)
    standing, select = names.standing, names.standing.select
    measures = [e.copy() for e in select.expressions if _measure(e)]
    if match is None or not measures or said.corrects:
        return None
    kept: list[exp.Expr] = []
    if "also" in said.openers:
        kept = [e.copy() for e in select.expressions if not _measure(e)]
    by = match["by"] or match["every"]
    if names.instead(by):
        return None
    unit = UNITS.get(by.lower().strip())
    table = names.table(by)
    if unit is not None and (date := names.date()) is not None:
        shown_by = [period_of(Period(date, unit), standing)]
        key = list(shown_by)
    elif table is not None:
        shown_by = [standing.column(column) for column in shown(table)]
        key = [standing.column(table.key)] if table.key is not None else []
        key += [each.copy() for each in shown_by if each not in key]
    elif (role := names.role(by)) is not None:
        shown_by = standing.through(role)
        key = [standing.column(role.column), *(each.copy() for each in shown_by)]
    else:
        columns = names.listed(by)
        if not columns:
            return None
        shown_by = [standing.column(column) for column in columns]
        key = [each.copy() for each in shown_by]
    for clause in ("order", "limit", "group", "distinct"):
        select.set(clause, None)
    before = [each.unalias().copy() for each in kept]
    select.set("expressions", [*kept, *shown_by, *measures])
    return select.group_by(*before, *key)


def recolumned(text: str, names: Names) -> exp.Query | None:
    """The query by another column of the same kind: `by ship date`, after one by another date."""
    match = phrases.USE.match(text)
    standing, select = names.standing, names.standing.select
    for old in _used(standing):
        column = names.column(match["by"] if match is not None else text, old.kind)
        if column is not None and column is not old and not column.made and _alike(old, column):
            break
    else:
        return None
    for node in list(select.find_all(exp.Column)):
        if node.parent_select is select and standing.meant(node) is old:
            node.replace(standing.column(column))
    return select


def _used(standing: Standing) -> list[Column]:
    """The columns that say which rows, in which groups and which order, and what is measured."""
    parts = [standing.select.args.get(name) for name in ("where", "group", "order")]
    parts += [each for each in standing.select.expressions if _measure(each)]
    return [column for part in parts for column in standing.columns(part)]


def _alike(one: Column, other: Column) -> bool:
    if one.kind is Kind.DATE or other.kind is Kind.DATE:
        return one.kind is other.kind
    return one.kind is other.kind and one.table is other.table and one.adds_up == other.adds_up


def _measure(output: exp.Expr) -> bool:
    return output.find(exp.AggFunc, exp.Window) is not None


def _aggregated(select: exp.Select) -> bool:
    return any(_measure(each) for each in select.expressions)


def _one_row(select: exp.Select) -> bool:
    """Whether all rows become one; a window function leaves them as they are."""
    computed = (node for each in select.expressions for node in each.find_all(exp.AggFunc))
    return not select.args.get("group") and any(
        not isinstance(node.find_ancestor(exp.Window, exp.Select), exp.Window) for node in computed
    )


def _ordered(key: exp.Expr, *, descending: bool) -> exp.Expr:
    return exp.Ordered(this=key.copy(), desc=descending, nulls_first=False)
