"""What a query takes for granted that its reader may not: said with the answer.

Made from the SQL alone, like the reading. Only what can change the answer is listed.
"""

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp

from mcp_server.nl2sql.database.names import identifier
from mcp_server.nl2sql.sql.paraphrase_expressions import humanise, plural, singular

MOST = 5


def assumptions(sql: str | exp.Expr) -> tuple[str, ...]:
    """Sentences on ties, missing values, matching and order; at most five, outermost first.

    sql: PostgreSQL text or its tree. Raises sqlglot.ParseError on text that is no SQL.
    """
    tree = sqlglot.parse_one(sql, dialect="postgres") if isinstance(sql, str) else sql
    found = dict[str, None]()
    for sentence in _all(tree):
        found[sentence] = None
    return tuple(found)[:MOST]


def _all(tree: exp.Expr) -> Iterator[str]:
    for query in tree.find_all(exp.Select, exp.SetOperation):
        yield from _cut(query)
    for select in tree.find_all(exp.Select):
        yield from _joins(select)
    for node in tree.walk():
        yield from _of_node(node)


def _cut(query: exp.Expr) -> Iterator[str]:
    limit = query.args.get("limit")
    if limit is None:
        return
    count = limit.args.get("expression") or limit.args.get("count")
    number = count.sql(dialect="postgres") if isinstance(count, exp.Expr) else "1"
    options = limit.args.get("limit_options")
    if options is not None and options.args.get("with_ties"):
        return
    if query.args.get("order") is None:
        yield f"No order was asked for, so these are any {number} of the rows."
    elif number == "1":
        yield "If several share the first place, only one of them is shown."
    else:
        yield f"If several share place {number}, not all of them are shown."


def _joins(select: exp.Select) -> Iterator[str]:
    from_ = select.args.get("from_")
    joins = select.args.get("joins") or []
    if from_ is None or not joins:
        return
    sources = [from_.this, *(join.this for join in joins)]
    inner = [
        j for j in joins if not j.args.get("side") and (j.args.get("on") or j.args.get("using"))
    ]
    if inner:
        first, other = (_noun(s) for s in (from_.this, inner[0].this))
        yield f"Only {plural(first)} that have a matching {singular(other)} are taken in."
    counts = any(isinstance(count.this, exp.Star) for count in select.find_all(exp.Count))
    if counts and len(sources) > 1 and select.args.get("distinct") is None:
        first, other = _noun(sources[0]), _noun(sources[-1])
        yield f"A {singular(first)} counts once for each matching {singular(other)}."


def _of_node(node: exp.Expr) -> Iterator[str]:
    match node:
        case exp.EQ() | exp.In() if _compares_text(node):
            yield "Text is compared exactly, upper and lower case told apart."
        case exp.NEQ() if _column(node.this) is not None and not isinstance(
            node.args["expression"], exp.Column
        ):
            yield f"Rows where {_label(node.this)} is missing are left out."
        case exp.Not() if isinstance(node.this, exp.In) and node.this.args.get("query"):
            yield f"If a value of {_output(node.this.args['query'])} is missing, nothing is found."
        case exp.Avg() if _column(node.this) is not None:
            yield f"Rows where {_label(node.this)} is missing do not count in the average."
        case exp.CurrentDate() | exp.CurrentTimestamp():
            yield "Today is what the database's clock says."


def _compares_text(node: exp.Expr) -> bool:
    if not isinstance(node.this, exp.Column):
        return False
    values = node.expressions if isinstance(node, exp.In) else [node.args["expression"]]
    return any(
        value.is_string and re.search("[^\\W\\d_]", value.name) is not None for value in values
    )


def _column(node: exp.Expr) -> exp.Column | None:
    while isinstance(node, exp.Cast | exp.Paren | exp.Distinct):
        node = node.expressions[0] if isinstance(node, exp.Distinct) else node.this
    return node if isinstance(node, exp.Column) and not node.is_star else None


def _label(node: exp.Expr) -> str:
    column = _column(node)
    return humanise(identifier(column.this)) if column is not None else "the value"


def _output(query: exp.Expr) -> str:
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    selects = inner.selects if isinstance(inner, exp.Query) else []
    return _label(selects[0]) if selects and _column(selects[0]) is not None else "the list"


def _noun(source: exp.Expr) -> str:
    if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
        return humanise(identifier(source.this))
    return humanise(source.alias_or_name or "row")
