"""What a query asks, in one line of plain English, made from its SQL and from nothing else.

A reading made from the question would repeat the question, right or wrong. This one is made from
the syntax tree, so that a person who cannot read SQL sees what was really asked of the database.
"""

from collections.abc import Container

import sqlglot
from sqlglot import exp

from mcp_server.nl2sql.database.names import identifier
from mcp_server.nl2sql.sql.paraphrase_expressions import (
    Phrases,
    Source,
    Visible,
    humanise,
    listing,
    plural,
    singular,
)


def reading(sql: str | exp.Expr) -> str:
    """One sentence for a checked query.

    sql: PostgreSQL text or its tree. Raises sqlglot.ParseError on text that is no SQL.
    """
    tree = sqlglot.parse_one(sql, dialect="postgres") if isinstance(sql, str) else sql
    text = " ".join(_query(tree, Visible()).split())
    return f"{text[:1].upper()}{text[1:]}."


def _query(node: exp.Expr, outer: Visible) -> str:
    text = _body(node, outer)
    with_ = node.args.get("with_")
    if isinstance(with_, exp.With):
        for cte in with_.expressions:
            name = humanise(identifier(cte.args["alias"].this))
            text += f"; where {plural(name)} are: {_query(cte.this, outer)}"
    return text


def _body(node: exp.Expr, outer: Visible) -> str:
    match node:
        case exp.Subquery():
            return _query(node.this, outer) + _tail(node, Visible(outer=outer))
        case exp.SetOperation():
            return _set_operation(node, outer)
        case exp.Select():
            return _select(node, outer)
        case exp.Values():
            count = len(node.expressions)
            return f"{count} given row{'s' if count != 1 else ''}"
        case _:
            return node.sql(dialect="postgres", comments=False)


def _set_operation(node: exp.SetOperation, outer: Visible) -> str:
    left, right = _query(node.this, outer), _query(node.args["expression"], outer)
    match node:
        case exp.Union():
            repeats = "" if node.args.get("distinct") else ", repeats kept"
            text = f"{left}, together with {right}{repeats}"
        case exp.Intersect():
            text = f"what is both in ({left}) and in ({right})"
        case _:
            text = f"{left}, but not what is in ({right})"
    return text + _tail(node, Visible(outer=outer))


def _first_of_each(node: exp.Select, outer: Visible) -> str | None:
    """A query that keeps the first rows of each group by their rank, as one that says so."""
    source = node.args["from_"].this if node.args.get("from_") else None
    inner = source.unnest() if isinstance(source, exp.Subquery) else None
    bound = node.args["where"].this if node.args.get("where") else None
    if not isinstance(inner, exp.Select) or not isinstance(bound, exp.LTE):
        return None
    ranks = {
        identifier(item.args["alias"]): item
        for item in inner.expressions
        if isinstance(item, exp.Alias)
        and isinstance(item.this, exp.Window)
        and isinstance(item.this.this, exp.Rank)
    }
    place, count = bound.this, bound.expression
    rank = ranks.get(identifier(place.this)) if isinstance(place, exp.Column) else None
    others = any(node.args.get(part) for part in ("joins", "group", "having", "order", "limit"))
    if rank is None or others or not isinstance(count, exp.Literal):
        return None
    sources, _ = _origin(inner, outer)
    order = PHRASES.expression(rank.this, _visible(inner, sources, outer)[1])
    plain = inner.copy()
    plain.set("expressions", [e for e in plain.expressions if e != rank])
    first = "the first" if count.name == "1" else f"the first {count.name}"
    return f"{_query(plain, outer)}, {first}{order.removeprefix('the rank')}"


def _select(node: exp.Select, outer: Visible) -> str:
    first = _first_of_each(node, outer)
    if first is not None:
        return first
    sources, origin = _origin(node, outer)
    scope, within = _visible(node, sources, outer)
    what = _what(node, within)
    # "the number of sailors of sailors" would say it twice
    said = len(sources) == 1 and f"the number of {scope.rows}" in what
    text = f"{what} of {origin}" if origin and not said else what
    return text + _restrictions(node, scope, within)


def _rows(node: exp.Expr, outer: Visible) -> str:
    """The rows that a query finds, whatever it selects of them: "voyages where year is 2014"."""
    if isinstance(node, exp.Subquery):
        node = node.unnest()
    if not isinstance(node, exp.Select) or node.args.get("from_") is None:
        return f"rows in ({_query(node, outer)})"
    sources, origin = _origin(node, outer)
    return origin + _restrictions(node, *_visible(node, sources, outer))


def _visible(
    node: exp.Select, sources: dict[str, Source], outer: Visible
) -> tuple[Visible, Visible]:
    """For ORDER BY and HAVING, which see the output's names, and for the rest, which does not."""
    outputs = {
        identifier(item.args["alias"]): item.this
        for item in node.expressions
        if isinstance(item, exp.Alias)
    }
    qualified = len(sources) > 1 or _is_correlated(node, sources, outer)
    return Visible(sources, outputs, outer, qualified), Visible(sources, {}, outer, qualified)


def _is_correlated(node: exp.Select, sources: Container[str], outer: Visible) -> bool:
    """Whether a subquery speaks of the rows of the query around it."""
    named = (identifier(c.args["table"]) for c in node.find_all(exp.Column) if c.args.get("table"))
    return any(name not in sources and outer.source(name) is not None for name in named)


def _restrictions(node: exp.Select, scope: Visible, within: Visible) -> str:
    """Everything behind FROM, with a space before it."""
    where, missing = _without_anti_joins(node, scope)
    text = "".join(f" {words}" for words in missing[:1])
    text += "".join(f" and {words}" for words in missing[1:])
    if where is not None:
        text += f" where {PHRASES.condition(where, within)}"
    return text + _grouping(node, scope) + _tail(node, scope)


def _what(node: exp.Select, scope: Visible) -> str:
    distinct = node.args.get("distinct")
    items = [words for item in node.expressions if (words := PHRASES.expression(item, scope))]
    if not items:
        return "the existence"
    what = listing(dict.fromkeys(items))
    if isinstance(distinct, exp.Distinct):
        on = distinct.args.get("on")
        if on is not None:
            return f"{what}, one for each {PHRASES.expression(on, scope)},"
        return f"the different values of {what}"
    first = node.expressions[0]
    nouns = first.is_star or what.startswith(("the ", "'", "(", "whether ")) or what[0].isdigit()
    return what if nouns else f"the {what}"


def _origin(node: exp.Select, outer: Visible) -> tuple[dict[str, Source], str]:
    """The sources by alias, and what they are together: "sailors with their voyages"."""
    from_ = node.args.get("from_")
    if from_ is None:
        return {}, ""
    parts = [from_.this, *(join.this for join in node.args.get("joins") or [])]
    labels = _labels(parts)
    if _is_correlated(node, dict(labels), outer):
        around = {source.singular for source in outer.sources.values()}
        labels = [
            (alias, Source(f"other {source.singular}", f"other {source.plural}"))
            if source.singular in around
            else (alias, source)
            for alias, source in labels
        ]
    sources = dict(labels)
    scope = Visible(sources, {}, outer, qualified=True)
    text = _source_text(from_.this, labels[0][1], outer)
    for join, (_, source) in zip(node.args.get("joins") or [], labels[1:], strict=True):
        text += _join(join, source, scope, outer)
    return sources, text


def _labels(parts: list[exp.Expr]) -> list[tuple[str, Source]]:
    """Alias and noun of each source; a table that is read twice is told apart by number."""
    nouns = []
    for part in parts:
        table = part.this if isinstance(part, exp.Table) else None
        alias = part.args.get("alias")
        name = identifier(table) if isinstance(table, exp.Identifier) else ""
        shown = name or (identifier(alias.this) if isinstance(alias, exp.TableAlias) else "rows")
        nouns.append((identifier(alias.this) if alias and alias.this else name, humanise(shown)))
    result, seen = [], dict[str, int]()
    for alias, noun in nouns:
        seen[noun] = seen.get(noun, 0) + 1
        repeated = sum(other == noun for _, other in nouns) > 1
        ordinal = {1: "first ", 2: "second ", 3: "third "}.get(seen[noun], "other ")
        label = f"{ordinal if repeated else ''}{noun}"
        result.append((alias or noun, Source(singular(label), plural(label))))
    return result


def _source_text(part: exp.Expr, source: Source, outer: Visible) -> str:
    match part:
        case exp.Subquery():
            return f"({_query(part, outer)})"
        case exp.Lateral():
            return f"({PHRASES.expression(part.this, outer)})"
        case exp.Table() if part.this is None:  # ROWS FROM
            return part.sql(dialect="postgres", comments=False)
        case exp.Table() if not isinstance(part.this, exp.Identifier):
            return PHRASES.expression(part.this, outer)
        case exp.Table() if part.args.get("sample"):
            return f"a sample of {source.plural}"
        case _:
            return source.plural


def _join(join: exp.Join, source: Source, scope: Visible, outer: Visible) -> str:
    what = _source_text(join.this, source, outer)
    side = str(join.args.get("side") or "").upper()
    condition = join.args.get("on")
    using = join.args.get("using") or []
    if _is_anti_join(join):
        return ""
    if condition is None and not using and str(join.args.get("method") or "").upper() != "NATURAL":
        return f" combined with all {what}"
    link = {
        "LEFT": f", with {what} where there are any",
        "RIGHT": f" where there are any, with all {what}",
        "FULL": f" and {what}, matched where they can be",
    }.get(side, f" with their {what}")
    if using:
        return f"{link} (same {listing(humanise(identifier(u)) for u in using)})"
    if condition is None:
        return f"{link} (same values in the columns that both have)"
    return f"{link} ({PHRASES.condition(condition, scope)})"


def _is_anti_join(join: exp.Join) -> bool:
    """A LEFT JOIN whose right side is then asked to be missing."""
    select = join.parent
    where = select.args.get("where") if isinstance(select, exp.Select) else None
    if str(join.args.get("side") or "").upper() != "LEFT" or where is None:
        return False
    alias = join.this.alias_or_name
    return any(_asks_for_missing(part, alias) for part in _conjuncts(where.this))


def _alias(source: exp.Expr) -> str:
    alias = source.args.get("alias")
    if isinstance(alias, exp.TableAlias) and alias.this is not None:
        return identifier(alias.this)
    return identifier(source.this)


def _asks_for_missing(part: exp.Expr, alias: str) -> bool:
    return (
        isinstance(part, exp.Is)
        and not part.args.get("negate")
        and isinstance(part.args["expression"], exp.Null)
        and isinstance(part.this, exp.Column)
        and part.this.table == alias
    )


def _conjuncts(condition: exp.Expr) -> list[exp.Expr]:
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def _without_anti_joins(node: exp.Select, scope: Visible) -> tuple[exp.Expr | None, list[str]]:
    """The WHERE condition less what only makes an anti-join, and the anti-joins as words."""
    where = node.args.get("where")
    if where is None:
        return None, []
    kept, missing = _conjuncts(where.this), []
    for join in node.args.get("joins") or []:
        if _is_anti_join(join):
            alias = join.this.alias_or_name
            kept = [part for part in kept if not _asks_for_missing(part, alias)]
            source = scope.source(_alias(join.this))
            on = join.args.get("on")
            how = f" ({PHRASES.condition(on, scope)})" if on is not None else ""
            missing.append(f"without any {source.singular if source else alias}{how}")
    return (exp.and_(*kept, copy=True) if kept else None), missing


def _grouping(node: exp.Select, scope: Visible) -> str:
    text = ""
    group = node.args.get("group")
    if group is not None:
        keys = [_position(node, key) for key in group.expressions]
        for kind in ("rollup", "cube", "grouping_sets"):
            keys += [e for part in group.args.get(kind) or [] for e in part.expressions]
        names = listing(PHRASES.expression(key, scope).removeprefix("the ") for key in keys)
        text = f", for each {names}" if names else ""
    having = node.args.get("having")
    if having is not None:
        lead = " where" if text else ", provided that"
        text += f"{lead} {PHRASES.condition(having.this, scope)}"
    return text


def _position(node: exp.Query, key: exp.Expr) -> exp.Expr:
    """GROUP BY 1 and ORDER BY 1 mean the first output column."""
    if isinstance(key, exp.Literal) and not key.is_string and key.this.isdigit():
        index = int(key.this) - 1
        if 0 <= index < len(node.selects):
            return node.selects[index].unalias()
    return key


def _tail(node: exp.Expr, scope: Visible) -> str:
    """ORDER BY, LIMIT and OFFSET: "the 3 with the highest age", or an order and a number."""
    order, limit, offset = (node.args.get(k) for k in ("order", "limit", "offset"))
    count = _count_of(limit)
    terms = [_resolved(node, term) for term in order.expressions] if order is not None else []
    if terms and count and offset is None:
        first, *rest = terms
        value = PHRASES.expression(first.this, scope).removeprefix("the ")
        extreme = "highest" if first.args.get("desc") else "lowest"
        options = limit.args.get("limit_options") if limit is not None else None
        level = options is not None and options.args.get("with_ties") and count == "1"
        which = "all" if level else "the one" if count == "1" else f"the {count}"
        text = f", {which} with the {extreme} {value}"
        return f"{text}, then {PHRASES.order(rest, scope)}" if rest else text
    text = f", sorted by {PHRASES.order(terms, scope)}" if terms else ""
    if offset is not None:
        text += f", after the first {PHRASES.expression(offset.args['expression'], scope)}"
    if count:
        text += f", {'only' if terms else 'any'} {count} of them"
    return text


def _resolved(node: exp.Expr, term: exp.Expr) -> exp.Expr:
    """An ORDER BY term whose number is put as the output column that it stands for."""
    key = _position(node, term.this) if isinstance(node, exp.Query) else term.this
    return term if key is term.this else exp.Ordered(this=key.copy(), desc=term.args.get("desc"))


def _count_of(limit: exp.Expr | None) -> str:
    if limit is None:
        return ""
    count = limit.args.get("expression") or limit.args.get("count")
    return count.sql(dialect="postgres") if isinstance(count, exp.Expr) else "1"


PHRASES = Phrases(_query, _rows)
