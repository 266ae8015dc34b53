"""A document to begin with: what the schema, its data and the accepted answers let one expect.

It is a suggestion, for somebody to read, correct and set: nothing of it is used by itself.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from sqlglot import exp

from mcp_server.nl2sql.database import identifiers, parsed
from mcp_server.nl2sql.schema.display import full_name
from mcp_server.nl2sql.schema.legends import legend
from mcp_server.nl2sql.schema.model import Column, Kind, Profile, Table
from mcp_server.nl2sql.semantics.expressions import ExpressionError, over
from mcp_server.nl2sql.words.lexicon import STOP
from mcp_server.nl2sql.words.tokens import identifier_words, stem, tokenize

INTERNAL = frozenset(
    {"migration", "migrations", "audit", "log", "tmp", "temp", "backup", "bak", "staging", "old",
     "import", "revision", "changelog", "trail"}
)  # fmt: skip
"""Words of tables that nobody asks about."""
GONE = frozenset({"deleted", "archived", "void", "voided", "removed", "hidden", "test"})
AMOUNTS = frozenset({"quantity", "qty", "units", "unit", "pieces", "count"})
PRICES = {"price": "revenue", "cost": "cost", "rate": "revenue", "fee": "fees"}
LEAST_TIMES = 3
"""Accepted queries that must agree on a condition before it is taken for a rule."""
ASKED = frozenset({"total", "average", "number", "show", "list", "give", "much", "many", "month",
                   "year", "week", "day", "quarter", "per", "all"})  # fmt: skip


def suggested(found: Profile, accepted: Sequence[tuple[str, str]]) -> str:
    """A document in the form that `document.read` reads. accepted: questions with their SQL."""
    seen: set[str] = set()
    taught = _measures_of(accepted, found)
    rules = _rules_of(accepted)
    cubes = []
    for table in found.tables:
        if table.view:
            continue
        name = (
            table.name if found.named("", table.name) is table else f"{table.schema}.{table.name}"
        )
        cube = _cube(table, name, seen, taught.get(table, []), rules.get(table.name, ""))
        if len(cube) > 1:
            cubes.append(cube)
    return str(yaml.safe_dump({"cubes": cubes}, sort_keys=False, allow_unicode=True, width=100))


def _cube(
    table: Table, name: str, seen: set[str], taught: Sequence[tuple[str, str]], rule: str
) -> dict[str, Any]:
    cube: dict[str, Any] = {"name": table.name}
    if name != table.name:
        cube["sql_table"] = name
    if INTERNAL & set(table.words):
        return {**cube, "public": False}
    meta: dict[str, Any] = {}
    if shown := full_name(table):
        meta["display"] = [column.name for column in shown]
    if condition := rule or next(_gone(table), ""):
        meta["default_filter"] = condition
    if meta:
        cube["meta"] = meta
    measures = []
    for measure, sql in [*taught, *_products(table)]:
        own = measure if measure not in seen else f"{table.name}_{measure}"
        if own not in seen and table.column(own) is None and _fits(sql, table):
            seen.add(own)
            measures.append({"name": own, "type": "number", "sql": sql})
    if measures:
        cube["measures"] = measures
    dimensions = [
        {"name": column.name, "sql": _written(column), "meta": {"legend": codes}}
        for column in table.columns
        if (codes := legend(column))
    ]
    if dimensions:
        cube["dimensions"] = dimensions
    return cube


def _gone(table: Table) -> Iterator[str]:
    for column in table.columns:
        if not GONE & set(column.words):
            continue
        if column.kind is Kind.BOOLEAN:
            yield f"not {_written(column)}"
        elif column.kind is Kind.DATE:
            yield f"{_written(column)} is null"


def _products(table: Table) -> Iterator[tuple[str, str]]:
    """What so many cost of which one costs so much."""
    amounts = [c for c in table.columns if c.adds_up and AMOUNTS & set(c.words[-1:])]
    for price in table.columns:
        measure = next((PRICES[word] for word in price.words if word in PRICES), None)
        amount = next((each for each in amounts if each is not price), None)
        if measure is None or amount is None or not price.adds_up:
            continue
        parts = [_written(amount), _written(price)]
        discount = next((c for c in table.columns if "discount" in c.words), None)
        if discount is not None and discount.high is not None and discount.high <= 1:
            parts.append(f"(1 - {_written(discount)})")
        yield measure, f"sum({' * '.join(parts)})"


def _fits(sql: str, table: Table) -> bool:
    try:
        return bool(over(sql, table, aggregate=True))
    except ExpressionError:
        return False


def _measures_of(
    accepted: Sequence[tuple[str, str]], found: Profile
) -> dict[Table, list[tuple[str, str]]]:
    """What accepted queries compute of one table, by the word of the question that no name has."""
    named = {stem(word) for table in found.tables for word in table.words}
    named |= {stem(word) for column in found.columns for word in column.words}
    measures: dict[Table, list[tuple[str, str]]] = defaultdict(list)
    for question, sql in accepted:
        unnamed = [
            token.lemma
            for token in tokenize(re.sub(r"\{\d+\}", " ", question))
            if token.lemma.isalpha()
            and token.lemma not in STOP | ASKED
            and stem(token.lemma) not in named
        ]
        for computed in _computed(sql) if unnamed else ():
            columns = {column.name for column in computed.find_all(exp.Column)}
            for column in computed.find_all(exp.Column):
                column.set("table", None)
            homes = [t for t in found.tables if columns <= {c.name for c in t.columns}]
            if len(homes) == 1:
                measures[homes[0]].append((unnamed[0], computed.sql("postgres")))
    return measures


def _computed(sql: str) -> list[exp.Expr]:
    """The aggregates of a query that compute something of several columns."""
    tree = parsed.statement(sql)
    if tree is None:
        return []
    found = [
        node.parent if isinstance(node.parent, exp.Filter) else node
        for node in tree.find_all(exp.AggFunc)
        if node.find(exp.Mul, exp.Sub, exp.Add, exp.Div) or isinstance(node.parent, exp.Filter)
    ]
    return [node.copy() for node in found]


def _rules_of(accepted: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Conditions that all accepted queries about a table have, and none of the questions says."""
    times: Counter[str] = Counter()
    conditions: dict[str, Counter[str]] = defaultdict(Counter)
    for question, sql in accepted:
        tree = parsed.statement(sql)
        tables = list(tree.find_all(exp.Table)) if isinstance(tree, exp.Select) else []
        if tree is None or len(tables) != 1:
            continue
        where = tree.args.get("where")
        times[tables[0].name] += 1
        parts = list(where.this.flatten()) if where and isinstance(where.this, exp.And) else []
        for part in parts or ([where.this] if where else []):
            words = {w for c in part.find_all(exp.Column) for w in identifier_words(c.name)}
            said = words & {token.lemma for token in tokenize(question)}
            if not said and not any("{" in each.name for each in part.find_all(exp.Literal)):
                for column in part.find_all(exp.Column):
                    column.set("table", None)
                conditions[tables[0].name][part.sql("postgres")] += 1
    return {
        table: condition
        for table, held in conditions.items()
        for condition, count in held.most_common(1)
        if count == times[table] >= LEAST_TIMES
    }


def _written(column: Column) -> str:
    return identifiers.written(column.name)
