"""Expressions of a document: read-only, over the columns of one table, or refused.

A metric or a filter becomes a part of queries that other people ask for, so it is taken apart by
what it is made of, and not by how it is spelled: nodes that nobody listed are refused, and so are
functions. What passes is written again from its tree. Behind that, each query that it becomes a
part of passes the guard as every other (`database/guard`).
"""

from collections.abc import Callable
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mcp_server.nl2sql.database.catalog import nearest
from mcp_server.nl2sql.schema.model import Column, Table

NODES_MAX = 200
OPERATORS: tuple[type[exp.Expr], ...] = (
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Paren, exp.DPipe,
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is,
    exp.Between, exp.In, exp.Like, exp.ILike, exp.Case, exp.If,
)  # fmt: skip
VALUES: tuple[type[exp.Expr], ...] = (
    exp.Literal, exp.Boolean, exp.Null, exp.Interval, exp.Var, exp.Identifier, exp.Column, exp.Star,
    exp.DataType, exp.DataTypeParam, exp.Cast,
)  # fmt: skip
SCALARS: tuple[type[exp.Expr], ...] = (
    exp.Coalesce, exp.Nullif, exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.Greatest, exp.Least,
    exp.Extract, exp.TimestampTrunc, exp.DateTrunc, exp.Lower, exp.Upper, exp.Length, exp.Trim,
    exp.CurrentDate, exp.CurrentTimestamp,
)  # fmt: skip
AGGREGATES: tuple[type[exp.Expr], ...] = (
    exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Count, exp.Distinct, exp.Filter, exp.Where,
    exp.PercentileCont, exp.WithinGroup, exp.Order, exp.Ordered, exp.Stddev, exp.Variance,
)  # fmt: skip
TYPES = frozenset(
    {"INT", "BIGINT", "SMALLINT", "DECIMAL", "DOUBLE", "FLOAT", "TEXT", "VARCHAR", "DATE",
     "TIMESTAMP", "TIMESTAMPTZ", "BOOLEAN", "INTERVAL"}
)  # fmt: skip


class ExpressionError(ValueError):
    """An expression that has no place in a document; the message says why."""


@lru_cache(maxsize=2_000)
def parsed(sql: str, *, aggregate: bool) -> exp.Expr:
    """An expression as a tree. Raises ExpressionError for one that does anything else than compute.

    aggregate: whether it is of many rows, or of each.
    """
    try:
        statements = sqlglot.parse(f"select {sql}", dialect="postgres")
    except (SqlglotError, RecursionError) as error:
        raise ExpressionError(f"{sql!r} is no expression of SQL") from error
    select = statements[0] if len(statements) == 1 else None
    if (
        not isinstance(select, exp.Select)
        or len(select.expressions) != 1
        or any(value for key, value in select.args.items() if key not in ("expressions", "kind"))
    ):
        raise ExpressionError(f"{sql!r} is more than one expression")
    tree: exp.Expr = select.expressions[0]
    for number, node in enumerate(tree.walk()):
        _judge(node, sql, aggregate=aggregate)
        if number > NODES_MAX:
            raise ExpressionError(f"{sql[:40]!r}... is too long")
    if aggregate:
        _expect_aggregates(tree, sql)
    return tree


def over(sql: str, table: Table, *, aggregate: bool) -> tuple[Column, ...]:
    """The columns of a table that an expression is over. Raises ExpressionError."""
    found: list[Column] = []
    for name in parsed(sql, aggregate=aggregate).find_all(exp.Column):
        if name.args.get("db") or name.table not in ("", table.name):
            raise ExpressionError(f"{name.sql()!r} is not of {table.name}")
        column = table.column(name.name)
        if column is None:
            near = nearest(name.name, (each.name for each in table.columns), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ExpressionError(f"{table.name} has no column {name.name!r}{hint}")
        if column not in found:
            found.append(column)
    return tuple(found)


def placed(sql: str, column: Callable[[str], exp.Expr], *, aggregate: bool) -> exp.Expr:
    """An expression with its columns as a query has them. column: gives one by its name."""

    def put(node: exp.Expr) -> exp.Expr:
        return column(node.name) if isinstance(node, exp.Column) else node

    return parsed(sql, aggregate=aggregate).copy().transform(put)


def _judge(node: exp.Expr, sql: str, *, aggregate: bool) -> None:
    allowed = (*OPERATORS, *VALUES, *SCALARS, *(AGGREGATES if aggregate else ()))
    if type(node) not in allowed:
        what = node.name or node.key if isinstance(node, exp.Func) else node.key
        raise ExpressionError(f"{sql!r}: {what} has no place here")
    if isinstance(node, exp.DataType) and (
        not isinstance(node.this, exp.DataType.Type) or node.this.name not in TYPES
    ):
        raise ExpressionError(f"{sql!r}: a cast to {node.sql('postgres')} has no place here")
    if isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
        raise ExpressionError(f"{sql!r}: * has no place here but in count(*)")
    if isinstance(node, exp.In) and (node.args.get("query") or node.args.get("unnest")):
        raise ExpressionError(f"{sql!r}: a query has no place here")


def _expect_aggregates(tree: exp.Expr, sql: str) -> None:
    """That every column is aggregated, and no aggregate is within another."""
    if tree.find(exp.AggFunc) is None:
        raise ExpressionError(f"{sql!r} has no aggregate, such as sum or count")
    for node in tree.find_all(exp.Column):
        if not isinstance(node.find_ancestor(exp.AggFunc, exp.WithinGroup, exp.Filter), exp.Expr):
            raise ExpressionError(f"{sql!r}: {node.name} stands outside of the aggregates")
    for aggregate in tree.find_all(exp.AggFunc):
        if aggregate.find_ancestor(exp.AggFunc) is not None:
            raise ExpressionError(f"{sql!r} has an aggregate within another")
